"""Find which configurations are left after a round of repetitions."""

import json
from pathlib import Path

from gridloom.analysis.confirm import describe_round, hold_round
from gridloom.analysis.rounds import Plan, Round
from gridloom.analysis.table import gather
from gridloom.errors import report_mistakes

with report_mistakes(snakemake.log[0]):
    given, params = snakemake.input, snakemake.params
    plan = Plan.read(Path(given.plan))
    previous = [Round.read(Path(path)) for path in given.previous]
    gathered = gather(
        [Path(path) for path in given.records],
        json.loads(params.hyperparameters),
        params.repetitions,
        params.metric,
        params.mode,
        diverged_above=plan.diverged_above,
    )
    held = hold_round(
        gathered.runs,
        plan,
        previous[0] if previous else None,
        metric=params.metric,
        mode=params.mode,
        folds=params.folds,
    )
    held.write(Path(snakemake.output.held))
    print(describe_round(held, json.loads(params.axes)))
