"""Curves: a metric over the epochs, its mean and range over the repetitions."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import matplotlib
import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.lines import Line2D
from matplotlib.ticker import MaxNLocator

from gridloom.analysis.pick import Pick
from gridloom.figures.page import (
    PICK,
    SMALL,
    TIED,
    Baseline,
    Subject,
    amount,
    bare,
    baseline_lines,
    few_ticks,
    finish,
    out_of_view,
    sentence,
    shown,
    spread,
    view,
)
from gridloom.figures.style import PAGE, SERIES, readable, short_name

#: Most tied configurations and most values of an axis that have a curve.
MAX_TIED, MAX_VALUES = 20, 12

_HEADING = "learning curves"

_NONE = "No training has a curve: all diverged."

_STOPPED = "A training that stopped early keeps its last value."


@dataclass(frozen=True, eq=False)
class Histories:
    """Metrics of trainings over their epochs.

    Attributes
    ----------
    points
        One row a training and fold: `point`, `repetition`, and the axes as texts. Trainings that
        diverged are left out.
    values
        Metric → its value in each epoch, float64, shape (trainings, epochs); NaN after the last
        epoch of a training.
    """

    points: pd.DataFrame
    values: dict[str, np.ndarray]


@dataclass(frozen=True, eq=False)
class Curve:
    """A metric over E epochs: its mean over the repetitions, and their range.

    Attributes
    ----------
    mean, low, high
        float64, shape (E,).
    configurations, repetitions
        How many it is of.
    stopped
        Whether some training has fewer epochs.
    """

    mean: np.ndarray
    low: np.ndarray
    high: np.ndarray
    configurations: int
    repetitions: int
    stopped: bool


def training_metric(metric: str) -> str:
    """Return what the training rows have in place of a metric."""
    return metric.removeprefix("val_")


def read_histories(history: pd.DataFrame, runs: pd.DataFrame, metrics: Sequence[str]) -> Histories:
    """Arrange some metrics of ``history.parquet``, of the trainings that did not diverge."""
    kept = runs[runs["status"] == "ok"].reset_index(drop=True)
    names = history["point"].cat.categories
    points = pd.Series(names.get_indexer(pd.Index(kept["point"])))
    known = pd.MultiIndex.from_arrays([points, kept["repetition"], kept["fold"]])
    found = [history["point"].cat.codes, history["repetition"], history["fold"]]
    rows = known.get_indexer(pd.MultiIndex.from_arrays(found))
    there = rows >= 0
    epochs = history.loc[there, "epoch"].to_numpy(int)
    values = {}
    for metric in metrics:
        filled = np.full((len(kept), epochs.max(initial=0)), np.nan)
        filled[rows[there], epochs - 1] = history.loc[there, metric].to_numpy(float)
        values[metric] = filled
    return Histories(kept, values)


def curve_of(histories: Histories, chosen: np.ndarray, metric: str) -> Curve | None:
    """Return the curve of some trainings; None if none has the metric.

    Folds are averaged first, then the configurations within each repetition.

    Parameters
    ----------
    chosen
        Which rows of the histories, bool, shape (trainings,).
    """
    values = histories.values[metric][chosen]
    there = np.isfinite(values)
    last = there.shape[1] - there[:, ::-1].argmax(axis=1)
    used = there.any(axis=1)
    if not used.any():
        return None
    epochs = int(last[used].max())
    # Beyond its last epoch, a training that stopped stays what it is.
    places = np.minimum(np.arange(epochs), last[used, None] - 1)
    carried = pd.DataFrame(np.take_along_axis(values[used], places, axis=1))
    rows = histories.points[chosen][used]
    by_repetition = carried.groupby(rows["repetition"].to_numpy()).mean().to_numpy()
    return Curve(
        mean=by_repetition.mean(axis=0),
        low=by_repetition.min(axis=0),
        high=by_repetition.max(axis=0),
        configurations=rows["point"].nunique(),
        repetitions=len(by_repetition),
        stopped=bool((last[used] < epochs).any()),
    )


@dataclass(frozen=True, eq=False)
class PickCurves:
    """The curves of the pick, and of those that may be the best as well.

    Attributes
    ----------
    pick
        Metric → curve of the pick: of the training rows, if they have it, and the objective.
    kept
        The median epoch whose weights were kept, from 1.
    tied
        The objective of tied configurations, the best mean first; not the pick.
    not_drawn
        Number of further tied configurations.
    baselines
        Simple models.
    """

    pick: dict[str, Curve]
    kept: int
    tied: Sequence[Curve]
    not_drawn: int
    baselines: Sequence[Baseline]


def read_pick_curves(
    histories: Histories,
    summary: pd.DataFrame,
    pick: Pick | None,
    baselines: Sequence[Baseline],
    subject: Subject,
) -> PickCurves:
    """Take the curves of the pick and of the tied configurations."""
    if pick is None:
        return PickCurves({}, 0, [], 0, baselines)
    paths = histories.points["point"].to_numpy()
    order = summary.sort_values("rank", kind="stable")
    tied = order.loc[order["tied_with_best"] & (order["point"] != pick.point), "point"]
    objective = subject.metric
    drawn = [curve_of(histories, paths == path, objective) for path in tied.head(MAX_TIED)]
    own = {name: curve_of(histories, paths == pick.point, name) for name in histories.values}
    return PickCurves(
        pick={name: curve for name, curve in own.items() if curve is not None},
        kept=pick.epochs,
        tied=[curve for curve in drawn if curve is not None],
        not_drawn=max(len(tied) - MAX_TIED, 0),
        baselines=baselines,
    )


def draw_pick_curves(curves: PickCurves, subject: Subject) -> Figure:
    """Draw the pick, training and validation; and its objective among the tied ones."""
    if not curves.pick:
        return sentence(subject, _HEADING, _NONE)
    figure = Figure(figsize=(PAGE, 2.5))
    left, right = figure.subplots(1, 2, sharey=True, sharex=True)
    objective = subject.metric
    every = [*curves.pick.values(), *curves.tied]
    limits = view(_numbers(every), subject.mode, [one.score for one in curves.baselines])
    colours = {training_metric(objective): SERIES[4], objective: PICK}
    marks = []
    for metric, curve in curves.pick.items():
        _draw(left, curve, colours[metric])
        label = f"pick, {readable(metric, subject.labels)}"
        marks.append(Line2D([], [], color=colours[metric], label=label))
    left.axvline(curves.kept, color="#888888", linewidth=0.8, linestyle=(0, (1, 3)))
    for curve in curves.tied:
        right.plot(_epochs(curve), curve.mean, color=TIED, linewidth=0.7, alpha=0.5)
    if curves.tied:
        marks.append(Line2D([], [], color=TIED, linewidth=0.7, label="tied with the best"))
    if objective in curves.pick:
        _draw(right, curves.pick[objective], PICK)
    left.set_title("the pick", fontsize=SMALL, y=1.0)
    right.set_title(f"{subject.measure}: the pick and the tied", fontsize=SMALL, y=1.0)
    marks += baseline_lines(left, curves.baselines, limits)
    baseline_lines(right, curves.baselines, limits)
    left.set_ylim(limits)
    for plot in (left, right):
        _finish_axes(plot)
    left.set_ylabel(_either(subject))
    pick = next(iter(curves.pick.values()))
    return finish(
        figure,
        subject,
        _HEADING,
        _band(pick.repetitions),
        "Dotted upright line: the median epoch whose weights were kept.",
        f"{amount(curves.not_drawn, 'further tied configuration')} not drawn."
        if curves.not_drawn
        else "",
        _STOPPED if any(curve.stopped for curve in every) else "",
        marks=marks,
    )


@dataclass(frozen=True, eq=False)
class AxisCurves:
    """The mean curves of the values of an axis.

    Attributes
    ----------
    axis
        Its name.
    values
        Value as text → metric → curve; of the values that have one.
    not_drawn
        Number of values between those drawn that are left out.
    lost
        Number of trainings that diverged.
    """

    axis: str
    values: dict[str, dict[str, Curve]]
    not_drawn: int
    lost: int


def read_axis_curves(
    histories: Histories, runs: pd.DataFrame, axis: str, subject: Subject
) -> AxisCurves:
    """Take the mean curve of each value of an axis; of many values, of evenly spaced ones."""
    texts = histories.points[axis].to_numpy()
    known = [value for value in subject.axes[axis] if (texts == value).any()]
    drawn = spread(known, MAX_VALUES)
    values = {}
    for value in drawn:
        own = {name: curve_of(histories, texts == value, name) for name in histories.values}
        values[value] = {name: curve for name, curve in own.items() if curve is not None}
    return AxisCurves(
        axis=axis,
        values=values,
        not_drawn=len(known) - len(drawn),
        lost=int((runs["status"] != "ok").sum()),
    )


def draw_axis_curves(curves: AxisCurves, subject: Subject, others: int = 0) -> Figure:
    """Draw a curve for each value of the axis: of the training rows, and of the objective.

    Parameters
    ----------
    others
        Number of axes that explain less and have no such figure.
    """
    name = subject.name(curves.axis)
    heading = f"{_HEADING} by {short_name(name, 40)}"
    drawn = [curve for own in curves.values.values() for curve in own.values()]
    if not drawn:
        return sentence(subject, heading, _NONE)
    metrics = list(dict.fromkeys(metric for own in curves.values.values() for metric in own))
    figure = Figure(figsize=(PAGE, 2.5))
    plots = figure.subplots(1, len(metrics), sharey=True, squeeze=False)[0]
    limits = view(_numbers(drawn), subject.mode)
    hidden = [
        shown(value)
        for value, own in curves.values.items()
        if all(out_of_view(curve.mean, limits) == len(curve.mean) for curve in own.values())
    ]
    few = len(curves.values) <= len(SERIES)
    shades = matplotlib.colormaps["viridis"](np.linspace(0, 0.92, len(curves.values)))
    several = any(curve.repetitions > 1 for curve in drawn)
    marks = []
    for place, (value, own) in enumerate(curves.values.items()):
        colour = SERIES[place] if few else tuple(shades[place])
        label = f"{name} {short_name(shown(value), 24)}"
        marks.append(Line2D([], [], color=colour, label=label))
        for plot, metric in zip(plots, metrics, strict=True):
            if metric in own:
                _draw(plot, own[metric], colour, band=few)
    for plot, metric in zip(plots, metrics, strict=True):
        plot.set_title(readable(metric, subject.labels), fontsize=SMALL, y=1.0)
        _finish_axes(plot)
    plots[0].set_ylim(limits)
    plots[0].set_ylabel(_either(subject))
    return finish(
        figure,
        subject,
        heading,
        f"Line: mean over {_span([curve.configurations for curve in drawn], 'configuration')}"
        f" of a value and {_span([curve.repetitions for curve in drawn], 'repetition')}.",
        "Band: from the lowest to the highest repetition." if few and several else "",
        f"Out of view: {name} {', '.join(hidden)}." if hidden else "",
        f"{amount(curves.not_drawn, 'value')} between these not drawn." if curves.not_drawn else "",
        f"{amount(curves.lost, 'training')} that diverged left out." if curves.lost else "",
        _STOPPED if any(curve.stopped for curve in drawn) else "",
        f"{others} axes that explain less have no such figure." if others > 1 else "",
        "One axis that explains less has no such figure." if others == 1 else "",
        marks=marks,
    )


def _span(counts: Sequence[int], noun: str) -> str:
    """Return how many, such as ``54 configurations`` or ``12 to 54 configurations``."""
    low, high = min(counts), max(counts)
    return amount(high, noun) if low == high else f"{low:,} to {amount(high, noun)}"


def _numbers(curves: Sequence[Curve]) -> np.ndarray:
    return np.concatenate([[*curve.mean, *curve.low, *curve.high] for curve in curves])


def _epochs(curve: Curve) -> np.ndarray:
    return np.arange(1, len(curve.mean) + 1)


def _draw(plot: Axes, curve: Curve, colour: str | tuple[float, ...], *, band: bool = True) -> None:
    """Draw the mean, and the range of the repetitions as a band."""
    # One epoch has no line.
    mark = "o" if len(curve.mean) == 1 else None
    plot.plot(_epochs(curve), curve.mean, color=colour, marker=mark, markersize=4, linewidth=1.5)
    if band and curve.repetitions > 1:
        low, high = curve.low, curve.high
        plot.fill_between(_epochs(curve), low, high, color=colour, alpha=0.15, linewidth=0)


def _band(repetitions: int) -> str:
    if repetitions == 1:
        return "One repetition."
    return (
        f"Line: mean over {amount(repetitions, 'repetition')}. Band: from the lowest to the "
        "highest of them."
    )


def _either(subject: Subject) -> str:
    """Return the objective in words, for the training rows as well."""
    words = subject.measured
    return words.removeprefix("validation ").removeprefix("training ")


def _finish_axes(plot: Axes) -> None:
    bare(plot)
    plot.set_xlabel("epoch")
    few_ticks(plot, "y")
    plot.xaxis.set_major_locator(MaxNLocator(6, integer=True))
