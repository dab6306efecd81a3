"""Promises of adjusted means: like compared with like, and nothing invented."""

from __future__ import annotations

import itertools

import numpy as np
import pandas as pd
import pytest

from gridloom.analysis.adjusted import adjusted_means, adjusted_means_of_each
from tests.processor_time import in_turns

AXES = {"units": ["1", "8"], "rate": ["0.1", "1"], "dropout": ["0", "0.3", "0.6"]}


def grid(axes=AXES):
    return pd.DataFrame(list(itertools.product(*axes.values())), columns=list(axes))


def effects(points, cells=None, **others):
    """Return units' effect on rate's, and those of the others, added up."""
    cells = cells or {("1", "0.1"): 0, ("1", "1"): 1, ("8", "0.1"): 5, ("8", "1"): 2}
    total = [cells[pair] for pair in zip(points["units"], points["rate"], strict=True)]
    for name, effect in others.items():
        total += points[name].map(effect)
    return np.array(total, float)


def test_on_a_complete_grid_they_are_the_plain_means():
    points = grid()
    values = np.random.default_rng(0).normal(size=len(points))
    found = adjusted_means(points, values, AXES, "units", "rate")
    plain = points.assign(value=values).groupby(["units", "rate"])["value"].mean().unstack()
    np.testing.assert_allclose(found.values, plain, rtol=1e-14)
    assert found.adjusted_for == found.together == ()


def test_without_any_value_no_cell_has_a_mean():
    points = grid()
    found = adjusted_means(points, np.full(len(points), np.nan), AXES, "units", "rate")
    assert np.isnan(found.values).all()
    assert not found.not_estimable.any()


def test_a_failed_point_makes_no_effect_that_is_not_there():
    points = grid()
    values = effects(points, dropout={"0": 0.0, "0.3": 10.0, "0.6": 200.0})
    values[[2, 4, 11]] = np.nan  # the plain mean of units 1, rate 0.1 falls from 70 to 5
    found = adjusted_means(points, values, AXES, "units", "rate")
    np.testing.assert_allclose(found.values, [[70, 71], [75, 72]])
    assert found.adjusted_for == ("dropout",)


def test_points_that_the_grid_excludes_are_allowed_for():
    points = grid()
    points = points[~((points["units"] == "1") & (points["dropout"] != "0"))]
    values = effects(points, dropout={"0": 0.0, "0.3": 1.0, "0.6": 2.0})
    found = adjusted_means(points, values, AXES, "units", "rate")
    differences = found.values - found.values[0, 0]
    np.testing.assert_allclose(differences, [[0, 1], [5, 2]], atol=1e-12)


def test_a_cell_that_nothing_can_be_compared_with_is_named_and_gets_no_value():
    points = grid()
    values = effects(points, dropout={"0": 0.0, "0.3": 1.0, "0.6": 2.0})
    of_cell = (points["units"] == "8") & (points["rate"] == "1")
    values[of_cell != (points["dropout"] == "0.6")] = np.nan  # it alone has 0.6, and nothing else
    found = adjusted_means(points, values, AXES, "units", "rate")
    assert found.not_estimable.tolist() == [[False, False], [False, True]]
    # The other cells are compared over the points that they have.
    np.testing.assert_allclose(found.values, [[0.5, 1.5], [5.5, np.nan]])


def test_a_value_that_failed_everywhere_is_left_out():
    points = grid()
    values = effects(points, dropout={"0": 0.0, "0.3": 1.0, "0.6": np.nan})
    values[0] = np.nan
    found = adjusted_means(points, values, AXES, "units", "rate")
    np.testing.assert_allclose(found.values, [[0.5, 1.5], [5.5, 2.5]])


def test_a_cell_without_points_is_empty_and_not_named():
    points = grid()
    points = points[~((points["units"] == "8") & (points["rate"] == "1"))]
    found = adjusted_means(points, np.ones(len(points)), AXES, "units", "rate")
    assert np.isnan(found.values[1, 1])
    assert not found.not_estimable.any()


