"""The figures of a study's grid: heatmaps, a line, or a text that says why there is none."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from functools import partial
from pathlib import Path

import pandas as pd

from gridloom.figures.drawing import Drawing, files_of, write_all
from gridloom.figures.heatmaps import heatmap_drawings
from gridloom.figures.lines import draw_line, read_line
from gridloom.figures.numbers import StudyNumbers, largest_pairs
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
    study, wanted, title, files
        See `gridloom.figures.heatmaps.heatmap_drawings`.
    dpi, processes
        See `gridloom.figures.drawing.write_all`.
    """
    if not study.axes:
        for file in files:
            write_text(file, f"{NO_FIGURE}\n")
        return
    drawings = _drawings(study, wanted, effects, study.titled(title), files)
    write_all(drawings, dpi=dpi, processes=processes)


def _drawings(
    study: StudyNumbers, wanted: Sequence[Wanted], effects: Path, title: str, files: Sequence[Path]
) -> list[Drawing]:
    """Return the heatmaps of two axes or more, or a line along one."""
    if len(study.axes) == 1:
        ((axis, values),) = study.axes.items()
        metric, mode = study.metric, study.mode
        line = read_line(study.summary, study.runs, axis, values, metric, mode)
        draw = partial(draw_line, line, title=title, metric=metric, mode=mode, labels=study.labels)
        own = files_of(files).get(f"line_{axis}", [])
        return [Drawing(draw, own)] if own else []
    if any(one.place is not None for one in wanted):
        pairs = largest_pairs(pd.read_csv(effects), list(study.axes), LARGEST)
        wanted = [
            one
            if one.place is None
            else replace(one, rows=pairs[one.place][0], columns=pairs[one.place][1])
            for one in wanted
        ]
    return heatmap_drawings(study, wanted, title=title, files=files)
