"""From records to tables: runs, history, summary."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from gridloom.analysis.cells import write_csv
from gridloom.analysis.divergence import LOSSES, default_bound, exploded
from gridloom.analysis.intervals import half_width
from gridloom.errors import RecordError, StudyError
from gridloom.files import atomic_path
from gridloom.naming.blocks import point_of
from gridloom.naming.columns import TABLE_COLUMNS
from gridloom.naming.values import table_value
from gridloom.records import Record, TrainingResult, read_record
from gridloom.training.objective import check_objective

#: Means that differ by less, relatively, share a rank: metrics are numbers of 32 bits.
RESOLUTION = 4 * float(np.finfo(np.float32).eps)

#: Columns that no metric may overwrite.
_TAKEN = TABLE_COLUMNS - {"loss", "val_loss"}


@dataclass(frozen=True)
class Gathered:
    """The three tables of a study, and what its records were made with.

    Attributes
    ----------
    runs
        One row a training: the point, its hyperparameters, repetition, fold, seed, status (ok, or
        diverged: a loss that is not finite, or ends above `bound`), every metric with the weights
        that the training ends with, those of `restored_epoch`; best_epoch, restored_epoch (both
        from 1, where the records count from 0), epochs_run, parameters, seconds, host, engine,
        why_not_lockstep. What a training logged by the name of another column is ``logged_`` that
        name.
    history
        One row a training and epoch: point, repetition, fold, epoch (from 1), every metric.
    summary
        One row a point; see `summarize`.
    versions
        How many records were made with which versions of the packages, from which rows and on
        which kind of device, the most common first.
    bound, exploded
        The loss above which a finite training counts as diverged, and how many do for that.
    """

    runs: pd.DataFrame
    history: pd.DataFrame
    summary: pd.DataFrame
    versions: list[tuple[dict[str, str], int]]
    bound: float
    exploded: int


def gather(
    records: Sequence[Path],
    hyperparameters: Sequence[str],
    repetitions: int,
    objective: str,
    mode: str,
    wanted: int | None = None,
    diverged_above: float | None = None,
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
    diverged_above
        The loss above which a finite training counts as diverged; None for `default_bound`.

    Raises
    ------
    RecordError
        Naming all records that are damaged.
    StudyError
        If there is no record.
    ObjectiveError
        If a training did not measure the objective.
    """
    if not records:
        raise StudyError("no training of this study is finished yet; run `snakemake` first")
    collected = _Collected(hyperparameters, repetitions, objective, mode)
    damaged: list[str] = []
    for path in records:
        try:
            collected.add(point_of(path), read_record(path))
        except RecordError as error:
            damaged += error.problems
    if damaged:
        raise RecordError(*damaged)
    runs, history = collected.runs(), collected.history()
    bound = default_bound(history) if diverged_above is None else diverged_above
    too_large = exploded(runs, bound)
    runs["status"] = runs["status"].mask(too_large, "diverged")
    metrics = collected.metrics
    fractions = _fractions(history, metrics)
    summary = summarize(runs, hyperparameters, metrics, objective, mode, fractions)
    if wanted is not None:
        runs["partial"] = summary["partial"] = f"{len(runs):,} of {wanted:,} trainings"
    return Gathered(
        runs=runs,
        history=history,
        summary=summary,
        versions=collected.versions(),
        bound=bound,
        exploded=int(too_large.sum()),
    )


