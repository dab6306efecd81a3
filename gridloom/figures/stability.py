"""How stable trainings are by value of each axis: spread over repetitions, and share lost."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise

import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import FuncFormatter, MaxNLocator

from gridloom.figures.page import (
    LUCK,
    SMALL,
    TIED,
    Subject,
    amount,
    bare,
    faded,
    few_ticks,
    finish,
    number_rows,
    out_of_view,
    percent,
    sentence,
    shown,
    spread,
    view,
)
from gridloom.figures.style import PAGE, short_name

#: About as many values of all axes together are drawn, at most.
MAX_ROWS = 40

#: Characters of an axis with its value that are drawn.
_MAX_NAME = 36

_HEADING = "how stable trainings are"


@dataclass(frozen=True, eq=False)
class Value:
    """A value of an axis.

    Attributes
    ----------
    axis, value
        Its name, and the value as text.
    deviations
        Standard deviation of the objective over the repetitions of each of its N configurations
        that have two or more, float64, shape (N,).
    lost, trainings
        Number of its trainings that diverged or have no number, and of all.
    """

    axis: str
    value: str
    deviations: np.ndarray
    lost: int
    trainings: int

    @property
    def share(self) -> float:
        """Share of its trainings that are lost; 0 of none, as in a part of a study."""
        return self.lost / max(self.trainings, 1)


@dataclass(frozen=True)
class Stability:
    """The values of all axes that are drawn, and how many others there are."""

    values: Sequence[Value]
    not_drawn: int


def read_stability(summary: pd.DataFrame, subject: Subject) -> Stability:
    """Take deviations and lost trainings from ``summary.csv``."""
    each = max(MAX_ROWS // max(len(subject.axes), 1), 2)
    values = []
    for axis, known in subject.axes.items():
        for value in spread(known, each):
            rows = summary[summary[axis] == value]
            values.append(
                Value(
                    axis=axis,
                    value=value,
                    deviations=rows[f"{subject.metric}_sd"].dropna().to_numpy(float),
                    lost=int((rows["n_diverged"] + rows["n_missing"]).sum()),
                    trainings=int(rows["n_trainings"].sum()),
                )
            )
    return Stability(values, sum(map(len, subject.axes.values())) - len(values))


def draw_stability(stability: Stability, subject: Subject) -> Figure:
    """Draw a row for each value of each axis."""
    values = stability.values
    if not values:
        return sentence(subject, _HEADING, "The grid has no axis.")
    axes = [value.axis for value in values]
    # Half a row between axes.
    gaps = np.cumsum([0, *(before != axis for before, axis in pairwise(axes))])
    places = np.arange(len(values)) + 0.5 * gaps
    figure = Figure(figsize=(PAGE, 0.17 * (places[-1] + 1) + 0.6))
    left, right = figure.subplots(1, 2, sharey=True)
    pooled = np.concatenate([value.deviations for value in values])
    limits = (0.0, view(pooled, "min")[1])
    _draw_deviations(left, places, [value.deviations for value in values])
    shares = [value.share for value in values]
    right.barh(places, shares, height=0.7, color=LUCK)
    number_rows(right, places, [f"{value.lost:,} of {value.trainings:,}" for value in values])
    left.set_yticks(
        places,
        [
            short_name(f"{subject.name(value.axis)} {shown(value.value)}", _MAX_NAME)
            for value in values
        ],
    )
    left.set_ylim(places[-1] + 0.6, -0.6)
    for plot in (left, right):
        bare(plot)
        plot.tick_params(axis="y", length=0)
    left.set_xlim(limits)
    few_ticks(left, "x")
    left.set_xlabel(f"standard deviation of\n{subject.measure}")
    if not pooled.size:
        reason = "no configuration has\ntwo repetitions with a score"
        left.text(0.5, 0.5, reason, fontsize=SMALL, ha="center", transform=left.transAxes)
        left.set_xticks([])
    right.set_xlim(0, min(1.05 * max(shares), 1) or 1)
    right.xaxis.set_major_locator(MaxNLocator(4))
    right.xaxis.set_major_formatter(FuncFormatter(lambda share, place: percent(share)))
    right.set_xlabel("trainings that diverged\nor have no number")
    beyond = out_of_view(pooled, limits)
    return finish(
        figure,
        subject,
        _HEADING,
        "Dots: configurations, each over its repetitions. Black: their median and quartiles."
        if pooled.size
        else "",
        f"{amount(beyond, 'dot')} out of view." if beyond else "",
        f"{amount(stability.not_drawn, 'value')} between these not drawn."
        if stability.not_drawn
        else "",
    )


def _draw_deviations(plot: Axes, places: np.ndarray, deviations: Sequence[np.ndarray]) -> None:
    """Draw a dot for each configuration, and the quartiles of each row."""
    quartiles = np.full((len(places), 3), np.nan)
    for row, (place, own) in enumerate(zip(places, deviations, strict=True)):
        if not own.size:
            continue
        beside = np.linspace(-0.25, 0.25, len(own)) if len(own) > 1 else np.zeros(1)
        plot.scatter(
            own,
            place + beside,
            5,
            TIED,
            alpha=faded(len(own)),
            linewidths=0,
            rasterized=len(own) > 200,
        )
        quartiles[row] = np.quantile(own, [0.25, 0.5, 0.75])
    drawn = np.isfinite(quartiles[:, 1])
    first, median, third = quartiles[drawn].T
    plot.hlines(places[drawn], first, third, "black", linewidth=1.2)
    plot.vlines(median, places[drawn] - 0.38, places[drawn] + 0.38, "black", linewidth=1.5)
