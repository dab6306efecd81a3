"""Promises of the grid: which points a block means, and names that read back."""

from __future__ import annotations

import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gridloom.errors import StudyError
from gridloom.naming.points import point_path, read_path
from gridloom.naming.values import canonical, read_value, spell
from gridloom.study.grid import read_grid
from tests.made_values import values


def points(block):
    return list(read_grid(block).points.values())


def problems(block):
    with pytest.raises(StudyError) as caught:
        read_grid(block)
    return caught.value.problems


def test_lists_are_swept_and_scalars_fixed():
    grid = read_grid({"units": [1, 32], "epochs": 25, "activation": ["relu"]})
    assert list(grid.points) == [
        "activation=relu/epochs=25/units=1",
        "activation=relu/epochs=25/units=32",
    ]
    assert grid.axes == {"units": [1, 32]}


def test_axes_and_their_values_keep_the_order_of_the_file():
    grid = read_grid({"units": [64, 1], "dropout": [0.6, 0]})
    assert list(grid.axes.items()) == [("units", [64, 1]), ("dropout", [0.6, 0])]


def test_order_and_spelling_of_a_grid_do_not_change_its_paths():
    first = read_grid({"a": [0, 0.5], "b": {"logspace": [0.01, 1, 3]}})
    second = read_grid({"b": [1.0, 0.1, 0.01], "a": [0.5, 0.0]})
    assert set(first.points) == set(second.points)


def test_duplicate_values_and_points_are_merged():
    assert len(points({"a": [1, 1.0, 2]})) == 2
    assert len(points([{"a": [1, 2]}, {"a": [2, 3]}])) == 3


def test_true_and_one_are_two_values():
    assert points({"a": [True, 1]}) == [{"a": True}, {"a": 1}]


@pytest.mark.parametrize(
    ("form", "values"),
    [
        ({"linspace": [0, 1, 5]}, [0, 0.25, 0.5, 0.75, 1]),
        ({"logspace": [0.0001, 1, 5]}, [0.0001, 0.001, 0.01, 0.1, 1]),
        ({"range": [1, 10, 3]}, [1, 4, 7]),
        ({"range": [0, 0.3, 0.1]}, [0, 0.1, 0.2]),
        ({"range": [3, 0, -1]}, [3, 2, 1]),
        ({"linspace": [2, 8, 1]}, [2]),
        ([[64], [64, 32]], [(64,), (64, 32)]),
        ([None, "none", False], [None, "none", False]),
        (["64, 32"], ["64, 32"]),
    ],
)
def test_forms_of_an_axis(form, values):
    assert [point["a"] for point in points({"a": form})] == values


def test_zip_groups_vary_together():
    block = {"zip": {"depth": [1, 2, 3], "width": [64, 32, 16]}, "lr": [0.1, 1]}
    found = points(block)
    assert len(found) == 6
    assert {(point["depth"], point["width"]) for point in found} == {(1, 64), (2, 32), (3, 16)}


def test_several_grids_share_the_keys_beside_them_and_may_be_conditional():
    block = {
        "epochs": 3,
        "grids": [{"optimizer": "sgd", "momentum": [0, 0.9]}, {"optimizer": "adam"}],
    }
    grid = read_grid(block)
    assert len(grid.points) == 3
    assert all(point["epochs"] == 3 for point in grid.points.values())
    assert {"epochs": 3, "optimizer": "adam"} in grid.points.values()
    assert grid.axes == {"optimizer": ["sgd", "adam"], "momentum": [0, 0.9]}


def test_exclude_drops_the_points_that_match_every_key_of_a_rule():
    block = {"a": [1, 2], "b": [1, 2, 3], "exclude": [{"a": 1, "b": [2, 3]}]}
    assert points(block) == [
        {"a": 1, "b": 1},
        {"a": 2, "b": 1},
        {"a": 2, "b": 2},
        {"a": 2, "b": 3},
    ]


