"""From records to tables: runs, history, summary."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Collection, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from scipy.special import stdtrit

from gridloom.errors import RecordError, StudyError, nearest
from gridloom.files import atomic_path
from gridloom.grid import table_value
from gridloom.study import TABLE_COLUMNS
from gridloom.training.record import read_record

CONFIDENCE = 0.95

#: Columns that no metric may overwrite.
_TAKEN = TABLE_COLUMNS - {"loss", "val_loss"}


@dataclass(frozen=True)
class Gathered:
    """The three tables of a study, and what its records were made with.

    Attributes
    ----------
    runs
        One row a training: the point, its hyperparameters, repetition, fold, seed, status, every
        metric at the end of the training (with the weights of `restored_epoch`), best_epoch,
        restored_epoch, epochs_run, parameters, seconds, host. What a training logged by the name
        of another column is ``logged_`` that name.
    history
        One row a training and epoch: point, repetition, fold, epoch (from 1), every metric.
    summary
        One row a point; see `summarize`.
    versions
        How many records were made with which versions of the packages, from which rows and on
        which kind of device, the most common first.
    """

    runs: pd.DataFrame
    history: pd.DataFrame
    summary: pd.DataFrame
    versions: list[tuple[dict[str, str], int]]


def gather(
    records: Sequence[Path],
    hyperparameters: Sequence[str],
    repetitions: int,
    objective: str,
    mode: str,
    wanted: int | None = None,
) -> Gathered:
    """Read records into tables.

    Parameters
    ----------
    records
        Files in the order of the points, a point's blocks together.
    hyperparameters
        Names in the order of the columns.
    repetitions
        Trainings of higher repetitions, which a record may hold, are left out.
    objective, mode
        The metric that ranks points and finds the best epoch; ``min`` or ``max``.
    wanted
        Trainings of the whole study, for tables of a part of it: `runs` and `summary` then have a
        last column `partial`, such as ``412 of 1,080 trainings``.

    Raises
    ------
    RecordError
        Naming all records that are damaged.
    StudyError
        If there is no record, or no training measured the objective.
    """
    if not records:
        raise StudyError("no training of this study is finished yet; run `snakemake` first")
    rows: list[dict[str, Any]] = []
    epochs: dict[str, list[Any]] = {}
    versions: Counter[str] = Counter()
    damaged: list[str] = []
    for path in records:
        try:
            record = read_record(path)
        except RecordError as error:
            damaged += error.problems
            continue
        environment = record["environment"]
        device = "GPU" if environment.get("gpus") else "CPU"
        made_with = {**environment["packages"], **environment["inputs"], "device": device}
        versions[json.dumps(made_with, sort_keys=True)] += 1
        knobs = {name: table_value(record["hyperparameters"], name) for name in hyperparameters}
        for training in record["trainings"]:
            if training["repetition"] >= repetitions:
                continue
            history = {
                _column(name, hyperparameters): values
                for name, values in training["history"].items()
            }
            if objective not in history:
                known = nearest(objective, history) or f"; there are {', '.join(history)}"
                raise StudyError(f"objective.metric: there is no {objective!r}{known}")
            identity = {
                "repetition": training["repetition"],
                "fold": training["fold"],
            }
            final = training["restored_epoch"]
            rows.append(
                {
                    "point": record["point"],
                    **knobs,
                    **identity,
                    "seed": training["seeds"]["base"],
                    "status": training["status"],
                    **{name: _number(values[final]) for name, values in history.items()},
                    "best_epoch": best_epoch(history[objective], mode),
                    "restored_epoch": final + 1,
                    "epochs_run": len(history["loss"]),
                    "parameters": record["parameters"],
                    "seconds": training["seconds"],
                    "host": environment["host"],
                }
            )
            count = len(history["loss"])
            for name, value in (("point", record["point"]), *identity.items()):
                epochs.setdefault(name, []).extend([value] * count)
            epochs.setdefault("epoch", []).extend(range(1, count + 1))
            for name, values in history.items():
                if name not in epochs:
                    # Trainings may log different names: callbacks may depend on hyperparameters.
                    epochs[name] = [float("nan")] * (len(epochs["epoch"]) - count)
                epochs[name].extend(map(_number, values))
            for values in epochs.values():
                values.extend([float("nan")] * (len(epochs["epoch"]) - len(values)))
    if damaged:
        raise RecordError(*damaged)
    # Objects, not one number type a column: 0 beside 0.3 stays 0.
    knobs_table = pd.DataFrame(
        {name: pd.Series([row[name] for row in rows], dtype=object) for name in hyperparameters}
    )
    runs = pd.DataFrame(rows)
    runs[list(hyperparameters)] = knobs_table
    history_table = pd.DataFrame(epochs).astype({"point": "category"})
    metrics = [name for name in epochs if name not in ("point", "repetition", "fold", "epoch")]
    summary = summarize(runs, hyperparameters, metrics, objective, mode)
    if wanted is not None:
        runs["partial"] = summary["partial"] = f"{len(runs):,} of {wanted:,} trainings"
    return Gathered(
        runs=runs,
        history=history_table,
        summary=summary,
        versions=[(json.loads(text), count) for text, count in versions.most_common()],
    )


def _column(name: str, hyperparameters: Collection[str]) -> str:
    """Return a metric's column: callbacks may log, say, a learning_rate, which is an axis too."""
    return f"logged_{name}" if name in hyperparameters or name in _TAKEN else name


