"""Promises of a comparison of two set-ups: what is paired, and how sure a gain is."""

from __future__ import annotations

import math

import numpy as np
import pandas as pd
import pytest
from scipy.stats import ttest_rel

from gridloom.analysis.compare import (
    compare,
    gain_of,
    gains_by_value,
    gather_both,
    mean_gain,
    pair,
)
from gridloom.data.scoring import Scoring
from gridloom.errors import StudyError
from tests.analysis.changes import AXES, GRID, sure_of_means, sure_values, two_draws
from tests.analysis.population import POPULATIONS, normal, seed_study
from tests.made_records import write_made_record

HOLDOUT = Scoring(fitted=80, validated=20, folds=1, redrawn=True, ordered=False)


def runs_of(scores):
    """Return the trainings of scores of shape (points, repetitions, folds); NaN diverged."""
    scores = np.asarray(scores, float)
    scores = scores[..., None] if scores.ndim == 2 else scores
    points, repetitions, folds = np.indices(scores.shape).reshape(3, -1)
    return pd.DataFrame(
        {
            "point": [f"units={place}" for place in points],
            "units": points.astype(str),
            "repetition": repetitions,
            "fold": folds,
            "status": np.where(np.isfinite(scores.ravel()), "ok", "diverged"),
            "score": scores.ravel(),
        }
    )


def units(count):
    return {"units": [str(place) for place in range(count)]}


def compared(before, now, mode="max", scoring=None, same_rows=True):
    before, now = (runs_of(part) for part in (before, now))
    axes = units(now["units"].nunique())
    return compare(before, now, axes, "score", mode, scoring, same_rows=same_rows)


def draw(points=6, repetitions=5, seed=0):
    return np.random.default_rng(seed).normal(size=(points, repetitions))


def test_only_what_both_have_is_compared_and_most_pairs_are_kept():
    now = runs_of(draw(4, 5))
    before = runs_of(draw(4, 5, seed=1)).iloc[::-1]
    # Of point 1 repetition 4 is missing, of point 3 all but the first two.
    before = before[~((before["units"] == "1") & (before["repetition"] == 4))]
    before = before[(before["units"] != "3") | (before["repetition"] < 2)]
    found = pair(before, now, units(4), "score", "max")
    assert found.now.repetitions.tolist() == found.before.repetitions.tolist() == [0, 1, 2, 3]
    assert found.now.points["units"].tolist() == ["0", "1", "2"]
    assert found.before.points["units"].tolist() == ["0", "1", "2"]
    assert found.gains == pytest.approx((draw(4, 5) - draw(4, 5, seed=1))[:3, :4])
    assert (found.trainings_before, found.trainings_now) == (12, 12)


def test_repetitions_that_few_have_do_not_cost_the_others_configurations():
    before, now = runs_of(draw(4, 5)), runs_of(draw(4, 5))
    now = now[(now["units"] == "0") | (now["repetition"] < 3)]
    found = pair(before, now, units(4), "score", "max")
    assert found.now.scores.shape == (4, 3)


def test_nothing_in_common_is_a_sentence():
    before, now = runs_of(draw(1, 2)), runs_of(draw(1, 2))
    now["repetition"] += 2
    with pytest.raises(StudyError, match=r"no repetition of a configuration in common; run"):
        pair(before, now, units(1), "score", "max")


def test_an_observation_is_a_mean_over_folds():
    before, now = np.random.default_rng(0).normal(size=(2, 3, 4, 5))
    found = pair(runs_of(before), runs_of(now), units(3), "score", "max")
    assert found.gains == pytest.approx((now - before).mean(axis=2))


def test_lost_trainings_are_counted_in_both_and_leave_means_of_the_same_configurations():
    before, now = draw(), draw(seed=1)
    before[0, 1] = before[1, 2] = now[1, 0] = math.nan
    found = compared(before, now)
    table = found.by_point
    assert table["lost_before"].tolist() == [1, 1, 0, 0, 0, 0]
    assert table["lost_now"].tolist() == [0, 1, 0, 0, 0, 0]
    assert table["pairs"].tolist() == [4, 3, 5, 5, 5, 5]
    assert table["gain_low"].isna().tolist() == [True, True, False, False, False, False]
    assert (table["now"] - table["before"]).to_numpy() == pytest.approx(table["gain"].to_numpy())
    assert found.overall.gain == pytest.approx((now - before)[2:].mean())
    assert found.lost.gain == pytest.approx(1 / 30)
    assert found.lost.sign == 0


def test_the_overall_gain_is_a_paired_t_test_over_repetitions():
    before, now = draw(), draw(seed=1) + 0.4
    found = compared(before, now).overall
    means = now.mean(axis=0), before.mean(axis=0)
    interval = ttest_rel(*means).confidence_interval(0.95)
    assert (found.low, found.high) == pytest.approx((interval.low, interval.high))


def test_a_gain_is_above_0_where_it_is_better_whether_more_or_less_is():
    before, now = draw(), draw(seed=1)
    most, least = compared(before, now), compared(-before, -now, "min")
    assert most.overall == least.overall
    pd.testing.assert_frame_equal(most.by_value, least.by_value)
    # Means stay in the unit of the objective.
    assert least.by_point["now"].to_numpy() == pytest.approx(-most.by_point["now"].to_numpy())
    assert (most.best_now.point, most.best_now.now) == (least.best_now.point, -least.best_now.now)


def test_new_rows_widen_the_interval_by_nadeau_and_bengio():
    found = compared(draw(), draw(seed=1), scoring=HOLDOUT)
    wider = math.sqrt((1 / 5 + 20 / 80) / (1 / 5))
    assert found.new_rows.se == pytest.approx(found.overall.se * wider)
    apart = compared(draw(), draw(seed=1), scoring=HOLDOUT, same_rows=False)
    assert "not scored on the same rows" in apart.new_rows


