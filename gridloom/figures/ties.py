"""The best configurations with every repetition, and which of them may be the best."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import pandas as pd
from matplotlib.figure import Figure
from matplotlib.lines import Line2D

from gridloom.analysis.observations import observe
from gridloom.analysis.pick import Pick
from gridloom.figures.page import (
    OTHERS,
    PICK_MARK,
    TIED,
    Baseline,
    Subject,
    amount,
    bare,
    baseline_lines,
    few_ticks,
    finish,
    label_rows,
    out_of_view,
    sentence,
    shown,
    tabulate,
    view,
)
from gridloom.figures.style import PAGE

#: Most configurations that are drawn.
MAX_ROWS = 40

#: Inches for the values of the axes beside the rows.
_TABLE = 3.5

_HEADING = "the best configurations"


@dataclass(frozen=True)
class Ties:
    """The best configurations; C drawn of N, the best mean first, r repetitions.

    Attributes
    ----------
    values
        Axis → its value in each drawn configuration.
    means, lows, highs
        Mean of the objective and the ends of its 95 % interval, float64, shape (C,); NaN where
        there is none.
    scores
        The objective of each repetition, shape (C, r); NaN where it has none.
    tied
        Which ones may be the best, bool, shape (C,).
    lost
        Number of their trainings that diverged or have no number, int64, shape (C,).
    pick
        Place of the pick; None if there is none.
    all_tied, configurations
        How many may be the best, of how many in all.
    baselines
        Simple models.
    """

    values: Mapping[str, Sequence[str]]
    means: np.ndarray
    lows: np.ndarray
    highs: np.ndarray
    scores: np.ndarray
    tied: np.ndarray
    lost: np.ndarray
    pick: int | None
    all_tied: int
    configurations: int
    baselines: Sequence[Baseline]

    @property
    def not_drawn(self) -> int:
        """How many configurations are not drawn."""
        return self.configurations - len(self.means)


def read_ties(
    summary: pd.DataFrame,
    runs: pd.DataFrame,
    pick: Pick | None,
    baselines: Sequence[Baseline],
    subject: Subject,
) -> Ties:
    """Take the best configurations from ``summary.csv`` and ``runs.csv``.

    If the pick is not among the best ones, it takes the place of the last one.
    """
    order = summary.sort_values("rank", kind="stable")
    scored = order[order["n"] > 0]
    rows = scored.head(MAX_ROWS)
    if pick is not None and pick.point not in set(rows["point"]):
        rows = pd.concat([rows.head(MAX_ROWS - 1), scored[scored["point"] == pick.point]])
    seen = observe(runs, {}, subject.metric, subject.mode)
    scores = pd.DataFrame(seen.sign * seen.scores, index=seen.points["point"])
    means, lows, highs = (
        rows[f"{subject.metric}_{part}"].to_numpy(float) for part in ("mean", "ci_low", "ci_high")
    )
    picked = np.flatnonzero(rows["point"] == (pick.point if pick else None))
    return Ties(
        values={axis: rows[axis].tolist() for axis in subject.axes},
        means=means,
        lows=lows,
        highs=highs,
        scores=scores.reindex(rows["point"]).to_numpy(),
        tied=rows["tied_with_best"].to_numpy(bool),
        lost=(rows["n_diverged"] + rows["n_missing"]).to_numpy(int),
        pick=int(picked[0]) if len(picked) else None,
        all_tied=int(summary["tied_with_best"].sum()),
        configurations=len(summary),
        baselines=baselines,
    )


def draw_ties(ties: Ties, subject: Subject) -> Figure:
    """Draw a row for each configuration: its repetitions, their mean and its interval."""
    count = len(ties.means)
    if not count:
        return sentence(subject, _HEADING, "No training has a score: all diverged.")
    figure = Figure(figsize=(PAGE, 0.145 * (count + 1) + 0.5))
    plot = figure.add_subplot()
    places = np.arange(count)
    ends = np.concatenate([ties.lows, ties.highs])
    others = [*ends[np.isfinite(ends)], *(baseline.score for baseline in ties.baselines)]
    limits = view(ties.scores, subject.mode, others)
    colours = np.where(ties.tied, TIED, OTHERS)
    plot.hlines(places, ties.lows, ties.highs, colours.tolist(), linewidth=1.2)
    repetitions = ties.scores.shape[1]
    # Equal scores would hide one another.
    beside = np.linspace(-0.25, 0.25, repetitions) if repetitions > 1 else np.zeros(1)
    plot.scatter(
        ties.scores,
        places[:, None] + beside,
        7,
        np.repeat(colours, repetitions).tolist(),
        alpha=0.55,
        linewidths=0,
        zorder=2,
    )
    plot.scatter(ties.means, places, 14, colours.tolist(), marker="o", zorder=3)
    if ties.pick is not None:
        plot.plot(ties.means[ties.pick], ties.pick, **PICK_MARK)
    lines = baseline_lines(plot, ties.baselines, limits, upright=True)
    plot.set_xlim(limits)
    columns = [(subject.name(axis), [*map(shown, texts)]) for axis, texts in ties.values.items()]
    if ties.lost.any():
        columns.append(("lost", [str(lost or "") for lost in ties.lost]))
    table = tabulate(columns or [("", ["the only one"] * count)], _TABLE)
    label_rows(plot, table)
    bare(plot)
    few_ticks(plot, "x")
    plot.set_xlabel(subject.measured)
    plot.grid(axis="y", color="#eeeeee", linewidth=0.5)
    plot.set_axisbelow(True)
    heading = f"{_HEADING}, {count} of {ties.configurations:,}" if ties.not_drawn else _HEADING
    beyond = out_of_view(ties.scores, limits)
    return finish(
        figure,
        subject,
        heading if ties.configurations > 1 else "the only configuration",
        *_caption(ties),
        f"{amount(beyond, 'repetition')} out of view." if beyond else "",
        f"Columns without room: {', '.join(table.left_out)}." if table.left_out else "",
        marks=[*_marks(ties), *lines],
    )


def _caption(ties: Ties) -> list[str]:
    """Describe what the marks mean, and what is not drawn."""
    repetitions = ties.scores.shape[1]
    sentences = []
    if repetitions == 1:
        sentences.append("One repetition: there are no intervals, and none is shown to be worse.")
    else:
        sentences.append(
            f"Small dots: {amount(repetitions, 'repetition')}. Large dot and line: mean and its "
            "95 % interval."
        )
        if ties.configurations > 1:
            sentences.append(
                f"{ties.all_tied:,} of {ties.configurations:,} configurations may be the best "
                "(95 %, for all together)."
            )
    if ties.not_drawn:
        sentences.append(f"{amount(ties.not_drawn, 'configuration')} not drawn.")
    if ties.lost.any():
        sentences.append("lost: trainings that diverged or have no number.")
    return sentences


def _marks(ties: Ties) -> list[Line2D]:
    """Return a mark for each kind of row that is drawn."""
    kinds = [
        (TIED, "may be the best (tied)", ties.tied.any()),
        (OTHERS, "is worse, or was not compared", (~ties.tied).any()),
    ]
    marks = [
        Line2D([], [], color=colour, marker="o", markersize=4, label=label)
        for colour, label, there in kinds
        if there
    ]
    return marks if ties.pick is None else [*marks, Line2D([], [], **PICK_MARK)]