def _number(value: float | None) -> float:
    return float("nan") if value is None else value


def best_epoch(values: Sequence[float | None], mode: str) -> int:
    """Return the first epoch, counted from 1, with the best value; 0 if none is finite."""
    finite = [(value, place) for place, value in enumerate(values, 1) if value is not None]
    if not finite:
        return 0
    best = (min if mode == "min" else max)(value for value, _ in finite)
    return next(place for value, place in finite if value == best)


def summarize(
    runs: pd.DataFrame,
    hyperparameters: Sequence[str],
    metrics: Sequence[str],
    objective: str,
    mode: str,
) -> pd.DataFrame:
    """Summarize each point over its trainings (repetitions, and folds where there are any).

    Returns
    -------
    DataFrame
        `point`, the hyperparameters, `n` (trainings with status ok, over which all else is
        taken), `n_diverged`; for each metric ``_mean``, ``_sd`` (``ddof=1``), ``_se``
        (sd / √n), ``_ci_low`` and ``_ci_high`` (95 %, Student's t with n - 1 degrees of freedom),
        ``_median``, ``_min``, ``_max``; `seconds_mean`, `parameters`; `rank` by the objective's
        mean, 1 for the best, points with a diverged training behind all others.
    """
    ok = runs[runs["status"] == "ok"]
    order = runs["point"].drop_duplicates()
    grouped = ok.groupby("point", sort=False)[list(metrics)]
    n = grouped.size().reindex(order, fill_value=0)
    diverged = runs["point"].value_counts().reindex(order) - n
    first = runs.drop_duplicates("point").set_index("point").loc[order]
    mean, sd = grouped.mean().reindex(order), grouped.std(ddof=1).reindex(order)
    se = sd.div(np.sqrt(n.clip(lower=1)), axis=0)
    # Student's t is not defined for one training: no interval then.
    t = pd.Series(stdtrit(np.maximum(n - 1, 1), (1 + CONFIDENCE) / 2), index=order).where(n > 1)
    half = se.mul(t, axis=0)
    median, low, high = (
        getattr(grouped, name)().reindex(order) for name in ("median", "min", "max")
    )
    columns: dict[str, Any] = {"point": order.to_numpy()}
    columns |= {name: first[name].to_numpy() for name in hyperparameters}
    columns |= {"n": n.to_numpy(), "n_diverged": diverged.to_numpy()}
    for metric in metrics:
        parts = {
            "mean": mean[metric],
            "sd": sd[metric],
            "se": se[metric],
            "ci_low": mean[metric] - half[metric],
            "ci_high": mean[metric] + half[metric],
            "median": median[metric],
            "min": low[metric],
            "max": high[metric],
        }
        columns |= {f"{metric}_{name}": values.to_numpy() for name, values in parts.items()}
    seconds = runs.groupby("point", sort=False)["seconds"].mean().reindex(order)
    columns |= {"seconds_mean": seconds.to_numpy(), "parameters": first["parameters"].to_numpy()}
    score = mean[objective] if mode == "min" else -mean[objective]
    ranking = pd.DataFrame({"diverged": diverged.gt(0).to_numpy(), "score": score.to_numpy()})
    places = ranking.sort_values(["diverged", "score"], kind="stable", na_position="last").index
    rank = np.empty(len(order), dtype=np.int64)
    rank[places] = np.arange(1, len(order) + 1)
    columns["rank"] = rank
    return pd.DataFrame(columns)


def tell_versions(versions: Sequence[tuple[dict[str, str], int]]) -> str | None:
    """Say which records were made with which versions; None if all agree."""
    if len(versions) < 2:
        return None
    names = sorted({name for packages, _ in versions for name in packages})
    differing = [name for name in names if len({p.get(name) for p, _ in versions}) > 1]
    lines = [
        f"  {count} records with "
        + ", ".join(f"{name} {packages.get(name, 'none')}" for name in differing)
        for packages, count in versions
    ]
    return "\n".join(
        [
            "The records were made with different versions:",
            *lines,
            "Delete those you do not trust; they will be trained anew.",
        ]
    )


def write_tables(gathered: Gathered, runs: Path, history: Path, summary: Path) -> None:
    """Write the three tables."""
    for table, path in ((gathered.runs, runs), (gathered.summary, summary)):
        with atomic_path(path) as beside:
            table.to_csv(beside, index=False)
    with atomic_path(history) as beside:
        gathered.history.to_parquet(beside, index=False)
