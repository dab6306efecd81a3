"""Draw the figures of the evidence."""

from gridloom.workers.task import in_host

in_host(__real_file__)

import json
from pathlib import Path

from gridloom.errors import report_mistakes
from gridloom.figures.earlier import remove_earlier
from gridloom.figures.evidence import Tables, draw_figures
from gridloom.figures.page import Subject

with report_mistakes(snakemake.log[0]):
    given, params = snakemake.input, snakemake.params
    files = [Path(path) for path in snakemake.output]
    draw_figures(
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
    remove_earlier(files[0].parent, [Path(path) for path in params.all])
