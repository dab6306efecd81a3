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
from matplotlib.cm import ScalarMappable
from matplotlib.colors import Normalize
from matplotlib.figure import Figure

from gridloom.analysis.cells import meant
from gridloom.figures.style import COLOUR_MAP, MISSING, save, text_colour

#: More cells than this in a row or column are drawn without numbers.
MAX_ANNOTATED = 25


#: Marks diverged trainings.
DIVERGED = "✕"


@dataclass(frozen=True)
class Heatmap:
    """The numbers of one heatmap.

    Attributes
    ----------
    rows, columns
        Names of the axes down the side and along the bottom.
    values
        Means of the objective, shape (values of rows, values of columns); NaN where there is none.
    diverged
        Share of the trainings that diverged and so are not in the mean, same shape.
    subtitle
        What each cell is.
    name
        File name without its suffix.
    """

    rows: str
    columns: str
    values: np.ndarray
    diverged: np.ndarray
    subtitle: str
    name: str


def mean_heatmap(
    summary: pd.DataFrame, axes: Mapping[str, Sequence[str]], rows: str, columns: str, column: str
) -> Heatmap:
    """Average the objective over all points that share their values of two axes.

    Parameters
    ----------
    summary
        ``summary.csv`` with the axes as text.
    axes
        Axis → its values as text, in the order in which they are drawn.
    column
        Column of the summary, such as ``val_loss_mean``.
    """
    others = [name for name in axes if name not in (rows, columns)]
    subtitle = f"mean over {', '.join(others)} and repetitions" if others else "mean of repetitions"
    name = f"heatmap_{rows}_x_{columns}_mean"
    return Heatmap(rows, columns, *_cells(summary, axes, rows, columns, column), subtitle, name)


def _cells(
    points: pd.DataFrame, axes: Mapping[str, Sequence[str]], rows: str, columns: str, column: str
) -> tuple[np.ndarray, np.ndarray]:
    """Return, for each pair of values, the mean over points and the share that diverged."""
    index, across = list(axes[rows]), list(axes[columns])
    grouped = points.groupby([rows, columns])
    counts = grouped[["n", "n_diverged"]].sum()
    share = counts["n_diverged"] / counts.sum(axis=1)
    return (
        grouped[column].mean().unstack().reindex(index=index, columns=across).to_numpy(),
        share.unstack().reindex(index=index, columns=across).fillna(0).to_numpy(),
    )


def slice_heatmap(
    summary: pd.DataFrame,
    axes: Mapping[str, Sequence[str]],
    rows: str,
    columns: str,
    at: Mapping[str, str],
    column: str,
) -> Heatmap:
    """Take the objective where all axes but two are held at one value.

    Parameters
    ----------
    at
        Values of other axes, as text; those not named are the best point's.
    """
    best = summary.sort_values("rank").iloc[0]
    held = {name: at.get(name, best[name]) for name in axes if name not in (rows, columns)}
    chosen = summary
    for name, value in held.items():
        chosen = chosen[chosen[name] == value]
    told = "at " + ", ".join(f"{name} = {value or '—'}" for name, value in held.items())
    subtitle = told if held else "mean of repetitions"
    name = f"heatmap_{rows}_x_{columns}_slice"
    return Heatmap(rows, columns, *_cells(chosen, axes, rows, columns, column), subtitle, name)


def colour_scale(heatmaps: Sequence[Heatmap]) -> Normalize:
    """Return one scale for all heatmaps, so that a colour means one value everywhere."""
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
    label: str,
) -> Figure:
    """Draw one heatmap; a cell's number is its value.

    Parameters
    ----------
    title
        Of the study.
    label
        Of the colour bar: what the values are.
    """
    height, width = heatmap.values.shape
    colours = matplotlib.colormaps[COLOUR_MAP].with_extremes(bad=MISSING)
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
    if not many:
        size = min(9.0, 72 * 0.9 * drawn_width / width / (0.62 * 6))
        digits = _digits(scale)
        for row, column in np.ndindex(height, width):
            value = heatmap.values[row, column]
            share = heatmap.diverged[row, column]
            text = f"{value:.{digits}f}" if np.isfinite(value) else "—"
            colour = text_colour(colours(scale(value))) if np.isfinite(value) else "black"
            lines = [(text, size, 4 if share else 0)]
            if share:
                lines.append((f"{DIVERGED} {max(round(float(share) * 100), 1)} %", size * 0.75, -7))
            for line, points, height_above in lines:
                plot.annotate(
                    line,
                    (column, row),
                    xytext=(0, height_above),
                    textcoords="offset points",
                    fontsize=points,
                    color=colour,
                    ha="center",
                    va="center",
                )
    bar = figure.colorbar(ScalarMappable(scale, colours), ax=plot, label=label)
    bar.outline.set_visible(False)
    figure.suptitle(title, fontsize=10, fontweight="bold")
    characters = max(int((drawn_width + 2.0) * 14), 20)
    subtitle = textwrap.fill(heatmap.subtitle, characters)
    if heatmap.diverged.any():
        subtitle += f"\n{DIVERGED} share of trainings that diverged, not in the mean"
    plot.set_title(subtitle, fontsize=8)
    # Laid out once, not once a file: that is half of the time of drawing.
    figure.draw_without_rendering()
    figure.set_layout_engine("none")
    return figure


def _digits(scale: Normalize) -> int:
    """Return the decimals that tell a hundredth of the scale apart, 0 to 4."""
    span = float(scale.vmax or 1.0) - float(scale.vmin or 0.0)
    return int(np.clip(np.ceil(2 - np.log10(max(span, 1e-12))), 0, 4))


def draw_all(
    summary: Path,
    *,
    axes: Mapping[str, Sequence[str]],
    slices: Sequence[Mapping[str, Any]],
    metric: str,
    title: str,
    dpi: int,
    files: Sequence[Path],
    processes: int = 1,
) -> None:
    """Draw all heatmaps of a study, on one colour scale.

    Parameters
    ----------
    summary
        ``summary.csv``.
    axes
        Axis → its values as the summary spells them.
    slices
        ``{"rows": axis, "columns": axis, "at": {axis: value}}`` each.
    metric
        The objective.
    files
        Files to write; their names and suffixes say what.
    processes
        How many draw at once.
    """
    table = pd.read_csv(
        summary,
        dtype=dict.fromkeys(axes, str),
        keep_default_na=False,
        na_values={f"{metric}_mean": [""]},
    )
    table = table.assign(**{name: table[name].map(meant) for name in axes})
    if "partial" in table:
        title = f"{title}: {table['partial'].iloc[0]}"
    column = f"{metric}_mean"
    heatmaps = [
        mean_heatmap(table, axes, rows, columns, column)
        for rows, columns in itertools.combinations(axes, 2)
    ]
    heatmaps += [
        slice_heatmap(table, axes, part["rows"], part["columns"], part["at"], column)
        for part in slices
    ]
    scale = colour_scale(heatmaps)
    paths = [[path for path in files if path.stem == heatmap.name] for heatmap in heatmaps]
    write = partial(_write, axes=axes, scale=scale, title=title, label=metric, dpi=dpi)
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
    label: str,
    dpi: int,
) -> None:
    figure = draw(heatmap, axes, scale, title=title, label=label)
    for path in paths:
        save(figure, path, dpi)
