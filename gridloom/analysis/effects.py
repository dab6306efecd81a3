"""Effects: how much of the differences between configurations each axis explains."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from dataclasses import dataclass, replace
from typing import Any, NamedTuple

import numpy as np
import pandas as pd
from scipy.special import chdtri, fdtrc, stdtrit

from gridloom.analysis.contrasts import Decomposition, Part, decompose, higher
from gridloom.analysis.observations import Observations

CONFIDENCE = 0.95

#: Samples of the bootstrap behind the intervals of shares.
DRAWS = 2000

COLUMNS = (
    "effect",
    "order",
    "df",
    "variance",
    "low",
    "high",
    "share",
    "share_low",
    "share_high",
    "p",
)

#: Smaller differences, relative to the largest score, are of rounding.
_ROUNDING = 1e-9


class Share(NamedTuple):
    """A share of the variance between configurations, and its 95 % interval; NaN if unknown."""

    share: float
    low: float
    high: float


@dataclass(frozen=True, eq=False)
class Effects:
    """What explains the differences between configurations.

    Attributes
    ----------
    table
        One row an effect:

        - `effect`: its axes, joined by ``:``; `order`: how many they are.
        - `df`: its degrees of freedom.
        - `variance`: between configurations, corrected for noise, in the objective's unit squared.
          Below 0 by chance where there is no effect. `low`, `high`: its 95 % interval.
        - `share`: of the sum of all effects' variances, 1 for all; NaN if that is not above 0.
          `share_low`, `share_high`: its 95 % interval.
        - `p`: of the F test that there is no effect.

        The row `higher` sums up the effects of three axes and more. Two rows at the end are no
        effects and have no share: `repetition`, the variance between repetitions that all
        configurations share, and `noise`, what is left of the variance of one observation.
    notes
        Sentences on what was left out, and what cannot be said.
    axes
        Of each effect, `higher` only where it is not a sum.
    variances
        Theirs, corrected, shape (effects,).
    drawn
        The same in each sample of the bootstrap, shape (draws, effects).
    """

    table: pd.DataFrame
    notes: tuple[str, ...]
    axes: tuple[tuple[str, ...], ...]
    variances: np.ndarray
    drawn: np.ndarray

    def share_of(self, axes: Collection[str]) -> Share:
        """Return the share of some axes: of their effects, alone and with one another."""
        members = [place for place, own in enumerate(self.axes) if set(own) <= set(axes)]
        share, low, high = _shares(self.variances, self.drawn, [members])
        return Share(float(share[0]), float(low[0]), float(high[0]))


@dataclass(frozen=True, eq=False)
class _Sums:
    """Sums of squares of effects and of the noise in them; float64, shape (effects,).

    Attributes
    ----------
    squares
        Of the effects' means over the r repetitions, times r.
    noise
        What `squares` is expected to be without an effect, an estimate.
    effective, noise_df
        The degrees of freedom of the χ² variables that `squares` and `noise` are multiples of.
    common
        Whether the noise of all effects is one estimate.
    """

    squares: np.ndarray
    noise: np.ndarray
    effective: np.ndarray
    noise_df: np.ndarray
    common: bool


def effects(observations: Observations) -> Effects:
    """Estimate how much of the variance between configurations each set of axes explains.

    This is a functional analysis of variance (Hooker 2007; Hutter, Hoos & Leyton-Brown 2014): the
    effect of a set of axes is what it adds to the effects of its subsets, and its variance is the
    mean of its squares over the grid. Noise adds to that mean. How much an effect varies between
    repetitions tells what noise adds, which is subtracted. So variances are unbiased, whatever
    noise configurations share, and centre on 0 where there is no effect.

    An effect is tested against its own variation between repetitions by F, with the degrees of
    freedom of Greenhouse & Geisser (1959). The interval of a variance inverts the normal
    approximation of the noncentral χ² distribution (Sankaran 1963), with Student's t in place of
    the normal distribution as the noise is estimated; for one degree of freedom it is the square
    of the paired t interval. Intervals of shares are percentiles of a parametric bootstrap, drawn
    by a generator with seed 0.

    With one repetition, the last effect, of most axes, serves as noise.
    """
    found = decompose(observations)
    points, repetitions = found.scores.shape
    if not found.parts:
        told = "One configuration has" if points else "No configuration has"
        return _nothing(
            *found.notes, f"{told} a score in each repetition: there is nothing to compare."
        )
    least = found.scores.size * (_ROUNDING * np.abs(found.scores).max()) ** 2
    if repetitions > 1:
        rows = [*found.parts, *higher(found.parts)]
        sums = _against_repetitions(rows, least)
        return _estimated(rows, sums, _luck(found.scores, least), found)
    *parts, last = found.parts
    note = (
        f"One repetition: {last.name} serves as noise. Intervals and p know no other, and effects "
        "of few axes often meet more: they may be weaker and less sure than they look."
    )
    alone = replace(found, notes=(*found.notes, note))
    if not parts:
        return _nothing(*alone.notes, "No other effect is left; raise `repetitions`.")
    rows = [*parts, *higher(parts)]
    mean_square = (last.values**2).sum() / last.df
    return _estimated(
        rows, _against(last, rows, least), [_noise_row(mean_square, last.df, last.df)], alone
    )


def _nothing(*notes: str) -> Effects:
    """Return no effect, and why."""
    table = pd.DataFrame(columns=COLUMNS)
    return Effects(table, notes, (), np.zeros(0), np.zeros((DRAWS, 0)))


def _against_repetitions(parts: Sequence[Part], least: float) -> _Sums:
    """Hold each effect against how much it varies between repetitions.

    Parameters
    ----------
    parts
        With values of r repetitions, r > 1.
    least
        Smaller sums of squares are 0.
    """
    squares, noise, effective = np.zeros((3, len(parts)))
    for place, part in enumerate(parts):
        repetitions = part.values.shape[1]
        means = part.values.mean(axis=1)
        within = part.values - means[:, None]
        products = within.T @ within
        squares[place] = repetitions * means @ means
        noise[place] = np.trace(products) / (repetitions - 1)
        effective[place] = part.df
        if noise[place] > least:
            # Of the eigenvalues of the covariance: (their sum)² / sum of their squares.
            effective[place] = np.trace(products) ** 2 / (products**2).sum()
    return _Sums(
        squares=np.where(squares > least, squares, 0),
        noise=np.where(noise > least, noise, 0),
        effective=effective,
        noise_df=effective * (repetitions - 1),
        common=False,
    )


def _against(last: Part, parts: Sequence[Part], least: float) -> _Sums:
    """Hold each effect of one repetition against another one that serves as noise."""
    squares = np.array([(part.values**2).sum() for part in parts])
    df = np.array([part.df for part in parts], float)
    noise = df * (last.values**2).sum() / last.df
    return _Sums(
        squares=np.where(squares > least, squares, 0),
        noise=np.where(noise > least, noise, 0),
        effective=df,
        noise_df=np.full(len(parts), float(last.df)),
        common=True,
    )


def _estimated(
    rows: Sequence[Part], sums: _Sums, luck: Sequence[dict[str, Any]], found: Decomposition
) -> Effects:
    """Turn sums of squares into variances, shares, intervals and tests.

    Parameters
    ----------
    rows
        The effects; last, perhaps, a sum of some of them, which has no axes.
    luck
        Further rows of the table.
    """
    size = found.scores.size
    variances = (sums.squares - sums.noise) / size
    low, high = _interval(sums, size)
    single = [place for place, row in enumerate(rows) if row.axes]
    summed = [place for place in single if rows[place].order > 2]
    drawn = _drawn(sums, size)[:, single]
    members = [[place] if row.axes else summed for place, row in enumerate(rows)]
    share, share_low, share_high = _shares(variances[single], drawn, members)
    table = pd.DataFrame(
        {
            "effect": [row.name for row in rows],
            "order": [row.order for row in rows],
            "df": [row.df for row in rows],
            "variance": variances,
            "low": low,
            "high": high,
            "share": share,
            "share_low": share_low,
            "share_high": share_high,
            "p": _p_values(sums),
        }
    )
    return Effects(
        table=pd.concat([table, pd.DataFrame(luck)], ignore_index=True)[list(COLUMNS)],
        notes=(*found.notes, *_told(sums, variances[single])),
        axes=tuple(rows[place].axes for place in single),
        variances=variances[single],
        drawn=drawn,
    )


def _interval(sums: _Sums, size: int) -> tuple[np.ndarray, np.ndarray]:
    """Return the 95 % intervals of the variances.

    With x = squares / g and g = noise / effective, the square root of x - a is about normal around
    that of λ + a with variance 1, where a = (effective - 1) / 2 and λ = size * variance / g.
    """
    scale = sums.noise / sums.effective
    shift = (sums.effective - 1) / 2
    centre = np.sqrt(np.maximum(sums.squares - shift * scale, 0))
    half = stdtrit(sums.noise_df, (1 + CONFIDENCE) / 2) * np.sqrt(scale)
    low, high = (
        np.maximum(np.maximum(end, 0) ** 2 - shift * scale, 0) / size
        for end in (centre - half, centre + half)
    )
    return low, high


def _drawn(sums: _Sums, size: int) -> np.ndarray:
    """Draw the variances anew, as if those estimated were true; shape (draws, effects).

    A variance estimated below 0 is taken for 0.
    """
    generator = np.random.default_rng(0)
    scale = np.where(sums.noise > 0, sums.noise / sums.effective, 1)
    noncentral = np.maximum(sums.squares - sums.noise, 0) / scale
    shape = (DRAWS, len(scale))
    squares = scale * generator.noncentral_chisquare(sums.effective, noncentral, shape)
    if sums.common:
        noise_factor = generator.chisquare(sums.noise_df[0], (DRAWS, 1)) / sums.noise_df[0]
    else:
        noise_factor = generator.chisquare(sums.noise_df, shape) / sums.noise_df
    squares = np.where(sums.noise > 0, squares, sums.squares)
    drawn: np.ndarray = (squares - sums.noise * noise_factor) / size
    return drawn


def _shares(
    variances: np.ndarray, drawn: np.ndarray, members: Sequence[Sequence[int]]
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Return the shares of some sums of variances, and their 95 % intervals.

    Parameters
    ----------
    variances, drawn
        Shapes (effects,) and (draws, effects).
    members
        Which effects each sum is of.

    Returns
    -------
    share, low, high
        Shape (sums,). NaN if all variances together are not above 0.
    """
    total = variances.sum()
    if not total > 0:
        unknown = np.full(len(members), np.nan)
        return unknown, unknown, unknown
    share = np.array([variances[own].sum() for own in members]) / total
    # A sample without any difference says nothing of shares.
    samples = drawn[drawn.sum(axis=1) > 0]
    shares = np.stack([samples[:, own].sum(axis=1) for own in members]) / samples.sum(axis=1)
    ends = [(1 - CONFIDENCE) / 2, (1 + CONFIDENCE) / 2]
    low, high = np.clip(np.quantile(shares, ends, axis=1), 0, 1)
    return share, low, high


