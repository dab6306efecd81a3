"""The whole grid in one picture: nested axes, those that explain most outermost."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from itertools import pairwise
from typing import Any

import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from gridloom.figures.cells import (
    LINE,
    LOST,
    PICK,
    SIZES,
    TICK,
    Lines,
    Look,
    bar_label,
    colour_scale,
    draw_bar,
    draw_cells,
    fit,
    height_of,
    mark_notes,
    number_format,
    width_of,
)
from gridloom.figures.numbers import (
    Heatmap,
    StudyNumbers,
    by_effect,
    grouped,
    mean_heatmap,
    slice_heatmap,
)
from gridloom.figures.page import MARGIN, Subject, as_sentence, frame
from gridloom.figures.places import side_by_side
from gridloom.figures.style import PAGE, short_name

#: Most rows and columns of cells. With more, the least important axes are averaged over.
MAX_ROWS, MAX_COLUMNS = 60, 48

#: Most characters of an axis's name that are drawn; and of a value, of which the first counts
#: with which a side's values take no more inches.
_MAX_NAME, _MAX_VALUE, _MAX_EXTENT = 20, (14, 10, 7, 5), 2.0

#: Font sizes of the values, the largest and the smallest, and of the axes' names, in points.
_LARGE, _SMALL, _NAME = 6.5, 5.0, 6.5

#: Largest width and height of a cell, and height of all cells together, in inches.
_WIDEST, _HIGHEST, _HEIGHT = 0.62, 0.24, 6.2

#: Height of the bar of colours with its numbers, and its own, in inches.
_BAR, _BAR_HEIGHT = 0.32, 0.09

#: Distance of labels from cells and from one another, in inches.
_GAP = 0.06

#: Stand for the axes of a side; no hyperparameter has such a name.
_ROWS, _COLUMNS = "(rows)", "(columns)"

#: How lines beside blocks and names of axes look.
_BRACKET: dict[str, Any] = {"color": "#999999", "linewidth": 0.6, "clip_on": False}
_NAMED: dict[str, Any] = {"fontsize": _NAME, "fontweight": "bold"}

_HEADING = "the whole grid"


@dataclass(frozen=True)
class Side:
    """What stands along a side of the picture; n rows or columns.

    Attributes
    ----------
    axes
        Names of the axes, the outermost first.
    values
        Their values in each row or column, as texts: n tuples, each of one text for each axis.
    """

    axes: Sequence[str]
    values: Sequence[tuple[str, ...]]

    def blocks(self, level: int) -> list[tuple[int, int, str]]:
        """Return first place, end and value of each run of equal values of an axis.

        A run ends where an axis further out changes.
        """
        outer = [value[: level + 1] for value in self.values]
        starts = [0] + [place for place, (a, b) in enumerate(pairwise(outer), 1) if a != b]
        return [
            (start, end, self.values[start][level])
            for start, end in pairwise([*starts, len(self.values)])
        ]


@dataclass(frozen=True, eq=False)
class WholeGrid:
    """The cells of the whole grid.

    Attributes
    ----------
    heatmap
        The cells.
    rows, columns
        What stands along its sides.
    averaged
        Axes that are averaged over, that which explains least last.
    sizes
        So many neighbouring rows and columns are a cell.
    """

    heatmap: Heatmap
    rows: Side
    columns: Side
    averaged: Sequence[str]
    sizes: tuple[int, int]


def read_whole_grid(study: StudyNumbers, effects: pd.DataFrame) -> WholeGrid:
    """Arrange the points of a study of two axes or more.

    From the axis that explains most to that which explains least, each stands along the side that
    has fewer cells so far. Where a side would have too many, axes are averaged over, from the last
    one on, by the rule for heatmaps of means.

    Parameters
    ----------
    effects
        ``effects.csv``.
    """
    order = by_effect(effects, list(study.axes))
    for count in range(len(order), 1, -1):
        rows, columns = _sides(study, order[:count])
        if len(rows.values) <= MAX_ROWS and len(columns.values) <= MAX_COLUMNS:
            break
    averaged = order[count:]
    nested = _nested(study, rows, columns, averaged)
    quantity = nested.objective
    if averaged:
        heatmap = mean_heatmap(nested, quantity, _ROWS, _COLUMNS)
    else:
        heatmap = slice_heatmap(nested, quantity, _ROWS, _COLUMNS, {})
    heatmap, sizes = grouped(heatmap, (MAX_ROWS, MAX_COLUMNS))
    rows, columns = (
        replace(side, values=side.values[::size])
        for side, size in zip((rows, columns), sizes, strict=True)
    )
    return WholeGrid(heatmap, rows, columns, averaged, sizes)


def _sides(study: StudyNumbers, axes: Sequence[str]) -> tuple[Side, Side]:
    """Deal axes, the most important first, to the rows and the columns."""
    columns, rows = (_side(study, []) for _ in range(2))
    for axis in axes:
        if len(columns.values) <= len(rows.values):
            columns = _side(study, [*columns.axes, axis])
        else:
            rows = _side(study, [*rows.axes, axis])
    return rows, columns


def _side(study: StudyNumbers, axes: Sequence[str]) -> Side:
    """Return the values of some axes that occur together, in the order of the axes."""
    if not axes:
        return Side((), [()])
    codes = [pd.Index(study.axes[axis]).get_indexer(pd.Index(study.summary[axis])) for axis in axes]
    occurring = np.unique(np.stack(codes, axis=1), axis=0)
    values = [
        tuple(study.axes[axis][code] for axis, code in zip(axes, row, strict=True))
        for row in occurring
    ]
    return Side(tuple(axes), values)


def _nested(
    study: StudyNumbers, rows: Side, columns: Side, averaged: Sequence[str]
) -> StudyNumbers:
    """Return a study whose axes are the two sides, and those that are averaged over."""
    summary = study.summary
    sides = {_ROWS: rows, _COLUMNS: columns}
    texts = {}
    for name, side in sides.items():
        place = {value: str(number) for number, value in enumerate(side.values)}
        points = zip(*(summary[axis] for axis in side.axes), strict=True)
        texts[name] = [place[point] for point in points]
    axes: dict[str, Sequence[str]] = {
        name: [str(number) for number in range(len(side.values))] for name, side in sides.items()
    }
    return replace(
        study,
        summary=summary.assign(**texts),
        axes={**axes, **{axis: study.axes[axis] for axis in averaged}},
    )


@dataclass(frozen=True)
class _Level:
    """The values of an axis along a side.

    Attributes
    ----------
    blocks
        First place, end and label of each run of equal values.
    turned
        Whether the labels are turned by a right angle.
    size
        Of the font, in points.
    extent
        How much room they take, in inches, across the side.
    """

    blocks: Sequence[tuple[int, int, str]]
    turned: bool
    size: float
    extent: float


def _levels(side: Side, length: float, *, upright: bool) -> list[_Level]:
    """Plan the labels of a side.

    Parameters
    ----------
    length
        Of a cell along the side, in inches.
    upright
        Whether it is the side of the rows, along which turned labels run.
    """
    for most in _MAX_VALUE:
        planned = [_level(side, level, length, most, upright) for level in range(len(side.axes))]
        if sum(level.extent for level in planned) <= _MAX_EXTENT:
            break
    return planned


def _level(side: Side, level: int, length: float, most: int, upright: bool) -> _Level:
    """Plan the labels of an axis, of so many characters at most."""
    blocks = [
        (start, end, short_name(text or "—", most)) for start, end, text in side.blocks(level)
    ]
    shortest = min(end - start for start, end, _ in blocks) * length
    size = float(np.clip(shortest * 72 / LINE, _SMALL, _LARGE))
    widest = max(width_of(label, size) for _, _, label in blocks)
    fits = widest <= shortest - 0.02
    turned = fits and widest > 0.35 if upright else not fits
    across = widest if turned != upright else LINE * size / 72
    return _Level(blocks, turned, size, across + _GAP)


def draw_whole_grid(grid: WholeGrid, study: StudyNumbers, subject: Subject) -> Figure:
    """Draw the cells, the values of the axes around them, and the bar of their colours."""
    heatmap = grid.heatmap
    words = study.words("", study.objective)
    scale = colour_scale([heatmap], words.mode)
    count = (len(grid.rows.values), len(grid.columns.values))
    height = min(_HIGHEST, _HEIGHT / count[0])
    down = _levels(grid.rows, height, upright=True)
    names = {axis: short_name(study.called(axis), _MAX_NAME) for axis in study.axes}
    beside = max(
        sum(level.extent for level in down),
        *(width_of(names[axis], _NAME, bold=True) + _GAP for axis in grid.columns.axes),
    )
    # The last label may be wider than its column.
    width = min(_WIDEST, (PAGE - 2 * MARGIN - beside - 0.15) / count[1])
    across = _levels(grid.columns, width, upright=False)
    named = [width_of(names[axis], _NAME, bold=True) for axis in grid.rows.axes]
    # Names that are wider than the values below them are turned.
    turned = [each for each, level in zip(named, down, strict=True) if each > level.extent]
    long = min(max(count[1] * width - 0.2, 3.0), PAGE - 2 * MARGIN - beside - 0.4)
    label = bar_label(scale, words, long)
    above = max([_BAR + height_of(label, TICK), *turned]) + _GAP
    below = sum(level.extent for level in across) + _GAP
    body = above + count[0] * height + below
    figure = Figure(figsize=(PAGE, body))
    texts = _texts(heatmap, number_format(scale))
    size = _size(texts, width, height)
    rows, columns = map(side_by_side, count)
    look = Look(rows, columns, (width, height), size, 1, marked=True)
    left, bottom, _, _ = frame(
        figure,
        subject,
        _HEADING,
        *_sentences(grid, look),
        *map(as_sentence, mark_notes([heatmap], words, look)),
    )
    total = figure.get_figheight()
    base = bottom + below / total
    plot = figure.add_axes(
        (left + beside / PAGE, base, count[1] * width / PAGE, count[0] * height / total)
    )
    draw_cells(plot, heatmap, scale, words.mode, look, texts)
    fit(plot, look)
    plot.set_xticks([])
    plot.set_yticks([])
    _draw_blocks(plot, grid)
    _draw_rows(plot, down, [names[axis] for axis in grid.rows.axes], look)
    _draw_columns(plot, across, [names[axis] for axis in grid.columns.axes], look)
    low = base + (count[0] * height + above - _BAR_HEIGHT) / total
    bar = figure.add_axes((left + (beside + 0.1) / PAGE, low, long / PAGE, _BAR_HEIGHT / total))
    draw_bar(figure, scale, words.mode, label, cax=bar)
    return figure


def _texts(heatmap: Heatmap, write: Callable[[float], str]) -> dict[tuple[int, int], Lines]:
    """Return what each cell says: its value, or how many trainings are lost if it has no colour."""
    texts: dict[tuple[int, int], Lines] = {}
    coloured = heatmap.coloured
    for cell in np.ndindex(*coloured.shape):
        if coloured[cell]:
            text = write(float(heatmap.values[cell]))
        elif heatmap.lost[cell]:
            text = f"{LOST} {heatmap.lost[cell]:,}"
        else:
            text = "?" if heatmap.not_estimable[cell] else ""
        texts[cell[0], cell[1]] = (f"{PICK} {text}" if heatmap.pick[cell] else text,)
    return texts


def _size(texts: Mapping[tuple[int, int], Lines], width: float, height: float) -> float:
    """Return the largest size at which all texts fit their cells; 0 if none does."""
    for size in SIZES:
        widest = max(width_of(text, size) for (text,) in texts.values())
        if widest + 0.04 <= width and LINE * size / 72 <= height:
            return size
    return 0.0


def _sentences(grid: WholeGrid, look: Look) -> list[str]:
    """Say what a cell is, how axes are ordered, and what is left out."""
    sentences = ["Each cell is one configuration: the mean of its repetitions."]
    if grid.averaged:
        sentences = [
            f"Too many configurations for a cell each: a cell is the {grid.heatmap.subtitle}. What "
            "it averages over explains least."
        ]
    if len([*grid.columns.axes, *grid.rows.axes]) > 2:
        sentences.append("Axes that explain more of the differences are further out.")
    if max(grid.sizes) > 1:
        rows, columns = grid.sizes
        sentences.append(f"A cell is the mean of {rows} × {columns} neighbouring cells.")
    if not look.size and not grid.heatmap.coloured.all():
        sentences.append("Grey: no value, or more than a quarter of the trainings lost.")
    return sentences


def _draw_blocks(plot: Axes, grid: WholeGrid) -> None:
    """Separate the blocks of all axes but the innermost."""
    for side, line in ((grid.rows, plot.axhline), (grid.columns, plot.axvline)):
        for level in range(len(side.axes) - 1):
            for start, _, _ in side.blocks(level)[1:]:
                # Below the outlines of the cells beside it.
                width = 2.2 if level == 0 else 1.4
                line(start - 0.5, color="white", linewidth=width, zorder=1.2)


def _draw_rows(plot: Axes, levels: Sequence[_Level], names: Sequence[str], look: Look) -> None:
    """Write the values of the rows to the left, the innermost next to the cells."""
    width, _ = look.cell
    right = -0.5
    for place, (level, name) in enumerate(reversed(list(zip(levels, names, strict=True)))):
        left = right - level.extent / width
        gap = _GAP / 2 / width
        if place:
            starts, ends = _brackets(level)
            plot.vlines(np.full(len(starts), right), starts, ends, **_BRACKET)
        centre, edge = (left + right) / 2, right - gap
        for start, end, label in level.blocks:
            plot.text(
                centre if level.turned else edge,
                (start + end - 1) / 2,
                label,
                fontsize=level.size,
                rotation=90 * level.turned,
                ha="center" if level.turned else "right",
                va="center",
            )
        turned = width_of(name, _NAME, bold=True) > level.extent
        plot.text(
            centre if turned else edge,
            -0.5 - _above(look),
            name,
            rotation=90 * turned,
            ha="center" if turned else "right",
            va="bottom",
            **_NAMED,
        )
        right = left


def _draw_columns(plot: Axes, levels: Sequence[_Level], names: Sequence[str], look: Look) -> None:
    """Write the values of the columns below, the innermost next to the cells."""
    width, height = look.cell
    top = look.rows.edges[-1]
    for place, (level, name) in enumerate(reversed(list(zip(levels, names, strict=True)))):
        if place:
            starts, ends = _brackets(level)
            plot.hlines(np.full(len(starts), top), starts, ends, **_BRACKET)
        first = top + _above(look)
        for start, end, label in level.blocks:
            middle = (start + end - 1) / 2
            turn = 90 if level.turned else 0
            plot.text(
                middle, first, label, fontsize=level.size, va="top", ha="center", rotation=turn
            )
        bottom = top + level.extent / height
        plot.text(-0.5 - _GAP / width, (top + bottom) / 2, name, va="center", ha="right", **_NAMED)
        top = bottom


def _brackets(level: _Level) -> tuple[np.ndarray, np.ndarray]:
    """Return between which places the line beside each block runs."""
    starts, ends = (np.array([block[which] for block in level.blocks]) for which in (0, 1))
    return starts - 0.4, ends - 0.6


def _above(look: Look) -> float:
    """Return half of the gap in units of a row."""
    return _GAP / 2 / look.cell[1]