@pytest.mark.parametrize(
    ("block", "message"),
    [
        ({"a": []}, "hyperparameters.a: the list is empty"),
        ({"a": [0.1, "1e-3"]}, "hyperparameters.a[1]: YAML reads 1e-3 as text"),
        ({"a": "1e3"}, "write 1.0e+3"),
        ({"a": "1.0e-3, 1E2"}, "hyperparameters.a: '1.0e-3, 1E2' is text, because brackets are"),
        ({"a": "0.001, 0.01"}, "hyperparameters.a: '0.001, 0.01' is text, because brackets are"),
        ({"a": "0,5"}, "write [0,5] for a list, and a point in a decimal number"),
        ({"a": {"linspce": [0, 1, 2]}}, "is not a form of an axis"),
        ({"a": {"linspace": [0, 1]}}, "three numbers"),
        ({"a": {"linspace": [0, 1, 2.5]}}, "whole number"),
        ({"a": {"logspace": [0, 1, 3]}}, "above 0"),
        ({"a": {"range": [0, 3, 0]}}, "no values"),
        ({"a": [float("nan")]}, "hyperparameters.a[0]: nan is not a finite number"),
        ({"a": [[[1]]]}, "a list inside a list"),
        ({"a b": 1}, "argument name"),
        ({"lambda": 1}, "argument name"),
        ({"zip": {"a": [1, 2], "b": [1]}}, "need the same length; a has 2, b has 1"),
        ({"zip": 3}, "hyperparameters.zip: must be lists by name"),
        ({"a": 1, "zip": {"a": [1], "b": [2]}}, "outside this group too"),
        ({"a": 1, "grids": [{"a": 2}]}, "is given beside `grids` too"),
        ({"a": 1, "grids": [{"a": "x"}]}, "is given beside `grids` too"),
        ({"grids": {"a": 1}}, "must be a list of grids"),
        ({"units": 1, "exclude": [{"unit": 1}]}, "did you mean 'units'?"),
        ({"a": 1, "exclude": {"a": 1}}, "must be a list of rules"),
        ({"a": [1, 2], "exclude": [{"a": [1, 2]}]}, "no point is left"),
        ({"a": "x" * 300}, "file systems allow 255"),
        ("units", "is not a grid"),
        ([], "the list of grids is empty"),
    ],
)
def test_each_mistake_in_a_grid_is_named(block, message):
    assert any(message in problem for problem in problems(block))


def test_all_mistakes_are_reported_at_once():
    assert len(problems({"a": [], "b": ["1e-3", {"x": 1}], "c d": 1})) == 4


@pytest.mark.parametrize(
    ("value", "text"),
    [
        (0.0, "0"),
        (16, "16"),
        (0.3, "0.3"),
        (1e-05, "1e-05"),
        (1e20, "1e20"),
        (-1, "-1"),
        (True, "true"),
        (None, "null"),
        ("relu", "relu"),
        ("true", "%74rue"),
        ("1", "%31"),
        ("he-normal, really", "he%2Dnormal%2C%20really"),
        ((64, 32), "64-32"),
        ((64,), "64-"),
        ((), "-"),
        ((-1, 1e-05), "~1-1e~05"),
        ("a/b", "a%2Fb"),
    ],
)
def test_canonical_spelling(value, text):
    assert spell(canonical(value)) == text


@given(values)
def test_a_spelled_value_reads_back_with_its_type(value):
    text = spell(value)
    again = read_value(text)
    assert repr(again) == repr(value)
    assert text.isascii()
    assert not set(text) & set("/,= ")


@given(st.lists(values, min_size=2, max_size=2, unique_by=repr))
def test_two_values_never_share_a_spelling(pair):
    assert spell(pair[0]) != spell(pair[1])


@given(st.dictionaries(st.from_regex(r"[a-z]\w{0,8}", fullmatch=True), values, min_size=1))
def test_a_path_gives_its_point_back(point):
    assert repr(read_path(point_path(point))) == repr(dict(sorted(point.items())))


@given(st.floats(min_value=1e-10, max_value=1e10), st.integers(1, 20))
def test_generated_values_have_six_significant_digits(first, count):
    for point in points({"a": {"logspace": [first, first * 100, count]}}):
        value = point["a"]
        assert math.isclose(value, float(f"{value:.6g}"), rel_tol=0, abs_tol=0)
