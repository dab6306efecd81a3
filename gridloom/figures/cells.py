"""Cells of heatmaps: their colours, marks and numbers, and the bar that explains the colours."""

from __future__ import annotations

import textwrap
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import matplotlib
import numpy as np
from matplotlib.axes import Axes
from matplotlib.cm import ScalarMappable
from matplotlib.collections import PolyCollection
from matplotlib.colors import Colormap, Normalize, to_rgba
from matplotlib.figure import Figure
from matplotlib.ticker import MaxNLocator

from gridloom.analysis.table import RESOLUTION
from gridloom.figures.numbers import MAX_LOST, Heatmap, Words
from gridloom.figures.places import Places
from gridloom.figures.style import COLOUR_MAPS, MISSING, text_colour
from gridloom.naming.metrics import Mode

#: Marks lost trainings, which no mean includes: they diverged or have no number.
LOST = "✕"

#: Marks the study's choice.
PICK = "★"

#: Sizes of the numbers in cells that are tried, in points, the largest first.
SIZES = (7.0, 6.5, 6.0, 5.5, 5.0)

#: Size of a cell's further lines, in units of that of its value.
SMALLER = 0.85

#: Sizes of other texts, in points.
TITLE, LABEL, TICK, NOTE = 8.0, 7.5, 7.0, 6.0

#: Widths of a character, plain and bold, and height of a line, in units of the size of the text;
#: upper estimates.
_CHARACTER, _BOLD, LINE = 0.62, 0.7, 1.3

Lines = tuple[str, ...]


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


@dataclass(frozen=True, eq=False)
class Look:
    """How the cells of a heatmap are drawn.

    Attributes
    ----------
    rows, columns
        Their places.
    cell
        Mean width and height of a cell, in inches.
    size
        Of the numbers, in points; 0 for no numbers.
    lines
        Most lines of a cell: one if there is room for its value only.
    marked
        Whether cells are told apart by white lines, and hatched and outlined.
    """

    rows: Places
    columns: Places
    cell: tuple[float, float]
    size: float
    lines: int
    marked: bool


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


def colour_map(mode: Mode | None) -> Colormap:
    """Return the colours from the worst to the best, and that of cells without a value."""
    return matplotlib.colormaps[COLOUR_MAPS[mode or "max"]].with_extremes(bad=MISSING)


def width_of(text: str, size: float, *, bold: bool = False) -> float:
    """Estimate the width of a text in inches."""
    return len(text) * (_BOLD if bold else _CHARACTER) * size / 72


def height_of(text: str, size: float) -> float:
    """Estimate the height of a text in inches."""
    return (text.count("\n") + 1) * LINE * size / 72


def wrapped(text: str, width: float, size: float) -> str:
    """Break a text into lines that fit a width in inches."""
    return textwrap.fill(text, max(int(width / width_of("x", size)), 10))


def number_format(scale: Scale) -> Callable[[float], str]:
    """Return how values are written: with the decimals that show a hundredth of the scale."""
    low, high = float(scale.norm.vmin or 0.0), float(scale.norm.vmax or 0.0)
    span = max(high - low, 1e-3 * max(abs(low), abs(high)))
    decimals = max(int(np.ceil(2 - np.log10(span))), 0) if span > 0 else 0

    def write(value: float) -> str:
        if decimals > 5 or abs(value) >= 1e6:
            return f"{value:.3g}"
        return f"{value:.{decimals}f}"

    return write


def draw_cells(
    plot: Axes,
    heatmap: Heatmap,
    scale: Scale,
    mode: Mode | None,
    look: Look,
    texts: Mapping[tuple[int, int], Lines],
) -> None:
    """Draw the cells' colours, marks and numbers.

    Parameters
    ----------
    mode
        Which end of the values is better.
    texts
        Lines of each cell.
    """
    across, down = look.columns.edges, look.rows.edges
    colours = colour_map(mode)
    values = np.where(heatmap.coloured, heatmap.values, np.nan)
    plot.pcolormesh(
        across,
        down,
        np.ma.masked_invalid(values),
        cmap=colours,
        norm=scale.norm,
        edgecolors="white" if look.marked else "face",
        linewidth=0.6 if look.marked else 0.0,
        rasterized=not look.marked,
    )
    if look.marked:
        _draw_marks(plot, heatmap, values, scale, colours, look)
    if look.size:
        _draw_numbers(plot, heatmap, values, scale, colours, look, texts)
    else:
        own = np.nonzero(heatmap.pick)
        star(plot, look.columns.middles[own[1]], look.rows.middles[own[0]])


def fit(plot: Axes, look: Look) -> None:
    """End a plot where its cells end, without a frame."""
    plot.set(xlim=look.columns.edges[[0, -1]], ylim=look.rows.edges[[-1, 0]])
    plot.spines[:].set_visible(False)


def star(plot: Axes, across: np.ndarray, down: np.ndarray, size: float = 8) -> None:
    """Mark places of the pick."""
    plot.plot(across, down, "*", markersize=size, color="white", markeredgecolor="black")


def _backgrounds(values: np.ndarray, scale: Scale, colours: Colormap) -> np.ndarray:
    """Return the colours of cells, float64, shape (rows, columns, 4)."""
    found: np.ndarray = colours(scale.norm(np.ma.masked_invalid(values)))
    return found


