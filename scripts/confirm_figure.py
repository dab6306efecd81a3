"""Draw who was left after each round of a confirmation."""

import json
from pathlib import Path

from gridloom.errors import report_mistakes
from gridloom.figures.page import Subject
from gridloom.figures.rounds import draw_confirmation

with report_mistakes(snakemake.log[0]):
    params = snakemake.params
    draw_confirmation(
        [Path(path) for path in snakemake.input.rounds],
        Path(snakemake.input.best),
        Subject(
            title=params.title,
            axes=json.loads(params.axes),
            metric=params.metric,
            mode=params.mode,
            labels=json.loads(params.labels),
        ),
        dpi=params.dpi,
        files=[Path(path) for path in snakemake.output],
    )
