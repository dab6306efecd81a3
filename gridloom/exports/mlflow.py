"""A study as a store of MLflow: a run for each configuration, and one in it for each training."""

from __future__ import annotations

import json
import os
import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from itertools import repeat
from pathlib import Path
from typing import Any

import pandas as pd

from gridloom.exports.configurations import Configuration, metrics_of, read_configurations
from gridloom.exports.database import insert, write
from gridloom.files import fingerprint
from gridloom.identity.setup import Setup
from gridloom.naming.points import describe_point, read_path
from gridloom.naming.values import table_text
from gridloom.results import Results

# Read when MLflow is imported: it would report to its makers that it was used.
os.environ["MLFLOW_DISABLE_TELEMETRY"] = "true"
from mlflow.store.tracking.sqlalchemy_store import SqlAlchemyStore

#: Where files of a run would be: in the folder of whoever serves the store. An export has none.
_ARTIFACTS = "mlflow-artifacts:/0"

#: Longest names and values of MLflow, in characters.
_MAX_NAME, _MAX_VALUE = 250, 6_000

#: Columns of ``summary.csv`` that the run of a configuration has as metrics.
_OF_CONFIGURATION = (
    "rank",
    "expected",
    "regret_high",
    "n",
    "n_diverged",
    "n_missing",
    "seconds_mean",
    "parameters",
)

#: Columns of ``runs.csv`` that the run of a training has as metrics.
_OF_TRAINING = ("best_epoch", "restored_epoch", "epochs_run", "seconds")

#: Columns of ``runs.csv`` that the run of a training has as tags.
_TAGS_OF_TRAINING = ("status", "host", "engine", "why_not_lockstep")


@dataclass(frozen=True)
class _Run:
    """A run of MLflow; `metrics` are single numbers, no curves."""

    id: str
    name: str
    has_failed: bool
    seconds: float
    params: Mapping[str, Any]
    tags: Mapping[str, Any]
    metrics: Mapping[str, float]


def write_mlflow(
    results: Results, axes: Sequence[str], setup: Setup, made: datetime, path: Path
) -> str:
    """Write the results as an SQLite file of MLflow's, and say what it holds.

    A run's id is a fingerprint of set-up, configuration and repetition, the same in each export.
    What diverged or has no number has failed.

    Parameters
    ----------
    axes
        Swept hyperparameters, by which runs are named.
    setup
        What the trainings were made with.
    made
        When the tables were made: then the runs end.
    """
    metrics = metrics_of(results)
    configurations, trainings = read_configurations(results, metrics), results.runs
    keys = ("point", "repetition", "fold")
    of_trainings = trainings[list(keys)].itertuples(index=False, name=None)
    trainings = trainings.assign(id=[_id(setup.name, *names) for names in of_trainings])
    # Configurations first: their curves are assigned by place.
    runs = [_run_of(one, axes, setup.name, metrics) for one in configurations]
    runs += _runs_of_trainings(trainings, results.metric, setup.name, metrics)
    curves = results.history.astype({"point": object}).merge(trainings[[*keys, "id"]], on=keys)
    values = pd.concat(
        [
            _frame((run.id, name, 0, value) for run in runs for name, value in run.metrics.items()),
            _frame(
                (run.id, name, epoch, value)
                for run, one in zip(runs, configurations, strict=False)
                for name, curve in one.curves.items()
                for epoch, value in enumerate(curve, 1)
            ),
            *(
                _frame(zip(curves["id"], repeat(name), curves["epoch"], curves[name], strict=False))
                for name in metrics
            ),
        ]
    ).dropna()
    values["key"] = values["key"].map(_keys(values["key"].unique()))
    store = SqlAlchemyStore("sqlite://", _ARTIFACTS)
    connection = store.engine.raw_connection()
    database = connection.driver_connection
    milliseconds = round(made.timestamp() * 1000)
    _fill_experiment(database, results.name, setup, milliseconds)
    _fill_runs(database, runs, milliseconds)
    _fill_metrics(database, values, milliseconds)
    write(database, path)
    connection.close()
    store.engine.dispose()  # MLflow keeps it, and so the database, for the next store
    lost = sum(one.is_lost for one in configurations)
    return (
        f"{len(configurations):,} runs, of which {lost:,} failed, with {len(trainings):,} trainings"
    )


def _id(*names: object) -> str:
    return fingerprint([], "/".join(map(str, names)))


