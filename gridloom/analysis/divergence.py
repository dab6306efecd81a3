"""Which finite trainings count as diverged: those whose loss ends far above a constant's."""

from __future__ import annotations

import math

import numpy as np
import pandas as pd

# ASSUME: a loss a thousand times that of predicting a constant is an accident of the steps, not a
# result. An overconfident classifier costs tens of times as much, and is one.
FACTOR = 1000

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
    """Tell which trainings end, with status ok, with a loss above a bound."""
    ending = runs[[name for name in LOSSES if name in runs]].max(axis=1)
    return (runs["status"] == "ok") & (ending > bound)
