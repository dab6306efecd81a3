"""Who was left after each round of `snakemake confirm`."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path

import numpy as np
from matplotlib.figure import Figure
from matplotlib.lines import Line2D
from matplotlib.ticker import FuncFormatter, MaxNLocator, NullFormatter

from gridloom.analysis.pick import Pick
from gridloom.analysis.rounds import Gone, Round
from gridloom.figures.drawing import Drawing, write_all
from gridloom.figures.page import (
    OTHERS,
    PICK_MARK,
    TIED,
    Subject,
    amount,
    bare,
    finish,
    label_rows,
    shown,
    tabulate,
)
from gridloom.figures.style import PAGE, SERIES
from gridloom.naming.points import read_path
from gridloom.naming.values import table_text

#: Most configurations that have a line: those that were left longest.
MAX_ROWS = 20

#: Inches for the values of the axes beside the rows.
_TABLE = 3.3

#: More configurations than so many are counted on a logarithmic scale.
_MANY = 30

#: What becomes of a configuration.
LEFT, BEATEN, DIVERGED = "left at the end", "beaten", "diverged or without a number"

_COLOURS = {LEFT: TIED, BEATEN: OTHERS, DIVERGED: SERIES[1]}


@dataclass(frozen=True)
class Survivors:
    """The rounds of a confirmation.

    Attributes
    ----------
    ends
        Repetitions after which each round ended, int64, shape (rounds,).
    left
        How many configurations were left then, int64, shape (rounds,).
    changes, counts
        Each number of repetitions after which somebody left, and how many were left then, from
        all at 0 on; int64, equal shapes.
    values
        Axis → its value in each configuration that has a line; those that were left longest first.
    until
        Repetitions after which each of these left, or that the rounds ended with, int64.
    fates
        What became of each: `LEFT`, `BEATEN` or `DIVERGED`.
    not_drawn
        Number of configurations without a line.
    rule
        Why the pick was chosen.
    """

    ends: np.ndarray
    left: np.ndarray
    changes: np.ndarray
    counts: np.ndarray
    values: Mapping[str, Sequence[str]]
    until: np.ndarray
    fates: Sequence[str]
    not_drawn: int
    rule: str


def read_survivors(rounds: Sequence[Round], pick: Pick, subject: Subject) -> Survivors:
    """Take who was left from the rounds; the first one left at the end is the pick."""
    last = rounds[-1]
    gone = {point: one for each in rounds for point, one in each.gone.items()}
    leaving = sorted(gone, key=lambda point: -gone[point].at)
    all_points = [*last.left, *leaving]
    drawn = all_points[:MAX_ROWS]
    until = {point: gone[point].at if point in gone else last.repetitions for point in drawn}
    changes, leavers = np.unique([one.at for one in gone.values()], return_counts=True)
    counts = len(all_points) - np.concatenate([[0], np.cumsum(leavers)])
    texts = {
        axis: [table_text(point[axis]) if axis in point else "" for point in map(read_path, drawn)]
        for axis in subject.axes
    }
    return Survivors(
        ends=np.array([one.repetitions for one in rounds]),
        left=np.array([len(one.left) for one in rounds]),
        changes=np.concatenate([[0], changes]).astype(int),
        counts=counts.astype(int),
        values=texts,
        until=np.array([until[point] for point in drawn]),
        fates=[_fate(gone.get(point)) for point in drawn],
        not_drawn=len(all_points) - len(drawn),
        rule=pick.rule,
    )


def _fate(gone: Gone | None) -> str:
    """Return what became of a configuration that left, or that was left at the end (None)."""
    if gone is None:
        return LEFT
    return DIVERGED if gone.by is None else BEATEN


def draw_survivors(survivors: Survivors, subject: Subject) -> Figure:
    """Draw how many were left, and how long each of those that were left longest."""
    rows = len(survivors.until)
    below_height = 0.15 * (rows + 1) + 0.5
    figure = Figure(figsize=(PAGE, 1.5 + below_height))
    above, below = figure.subplots(2, 1, sharex=True, height_ratios=(1.5, below_height))
    end = int(survivors.ends[-1])
    above.step(
        [*survivors.changes, end],
        [*survivors.counts, survivors.counts[-1]],
        where="post",
        color=TIED,
        linewidth=1.2,
    )
    above.plot(survivors.ends, survivors.left, "o", color=TIED, markersize=3)
    if survivors.counts[0] > _MANY:
        above.set_yscale("log")
        above.yaxis.set_minor_formatter(NullFormatter())
    else:
        above.yaxis.set_major_locator(MaxNLocator(4, integer=True))
        above.set_ylim(0, None)
    above.yaxis.set_major_formatter(FuncFormatter(lambda value, place: f"{value:,g}"))
    above.set_ylabel("configurations left")
    colours = [_COLOURS[fate] for fate in survivors.fates]
    places = np.arange(rows)
    below.hlines(places, 0, survivors.until, colours, linewidth=2.5)
    below.plot(survivors.until[0], 0, **PICK_MARK)
    columns = [
        (subject.name(axis), [*map(shown, texts)]) for axis, texts in survivors.values.items()
    ]
    table = tabulate(columns, _TABLE)
    label_rows(below, table)
    below.set_xlim(0, 1.03 * end)
    below.set_xlabel("repetitions of each configuration that is left")
    for plot in (above, below):
        bare(plot)
    marks = [
        Line2D([], [], color=colour, linewidth=2.5, label=fate)
        for fate, colour in _COLOURS.items()
        if fate in survivors.fates
    ]
    return finish(
        figure,
        subject,
        "who was left after each round",
        f"Dots: {amount(len(survivors.ends), 'round')} of `snakemake confirm`. Below, the "
        f"configurations that were left longest.",
        f"{amount(survivors.not_drawn, 'configuration')} not drawn." if survivors.not_drawn else "",
        f"The pick: {survivors.rule}.",
        f"Columns without room: {', '.join(table.left_out)}." if table.left_out else "",
        marks=[*marks, Line2D([], [], **PICK_MARK)],
    )


def draw_confirmation(
    rounds: Sequence[Path], best: Path, subject: Subject, *, dpi: int, files: Sequence[Path]
) -> None:
    """Draw who was left after each round of a confirmation.

    Parameters
    ----------
    rounds
        Files of the rounds, in their order.
    best
        The confirmed pick.
    dpi, files
        As for `gridloom.figures.evidence.draw_figures`; all files show the same figure.
    """
    survivors = read_survivors([Round.read(file) for file in rounds], Pick.read(best), subject)
    write_all([Drawing(partial(draw_survivors, survivors, subject), files)], dpi=dpi)
