"""Matched pairs: two values of one axis, compared where configurations are alike in all else."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
from scipy.special import stdtrit

from gridloom.analysis.observations import Observations


def matched_differences(
    observations: Observations, axis: str, value: str, other: str, near: np.ndarray
) -> np.ndarray:
    """Return how much better `value` of an axis is than `other`, all else alike.

    Only pairs with a configuration among `near` at either value are compared: which of the two it
    is does not matter, so that the choice favours neither. Pairs in which a training diverged are
    left out.

    Parameters
    ----------
    near
        Configurations near the best, bool, shape (N,).

    Returns
    -------
    float64, shape (pairs, r)
        Score with `value` minus score with `other`, more is better. No pairs: shape (0, r).
    """
    points, complete = observations.points, observations.complete
    alike = [name for name in observations.axes if name != axis]
    group = (
        points.groupby(alike, sort=False).ngroup().to_numpy()
        if alike
        else np.zeros(len(points), np.intp)
    )
    places = np.full((2, group.max(initial=-1) + 1), -1)
    for side, text in enumerate((value, other)):
        own = np.flatnonzero((points[axis] == text).to_numpy() & complete)
        places[side, group[own]] = own
    first, second = places[:, (places >= 0).all(axis=0)]
    kept = near[first] | near[second]
    differences: np.ndarray = observations.scores[first[kept]] - observations.scores[second[kept]]
    return differences


def may_be_left_alone(
    observations: Observations,
    near: np.ndarray,
    values: Mapping[str, str],
    difference: float,
    level: float,
) -> list[str]:
    """List the axes that do not matter near the best configurations.

    An axis does not matter if each configuration near the best surely scores the same, within
    `difference`, when the axis takes its value in `values`: the simultaneous intervals of all
    these differences (Bonferroni over all axes, Student's t) lie between -`difference` and
    `difference`. Each variance is taken to be at least the mean of those of the axis, as scores
    that happen to be equal do not prove that there is no noise.

    Parameters
    ----------
    near
        Configurations near the best, bool, shape (N,).
    values
        The value of each axis in the configuration chosen, as texts.
    difference
        In units of the objective, above 0.
    level
        Confidence for all axes together, such as 0.95.
    """
    pairs = {
        axis: np.vstack(
            [
                matched_differences(observations, axis, other, values[axis], near)
                for other in known
                if other != values[axis]
            ]
            or [np.empty((0, len(observations.repetitions)))]
        )
        for axis, known in observations.axes.items()
    }
    count = sum(map(len, pairs.values()))
    repetitions = len(observations.repetitions)
    if not count or repetitions < 2:
        return []
    quantile = stdtrit(repetitions - 1, 1 - (1 - level) / (2 * count))
    found = []
    for axis, differences in pairs.items():
        if not len(differences):
            continue
        variances = differences.var(axis=1, ddof=1)
        half = quantile * np.sqrt(np.maximum(variances, variances.mean()) / repetitions)
        if (np.abs(differences.mean(axis=1)) + half < difference).all():
            found.append(axis)
    return found
