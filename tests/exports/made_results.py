"""Results of small studies with odd names and values, made without a training."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from gridloom.analysis.certainty import certainty, with_certainty
from gridloom.analysis.choice import choose
from gridloom.analysis.pick import NothingToChooseError, write_nothing
from gridloom.analysis.table import gather, write_tables
from gridloom.identity.setup import Setup
from gridloom.naming.points import read_path
from gridloom.results import Results
from gridloom.study.schema import Study
from tests.made_records import SETUP, write_made_record

#: When the tables were made.
MADE = datetime(2026, 1, 2, 3, 4, 5, 678000, tzinfo=UTC)

MADE_WITH = Setup(
    *("rows", "model", "code"),
    **{"seed": 0, "vary": ("init",), "validation": {"fraction": 0.2}, "class_weight": None},
    **{"scaling": "none", "target": "none", "engine": "compiled", "xla": "auto"},
    **{"onednn": True, "libraries": {}},
)

_DATA = {"dataset": {"source": "builtin:iris"}, "model": "models/mlp.py"}

_FIT = {"batch_size": 4, "epochs": 3}

ODD_NAME = "Ünï \"x\" 'y'; DROP TABLE trials -- ../%2e\n{z}"

ODD_METRIC = "val_f1@5 (é)/[x]"

#: Name → `hyperparameters`, and what differs from three repetitions of `val_score`.
CASES: dict[str, tuple[Any, dict[str, Any]]] = {
    "plain": ({"units": [1, 8], "rate": [0.01, 0.1, 1], **_FIT}, {}),
    "odd": (
        {
            "layers": [[64, 32], []],
            "penalty": [None, "l2/é %", ""],
            "zip": {"flag": [True, 1], "size": [1, 2**60], "mixed": [None, 0.5]},
            **_FIT,
        },
        {"name": ODD_NAME, "metric": ODD_METRIC, "mode": "min", "repetitions": 2},
    ),
    "conditional": (
        {"grids": [{"kind": "sgd", "momentum": [0, 0.9]}, {"kind": "adam"}], **_FIT},
        {},
    ),
    "once": ({"units": [1, 8], **_FIT}, {"repetitions": 1}),
    "alone": ({"units": 1, **_FIT}, {}),
    "diverged": ({"units": [1, 8], **_FIT}, {"score": lambda point, repetition, fold: None}),
    "folds": (
        {"units": [1, 8], "early_stopping_patience": 1, **_FIT},
        {"folds": 2, "repetitions": 2},
    ),
}


def score(point: Mapping[str, Any], repetition: int, fold: int) -> float | None:
    """Return the objective after the last epoch; one training of the largest rate diverges."""
    if point.get("rate") == 1 and point.get("units") == 8 and repetition == 1:
        return None
    return 0.5 + 0.1 * repetition + 0.01 * fold + point.get("units", 0) / 100


def make(folder: Path, case: str) -> tuple[Results, Study]:
    """Write the tables of a case into a folder, and open them."""
    hyperparameters, given = CASES[case]
    return write_results(folder, hyperparameters, **given)


def write_results(
    folder: Path,
    hyperparameters: Any,
    *,
    score: Callable[[Mapping[str, Any], int, int], float | None] = score,
    name: str = "Made",
    metric: str = "val_score",
    mode: str = "max",
    repetitions: int = 3,
    folds: int = 1,
) -> tuple[Results, Study]:
    """Write the tables of a study, and open them.

    In epoch e of 3, the objective is e thirds of the score. In repetition 1, a training stops after
    its second epoch if it may stop early.
    """
    study = Study.model_validate(
        {
            **_DATA,
            **{"name": name, "results": str(folder), "repetitions": repetitions},
            **{"hyperparameters": hyperparameters, "objective": {"metric": metric, "mode": mode}},
        }
    )
    setup = SETUP if folds == 1 else {**SETUP, "validation": {"method": "kfold", "folds": folds}}
    records = []
    for point in study.grid.points.values():
        histories = []
        for repetition in range(repetitions):
            stopped = repetition == 1 and "early_stopping_patience" in point
            for fold in range(folds):
                last = score(point, repetition, fold)
                values = [None if last is None else last * epoch / 3 for epoch in (1, 2, 3)]
                losses = [1.0, 1.0, None if last is None else 1.0]
                epochs = 2 if stopped else 3
                histories.append({"loss": losses[:epochs], metric: values[:epochs]})
        records.append(write_made_record(folder, point, histories, setup=setup))
    gathered = gather(records, study.grid.columns, repetitions, metric, mode)
    summary = with_certainty(gathered.summary, certainty(gathered.runs, metric, mode, None))
    write_tables(
        replace(gathered, summary=summary),
        *(folder / name for name in ("runs.csv", "history.parquet", "summary.csv")),
    )
    points = {path: read_path(path) for path in summary["point"]}
    try:
        choose(summary, gathered.runs, points, metric, mode, ["parameters"], 0.01).write(
            folder / "best.yaml"
        )
    except NothingToChooseError as nothing:
        write_nothing(folder / "best.yaml", str(nothing))
    return Results(folder, study, folder / "none.yaml"), study
