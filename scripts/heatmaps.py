"""Draw the figures of the grid, and remove those of an earlier one."""

import json
import sys
from pathlib import Path

from gridloom.errors import report_mistakes
from gridloom.figures.grid import NO_FIGURE, draw_grid, remove_earlier

with report_mistakes(snakemake.log[0]):
    axes = json.loads(snakemake.params.axes)
    files = [Path(path) for path in snakemake.output]
    draw_grid(
        Path(snakemake.input.summary),
        Path(snakemake.input.runs),
        axes=axes,
        slices=json.loads(snakemake.params.slices),
        metric=snakemake.params.metric,
        mode=snakemake.params.mode,
        title=snakemake.params.title,
        dpi=snakemake.params.dpi,
        files=files,
        processes=snakemake.threads,
    )
    folder = files[0].parent
    if removed := remove_earlier(folder, files):
        print(f"Removed figures of an earlier grid from {folder}: {len(removed)}", file=sys.stderr)
    if not axes:
        print(NO_FIGURE, file=sys.stderr)
