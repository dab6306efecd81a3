"""The curves of the page: of configurations, as many as fit, and of each value of an axis."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd

from gridloom.figures.curves import Curve, Histories, read_axis_curves, training_metric
from gridloom.figures.page import Subject
from gridloom.report.arrays import encode

#: Most epochs of a curve. Of longer trainings, fewer and fewer are kept towards the end.
MAX_EPOCHS = 100

#: Most and fewest numbers of all configurations' curves together.
MAX_NUMBERS, MIN_NUMBERS = 250_000, 50_000

#: Characters that a number takes in the page: 4 bytes in base64.
CHARACTERS = 16 / 3

#: What the page keeps of a configuration's curve.
SERIES = ("mean", "low", "high", "training")


@dataclass(frozen=True, eq=False)
class PointCurves:
    """Curves of some configurations over E epochs, averaged over folds and repetitions.

    Attributes
    ----------
    points
        Paths of the C configurations.
    epochs
        Numbers of the epochs, counted from 1, shape (E,).
    values
        The objective's mean, lowest and highest repetition, and the mean of the same metric on the
        training rows (NaN if it is not measured): float64, shape (C, 4, E).
    """

    points: pd.Index
    epochs: np.ndarray
    values: np.ndarray

    def as_json(self, place_of: pd.Index) -> dict[str, Any]:
        """Return them for the page.

        Parameters
        ----------
        place_of
            Paths of all points, in the order in which the page counts them.
        """
        return {
            "points": encode(place_of.get_indexer(self.points)),
            "epochs": self.epochs.tolist(),
            "values": encode(self.values),
        }


def point_curves(
    histories: Histories, metric: str, order: pd.Index, room: float = math.inf
) -> PointCurves:
    """Average the histories of each configuration, the first in `order` first.

    A training that stopped early keeps its last value until the last one of its configuration
    ends. As many configurations have a curve as fit.

    Parameters
    ----------
    order
        Paths of configurations.
    room
        Characters of the page that the curves may take; `MIN_NUMBERS` have room anyway.
    """
    longest = histories.values[metric].shape[1]
    if not longest:  # all diverged
        return PointCurves(order[:0], np.empty(0, int), np.empty((0, len(SERIES), 0)))
    kept = kept_epochs(longest)
    numbers = min(max(room / CHARACTERS, MIN_NUMBERS), MAX_NUMBERS)
    most = int(numbers) // (len(SERIES) * len(kept))
    known = order[order.isin(histories.points["point"])][:most]
    place = known.get_indexer(pd.Index(histories.points["point"]))
    rows = np.flatnonzero(place >= 0)
    place = place[rows]
    repetition = histories.points["repetition"].to_numpy()[rows]
    values = np.full((len(known), len(SERIES), len(kept)), np.nan)
    for name, series in ((metric, (0, 1, 2)), (training_metric(metric), (3,))):
        if name not in histories.values or (name == metric and series == (3,)):
            continue
        measured = histories.values[name][rows]
        ends = longest - np.isfinite(measured)[:, ::-1].argmax(axis=1)
        last = np.zeros(len(known), int)
        np.maximum.at(last, place, ends)
        carried = pd.DataFrame(measured).ffill(axis=1).to_numpy()[:, kept]
        carried[kept >= last[place, None]] = np.nan
        # Folds first: they are no independent repeats.
        of_repetition = pd.DataFrame(carried).groupby([place, repetition]).mean()
        of_point = of_repetition.groupby(level=0)
        for one, function in zip(series, ("mean", "min", "max"), strict=False):
            found = of_point.agg(function)
            values[found.index, one] = found.to_numpy()
    return PointCurves(known, kept + 1, values)


def kept_epochs(count: int) -> np.ndarray:
    """Return which of some epochs are kept, counted from 0: all, or ever fewer towards the end.

    Curves change most at their beginning, and shorter trainings keep most of theirs.
    """
    if count <= MAX_EPOCHS:
        return np.arange(count)
    return np.unique(np.geomspace(1, count, MAX_EPOCHS).round().astype(int)) - 1


def axis_curves(
    histories: Histories, runs: pd.DataFrame, axes: Sequence[str], subject: Subject
) -> dict[str, dict[str, Any]]:
    """Return for some axes the mean curve of each of their values that has one, for the page.

    Returns
    -------
    dict
        Axis → `curves`, and `not_drawn`: how many values between them are left out.
    """
    found: dict[str, dict[str, Any]] = {}
    for axis in axes:
        curves = read_axis_curves(histories, runs, axis, subject)
        own = [
            {"value": value, **_as_json(own, subject.metric)}
            for value, own in curves.values.items()
            if subject.metric in own
        ]
        found[axis] = {"curves": own, "not_drawn": curves.not_drawn}
    return found


def _as_json(own: Mapping[str, Curve], metric: str) -> dict[str, Any]:
    curve, training = own[metric], own.get(training_metric(metric))
    kept = kept_epochs(len(curve.mean))
    found: dict[str, Any] = {
        "epochs": (kept + 1).tolist(),
        "mean": encode(curve.mean[kept]),
        "low": encode(curve.low[kept]),
        "high": encode(curve.high[kept]),
        "configurations": curve.configurations,
    }
    if training is not None and training is not curve:
        found["training"] = encode(training.mean[kept])
    return found
