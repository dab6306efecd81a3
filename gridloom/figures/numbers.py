"""The numbers of heatmaps: what each cell shows, how sure it is, and its marks."""

from __future__ import annotations

import itertools
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import cached_property

import numpy as np
import pandas as pd

from gridloom.analysis.adjusted import adjusted_means, adjusted_means_of_each, codes_of
from gridloom.analysis.observations import observe
from gridloom.analysis.ties import compare_with_best
from gridloom.errors import StudyError, nearest
from gridloom.figures.style import readable, readable_axis
from gridloom.figures.wanted import Wanted
from gridloom.naming.metrics import Mode, better_end

#: A cell that lost a larger share of its trainings has no colour: the others are a selection.
MAX_LOST = 0.25


#: More cells are too small to be outlined, and are not compared with the best.
_MAX_COMPARED = 2_000


@dataclass(frozen=True, eq=False)
class Quantity:
    """A number of each point that heatmaps show; N points, r repetitions.

    Attributes
    ----------
    label
        Its name in figures.
    mode
        ``max`` if more is better, ``min`` if less is, None if neither is known.
    values, errors
        float64, shape (N,): of each point, and its standard error. NaN where there is none.
    repetitions
        Its values in each repetition, float64, shape (N, r), NaN where there is none; r is 0 for
        what repetitions do not measure.
    without_lost
        Whether it leaves out lost trainings: those that diverged or have no number.
    """

    label: str
    mode: Mode | None
    values: np.ndarray
    errors: np.ndarray
    repetitions: np.ndarray
    without_lost: bool


@dataclass(frozen=True)
class Words:
    """What a figure calls the things that it shows.

    Attributes
    ----------
    title
        Of the figure.
    quantity, objective
        Names of what the cells show, and of the study's objective.
    mode
        Which end of the quantity is better; None if it is not known.
    axes
        Name of an axis in the tables → its values as text, in the order in which they are drawn.
    names
        The same → its name in figures.
    to_scale
        Axes of numbers whose values are drawn to scale.
    """

    title: str
    quantity: str
    objective: str
    mode: Mode | None
    axes: Mapping[str, Sequence[str]]
    names: Mapping[str, str]
    to_scale: Collection[str] = ()


