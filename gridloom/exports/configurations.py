"""What is exported of each configuration."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd

from gridloom.analysis.observations import observe
from gridloom.analysis.pick import NothingToChooseError
from gridloom.figures.curves import curve_of, read_histories
from gridloom.naming.points import Point, read_path
from gridloom.results import Results

#: Columns of ``history.parquet`` that are no metrics.
_KEYS = ("point", "repetition", "fold", "epoch")


@dataclass(frozen=True, eq=False)
class Configuration:
    """A configuration and its results.

    Attributes
    ----------
    point, hyperparameters
        Its path, and what it stands for.
    summary
        Its row of ``summary.csv``, without empty cells.
    scores
        Repetition → the objective, mean over its folds; None if a training diverged or has no
        number.
    curves
        Metric → its mean in each epoch, from the first: over folds, then over repetitions, without
        trainings that diverged. A training that stopped early keeps its last value.
    is_picked
        Whether the study takes it.
    """

    point: str
    hyperparameters: Point
    summary: Mapping[str, Any]
    scores: Mapping[int, float | None]
    curves: Mapping[str, np.ndarray]
    is_picked: bool

    @property
    def is_lost(self) -> bool:
        """Whether a training diverged or has no number: it is not compared with the others."""
        return bool(self.summary["n_diverged"] + self.summary["n_missing"])

    @property
    def seconds(self) -> float:
        """Seconds of all of its trainings together."""
        return float(self.summary["seconds_mean"] * self.summary["n_trainings"])


def read_configurations(results: Results, metrics: Sequence[str]) -> list[Configuration]:
    """Return all configurations, in the order of the grid.

    Parameters
    ----------
    metrics
        Those whose curves are wanted.
    """
    runs = results.runs
    observed = observe(runs, {}, results.metric, results.mode)
    histories = read_histories(results.history, runs, metrics)
    rows_of = histories.points.groupby("point", sort=False).indices
    picked = _picked(results)
    configurations = []
    for place, row in enumerate(results.summary.to_dict("records")):
        point = row["point"]
        curves = {}
        if point in rows_of:  # else all of its trainings diverged
            chosen = np.zeros(len(histories.points), dtype=bool)
            chosen[rows_of[point]] = True
            curves = {metric: curve_of(histories, chosen, metric) for metric in metrics}
        scores = (observed.sign * observed.scores[place]).tolist()
        configurations.append(
            Configuration(
                point=point,
                hyperparameters=read_path(point),
                summary={str(name): value for name, value in row.items() if not pd.isna(value)},
                scores={
                    repetition: score if math.isfinite(score) else None
                    for repetition, score in zip(observed.repetitions.tolist(), scores, strict=True)
                },
                curves={name: curve.mean for name, curve in curves.items() if curve is not None},
                is_picked=point == picked,
            )
        )
    return configurations


def metrics_of(results: Results) -> Sequence[str]:
    """Return the metrics that the trainings measured."""
    return [name for name in results.history.columns if name not in _KEYS]


def _picked(results: Results) -> str | None:
    try:
        return results.best.point
    except NothingToChooseError:
        return None
