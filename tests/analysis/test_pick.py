"""Promises of the pick: the cheapest that is shown to be close, else the best expected."""

from __future__ import annotations

from dataclasses import replace

import pandas as pd
import pytest

from gridloom.analysis.choice import choose
from gridloom.analysis.pick import NothingToChooseError, Pick, read_pick, write_nothing
from gridloom.errors import StudyError
from tests.made_picks import BEST

POINTS = {
    f"units={units}": {"batch_size": batch_size, "epochs": 10, "rate": rate, "units": units}
    for units, batch_size, rate in ((1, 8, 0.3), (2, 8, 0.1), (3, 32, 0.1), (4, 8, 0.2))
}


def tables(regret=(0.5, 0.1, 0.1, 0.0), parameters=(5, 20, 20, 30), lost=(0, 0, 0, 0), n=3):
    """Return summary and runs of four points, the later the better."""
    points = list(POINTS)
    summary = pd.DataFrame(
        {
            "point": points,
            "batch_size": [point["batch_size"] for point in POINTS.values()],
            "n": n,
            "n_diverged": lost,
            "n_missing": 0,
            "score_mean": [0.5, 0.6, 0.7, 0.8],
            "score_se": 0.01,
            "parameters": parameters,
            "expected": [0.5, 0.6, 0.75, 0.74],
            "tied_with_best": [False, True, True, True],
            "regret_high": regret,
            "regret_high_new_rows": [0.9, 0.8, 0.7, 0.6],
            "rank": [4, 3, 2, 1],
        }
    )
    runs = pd.DataFrame(
        {
            "point": [point for point in points for _ in range(3)],
            "status": "ok",
            "restored_epoch": [7, 9, 10] * 4,
            "epochs_run": 10,
        }
    )
    return summary, runs


def chosen(cost=("parameters",), close_enough: float | None = 0.1, **changed):
    return choose(*tables(**changed), POINTS, "score", "max", cost, close_enough)


def test_the_cheapest_of_those_that_are_shown_to_be_close_is_chosen():
    pick = chosen(parameters=(5, 20, 40, 30))
    assert pick.point == "units=2"
    assert pick.shown_close
    assert "of 3 configurations that are at most 0.1 worse" in pick.rule


def test_of_equal_cost_fewer_steps_decide_then_the_order_of_the_grid():
    assert chosen().point == "units=3"
    assert chosen(cost=["rate"]).point == "units=3"
    assert chosen(cost=["rate"], regret=(0.5, 0.1, 0.5, 0)).point == "units=2"
    assert chosen(cost=["batch_size", "parameters"]).point == "units=2"


def test_lack_of_data_shows_no_closeness_and_the_best_expected_is_chosen():
    pick = chosen(close_enough=0.01, regret=(0.5, 0.4, 0.3, 0.2))
    assert (pick.point, pick.expected, pick.shown_close) == ("units=3", 0.75, False)
    assert (pick.top_point, pick.top_mean, pick.tied) == ("units=4", 0.8, 3)
    assert "`snakemake confirm`" in pick.rule


def test_less_is_better_where_the_objective_says_so():
    summary, runs = tables(regret=(0.5, 0.4, 0.3, 0.2))
    pick = choose(summary, runs, POINTS, "score", "min", ["parameters"], 0.01)
    assert pick.point == "units=1"


def test_a_point_that_lost_a_training_is_chosen_only_if_all_did():
    nothing = float("nan")
    assert chosen(lost=(0, 0, 1, 1), regret=(0.5, 0.1, nothing, nothing)).point == "units=2"
    alone = chosen(lost=(1, 0, 1, 1), regret=(nothing,) * 4)
    assert (alone.point, alone.tied, alone.regret_high) == ("units=2", None, None)
    summary, runs = tables(lost=(1, 1, 1, 1), regret=(nothing,) * 4)
    pick = choose(
        summary.assign(expected=nothing), runs, POINTS, "score", "max", ["parameters"], None
    )
    assert (pick.point, pick.expected, pick.close_enough) == ("units=4", 0.8, None)
    assert "diverged" in pick.rule


def test_one_repetition_leaves_the_best_score():
    pick = chosen(regret=(float("nan"),) * 4)
    assert (pick.point, pick.shown_close) == ("units=3", False)


def test_there_is_no_choice_among_points_that_all_diverged():
    with pytest.raises(StudyError, match="nothing to choose"):
        chosen(n=0)


def test_a_pick_is_read_as_it_was_written(tmp_path):
    pick = chosen()
    pick.write(tmp_path / "best.yaml")
    assert Pick.read(tmp_path / "best.yaml") == pick
    assert (pick.index, pick.epochs) == (2, 9)


def test_a_study_without_a_pick_gives_its_readers_the_reason(tmp_path):
    write_nothing(tmp_path / "best.yaml", "all diverged")
    with pytest.raises(NothingToChooseError, match="all diverged"):
        Pick.read(tmp_path / "best.yaml")


def test_a_confirmed_pick_comes_before_the_studys_own_where_its_point_is_there(tmp_path):
    own, confirmed = tmp_path / "own.yaml", tmp_path / "confirmed.yaml"
    BEST.write(own)
    replace(BEST, point="units=1", by="confirm").write(confirmed)
    assert read_pick(own, confirmed, ["units=0", "units=1"]).by == "confirm"
    assert read_pick(own, confirmed, ["units=0"]) == BEST
    assert read_pick(own, None, ["units=0"]) == BEST
