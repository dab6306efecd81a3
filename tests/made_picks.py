"""Picks, made up without a study."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

from gridloom.analysis.pick import Pick


def pick_of(point: str, epochs: int, **changes: Any) -> Pick:
    """Return a point picked by one training, of a study of this point alone."""
    pick = Pick(
        point=point,
        index=0,
        metric="val_loss",
        mode="min",
        by="study",
        rule="the best mean",
        mean=0.25,
        se=None,
        n=1,
        n_diverged=0,
        n_missing=0,
        expected=0.25,
        close_enough=None,
        regret_high=None,
        regret_high_new_rows=None,
        shown_close=False,
        tied=1,
        configurations=1,
        top_point=point,
        top_mean=0.25,
        epochs=epochs,
        parameters=10,
    )
    return replace(pick, **changes)


#: The pick of three configurations, by a metric of which more is better.
BEST = Pick(
    point="units=0", index=0, metric="val_score", mode="max",
    by="study", rule="", mean=1.0, se=None, n=2, n_diverged=0, n_missing=0, expected=1.0,
    close_enough=0.5, regret_high=None, regret_high_new_rows=None, shown_close=False, tied=None,
    configurations=3, top_point="units=0", top_mean=1.0, epochs=7, parameters=10,
)  # fmt: skip
