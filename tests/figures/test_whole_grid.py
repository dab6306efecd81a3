"""Promises of the whole grid: each configuration in its cell, important axes outermost."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest

from gridloom.analysis.effects import effects
from gridloom.analysis.observations import observe
from gridloom.figures.page import Subject
from gridloom.figures.style import PAGE
from gridloom.figures.whole_grid import (
    MAX_COLUMNS,
    MAX_ROWS,
    draw_whole_grid,
    read_whole_grid,
)
from tests.figures.shown import nothing_clipped_or_overlapping
from tests.figures.studies import study_of

AXES = {"units": ["1", "64"], "rate": ["0.1", "1", "10"], "layers": ["[8, 8]", "[16]"]}

#: What a value adds to the score: rate most, then layers, then units.
GAINS = {"1": 0.0, "64": 0.01, "0.1": 0.0, "10": 0.5, "[8, 8]": 0.0, "[16]": 0.1}


def gain(*point):
    *values, _ = point
    return sum(GAINS[value] for value in values)


def read(study):
    observed = observe(study.runs, study.axes, study.metric, study.mode)
    return read_whole_grid(study, effects(observed).table)


def drawn(study):
    subject = Subject("T", study.axes, study.metric, study.mode, study.labels)
    return draw_whole_grid(read(study), study, subject)


def caption(figure):
    return figure.texts[1].get_text().replace("\n", " ")


def test_each_configuration_has_a_cell_and_important_axes_are_outermost():
    study = study_of(gain, AXES, noise=0.001, pick=3)
    grid = read(study)
    assert (grid.columns.axes, grid.rows.axes) == (("rate",), ("layers", "units"))
    assert grid.rows.blocks(0) == [(0, 2, "[8, 8]"), (2, 4, "[16]")]
    assert [value for _, _, value in grid.rows.blocks(1)] == ["1", "64"] * 2
    means = study.summary.set_index(list(AXES))["val_accuracy_mean"]
    for row, (layers, units) in enumerate(grid.rows.values):
        for column, (rate,) in enumerate(grid.columns.values):
            assert grid.heatmap.values[row, column] == means[units, rate, layers]
    assert grid.heatmap.pick.sum() == 1
    assert grid.averaged == []


def test_a_grid_that_is_too_large_is_averaged_over_the_least_important_axes_and_says_so():
    axes = {f"axis_{place}": [str(value) for value in range(5)] for place in range(5)}

    def score(*point):
        *values, _ = point
        return sum(int(value) / 10**place for place, value in enumerate(values))

    study = study_of(score, axes, noise=1e-6, repetitions=2)
    grid = read(study)
    assert grid.averaged == ["axis_4"]
    assert grid.heatmap.values.shape == (25, 25)
    assert len(grid.rows.values) <= MAX_ROWS
    assert len(grid.columns.values) <= MAX_COLUMNS
    # The mean of the last axis is 2.
    assert grid.heatmap.values[0, 0] == pytest.approx(2e-4, abs=1e-5)
    figure = drawn(study)
    assert "the mean over axis 4 and repetitions" in caption(figure)
    nothing_clipped_or_overlapping(figure)


def test_an_axis_with_very_many_values_is_drawn_in_groups():
    many = [str(value) for value in range(3 * MAX_COLUMNS)]
    axes = {"units": many, "rate": ["0.1", "1"], "layers": ["1", "2"]}
    study = study_of(lambda u, r, n, _: int(u) + int(n) / 10, axes, repetitions=1)
    grid = read(study)
    assert max(grid.sizes) == 3
    figure = drawn(study)
    assert "neighbouring cells" in caption(figure)
    nothing_clipped_or_overlapping(figure)


def test_values_that_never_occur_together_take_no_row():
    axes = {"optimizer": ["sgd", "adam"], "momentum": ["0", "0.9", ""], "rate": ["0.1", "1"]}

    def score(optimizer, momentum, rate, _):
        if (optimizer == "sgd") != (momentum != ""):
            return None
        return 0.5 + 0.1 * (rate == "1")

    grid = read(study_of(score, axes, noise=0.01))
    cells = len(grid.rows.values) * len(grid.columns.values)
    assert np.isfinite(grid.heatmap.values).sum() == 6
    assert cells <= 3 * 2 * 2


def test_lost_trainings_are_hatched_and_a_cell_that_lost_many_says_how_many():
    study = study_of(lambda *p: np.nan if p[:2] == ("1", "10") and p[-1] < 2 else gain(*p), AXES)
    figure = drawn(study)
    plot = figure.axes[0]
    hatched = [mark for mark in plot.collections if mark.get_hatch()]
    assert sum(len(mark.get_paths()) for mark in hatched) == 2
    assert [text.get_text() for text in plot.texts].count("✕ 2") == 2
    assert "Hatched, ✕" in caption(figure)


@pytest.mark.parametrize("mode", ["max", "min"])
def test_the_bar_says_which_end_is_better_and_better_is_at_the_right(mode):
    bar = drawn(study_of(gain, AXES, noise=0.001, mode=mode)).axes[1]
    assert f"{'higher' if mode == 'max' else 'lower'} is better" in bar.get_xlabel()
    assert bar.xaxis_inverted() == (mode == "min")


LONG = {
    "a_hyperparameter_with_a_long_name": [f"value number {place}" for place in range(3)],
    "another_one_with_a_name_as_long": ["[128, 64, 32, 16]", "[256, 128, 64]"],
    "short": ["0.001", "0.01", "0.1"],
    "activation_of_the_last_layer": ["exponential", "hyperbolic tangent"],
}


def test_long_names_and_values_are_neither_clipped_nor_do_they_overlap():
    study = study_of(
        lambda *p: np.nan if p[2] == "0.1" and p[-1] else 0.5 + 0.1 * len(p[1]),
        LONG,
        noise=0.01,
        labels={"val_accuracy": "share of the rows of the validation set that are right " * 2},
    )
    figure = drawn(study)
    nothing_clipped_or_overlapping(figure)
    assert figure.get_figwidth() == PAGE


def test_without_known_effects_axes_are_in_the_order_given():
    study = study_of(gain, AXES)
    nothing = pd.DataFrame({"effect": [], "order": [], "variance": []}).astype({"effect": str})
    assert read_whole_grid(study, nothing).columns.axes[0] == "units"
