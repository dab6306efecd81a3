"""Ties and regret: which points may be the best, and how much worse than it each may be."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from scipy.special import stdtrit

from gridloom.analysis.intervals import CONFIDENCE
from gridloom.analysis.moderation import Prior, fit_prior
from gridloom.analysis.table import RESOLUTION

#: All pairs of so many points, evenly spread over the means, show how variances are distributed.
_POINTS_OF_PRIOR = 300

#: Points that are compared with all others at a time: 5 MB an array where there are 10,000.
_CHUNK = 64

#: A variance is the difference of two sums; below this share of them, it is rounding.
_ROUNDING = 1e-12


@dataclass(frozen=True, eq=False)
class Comparison:
    """Points compared with the best of them.

    Attributes
    ----------
    tied
        Which points may be the best; bool, shape (N,).
    regret_high
        Upper bounds on how far each point's expected score is below the best one's; shape (N,).
        All bounds hold together, with a probability of 95 %.
    """

    tied: np.ndarray
    regret_high: np.ndarray


def compare_with_best(
    scores: np.ndarray,
    noise: float | None = None,
    least_variance: float = 0.0,
    perfect: float | None = None,
) -> Comparison:
    """Compare each point with the best (Hsu 1984), by differences within blocks.

    Let k be the best point. With 95 % probability, for all j together, its expected score is at
    most ``mean_k - mean_j + c * se_kj`` above that of j. Since k is the best, it is among the
    points i for which all these bounds are at least 0 (`tied`), and no point's regret is above the
    largest of its bounds over the tied points (`regret_high`). A regret is also at most the bound
    of the difference to a perfect score; without this, one very noisy point would make the regret
    of all others large. c is the quantile of Student's t for these N - 1 + N comparisons, by
    Šidák's inequality, which holds for positively correlated differences (Slepian).

    The variance of each pair's differences is moderated (see `fit_prior`), but never reduced: a
    pair noisier than most keeps its noise. The prior does not depend on the means: a point that
    sometimes fails looks good and quiet if it did not fail here, and would get the variance of
    good points (the bounds would then cover 94 %, not 97 %, in 250 studies of 10 repetitions drawn
    from the seed study's population).

    Parameters
    ----------
    scores
        float64, shape (N, r), finite, more is better; a column is a block. N and r at least 2.
    noise
        Variance of the mean difference, in units of the variance of one; None for 1 / r.
    least_variance
        The smallest variance above 0 of a pair's differences that scores of a finite number of
        rows can show.
    perfect
        No score is above it; None for no limit.
    """
    points, blocks = scores.shape
    df = blocks - 1
    means = scores.mean(axis=1)
    residuals = scores - scores.mean(axis=0)
    residuals -= residuals.mean(axis=1, keepdims=True)
    prior = _prior_of_pairs(means, residuals, least_variance)
    factor = 1 / blocks if noise is None else noise

    def bounds(difference: np.ndarray, variances: np.ndarray, prior: Prior) -> np.ndarray:
        moderated = np.maximum(variances, prior.moderate(variances, df))
        # All variances together have no more degrees of freedom than the residuals.
        df_total = min(df + prior.df, (points - 1) * df)
        critical = stdtrit(df_total, CONFIDENCE ** (1 / (2 * points - 1)))
        return np.asarray(difference + critical * np.sqrt(factor * moderated))

    tied, regret_high = np.zeros(points, bool), np.zeros(points)
    for first in range(0, points, _CHUNK):
        some = np.arange(first, min(first + _CHUNK, points))
        variances = _variances(residuals, some, least_variance)
        bound = bounds(means[some, None] - means, variances, prior)
        bound[np.arange(len(some)), some] = 0
        rounding = RESOLUTION * np.abs(means[some, None])
        tied[some] = (bound >= -rounding).all(axis=1)
        regret_high = np.maximum(regret_high, bound[tied[some]].max(axis=0, initial=0))
    if perfect is not None:
        variances = np.maximum(scores.var(axis=1, ddof=1), least_variance)
        to_perfect = bounds(perfect - means, variances, fit_prior(variances, df))
        regret_high = np.minimum(regret_high, to_perfect)
    return Comparison(tied, regret_high)


def _prior_of_pairs(means: np.ndarray, residuals: np.ndarray, least_variance: float) -> Prior:
    """Fit the prior to all pairs of points, or of `_POINTS_OF_PRIOR` of them."""
    places = np.linspace(0, len(means) - 1, min(len(means), _POINTS_OF_PRIOR)).round().astype(int)
    some = np.argsort(means, kind="stable")[places]
    residuals = residuals[some]
    variances = _variances(residuals, np.arange(len(some)), least_variance)
    return fit_prior(variances[np.triu_indices(len(some), 1)], residuals.shape[1] - 1)


def _variances(residuals: np.ndarray, some: np.ndarray, least_variance: float) -> np.ndarray:
    """Return the sample variances of the differences of `some` points to all, shape (some, N)."""
    squares = (residuals**2).sum(axis=1)
    sums = squares[some, None] + squares
    around = sums - 2 * residuals[some] @ residuals.T
    around[around < _ROUNDING * sums] = 0
    return np.asarray(np.maximum(around / (residuals.shape[1] - 1), least_variance))
