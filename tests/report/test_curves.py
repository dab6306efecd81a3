"""Promises of the page's curves: what was trained, and nothing beyond."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest

from gridloom.figures.curves import Histories
from gridloom.report.curves import MAX_EPOCHS, MAX_NUMBERS, MIN_NUMBERS, kept_epochs, point_curves

NAN = np.nan


def histories(values, points, repetitions):
    table = pd.DataFrame({"point": points, "repetition": repetitions})
    return Histories(table, {"val_x": np.array(values, float)})


def test_a_curve_ends_with_the_last_training_of_its_configuration():
    found = point_curves(
        histories([[1, 2, NAN, NAN], [3, 4, 5, NAN], [6, 7, 8, 9]], ["a", "a", "b"], [0, 1, 0]),
        "val_x",
        pd.Index(["b", "a"]),
    )
    assert found.points.tolist() == ["b", "a"]
    (b, b_low, _, _), (a, a_low, a_high, training) = found.values
    np.testing.assert_array_equal(b, [6, 7, 8, 9])
    np.testing.assert_array_equal(b_low, b)
    # The first training stopped after two epochs and keeps its value; none has a fourth.
    np.testing.assert_array_equal(a, [2, 3, 3.5, NAN])
    np.testing.assert_array_equal(a_low, [1, 2, 2, NAN])
    np.testing.assert_array_equal(a_high, [3, 4, 5, NAN])
    assert np.isnan(training).all()


def test_folds_are_averaged_before_repetitions():
    found = point_curves(
        histories([[0.0], [2.0], [7.0]], ["a"] * 3, [0, 0, 1]), "val_x", pd.Index(["a"])
    )
    np.testing.assert_array_equal(found.values[0, :3, 0], [4, 1, 7])


@pytest.mark.parametrize("count", [1, MAX_EPOCHS, MAX_EPOCHS + 1, 5000])
def test_the_first_and_last_epochs_are_kept(count):
    kept = kept_epochs(count)
    assert kept[0] == 0
    assert kept[-1] == count - 1
    assert len(kept) <= MAX_EPOCHS
    assert (np.diff(kept) > 0).all()
    assert np.isin(np.arange(min(count, 10)), kept).all()


def test_of_many_configurations_the_first_in_order_have_curves():
    paths = [f"units={units}" for units in range(5000)]
    order = pd.Index(paths[::-1])
    found = point_curves(histories(np.ones((5000, 25)), paths, [0] * 5000), "val_x", order)
    assert found.points.equals(order[: MAX_NUMBERS // (4 * 25)])
    assert found.values.size <= MAX_NUMBERS
    few = point_curves(histories(np.ones((5000, 25)), paths, [0] * 5000), "val_x", order, -1)
    assert few.points.equals(order[: MIN_NUMBERS // (4 * 25)])