class _Collected:
    """Rows of the tables, collected record by record.

    Parameters
    ----------
    hyperparameters, repetitions, objective, mode
        See `gather`.
    """

    def __init__(
        self, hyperparameters: Sequence[str], repetitions: int, objective: str, mode: str
    ) -> None:
        self.hyperparameters = hyperparameters
        self.repetitions = repetitions
        self.objective = objective
        self.mode = mode
        self._rows: list[dict[str, Any]] = []
        self._epochs: dict[str, list[Any]] = {
            name: [] for name in ("point", "repetition", "fold", "epoch")
        }
        self._versions: Counter[str] = Counter()

    def add(self, path: str, record: Record) -> None:
        """Add the trainings of a record of the point with this path."""
        made_with = {**record.machine.packages, **record.inputs, "device": record.machine.device}
        self._versions[json.dumps(made_with, sort_keys=True)] += 1
        point = {
            "point": path,
            **{name: table_value(record.hyperparameters, name) for name in self.hyperparameters},
        }
        for training in record.trainings:
            if training.repetition < self.repetitions:
                history = {
                    _column(name, self.hyperparameters): values
                    for name, values in training.history.items()
                }
                check_objective(self.objective, history)
                self._rows.append({**point, **self._row(record, training, history)})
                self._add_epochs(path, training, history)

    def _row(
        self, record: Record, training: TrainingResult, history: Mapping[str, Any]
    ) -> dict[str, Any]:
        final = training.restored_epoch
        return {
            "repetition": training.repetition,
            "fold": training.fold,
            "seed": training.seeds.base,
            "status": training.status,
            **{name: _number(values[final]) for name, values in history.items()},
            "best_epoch": best_epoch(history[self.objective], self.mode),
            "restored_epoch": final + 1,
            "epochs_run": len(history["loss"]),
            "parameters": record.parameters,
            "seconds": training.seconds,
            "host": record.machine.host,
            "engine": record.engine or "",
            "why_not_lockstep": record.why_not_lockstep or "",
        }

    def _add_epochs(self, point: str, training: TrainingResult, history: Mapping[str, Any]) -> None:
        epochs, count = self._epochs, len(history["loss"])
        epochs["point"].extend([point] * count)
        epochs["repetition"].extend([training.repetition] * count)
        epochs["fold"].extend([training.fold] * count)
        epochs["epoch"].extend(range(1, count + 1))
        total = len(epochs["epoch"])
        for name, values in history.items():
            if name not in epochs:
                # Trainings may log different names: callbacks may depend on hyperparameters.
                epochs[name] = [float("nan")] * (total - count)
            epochs[name].extend(map(_number, values))
        for values in epochs.values():
            values.extend([float("nan")] * (total - len(values)))

    @property
    def metrics(self) -> list[str]:
        """Metrics in the order in which trainings logged them."""
        return list(self._epochs)[4:]

    def runs(self) -> pd.DataFrame:
        """Return the table of trainings."""
        runs = pd.DataFrame(self._rows)
        # Objects, not one number type a column: 0 beside 0.3 stays 0.
        for name in self.hyperparameters:
            runs[name] = pd.Series([row[name] for row in self._rows], dtype=object)
        return runs

    def history(self) -> pd.DataFrame:
        """Return the table of epochs."""
        return pd.DataFrame(self._epochs).astype({"point": "category"})

    def versions(self) -> list[tuple[dict[str, str], int]]:
        """Return what records were made with, and how many, the most common first."""
        return [(json.loads(text), count) for text, count in self._versions.most_common()]


