"""Promises of the sample: each value of each axis is in it, and few points are."""

from __future__ import annotations

from itertools import pairwise

from gridloom.check.sample import MAX_VALUES, left_out, sample
from gridloom.study.grid import read_grid

DEFAULT = {
    "units": [1, 32, 64],
    "activation": ["linear", "relu"],
    "dropout": [0, 0.3, 0.6],
    "batch_size": [4, 16, 32],
    "learning_rate": [0.01, 0.1, 0.5, 1],
    "epochs": 25,
}


def points_of(hyperparameters):
    return list(read_grid(hyperparameters).points.values())


def values_of(points):
    return {item for point in points for item in point.items()}


def test_each_value_is_in_one_point_that_differs_from_the_first_in_it_alone():
    points = points_of(DEFAULT)
    chosen = [points[place] for place in sample(points)]
    assert len(chosen) == 1 + 2 + 1 + 2 + 2 + 3
    assert chosen[0] == points[0]
    assert values_of(chosen) == values_of(points)
    assert all(len(point.items() - points[0].items()) == 1 for point in chosen[1:])
    assert left_out(points) == {}


def test_the_sample_may_start_from_any_point():
    points = points_of(DEFAULT)
    first, *others = (points[place] for place in sample(points, 100))
    assert first == points[100]
    assert all(len(point.items() - first.items()) == 1 for point in others)


def test_of_a_long_axis_the_first_the_last_and_some_between_are_checked():
    points = points_of({"units": {"range": [1, 1000, 1]}, "dropout": [0, 0.5], "epochs": 1})
    checked = sorted({points[place]["units"] for place in sample(points)})
    assert len(checked) == MAX_VALUES
    assert checked[0] == 1
    assert checked[-1] == max(point["units"] for point in points)
    assert max(b - a for a, b in pairwise(checked)) < 100
    assert left_out(points) == {"units": (MAX_VALUES, len({p["units"] for p in points}))}


def test_conditional_values_are_in_the_sample():
    points = points_of(
        {
            "grids": [
                {"optimizer": "sgd", "momentum": [0, 0.9]},
                {"optimizer": "adam", "beta": [0.8, 0.9]},
            ],
            "epochs": 1,
        }
    )
    assert values_of(points[place] for place in sample(points)) == values_of(points)


def test_a_whole_number_and_a_truth_value_are_two_values():
    points = [{"a": 1}, {"a": True}]
    assert sample(points) == [0, 1]