def test_values_that_vary_together_are_part_of_their_axis():
    axes = {**AXES, "epochs": ["10", "20"]}
    points = grid(axes)
    points = points[(points["units"] == "1") == (points["epochs"] == "10")].reset_index(drop=True)
    values = effects(points, epochs={"10": 0.0, "20": 3.0})
    found = adjusted_means(points, values, axes, "units", "rate")
    np.testing.assert_allclose(found.values, [[0, 1], [8, 5]])
    assert found.together == ("epochs",)
    # In the heatmap of another pair, both are averaged over, so nothing has to be separated.
    values[0] = np.nan
    assert not adjusted_means(points, values, axes, "rate", "dropout").not_estimable.any()


def test_hyperparameters_that_only_some_points_have_leave_every_cell_its_value():
    axes = {
        "rate": ["0.1", "1"],
        "optimizer": ["sgd", "adam", "lion"],
        "momentum": ["0", "0.9", ""],
    }
    points = grid(axes)
    points = points[(points["optimizer"] == "sgd") == (points["momentum"] != "")]
    points = points.reset_index(drop=True)
    values = np.arange(len(points), dtype=float)
    values[3] = np.nan
    for rows, columns in itertools.permutations(axes, 2):
        found = adjusted_means(points, values, axes, rows, columns)
        there = (
            points.groupby([rows, columns])
            .size()
            .unstack()
            .reindex(index=axes[rows], columns=axes[columns])
        )
        assert not found.not_estimable.any()
        assert (np.isfinite(found.values) <= there.notna().to_numpy()).all()
    assert adjusted_means(points, values, axes, "momentum", "rate").together == ("optimizer",)


@pytest.mark.parametrize("seed", range(5))
def test_they_are_the_estimates_of_least_squares(seed):
    generator = np.random.default_rng(seed)
    axes = {"a": ["x", "y", "z"], "b": ["p", "q"], "c": ["k", "l", "m"], "d": ["s", "t"]}
    points = grid(axes)
    points = points[generator.random(len(points)) < 0.8].reset_index(drop=True)
    values = generator.normal(size=len(points))
    values[generator.random(len(points)) < 0.2] = np.nan
    found = adjusted_means(points, values, axes, "a", "b")
    cells = pd.get_dummies(points["a"] + points["b"]).astype(float)
    others = pd.get_dummies(points[["c", "d"]]).astype(float)
    design = np.hstack([cells, others])
    there = np.isfinite(values)
    coefficients = np.linalg.lstsq(design[there], values[there], rcond=None)[0]
    assert np.isfinite(found.values).sum() >= 4
    for place, (a, b) in enumerate(itertools.product(axes["a"], axes["b"])):
        if np.isfinite(found.values.flat[place]):
            at = np.hstack([cells.columns == a + b, others.mean()])
            assert found.values.flat[place] == pytest.approx(at @ coefficients)


def test_the_time_grows_in_line_with_the_points():
    generator = np.random.default_rng(0)
    axes = {f"axis_{place}": [str(value) for value in range(5)] for place in range(12)}
    points = pd.DataFrame({name: generator.choice(known, 10_000) for name, known in axes.items()})
    values = generator.normal(size=len(points))

    def adjust(count):
        adjusted_means(points[:count], values[:count], axes, "axis_0", "axis_1")

    few, many = in_turns(lambda: adjust(2500), lambda: adjust(10_000))
    assert many < 8 * few  # 4 in line, 16 if each meets each other


def test_several_quantities_at_once_are_each_as_alone():
    points = grid()
    rng = np.random.default_rng(1)
    values = rng.normal(size=(len(points), 5))
    values[3, 1:3] = values[7, 4] = np.nan
    together = adjusted_means_of_each(points, values, AXES, "units", "dropout")
    for place, one in enumerate(values.T):
        alone = adjusted_means(points, one, AXES, "units", "dropout").values
        np.testing.assert_allclose(together[..., place], alone, rtol=1e-12)
    none = adjusted_means_of_each(points, values[:, :0], AXES, "units", "dropout")
    assert none.shape == (2, 3, 0)


def test_without_any_value_there_are_no_means():
    points = grid()
    found = adjusted_means(points, np.full(len(points), np.nan), AXES, "units", "rate")
    assert np.isnan(found.values).all()
    assert not found.not_estimable.any()