def _p_values(sums: _Sums) -> np.ndarray:
    """Test by F that there is no effect."""
    ratio = np.divide(
        sums.squares, sums.noise, out=np.full(len(sums.noise), np.inf), where=sums.noise > 0
    )
    tested: np.ndarray = fdtrc(sums.effective, sums.noise_df, ratio)
    return np.where(sums.squares > 0, tested, 1)


def _luck(scores: np.ndarray, least: float) -> list[dict[str, Any]]:
    """Return the rows `repetition` and `noise`: what one observation varies by.

    `repetition` is the mean covariance of two configurations' scores over repetitions, `noise`
    their mean variance without that: the two of a model with independent noise, and meant without
    it.
    """
    points, repetitions = scores.shape
    centred = scores - scores.mean(axis=0)
    total = _against_repetitions([Part("", (), 0, points - 1, centred)], least)
    (noise,), (noise_df,) = total.noise / (points - 1), total.noise_df
    common = points * scores.mean(axis=0).var(ddof=1)
    common = common if common > least else 0.0
    low, high = _mean_square_interval(common, repetitions - 1)
    return [
        {
            "effect": "repetition",
            "order": 0,
            "df": repetitions - 1,
            "variance": (common - noise) / points,
            "low": max(low - noise, 0) / points,
            "high": max(high - noise, 0) / points,
            "p": fdtrc(repetitions - 1, noise_df, common / noise) if noise else 1.0 - (common > 0),
        },
        _noise_row(noise, (points - 1) * (repetitions - 1), noise_df),
    ]


def _noise_row(mean_square: float, df: int, effective: float) -> dict[str, Any]:
    """Return the row `noise`."""
    low, high = _mean_square_interval(mean_square, effective)
    return {
        "effect": "noise",
        "order": 0,
        "df": df,
        "variance": mean_square,
        "low": low,
        "high": high,
    }


def _mean_square_interval(mean_square: float, df: float) -> tuple[float, float]:
    """Return the 95 % interval of what a mean square of χ² estimates."""
    above, below = chdtri(df, [(1 - CONFIDENCE) / 2, (1 + CONFIDENCE) / 2])
    return mean_square * df / above, mean_square * df / below


def _told(sums: _Sums, variances: np.ndarray) -> list[str]:
    """Say what the scores do not tell."""
    if not sums.squares.any() and not sums.noise.any():
        return ["All configurations have equal scores: no axis explains anything."]
    if not variances.sum() > 0:
        return ["No difference between configurations shows above the noise: there are no shares."]
    if not sums.noise.any():
        return [
            "No effect varies between repetitions: there is no noise, and intervals are points."
        ]
    return []
