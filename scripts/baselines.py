"""Fit simple models on the networks' rows and score them by the networks' metric."""

import json
import os
from typing import TYPE_CHECKING

from gridloom.errors import report_mistakes
from gridloom.workers.task import Task, run_task

if TYPE_CHECKING:  # it runs elsewhere; named here, an edit of it reruns the rule
    from gridloom.baselines import measure  # noqa: F401

with report_mistakes(snakemake.log[0]):
    arguments = {
        "baselines": json.loads(snakemake.params.baselines),
        "setup": json.loads(snakemake.params.setup),
        "point": snakemake.params.point,
        "repetitions": snakemake.params.repetitions,
        "objective": snakemake.params.objective,
        "rows_file": snakemake.input.rows,
        "split_file": snakemake.input.split,
        "model_file": snakemake.input.model,
        "table": snakemake.output.table,
    }
    write = "gridloom.baselines.measure:write_baselines"
    onednn = arguments["setup"]["onednn"]
    task = Task(write, arguments, snakemake.threads, snakemake.log[0], onednn)
    run_task(task, os.environ.get("GRIDLOOM_SCOPE"))
