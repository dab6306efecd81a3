"""What a change did: the gain over all configurations, near the best, and with each value."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path

import numpy as np
from matplotlib.figure import Figure
from matplotlib.lines import Line2D

from gridloom.analysis.compare import Compared, Gain
from gridloom.figures.drawing import Drawing, write_all
from gridloom.figures.page import (
    OTHERS,
    PICK,
    SMALL,
    TIED,
    Subject,
    amount,
    bare,
    faded,
    few_ticks,
    finish,
    out_of_view,
    sentence,
    shown,
)
from gridloom.figures.style import PAGE, short_name

#: Most rows that are drawn.
MAX_ROWS = 40

#: Characters of a row's name that are drawn.
_MAX_NAME = 40

#: More dots are one picture in an SVG: each would take 100 bytes.
_MANY_DOTS = 2000

#: Shares of the configurations between which the plot reaches, whatever the others do.
_SEEN = (0.05, 0.95)

_HEADING = "what the change did"


@dataclass(frozen=True)
class Row:
    """A mean gain, and the configurations that it is of.

    Attributes
    ----------
    name
        What it is of.
    gain
        With its interval.
    gains
        Gain of each of its configurations, any number of them.
    """

    name: str
    gain: Gain
    gains: np.ndarray


@dataclass(frozen=True)
class Gains:
    """The rows of the figure.

    Attributes
    ----------
    rows
        Over all configurations, near the best, with each value of each axis.
    left_out
        Number of values that are not drawn.
    complete, configurations
        Configurations without a lost training, of how many that both set-ups have.
    repetitions
        Their number.
    """

    rows: Sequence[Row]
    left_out: int
    complete: int
    configurations: int
    repetitions: int


def read_gains(compared: Compared, subject: Subject) -> Gains:
    """Take the rows from a comparison."""
    pairs = compared.pairs
    whole = pairs.complete
    points, means = pairs.now.points[whole], pairs.gains[whole].mean(axis=1)
    rows = []
    if compared.overall is not None:
        rows.append(Row("all configurations", compared.overall, means))
    if compared.near is not None:
        rows.append(Row("may be the best", compared.near, means[compared.is_near]))
    columns = ["axis", "value", "gain", "gain_low", "gain_high"]
    for axis, value, gain, low, high in compared.by_value[columns].itertuples(index=False):
        own = means[(points[axis] == value).to_numpy()]
        name = short_name(f"{subject.name(axis)} = {shown(value)}", _MAX_NAME)
        rows.append(Row(name, Gain(gain, np.nan, low, high), own))
    return Gains(
        rows=rows[:MAX_ROWS],
        left_out=max(len(rows) - MAX_ROWS, 0),
        complete=int(whole.sum()),
        configurations=len(whole),
        repetitions=len(pairs.now.repetitions),
    )


def draw_gains(gains: Gains, subject: Subject) -> Figure:
    """Draw a row for each mean gain: its interval, and the configurations as dots."""
    if not gains.rows:
        reason = "Every configuration lost a training before or now: nothing can be compared."
        return sentence(subject, _HEADING, reason)
    rows = gains.rows
    figure = Figure(figsize=(PAGE, 0.2 * len(rows) + 0.6))
    plot = figure.add_subplot()
    means = np.array([row.gain.gain for row in rows])
    lows, highs = np.array([[row.gain.low, row.gain.high] for row in rows]).T
    colours = [{1: TIED, 0: OTHERS, -1: PICK}[row.gain.sign] for row in rows]
    generator = np.random.default_rng(0)
    many = sum(len(row.gains) for row in rows) > _MANY_DOTS
    for place, row in enumerate(rows):
        # Equal gains would hide one another.
        beside = place + generator.uniform(-0.3, 0.3, len(row.gains))
        plot.scatter(
            row.gains,
            beside,
            4,
            OTHERS,
            alpha=faded(len(row.gains)),
            linewidths=0,
            zorder=1,
            rasterized=many,
        )
    places = np.arange(len(rows))
    plot.hlines(places, lows, highs, colours, linewidth=1.6, zorder=3)
    plot.scatter(means, places, 18, colours, zorder=4)
    plot.axvline(0, color="black", linewidth=0.8, zorder=2)
    limits = _limits(means, lows, highs, rows[0].gains)
    plot.set_xlim(limits)
    plot.set_ylim(len(rows) - 0.4, -0.6)
    plot.set_yticks(places, [row.name for row in rows])
    bare(plot)
    few_ticks(plot, "x")
    plot.tick_params(axis="y", length=0, labelsize=SMALL)
    plot.set_xlabel(f"gain in {subject.measure} (above 0: better now)")
    beyond = out_of_view(rows[0].gains, limits)
    intervals = (
        f"Large dot and line: mean of {amount(gains.repetitions, 'repetition')}, and its 95 % "
        "interval; those of single values hold together."
        if gains.repetitions > 1
        else "One repetition: there are no intervals."
    )
    lost = gains.configurations - gains.complete
    return finish(
        figure,
        subject,
        f"{_HEADING} to {subject.measure}",
        f"Small dots: {amount(gains.complete, 'configuration')}, each the mean of its repetitions.",
        intervals,
        f"{amount(lost, 'configuration')} that lost a training before or now left out."
        if lost
        else "",
        f"{amount(beyond, 'configuration')} out of view." if beyond else "",
        f"{amount(gains.left_out, 'value')} not drawn." if gains.left_out else "",
        marks=_marks([row.gain.sign for row in rows]),
    )


def _limits(
    means: np.ndarray, lows: np.ndarray, highs: np.ndarray, gains: np.ndarray
) -> tuple[float, float]:
    """Return limits within which all intervals and most of the configurations are, and 0."""
    seen = np.concatenate([means, lows, highs, np.quantile(gains, _SEEN)])
    low, high = min(float(np.nanmin(seen)), 0.0), max(float(np.nanmax(seen)), 0.0)
    margin = 0.04 * (high - low) or 0.01
    return low - margin, high + margin


def _marks(signs: Sequence[int]) -> list[Line2D]:
    """Return a mark for each kind of row that is drawn."""
    kinds = [(TIED, "better now", 1), (PICK, "worse now", -1), (OTHERS, "may be luck", 0)]
    return [
        Line2D([], [], color=colour, marker="o", markersize=4, label=label)
        for colour, label, sign in kinds
        if sign in signs
    ]


def draw_comparison(
    compared: Compared, subject: Subject, *, dpi: int, files: Sequence[Path]
) -> None:
    """Draw what a change did.

    Parameters
    ----------
    dpi, files
        As for `gridloom.figures.evidence.draw_figures`; all files show the same figure.
    """
    write_all(
        [Drawing(partial(draw_gains, read_gains(compared, subject), subject), files)], dpi=dpi
    )
