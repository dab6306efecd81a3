"""The figures of a study's grid: drawn, and those of an earlier grid removed."""

from __future__ import annotations

import re
from collections.abc import Collection, Mapping, Sequence
from pathlib import Path
from typing import Any

from gridloom.analysis.cells import read_csv
from gridloom.figures.heatmaps import draw_all
from gridloom.figures.lines import draw_line, read_line
from gridloom.figures.style import save
from gridloom.files import write_text

#: What stands in place of a figure where the grid has no axis.
NO_FIGURE = (
    "The grid has one configuration, so there is nothing to compare and no figure. Its numbers are "
    "in summary.csv; give a hyperparameter several values for figures."
)

#: Names of the files that this module writes.
_OURS = re.compile(r"(heatmap_.+_x_.+_(mean|slice)|line_.+)\.(png|svg|pdf)|no_figure\.txt")


def draw_grid(
    summary: Path,
    runs: Path,
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
    """Draw heatmaps of two axes or more, or a line along one; without axes, write why not.

    Parameters
    ----------
    summary, runs
        ``summary.csv`` and ``runs.csv``.
    axes, slices, metric, mode, title, dpi, files, processes
        See `gridloom.figures.heatmaps.draw_all`.
    """
    points = read_csv(summary, axes)
    if "partial" in points:
        title = f"{title}: {points['partial'].iloc[0]}"
    if len(axes) > 1:
        draw_all(
            points,
            axes=axes,
            slices=slices,
            metric=metric,
            mode=mode,
            title=title,
            dpi=dpi,
            files=files,
            processes=processes,
        )
    elif axes:
        ((axis, values),) = axes.items()
        line = read_line(points, read_csv(runs, axes), axis, values, metric, mode)
        figure = draw_line(line, title=title, metric=metric, mode=mode)
        for file in files:
            save(figure, file, dpi)
    else:
        for file in files:
            write_text(file, f"{NO_FIGURE}\n")


def remove_earlier(folder: Path, files: Collection[Path]) -> list[Path]:
    """Remove the figures of an earlier grid from a folder, and return them.

    Parameters
    ----------
    files
        The figures of today's grid. Files with other names than such figures have stay, too.
    """
    kept = {file.name for file in files}
    earlier = [
        file
        for file in sorted(folder.iterdir())
        if _OURS.fullmatch(file.name) and file.name not in kept
    ]
    for file in earlier:
        file.unlink()
    return earlier
