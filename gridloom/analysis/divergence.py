"""Trainings that diverge: which finite ones count as diverged, and where in the grid they are."""

from __future__ import annotations

import itertools
import math
from collections.abc import Mapping, Sequence
from pathlib import Path

import numpy as np
import pandas as pd

# ASSUME: a loss a thousand times that of predicting a constant is an accident of the steps, not a
# result. An overconfident classifier costs tens of times as much, and is one.
FACTOR = 1000

_SHARES = (
    "axis",
    "value",
    "other_axis",
    "other_value",
    "trainings",
    "diverged",
    "missing",
    "share",
)

LOSSES = ("loss", "val_loss")


def default_bound(history: pd.DataFrame) -> float:
    """Return the loss above which a training counts as diverged, unless the study names one.

    In its first epoch a network predicts little better than a constant, and the mean loss of its
    training rows over that epoch holds the first batches too. So the reference is the lower
    quartile, over all trainings, of the first epoch's loss (of training or validation rows,
    whichever is larger): up to three quarters of the trainings may explode at once. `FACTOR` times
    that is rounded up to a power of ten, so that a point more or less does not move it.

    Parameters
    ----------
    history
        As `gridloom.analysis.table.Gathered` has it.

    Returns
    -------
    float
        Infinite if the reference is not above 0, as with a cosine similarity.
    """
    first = history[history["epoch"] == 1]
    reference = max(
        float(np.quantile(first[name].fillna(np.inf), 0.25, method="lower"))
        for name in LOSSES
        if name in first
    )
    if not 0 < reference < math.inf:
        return math.inf
    return float(10.0 ** math.ceil(math.log10(FACTOR * reference)))


def exploded(runs: pd.DataFrame, bound: float) -> pd.Series:
    """Return which trainings have the status ok, but end with a loss above a bound."""
    ending = runs[[name for name in LOSSES if name in runs]].max(axis=1)
    return (runs["status"] == "ok") & (ending > bound)


def read_bound(diverged_above: float | None, history: Path) -> float:
    """Return the loss above which a training counts as diverged, by the table of all epochs.

    Parameters
    ----------
    diverged_above
        The loss that the study names; None for `default_bound`.
    history
        ``history.parquet``.
    """
    return default_bound(pd.read_parquet(history)) if diverged_above is None else diverged_above


def divergence_shares(summary: pd.DataFrame, axes: Mapping[str, Sequence[str]]) -> pd.DataFrame:
    """Count the lost trainings of each axis value, and of each pair of values of two axes.

    Parameters
    ----------
    summary
        As `gridloom.analysis.table.summarize` makes it, with the axes as text.
    axes
        Axis → its values as texts.

    Returns
    -------
    DataFrame
        `axis`, `value`; `other_axis`, `other_value` (empty for the rows of one axis); `trainings`,
        `diverged` and `missing` (with status ok, whose objective is not a number), whole numbers;
        `share` (of the trainings that are either). Pairs that the grid does not have are left out.
    """
    counts = ["n_trainings", "n_diverged", "n_missing"]
    codes = {name: pd.Categorical(summary[name], categories=list(axes[name])) for name in axes}
    points = summary[counts].assign(**codes)
    rows = []
    for names in [*itertools.combinations(axes, 1), *itertools.combinations(axes, 2)]:
        sums = points.groupby(list(names), observed=True)[counts].sum()
        for values, trainings, diverged, missing in sums.itertuples(name=None):
            pair = values if len(names) == 2 else (values, "")
            axis, other = (*names, "")[:2]
            share = (diverged + missing) / trainings
            rows.append((axis, pair[0], other, pair[1], trainings, diverged, missing, share))
    return pd.DataFrame(rows, columns=_SHARES)
