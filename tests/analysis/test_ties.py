"""Promises of ties, regret and expected scores: they hold in studies whose truth is known."""

from __future__ import annotations

import math
from functools import cache

import numpy as np
import pytest
from simulate import simulate

from gridloom.analysis.expected import expected_scores
from gridloom.analysis.moderation import fit_prior
from gridloom.analysis.ties import compare_with_best
from tests.analysis.population import POPULATIONS

STUDIES = {"seed study": 120, "scores on 91 rows": 25}


@cache
def simulated(name, repetitions):
    return simulate(POPULATIONS[name](), repetitions, STUDIES.get(name, 40))


@pytest.mark.parametrize("repetitions", [5, 10])
@pytest.mark.parametrize("name", POPULATIONS)
def test_all_bounds_of_regret_hold_together_in_95_of_100_studies(name, repetitions):
    # Two standard errors of a share among so many studies.
    margin = 2 * math.sqrt(0.05 * 0.95 / STUDIES.get(name, 40))
    assert simulated(name, repetitions)["covered"] >= 0.95 - margin


@pytest.mark.parametrize("repetitions", [5, 10])
def test_the_expected_score_of_the_winner_centres_on_the_truth_where_its_mean_does_not(repetitions):
    found = simulated("seed study", repetitions)
    # One standard error over 120 studies is 0.0006, from luck that all points share.
    assert abs(found["expected_error"]) < 0.002
    assert found["mean_error"] > 0.003


def test_repetitions_separate_points():
    tied = [
        compare_with_best(POPULATIONS["equal noise"]().draw(n, np.random.default_rng(0))).tied.sum()
        for n in (3, 10, 40, 160)
    ]
    assert tied == sorted(tied, reverse=True)
    assert tied[0] > 50
    assert tied[-1] < 20


def test_differences_are_taken_within_blocks():
    generator = np.random.default_rng(0)
    scores = np.array([[0.0], [-1.0], [-2.0]]) + 0.1 * generator.normal(size=(3, 8))
    shared = 100 * generator.normal(size=8)
    apart, together = compare_with_best(scores), compare_with_best(scores + shared)
    assert together.tied.tolist() == [True, False, False]
    np.testing.assert_allclose(together.regret_high, apart.regret_high, rtol=1e-9)
    winner = expected_scores(scores + shared)[0]
    assert winner == pytest.approx((scores + shared).mean(axis=1)[0], abs=0.2)


def test_with_two_points_it_is_students_t_of_the_paired_difference():
    # One-sided 95 % quantile, 4 degrees of freedom, Šidák's for 2 comparisons and a perfect score.
    scores = np.array([[3.0, 1.0, 2.0, 4.0, 5.0], [2.5, 1.5, 2.0, 3.0, 4.0]])
    difference = scores[0] - scores[1]
    quantile = 3.16855  # of 0.95 ** (1 / 3)
    half = quantile * difference.std(ddof=1) / math.sqrt(5)
    found = compare_with_best(scores)
    assert found.regret_high[1] == pytest.approx(difference.mean() + half, rel=1e-5)
    assert found.regret_high[0] == pytest.approx(half - difference.mean(), rel=1e-5)
    # For new rows, the variance of the mean is that of one difference times 1 / 5 + 91 / 364.
    found = compare_with_best(scores, noise=1 / 5 + 91 / 364)
    widened = half * math.sqrt(1 + 5 * 91 / 364)
    assert found.regret_high[1] == pytest.approx(difference.mean() + widened, rel=1e-5)


def test_one_wild_point_does_not_make_all_others_doubtful_where_scores_have_a_limit():
    generator = np.random.default_rng(0)
    good = 0.97 + 0.01 * generator.normal(size=(30, 5))
    wild = np.array([[0.99, 0.1, 0.98, 0.2, 0.5]])
    scores = np.vstack([good, wild])
    assert compare_with_best(scores).regret_high[:30].min() > 0.2
    limited = compare_with_best(scores, perfect=1.0).regret_high
    assert limited[:30].max() < 0.1


@pytest.mark.parametrize("scores", [np.full((4, 3), 0.5), np.full((4, 3), -2.0)])
def test_equal_scores_are_tied_without_regret(scores):
    found = compare_with_best(scores)
    assert found.tied.all()
    assert (found.regret_high == 0).all()
    assert (expected_scores(scores) == scores[:, 0]).all()


def test_scores_of_few_rows_that_agree_by_chance_are_not_taken_for_certain():
    scores = np.array([[90, 90, 90], [89, 89, 89]]) / 91
    assert compare_with_best(scores).tied.tolist() == [True, False]
    assert compare_with_best(scores, least_variance=1 / 91**2 / 3).tied.all()


@pytest.mark.parametrize("prior_df", [4, 20])
def test_the_prior_of_variances_is_found_again_beside_outliers(prior_df):
    generator = np.random.default_rng(0)
    true = 3 * prior_df / generator.chisquare(prior_df, 20_000)
    true[::200] *= 100
    sample = true * generator.chisquare(4, len(true)) / 4
    prior = fit_prior(sample, 4)
    assert prior.df == pytest.approx(prior_df, rel=0.25)
    assert prior.variance == pytest.approx(3, rel=0.1)


def test_variances_that_differ_by_their_noise_alone_are_all_the_prior():
    sample = np.random.default_rng(1).chisquare(4, 20_000) / 4
    prior = fit_prior(sample, 4)
    assert prior.df > 100
    assert np.ptp(prior.moderate(sample, 4)) < 0.2


def test_more_points_than_are_compared_at_a_time_are_compared_with_each_other():
    scores = np.random.default_rng(0).normal(size=(1_000, 3))
    scores[700] += 50
    found = compare_with_best(scores)
    assert found.tied.nonzero()[0].tolist() == [700]
    assert found.regret_high[700] == 0
    assert np.delete(found.regret_high, 700).min() > 40
