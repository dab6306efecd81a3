"""Promises of the sentences on a change: what it did, how sure that is, what to bear in mind."""

from __future__ import annotations

import math
from dataclasses import replace

import numpy as np
import pytest

from gridloom.analysis.change import Change, describe_compared, read_change
from gridloom.errors import StudyError
from gridloom.study.seeds import STREAMS
from tests.analysis.test_compare import HOLDOUT, compared, draw

SETUP = {"seed": 0, "vary": sorted(STREAMS), "data": "a", "validation": {"method": "holdout"}}
EDIT = Change("5", ["model file"], paired=True, same_rows=True)


def described(found, change=EDIT, metric="score", close_enough=None):
    asked = {"title": "T", "metric": metric, "close_enough": close_enough, "folder": "there"}
    return describe_compared(found, change, **asked)


def shifted(shift, seed=0):
    """Return a comparison before and after a shift of all scores."""
    before = draw(6, 8, seed)
    return compared(before, before + shift + 0.1 * draw(6, 8, seed + 1))


@pytest.mark.parametrize(
    ("shift", "close_enough", "said"),
    [
        (1.0, None, "**On average, the change helped.** score is"),
        (-1.0, 0.5, "**On average, the change did harm.** score is"),
        (0.0, None, "**It is not shown whether the change helped or did harm.** score is"),
        (0.0, 0.5, "**The change makes no difference that matters.** score is"),
        (0.2, 0.5, "**On average, the change helped, but less than matters.** score is"),
    ],
)
def test_the_first_sentence_is_the_answer(shift, close_enough, said):
    assert said in described(shifted(shift), close_enough=close_enough)


def test_worse_is_told_as_such_with_its_interval():
    found = shifted(-1.0)
    low, high = -found.overall.high, -found.overall.low
    assert f"worse by {-found.overall.gain:.3g} (95 % interval {low:.3g} to {high:.3g}, over" in (
        described(found)
    )
    unsure = shifted(0.0).overall
    ends = f"(95 % interval {-unsure.low:.3g} worse to {unsure.high:.3g} better, over more seeds"
    assert ends in described(shifted(0.0))


def test_what_changed_and_how_scores_are_paired_is_said():
    text = described(shifted(1.0))
    assert text.startswith("# T: before and after a change\n")
    assert (
        "Changed since set-up 5: model file. Both have 6 configurations and 8 repetitions" in text
    )
    assert "paired by seed" in text
    assert "In there: each configuration (compare.csv)" in text


def test_no_difference_at_all_is_not_called_unsure():
    text = described(compared(draw(), draw()))
    assert "**The change made no difference.** All 30 scores are the same up to rounding." in text
    assert text.count("\n- ") == 1


def test_one_repetition_and_lost_configurations_are_told():
    before, now = draw(repetitions=1), draw(repetitions=1, seed=1)
    assert "**One repetition cannot tell the change from luck.**" in described(
        compared(before, now)
    )
    before[:] = math.nan
    text = described(compared(before, now))
    assert "**Nothing can be said.** Every configuration has a training that diverged" in text
    assert "6 of 6 before, 0 now" in text


def test_lost_trainings_are_part_of_the_answer():
    before = draw(6, 8)
    now = before + 1 + 0.1 * draw(6, 8, 1)
    before[0] = before[1, :5] = math.nan
    text = described(compared(before, now))
    assert "the change helped, and fewer trainings are lost.**" in text
    assert "the mean over 4 of 6 configurations (the others lost a training" in text
    assert "13 of 48 before, 0 now: fewer by 27 % of all (95 % interval" in text
    assert "the change did harm, but more" not in text


def test_where_it_helps_is_told_if_it_is_sure():
    before = draw(4, 8)
    now = before + np.array([[1.0], [0], [0], [0]]) + 0.05 * draw(4, 8, 1)
    text = described(compared(before, now))
    assert "What it does depends on units: at 0, better by 1" in text
    assert "Single configurations: 1 of 4 is shown to be better, none to be worse" in text
    assert "is not shown to depend on any hyperparameter" in described(shifted(0.0))


def test_the_best_before_and_now_are_named():
    before = draw(4, 8) + np.arange(4)[:, None] * 5
    text = described(compared(before, before[::-1]))
    assert "The best before was units=3 with" in text
    assert "The best now is units=0 with" in text
    same = described(compared(before, before + 1 + 0.1 * draw(4, 8, 1)))
    assert "The best configuration is the same: units=3 had" in same


def test_new_rows_are_told_where_the_gain_is_sure():
    before = draw(6, 8)
    found = compared(before, before + 1 + 0.1 * draw(6, 8, 1), scoring=HOLDOUT)
    assert "For new rows, too: better by" in described(found)
    noisy = compared(before, before + 0.3 + 0.6 * draw(6, 8, 3), scoring=HOLDOUT)
    assert noisy.overall.sign == 1 and noisy.new_rows.sign == 0
    assert "For new rows, this is not sure: better by" in described(noisy)
    assert "Of new rows, nothing is known: the description" in described(shifted(1.0))
    assert "new rows" not in described(shifted(0.0))


def test_limits_of_the_comparison_are_told():
    found = shifted(1.0)
    assert "about the changes together" in described(
        found, replace(EDIT, parts=["model file", "scaling (standard → none)"])
    )
    assert "The seeds differ" in described(found, replace(EDIT, paired=False, same_rows=False))
    assert "scored on different rows" in described(found, replace(EDIT, same_rows=False))
    assert "another loss function" in described(found, metric="val_loss")
    assert "another loss function" not in described(found)


def test_other_seeds_are_compared_without_pairs():
    change = read_change("5", {**SETUP, "seed": 1}, SETUP, ["seed (1 → 0)"])
    assert (change.paired, change.same_rows) == (False, False)
    assert read_change("5", SETUP, SETUP, ["model file"]) == EDIT
    other = read_change("5", {**SETUP, "data": "b"}, SETUP, ["data"])
    assert (other.paired, other.same_rows) == (True, False)


@pytest.mark.parametrize(
    ("before", "now", "fixed"),
    [
        ({"vary": ["shuffle"], "seed": 1}, {"vary": ["shuffle"]}, "init, dropout, validation"),
        ({"vary": ["init", "shuffle"]}, {"vary": ["shuffle"]}, "init"),
    ],
)
def test_luck_that_no_repetition_shows_is_a_refusal(before, now, fixed):
    with pytest.raises(
        StudyError, match=rf"differs in x. So the two differ in the luck of {fixed}, which"
    ):
        read_change("5", {**SETUP, **before}, {**SETUP, **now}, ["x"])


def test_streams_that_stay_the_same_in_both_are_no_obstacle():
    fixed = {**SETUP, "vary": ["shuffle"]}
    assert read_change("5", fixed, fixed, ["model file"]).paired
