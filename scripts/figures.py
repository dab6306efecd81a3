"""Draw effects, ties, curves, cost and stability."""

import json
from pathlib import Path

from gridloom.errors import report_mistakes
from gridloom.figures.evidence import Tables, draw_evidence
from gridloom.figures.page import Subject

with report_mistakes(snakemake.log[0]):
    given, params = snakemake.input, snakemake.params
    files = [Path(path) for path in snakemake.output]
    draw_evidence(
        Tables(
            runs=Path(given.runs),
            history=Path(given.history),
            summary=Path(given.summary),
            effects=Path(given.effects),
            best=Path(given.best),
            confirmed=Path(params.confirmed) if params.confirmed else None,
            baselines=[Path(path) for path in given.baselines],
        ),
        Subject(
            title=params.title,
            axes=json.loads(params.axes),
            metric=params.metric,
            mode=params.mode,
            labels=json.loads(params.labels),
        ),
        dpi=params.dpi,
        files=files,
        processes=snakemake.threads,
    )
