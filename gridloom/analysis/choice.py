"""The choice of the pick: the cheapest configuration that is shown to be close to the best."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import Literal

import numpy as np
import pandas as pd

from gridloom.analysis.pick import NothingToChooseError, Pick
from gridloom.naming.points import Point


def choose(
    summary: pd.DataFrame,
    runs: pd.DataFrame,
    points: Mapping[str, Point],
    metric: str,
    mode: Literal["min", "max"],
    cost: Sequence[str],
    close_enough: float | None,
) -> Pick:
    """Choose the cheapest point that is shown to be close to the best; if none is, the best one.

    Close is a point whose `regret_high` is at most `close_enough`, the best one has the best
    `expected`. A point with a training that diverged, or has no number, is chosen only if there is
    no other.

    Parameters
    ----------
    summary, runs
        As ``summary.csv`` and ``runs.csv`` hold them.
    points
        Path of each point → its hyperparameters, in the order of the grid.
    metric, mode
        The objective.
    cost
        What makes a point cheap, the most important first: ``parameters`` or hyperparameters whose
        values are numbers. Then steps × parameters count, then the order of the grid.
    close_enough
        How much worse than the best a choice may be; None if nothing can be compared.

    Raises
    ------
    NothingToChooseError
        If no training has a finite loss and objective.
    """
    sign = -1 if mode == "min" else 1
    table = summary.assign(_place=range(len(summary)), **_costs(runs, summary))
    for name in cost:
        if name != "parameters":
            # Taken from the points: if some points lack a hyperparameter, its column holds texts.
            table[name] = np.array([points[path][name] for path in table["point"]], float)
    cheapest = [*cost, "_steps", "_place"]
    scored = table[table["n"] > 0]
    if scored.empty:
        raise NothingToChooseError(
            f"no training of this study ended with a finite loss and a {metric}, so there is "
            "nothing to choose; try smaller learning rates"
        )
    whole = scored[scored["n_diverged"] + scored["n_missing"] == 0]
    close = whole[whole["regret_high"] <= (-1 if close_enough is None else close_enough)]
    if not close.empty:
        chosen = close.sort_values(cheapest).iloc[0]
        rule = (
            f"of {len(close):,} configurations that are at most {close_enough:.3g} worse than the "
            "best (over more seeds on these rows, 95 %), it is the one with the least "
            f"{', then '.join(cost)}"
        )
    elif len(whole) > 1:
        best = whole.assign(_shortfall=-sign * whole["expected"])
        chosen = best.sort_values(["_shortfall", *cheapest]).iloc[0]
        rule = (
            f"it has the best expected {metric}; no configuration is shown to be at most "
            f"{close_enough:.3g} worse than the best: `snakemake confirm` trains until one is"
        )
    elif len(whole) == 1:
        chosen = whole.iloc[0]
        rule = "it is the only configuration whose trainings all have a finite result"
    else:
        chosen = scored.sort_values(["rank", *cheapest]).iloc[0]
        rule = (
            f"it has the best mean {metric}; every configuration has a training that diverged or "
            "has no number, so that none can be compared with the best"
        )
    top = (whole if len(whole) else scored).sort_values(["rank", *cheapest]).iloc[0]
    return Pick(
        point=str(chosen["point"]),
        index=int(chosen["_place"]),
        metric=metric,
        mode=mode,
        by="study",
        rule=rule,
        mean=float(chosen[f"{metric}_mean"]),
        se=_known(chosen[f"{metric}_se"]),
        n=int(chosen["n"]),
        n_diverged=int(chosen["n_diverged"]),
        n_missing=int(chosen["n_missing"]),
        expected=float(chosen[f"{metric}_mean" if pd.isna(chosen["expected"]) else "expected"]),
        close_enough=close_enough,
        regret_high=_known(chosen["regret_high"]),
        regret_high_new_rows=_known(chosen["regret_high_new_rows"]),
        shown_close=not close.empty,
        tied=int(whole["tied_with_best"].sum()) if len(whole) > 1 else None,
        configurations=len(summary),
        top_point=str(top["point"]),
        top_mean=float(top[f"{metric}_mean"]),
        epochs=int(chosen["_epochs"]),
        parameters=int(chosen["parameters"]),
    )


def _costs(runs: pd.DataFrame, summary: pd.DataFrame) -> dict[str, np.ndarray]:
    """Return each point's median of the epoch whose weights were kept, and its steps × parameters.

    All points fit on equally many rows, so that steps are as epochs over batch size.
    """
    kept = runs[runs["status"] == "ok"].groupby("point")["restored_epoch"].median()
    run = runs.groupby("point")["epochs_run"].mean().loc[summary["point"]]
    return {
        "_epochs": kept.reindex(summary["point"]).to_numpy(),
        "_steps": run.to_numpy() / summary["batch_size"].astype(float) * summary["parameters"],
    }


def _known(value: float) -> float | None:
    """Return a number of a table, None for an empty cell."""
    return None if math.isnan(value) else float(value)
