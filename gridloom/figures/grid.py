"""The figures of a study's grid: heatmaps, a line, or a text that says why there is none."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import pandas as pd

from gridloom.figures.heatmaps import draw_all
from gridloom.figures.lines import draw_line, read_line
from gridloom.figures.numbers import StudyNumbers, largest_pairs
from gridloom.figures.style import save
from gridloom.figures.wanted import LARGEST, Wanted
from gridloom.files import write_text

#: What stands in place of a figure where the grid has no axis.
NO_FIGURE = (
    "The grid has one configuration, so there is nothing to compare and no heatmap. Its numbers "
    "are in summary.csv; give a hyperparameter several values for heatmaps."
)


def draw_grid(
    study: StudyNumbers,
    wanted: Sequence[Wanted],
    effects: Path,
    *,
    title: str,
    dpi: int,
    files: Sequence[Path],
    processes: int = 1,
) -> None:
    """Draw heatmaps of two axes or more, or a line along one; without axes, write why not.

    Parameters
    ----------
    effects
        ``effects.csv``; read for a grid of very many axes.
    study, wanted, title, dpi, files, processes
        See `gridloom.figures.heatmaps.draw_all`.
    """
    if "partial" in study.summary:
        title = f"{title}: {study.summary['partial'].iloc[0]}"
    if len(study.axes) > 1:
        if any(one.place is not None for one in wanted):
            pairs = largest_pairs(pd.read_csv(effects), list(study.axes), LARGEST)
            wanted = [
                one
                if one.place is None
                else replace(one, rows=pairs[one.place][0], columns=pairs[one.place][1])
                for one in wanted
            ]
        draw_all(study, wanted, title=title, dpi=dpi, files=files, processes=processes)
    elif study.axes:
        ((axis, values),) = study.axes.items()
        metric, mode = study.metric, study.mode
        line = read_line(study.summary, study.runs, axis, values, metric, mode)
        figure = draw_line(line, title=title, metric=metric, mode=mode, labels=study.labels)
        for file in files:
            save(figure, file, dpi)
    else:
        for file in files:
            write_text(file, f"{NO_FIGURE}\n")
