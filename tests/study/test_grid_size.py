"""Promises of the size of a grid: the same as if it was listed, and known at once."""

from __future__ import annotations

import pytest

from gridloom.errors import StudyError
from gridloom.study.grid import read_grid
from gridloom.study.grid_size import count_points, why_too_large
from gridloom.study.loading import check_study
from tests.processor_time import in_turns

BLOCKS = [
    {"units": [1, 2, 3], "rate": 0.1},
    {"units": {"range": [1, 10, 2]}, "rate": {"linspace": [0, 1, 4]}},
    {"units": {"range": [10, 1, -4]}, "rate": {"logspace": [0.1, 1, 3]}},
    {"rate": {"range": [0, 0.6, 0.1]}, "layers": [[1, 2], [3]]},
    {"zip": {"a": [1, 2], "b": [3, 4]}, "c": [1, 2, 3]},
    {"zip": [{"a": [1, 2]}, {"b": [3, 4]}], "c": 1},
    {"a": [1, 2], "grids": [{"b": [1, 2], "c": 1}, {"d": [1, 2, 3]}]},
    [{"a": [1, 2]}, {"b": [1, 2, 3]}],
]


@pytest.mark.parametrize("block", BLOCKS)
def test_points_are_counted_as_they_are_listed(block):
    assert count_points(block) == len(read_grid(block).points)


def test_points_that_are_left_out_count_and_the_message_says_so():
    block = {"a": [1, 2, 3], "b": [1, 2], "exclude": [{"a": 1}]}
    assert len(read_grid(block, 6).points) == 4
    with pytest.raises(StudyError, match="6 points before `exclude`, max_points is 5"):
        read_grid(block, 5)


@pytest.mark.parametrize(
    "block",
    [{}, [], {"a": []}, {"a": {"range": [0, 1, 0]}}, {"a": {"linspace": [1, 2]}}, {"zip": 3}, "x"],
)
def test_what_is_no_grid_is_left_to_other_messages(block):
    assert why_too_large(block, 1) is None


@pytest.mark.parametrize(
    ("block", "message"),
    [
        (
            {"units": {"range": [1, 128, 1]}, "rate": {"linspace": [0, 1, 60]}, "a": list("bcd")},
            "22,860 points, max_points is 20,000: units (127) × rate (60) × a (3); give fewer",
        ),
        ({"units": {"range": [0, 10**9, 1]}}, "1,000,000,000 points"),
        ({"rate": {"range": [0, 1e300, 1e-300]}}, "max_points is 20,000: rate (1,000,000,000,"),
        ([{"units": {"range": [0, 10**5, 1]}}, {"a": [1, 2]}], "[0] (100,000) + [1] (2); give"),
    ],
)
def test_a_grid_that_is_too_large_stops_at_once_with_the_sizes_of_its_axes(block, message):
    refused = []

    def refuse():
        with pytest.raises(StudyError) as caught:
            read_grid(block)
        refused.append(str(caught.value))

    refusing, listing = in_turns(refuse, lambda: read_grid({"a": {"range": [1, 2000, 1]}}))
    assert message in refused[0]
    assert 10 * refusing < listing  # of fewer points


def test_the_limit_is_reported_once_and_may_be_raised_beside_another_mistake():
    study = {
        "dataset": {"source": "builtin:iris"},
        "model": "models/mlp.py",
        "hyperparameters": {"units": {"range": [0, 20_001, 1]}, "epochs": 1, "batch_size": 1},
    }
    with pytest.raises(StudyError) as caught:
        check_study(study)
    assert len(caught.value.problems) == 1
    with pytest.raises(StudyError) as caught:
        check_study({**study, "seed": -1, "max_points": 30_000})
    assert caught.value.problems == ["seed: must be at least 0, found -1"]
