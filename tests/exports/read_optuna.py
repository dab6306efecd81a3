"""Open files with `optuna.load_study`, and print what is in them as JSON.

``cases FOLDER`` makes and exports the made results first; any other argument is a file.
"""

from __future__ import annotations

import json
import sqlite3
import sys
from contextlib import closing
from pathlib import Path
from typing import Any

import optuna


def read(file: Path) -> dict[str, Any]:
    """Return what Optuna finds in a file."""
    study = optuna.load_study(study_name=None, storage=f"sqlite:///{file}")
    return {
        "name": study.study_name,
        "direction": study.direction.name,
        "metrics": study.metric_names,
        "attributes": study.user_attrs,
        "trials": [
            {
                "number": trial.number,
                "state": trial.state.name,
                "value": trial.value,
                "params": trial.params,
                "distributions": {
                    name: [type(own).__name__, vars(own)]
                    for name, own in trial.distributions.items()
                },
                "curve": trial.intermediate_values,
                "attributes": trial.user_attrs,
                "seconds": trial.duration.total_seconds(),
                "ended": trial.datetime_complete.timestamp(),
            }
            for trial in study.trials
        ],
    }


def make_and_read(folder: Path) -> dict[str, Any]:
    """Export the made results, one of them twice, and return case → what Optuna finds."""
    from gridloom.exports.optuna import write_optuna
    from tests.exports.made_results import CASES, MADE, MADE_WITH, make

    found = {}
    for case in CASES:
        results, study = make(folder / case, case)
        file = folder / case / "export" / "optuna.db"
        said = write_optuna(results, study.grid.axes, MADE_WITH, MADE, file)
        found[case] = {**read(file), "said": said}
    results, study = make(folder / "plain", "plain")
    write_optuna(results, study.grid.axes, MADE_WITH, MADE, folder / "again.db")
    once, again = (rows(file) for file in (folder / "plain/export/optuna.db", folder / "again.db"))
    found["plain"]["twice_the_same"] = once == again
    return found


def rows(file: Path) -> list[str]:
    """Return all rows of a file; the tables are Optuna's own."""
    with closing(sqlite3.connect(file)) as database:
        return sorted(line for line in database.iterdump() if line.startswith("INSERT"))


if __name__ == "__main__":
    optuna.logging.set_verbosity(optuna.logging.WARNING)
    match sys.argv[1:]:
        case ["cases", folder]:
            print(json.dumps(make_and_read(Path(folder))))
        case [file]:
            print(json.dumps(read(Path(file))))
