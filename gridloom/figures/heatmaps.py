"""Heatmaps over pairs of axes: drawn for a column or the width of a page."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from gridloom.analysis.table import RESOLUTION
from gridloom.figures.cells import (
    LABEL,
    LINE,
    LOST,
    NOTE,
    PICK,
    SIZES,
    SMALLER,
    TICK,
    TITLE,
    Lines,
    Look,
    Scale,
    bar_label,
    colour_scale,
    draw_bar,
    draw_cells,
    fit,
    height_of,
    mark_notes,
    number_format,
    width_of,
    wrapped,
)
from gridloom.figures.drawing import Drawing, files_of
from gridloom.figures.numbers import Heatmap, StudyNumbers, Words, grouped, heatmaps_of
from gridloom.figures.places import Places, kept, side_by_side, to_scale
from gridloom.figures.style import COLUMN, PAGE, short_name, short_names
from gridloom.figures.wanted import Wanted

#: Lowest cell with numbers, and largest height of all cells together, in inches.
_LOWEST_CELL, _HEIGHT = 0.2, 6.5

#: Width of the bar of colours, height of the numbers at it, and how much shorter it is at either
#: end than the cells, in inches.
_BAR_WIDTH, _BAR_TICKS, _BAR_INSET = 0.09, 0.2, 0.15

#: Space between panels and at the edges of a figure, in inches.
_EDGE = 0.08

#: Height of a text that is slanted by 45°, in units of its width.
_SLANT = 0.75

#: An axis with more values is drawn in groups of neighbours.
MAX_VALUES = 150

#: Shortest side of a cell that is marked, in inches.
SMALLEST_MARKED = 0.08


@dataclass(frozen=True, eq=False)
class _Plan:
    """How large the parts of a figure are.

    Attributes
    ----------
    width
        Of the figure, in inches.
    across, down
        Panels side by side, and rows of panels.
    look
        Of the cells.
    """

    width: float
    across: int
    down: int
    look: Look


def _plan(
    panels: int, rows: Places, columns: Places, beside: float, texts: Sequence[Lines]
) -> _Plan:
    """Choose the narrowest figure and the largest numbers that fit.

    Parameters
    ----------
    rows, columns
        Places of the cells of a panel.
    beside
        Width in inches of what stands at its side.
    texts
        Lines of each cell.
    """
    most = max(map(len, texts))
    high, wide = (len(each.values) for each in (rows, columns))
    lowest, narrowest = (each.lengths.min() for each in (rows, columns))
    for lines in dict.fromkeys((most, 1)):
        for width in (COLUMN, PAGE) if panels == 1 else (PAGE,):
            for size in SIZES:
                sizes = (size, *[size * SMALLER] * (lines - 1))
                needed = max(
                    width_of(line, each)
                    for text in texts
                    for line, each in zip(text, sizes, strict=False)
                )
                height = max(sum(sizes) * LINE / 72 + 0.08, _LOWEST_CELL) / lowest
                across = min(panels, int((width - beside) / (wide * (needed + 0.06) / narrowest)))
                down = -(-panels // max(across, 1))
                if across and high * down * height <= _HEIGHT:
                    across = -(-panels // down)
                    cell = ((width - beside) / across / wide, height)
                    look = Look(rows, columns, cell, size, lines, marked=True)
                    return _Plan(width, across, down, look)
    across = min(panels, 3)
    down = -(-panels // across)
    cell = ((PAGE - beside) / across / wide, min(_LOWEST_CELL / lowest, _HEIGHT / high / down))
    marked = min(cell[0] * narrowest, cell[1] * lowest) >= SMALLEST_MARKED
    return _Plan(PAGE, across, down, Look(rows, columns, cell, 0, 0, marked))


def draw(
    panels: Sequence[Heatmap],
    scale: Scale,
    words: Words,
) -> Figure:
    """Draw a heatmap, or several side by side, with the evidence in each cell.

    Parameters
    ----------
    panels
        Heatmaps of the same two axes.
    scale
        Scale of the colours.
    words
        What the figure calls things.
    """
    together = [grouped(panel, (MAX_VALUES, MAX_VALUES)) for panel in panels]
    sizes = together[0][1]
    names = (panels[0].rows, panels[0].columns)
    rows, columns = (
        to_scale(words.axes[name])
        if name in words.to_scale and size == 1
        else side_by_side(len(words.axes[name][::size]))
        for name, size in zip(names, sizes, strict=True)
    )
    panels = [panel.ordered(rows.order, columns.order) for panel, _ in together]
    labels = [
        short_names([words.axes[name][::size][place] or "—" for place in each.order])
        for name, size, each in zip(names, sizes, (rows, columns), strict=True)
    ]
    texts = [_cell_texts(panel, number_format(scale)) for panel in panels]
    widths = [max(width_of(label, TICK) for label in each) for each in labels]
    every = [lines for cells in texts for lines in cells.values()]
    plan = _plan(len(panels), rows, columns, 0.4 + widths[0], every)
    look = plan.look
    turned = widths[1] > columns.nearest * look.cell[0] - 0.04
    # A slanted label begins to the left of its value.
    left = max(0.4 + widths[0], turned * (_SLANT * widths[1] - look.cell[0] / 2))
    room = plan.width - left - _EDGE
    most = max(int(room / plan.across / width_of("x", TICK)), 10)
    headings = [
        short_name(panel.heading, most) or wrapped(panel.subtitle, room, TICK) for panel in panels
    ]
    told = [panels[0].subtitle] if panels[0].heading else []
    told.append("; ".join(_notes(panels, words, look, sizes, every)))
    notes = "\n".join(wrapped(note, plan.width, NOTE) for note in told)
    title = wrapped(words.title, plan.width, TITLE)
    label = bar_label(scale, words, room)
    high = len(labels[0]) * look.cell[1]
    head = height_of(headings[0], TICK) + 0.06
    above = _EDGE + height_of(title, TITLE)
    named = _SLANT * widths[1] + 0.1 if turned else height_of("", TICK)
    bar = _EDGE + height_of(notes, NOTE) + height_of(label, TICK) + _BAR_TICKS + 0.06
    below = bar + _BAR_WIDTH + height_of("", LABEL) + named + 0.16
    height = above + plan.down * (head + high) + below
    figure = Figure(figsize=(plan.width, height))
    plots = figure.subplots(
        plan.down,
        plan.across,
        squeeze=False,
        # Axes that share nothing are made faster.
        sharex=len(panels) > 1,
        sharey=len(panels) > 1,
        # The sizes are known: matplotlib's own layout would take a quarter of the time of a figure.
        gridspec_kw={
            "left": left / plan.width,
            "right": 1 - _EDGE / plan.width,
            "bottom": below / height,
            "top": 1 - (above + head) / height,
            "wspace": _EDGE / (room / plan.across),
            "hspace": head / high,
        },
    )
    for plot, panel, cells, heading in zip(plots.flat, panels, texts, headings, strict=False):
        draw_cells(plot, panel, scale, words.mode, look, cells)
        fit(plot, look)
        # Without a height, it is looked for anew in each drawing.
        plot.set_title(heading, fontsize=TICK, pad=3, y=1.0)
        set_ticks(plot, labels, look, turned=turned)
    for plot in plots.flat[len(panels) :]:
        plot.set_axis_off()
    # Cut where it would reach beyond the figure.
    beside = 2 * (min(above + head, below) + high / 2 - _EDGE)
    most = max(int(beside / width_of("x", LABEL)), 10)
    for plot in plots[:, 0]:
        plot.set_ylabel(short_name(words.names[names[0]] + rows.said, most), fontsize=LABEL)
    for plot in plots[-1]:
        plot.set_xlabel(words.names[names[1]] + columns.said, fontsize=LABEL)
    # Its last number reaches beyond its end.
    start, long = left + _BAR_INSET, room - 2 * _BAR_INSET
    strip = (start / plan.width, bar / height, long / plan.width, _BAR_WIDTH / height)
    draw_bar(figure, scale, words.mode, label, cax=figure.add_axes(strip))
    upper = 1 - _EDGE / 2 / height
    figure.suptitle(title, y=upper, va="top", fontsize=TITLE, fontweight="bold")
    low = _EDGE / 2 / height
    figure.supxlabel(notes, x=0.02, y=low, ha="left", va="bottom", fontsize=NOTE)
    return figure


def _cell_texts(heatmap: Heatmap, write: Callable[[float], str]) -> dict[tuple[int, int], Lines]:
    """Return the lines of each cell: its value, its standard error, how many trainings."""
    texts = {}
    differ = len(np.unique(heatmap.trainings[heatmap.trainings > 0])) > 1
    for cell in np.ndindex(heatmap.values.shape):
        value, error = float(heatmap.values[cell]), float(heatmap.errors[cell])
        lost, trainings = heatmap.lost[cell], heatmap.trainings[cell]
        lines = []
        if np.isfinite(value):
            lines.append(f"{PICK} {write(value)}" if heatmap.pick[cell] else write(value))
            if np.isfinite(error):
                text = write(error)
                none = error <= RESOLUTION * abs(value)
                lines.append(f"± {text if float(text) or none else f'{error:.1g}'}")
        elif not lost:
            lines.append("?" if heatmap.not_estimable[cell] else "—")
        if lost:
            lines.append(f"{LOST} {lost:,} of {trainings:,}")
        elif differ and trainings:
            lines.append(f"n = {trainings:,}")
        texts[cell] = tuple(lines)
    return texts


def set_ticks(plot: Axes, labels: Sequence[Sequence[str]], look: Look, *, turned: bool) -> None:
    """Name the values of the axes, and leave out labels where they would overlap.

    Parameters
    ----------
    labels
        Of the rows and of the columns.
    turned
        Whether those of the columns are slanted.
    """
    width, height = look.cell
    line = LINE * TICK / 72
    rows, columns = look.rows.values, look.columns.values
    down = kept(rows, line / height)
    across = kept(columns, 1.2 * line / width) if turned else range(len(columns))
    plot.set_yticks(rows[down], [labels[0][place] for place in down], fontsize=TICK)
    plot.set_xticks(
        columns[across],
        [labels[1][place] for place in across],
        fontsize=TICK,
        rotation=45 if turned else 0,
        ha="right" if turned else "center",
        rotation_mode="anchor",
    )
    plot.tick_params(length=0)


def _notes(
    panels: Sequence[Heatmap],
    words: Words,
    look: Look,
    sizes: tuple[int, int],
    texts: Sequence[Lines],
) -> list[str]:
    """Explain the marks, and say what is left out."""
    notes = []
    if max(sizes) > 1:
        notes.append(f"each cell is the mean of {sizes[0]} × {sizes[1]} neighbouring cells")
    if not look.size:
        notes.append("too many cells for numbers")
        if not all(panel.coloured.all() for panel in panels):
            notes.append("grey: no value, or more than a quarter of the trainings lost")
    elif look.lines > 1 and any(np.isfinite(panel.errors).any() for panel in panels):
        notes.append("±: standard error over repetitions")
    notes += mark_notes(panels, words, look)
    if look.lines > 1 and any("n = " in line for text in texts for line in text):
        notes.append("n: trainings")
    if look.size and any(panel.not_estimable.any() for panel in panels):
        notes.append("?: shares no values of the other axes with the other cells")
    return notes


def heatmap_drawings(
    study: StudyNumbers, wanted: Sequence[Wanted], *, title: str, files: Sequence[Path]
) -> list[Drawing]:
    """Return the heatmaps; all of a kind and metric on one colour scale, each slice on its own.

    Parameters
    ----------
    wanted
        Heatmaps; those that no file is named after are left out.
    title
        Title of the study.
    files
        Files to write; a file's name says which heatmap, its suffix which format.
    """
    paths = files_of(files)
    drawn = [one for one in wanted if one.name in paths]
    quantities = {
        metric: study.quantity(metric) for metric in dict.fromkeys(one.metric for one in drawn)
    }
    numbers = [heatmaps_of(study, one, quantities[one.metric]) for one in drawn]
    scales = [(one.kind, one.metric, one.name * (one.kind == "slice")) for one in drawn]
    shared: dict[tuple[str, ...], list[Heatmap]] = {}
    for key, heatmaps in zip(scales, numbers, strict=True):
        shared.setdefault(key, []).extend(heatmaps)
    drawings = []
    for one, heatmaps, key in zip(drawn, numbers, scales, strict=True):
        quantity = quantities[one.metric]
        scale = colour_scale(shared[key], quantity.mode)
        draws = partial(draw, heatmaps, scale, study.words(title, quantity))
        drawings.append(Drawing(draws, paths[one.name]))
    return drawings
