"""How much of the differences between configurations each axis explains, and each pair of axes."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import combinations_with_replacement
from typing import Any

import matplotlib
import numpy as np
import pandas as pd
from matplotlib.colors import Normalize
from matplotlib.figure import Figure
from matplotlib.patches import Patch
from matplotlib.ticker import FuncFormatter

from gridloom.analysis.contrasts import HIGHER
from gridloom.analysis.effects import NOISE, REPETITION
from gridloom.figures.numbers import by_effect
from gridloom.figures.page import (
    LUCK,
    SMALL,
    TIED,
    Subject,
    amount,
    bare,
    finish,
    number_rows,
    percent,
    sentence,
)
from gridloom.figures.style import COLUMN, PAGE, short_name, text_colour

#: Most bars of effects, and most axes of the matrix.
MAX_BARS, MAX_AXES = 20, 12

#: Characters of a name that are drawn.
MAX_NAME = 48

#: Names of the rows of ``effects.csv`` that are no effect.
_LUCK = {REPETITION: "repetition (luck that all share)", NOISE: "noise of one training"}

_PALER = "#9ecae1"

_BARS, _MATRIX = "what explains the differences", "effects of axes and pairs"

_MEANING = "Share: of the variance between configurations, corrected for noise."

_NONE = (
    "There are no shares: fewer than two configurations have a score in every repetition, or no "
    "difference shows above the noise, or one repetition of one axis does not show its noise."
)


@dataclass(frozen=True)
class Bars:
    """The bars of the figure; B bars, the largest share first.

    Attributes
    ----------
    names
        What each bar is of.
    shares, lows, highs
        Shares and the ends of their 95 % intervals, float64, shape (B,); NaN if unknown. Those of
        noise and repetition are their variances as a share of the same sum.
    luck
        Which bars are of noise or repetition, bool, shape (B,).
    orders
        How many axes an effect is of; 0 for noise and repetition. int64, shape (B,).
    left_out
        Number of effects with smaller shares that are not drawn.
    """

    names: Sequence[str]
    shares: np.ndarray
    lows: np.ndarray
    highs: np.ndarray
    luck: np.ndarray
    orders: np.ndarray
    left_out: int

    @property
    def reach_zero(self) -> np.ndarray:
        """Which intervals include no effect; bool, shape (B,)."""
        return ~self.luck & (self.lows <= 0)


def read_bars(effects: pd.DataFrame, subject: Subject) -> Bars:
    """Take the bars from ``effects.csv``: the largest effects, noise and repetition."""
    is_luck = effects["order"] == 0
    known = effects[~is_luck & effects["share"].notna()]
    # A row of its own where it is not the sum of others.
    single = known[known["effect"] != HIGHER]
    own = (single if (single["order"] > 2).any() else known).sort_values(
        "share", ascending=False, kind="stable"
    )
    rows = own.head(MAX_BARS)
    luck = effects[is_luck if len(rows) else is_luck & False]
    total = float((known["variance"] / known["share"]).max()) if len(rows) else np.nan
    bars = pd.DataFrame(
        {
            "name": [
                *(_name(effect, subject) for effect in rows["effect"]),
                *luck["effect"].map(_LUCK),
            ],
            "share": [*rows["share"], *luck["variance"] / total],
            "low": [*rows["share_low"], *luck["low"] / total],
            "high": [*rows["share_high"], *luck["high"] / total],
            "luck": [False] * len(rows) + [True] * len(luck),
            "order": [*rows["order"], *luck["order"]],
        }
    ).sort_values("share", ascending=False, kind="stable")
    return Bars(
        names=bars["name"].tolist(),
        shares=bars["share"].to_numpy(float),
        lows=bars["low"].to_numpy(float),
        highs=bars["high"].to_numpy(float),
        luck=bars["luck"].to_numpy(bool),
        orders=bars["order"].to_numpy(int),
        left_out=len(own) - len(rows),
    )


def _name(effect: str, subject: Subject) -> str:
    """Return an effect in words, such as ``batch size x learning rate``."""
    if effect == HIGHER:
        return "three axes and more, together"
    return short_name(" × ".join(map(subject.name, effect.split(":"))), MAX_NAME)


def draw_bars(bars: Bars, subject: Subject) -> Figure:
    """Draw the shares as bars with their intervals."""
    if not len(bars.shares):
        return sentence(subject, _BARS, _NONE)
    count = len(bars.shares)
    figure = Figure(figsize=(PAGE, 0.2 * count + 0.6))
    plot = figure.add_subplot()
    places = np.arange(count)
    colours = np.where(bars.luck, LUCK, np.where(bars.reach_zero, _PALER, TIED))
    plot.barh(places, bars.shares, height=0.7, color=colours.tolist())
    ends = np.abs(np.stack([bars.lows, bars.highs]) - bars.shares)
    lines: dict[str, Any] = {"ecolor": "#222222", "elinewidth": 0.8, "capsize": 2}
    plot.errorbar(bars.shares, places, xerr=ends, fmt="none", **lines)
    plot.axvline(0, color="black", linewidth=0.6)
    own = np.concatenate([bars.shares, bars.highs])[~np.tile(bars.luck, 2)]
    # Noise may be many times the differences: its bar ends at the frame, beside its number.
    right = max(1.05 * float(np.nanmax(own)), 0.05)
    plot.set_xlim(min(1.1 * float(np.nanmin(bars.shares)), 0), right)
    plot.set_ylim(count - 0.4, -0.6)
    plot.set_yticks(places, bars.names)
    bare(plot)
    plot.tick_params(axis="y", length=0)
    plot.xaxis.set_major_formatter(FuncFormatter(lambda share, place: percent(share)))
    plot.set_xlabel("share")
    number_rows(plot, places, [percent(share, 1) for share in bars.shares])
    cut = np.fmax(bars.shares, bars.highs) > right
    beyond = [name for name, beyond in zip(bars.names, cut, strict=True) if beyond]
    intervals = bool(np.isfinite(bars.highs).any())
    kinds = [Patch(color=TIED, label="effect")]
    if bars.reach_zero.any():
        kinds.append(Patch(color=_PALER, label="effect whose interval reaches 0"))
    if bars.luck.any():
        kinds.append(Patch(color=LUCK, label="luck, on the same scale"))
    return finish(
        figure,
        subject,
        f"what explains the differences in {subject.measure}",
        _MEANING,
        "Lines: 95 % intervals." if intervals else "One repetition: there are no intervals.",
        f"Not all of it is in view: {', '.join(beyond)}." if beyond else "",
        f"{amount(bars.left_out, 'smaller effect')} not drawn." if bars.left_out else "",
        marks=kinds,
    )


@dataclass(frozen=True)
class Matrix:
    """The interaction matrix of A axes.

    Attributes
    ----------
    axes
        Names, the axis that explains most first, alone and in its pairs.
    shares, lows
        Share of each axis on the diagonal and of each pair below it, and the lower end of its 95 %
        interval; float64, shape (A, A), NaN where there is none.
    left_out
        Names of axes that explain less and are not drawn.
    """

    axes: Sequence[str]
    shares: np.ndarray
    lows: np.ndarray
    left_out: Sequence[str]


def read_matrix(effects: pd.DataFrame, subject: Subject) -> Matrix:
    """Take the shares of axes and pairs of axes from ``effects.csv``."""
    rows = effects[effects["order"].isin([1, 2]) & effects["share"].notna()]
    known = {name for effect in rows["effect"] for name in effect.split(":")}
    axes = [name for name in by_effect(effects, list(subject.axes)) if name in known]
    drawn = axes[:MAX_AXES]
    shares, lows = np.full((2, len(drawn), len(drawn)), np.nan)
    for names, share, low in zip(
        rows["effect"].str.split(":"), rows["share"], rows["share_low"], strict=True
    ):
        if set(names) <= set(drawn):
            places = [drawn.index(name) for name in names]
            shares[max(places), min(places)] = share
            lows[max(places), min(places)] = low
    return Matrix(
        axes=[subject.name(name) for name in drawn],
        shares=shares,
        lows=lows,
        left_out=[subject.name(name) for name in axes[MAX_AXES:]],
    )


def draw_matrix(matrix: Matrix, subject: Subject) -> Figure:
    """Draw the shares as coloured cells with numbers."""
    count = len(matrix.axes)
    if not count:
        return sentence(subject, _MATRIX, _NONE)
    size = min(0.42 * count, 4.8)
    figure = Figure(figsize=(COLUMN if count < 6 else PAGE, size + 0.8))
    plot = figure.add_subplot()
    colours = matplotlib.colormaps["Blues"].with_extremes(bad="white")
    scale = Normalize(0, max(float(np.nanmax(matrix.shares)), 0.01))
    plot.imshow(matrix.shares, colours, scale, aspect="equal")
    plot.set_anchor("N")
    for column, row in combinations_with_replacement(range(count), 2):
        share, low = matrix.shares[row, column], matrix.lows[row, column]
        known = bool(np.isfinite(share))
        number = f"{round(100 * share) + 0}" if known else "—"
        plot.text(
            column,
            row,
            f"({number})" if low <= 0 else number,
            color=text_colour(colours(scale(share)) if known else (1.0, 1.0, 1.0)),
            fontsize=SMALL,
            ha="center",
            va="center",
        )
    names = [short_name(name, 20) for name in matrix.axes]
    plot.set_xticks(range(count), names, rotation=45, ha="right", rotation_mode="anchor")
    plot.set_yticks(range(count), names)
    plot.tick_params(length=0, labelsize=SMALL)
    plot.spines[:].set_visible(False)
    missing = np.tril(np.isnan(matrix.shares)).any()
    return finish(
        figure,
        subject,
        _MATRIX,
        f"Shares in {subject.measure}, in %. On the diagonal: an axis alone; below: what two axes "
        "explain together beyond that.",
        "In brackets: its 95 % interval reaches 0." if (matrix.lows <= 0).any() else "",
        "—: cannot be estimated on this grid." if missing else "",
        f"Axes that explain less, not drawn: {', '.join(matrix.left_out)}."
        if matrix.left_out
        else "",
    )
