"""Heatmaps of the objective over pairs of axes."""

from __future__ import annotations

import itertools
import multiprocessing
import textwrap
from collections.abc import Mapping, Sequence
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

import matplotlib
import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.cm import ScalarMappable
from matplotlib.colors import Colormap, Normalize, to_rgba
from matplotlib.figure import Figure
from matplotlib.patches import Rectangle

from gridloom.analysis.adjusted import adjusted_means
from gridloom.figures.style import COLOUR_MAPS, MISSING, save, text_colour

#: Most cells in a row or column for which numbers are drawn.
MAX_ANNOTATED = 25


#: Marks lost trainings, which no mean includes: they diverged or their objective has no value.
LOST = "✕"

#: A cell that lost a larger share of its trainings gets no value and no colour.
MAX_LOST = 0.5


@dataclass(frozen=True)
class Heatmap:
    """The numbers of one heatmap.

    Attributes
    ----------
    rows, columns
        Names of the axes down the side and along the bottom.
    values
        Means of the objective, shape (values of rows, values of columns); NaN where there is none,
        or where more than `MAX_LOST` of the trainings are lost.
    lost, trainings
        Number of lost trainings (see `LOST`) and of all trainings; whole numbers, same shape.
    not_estimable
        Cells that cannot be compared with the others, same shape.
    subtitle
        Says what each cell shows.
    name
        File name without its suffix.
    """

    rows: str
    columns: str
    values: np.ndarray
    lost: np.ndarray
    trainings: np.ndarray
    not_estimable: np.ndarray
    subtitle: str
    name: str


def mean_heatmap(
    summary: pd.DataFrame, axes: Mapping[str, Sequence[str]], rows: str, columns: str, column: str
) -> Heatmap:
    """Average the objective over all other axes, so that cells compare like with like.

    The cells are adjusted means (see `gridloom.analysis.adjusted`). These are plain means if every
    cell has results for the same values of the other axes.

    Parameters
    ----------
    summary
        ``summary.csv`` with the axes as text.
    axes
        Axis → its values as text, in the order in which they are drawn.
    rows, columns
        Names of the axes of the heatmap.
    column
        Column of the summary, such as ``val_loss_mean``.
    """
    means = adjusted_means(summary, summary[column].to_numpy(), axes, rows, columns)
    others = [name for name in axes if name not in (rows, columns, *means.together)]
    if not others:
        subtitle = "mean of repetitions"
    elif means.adjusted_for:
        subtitle = f"mean of repetitions, adjusted for {', '.join(others)}"
    else:
        subtitle = f"mean over {', '.join(others)} and repetitions"
    if means.together:
        subtitle += f"; varying along with the two: {', '.join(means.together)}"
    return _heatmap(
        summary, axes, rows, columns, means.values, means.not_estimable, subtitle, "mean"
    )


def _heatmap(
    points: pd.DataFrame,
    axes: Mapping[str, Sequence[str]],
    rows: str,
    columns: str,
    values: np.ndarray,
    not_estimable: np.ndarray,
    subtitle: str,
    kind: str,
) -> Heatmap:
    """Count the trainings of each cell, and remove the value of cells that lost most of them."""
    grouped = points.assign(lost=points["n_diverged"] + points["n_missing"])
    counts = grouped.groupby([rows, columns])[["lost", "n_trainings"]].sum()
    lost, trainings = (
        counts[name]
        .unstack()
        .reindex(index=list(axes[rows]), columns=list(axes[columns]))
        .fillna(0)
        .to_numpy(int)
        for name in ("lost", "n_trainings")
    )
    values = np.where(lost > MAX_LOST * trainings, np.nan, values)
    name = f"heatmap_{rows}_x_{columns}_{kind}"
    return Heatmap(rows, columns, values, lost, trainings, not_estimable, subtitle, name)


def slice_heatmap(
    summary: pd.DataFrame,
    axes: Mapping[str, Sequence[str]],
    rows: str,
    columns: str,
    at: Mapping[str, str],
    column: str,
) -> Heatmap:
    """Return the objective over two axes, with all other axes held fixed.

    Parameters
    ----------
    summary, axes, rows, columns, column
        As for `mean_heatmap`.
    at
        Values of other axes, as text; axes that are not named have the best point's value.
    """
    best = _best_point(summary)
    held = {name: at.get(name, best[name]) for name in axes if name not in (rows, columns)}
    chosen = summary
    for name, value in held.items():
        chosen = chosen[chosen[name] == value]
    fixed = "at " + ", ".join(f"{name} = {value or '—'}" for name, value in held.items())
    subtitle = fixed if held else "mean of repetitions"
    means = chosen.groupby([rows, columns])[column].mean().unstack()
    values = means.reindex(index=list(axes[rows]), columns=list(axes[columns])).to_numpy()
    nowhere = np.zeros(values.shape, bool)
    return _heatmap(chosen, axes, rows, columns, values, nowhere, subtitle, "slice")


