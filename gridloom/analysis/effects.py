"""Effects: how much of the differences between configurations each axis explains."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from dataclasses import dataclass
from typing import Any, NamedTuple

import numpy as np
import pandas as pd
from scipy.special import chdtri, fdtrc, stdtrit

from gridloom.analysis.contrasts import Part, decompose, higher
from gridloom.analysis.intervals import CONFIDENCE
from gridloom.analysis.observations import Observations

#: Names of the rows that are no effects; as for `HIGHER`, no axis can have them.
REPETITION, NOISE = "(repetition)", "(noise)"

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

#: Differences below this share of the largest score are rounding.
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

        Intervals and `p` are NaN with one repetition.

        The row `HIGHER` sums up the effects of three axes and more. Two rows at the end are no
        effects and have no share: `REPETITION`, the variance between repetitions that all
        configurations share, and `NOISE`, what is left of the variance of one observation.
    notes
        Sentences on what was left out, and what cannot be said.
    axes
        Axes of each effect; `HIGHER` is among the effects only if it is not a sum of others.
    variances
        Corrected variance of each effect, shape (effects,).
    drawn
        The same in each sample of the bootstrap, shape (draws, effects); NaN with one repetition.
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
    """Sums of squares of effects, and of the noise in them; float64, shape (effects,).

    Attributes
    ----------
    squares
        Sums of squares of the effects' means over the r repetitions, times r.
    noise
        What `squares` is expected to be without an effect, an estimate.
    effective, noise_df
        The degrees of freedom of the χ² variables that `squares` and `noise` are multiples of; NaN
        if they are unknown.
    """

    squares: np.ndarray
    noise: np.ndarray
    effective: np.ndarray
    noise_df: np.ndarray


def effects(observations: Observations) -> Effects:
    """Estimate how much of the variance between configurations each set of axes explains.

    This is a functional analysis of variance (Hooker 2007; Hutter, Hoos & Leyton-Brown 2014): the
    effect of a set of axes is what it adds to the effects of its subsets, and its variance is the
    mean of its squares over the grid. Noise adds to that mean. How much an effect varies between
    repetitions shows what noise adds, which is subtracted. So variances are unbiased, whatever
    noise configurations share, and centre on 0 where there is no effect.

    An effect is tested against its own variation between repetitions by F, with the degrees of
    freedom of Greenhouse & Geisser (1959). The interval of a variance inverts the normal
    approximation of the noncentral χ² distribution (Sankaran 1963), with Student's t in place of
    the normal distribution as the noise is estimated; for one degree of freedom it is the square
    of the paired t interval. Intervals of shares are percentiles of a parametric bootstrap, drawn
    by a generator with seed 0.

    With one repetition, the last effect, of most axes, serves as noise. It often has less noise
    than the others, so that there are no intervals and tests.
    """
    found = decompose(observations)
    parts, notes, (points, repetitions) = found.parts, found.notes, found.scores.shape
    if not parts:
        has = "One configuration has" if points else "No configuration has"
        return _nothing(*notes, f"{has} a score in each repetition: there is nothing to compare.")
    least = found.scores.size * (_ROUNDING * np.abs(found.scores).max()) ** 2
    if repetitions > 1:
        rows = [*parts, *higher(parts)]
        return _estimated(
            rows, _against_repetitions(rows, least), _luck(found.scores, least), points, notes
        )
    last = parts[-1]
    rows = [*parts[:-1], *higher(parts[:-1])]
    if not rows:
        return _nothing(
            *notes, "One repetition of one axis: noise is unknown; raise `repetitions`."
        )
    note = (
        f"One repetition: {last.name} serves as noise. Effects of few axes often meet more noise, "
        "and may be smaller than they look. There are no intervals and tests, and the luck that "
        "all configurations share is unknown; raise `repetitions`."
    )
    noise = {"effect": NOISE, "order": 0, "df": last.df, "variance": _mean_square(last)}
    return _estimated(rows, _against(last, rows, least), [noise], points, (*notes, note))


def _nothing(*notes: str) -> Effects:
    """Return no effect, and why."""
    return Effects(pd.DataFrame(columns=COLUMNS), notes, (), np.zeros(0), np.zeros((0, 0)))


def _against_repetitions(rows: Sequence[Part], least: float) -> _Sums:
    """Hold each effect against how much it varies between repetitions.

    Parameters
    ----------
    rows
        With values of r repetitions, r > 1.
    least
        Smaller sums of squares are 0.
    """
    squares, noise, effective = np.zeros((3, len(rows)))
    for place, row in enumerate(rows):
        repetitions = row.values.shape[1]
        means = row.values.mean(axis=1)
        within = row.values - means[:, None]
        products = within.T @ within
        squares[place] = repetitions * means @ means
        noise[place] = np.trace(products) / (repetitions - 1)
        effective[place] = row.df
        if noise[place] > least:
            # (Sum of the covariance's eigenvalues)² / sum of their squares.
            effective[place] = np.clip(np.trace(products) ** 2 / (products**2).sum(), 1, row.df)
    return _Sums(
        squares=np.where(squares > least, squares, 0),
        noise=np.where(noise > least, noise, 0),
        effective=effective,
        noise_df=effective * (repetitions - 1),
    )


def _against(last: Part, rows: Sequence[Part], least: float) -> _Sums:
    """Hold each effect of one repetition against another one that serves as noise."""
    squares = np.array([(row.values**2).sum() for row in rows])
    noise = _mean_square(last) * np.array([row.df for row in rows])
    return _Sums(
        squares=np.where(squares > least, squares, 0),
        noise=np.where(noise > least, noise, 0),
        effective=np.full(len(rows), np.nan),
        noise_df=np.full(len(rows), np.nan),
    )


def _mean_square(part: Part) -> float:
    """Return the sum of squares of one repetition by its degrees of freedom."""
    return float((part.values**2).sum() / part.df)


def _estimated(
    rows: Sequence[Part],
    sums: _Sums,
    luck: Sequence[dict[str, Any]],
    points: int,
    notes: Sequence[str],
) -> Effects:
    """Turn sums of squares into variances, shares, intervals and tests.

    Parameters
    ----------
    rows
        The effects; last, perhaps, a sum of some of them, which has no axes.
    luck
        Further rows of the table.
    """
    size = points * rows[0].values.shape[1]
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
        table=pd.concat([table, pd.DataFrame(luck, columns=COLUMNS)], ignore_index=True),
        notes=(*notes, *_describe_limits(sums, variances[single])),
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

    A variance estimated below 0 is taken for 0. NaN where degrees of freedom are unknown.
    """
    if np.isnan(sums.noise_df).any():
        return np.full((1, len(sums.noise)), np.nan)
    generator = np.random.default_rng(0)
    shape = (DRAWS, len(sums.noise))
    noisy = sums.noise > 0
    scale = np.where(noisy, sums.noise / sums.effective, 1)
    noncentral = np.maximum(sums.squares - sums.noise, 0) / scale
    squares = scale * generator.noncentral_chisquare(sums.effective, noncentral, shape)
    noise = sums.noise * generator.chisquare(sums.noise_df, shape) / sums.noise_df
    drawn: np.ndarray = (np.where(noisy, squares, sums.squares) - noise) / size
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
    # In a sample without any difference, shares are not defined.
    samples = drawn[~(drawn.sum(axis=1) <= 0)]
    shares = np.stack([samples[:, own].sum(axis=1) for own in members]) / samples.sum(axis=1)
    ends = [(1 - CONFIDENCE) / 2, (1 + CONFIDENCE) / 2]
    low, high = np.clip(np.quantile(shares, ends, axis=1), 0, 1)
    return share, low, high


