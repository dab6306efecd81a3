"""What a better score costs: in parameters of the network, and in seconds of a training."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.lines import Line2D
from matplotlib.ticker import FuncFormatter, LogLocator, NullFormatter

from gridloom.analysis.pick import Pick
from gridloom.figures.page import (
    OTHERS,
    PICK_MARK,
    TIED,
    Baseline,
    Subject,
    amount,
    bare,
    baseline_lines,
    faded,
    few_ticks,
    finish,
    out_of_view,
    sentence,
    view,
)
from gridloom.figures.style import PAGE, SERIES, readable

#: Costs whose largest is more than so many times the smallest are drawn on a logarithmic scale.
_WIDE = 20

#: Column of ``summary.csv`` → what it is called in `readable`.
COSTS = {"parameters": "parameters", "seconds_mean": "seconds"}

_FRONT = SERIES[2]

_HEADING = "what a better score costs"


@dataclass(frozen=True)
class Cost:
    """Score and costs of N configurations that have a score.

    Attributes
    ----------
    scores
        Mean of the objective, float64, shape (N,).
    costs
        Column → cost of each, shape (N,).
    tied
        Which ones may be the best, bool, shape (N,).
    whole
        Which ones lost no training, bool, shape (N,).
    pick
        Place of the pick; None if there is none.
    mode
        ``max`` if more of the objective is better, else ``min``.
    baselines
        Simple models.
    """

    scores: np.ndarray
    costs: dict[str, np.ndarray]
    tied: np.ndarray
    whole: np.ndarray
    pick: int | None
    mode: str
    baselines: Sequence[Baseline]

    def front(self, column: str) -> np.ndarray:
        """Return the places on the Pareto front, the cheapest first.

        A configuration is on it if none that is as cheap is as good. Those that lost a training
        are not compared.
        """
        sign = 1 if self.mode == "max" else -1
        merit = np.where(self.whole, sign * self.scores, -np.inf)
        order = np.lexsort((-merit, self.costs[column]))
        best_before = np.maximum.accumulate(np.concatenate([[-np.inf], merit[order]]))[:-1]
        places: np.ndarray = order[merit[order] > best_before]
        return places


def read_cost(
    summary: pd.DataFrame, pick: Pick | None, baselines: Sequence[Baseline], subject: Subject
) -> Cost:
    """Take scores and costs from ``summary.csv``."""
    rows = summary[summary["n"] > 0]
    picked = np.flatnonzero(rows["point"] == (pick.point if pick else None))
    return Cost(
        scores=rows[f"{subject.metric}_mean"].to_numpy(float),
        costs={column: rows[column].to_numpy(float) for column in COSTS},
        tied=rows["tied_with_best"].to_numpy(bool),
        whole=(rows["n_diverged"] + rows["n_missing"]).to_numpy() == 0,
        pick=int(picked[0]) if len(picked) else None,
        mode=subject.mode,
        baselines=baselines,
    )


def draw_cost(cost: Cost, subject: Subject) -> Figure:
    """Draw the score of each configuration over each of its costs, with the Pareto front."""
    if not len(cost.scores):
        return sentence(subject, _HEADING, "No training has a score: all diverged.")
    figure = Figure(figsize=(PAGE, 2.8))
    plots = figure.subplots(1, len(COSTS), sharey=True)
    limits = view(cost.scores, cost.mode, [baseline.score for baseline in cost.baselines])
    kinds = {
        "may be the best (tied)": (cost.whole & cost.tied, TIED, "o"),
        "is worse, or was not compared": (cost.whole & ~cost.tied, OTHERS, "o"),
        "lost trainings: mean of the others": (~cost.whole, "#666666", "x"),
    }
    for plot, (column, name) in zip(plots, COSTS.items(), strict=True):
        costs = cost.costs[column]
        for mask, colour, marker in kinds.values():
            size, width = (12, 0) if marker == "o" else (10, 0.7)
            plot.scatter(
                costs[mask],
                cost.scores[mask],
                size,
                colour,
                marker=marker,
                linewidths=width,
                alpha=faded(len(costs)),
                rasterized=len(costs) > 1000,
            )
        front = cost.front(column)
        if len(front):
            # The dearest one is no better than the last one of the front.
            across = [*costs[front], costs.max()]
            up = [*cost.scores[front], cost.scores[front[-1]]]
            plot.step(across, up, where="post", color=_FRONT, linewidth=1.2)
            plot.plot(costs[front], cost.scores[front], "o", color=_FRONT, markersize=4)
        if cost.pick is not None:
            plot.plot(costs[cost.pick], cost.scores[cost.pick], **PICK_MARK)
        lines = baseline_lines(plot, cost.baselines, limits)
        bare(plot)
        _scale(plot, costs)
        plot.set_xlabel(readable(name, subject.labels))
    plots[0].set_ylim(limits)
    few_ticks(plots[0], "y")
    plots[0].set_ylabel(subject.measured)
    marks = [
        Line2D([], [], color=colour, marker=marker, markersize=4, linestyle="none", label=label)
        for label, (mask, colour, marker) in kinds.items()
        if mask.any()
    ]
    if cost.whole.any():
        marks.append(Line2D([], [], color=_FRONT, label="Pareto front"))
    if cost.pick is not None:
        marks.append(Line2D([], [], **PICK_MARK))
    beyond = out_of_view(cost.scores, limits)
    return finish(
        figure,
        subject,
        _HEADING,
        f"Dots: means of {amount(len(cost.scores), 'configuration')}.",
        "Pareto front: no configuration is as cheap and as good; luck decides among close means."
        if cost.whole.any()
        else "",
        f"{amount(beyond, 'configuration')} out of view." if beyond else "",
        marks=[*marks, *lines],
    )


def _steps(costs: np.ndarray) -> tuple[float, ...]:
    """Return which multiples of the powers of ten have a number: fewer on a longer scale."""
    return (1, 2, 5) if costs.max() < 200 * costs.min() else (1,)


def _scale(plot: Axes, costs: np.ndarray) -> None:
    """Draw widely different costs on a logarithmic scale; numbers are written in full."""
    if 0 < costs.min() * _WIDE < costs.max():
        plot.set_xscale("log")
        plot.xaxis.set_major_locator(LogLocator(subs=_steps(costs), numticks=9))
        plot.xaxis.set_major_formatter(FuncFormatter(lambda value, place: f"{value:,g}"))
        plot.xaxis.set_minor_formatter(NullFormatter())
    else:
        few_ticks(plot, "x")
