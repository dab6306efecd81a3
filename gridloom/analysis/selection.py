"""Which point a study chooses."""

from __future__ import annotations

from dataclasses import dataclass

import pandas as pd

from gridloom.errors import StudyError


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
        Of the objective over the point's trainings; `se` is NaN for one training.
    n, n_diverged
        Trainings that `mean` is taken over, and those that diverged.
    epochs
        The median, over the trainings, of the epoch whose weights were kept: without early
        stopping, all epochs.
    """

    point: str
    metric: str
    mean: float
    se: float
    n: int
    n_diverged: int
    epochs: int


def choose(runs: pd.DataFrame, summary: pd.DataFrame, metric: str) -> Choice:
    """Choose the point of rank 1.

    Parameters
    ----------
    runs, summary
        As `gridloom.analysis.table.gather` makes them.

    Raises
    ------
    StudyError
        If all trainings diverged.
    """
    first = summary.sort_values("rank").iloc[0]
    if first["n"] == 0:
        raise StudyError(
            "no training of this study ended with a finite loss, so there is nothing to choose; "
            "try smaller learning rates"
        )
    kept = runs[(runs["point"] == first["point"]) & (runs["status"] == "ok")]
    return Choice(
        point=str(first["point"]),
        metric=metric,
        mean=float(first[f"{metric}_mean"]),
        se=float(first[f"{metric}_se"]),
        n=int(first["n"]),
        n_diverged=int(first["n_diverged"]),
        epochs=int(kept["restored_epoch"].median()),
    )
