"""Studies for tests of figures: any scores, in the tables that a run makes."""

from __future__ import annotations

import itertools
from collections.abc import Callable, Mapping, Sequence

import numpy as np
import pandas as pd

from gridloom.analysis.certainty import certainty, with_certainty
from gridloom.analysis.table import summarize
from gridloom.figures.numbers import StudyNumbers

AXES = {"units": ["64", "1"], "dropout": ["0", "0.3"], "rate": ["1", "0.1", "0.01"]}


def study_of(
    score: Callable[..., float],
    axes: Mapping[str, Sequence[str]] = AXES,
    *,
    repetitions: int = 3,
    noise: float = 0.0,
    metric: str = "val_accuracy",
    mode: str = "max",
    pick: int | None = 0,
    labels: Mapping[str, str] | None = None,
) -> StudyNumbers:
    """Return a study whose trainings have given scores.

    Parameters
    ----------
    score
        Called with the texts of a point, and the repetition; NaN for a training that diverged,
        None for a point that the grid has not.
    noise
        Standard deviation of what is added to each score.
    pick
        Place of the pick among the points.
    """
    generator = np.random.default_rng(0)
    rows = []
    for place, values in enumerate(itertools.product(*axes.values())):
        for repetition in range(repetitions):
            value = score(*values, repetition)
            if value is None:
                continue
            value += noise * generator.standard_normal()
            rows.append(
                {
                    "point": "/".join(f"{a}={v}" for a, v in zip(axes, values, strict=True)),
                    **dict(zip(axes, values, strict=True)),
                    "repetition": repetition,
                    "fold": 0,
                    "epochs_run": 3,
                    "status": "diverged" if np.isnan(value) else "ok",
                    "val_loss": 2 - value,
                    metric: value,
                    "parameters": 10 + place,
                    "seconds": 0.5,
                }
            )
    runs = pd.DataFrame(rows)
    metrics = list(dict.fromkeys(["val_loss", metric]))
    summary = summarize(runs, list(axes), metrics, metric, mode)
    summary = with_certainty(summary, certainty(runs, metric, mode, None))
    chosen = None if pick is None else str(summary["point"].iloc[pick])
    return StudyNumbers(summary, runs, axes, metric, mode, chosen, labels or {})