def _best_point(summary: pd.DataFrame) -> pd.Series:
    """Return the row of rank 1; of several, the one with the fewest parameters, then the first."""
    row: pd.Series = summary.sort_values(["rank", "parameters"], kind="stable").iloc[0]
    return row


def colour_scale(heatmaps: Sequence[Heatmap]) -> Normalize:
    """Return one scale for all heatmaps, so that a colour means the same value in each."""
    values = np.concatenate([heatmap.values.ravel() for heatmap in heatmaps])
    finite = values[np.isfinite(values)]
    low, high = (float(finite.min()), float(finite.max())) if finite.size else (0.0, 1.0)
    return Normalize(low, high if high > low else low + 1e-9)


def draw(
    heatmap: Heatmap,
    axes: Mapping[str, Sequence[str]],
    scale: Normalize,
    *,
    title: str,
    metric: str,
    mode: str,
) -> Figure:
    """Draw one heatmap, with the value of each cell as a number.

    Parameters
    ----------
    heatmap
        The numbers.
    axes
        Axis → its values as text, in the order in which they are drawn.
    scale
        Scale of the colours.
    title
        Title of the study.
    metric
        Name of the objective.
    mode
        ``max`` if more is better, else ``min``. The bright end of the colours, at the top of the
        bar, is better.
    """
    height, width = heatmap.values.shape
    colours = matplotlib.colormaps[COLOUR_MAPS[mode]].with_extremes(bad=MISSING)
    row_labels, column_labels = (
        [text or "—" for text in axes[name]] for name in (heatmap.rows, heatmap.columns)
    )
    longest = max(len(text) for text in [*row_labels, *column_labels, "0.0000"])
    cell = min(0.62 + 0.05 * max(longest - 6, 0), 1.4)
    drawn_width = min(max(cell * width, 2.6), 14.0)
    drawn_height = min(max(0.5 * height, 1.6), 12.0)
    figure = Figure(figsize=(drawn_width + 2.6, drawn_height + 1.5), layout="constrained")
    plot = figure.add_subplot()
    plot.imshow(np.ma.masked_invalid(heatmap.values), cmap=colours, norm=scale, aspect="auto")
    many = width > MAX_ANNOTATED or height > MAX_ANNOTATED
    turned = sum(map(len, column_labels)) * 0.09 > drawn_width
    plot.set_xticks(
        range(width),
        column_labels,
        rotation=45 if turned else 0,
        ha="right" if turned else "center",
        rotation_mode="anchor",
    )
    plot.set_yticks(range(height), row_labels)
    plot.set_xlabel(heatmap.columns)
    plot.set_ylabel(heatmap.rows)
    plot.tick_params(length=0)
    for side in plot.spines.values():
        side.set_visible(False)
    _hatch(plot, heatmap, colours, scale)
    if not many:
        _write_cells(plot, heatmap, colours, scale, drawn_width / width)
    better = "higher" if mode == "max" else "lower"
    # Two lines, because a metric's name alone may be as long as the bar.
    label = f"{metric}\n({better} is better)"
    bar = figure.colorbar(ScalarMappable(scale, colours), ax=plot, label=label)
    if mode == "min":
        bar.ax.invert_yaxis()
    bar.outline.set_visible(False)
    figure.suptitle(title, fontsize=10, fontweight="bold")
    characters = max(int((drawn_width + 2.0) * 14), 20)
    lines = [heatmap.subtitle, *_legend(heatmap)]
    plot.set_title("\n".join(textwrap.fill(line, characters) for line in lines), fontsize=8)
    # The layout takes half of the time of drawing, so it is done once and not for each file.
    figure.draw_without_rendering()
    figure.set_layout_engine("none")
    return figure


def _background(value: float, colours: Colormap, scale: Normalize) -> Any:
    return colours(scale(value)) if np.isfinite(value) else to_rgba(MISSING)


def _hatch(plot: Axes, heatmap: Heatmap, colours: Colormap, scale: Normalize) -> None:
    """Hatch the cells that lost trainings."""
    for row, column in np.argwhere(heatmap.lost > 0):
        background = _background(float(heatmap.values[row, column]), colours, scale)
        lines = to_rgba(text_colour(background), 0.4)
        plot.add_patch(
            Rectangle(
                (column - 0.5, row - 0.5),
                1,
                1,
                facecolor="none",
                edgecolor=lines,
                linewidth=0,
                hatch="////",
            )
        )


