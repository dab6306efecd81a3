"""Promises of the places of values: numbers to scale, cells between them, labels apart."""

from __future__ import annotations

import numpy as np
import pytest

from gridloom.figures.places import kept, side_by_side, to_scale


def test_cells_reach_half_way_to_the_next_value_whatever_the_order_given():
    places = to_scale(["32", "0", "16", "64"])
    assert places.order.tolist() == [1, 2, 0, 3]
    assert places.scale == "linear"
    # From -8 to 80, four cells of 22 on average.
    np.testing.assert_allclose(places.edges, np.array([0, 16, 32, 56, 88]) / 22 - 0.5)
    np.testing.assert_allclose(places.values, np.array([8, 24, 40, 72]) / 22 - 0.5)
    np.testing.assert_allclose(places.middles[-1], 72 / 22 - 0.5)
    assert places.lengths.mean() == pytest.approx(1)
    assert places.nearest == pytest.approx(16 / 22)


def test_values_that_are_spread_by_factors_have_a_logarithmic_scale():
    places = to_scale(["0.001", "0.01", "0.1", "1"])
    assert places.scale == "log"
    np.testing.assert_allclose(places.edges, side_by_side(4).edges)
    assert to_scale(["0.01", "0.1", "0.5", "1"]).scale == "log"
    assert to_scale(["4", "16", "32"]).scale == "linear"
    assert to_scale(["-1", "1", "100"]).scale == "linear"


@pytest.mark.parametrize("values", [["3"], ["3", "1"]])
def test_one_value_or_two_have_places(values):
    places = to_scale(values)
    np.testing.assert_allclose(places.edges, side_by_side(len(values)).edges)
    assert places.nearest == 1


def test_labels_are_left_out_where_they_would_touch():
    assert kept([0, 1, 2, 3, 4], 2) == [0, 2, 4]
    assert kept([0, 0.1, 0.2, 5], 1) == [0, 3]
    # 0.3 is a rounded sum.
    assert kept([0, 0.1 + 0.2], 0.3) == [0, 1]
