"""Studies of a population drawn twice, as before and after a change, and what is said of them."""

from __future__ import annotations

import itertools

import numpy as np
import pandas as pd

from gridloom.analysis.compare import gains_by_point, gains_by_value, mean_gain
from gridloom.analysis.ties import compare_with_best
from tests.analysis.population import Population

#: A grid of as many points as the populations have.
AXES = {"units": list("123"), "rate": list("123"), "size": list("123"), "drop": list("1234")}
GRID = pd.DataFrame(list(itertools.product(*AXES.values())), columns=list(AXES))


def two_draws(
    population: Population, repetitions: int, generator: np.random.Generator, alike: float
) -> tuple[np.ndarray, np.ndarray]:
    """Draw a study twice; a share of its points, at random, has equal scores in both."""
    before, now = (population.draw(repetitions, generator) for _ in range(2))
    same = generator.random(len(before)) < alike
    return before, np.where(same[:, None], before, now)


def sure_of_means(before: np.ndarray, now: np.ndarray, step: float | None) -> dict[str, bool]:
    """Return whether a gain is called sure: of all points, near the best, of any single point."""
    gains = now - before
    least = 0.0 if step is None else step**2 / gains.shape[1]
    near = np.any([compare_with_best(one, None, least).tied for one in (before, now)], axis=0)
    points = gains_by_point(gains, step)
    return {
        "all": mean_gain(gains, step).sign != 0,
        "near the best": mean_gain(gains[near], step).sign != 0,
        "any point": bool(((points["gain_low"] > 0) | (points["gain_high"] < 0)).any()),
    }


def sure_values(gains: np.ndarray, step: float | None) -> set[tuple[str, str]]:
    """Return the values of axes with which a change is said to do more or less than without."""
    table = gains_by_value(GRID, gains, AXES, step)
    sure = table[(table["beyond_low"] > 0) | (table["beyond_high"] < 0)]
    return set(zip(sure["axis"], sure["value"], strict=True))