def _p_values(sums: _Sums) -> np.ndarray:
    """Test by F that there is no effect."""
    without_noise = np.where(sums.squares > 0, np.inf, 0)
    ratio = np.divide(sums.squares, sums.noise, out=without_noise, where=sums.noise > 0)
    tested: np.ndarray = fdtrc(sums.effective, sums.noise_df, ratio)
    return tested


def _luck(scores: np.ndarray, least: float) -> list[dict[str, Any]]:
    """Return the rows `REPETITION` and `NOISE`: what one observation varies by.

    `REPETITION` is the mean covariance of two configurations, `NOISE` the mean variance of one
    without that; where noise is independent, the components of variance of points and repetitions.
    """
    points, repetitions = scores.shape
    centred = scores - scores.mean(axis=0)
    total = _against_repetitions([Part("", (), 0, points - 1, centred)], least)
    (noise,), (noise_df,) = total.noise / (points - 1), total.noise_df
    common = points * scores.mean(axis=0).var(ddof=1)
    common = common if common > least else 0.0
    low, high = _mean_square_interval(common, repetitions - 1)
    noise_low, noise_high = _mean_square_interval(noise, noise_df)
    return [
        {
            "effect": REPETITION,
            "order": 0,
            "df": repetitions - 1,
            "variance": (common - noise) / points,
            "low": max(low - noise, 0) / points,
            "high": max(high - noise, 0) / points,
            "p": fdtrc(repetitions - 1, noise_df, common / noise) if noise else float(common == 0),
        },
        {
            "effect": NOISE,
            "order": 0,
            "df": (points - 1) * (repetitions - 1),
            "variance": noise,
            "low": noise_low,
            "high": noise_high,
        },
    ]


def _mean_square_interval(mean_square: float, df: float) -> tuple[float, float]:
    """Return the 95 % interval of what a mean square of χ² estimates."""
    above, below = chdtri(df, [(1 - CONFIDENCE) / 2, (1 + CONFIDENCE) / 2])
    return mean_square * df / above, mean_square * df / below


def _describe_limits(sums: _Sums, variances: np.ndarray) -> list[str]:
    """Describe what the scores cannot show."""
    if not sums.squares.any() and not sums.noise.any():
        return ["All configurations have equal scores: no axis explains anything."]
    if not variances.sum() > 0:
        return ["No difference between configurations shows above the noise: there are no shares."]
    if not sums.noise.any():
        return [
            "No effect varies between repetitions: there is no noise, and intervals are points."
        ]
    return []
