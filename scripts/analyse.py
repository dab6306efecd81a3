"""Find what explains the differences between configurations, and choose one."""

from gridloom.workers.task import in_host

in_host(__real_file__)

import json
import sys
from pathlib import Path

from gridloom.analysis.cells import read_csv, write_csv
from gridloom.analysis.certainty import default_close_enough
from gridloom.analysis.choice import choose
from gridloom.analysis.cv_results import cv_results
from gridloom.analysis.divergence import divergence_shares
from gridloom.analysis.effects import effects
from gridloom.analysis.observations import observe
from gridloom.analysis.pick import NothingToChooseError, write_nothing
from gridloom.data.scoring import Scoring
from gridloom.errors import report_mistakes
from gridloom.naming.points import read_path

with report_mistakes(snakemake.log[0]):
    metric, mode, axes = (
        snakemake.params.metric,
        snakemake.params.mode,
        json.loads(snakemake.params.axes),
    )
    runs, summary = (
        read_csv(Path(file), axes) for file in (snakemake.input.runs, snakemake.input.summary)
    )
    scoring = Scoring.read(
        Path(snakemake.params.split),
        json.loads(snakemake.params.validation),
        snakemake.params.redrawn,
    )
    output = snakemake.output
    write_csv(effects(observe(runs, axes, metric, mode)).table, Path(output.effects))
    write_csv(divergence_shares(summary, axes), Path(output.divergence))
    points = {path: read_path(path) for path in summary["point"]}
    write_csv(cv_results(runs, points, metric, mode), Path(output.cv_results))
    try:
        choose(
            summary,
            runs,
            points,
            metric,
            mode,
            json.loads(snakemake.params.cost),
            snakemake.params.close_enough or default_close_enough(runs, metric, mode, scoring),
        ).write(Path(output.best))
    except NothingToChooseError as nothing:
        write_nothing(Path(output.best), "; ".join(nothing.problems))
        print(nothing, file=sys.stderr)
