"""Promises of a confirmation: its rounds keep to the limits, and end in a pick."""

from __future__ import annotations

import math
from dataclasses import replace

import numpy as np
import pandas as pd
import pytest

from gridloom.analysis.confirm import (
    conclude,
    describe_confirmation,
    hold_round,
    make_plan,
    table_of_rounds,
)
from gridloom.analysis.pick import Pick
from gridloom.analysis.rounds import Left, Plan, Round, after, describe_kept
from gridloom.errors import StudyError
from gridloom.study.schema import Confirm
from tests.made_picks import BEST


def runs_of(scores: np.ndarray) -> pd.DataFrame:
    """Make the table of trainings of points units=0, units=1, …; NaN is diverged."""
    rows = [
        {
            "point": f"units={place}",
            "repetition": repetition,
            "fold": 0,
            "status": "ok" if math.isfinite(score) else "diverged",
            "val_score": score,
            "restored_epoch": 7,
            "parameters": 10 - place,
            "seconds": 2.0,
        }
        for place, row in enumerate(scores)
        for repetition, score in enumerate(row)
    ]
    return pd.DataFrame(rows)


OBJECTIVE = {"metric": "val_score", "mode": "max", "folds": 1}


def plan_of(scores: np.ndarray, confirm: Confirm | None = None, best: Pick = BEST) -> Plan:
    return make_plan(
        runs_of(scores),
        best,
        confirm or Confirm(),
        own=scores.shape[1],
        folds=1,
        diverged_above=math.inf,
    )


def test_rounds_end_in_a_pick_and_count_what_they_cost(tmp_path):
    scores = np.random.default_rng(0).normal(size=(3, 200)) * 0.1 + [[0.0], [3.0], [2.95]]
    plan = plan_of(scores[:, :2], best=replace(BEST, close_enough=0.05))
    rounds = [hold_round(runs_of(scores[:, :10]), plan, None, **OBJECTIVE)]
    assert rounds[0].gone["units=0"].at == 10
    assert (rounds[0].trainings, rounds[0].seconds) == (3 * 8, 3 * 8 * 2.0)
    while (end := after(rounds[-1], Confirm(), 1)).repetitions is not None:
        runs = runs_of(scores[:, : end.repetitions])
        runs = runs[runs["point"].isin(rounds[-1].left)]
        rounds.append(hold_round(runs, plan, rounds[-1], **OBJECTIVE))
    last = rounds[-1]
    assert len(rounds) > 1
    assert table_of_rounds(rounds)["left"].tolist() == [2] * (len(rounds) - 1) + [1]
    assert last.trainings == 24 + 2 * (last.repetitions - 10)
    last.write(tmp_path / "round.json")
    assert Round.read(tmp_path / "round.json") == last
    pick = conclude(plan, last, end, BEST, ["units=0", "units=1", "units=2"])
    assert (pick.point, pick.index, pick.by, pick.n) == ("units=1", 1, "confirm", last.repetitions)
    assert pick.mean == pytest.approx(scores[1, : last.repetitions].mean())
    assert pick.shown_close
    assert pick.regret_high == 0.05


LAST = Round(
    number=0, repetitions=10, left=dict.fromkeys("ab", Left(1.0, 0.1, 7, 10)), gone={},
    settled=False, last=500, trainings=100, seconds=3600.0, seconds_per_repetition=36.0,
    most_trainings=980,
)  # fmt: skip


@pytest.mark.parametrize(
    ("confirm", "last", "repetitions", "because"),
    [
        ({}, {}, 20, ""),
        ({}, {"repetitions": 200}, 250, ""),
        ({}, {"last": 13}, 13, ""),
        ({"max_trainings": 107}, {}, 13, ""),
        ({"max_trainings": 101}, {}, None, "confirm.max_trainings is reached"),
        ({"max_hours": 1.05}, {}, 15, ""),
        ({"max_hours": 0.5}, {}, None, "confirm.max_hours is reached"),
        ({}, {"repetitions": 1_000_000, "last": 2_000_000}, None, "a study has no more"),
        ({}, {"settled": True}, None, "those left have equal means"),
    ],
)
def test_a_round_keeps_to_the_limits_and_the_end_has_a_reason(confirm, last, repetitions, because):
    found = after(replace(LAST, **last), Confirm(**confirm), folds=1)
    assert found.repetitions == repetitions
    assert found.because.startswith(because)


def test_what_is_left_at_a_limit_is_called_not_settled():
    plan = plan_of(np.zeros((2, 2)))
    last = replace(LAST, left={"units=1": LAST.left["a"], "units=0": LAST.left["b"]})
    end = after(last, Confirm(max_trainings=100), 1)
    pick = conclude(plan, last, end, BEST, ["units=0", "units=1"])
    assert not pick.shown_close
    assert pick.regret_high is None
    assert "confirm.max_trainings is reached" in pick.rule


@pytest.mark.parametrize(
    ("scores", "confirm", "best", "message"),
    [
        (np.zeros((1, 5)), {}, BEST, "one configuration"),
        (np.zeros((2, 5)), {}, replace(BEST, close_enough=None), "confirm.difference: cannot"),
        (np.zeros((2, 5)), {"max_trainings": 9}, BEST, "need 10 further trainings"),
        (np.zeros((2, 5)), {"max_hours": 0.001}, BEST, "take about 0.0056 hours"),
    ],
)
def test_what_cannot_begin_says_why(scores, confirm, best, message):
    with pytest.raises(StudyError, match=message):
        plan_of(scores, Confirm(**confirm), best)


def test_all_diverged_says_so():
    scores = np.zeros((2, 10))
    plan = plan_of(scores)
    with pytest.raises(StudyError, match="each configuration has a training that diverged"):
        hold_round(runs_of(scores * np.nan), plan, None, **OBJECTIVE)


def test_a_plan_counts_the_studys_own_repetitions_and_says_the_cost(tmp_path):
    assert plan_of(np.zeros((2, 20))).first == 20
    scores = np.random.default_rng(0).normal(size=(5, 3))
    plan = plan_of(scores)
    assert (plan.first, plan.own, plan.difference) == (10, 3, 0.5)
    plan.write(tmp_path / "plan.json")
    assert Plan.read(tmp_path / "plan.json") == plan
    text = describe_confirmation(plan, runs_of(scores), Confirm(), **OBJECTIVE)
    assert "35 further trainings, 70 s" in text
    assert "at most about" in text
    one = describe_confirmation(
        replace(plan, own=1), runs_of(scores[:, :1]), Confirm(), **OBJECTIVE
    )
    assert "after the first repetitions only" in one


def test_a_changed_setting_that_the_plan_does_not_follow_is_reported():
    plan = plan_of(np.zeros((2, 5)))
    assert describe_kept(plan, Confirm(max_trainings=5), "confirm/plan.json") is None
    assert "confirm.difference was None and is 0.1" in describe_kept(
        plan, Confirm(difference=0.1), "confirm/plan.json"
    )


def test_a_damaged_file_is_named(tmp_path):
    for text in ("{", "[]", "{}"):
        (tmp_path / "plan.json").write_text(text)
        with pytest.raises(StudyError, match="is damaged"):
            Plan.read(tmp_path / "plan.json")
        with pytest.raises(StudyError, match="is damaged"):
            Round.read(tmp_path / "plan.json")
