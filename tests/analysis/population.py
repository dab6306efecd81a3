"""Populations of scores whose truth is known, to draw studies from.

The first is real: the 108 configurations of the seed study with a learning rate up to 0.1, trained
80 times each. Its 80 repetitions are taken for all that there are; a study draws some of them, with
replacement, for all configurations alike.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from scipy.special import ndtri

POINTS = 108


@dataclass(frozen=True)
class Population:
    """Scores of which the mean of each point is known.

    Attributes
    ----------
    truth
        Mean score of each point, shape (N,); more is better.
    draw
        (repetitions, generator) → scores of a study, shape (N, repetitions).
    least_difference
        What one validation row changes; None if scores are continuous.
    """

    truth: np.ndarray
    draw: Callable[[int, np.random.Generator], np.ndarray]
    least_difference: float | None = None

    @property
    def regret(self) -> np.ndarray:
        """How much worse than the best each point is, shape (N,)."""
        return self.truth.max() - self.truth


def seed_study() -> Population:
    """Return the accuracies on 91 validation rows of the 108 configurations."""
    with np.load(Path(__file__).parent / "seed_study_80.npz") as stored:
        scores = stored["correct"] / float(stored["rows"])

    def draw(repetitions: int, generator: np.random.Generator) -> np.ndarray:
        return scores[:, generator.integers(0, scores.shape[1], repetitions)]

    return Population(scores.mean(axis=1), draw, 1 / 91)


def normal(truth: np.ndarray, deviations: np.ndarray) -> Population:
    """Return normal scores: noise that all points share, of deviation 1, and each one's own."""

    def draw(repetitions: int, generator: np.random.Generator) -> np.ndarray:
        own = generator.normal(size=(len(truth), repetitions)) * deviations[:, None]
        return truth[:, None] + own + generator.normal(size=repetitions)

    return Population(truth, draw)


def equal_noise() -> Population:
    """Return points 0 to 3 below the best, with noise of deviation 1."""
    return normal(np.linspace(0, -3, POINTS), np.ones(POINTS))


def unequal_noise() -> Population:
    """Return such points with noise of deviations from 1 to 4, in no order."""
    deviations = np.random.default_rng(0).permutation(np.geomspace(1, 4, POINTS))
    return normal(np.linspace(0, -3, POINTS), deviations)


def one_noisy_best() -> Population:
    """Return equal points, and one that is better by 0.5 and four times as noisy."""
    first = np.arange(POINTS) == 0
    return normal(np.where(first, 0.5, 0.0), np.where(first, 4.0, 1.0))


def few_rows() -> Population:
    """Return shares of 91 rows that are right; half of the noise of a row is shared."""
    truth = np.linspace(0.9, 0.98, POINTS)
    limits = ndtri(truth)[:, None, None]

    def draw(repetitions: int, generator: np.random.Generator) -> np.ndarray:
        size = (repetitions, 91)
        own = generator.standard_normal((POINTS, *size), dtype=np.float32)
        shared = generator.standard_normal(size, dtype=np.float32)
        right = np.sqrt(0.5) * (own + shared) < limits
        return right.mean(axis=2)

    return Population(truth, draw, 1 / 91)


def wild_tail() -> Population:
    """Return points of equal noise; a third is far worse and forty times as noisy."""
    wild = np.arange(POINTS) % 3 == 0
    truth = np.where(wild, -60.0, np.linspace(0, -3, POINTS))
    return normal(truth, np.where(wild, 40.0, 1.0))


POPULATIONS: dict[str, Callable[[], Population]] = {
    "seed study": seed_study,
    "equal noise": equal_noise,
    "noise of sd 1 to 4": unequal_noise,
    "one noisy best": one_noisy_best,
    "scores on 91 rows": few_rows,
    "wild tail": wild_tail,
}