def _write_cells(
    plot: Axes, heatmap: Heatmap, colours: Colormap, scale: Normalize, cell_width: float
) -> None:
    """Write the value of each cell and the number of its lost trainings.

    Parameters
    ----------
    cell_width
        In inches.
    """
    size = min(9.0, 72 * 0.9 * cell_width / (0.62 * 6))
    digits = _digits(scale)
    for row, column in np.ndindex(heatmap.values.shape):
        value, lost = float(heatmap.values[row, column]), int(heatmap.lost[row, column])
        background = _background(value, colours, scale)
        share = f"{LOST} {lost:,} of {heatmap.trainings[row, column]:,}"
        if np.isfinite(value):
            lines = [f"{value:.{digits}f}"] + [share] * bool(lost)
        elif lost > MAX_LOST * heatmap.trainings[row, column]:
            lines = [share]
        else:
            lines = ["?" if heatmap.not_estimable[row, column] else "—"]
        heights = (5, -6) if len(lines) == 2 else (0,)
        for line, height_above in zip(lines, heights, strict=True):
            plot.annotate(
                line,
                (column, row),
                xytext=(0, height_above),
                textcoords="offset points",
                fontsize=size * 0.75 if line == share else size,
                color=text_colour(background),
                ha="center",
                va="center",
                # The lines of a hatch would make the number hard to read.
                bbox={"facecolor": background, "edgecolor": "none", "pad": 1} if lost else None,
            )


def _legend(heatmap: Heatmap) -> list[str]:
    """Explain the marks in the cells."""
    lines = []
    if heatmap.lost.any():
        none = bool((heatmap.lost > MAX_LOST * heatmap.trainings).any())
        lines.append(f"{LOST}: diverged, not in the mean" + "; no colour: over half" * none)
    if heatmap.not_estimable.any():
        lines.append("?: shares no values of the other axes with the other cells")
    return lines


def _digits(scale: Normalize) -> int:
    """Return the number of decimals that show a hundredth of the scale, 0 to 4."""
    span = float(scale.vmax or 1.0) - float(scale.vmin or 0.0)
    return int(np.clip(np.ceil(2 - np.log10(max(span, 1e-12))), 0, 4))


def draw_all(
    summary: pd.DataFrame,
    *,
    axes: Mapping[str, Sequence[str]],
    slices: Sequence[Mapping[str, Any]],
    metric: str,
    mode: str,
    title: str,
    dpi: int,
    files: Sequence[Path],
    processes: int = 1,
) -> None:
    """Draw all heatmaps of a study, on one colour scale.

    Parameters
    ----------
    summary
        ``summary.csv`` with the axes as text.
    axes
        Axis → its values as the summary spells them.
    slices
        Slices, each ``{"rows": axis, "columns": axis, "at": {axis: value}}``.
    metric, mode
        The objective; ``min`` or ``max``.
    title
        Title of the study.
    dpi
        Dots per inch of PNG files.
    files
        Files to write; a file's name says which heatmap, its suffix which format.
    processes
        Number of processes that draw at once.
    """
    column = f"{metric}_mean"
    heatmaps = [
        mean_heatmap(summary, axes, rows, columns, column)
        for rows, columns in itertools.combinations(axes, 2)
    ]
    heatmaps += [
        slice_heatmap(summary, axes, part["rows"], part["columns"], part["at"], column)
        for part in slices
    ]
    scale = colour_scale(heatmaps)
    paths = [[path for path in files if path.stem == heatmap.name] for heatmap in heatmaps]
    write = partial(_write, axes=axes, scale=scale, title=title, metric=metric, mode=mode, dpi=dpi)
    if processes == 1 or len(heatmaps) < 2:
        list(map(write, heatmaps, paths))
    else:
        with ProcessPoolExecutor(processes, multiprocessing.get_context("fork")) as pool:
            list(pool.map(write, heatmaps, paths))


def _write(
    heatmap: Heatmap,
    paths: Sequence[Path],
    *,
    axes: Mapping[str, Sequence[str]],
    scale: Normalize,
    title: str,
    metric: str,
    mode: str,
    dpi: int,
) -> None:
    figure = draw(heatmap, axes, scale, title=title, metric=metric, mode=mode)
    for path in paths:
        save(figure, path, dpi)