def _run_of(one: Configuration, axes: Sequence[str], setup: str, metrics: Sequence[str]) -> _Run:
    """Return the run of a configuration."""
    columns = [*_OF_CONFIGURATION, *(f"{name}_{of}" for name in metrics for of in ("mean", "se"))]
    return _Run(
        id=_id(setup, one.point),
        name=describe_point(one.hyperparameters, axes or None),
        has_failed=one.is_lost,
        seconds=one.seconds,
        params=one.hyperparameters,
        tags={
            "point": one.point,
            "tied_with_best": bool(one.summary["tied_with_best"]),
            "taken by the study": one.is_picked,
            "set-up": setup,
        },
        metrics={name: one.summary[name] for name in columns if name in one.summary},
    )


def _runs_of_trainings(
    trainings: pd.DataFrame, objective: str, setup: str, metrics: Sequence[str]
) -> Iterator[_Run]:
    """Yield the runs of the trainings, each within that of its configuration."""
    numbers = ["repetition", "fold"] if trainings["fold"].any() else ["repetition"]
    for row in trainings.to_dict("records"):
        final = {f"{name}_final": row[name] for name in metrics}
        yield _Run(
            id=row["id"],
            name=", ".join(f"{name} {row[name]}" for name in numbers),
            has_failed=row["status"] != "ok" or pd.isna(row[objective]),
            seconds=row["seconds"],
            params={**read_path(row["point"]), **{name: row[name] for name in [*numbers, "seed"]}},
            tags={
                "mlflow.parentRunId": _id(setup, row["point"]),
                "set-up": setup,
                **{name: row[name] for name in _TAGS_OF_TRAINING if not pd.isna(row[name])},
            },
            metrics={**{name: row[name] for name in _OF_TRAINING}, **final},
        )


def _frame(values: Iterable[tuple[str, str, int, float]]) -> pd.DataFrame:
    return pd.DataFrame(values, columns=["run", "key", "step", "value"])


def _keys(names: Iterable[str]) -> dict[str, str]:
    """Return what MLflow may call metrics: it takes no other characters, and no path upwards."""
    keys: dict[str, str] = {}
    for name in names:
        key = allowed = re.sub(r"^\.|[^\w.\- ]", "_", name)[: _MAX_NAME - 5]
        number = 2
        while key in keys.values():
            key, number = f"{allowed}_{number}", number + 1
        keys[name] = key
    return keys


def _text(value: Any) -> str:
    text = value if isinstance(value, str) else json.dumps(value, ensure_ascii=False)
    return text[:_MAX_VALUE]


def _fill_experiment(database: Any, name: str, setup: Setup, milliseconds: int) -> None:
    """Make the study the only experiment: MLflow makes one in every new store."""
    database.execute(
        "UPDATE experiments SET name = ?, creation_time = ?, last_update_time = ?",
        (name, milliseconds, milliseconds),
    )
    tags = {
        "set-up": setup.name,
        **{f"set-up.{key}": value for key, value in setup.as_json().items()},
        "mlflow.experimentKind": "custom_model_development",  # not one of traces
    }
    insert(
        database,
        "experiment_tags",
        ("experiment_id", "key", "value"),
        ((0, key, _text(value)) for key, value in tags.items()),
    )


def _fill_runs(database: Any, runs: Sequence[_Run], milliseconds: int) -> None:
    insert(
        database,
        "runs",
        (
            "run_uuid",
            "name",
            "source_type",
            "user_id",
            "status",
            "start_time",
            "end_time",
            "lifecycle_stage",
            "artifact_uri",
            "experiment_id",
        ),
        (
            (
                run.id,
                run.name[:_MAX_NAME],
                "UNKNOWN",
                "",
                "FAILED" if run.has_failed else "FINISHED",
                milliseconds - round(run.seconds * 1000),
                milliseconds,
                "active",
                f"{_ARTIFACTS}/{run.id}/artifacts",
                0,
            )
            for run in runs
        ),
    )
    insert(
        database,
        "params",
        ("run_uuid", "key", "value"),
        (
            (run.id, name, table_text(value)[:_MAX_VALUE])
            for run in runs
            for name, value in run.params.items()
        ),
    )
    insert(
        database,
        "tags",
        ("run_uuid", "key", "value"),
        (
            (run.id, key, _text(value))
            for run in runs
            for key, value in {"mlflow.runName": run.name[:_MAX_NAME], **run.tags}.items()
        ),
    )


def _fill_metrics(database: Any, values: pd.DataFrame, milliseconds: int) -> None:
    """Write the values of metrics, and the last of each once more, as MLflow does."""
    columns = ("run_uuid", "key", "step", "value", "timestamp", "is_nan")
    latest = values.groupby(["run", "key"], sort=False).tail(1)
    for table, rows in (("metrics", values), ("latest_metrics", latest)):
        held = rows[["run", "key", "step", "value"]].itertuples(index=False, name=None)
        insert(database, table, columns, ((*row, milliseconds, False) for row in held))