def _fractions(history: pd.DataFrame, metrics: Sequence[str]) -> set[str]:
    """Name the metrics that are between 0 and 1 in every epoch of every training.

    Among them are accuracies, AUC and precision under any name. Losses are left out, because a
    further training may have a larger one.
    """
    return {
        name
        for name in metrics
        if name not in LOSSES and history[name].dropna().between(0, 1).all()
    }


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
    fractions: Collection[str] = (),
) -> pd.DataFrame:
    """Summarize each point over its repetitions.

    An observation is one repetition: the mean over its folds, as folds share most of the rows that
    they fit on and so are no independent repeats. Diverged trainings, and values that are missing,
    are left out and counted.

    Parameters
    ----------
    fractions
        Metrics that lie between 0 and 1: their intervals are cut there.

    Returns
    -------
    DataFrame
        `point`, the hyperparameters, `n` (observations of the objective), `n_trainings` (all),
        `n_diverged`, `n_missing` (trainings with status ok whose objective is not a number); for
        each metric ``_n`` (its observations), ``_mean``, ``_sd`` (``ddof=1``), ``_se`` (sd / √n),
        ``_ci_low`` and ``_ci_high`` (95 %, Student's t with n - 1 degrees of freedom),
        ``_median``, ``_min``, ``_max``; `seconds_mean` (of a training), `parameters`; `rank` by
        the objective's mean, 1 for the best, points with a training diverged or missing behind all
        others; equal means share a rank.
    """
    order = runs["point"].drop_duplicates()
    ok = runs[runs["status"] == "ok"]
    observations = ok.groupby(["point", "repetition"], sort=False)[list(metrics)].mean()
    grouped = observations.groupby(level="point", sort=False)
    n = grouped.count().reindex(order, fill_value=0)
    trainings = runs["point"].value_counts().reindex(order)
    diverged = trainings - ok["point"].value_counts().reindex(order, fill_value=0)
    without = ok.loc[ok[objective].isna(), "point"]
    missing = without.value_counts().reindex(order, fill_value=0)
    first = runs.drop_duplicates("point").set_index("point").loc[order]
    mean, sd = grouped.mean().reindex(order), grouped.std(ddof=1).reindex(order)
    se = sd / np.sqrt(n.clip(lower=1))
    half = half_width(se, n)
    low, high = mean - half, mean + half
    for metric in fractions:
        low[metric], high[metric] = low[metric].clip(lower=0), high[metric].clip(upper=1)
    parts = {
        "n": n,
        "mean": mean,
        "sd": sd,
        "se": se,
        "ci_low": low,
        "ci_high": high,
        "median": grouped.median().reindex(order),
        "min": grouped.min().reindex(order),
        "max": grouped.max().reindex(order),
    }
    columns: dict[str, Any] = {"point": order.to_numpy()}
    columns |= {name: first[name].to_numpy() for name in hyperparameters}
    columns |= {
        "n": n[objective].to_numpy(),
        "n_trainings": trainings.to_numpy(),
        "n_diverged": diverged.to_numpy(),
        "n_missing": missing.to_numpy(),
    }
    for metric in metrics:
        columns |= {f"{metric}_{name}": part[metric].to_numpy() for name, part in parts.items()}
    seconds = runs.groupby("point", sort=False)["seconds"].mean().reindex(order)
    columns |= {"seconds_mean": seconds.to_numpy(), "parameters": first["parameters"].to_numpy()}
    score = mean[objective].to_numpy() * (1 if mode == "min" else -1)
    columns["rank"] = ranks(score, (diverged + missing).gt(0).to_numpy())
    return pd.DataFrame(columns)


def ranks(score: np.ndarray, behind: np.ndarray) -> np.ndarray:
    """Rank scores from the lowest, 1 to n; equal ones share the first of their ranks.

    Parameters
    ----------
    score
        float64, shape (points,); NaN is last.
    behind
        Which points come behind all others, bool, shape (points,).
    """
    order = np.lexsort((score, behind))
    sorted_scores, sorted_behind = score[order], behind[order]
    same = np.isclose(
        sorted_scores[1:], sorted_scores[:-1], rtol=RESOLUTION, atol=0, equal_nan=True
    ) & (sorted_behind[1:] == sorted_behind[:-1])
    places = np.arange(1, len(score) + 1)
    places[1:][same] = 0
    ranked = np.empty(len(score), dtype=np.int64)
    ranked[order] = np.maximum.accumulate(places)
    return ranked


def describe_exploded(gathered: Gathered) -> str | None:
    """Say which finite trainings count as diverged; None if none does."""
    if not gathered.exploded:
        return None
    return (
        f"{gathered.exploded:,} trainings end with a finite loss above {gathered.bound:,.6g}, far "
        "above what predicting a constant costs: they count as diverged. "
        "`objective.diverged_above` sets another bound."
    )


def describe_versions(versions: Sequence[tuple[dict[str, str], int]]) -> str | None:
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
        write_csv(table, path)
    with atomic_path(history) as beside:
        gathered.history.to_parquet(beside, index=False)
