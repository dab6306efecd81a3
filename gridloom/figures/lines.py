"""The objective along the only axis of a study."""

from __future__ import annotations

import textwrap
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import MaxNLocator

from gridloom.analysis.observations import observe
from gridloom.figures.cells import LOST
from gridloom.figures.style import COLUMN, PAGE, readable, readable_axis, short_names

#: Colours of the means and of the repetitions; they differ for colour-blind readers, too.
_LINE, _DOTS = "#0072b2", "#e69f00"

#: Most values of an axis in a figure as wide as a column of a page.
_MAX_IN_COLUMN = 12


@dataclass(frozen=True)
class Line:
    """The numbers of the figure; V values of the axis, r repetitions.

    Attributes
    ----------
    axis, values
        Name of the axis, and its values as text, in the order in which they are drawn.
    means, lows, highs
        Mean of the objective over repetitions and its 95 % interval, each of shape (V,); NaN where
        there is none.
    repetitions
        The objective of each repetition, the mean over its folds, shape (V, r); NaN where it has
        none.
    lost, trainings
        Number of trainings without a score, because they diverged or measured no objective, and
        number of all trainings; int64, shape (V,).
    """

    axis: str
    values: Sequence[str]
    means: np.ndarray
    lows: np.ndarray
    highs: np.ndarray
    repetitions: np.ndarray
    lost: np.ndarray
    trainings: np.ndarray


def read_line(
    summary: pd.DataFrame,
    runs: pd.DataFrame,
    axis: str,
    values: Sequence[str],
    metric: str,
    mode: str,
) -> Line:
    """Take the numbers of the figure from the tables.

    Parameters
    ----------
    summary, runs
        ``summary.csv`` and ``runs.csv`` with the axis as text.
    values
        Values of the axis, as the tables spell them.
    metric, mode
        The objective; ``min`` or ``max``.
    """
    order = list(values)
    points = summary.set_index(axis).reindex(order)
    means, lows, highs = (
        points[f"{metric}_{part}"].to_numpy(float) for part in ("mean", "ci_low", "ci_high")
    )
    counts = points[["n_diverged", "n_missing", "n_trainings"]].fillna(0).astype(int)
    seen = observe(runs, {axis: values}, metric, mode)
    scores = pd.DataFrame(seen.sign * seen.scores, index=seen.points[axis])
    return Line(
        axis=axis,
        values=values,
        means=means,
        lows=lows,
        highs=highs,
        repetitions=scores.reindex(order).to_numpy(),
        lost=(counts["n_diverged"] + counts["n_missing"]).to_numpy(),
        trainings=counts["n_trainings"].to_numpy(),
    )


def draw_line(
    line: Line, *, title: str, metric: str, mode: str, labels: Mapping[str, str]
) -> Figure:
    """Draw the means with their intervals over the dots of the repetitions.

    A line joins the means if all values of the axis are numbers.

    Parameters
    ----------
    title
        Title of the study.
    metric, mode
        The objective; ``max`` if more is better, else ``min``.
    labels
        The study's own names of metrics and hyperparameters.
    """
    count = len(line.values)
    values = short_names([text or "—" for text in line.values])
    width = COLUMN if count <= _MAX_IN_COLUMN else PAGE
    figure = Figure(figsize=(width, 2.8), layout="constrained")
    plot = figure.add_subplot()
    places = np.arange(count)
    repetitions = line.repetitions.shape[1]
    beside = np.linspace(-0.12, 0.12, repetitions) if repetitions > 1 else np.zeros(1)
    plot.plot(places[:, None] + beside, line.repetitions, ".", color=_DOTS, markersize=5, zorder=1)
    plot.errorbar(
        places,
        line.means,
        yerr=[line.means - line.lows, line.highs - line.means],
        fmt="o-" if all(map(is_number, line.values)) else "o",
        color=_LINE,
        markersize=5,
        capsize=4,
        zorder=2,
    )
    _write_lost(plot, line)
    turned = sum(map(len, values)) * 0.08 > width - 0.7
    every = -(-count // int((width - 0.7) / 0.17))
    plot.set_xticks(
        places[::every],
        values[::every],
        rotation=45 if turned else 0,
        ha="right" if turned else "center",
        rotation_mode="anchor",
    )
    plot.set_xlim(-0.5, count - 0.5)
    plot.yaxis.set_major_locator(MaxNLocator(6))
    plot.set_xlabel(readable_axis(line.axis, labels))
    better = "higher" if mode == "max" else "lower"
    plot.set_ylabel(f"{readable(metric, labels)}\n({better} is better)")
    for side in ("top", "right"):
        plot.spines[side].set_visible(False)
    plot.tick_params(labelsize=7)
    figure.suptitle(textwrap.fill(title, int(12 * width)), fontsize=8, fontweight="bold")
    plot.set_title("\n".join(_legend(line)), fontsize=7)
    return figure


def is_number(text: str) -> bool:
    """Return whether a value of an axis is a number."""
    try:
        float(text)
    except ValueError:
        return False
    return True


def _write_lost(plot: Axes, line: Line) -> None:
    """Write above each value of the axis how many of its trainings are lost."""
    for place in np.flatnonzero(line.lost):
        plot.annotate(
            f"{LOST} {line.lost[place]:,} of {line.trainings[place]:,}",
            (place, 0),
            xycoords=("data", "axes fraction"),
            xytext=(0, 3),
            textcoords="offset points",
            fontsize=6,
            ha="center",
        )


def _legend(line: Line) -> list[str]:
    """Describe what the marks mean."""
    intervals = ", with its 95 % interval" if np.isfinite(line.lows).any() else ""
    lines = [f"mean of repetitions{intervals}", "dots: repetitions"]
    if line.lost.any():
        lines.append(f"{LOST}: diverged, not in the mean")
    return lines
