"""Promises of the choice: the best mean that trainings reached, and how long they took to it."""

from __future__ import annotations

import math

import pandas as pd
import pytest

from gridloom.analysis.selection import choose
from gridloom.errors import StudyError


def tables(n=(3, 3), diverged=(0, 0), rank=(2, 1), parameters=(9, 9)):
    summary = pd.DataFrame(
        {
            "point": ["units=1", "units=2"],
            "n": n,
            "n_diverged": diverged,
            "n_missing": 0,
            "parameters": parameters,
            "val_loss_mean": [0.5, 0.25],
            "val_loss_se": [0.1, math.nan],
            "rank": rank,
        }
    )
    runs = pd.DataFrame(
        {
            "point": ["units=1"] * 3 + ["units=2"] * 4,
            "status": ["ok"] * 6 + ["diverged"],
            "restored_epoch": [20, 20, 20, 4, 9, 7, 1],
        }
    )
    return runs, summary


def test_the_point_of_rank_1_is_chosen_with_the_median_of_its_epochs():
    choice = choose(*tables(diverged=(0, 1)), "val_loss")
    assert (choice.point, choice.epochs) == ("units=2", 7)
    assert (choice.mean, choice.n, choice.n_diverged) == (0.25, 3, 1)
    assert math.isnan(choice.se)
    assert choice.tied == 1


@pytest.mark.parametrize(("parameters", "chosen"), [((9, 8), "units=2"), ((9, 9), "units=1")])
def test_of_equal_means_the_fewest_parameters_are_chosen_then_the_first(parameters, chosen):
    choice = choose(*tables(rank=(1, 1), parameters=parameters), "val_loss")
    assert (choice.point, choice.tied) == (chosen, 2)


def test_there_is_no_choice_among_points_that_all_diverged():
    with pytest.raises(StudyError, match="nothing to choose"):
        choose(*tables(n=(0, 0), diverged=(3, 4)), "val_loss")