def boxes(look: Look, chosen: np.ndarray, inset: float = 0.0) -> np.ndarray:
    """Return the corners of some cells, shape (chosen cells, 4, 2).

    Parameters
    ----------
    chosen
        bool, shape (rows, columns).
    inset
        Distance of the corners from those of the cell, in inches.
    """
    rows, columns = np.nonzero(chosen)
    aside, above = (inset / length for length in look.cell)
    left, right = look.columns.edges[columns] + aside, look.columns.edges[columns + 1] - aside
    top, bottom = look.rows.edges[rows] + above, look.rows.edges[rows + 1] - above
    corners = [(left, top), (right, top), (right, bottom), (left, bottom)]
    return np.stack([np.stack(corner, axis=-1) for corner in corners], axis=1)


def _draw_marks(
    plot: Axes, heatmap: Heatmap, values: np.ndarray, scale: Scale, colours: Colormap, look: Look
) -> None:
    """Hatch the cells that lost trainings, and outline those that are tied."""
    contrast = np.empty(values.shape, object)
    backgrounds = _backgrounds(values, scale, colours)
    for cell in zip(*np.nonzero((heatmap.lost > 0) | heatmap.tied), strict=True):
        contrast[cell] = text_colour(backgrounds[cell])
    for colour in ("black", "white"):
        lost = (heatmap.lost > 0) & (contrast == colour)
        if lost.any():
            # A collection has one colour for all hatches.
            hatch: dict[str, Any] = {"hatch": "/////", "linewidths": 0}
            edge = to_rgba(colour, 0.35)
            corners = list(boxes(look, lost))
            plot.add_collection(
                PolyCollection(corners, facecolors="none", edgecolors=[edge], zorder=1.5, **hatch)
            )
    if heatmap.tied.any():
        # Thinner and nearer to the edge where cells are small.
        sides = zip((look.columns, look.rows), look.cell, strict=True)
        small = min(1.0, *(each.lengths.min() * unit / 0.3 for each, unit in sides))
        corners = list(boxes(look, heatmap.tied, (0.6 + small) / 72))
        outline: dict[str, Any] = {"edgecolors": contrast[heatmap.tied].tolist()}
        outline |= {"linewidths": 0.4 + 0.6 * small, "zorder": 1.5}
        plot.add_collection(PolyCollection(corners, facecolors="none", **outline))


def _draw_numbers(
    plot: Axes,
    heatmap: Heatmap,
    values: np.ndarray,
    scale: Scale,
    colours: Colormap,
    look: Look,
    texts: Mapping[tuple[int, int], Lines],
) -> None:
    """Write the lines of each cell."""
    spacing = LINE * look.size * 0.92 / 72 / look.cell[1]
    across, down = look.columns.middles, look.rows.middles
    backgrounds = _backgrounds(values, scale, colours)
    for (row, column), lines in texts.items():
        background = tuple(backgrounds[row, column])
        shown = lines[: look.lines]
        for place, line in enumerate(shown):
            text = plot.text(
                across[column],
                down[row] + (place - (len(shown) - 1) / 2) * spacing,
                line,
                fontsize=look.size * (SMALLER if place else 1),
                color=text_colour(background),
                ha="center",
                va="center",
            )
            text.set_in_layout(False)
            if heatmap.lost[row, column]:
                # The lines of the hatch would make it hard to read.
                text.set_bbox({"facecolor": background, "edgecolor": "none", "pad": 0.6})


def bar_label(scale: Scale, words: Words, width: float, of: str = "") -> str:
    """Return what stands at the bar of the colours, in lines of a width in inches.

    Parameters
    ----------
    of
        What it is the bar of, where a figure has several.
    """
    better = {"max": " (higher is better)", "min": " (lower is better)", None: ""}
    lines = [of, words.quantity + better[words.mode]]
    if scale.worst is not None:
        write = number_format(scale)
        end, beyond = scale.norm.vmin, "lower, down to"
        if words.mode == "min":
            end, beyond = scale.norm.vmax, "higher, up to"
        lines.append(f"darkest: {write(float(end or 0.0))} and {beyond} {write(scale.worst)}")
    return "\n".join(wrapped(line, width, TICK) for line in lines if line)


def draw_bar(figure: Figure, scale: Scale, mode: Mode | None, label: str, **place: Any) -> None:
    """Draw the bar of the colours: better is at the right, and an arrow where it is cut off.

    Parameters
    ----------
    mode
        Which end is better.
    label
        See `bar_label`.
    place
        Where, as `Figure.colorbar` takes it.
    """
    write, extend = number_format(scale), "neither"
    if scale.worst is not None:
        extend = "max" if mode == "min" else "min"
    bar = figure.colorbar(
        ScalarMappable(scale.norm, colour_map(mode)),
        extend=extend,
        orientation="horizontal",
        ticks=MaxNLocator(5),
        format=lambda value, _: write(value),
        **place,
    )
    bar.set_label(label, fontsize=TICK)
    bar.ax.tick_params(labelsize=NOTE)
    bar.outline.set_visible(False)
    if mode == "min":
        bar.ax.invert_xaxis()


def mark_notes(heatmaps: Sequence[Heatmap], words: Words, look: Look) -> list[str]:
    """Explain the pick's mark, outlines and hatches, of those that there are."""

    def anywhere(part: str) -> bool:
        return any(np.any(getattr(heatmap, part)) for heatmap in heatmaps)

    notes = []
    if anywhere("pick"):
        notes.append(f"{PICK}: the study's pick is here")
    if look.marked and anywhere("tied"):
        notes.append(f"outlined: not told apart from the best by {words.objective}")
    if look.marked and anywhere("lost"):
        mark = f"hatched, {LOST}" if look.size else "hatched"
        notes.append(f"{mark}: trainings that diverged or have no number, left out")
        if any((heatmap.lost > MAX_LOST * heatmap.trainings).any() for heatmap in heatmaps):
            notes.append("no colour: more than a quarter of its trainings")
    return notes
