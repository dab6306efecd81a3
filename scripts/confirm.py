"""Choose the configuration that the rounds of repetitions leave."""

import json
from pathlib import Path

from gridloom.analysis.cells import read_csv, write_csv
from gridloom.analysis.confirm import conclude, describe_conclusion, table_of_rounds
from gridloom.analysis.pick import Pick
from gridloom.analysis.rounds import Plan, Round, after, describe_kept
from gridloom.errors import report_mistakes
from gridloom.study.schema import Confirm

with report_mistakes(snakemake.log[0]):
    given, params = snakemake.input, snakemake.params
    confirm = Confirm.model_validate_json(params.confirm)
    plan = Plan.read(Path(given.plan))
    rounds = [Round.read(Path(path)) for path in given.rounds]
    end = after(rounds[-1], confirm, params.folds)
    points = read_csv(Path(given.summary), {})["point"].tolist()
    chosen = conclude(plan, rounds[-1], end, Pick.read(Path(given.best)), points)
    write_csv(table_of_rounds(rounds), Path(snakemake.output.rounds))
    chosen.write(Path(snakemake.output.best))
    print(describe_conclusion(chosen, rounds[-1], json.loads(params.axes)))
    kept = describe_kept(plan, confirm, given.plan)
    if kept:
        print(kept)
