"""Drawings: figures that are to be drawn, each for files of its own."""

from __future__ import annotations

import multiprocessing
from collections.abc import Callable, Sequence
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass
from functools import partial
from pathlib import Path

import matplotlib
from matplotlib.figure import Figure

from gridloom.figures.style import save


@dataclass(frozen=True)
class Drawing:
    """A figure that is to be drawn.

    Attributes
    ----------
    draw
        Draws it.
    files
        The same figure in several formats, which the suffixes say.
    """

    draw: Callable[[], Figure]
    files: Sequence[Path]


def write_all(drawings: Sequence[Drawing], *, dpi: int, processes: int = 1) -> None:
    """Draw figures and write their files.

    Parameters
    ----------
    dpi
        Dots per inch of PNG files.
    processes
        Number of processes that draw at once.
    """
    write = partial(_write, dpi=dpi)
    if processes == 1 or len(drawings) < 2:
        list(map(write, drawings))
    else:
        with ProcessPoolExecutor(processes, multiprocessing.get_context("fork")) as pool:
            list(pool.map(write, drawings))


def _write(drawing: Drawing, *, dpi: int) -> None:
    # Widths of texts depend on it, so that plots are arranged for it.
    with matplotlib.rc_context({"figure.dpi": dpi}):
        figure = drawing.draw()
    for file in drawing.files:
        save(figure, file, dpi)


def files_of(files: Sequence[Path]) -> dict[str, list[Path]]:
    """Group files by the name of their figure, which is what they are called without suffix."""
    grouped: dict[str, list[Path]] = {}
    for file in files:
        grouped.setdefault(file.stem, []).append(file)
    return grouped
