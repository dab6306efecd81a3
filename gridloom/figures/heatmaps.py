"""Heatmaps over pairs of axes: drawn for a column or the width of a page."""

from __future__ import annotations

import multiprocessing
import textwrap
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass
from functools import partial
from pathlib import Path

import matplotlib
import numpy as np
from matplotlib.axes import Axes
from matplotlib.cm import ScalarMappable
from matplotlib.colors import Colormap, Normalize, to_rgba
from matplotlib.figure import Figure
from matplotlib.layout_engine import ConstrainedLayoutEngine
from matplotlib.patches import Rectangle
from matplotlib.ticker import MaxNLocator

from gridloom.analysis.table import RESOLUTION
from gridloom.figures.numbers import MAX_LOST, Heatmap, StudyNumbers, Words, grouped, heatmaps_of
from gridloom.figures.style import (
    COLOUR_MAPS,
    COLUMN,
    MISSING,
    PAGE,
    save,
    short_names,
    text_colour,
)
from gridloom.figures.wanted import Wanted
from gridloom.naming.metrics import Mode

#: Marks lost trainings, which no mean includes: they diverged or have no number.
LOST = "✕"

#: Marks the study's choice.
PICK = "★"

#: Sizes of the numbers in cells that are tried, in points, the largest first.
_SIZES = (7.0, 6.5, 6.0, 5.5, 5.0)

#: Size of a cell's further lines, in units of that of its value.
_SMALLER = 0.85

#: Sizes of other texts, in points.
_TITLE, _LABEL, _TICK, _NOTE = 8.0, 7.5, 7.0, 6.0

#: Width of a character and height of a line, in units of the size of the text; upper estimates.
_CHARACTER, _LINE = 0.62, 1.3

#: Lowest cell with numbers, and largest height of all cells together, in inches.
_LOWEST_CELL, _HEIGHT = 0.2, 6.5

#: Width of the bar of colours, and its height with numbers and label, in inches.
_BAR_WIDTH, _BAR_HEIGHT = 0.09, 0.75

#: An axis with more values is drawn in groups of neighbours.
MAX_VALUES = 150

_Lines = tuple[str, ...]


@dataclass(frozen=True)
class Scale:
    """Colours of values.

    Attributes
    ----------
    norm
        From values to 0 … 1.
    worst
        The worst value, if it is beyond the scale; else None.
    """

    norm: Normalize
    worst: float | None = None


def colour_scale(heatmaps: Sequence[Heatmap], mode: Mode | None) -> Scale:
    """Return one scale for several heatmaps, so that a colour means the same value in each.

    The better half of the cells gets at least half of the colours: where a few bad cells would
    take most of them, the scale ends at twice the distance from the best value to the median, and
    all worse cells have its last colour. It is at least four standard errors wide, so that noise
    alone does not look like large differences.

    Parameters
    ----------
    mode
        Which end is better; None if it is not known, and then no end is cut off.
    """
    coloured = [heatmap.coloured for heatmap in heatmaps]
    pairs = list(zip(heatmaps, coloured, strict=True))
    values = np.concatenate([heatmap.values[cells] for heatmap, cells in pairs])
    errors = np.concatenate([heatmap.errors[cells] for heatmap, cells in pairs])
    if not len(values):
        return Scale(Normalize(0.0, 1.0))
    sign = -1.0 if mode == "min" else 1.0
    best, worst = float((sign * values).max()), float((sign * values).min())
    end = worst
    half = best - float(np.median(sign * values))
    rounding = RESOLUTION * abs(best)
    if mode is not None and half > rounding and best - worst > 3 * half:
        end = best - 2 * half
    if np.isfinite(errors).any():
        end = min(end, best - 4 * float(np.nanmedian(errors)))
    if best - end <= rounding:
        end = best - 0.1 * max(abs(best), 1.0)
    low, high = sorted((sign * end, sign * best))
    return Scale(Normalize(low, high), sign * worst if worst < end else None)


@dataclass(frozen=True)
class _Plan:
    """How large the parts of a figure are.

    Attributes
    ----------
    width
        Of the figure, in inches.
    cell
        Width and height of a cell, in inches.
    across, down
        Panels side by side, and rows of panels.
    size
        Of the numbers, in points; 0 for no numbers.
    lines
        Most lines of a cell: one if there is room for its value only.
    """

    width: float
    cell: tuple[float, float]
    across: int
    down: int
    size: float
    lines: int


