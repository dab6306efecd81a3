"""Observations: one number for each point and repetition, from which points are compared."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import pandas as pd


@dataclass(frozen=True, eq=False)
class Observations:
    """The objective of each point in each repetition.

    In repetition r, all points have the same seeds and validation rows. So a column of `scores` is
    a block, and points are compared by their differences within it.

    Attributes
    ----------
    points
        One row a point, in the order of the grid: `point` (its path) and one column of texts for
        each axis. Its index is 0 to N - 1.
    axes
        Axis → its values as texts, in the order given.
    repetitions
        Their numbers, ascending, length r.
    scores
        float64, shape (N, r), oriented so that *more is better*: the objective, negated where
        less is better. NaN where a training diverged, has no number, or is not there.
    sign
        1 where more is better, else -1: `sign * scores` is the objective in its own unit.
    """

    points: pd.DataFrame
    axes: Mapping[str, Sequence[str]]
    repetitions: np.ndarray
    scores: np.ndarray
    sign: int

    @property
    def complete(self) -> np.ndarray:
        """Which points have a score in every repetition; bool, shape (N,)."""
        whole: np.ndarray = np.isfinite(self.scores).all(axis=1)
        return whole

    def objective(self, point: str) -> dict[int, float]:
        """Return repetition → the objective of a point, in its own unit; NaN as in `scores`."""
        (place,) = self.points.index[self.points["point"] == point]
        values = self.sign * self.scores[place]
        return dict(zip(self.repetitions.tolist(), values.tolist(), strict=True))


def observe(
    runs: pd.DataFrame, axes: Mapping[str, Sequence[str]], metric: str, mode: str
) -> Observations:
    """Take the observations from the table of trainings.

    An observation is the mean over the folds of one repetition: folds share most of the rows that
    they fit on and so are no independent repeats. If one of its folds diverged or has no number,
    the repetition has no observation: over fewer folds it would not compare with the others.

    Parameters
    ----------
    runs
        As `gridloom.analysis.table.gather` makes it, or as read from ``runs.csv``.
    axes
        Axis → its values as texts, as `gridloom.study.grid.Grid` gives them.
    metric, mode
        The objective; ``min`` or ``max``.
    """
    sign = -1 if mode == "min" else 1
    numbers = runs[metric].astype(float).where(runs["status"] == "ok").to_numpy()
    codes, paths = pd.factorize(runs["point"])
    blocks, repetitions = pd.factorize(runs["repetition"], sort=True)
    cell = codes * len(repetitions) + blocks
    count = np.bincount(cell, minlength=len(paths) * len(repetitions))
    # NaN in one fold makes the sum NaN.
    total = np.bincount(cell, numbers, minlength=len(count))
    mean = np.divide(total, count, out=np.full(len(count), np.nan), where=count > 0)
    first = runs.drop_duplicates("point").reset_index(drop=True)
    points = pd.DataFrame({"point": first["point"]})
    for name in axes:
        points[name] = first[name].fillna("").astype(str)
    return Observations(
        points=points,
        axes=axes,
        repetitions=np.asarray(repetitions),
        scores=sign * mean.reshape(len(paths), len(repetitions)),
        sign=sign,
    )