@dataclass(frozen=True, eq=False)
class StudyNumbers:
    """A study's tables.

    Attributes
    ----------
    summary, runs
        ``summary.csv`` and ``runs.csv`` with the axes as text.
    axes
        Axis → its values as text, in the order in which they are drawn.
    metric, mode
        The objective.
    pick
        Path of the configuration that the study chose; None if there is none.
    labels
        The study's own names of metrics and hyperparameters.
    to_scale
        Axes of numbers whose values heatmaps draw to scale.
    """

    summary: pd.DataFrame
    runs: pd.DataFrame
    axes: Mapping[str, Sequence[str]]
    metric: str
    mode: Mode
    pick: str | None
    labels: Mapping[str, str]
    to_scale: Collection[str] = ()

    @cached_property
    def codes(self) -> dict[str, np.ndarray]:
        """Axis → which of its values each point has, from 0."""
        return codes_of(self.summary, self.axes)

    @cached_property
    def is_pick(self) -> np.ndarray:
        """Which point is the pick; bool, shape (N,)."""
        return np.array([point == self.pick for point in self.summary["point"].tolist()], bool)

    def cells(self, rows: str, columns: str) -> np.ndarray:
        """Return the number of each point's cell, row by row; int64, shape (N,)."""
        cells: np.ndarray = self.codes[rows] * len(self.axes[columns]) + self.codes[columns]
        return cells

    @cached_property
    def objective(self) -> Quantity:
        """The objective of each point."""
        return self._measured(self.metric, self.mode)

    @property
    def metrics(self) -> list[str]:
        """Names of all that heatmaps may show."""
        metrics = [name for name in map(str, self.runs) if f"{name}_se" in self.summary]
        further = ["seconds", "parameters", "diverged"]
        return [*metrics, *further, *(f"{name}_sd" for name in metrics)]

    def quantity(self, metric: str) -> Quantity:
        """Return one of `metrics`.

        Raises
        ------
        StudyError
            If there is no such metric.
        """
        if metric not in self.metrics:
            raise StudyError(
                f"figures.metrics: there is no {metric!r}{nearest(metric, self.metrics)}; "
                f"there are {', '.join(self.metrics)}"
            )
        if metric == self.metric:
            return self.objective
        if f"{metric}_mean" in self.summary and metric != "seconds":
            return self._measured(metric, better_end(metric))
        summary, label = self.summary, readable(metric, self.labels)
        unknown, none = np.full(len(summary), np.nan), np.empty((len(summary), 0))
        if metric == "diverged":
            lost = (summary["n_diverged"] + summary["n_missing"]) / summary["n_trainings"]
            return Quantity(label, "min", lost.to_numpy(float), unknown, none, without_lost=False)
        if metric in ("seconds", "parameters"):
            column = "seconds_mean" if metric == "seconds" else metric
            values = summary[column].to_numpy(float)
            return Quantity(label, "min", values, unknown, none, without_lost=False)
        values = summary[metric].to_numpy(float)
        return Quantity(label, "min", values, unknown, none, without_lost=True)

    def _measured(self, metric: str, mode: Mode | None) -> Quantity:
        """Return a metric of the history."""
        seen = observe(self.runs, {}, metric, "max")
        scores = pd.DataFrame(seen.scores, index=seen.points["point"])
        return Quantity(
            readable(metric, self.labels),
            mode,
            self.summary[f"{metric}_mean"].to_numpy(float),
            self.summary[f"{metric}_se"].to_numpy(float),
            scores.reindex(self.summary["point"]).to_numpy(),
            without_lost=True,
        )

    def words(self, title: str, quantity: Quantity) -> Words:
        """Return what a figure of a quantity calls things."""
        names = {axis: self.called(axis) for axis in self.axes}
        return Words(
            title,
            quantity.label,
            self.objective.label,
            quantity.mode,
            self.axes,
            names,
            self.to_scale,
        )

    def titled(self, title: str) -> str:
        """Return the title of a figure, which says if the tables are of a part of the study."""
        if "partial" not in self.summary:
            return title
        return f"{title}: {self.summary['partial'].iloc[0]}"

    def called(self, name: str) -> str:
        """Return what figures call a hyperparameter."""
        return readable_axis(name, self.labels)


@dataclass(frozen=True, eq=False)
class Heatmap:
    """The numbers of one heatmap; arrays have the shape (values of rows, values of columns).

    Attributes
    ----------
    rows, columns
        Names of the axes down the side and along the bottom.
    values, errors
        float64: what the cells show and its standard error; NaN where there is none.
    trainings, lost
        int64: number of the trainings behind each value, and how many of them diverged or have no
        number, so that the value leaves them out.
    tied
        bool: which cells cannot be told apart from the best, by the objective.
    pick
        bool: the cell that the study's pick is in.
    not_estimable
        bool: cells that cannot be compared with the others.
    subtitle
        Says what each cell shows.
    heading
        Value of the axis that this is a panel of; else empty.
    """

    rows: str
    columns: str
    values: np.ndarray
    errors: np.ndarray
    trainings: np.ndarray
    lost: np.ndarray
    tied: np.ndarray
    pick: np.ndarray
    not_estimable: np.ndarray
    subtitle: str
    heading: str = ""

    @property
    def coloured(self) -> np.ndarray:
        """Which cells have a colour: those with a value that lost few trainings."""
        coloured: np.ndarray = np.isfinite(self.values) & (self.lost <= MAX_LOST * self.trainings)
        return coloured

    def ordered(self, rows: np.ndarray, columns: np.ndarray) -> Heatmap:
        """Return it with rows and columns in another order, given by their numbers."""
        parts = ("values", "errors", "trainings", "lost", "tied", "pick", "not_estimable")
        cells = np.ix_(rows, columns)
        return replace(self, **{part: getattr(self, part)[cells] for part in parts})


