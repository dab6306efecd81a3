"""Draw the grid of each pair of axes, before anything is trained."""

import json
import sys
from pathlib import Path

from gridloom.errors import report_mistakes
from gridloom.figures.drawing import write_all
from gridloom.figures.lattice import lattice_drawings
from gridloom.figures.page import Subject

with report_mistakes(snakemake.log[0]):
    params = snakemake.params
    subject = Subject(
        title=params.title,
        axes=json.loads(params.axes),
        metric=params.metric,
        mode=params.mode,
        labels=json.loads(params.labels),
    )
    files = [Path(path) for path in snakemake.output]
    drawings = lattice_drawings(
        json.loads(params.points), subject, json.loads(params.to_scale), files
    )
    if not files:
        print("The grid has fewer than two axes, so there is no lattice.", file=sys.stderr)
    write_all(drawings, dpi=params.dpi, processes=snakemake.threads)
