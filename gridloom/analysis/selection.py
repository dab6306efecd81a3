"""Which point a study chooses."""

from __future__ import annotations

from dataclasses import dataclass

import pandas as pd

from gridloom.errors import StudyError

#: How one of several points with the best mean is chosen, in words.
RULE = "fewest parameters, then first in the grid"


@dataclass(frozen=True)
class Choice:
    """The point that a study chooses, and what it rests on.

    Attributes
    ----------
    point
        Its path.
    metric
        The objective.
    mean, se
        Of the objective over the point's repetitions; `se` is NaN for one repetition.
    n, n_diverged, n_missing
        Repetitions that `mean` is taken over; trainings that diverged, or whose objective is not a
        number.
    epochs
        The median, over the trainings, of the epoch whose weights were kept: without early
        stopping, all epochs.
    tied
        How many points have the best mean, this one among them; chosen by `RULE` if there are
        several.
    """

    point: str
    metric: str
    mean: float
    se: float
    n: int
    n_diverged: int
    n_missing: int
    epochs: int
    tied: int


def best_point(summary: pd.DataFrame) -> pd.Series:
    """Return the row of rank 1; of several, the one that `RULE` says."""
    # A stable sort keeps the order of the grid.
    row: pd.Series = summary.sort_values(["rank", "parameters"], kind="stable").iloc[0]
    return row


def choose(runs: pd.DataFrame, summary: pd.DataFrame, metric: str) -> Choice:
    """Choose the point of rank 1.

    Parameters
    ----------
    runs, summary
        As `gridloom.analysis.table.gather` makes them.

    Raises
    ------
    StudyError
        If no training has a finite loss and objective.
    """
    first = best_point(summary)
    if first["n"] == 0:
        raise StudyError(
            f"no training of this study ended with a finite loss and a {metric}, so there is "
            "nothing to choose; try smaller learning rates"
        )
    kept = runs[(runs["point"] == first["point"]) & (runs["status"] == "ok")]
    return Choice(
        point=str(first["point"]),
        metric=metric,
        mean=float(first[f"{metric}_mean"]),
        se=float(first[f"{metric}_se"]),
        n=int(first["n"]),
        n_diverged=int(first["n_diverged"]),
        n_missing=int(first["n_missing"]),
        epochs=int(kept["restored_epoch"].median()),
        tied=int((summary["rank"] == first["rank"]).sum()),
    )