def heatmaps_of(study: StudyNumbers, wanted: Wanted, quantity: Quantity) -> list[Heatmap]:
    """Return the numbers of a heatmap, or of each of its panels."""
    rows, columns = wanted.rows, wanted.columns
    if wanted.kind == "mean":
        return [mean_heatmap(study, quantity, rows, columns)]
    if wanted.kind == "best":
        return [best_heatmap(study, quantity, rows, columns)]
    if wanted.panels is None:
        return [slice_heatmap(study, quantity, rows, columns, wanted.at)]
    panels = []
    for value in study.axes[wanted.panels]:
        at = {**wanted.at, wanted.panels: value}
        panels.append(slice_heatmap(study, quantity, rows, columns, at, wanted.panels))
    return panels


def mean_heatmap(study: StudyNumbers, quantity: Quantity, rows: str, columns: str) -> Heatmap:
    """Average over all other axes, so that cells compare like with like.

    The cells are adjusted means (see `gridloom.analysis.adjusted`). These are plain means if every
    cell has results for the same values of the other axes. The standard error is over repetitions:
    each repetition alone gives a mean of each cell, and these vary. So it counts what all points of
    a cell have in common, such as their validation rows. Cells are tied by the rule for
    configurations (`compare_with_best`), with these means as scores.
    """
    means = adjusted_means(study.summary, quantity.values, study.axes, rows, columns)
    by_repetition = _by_repetition(study, quantity, rows, columns)
    of_objective = by_repetition
    if quantity is not study.objective:
        of_objective = _by_repetition(study, study.objective, rows, columns)
    count = by_repetition.shape[-1]
    errors = np.full(means.values.shape, np.nan)
    if count > 1:
        errors = by_repetition.std(axis=-1, ddof=1) / np.sqrt(count)
    others = [name for name in study.axes if name not in (rows, columns, *means.together)]
    names = ", ".join(map(study.called, others))
    repeated = "repetitions" if count else "points"
    if not others:
        subtitle = f"mean of {repeated}"
    elif means.adjusted_for:
        subtitle = f"mean of {repeated}, adjusted for {names}"
    else:
        subtitle = f"mean over {names}" + " and repetitions" * bool(count)
    if means.together:
        together = ", ".join(map(study.called, means.together))
        subtitle += f"; varying along with the two: {together}"
    trainings, lost = count_trainings(study, quantity, rows, columns)
    heatmap = Heatmap(
        rows,
        columns,
        means.values,
        errors,
        trainings,
        lost,
        np.zeros(lost.shape, bool),
        _cells_of(study, rows, columns, study.is_pick),
        means.not_estimable,
        subtitle,
    )
    return replace(heatmap, tied=tied_means(of_objective, heatmap.coloured, study.mode))


def _by_repetition(study: StudyNumbers, quantity: Quantity, rows: str, columns: str) -> np.ndarray:
    """Return the mean of each cell in each repetition alone, shape (rows, columns, repetitions)."""
    return adjusted_means_of_each(study.summary, quantity.repetitions, study.axes, rows, columns)


def tied_means(by_repetition: np.ndarray, compared: np.ndarray, mode: Mode) -> np.ndarray:
    """Return which of some cells cannot be told apart from the best of them.

    Parameters
    ----------
    by_repetition
        Their means of the objective in each repetition, shape (rows, columns, repetitions).
    compared
        bool, shape (rows, columns).
    """
    complete = compared & np.isfinite(by_repetition).all(axis=-1)
    tied = np.zeros(complete.shape, bool)
    if 1 < complete.sum() <= _MAX_COMPARED and by_repetition.shape[-1] > 1:
        sign = -1 if mode == "min" else 1
        tied[complete] = compare_with_best(sign * by_repetition[complete]).tied
    return tied


