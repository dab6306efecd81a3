"""The lattice of two axes: which pairs of values a grid has, before anything is trained."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path

import numpy as np
from matplotlib.figure import Figure

from gridloom.figures.cells import NOTE, TICK, Look, width_of
from gridloom.figures.drawing import Drawing, files_of
from gridloom.figures.heatmaps import set_ticks
from gridloom.figures.page import MARGIN, SMALL, Subject, amount, finish
from gridloom.figures.places import side_by_side, to_scale
from gridloom.figures.style import COLUMN, PAGE, short_name, short_names
from gridloom.figures.wanted import lattice_names

#: Distance of two points, in inches: at most, at least in a column of a page, and at least if
#: their numbers of configurations are written beside them.
_FARTHEST, _NEAREST, _NUMBERED = 0.5, 0.2, 0.3

#: Most characters of an axis's name that are drawn.
_MAX_NAME = 30

#: Largest height of all points together, in inches.
_HEIGHT = 6.5


@dataclass(frozen=True, eq=False)
class Lattice:
    """The pairs of values of two axes.

    Attributes
    ----------
    rows, columns
        Names of the axes down the side and along the bottom.
    counts
        Number of configurations with each pair of values, int64, shape (rows, columns).
    """

    rows: str
    columns: str
    counts: np.ndarray


def read_lattice(
    axes: Mapping[str, Sequence[str]], points: Sequence[Sequence[str]], rows: str, columns: str
) -> Lattice:
    """Count the configurations with each pair of values.

    Parameters
    ----------
    axes
        Axis → its values as texts.
    points
        The value of each axis in each configuration.
    """
    names = list(axes)
    places = [names.index(axis) for axis in (rows, columns)]
    numbers = [{value: place for place, value in enumerate(axes[a])} for a in (rows, columns)]
    counts = np.zeros([len(each) for each in numbers], int)
    for point in points:
        row, column = (known[point[place]] for known, place in zip(numbers, places, strict=True))
        counts[row, column] += 1
    return Lattice(rows, columns, counts)


def lattice_drawings(
    points: Sequence[Sequence[str]],
    subject: Subject,
    scaled: Collection[str],
    files: Sequence[Path],
) -> list[Drawing]:
    """Return the lattice of each pair of axes that files are named after.

    Parameters
    ----------
    points
        See `read_lattice`.
    scaled
        Axes of numbers whose values are drawn to scale.
    """
    named = files_of(files)
    return [
        Drawing(
            partial(
                draw_lattice, read_lattice(subject.axes, points, rows, columns), subject, scaled
            ),
            named[name],
        )
        for name, (rows, columns) in lattice_names(list(subject.axes)).items()
        if name in named
    ]


def draw_lattice(lattice: Lattice, subject: Subject, scaled: Collection[str] = ()) -> Figure:
    """Draw a point for each pair of values that the grid has, on lines through the values."""
    names = (lattice.rows, lattice.columns)
    rows, columns = (
        to_scale(subject.axes[name]) if name in scaled else side_by_side(len(subject.axes[name]))
        for name in names
    )
    counts = lattice.counts[np.ix_(rows.order, columns.order)]
    labels = [
        short_names([subject.axes[name][place] or "—" for place in each.order])
        for name, each in zip(names, (rows, columns), strict=True)
    ]
    widths = [max(width_of(label, TICK) for label in each) for each in labels]
    beside = 2 * MARGIN + widths[0] + 0.35
    width = COLUMN if (COLUMN - beside) / len(columns.values) >= _NEAREST else PAGE
    across = min((width - beside) / len(columns.values), _FARTHEST)
    down = min(across, _FARTHEST, _HEIGHT / len(rows.values))
    look = Look(rows, columns, (across, down), 0, 1, marked=True)
    turned = widths[1] > columns.nearest * across - 0.04
    under = 0.35 + (0.75 * widths[1] if turned else 0)
    row_name, column_name = (short_name(subject.name(name), _MAX_NAME) for name in names)
    # At least as high as the name beside it.
    height = max(down * len(rows.values), width_of(row_name, SMALL))
    figure = Figure(figsize=(width, height + under))
    plot = figure.add_subplot()
    plot.set(xlim=columns.edges[[0, -1]], ylim=rows.edges[[-1, 0]])
    plot.hlines(rows.values, *columns.edges[[0, -1]], color="#cccccc", linewidth=0.7, zorder=1)
    plot.vlines(columns.values, *rows.edges[[0, -1]], color="#cccccc", linewidth=0.7, zorder=1)
    own = np.nonzero(counts)
    nearest = min(columns.nearest * across, rows.nearest * down)
    size = float(np.clip(72 * nearest / 4, 1.5, 6))
    plot.plot(
        columns.values[own[1]], rows.values[own[0]], "o", color="black", markersize=size, zorder=2
    )
    found = np.unique(counts[own])
    numbered = len(found) > 1 and nearest >= _NUMBERED
    if numbered:
        for row, column in zip(*own, strict=True):
            plot.annotate(
                f"{counts[row, column]:,}",
                (columns.values[column], rows.values[row]),
                xytext=(3, 3),
                textcoords="offset points",
                fontsize=NOTE,
            )
    set_ticks(plot, labels, look, turned=turned)
    plot.spines[:].set_visible(False)
    plot.set_ylabel(row_name + rows.said, fontsize=SMALL)
    plot.set_xlabel(column_name + columns.said, fontsize=SMALL)
    stands = f"Each point stands for {amount(int(found[0]), 'configuration')}."
    if len(found) > 1:
        stands = f"A point stands for {found[0]:,} to {amount(int(found[-1]), 'configuration')}"
        stands += ", the number beside it." if numbered else "."
    others = [subject.name(axis) for axis in subject.axes if axis not in names]
    return finish(
        figure,
        subject,
        "the grid",
        f"{amount(int(counts.sum()), 'configuration')}.",
        stands,
        f"These differ in {', '.join(others)}." if others else "",
        "Where there is no point, the grid has no configuration." if not counts.all() else "",
    )
