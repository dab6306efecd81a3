"""Open files with MLflow's client, and print what is in them as JSON.

``cases FOLDER`` makes and exports some made results first; any other argument is a file.
"""

from __future__ import annotations

import json
import logging
import os
import sqlite3
import sys
from contextlib import closing
from pathlib import Path
from typing import Any

os.environ["MLFLOW_DISABLE_TELEMETRY"] = "true"
from mlflow import MlflowClient

#: Made results that are tried; each makes MLflow's tables anew, which takes seconds.
TRIED = ("plain", "odd", "conditional", "diverged", "folds")

#: Metrics whose curves are read.
CURVES = ("loss", "val_loss", "val_score", "val_categorical_accuracy")


def read(file: Path) -> dict[str, Any]:
    """Return what MLflow finds in a file."""
    client = MlflowClient(f"sqlite:///{file}")
    (experiment,) = client.search_experiments()
    runs, token = [], None
    while token != "":
        page = client.search_runs([experiment.experiment_id], max_results=500, page_token=token)
        runs += page
        token = page.token or ""
    return {
        "name": experiment.name,
        "tags": experiment.tags,
        "made": experiment.creation_time,
        "runs": {
            run.info.run_id: {
                "name": run.info.run_name,
                "status": run.info.status,
                "start": run.info.start_time,
                "end": run.info.end_time,
                "params": run.data.params,
                "tags": run.data.tags,
                "metrics": run.data.metrics,
                "curves": {
                    key: [
                        (metric.step, metric.value)
                        for metric in client.get_metric_history(run.info.run_id, key)
                    ]
                    for key in run.data.metrics
                    if key in CURVES
                },
            }
            for run in runs
        },
    }


def make_and_read(folder: Path) -> dict[str, Any]:
    """Export made results, one of them twice, and return case → what MLflow finds."""
    from gridloom.exports.mlflow import write_mlflow
    from tests.exports.made_results import MADE, MADE_WITH, make

    found = {}
    for case in TRIED:
        results, study = make(folder / case, case)
        file = folder / case / "export" / "mlflow.db"
        said = write_mlflow(results, list(study.grid.axes), MADE_WITH, MADE, file)
        found[case] = {**read(file), "said": said}
    results, study = make(folder / "plain", "plain")
    write_mlflow(results, list(study.grid.axes), MADE_WITH, MADE, folder / "again.db")
    once, again = (rows(file) for file in (folder / "plain/export/mlflow.db", folder / "again.db"))
    found["plain"]["twice_the_same"] = once == again
    return found


def rows(file: Path) -> list[str]:
    """Return all rows of a file; the tables are MLflow's own."""
    with closing(sqlite3.connect(file)) as database:
        return sorted(line for line in database.iterdump() if line.startswith("INSERT"))


if __name__ == "__main__":
    logging.disable(logging.WARNING)
    match sys.argv[1:]:
        case ["cases", folder]:
            print(json.dumps(make_and_read(Path(folder))))
        case [file]:
            print(json.dumps(read(Path(file))))