def test_equal_scores_are_the_same():
    before = draw()
    before[0, 0] = math.nan
    assert compared(before, before * (1 + 1e-7)).same
    assert not compared(before, draw()).same


def test_one_repetition_has_no_interval():
    found = compared(draw(repetitions=1), draw(repetitions=1, seed=1))
    assert math.isnan(found.overall.low)
    assert found.by_point["gain_low"].isna().all()
    assert found.overall.sign == 0


def test_scores_of_few_rows_that_agree_by_chance_are_not_sure():
    # One row more in both repetitions, as happens without any cause.
    now = np.full((1, 2), 0.85)
    assert gain_of((now - 0.8)[0]).sign == 1
    assert compared(np.full((1, 2), 0.8), now, scoring=HOLDOUT).overall.sign == 0


def test_another_metric_in_the_other_set_up_is_a_sentence(tmp_path):
    before, now = (
        write_made_record(tmp_path / name, {"units": 1}, [{"loss": [0.5], name: [0.5]}])
        for name in ("accuracy", "auc")
    )
    with pytest.raises(StudyError, match=r"did not measure the objective .*'auc'.*`objective"):
        gather_both([before], [now], ["units"], 1, "auc", "max", None)


def test_one_bound_says_what_diverged_in_both(tmp_path):
    before, now = (
        write_made_record(tmp_path / name, {"units": 1}, [{"loss": losses}])
        for name, losses in (("before", [100.0, 2000.0]), ("now", [1.0, 0.5]))
    )
    both = gather_both([before], [now], ["units"], 1, "loss", "min", None)
    assert [one.runs["status"].tolist() for one in both] == [["diverged"], ["ok"]]


def rates(population, repetitions, studies, alike=0.5):
    """Return how often something is called sure of changes that do nothing."""
    generator = np.random.default_rng(0)
    step = population.least_difference
    drawn = [two_draws(population, repetitions, generator, alike) for _ in range(studies)]
    return pd.DataFrame([sure_of_means(*both, step) for both in drawn]).mean()


@pytest.mark.parametrize("alike", [0.0, 0.5])
def test_a_change_that_does_nothing_is_called_sure_in_one_study_of_twenty(alike):
    # 0.05, and two standard errors of a share of 100.
    assert (rates(seed_study(), 5, 100, alike) <= 0.095).all()


def test_a_change_that_does_nothing_is_seldom_said_to_do_it_at_a_value():
    generator = np.random.default_rng(1)
    drawn = [two_draws(seed_study(), 5, generator, 0.5) for _ in range(40)]
    claimed = [bool(sure_values(now - before, 1 / 91)) for before, now in drawn]
    assert np.mean(claimed) <= 0.12


@pytest.mark.slow
@pytest.mark.parametrize("name", POPULATIONS)
@pytest.mark.parametrize("repetitions", [2, 10])
def test_of_no_population_more_is_called_sure_than_one_study_of_twenty(name, repetitions):
    assert (rates(POPULATIONS[name](), repetitions, 150) <= 0.09).all()


def test_a_shift_is_found_and_where_it_is():
    population, generator = seed_study(), np.random.default_rng(0)
    there = (GRID["rate"] == "2").to_numpy()
    step, found = population.least_difference, []
    for _ in range(20):
        before, now = two_draws(population, 5, generator, 0.0)
        shifted = sure_of_means(before, now + 0.06, step)
        values = sure_values(now + 0.15 * there[:, None] - before, step)
        only_there = {axis for axis, _ in values} == {"rate"}
        found.append(
            (shifted["all"], shifted["near the best"], ("rate", "2") in values, only_there)
        )
    assert (np.mean(found, axis=0) >= 0.9).all()


def test_the_interval_of_a_mean_covers_the_shift_as_often_as_it_says():
    population, generator = normal(np.zeros(12), np.ones(12)), np.random.default_rng(0)
    draws = (two_draws(population, 4, generator, 0.0) for _ in range(1000))
    covered = [
        gain.low <= 1 <= gain.high
        for gain in (mean_gain(now + 1 - before) for before, now in draws)
    ]
    assert np.mean(covered) == pytest.approx(0.95, abs=0.02)


def test_of_an_incomplete_grid_a_value_is_compared_over_the_same_others():
    generator = np.random.default_rng(0)
    gains = np.where(GRID["units"] == "1", 1.0, 0.0)[:, None] + generator.normal(0, 0.01, (108, 5))
    # Without most of rate 3 at units 1, plain means would make rate 3 look worse.
    kept = ~((GRID["rate"] == "3") & (GRID["units"] == "1") & (GRID["size"] != "1")).to_numpy()
    table = gains_by_value(GRID[kept], gains[kept], AXES).set_index(["axis", "value"])
    assert table.loc[("rate", "3"), "beyond"] == pytest.approx(0, abs=0.02)
    assert table.loc[("units", "1"), "beyond"] == pytest.approx(1, abs=0.02)
    assert table.loc[("rate", "3"), "configurations"] == 28


def test_values_that_no_compared_configuration_has_are_left_out():
    table = gains_by_value(GRID[GRID["units"] == "1"], draw(36), AXES)
    assert set(table["axis"]) == {"rate", "size", "drop"}
    table = gains_by_value(GRID[GRID["units"] != "1"], draw(72), AXES)
    assert table.loc[table["axis"] == "units", "value"].tolist() == ["2", "3"]
    assert gains_by_value(GRID[:0], draw(0), AXES).empty
