"""Screening by the sequential procedure of Kim & Nelson (2001): which configurations are left.

It works on scores alone: `gridloom.analysis.confirm` says which trainings they come from.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np

from gridloom.analysis.table import RESOLUTION
from gridloom.naming.blocks import FIRST_RESERVED

#: Probability that the choice is worse than the best by the difference or more.
ALPHA = 0.05

#: Numbers that a matrix of pairs may hold at once, to stay in the cache: 10,000 configurations have
#: 10⁸ pairs.
_MAX_NUMBERS = 2**18

#: `Screening.by` of a configuration that no other one beat.
NOBODY = -1


@dataclass(frozen=True, eq=False)
class Screening:
    """Which of N configurations are left after R repetitions.

    Attributes
    ----------
    left
        bool, shape (N,).
    at
        Repetitions after which each one left; 0 for those that are left. int64, shape (N,).
    by
        Place of the configuration that beat it, `NOBODY` where a training diverged or has no
        number, and for those that are left. int64, shape (N,).
    last
        Repetitions after which each one that is left is decided against all others that are left;
        0 for those that are not left. int64, shape (N,).
    settled
        Whether nothing is left to decide: one configuration is left, or several with equal means.
    """

    left: np.ndarray
    at: np.ndarray
    by: np.ndarray
    last: np.ndarray
    settled: bool


def h_squared(configurations: int, first: int, alpha: float = ALPHA) -> float:
    """Return the constant h² of Kim & Nelson (2001), section 3, with c = 1.

    Their triangle of continuation for a pair ends at h²·S²/δ² repetitions.

    Parameters
    ----------
    configurations
        How many are compared.
    first
        Repetitions that the variances of the differences are taken from, 2 or more.
    alpha
        Probability of a wrong choice.
    """
    share = 2 * alpha / max(configurations - 1, 1)
    eta = (math.pow(share, -2 / (first - 1)) - 1) / 2
    return 2 * eta * (first - 1)


def screen(
    scores: np.ndarray,
    *,
    first: int,
    difference: float,
    configurations: int,
    since: int | None = None,
    alpha: float = ALPHA,
) -> Screening:
    """Find which configurations are left, one repetition after the other.

    With normal scores, the best one is left at the end with probability 1 - `alpha` if it is ahead
    of all others by `difference`. Repetitions are blocks (common random numbers), so all is about
    differences within a repetition, whose variances need not be equal.

    A configuration without a score in a repetition, because its training diverged or has no number,
    leaves with that repetition.

    Parameters
    ----------
    scores
        float64, shape (N, R), R at least `first`; more is better.
    first
        Repetitions that the variances are taken from; later ones leave them as they are.
    difference
        Difference of the means that is not worth a training, in their units: the indifference zone
        δ, above 0.
    configurations
        How many the procedure began with, N or more.
    since
        Repetitions after which these N were left, as an earlier call found; None for the
        beginning. The result does not depend on where the calls divide the repetitions.
    """
    count, repetitions = scores.shape
    at, by = np.zeros(count, dtype=np.int64), np.full(count, NOBODY)
    begin = first if since is None else since + 1
    missing = ~np.isfinite(scores)
    at[missing[:, :begin].any(axis=1)] = begin
    places = np.flatnonzero(at == 0)
    constant = h_squared(configurations, first, alpha)
    triangle = _Triangle(scores[:, :first], difference, constant)
    last = triangle.ends(places)
    settled = False
    for repetition in range(begin, repetitions + 1):
        lacking = missing[places, repetition - 1]
        at[places[lacking]] = repetition
        places = places[~lacking]
        winners = triangle.beaten_by(places, scores[places, :repetition].mean(axis=1), repetition)
        beaten = winners != NOBODY
        at[places[beaten]] = repetition
        by[places[beaten]] = winners[beaten]
        if lacking.any() or beaten.any():
            places = places[~beaten]
            last = triangle.ends(places)
        if settled := len(places) < 2 or bool(repetition >= last.max()):
            break
    left = at == 0
    ends = np.zeros(count, dtype=np.int64)
    ends[places] = last
    return Screening(left, at, by, ends, settled)


class _Triangle:
    """The continuation regions of all pairs.

    Parameters
    ----------
    scores
        Scores of the first repetitions, shape (N, first).
    difference
        The indifference zone δ.
    constant
        The h² of the procedure.
    """

    def __init__(self, scores: np.ndarray, difference: float, constant: float) -> None:
        first = scores.shape[1]
        self.difference = difference
        self.constant = constant
        # ASSUME: equal differences so far do not show that all are equal. If scores come in steps,
        # such as one validation row, the variance is at least that of one difference a step off.
        self.floor = step(scores) ** 2 / first
        # The sum of their squares is the variance (`ddof=1`).
        self.centred = (scores - scores.mean(axis=1, keepdims=True)) / math.sqrt(first - 1)

    def _ends(self, some: np.ndarray, others: np.ndarray) -> np.ndarray:
        """Return h²·S²/δ² of pairs, in repetitions; shape (some, others), 0 for a point itself."""
        scale = self.constant / self.difference**2
        mine, theirs = self.centred[some], self.centred[others]
        ends: np.ndarray = mine @ theirs.T
        ends *= -2 * scale
        ends += (scale * (mine**2).sum(axis=1))[:, None]
        ends += scale * (theirs**2).sum(axis=1)
        np.maximum(ends, scale * self.floor, out=ends)
        ends[some[:, None] == others] = 0
        return ends

    def _parts(self, places: np.ndarray) -> list[np.ndarray]:
        """Divide places so that a part's pairs with all of them fit into memory."""
        size = max(_MAX_NUMBERS // max(len(places), 1), 1)
        return [places[start : start + size] for start in range(0, len(places), size)]

    def ends(self, places: np.ndarray) -> np.ndarray:
        """Return the repetitions after which each place is decided against all others."""
        parts = [self._ends(part, places).max(axis=1) for part in self._parts(places)]
        ends = np.floor(np.concatenate(parts or [np.zeros(0)])) + 1
        # No study has so many repetitions; larger numbers would overflow.
        known: np.ndarray = np.minimum(ends, FIRST_RESERVED).astype(np.int64)
        return known

    def all_ends(self, places: np.ndarray) -> np.ndarray:
        """Return h²·S²/δ² of all pairs of places; float32, shape (places, places)."""
        parts = [self._ends(part, places).astype(np.float32) for part in self._parts(places)]
        return np.concatenate(parts)

    def beaten_by(self, places: np.ndarray, means: np.ndarray, repetition: int) -> np.ndarray:
        """Return for each place the one that beats it by the most, or `NOBODY`.

        Parameters
        ----------
        means
            Over all repetitions so far, of each place.
        """
        winners = np.full(len(places), NOBODY)
        # Scores have 32 bits: smaller differences of means are rounding.
        ahead = means - RESOLUTION * np.abs(means)
        start = 0
        for part in self._parts(places):
            margin = self._ends(part, places)
            margin -= repetition
            np.maximum(margin, 0, out=margin)
            margin *= -self.difference / (2 * repetition)
            margin += ahead
            margin -= means[start : start + len(part), None]
            best = margin.argmax(axis=1)
            beaten = margin[np.arange(len(part)), best] > 0
            winners[start : start + len(part)][beaten] = places[best[beaten]]
            start += len(part)
        return winners


def most_further(
    scores: np.ndarray,
    *,
    first: int,
    difference: float,
    configurations: int,
    done: int,
    alpha: float = ALPHA,
) -> int:
    """Return the most repetitions, of all configurations together, until all is decided.

    If one configuration surely beats another, the other one has left. So m configurations are left
    after R repetitions only if m of them are each undecided against m - 1 others or more.

    Parameters
    ----------
    scores
        float64, shape (N, R), finite: the variances of their differences stand for those of the
        first repetitions.
    first, difference, configurations, alpha
        See `screen`.
    done
        Repetitions that all N have.
    """
    if len(scores) < 2:
        return 0
    triangle = _Triangle(scores, difference, h_squared(configurations, first, alpha))
    ends = triangle.all_ends(np.arange(len(scores)))
    # In column m - 2: until when a configuration has m - 1 undecided partners.
    ends = -np.sort(-ends, axis=1)[:, :-1]
    until = np.diagonal(-np.sort(-ends, axis=0), offset=-1)
    # The last one that is left trains as long as the last but one.
    return int(np.maximum(np.floor(np.append(until, until[0])) + 1 - done, 0).sum())


def step(scores: np.ndarray) -> float:
    """Return the smallest difference of any two scores; 0 if all are equal."""
    values = np.unique(scores[np.isfinite(scores)])
    apart = np.diff(values)
    apart = apart[apart > RESOLUTION * np.abs(values[1:])]
    return float(apart.min()) if len(apart) else 0.0
