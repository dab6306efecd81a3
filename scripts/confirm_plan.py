"""Settle what a confirmation compares and by what, and say the most that it can cost."""

from pathlib import Path

from gridloom.analysis.cells import read_csv
from gridloom.analysis.confirm import describe_confirmation, make_plan
from gridloom.analysis.divergence import read_bound
from gridloom.analysis.pick import Pick
from gridloom.errors import report_mistakes
from gridloom.study.schema import Confirm

with report_mistakes(snakemake.log[0]):
    given, params = snakemake.input, snakemake.params
    confirm = Confirm.model_validate_json(params.confirm)
    runs = read_csv(Path(given.runs), {})
    plan = make_plan(
        runs,
        Pick.read(Path(given.best)),
        confirm,
        own=params.repetitions,
        folds=params.folds,
        diverged_above=read_bound(params.diverged_above, Path(given.history)),
    )
    objective = {"metric": params.metric, "mode": params.mode}
    print(describe_confirmation(plan, runs, confirm, folds=params.folds, **objective))
    plan.write(Path(snakemake.output.plan))