def count_trainings(
    study: StudyNumbers, quantity: Quantity, rows: str, columns: str
) -> tuple[np.ndarray, np.ndarray]:
    """Count the trainings of each cell and those that are lost."""
    trainings = _spread(study, rows, columns, study.summary["n_trainings"].to_numpy(), 0)
    return trainings, _spread(study, rows, columns, _lost(study, quantity), 0)


def _lost(study: StudyNumbers, quantity: Quantity) -> np.ndarray:
    """Count the trainings of each point that a quantity leaves out."""
    lost: np.ndarray = (study.summary["n_diverged"] + study.summary["n_missing"]).to_numpy()
    return lost if quantity.without_lost else 0 * lost


def best_heatmap(study: StudyNumbers, quantity: Quantity, rows: str, columns: str) -> Heatmap:
    """Show the configuration of each cell that has the best objective.

    Those with a lost training come after all others. Whatever `quantity` is shown, the objective
    chooses.
    """
    ranked = np.argsort(study.summary["rank"].to_numpy(float), kind="stable")
    _, first = np.unique(study.cells(rows, columns)[ranked], return_index=True)
    others = [study.called(name) for name in study.axes if name not in (rows, columns)]
    subtitle = "mean of repetitions"
    if others:
        subtitle = f"best configuration of each cell (luck included), of all {', '.join(others)}"
    pick = _cells_of(study, rows, columns, study.is_pick)
    return _of_points(study, quantity, rows, columns, ranked[first], pick, subtitle)


def slice_heatmap(
    study: StudyNumbers,
    quantity: Quantity,
    rows: str,
    columns: str,
    at: Mapping[str, str],
    panels: str | None = None,
) -> Heatmap:
    """Hold all other axes fixed.

    Parameters
    ----------
    at
        Values of other axes, as text; axes that are not named have the pick's value.
    panels
        Axis whose value is the heading of a panel, and no part of the subtitle.
    """
    centre = _centre(study)
    held = {name: at.get(name, centre[name]) for name in study.axes if name not in (rows, columns)}
    chosen = np.ones(len(study.summary), bool)
    for name, value in held.items():
        chosen &= study.codes[name] == list(study.axes[name]).index(value)
    told = {
        # In one line, whatever its length.
        name: f"{study.called(name)} = {value or '—'}".replace(" ", "\N{NO-BREAK SPACE}")
        for name, value in held.items()
    }
    heading = told.pop(panels) if panels is not None else ""
    subtitle = "mean of repetitions"
    if told:
        at_pick = study.pick is not None and all(held[name] == centre[name] for name in told)
        subtitle = ("at the pick: " if at_pick else "at ") + ", ".join(told.values())
    pick = _cells_of(study, rows, columns, study.is_pick & chosen)
    points = np.flatnonzero(chosen)
    return _of_points(study, quantity, rows, columns, points, pick, subtitle, heading)


def _centre(study: StudyNumbers) -> dict[str, str]:
    """Return the values of the pick; without one, of the best rank."""
    row = study.is_pick.argmax()
    if study.pick is None:
        row = study.summary["rank"].to_numpy().argmin()
    return {name: values[study.codes[name][row]] for name, values in study.axes.items()}


def _of_points(
    study: StudyNumbers,
    quantity: Quantity,
    rows: str,
    columns: str,
    chosen: np.ndarray,
    pick: np.ndarray,
    subtitle: str,
    heading: str = "",
) -> Heatmap:
    """Return a heatmap of chosen points, at most one a cell."""

    def spread(values: np.ndarray, empty: float) -> np.ndarray:
        return _spread(study, rows, columns, values, empty, chosen)

    tied = study.summary["tied_with_best"].to_numpy()
    return Heatmap(
        rows,
        columns,
        spread(quantity.values, np.nan),
        spread(quantity.errors, np.nan),
        spread(study.summary["n_trainings"].to_numpy(), 0),
        spread(_lost(study, quantity), 0),
        spread(tied, 0) > 0,
        pick,
        np.zeros(pick.shape, bool),
        subtitle,
        heading,
    )


