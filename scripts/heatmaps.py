"""Draw a heatmap of every pair of axes, and those that the study asks for."""

import json
from pathlib import Path

from gridloom.errors import report_mistakes
from gridloom.figures.heatmaps import draw_all

with report_mistakes(snakemake.log[0]):
    draw_all(
        Path(snakemake.input.summary),
        axes=json.loads(snakemake.params.axes),
        slices=json.loads(snakemake.params.slices),
        metric=snakemake.params.metric,
        mode=snakemake.params.mode,
        title=snakemake.params.title,
        dpi=snakemake.params.dpi,
        files=[Path(path) for path in snakemake.output],
        processes=snakemake.threads,
    )
