"""All pairs of axes in one picture: each axis alone, the mean of each pair, and the best of it."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import combinations
from typing import Any

import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.colors import Normalize
from matplotlib.figure import Figure
from matplotlib.patches import Rectangle
from matplotlib.ticker import MaxNLocator
from scipy.special import stdtrit

from gridloom.analysis.adjusted import adjusted_means, adjusted_means_of_each
from gridloom.analysis.intervals import CONFIDENCE
from gridloom.figures.cells import (
    LINE,
    TICK,
    Look,
    Scale,
    bar_label,
    colour_scale,
    draw_bar,
    draw_cells,
    height_of,
    mark_notes,
    number_format,
    width_of,
)
from gridloom.figures.heatmaps import SMALLEST_MARKED
from gridloom.figures.lines import is_number
from gridloom.figures.numbers import (
    Heatmap,
    Quantity,
    StudyNumbers,
    Words,
    best_heatmap,
    by_effect,
    grouped,
    mean_heatmap,
)
from gridloom.figures.page import MARGIN, TIED, Subject, as_sentence, frame
from gridloom.figures.places import Places, kept
from gridloom.figures.style import PAGE, short_name

#: Most axes that are drawn, and most values of each.
MAX_AXES, MAX_VALUES = 9, 40

#: Font size of values and names, in points, and most characters of each.
_SIZE, _MAX_VALUE, _MAX_NAME = 6.0, 12, 20

#: Distance of panels, and largest length of a panel's side, in inches.
_GAP, _LARGEST = 0.07, 1.5

#: Height of the bars of colours with numbers, and their own, in inches.
_BAR, _BAR_HEIGHT = 0.34, 0.09

#: Stands for an axis with one value; no hyperparameter has such a name.
_ALL = "(all)"

_HEADING = "each axis and each pair"


@dataclass(frozen=True, eq=False)
class Alone:
    """What an axis does alone; V values.

    Attributes
    ----------
    axis
        Its name.
    means
        Mean of the objective with each value, by the rule for heatmaps of means, float64, shape
        (V,); NaN where there is none.
    halves
        Half of the 95 % interval of the distance from the mean of all values, shape (V,); NaN with
        one repetition.
    """

    axis: str
    means: np.ndarray
    halves: np.ndarray


@dataclass(frozen=True, eq=False)
class Pairs:
    """The panels of the picture.

    Attributes
    ----------
    alone
        The axes, that which explains most first.
    means, bests
        Heatmap of each pair of them: the axis that explains less is down the side of `means`, and
        along the bottom of `bests`.
    left_out
        Names of axes that explain less and are not drawn.
    """

    alone: Sequence[Alone]
    means: Sequence[Heatmap]
    bests: Sequence[Heatmap]
    left_out: Sequence[str]


def read_pairs(study: StudyNumbers, effects: pd.DataFrame) -> Pairs:
    """Take the numbers of the panels; of many axes, of those that explain most.

    Parameters
    ----------
    effects
        ``effects.csv``.
    """
    order = by_effect(effects, list(study.axes))
    drawn, objective = order[:MAX_AXES], study.objective
    return Pairs(
        alone=[_alone(study, objective, axis) for axis in drawn],
        means=[mean_heatmap(study, objective, b, a) for a, b in combinations(drawn, 2)],
        bests=[best_heatmap(study, objective, a, b) for a, b in combinations(drawn, 2)],
        left_out=order[MAX_AXES:],
    )


def _alone(study: StudyNumbers, objective: Quantity, axis: str) -> Alone:
    """Average over all other axes, so that the values of an axis compare like with like.

    Within a repetition, all configurations share their luck; it cancels in the distance of a value
    from the mean of all values, whose interval is Student's over the repetitions.
    """
    points = study.summary.assign(**{_ALL: ""})
    axes = {**study.axes, _ALL: [""]}

    means = adjusted_means(points, objective.values, axes, axis, _ALL).values[:, 0]
    halves = np.full(len(means), np.nan)
    count = objective.repetitions.shape[1]
    if count > 1:
        each = adjusted_means_of_each(points, objective.repetitions, axes, axis, _ALL)[:, 0]
        # Values without a mean in some repetition have no distance there.
        distances = each - np.ma.masked_invalid(each).mean(axis=0).filled(np.nan)
        errors = distances.std(axis=1, ddof=1) / np.sqrt(count)
        halves = stdtrit(count - 1, (1 + CONFIDENCE) / 2) * errors
    return Alone(axis, means, halves)


@dataclass(frozen=True)
class _Places:
    """Where the panels are; all lengths in inches, from the top left corner of the plot.

    Attributes
    ----------
    left, top
        Of the first panel.
    side
        Of a panel.
    count
        Number of panels side by side, and below one another.
    """

    left: float
    top: float
    side: float
    count: int

    @property
    def length(self) -> float:
        """Length of all panels with their distances."""
        return self.count * (self.side + _GAP) - _GAP

    def start(self, place: int) -> tuple[float, float]:
        """Return the left end of a column and the upper end of a row of panels."""
        step = place * (self.side + _GAP)
        return self.left + step, self.top + step

    def values(self, start: float, count: int) -> Places:
        """Return the places of the values of an axis along a panel."""
        edges = start + np.linspace(0, self.side, count + 1)
        return Places(np.arange(count), (edges[:-1] + edges[1:]) / 2, edges)


def draw_pairs(pairs: Pairs, study: StudyNumbers, subject: Subject) -> Figure:
    """Draw the axes on the diagonal, the means below it and the best configurations above."""
    words = study.words("", study.objective)
    axes = [one.axis for one in pairs.alone]
    count = len(axes)
    means, bests = (
        [grouped(one, (MAX_VALUES, MAX_VALUES))[0] for one in some]
        for some in (pairs.means, pairs.bests)
    )
    scales = [colour_scale(some, words.mode) for some in (means, bests)]
    labels = [_labels(study, axis) for axis in axes]
    limits = _limits(pairs.alone)
    ticks = [tick for tick in MaxNLocator(3).tick_values(*limits) if limits[0] <= tick <= limits[1]]
    write = number_format(Scale(Normalize(*limits)))
    numbers = [write(tick) for tick in ticks]
    beside = max(width_of(text, _SIZE) for each in (*labels[1:], numbers) for text in each)
    after = max(width_of(text, _SIZE) for text in labels[0]) + _GAP
    left = LINE * _SIZE / 72 + beside + 2 * _GAP
    room = PAGE - 2 * MARGIN
    side = min((room - left - after - (count - 1) * _GAP) / count, _LARGEST)
    long = (room - left - 0.7) / 2
    said = ("below the diagonal: mean of each cell", "above: best configuration of each cell")
    bars = [bar_label(scale, words, long, of) for scale, of in zip(scales, said, strict=True)]
    places = _Places(left, _BAR + max(height_of(label, TICK) for label in bars) + _GAP, side, count)
    turned = any(
        max(width_of(text, _SIZE) for text in each) > side / len(each) - 0.04 for each in labels
    )
    under = max(width_of(text, _SIZE) for each in labels for text in each)
    under = (under if turned else LINE * _SIZE / 72) + LINE * _SIZE / 72 + 2 * _GAP
    height = places.top + places.length + under
    figure = Figure(figsize=(PAGE, height))
    panels = _panels(means, bests, scales, places)
    left_bottom = frame(figure, subject, _HEADING, *_sentences(pairs, study, words, panels))[:2]
    total = figure.get_figheight()
    plot = figure.add_axes((*left_bottom, room / PAGE, height / total))
    plot.set(xlim=(0, room), ylim=(height, 0))
    plot.set_axis_off()
    for panel in panels:
        draw_cells(plot, panel.heatmap, panel.scale, words.mode, panel.look, {})
    for place, one in enumerate(pairs.alone):
        joined = all(map(is_number, study.axes[one.axis]))
        _draw_alone(plot, one, places, place, limits, ticks, joined=joined)
    _draw_ticks(plot, places, limits, ticks, numbers)
    for place, axis in enumerate(axes):
        _draw_labels(plot, places, place, labels, study.called(axis), turned=turned)
    for number, (scale, label) in enumerate(zip(scales, bars, strict=True)):
        start = left_bottom[0] + (left + number * (long + 0.5)) / PAGE
        low = left_bottom[1] + (height - _BAR_HEIGHT - 0.02) / total
        bar = figure.add_axes((start, low, long / PAGE, _BAR_HEIGHT / total))
        draw_bar(figure, scale, words.mode, label, cax=bar)
    return figure


@dataclass(frozen=True, eq=False)
class _Panel:
    """A heatmap in the picture."""

    heatmap: Heatmap
    scale: Scale
    look: Look


def _panels(
    means: Sequence[Heatmap], bests: Sequence[Heatmap], scales: Sequence[Scale], places: _Places
) -> list[_Panel]:
    """Return the panels off the diagonal: means below it, bests above."""
    panels = []
    for (first, second), mean, best in zip(
        combinations(range(places.count), 2), means, bests, strict=True
    ):
        drawn = ((mean, second, first, scales[0]), (best, first, second, scales[1]))
        for heatmap, row, column, scale in drawn:
            rows, columns = heatmap.values.shape
            look = Look(
                rows=places.values(places.start(row)[1], rows),
                columns=places.values(places.start(column)[0], columns),
                cell=(1.0, 1.0),
                size=0,
                lines=0,
                marked=places.side / max(rows, columns) >= SMALLEST_MARKED,
            )
            panels.append(_Panel(heatmap, scale, look))
    return panels


def _labels(study: StudyNumbers, axis: str) -> list[str]:
    """Return the values of an axis, or of each group of neighbours, as short texts."""
    values = study.axes[axis]
    size = -(-len(values) // MAX_VALUES)
    return [short_name(text or "—", _MAX_VALUE) for text in values[::size]]


def _limits(alone: Sequence[Alone]) -> tuple[float, float]:
    """Return between which values of the objective the panels on the diagonal reach."""
    ends = [one.means + sign * np.nan_to_num(one.halves) for one in alone for sign in (-1.0, 1.0)]
    found = np.concatenate(ends)
    found = found[np.isfinite(found)]
    low, high = (float(found.min()), float(found.max())) if len(found) else (0.0, 1.0)
    margin = 0.08 * (high - low) or 0.01 * abs(high) or 0.01
    return low - margin, high + margin


def _draw_alone(
    plot: Axes,
    one: Alone,
    places: _Places,
    place: int,
    limits: tuple[float, float],
    ticks: Sequence[float],
    *,
    joined: bool,
) -> None:
    """Draw the means of the values of an axis, with their intervals."""
    left, top = places.start(place)
    right, bottom = left + places.side, top + places.side

    def height(values: np.ndarray) -> np.ndarray:
        share = (values - limits[0]) / (limits[1] - limits[0])
        return bottom - share * places.side

    frame: dict[str, Any] = {"fill": False, "edgecolor": "#bbbbbb", "linewidth": 0.6}
    plot.add_patch(Rectangle((left, top), places.side, places.side, **frame))
    plot.hlines(height(np.array(ticks)), left, right, color="#e4e4e4", linewidth=0.6)
    across = places.values(left, len(one.means)).middles
    many = len(across) > 12
    plot.plot(
        across,
        height(one.means),
        color=TIED,
        linestyle="-" if joined else "none",
        linewidth=0.9,
        marker=None if many and joined else "o",
        markersize=2 if many else 3,
    )
    low, high = (height(one.means + sign * one.halves) for sign in (-1, 1))
    if many and joined:
        plot.fill_between(across, low, high, color=TIED, alpha=0.2, linewidth=0)
    else:
        plot.vlines(across, low, high, color=TIED, linewidth=0.9)


def _draw_labels(
    plot: Axes,
    places: _Places,
    place: int,
    labels: Sequence[Sequence[str]],
    name: str,
    *,
    turned: bool,
) -> None:
    """Write the values and the name of an axis beside its row and below its column."""
    left, top = places.start(place)
    line = LINE * _SIZE / 72
    own = labels[place]
    down = places.values(top, len(own)).middles
    # The row of the first axis begins with its own panel, which has other numbers at the left.
    beside = places.left + places.length if place == 0 else places.left
    style: dict[str, Any] = {"fontsize": _SIZE}
    for value in kept(down, line):
        at, aligned = (beside + _GAP / 2, "left") if place == 0 else (beside - _GAP / 2, "right")
        plot.text(at, down[value], own[value], ha=aligned, va="center", **style)
    across = places.values(left, len(own)).middles
    bottom = places.top + places.length + _GAP / 2
    for value in kept(across, line if turned else 0.0):
        turn = 90 if turned else 0
        plot.text(across[value], bottom, own[value], ha="center", va="top", rotation=turn, **style)
    most = max(int(places.side / width_of("x", _SIZE, bold=True)), 4)
    style |= {"fontweight": "bold", "ha": "center"}
    cut = short_name(name, min(most, _MAX_NAME))
    plot.text(line / 2, top + places.side / 2, cut, rotation=90, va="center", **style)
    below = max(width_of(text, _SIZE) for each in labels for text in each) if turned else line
    plot.text(left + places.side / 2, bottom + below + _GAP / 2, cut, va="top", **style)


def _draw_ticks(
    plot: Axes,
    places: _Places,
    limits: tuple[float, float],
    ticks: Sequence[float],
    numbers: Sequence[str],
) -> None:
    """Write the numbers of the panels on the diagonal beside the first one."""
    for tick, number in zip(ticks, numbers, strict=True):
        share = (tick - limits[0]) / (limits[1] - limits[0])
        down = places.top + (1 - share) * places.side
        at = places.left - _GAP / 2
        plot.text(at, down, number, fontsize=_SIZE, ha="right", va="center", color="#555555")


def _sentences(
    pairs: Pairs, study: StudyNumbers, words: Words, panels: Sequence[_Panel]
) -> list[str]:
    """Say what the panels show, what the marks mean, and what is left out."""
    intervals = any(np.isfinite(one.halves).any() for one in pairs.alone)
    marked = [panel for panel in panels if panel.look.marked]
    notes = mark_notes([panel.heatmap for panel in marked], words, marked[0].look) if marked else []
    return [
        "On the diagonal: the mean with each value of an axis, all on one scale.",
        "Lines: 95 % intervals of the distance from the mean of all values, within repetitions."
        if intervals
        else "",
        *map(as_sentence, notes),
        f"Axes that explain less, not drawn: {', '.join(map(study.called, pairs.left_out))}."
        if pairs.left_out
        else "",
    ]