def _spread(
    study: StudyNumbers,
    rows: str,
    columns: str,
    values: np.ndarray,
    empty: float,
    chosen: np.ndarray | None = None,
) -> np.ndarray:
    """Sum the values of points by cell; `empty` where a cell has no point.

    Parameters
    ----------
    values
        Of all points, shape (points,).
    chosen
        Places of the points that count; None for all.
    """
    cells = study.cells(rows, columns)
    if chosen is not None:
        cells, values = cells[chosen], values[chosen]
    shape = (len(study.axes[rows]), len(study.axes[columns]))
    sums = np.bincount(cells, values.astype(float), shape[0] * shape[1])
    there = np.bincount(cells, minlength=len(sums)) > 0
    spread: np.ndarray = np.where(there, sums, empty)
    return spread.astype(float if np.isnan(empty) else int).reshape(shape)


def _cells_of(study: StudyNumbers, rows: str, columns: str, which: np.ndarray) -> np.ndarray:
    """Return which cells hold any of some points."""
    return _spread(study, rows, columns, which, 0) > 0


def grouped(heatmap: Heatmap, most: tuple[int, int]) -> tuple[Heatmap, tuple[int, int]]:
    """Average neighbouring cells of a heatmap with too many rows or columns.

    Parameters
    ----------
    most
        Most rows and columns.

    Returns
    -------
    heatmap
        With no more.
    sizes
        So many rows and columns are a group.
    """
    height, width = heatmap.values.shape
    sizes = (-(-height // most[0]), -(-width // most[1]))
    if sizes == (1, 1):
        return heatmap, sizes

    def blocks(cells: np.ndarray, empty: float) -> np.ndarray:
        """Return the cells of each group, shape (rows, columns, cells of a group)."""
        ends = [(0, -height % sizes[0]), (0, -width % sizes[1])]
        filled = np.pad(cells, ends, constant_values=empty)
        rows, columns = filled.shape[0] // sizes[0], filled.shape[1] // sizes[1]
        split = filled.reshape(rows, sizes[0], columns, sizes[1])
        return split.swapaxes(1, 2).reshape(rows, columns, -1)

    coloured = np.where(heatmap.coloured, heatmap.values, np.nan)
    means = np.ma.masked_invalid(blocks(coloured, np.nan)).mean(axis=-1).filled(np.nan)
    return replace(
        heatmap,
        values=means,
        errors=np.full(means.shape, np.nan),
        trainings=blocks(heatmap.trainings, 0).sum(axis=-1),
        lost=np.zeros(means.shape, int),
        tied=np.zeros(means.shape, bool),
        pick=blocks(heatmap.pick, False).max(axis=-1),
        not_estimable=np.zeros(means.shape, bool),
    ), sizes


def largest_pairs(effects: pd.DataFrame, axes: Sequence[str], count: int) -> list[tuple[str, str]]:
    """Return the pairs of axes that explain most, the largest first.

    Parameters
    ----------
    effects
        ``effects.csv``. A pair explains what its two axes do alone and together.
    """
    variance = dict(zip(effects["effect"], effects["variance"].fillna(0), strict=True))

    def explained(pair: tuple[str, str]) -> float:
        a, b = pair
        return float(sum(variance.get(name, 0) for name in (a, b, f"{a}:{b}", f"{b}:{a}")))

    return sorted(itertools.combinations(axes, 2), key=explained, reverse=True)[:count]


def by_effect(effects: pd.DataFrame, axes: Sequence[str]) -> list[str]:
    """Return the axes in the order of what they explain, alone and in pairs, the largest first.

    Parameters
    ----------
    effects
        ``effects.csv``. Axes of which it knows nothing come last.
    """
    explained = dict.fromkeys(axes, 0.0)
    known = effects[effects["order"].isin([1, 2]) & effects["variance"].notna()]
    for names, variance in zip(known["effect"].str.split(":"), known["variance"], strict=True):
        # What several effects explain together has no axes.
        for name in explained.keys() & set(names):
            explained[name] += max(variance, 0.0)
    return sorted(axes, key=lambda name: -explained[name])
