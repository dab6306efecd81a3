"""Promises of the stability: deviations and lost trainings of each value of each axis."""

from __future__ import annotations

import numpy as np
import pandas as pd

from gridloom.figures.page import Subject
from gridloom.figures.stability import MAX_ROWS, draw_stability, read_stability

AXES = {"units": ["1", "2"], "rate": ["0.1", ""]}

SUBJECT = Subject("T", AXES, "val_score", "max", {})

SUMMARY = pd.DataFrame(
    {
        "units": ["1", "1", "2", "2"],
        "rate": ["0.1", "", "0.1", ""],
        "n_trainings": 5,
        "n_diverged": [0, 0, 2, 1],
        "n_missing": [0, 1, 0, 0],
        "val_score_sd": [0.1, 0.3, 0.2, np.nan],
    }
)


def test_each_value_has_its_deviations_and_its_lost_trainings():
    figure = draw_stability(read_stability(SUMMARY, SUBJECT), SUBJECT)
    left, right = figure.axes
    labels = [label.get_text() for label in left.get_yticklabels()]
    assert labels == ["units 1", "units 2", "rate 0.1", "rate —"]
    dots, *_, quartiles, median = left.collections
    assert dots.get_offsets()[:, 0].tolist() == [0.1, 0.3]
    np.testing.assert_allclose(quartiles.get_segments()[0][:, 0], [0.15, 0.25])
    np.testing.assert_allclose(median.get_segments()[0][:, 0], [0.2, 0.2])
    np.testing.assert_allclose([bar.get_width() for bar in right.patches], [0.1, 0.3, 0.2, 0.2])
    (beside,) = right.child_axes
    numbers = [label.get_text() for label in beside.get_yticklabels()]
    assert numbers == ["1 of 10", "3 of 10", "2 of 10", "2 of 10"]


def test_one_repetition_has_no_deviation_and_says_so():
    figure = draw_stability(read_stability(SUMMARY.assign(val_score_sd=np.nan), SUBJECT), SUBJECT)
    (reason,) = figure.axes[0].texts
    assert reason.get_text() == "no configuration has\ntwo repetitions with a score"
    assert len(figure.axes[1].patches) == 4


def test_of_many_values_evenly_spaced_ones_are_drawn():
    values = [str(place) for place in range(3 * MAX_ROWS)]
    summary = pd.DataFrame({**SUMMARY.iloc[[0] * len(values)], "units": values})
    stability = read_stability(summary, Subject("T", {"units": values}, "val_score", "max", {}))
    assert len(stability.values) == MAX_ROWS
    assert stability.not_drawn == 2 * MAX_ROWS
