"""Promises of the screening: how often it errs, and that rounds do not matter."""

from __future__ import annotations

import numpy as np
import pytest

from gridloom.analysis.screening import ALPHA, NOBODY, h_squared, most_further, screen, step
from tests.analysis.population import POINTS, Population, normal, seed_study, unequal_noise

HALF_A_ROW = 0.5 / 91


def chosen(scores: np.ndarray, first: int, difference: float) -> int:
    """Return the place that the whole procedure chooses; scores must suffice for its end."""
    screened = screen(scores, first=first, difference=difference, configurations=len(scores))
    assert screened.settled
    places = np.flatnonzero(screened.left)
    return int(places[scores[places].mean(axis=1).argmax()])


def share_wrong(population: Population, studies: int, repetitions: int, difference: float) -> float:
    """Return how often the choice is behind the best by the difference or more."""
    generator = np.random.default_rng(0)
    wrong = [
        population.regret[chosen(population.draw(repetitions, generator), 10, difference)]
        >= difference * (1 - 1e-9)
        for _ in range(studies)
    ]
    return float(np.mean(wrong))


def test_the_constant_is_that_of_kim_and_nelson():
    assert h_squared(97, 5) == pytest.approx(119.9, abs=0.1)
    assert h_squared(97, 10) == pytest.approx(32.4, abs=0.1)


def test_on_the_real_study_the_choice_is_within_the_difference_of_the_best():
    assert share_wrong(seed_study(), 20, 5000, HALF_A_ROW) <= ALPHA


@pytest.mark.parametrize("deviations", [np.ones(30), np.geomspace(1, 4, 30)], ids=["equal", "1-4"])
@pytest.mark.parametrize("best", [0, 29])
def test_a_best_that_is_ahead_by_just_the_difference_is_chosen(deviations, best):
    """The least favourable means: 60 studies; three errors are within the promise."""
    truth = np.where(np.arange(30) == best, 1.0, 0.0)
    assert share_wrong(normal(truth, deviations), 60, 4000, 1.0) <= ALPHA


def test_the_same_are_left_however_the_repetitions_are_divided_into_rounds():
    scores = unequal_noise().draw(60, np.random.default_rng(3))
    how = {"first": 10, "difference": 1.0, "configurations": POINTS}
    at_once = screen(scores, **how)
    assert 1 < at_once.left.sum() < POINTS
    left = np.arange(POINTS)
    for since, until in ((None, 10), (10, 11), (11, 37), (37, 60)):
        part = screen(scores[left, :until], since=since, **how)
        gone = ~part.left
        assert (part.at[gone] == at_once.at[left[gone]]).all()
        assert (left[part.by[gone]] == at_once.by[left[gone]]).all()
        left = left[part.left]
    assert (left == np.flatnonzero(at_once.left)).all()


def test_who_diverged_leaves_with_that_repetition_and_beats_nobody():
    scores = np.random.default_rng(0).normal(size=(4, 30)) + np.array([[9.0], [0.0], [0.0], [0.0]])
    scores[0, 4], scores[1, 20] = np.nan, np.nan
    screened = screen(scores, first=10, difference=0.1, configurations=4)
    assert screened.at.tolist() == [10, 21, 0, 0]
    assert screened.by.tolist() == [NOBODY] * 4


def test_equal_scores_end_with_all_of_them_left():
    screened = screen(np.full((3, 10), 0.9), first=10, difference=0.01, configurations=3)
    assert screened.settled
    assert screened.left.all()


def test_equal_scores_in_steps_are_not_taken_for_always_equal():
    scores = np.repeat([[0.91], [0.91], [0.90]], 10, axis=1)
    assert step(scores) == pytest.approx(0.01)
    screened = screen(scores, first=10, difference=0.002, configurations=3)
    assert screened.left.tolist() == [True, True, False]
    assert not screened.settled


def test_no_course_costs_more_than_was_announced():
    scores = unequal_noise().draw(4000, np.random.default_rng(1))[:20]
    how = {"first": 10, "difference": 1.0, "configurations": 20}
    screened = screen(scores, **how)
    assert screened.settled
    spent = np.where(screened.left, screened.at.max(), screened.at).sum() - 10 * 20
    assert 0 < spent <= most_further(scores[:, :10], done=10, **how)


def test_a_difference_too_small_to_settle_settles_nothing():
    scores = np.random.default_rng(0).normal(size=(4, 10))
    found = screen(scores, first=10, difference=1e-12, configurations=4)
    assert not found.settled
    assert found.left.all()