def _plan(panels: int, shape: tuple[int, int], beside: float, texts: Sequence[_Lines]) -> _Plan:
    """Choose the narrowest figure and the largest numbers that fit.

    Parameters
    ----------
    shape
        Rows and columns of a panel.
    beside
        Width in inches of what stands at its side.
    texts
        Lines of each cell.
    """
    rows, columns = shape
    most = max(map(len, texts))
    for lines in dict.fromkeys((most, 1)):
        for width in (COLUMN, PAGE) if panels == 1 else (PAGE,):
            for size in _SIZES:
                sizes = (size, *[size * _SMALLER] * (lines - 1))
                needed = max(
                    _width(line, each)
                    for text in texts
                    for line, each in zip(text, sizes, strict=False)
                )
                height = max(sum(sizes) * _LINE / 72 + 0.08, _LOWEST_CELL)
                across = min(panels, int((width - beside) / (columns * (needed + 0.06))))
                down = -(-panels // max(across, 1))
                if across and rows * down * height <= _HEIGHT:
                    across = -(-panels // down)
                    cell = ((width - beside) / across / columns, height)
                    return _Plan(width, cell, across, down, size, lines)
    across = min(panels, 3)
    down = -(-panels // across)
    cell = ((PAGE - beside) / across / columns, min(_LOWEST_CELL, _HEIGHT / rows / down))
    return _Plan(PAGE, cell, across, down, 0, 0)


def _width(text: str, size: float) -> float:
    """Estimate the width of a text in inches."""
    return len(text) * _CHARACTER * size / 72


def _wrapped(text: str, width: float, size: float) -> str:
    """Break a text into lines that fit a width in inches."""
    return textwrap.fill(text, max(int(width / _width("x", size)), 10))


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
    together = [grouped(panel, MAX_VALUES) for panel in panels]
    panels, sizes = [panel for panel, _ in together], together[0][1]
    names = (panels[0].rows, panels[0].columns)
    labels = [
        short_names([text or "—" for text in words.axes[name][::size]])
        for name, size in zip(names, sizes, strict=True)
    ]
    texts = [_cell_texts(panel, _number_format(scale)) for panel in panels]
    widths = [max(_width(label, _TICK) for label in each) for each in labels]
    every = [lines for cells in texts for lines in cells.values()]
    plan = _plan(len(panels), panels[0].values.shape, 0.4 + widths[0], every)
    turned = widths[1] > plan.cell[0] - 0.04
    headings = [panel.heading or _wrapped(panel.subtitle, plan.width, _TICK) for panel in panels]
    told = [panels[0].subtitle] if panels[0].heading else []
    told.append("; ".join(_notes(panels, words, plan, sizes, every)))
    notes = "\n".join(_wrapped(note, plan.width, _NOTE) for note in told)
    title = _wrapped(words.title, plan.width, _TITLE)
    panel_height = (
        _height(headings[0], _TICK)
        + len(labels[0]) * plan.cell[1]
        + (0.35 + 0.75 * widths[1] if turned else 0.35)
    )
    around = _height(title, _TITLE) + _BAR_HEIGHT + _height(notes, _NOTE)
    layout = ConstrainedLayoutEngine(h_pad=0.02)
    figure = Figure(figsize=(plan.width, plan.down * panel_height + around), layout=layout)
    plots = figure.subplots(plan.down, plan.across, squeeze=False, sharex=True, sharey=True)
    colours = matplotlib.colormaps[COLOUR_MAPS[words.mode or "max"]].with_extremes(bad=MISSING)
    for plot, panel, cells, heading in zip(plots.flat, panels, texts, headings, strict=False):
        _draw_cells(plot, panel, colours, scale, plan, cells)
        plot.set_title(heading, fontsize=_TICK)
        _set_ticks(plot, labels, plan, turned=turned)
    for plot in plots.flat[len(panels) :]:
        plot.set_axis_off()
    for plot in plots[:, 0]:
        plot.set_ylabel(words.names[names[0]], fontsize=_LABEL)
    for plot in plots[-1]:
        plot.set_xlabel(words.names[names[1]], fontsize=_LABEL)
    _draw_bar(figure, plots.ravel().tolist(), colours, scale, words)
    figure.suptitle(title, fontsize=_TITLE, fontweight="bold")
    figure.supxlabel(notes, x=0.02, ha="left", fontsize=_NOTE)
    # Once, not for each file: this takes as long as drawing.
    layout.execute(figure)
    figure.set_layout_engine("none")
    return figure


def _height(text: str, size: float) -> float:
    """Estimate the height of a text in inches."""
    return (text.count("\n") + 1) * _LINE * size / 72


def _number_format(scale: Scale) -> Callable[[float], str]:
    """Return how values are written: with the decimals that show a hundredth of the scale."""
    low, high = float(scale.norm.vmin or 0.0), float(scale.norm.vmax or 0.0)
    span = max(high - low, 1e-3 * max(abs(low), abs(high)))
    decimals = max(int(np.ceil(2 - np.log10(span))), 0) if span > 0 else 0

    def write(value: float) -> str:
        if decimals > 5 or abs(value) >= 1e6:
            return f"{value:.3g}"
        return f"{value:.{decimals}f}"

    return write


def _cell_texts(heatmap: Heatmap, write: Callable[[float], str]) -> dict[tuple[int, int], _Lines]:
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
                lines.append(f"± {text if float(text) or not error else f'{error:.1g}'}")
        elif not lost:
            lines.append("?" if heatmap.not_estimable[cell] else "—")
        if lost:
            lines.append(f"{LOST} {lost:,} of {trainings:,}")
        elif differ and trainings:
            lines.append(f"n = {trainings:,}")
        texts[cell] = tuple(lines)
    return texts


def _draw_cells(
    plot: Axes,
    heatmap: Heatmap,
    colours: Colormap,
    scale: Scale,
    plan: _Plan,
    texts: Mapping[tuple[int, int], _Lines],
) -> None:
    """Draw the cells' colours, marks and numbers."""
    rows, columns = heatmap.values.shape
    values = np.where(heatmap.coloured, heatmap.values, np.nan)
    plot.pcolormesh(
        np.arange(columns + 1) - 0.5,
        np.arange(rows + 1) - 0.5,
        np.ma.masked_invalid(values),
        cmap=colours,
        norm=scale.norm,
        edgecolors="white" if plan.size else "face",
        linewidth=0.6 if plan.size else 0.0,
        rasterized=not plan.size,
    )
    plot.set(xlim=(-0.5, columns - 0.5), ylim=(rows - 0.5, -0.5))
    plot.spines[:].set_visible(False)
    if not plan.size:
        down, right = np.nonzero(heatmap.pick)
        plot.plot(right, down, "*", markersize=8, color="white", markeredgecolor="black")
        return
    # In units of a cell.
    aside, above = (1.6 / 72 / length for length in plan.cell)
    for (row, column), lines in texts.items():
        value = values[row, column]
        background = colours(scale.norm(value)) if np.isfinite(value) else to_rgba(MISSING)
        colour = text_colour(background)
        if heatmap.lost[row, column]:
            box = Rectangle((column - 0.5, row - 0.5), 1, 1, linewidth=0, fill=False)
            box.set(hatch="/////", edgecolor=to_rgba(colour, 0.35))
            plot.add_patch(box)
        if heatmap.tied[row, column]:
            corner = (column - 0.5 + aside, row - 0.5 + above)
            size = (1 - 2 * aside, 1 - 2 * above)
            plot.add_patch(Rectangle(*(corner, *size), fill=False, edgecolor=colour, linewidth=1))
        shown = lines[: plan.lines]
        spacing = _LINE * plan.size * 0.92 / 72 / plan.cell[1]
        for place, line in enumerate(shown):
            text = plot.text(
                column,
                row + (place - (len(shown) - 1) / 2) * spacing,
                line,
                fontsize=plan.size * (_SMALLER if place else 1),
                color=colour,
                ha="center",
                va="center",
            )
            text.set_in_layout(False)
            if heatmap.lost[row, column]:
                # The lines of the hatch would make it hard to read.
                text.set_bbox({"facecolor": background, "edgecolor": "none", "pad": 0.6})


def _set_ticks(plot: Axes, labels: Sequence[Sequence[str]], plan: _Plan, *, turned: bool) -> None:
    """Name the values of the axes, and leave out labels where they would overlap."""
    width, height = plan.cell
    line = _LINE * _TICK / 72
    every = int(np.ceil(line / height)), int(np.ceil(1.2 * line / width)) if turned else 1
    places = [range(0, len(names), step) for names, step in zip(labels, every, strict=True)]
    rows, columns = (
        [names[place] for place in some] for names, some in zip(labels, places, strict=True)
    )
    plot.set_yticks(places[0], rows, fontsize=_TICK)
    plot.set_xticks(
        places[1],
        columns,
        fontsize=_TICK,
        rotation=45 if turned else 0,
        ha="right" if turned else "center",
        rotation_mode="anchor",
    )
    plot.tick_params(length=0)


def _draw_bar(
    figure: Figure, plots: Sequence[Axes], colours: Colormap, scale: Scale, words: Words
) -> None:
    """Draw the bar of the colours: better is at the right, and an arrow where it is cut off."""
    label, extend, write = words.quantity, "neither", _number_format(scale)
    if words.mode is not None:
        label += f" ({'higher' if words.mode == 'max' else 'lower'} is better)"
    if scale.worst is not None:
        extend, end, beyond = "min", scale.norm.vmin, "lower, down to"
        if words.mode == "min":
            extend, end, beyond = "max", scale.norm.vmax, "higher, up to"
        label += f"\ndarkest: {write(float(end or 0.0))} and {beyond} {write(scale.worst)}"
    bar = figure.colorbar(
        ScalarMappable(scale.norm, colours),
        ax=plots,
        location="bottom",
        extend=extend,
        aspect=figure.get_figwidth() / _BAR_WIDTH,
        pad=0.02,
        ticks=MaxNLocator(5),
        format=lambda value, _: write(value),
    )
    bar.set_label(label, fontsize=_TICK)
    bar.ax.tick_params(labelsize=_NOTE)
    bar.outline.set_visible(False)
    if words.mode == "min":
        bar.ax.invert_xaxis()


def _notes(
    panels: Sequence[Heatmap],
    words: Words,
    plan: _Plan,
    sizes: tuple[int, int],
    texts: Sequence[_Lines],
) -> list[str]:
    """Explain the marks, and say what is left out."""

    def anywhere(part: str) -> bool:
        return any(np.any(getattr(panel, part)) for panel in panels)

    notes = []
    if max(sizes) > 1:
        notes.append(f"each cell is the mean of {sizes[0]} × {sizes[1]} neighbouring cells")
    if not plan.size:
        notes.append("too many cells for numbers")
        if not all(panel.coloured.all() for panel in panels):
            notes.append("grey: no value, or more than a quarter of the trainings lost")
    elif plan.lines > 1 and any(np.isfinite(panel.errors).any() for panel in panels):
        notes.append("±: standard error over repetitions")
    if anywhere("pick"):
        notes.append(f"{PICK}: the study's pick is here")
    if plan.size and anywhere("tied"):
        notes.append(f"outlined: not told apart from the best by {words.objective}")
    if plan.size and anywhere("lost"):
        notes.append(f"hatched, {LOST}: trainings that diverged or have no number, left out")
        if any((panel.lost > MAX_LOST * panel.trainings).any() for panel in panels):
            notes.append("no colour: more than a quarter of its trainings")
    if plan.lines > 1 and any("n = " in line for text in texts for line in text):
        notes.append("n: trainings")
    if plan.size and anywhere("not_estimable"):
        notes.append("?: shares no values of the other axes with the other cells")
    return notes


def draw_all(
    study: StudyNumbers,
    wanted: Sequence[Wanted],
    *,
    title: str,
    dpi: int,
    files: Sequence[Path],
    processes: int = 1,
) -> None:
    """Draw heatmaps; all of a kind and metric on one colour scale, each slice on its own.

    Parameters
    ----------
    wanted
        Heatmaps; those that no file is named after are left out.
    title
        Title of the study.
    dpi
        Dots per inch of PNG files.
    files
        Files to write; a file's name says which heatmap, its suffix which format.
    processes
        Number of processes that draw at once.
    """
    paths = {one.name: [path for path in files if path.stem == one.name] for one in wanted}
    drawn = [one for one in wanted if paths[one.name]]
    quantities = {
        metric: study.quantity(metric) for metric in dict.fromkeys(one.metric for one in drawn)
    }
    numbers = [heatmaps_of(study, one, quantities[one.metric]) for one in drawn]
    scales = [(one.kind, one.metric, one.name * (one.kind == "slice")) for one in drawn]
    shared: dict[tuple[str, ...], list[Heatmap]] = {}
    for key, heatmaps in zip(scales, numbers, strict=True):
        shared.setdefault(key, []).extend(heatmaps)
    parts = (
        numbers,
        [
            colour_scale(shared[key], quantities[one.metric].mode)
            for key, one in zip(scales, drawn, strict=True)
        ],
        [study.words(title, quantities[one.metric]) for one in drawn],
        [paths[one.name] for one in drawn],
    )
    write = partial(_write, dpi=dpi)
    if processes == 1 or len(drawn) < 2:
        list(map(write, *parts))
    else:
        with ProcessPoolExecutor(processes, multiprocessing.get_context("fork")) as pool:
            list(pool.map(write, *parts))


def _write(
    heatmaps: Sequence[Heatmap], scale: Scale, words: Words, paths: Sequence[Path], *, dpi: int
) -> None:
    figure = draw(heatmaps, scale, words)
    for path in paths:
        save(figure, path, dpi)
