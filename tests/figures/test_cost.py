"""Promises of the costs: the front has what is cheap and good, and no accident."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pandas as pd
import pytest

from gridloom.figures.cost import draw_cost, read_cost
from gridloom.figures.page import PICK, Baseline, Subject
from tests.made_picks import BEST

SUBJECT = Subject("T", {"units": list("01234")}, "val_score", "max", {})

#: The point of 10 parameters and 0.95 lost a training; that of 20 is worse than a cheaper one.
SUMMARY = pd.DataFrame(
    {
        "point": [f"units={place}" for place in range(5)],
        "n": [2, 1, 2, 2, 0],
        "n_diverged": [0, 1, 0, 0, 2],
        "n_missing": 0,
        "val_score_mean": [0.8, 0.95, 0.7, 0.9, np.nan],
        "tied_with_best": [True, False, False, True, False],
        "parameters": [10, 10, 20, 1000, 5],
        "seconds_mean": [3.0, 1.0, 2.0, 1.0, 1.0],
    }
)


@pytest.mark.parametrize(("mode", "sign"), [("max", 1), ("min", -1)])
def test_the_front_has_what_nothing_as_cheap_beats(mode, sign):
    subject = replace(SUBJECT, mode=mode)
    summary = SUMMARY.assign(val_score_mean=sign * SUMMARY["val_score_mean"])
    cost = read_cost(summary, BEST, [], subject)
    assert cost.front("parameters").tolist() == [0, 3]
    assert cost.front("seconds_mean").tolist() == [3]


def test_all_scores_pick_front_and_baselines_are_drawn():
    figure = draw_cost(read_cost(SUMMARY, BEST, [Baseline("linear", 0.85)], SUBJECT), SUBJECT)
    parameters, seconds = figure.axes
    assert (parameters.get_xscale(), seconds.get_xscale()) == ("log", "linear")
    assert parameters.get_xlabel() == "parameters"
    dots = np.concatenate([each.get_offsets() for each in parameters.collections])
    np.testing.assert_allclose(dots, [[10, 0.8], [1000, 0.9], [20, 0.7], [10, 0.95]])
    front, on_front, pick, baseline = parameters.lines
    assert front.get_xydata().tolist() == [[10, 0.8], [1000, 0.9], [1000, 0.9]]
    assert on_front.get_xydata().tolist() == [[10, 0.8], [1000, 0.9]]
    assert (pick.get_color(), pick.get_xydata().tolist()) == (PICK, [[10, 0.8]])
    assert baseline.get_ydata()[0] == 0.85
    assert "Dots: means of 4 configurations." in figure.texts[1].get_text()


def test_only_accidents_have_no_front():
    summary = SUMMARY.assign(n_diverged=1)
    figure = draw_cost(read_cost(summary, None, [], SUBJECT), SUBJECT)
    assert len(figure.axes[0].lines) == 0
    labels = [text.get_text() for text in figure.legends[0].texts]
    assert labels == ["lost trainings: mean of the others"]
