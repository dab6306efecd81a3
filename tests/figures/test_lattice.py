"""Promises of the lattice: a point for each pair of values that the grid has."""

from __future__ import annotations

import itertools

import numpy as np
import pytest

from gridloom.figures.lattice import draw_lattice, lattice_drawings, read_lattice
from gridloom.figures.page import Subject
from gridloom.figures.style import COLUMN, PAGE
from tests.figures.shown import nothing_clipped_or_overlapping

AXES = {"units": ["1", "64"], "rate": ["0.01", "0.1", "1"], "layers": ["1", "2"]}

POINTS = list(itertools.product(*AXES.values()))


def drawn(points=POINTS, axes=AXES, rows="units", columns="rate", **more):
    subject = Subject("T", axes, "val_loss", "min", {})
    return draw_lattice(read_lattice(axes, points, rows, columns), subject, **more)


def caption(figure):
    return figure.texts[1].get_text().replace("\n", " ")


def test_each_pair_of_values_has_a_point_and_the_caption_counts_what_it_stands_for():
    figure = drawn()
    (points,) = figure.axes[0].lines
    places = set(zip(*points.get_data(), strict=True))
    assert places == set(itertools.product(range(3), range(2)))
    said = "12 configurations. Each point stands for 2 configurations. These differ in layers."
    assert caption(figure) == said
    nothing_clipped_or_overlapping(figure)


def test_pairs_that_the_grid_has_not_have_no_point_and_different_numbers_are_written():
    points = [p for p in POINTS if p[:2] != ("1", "1") and p != ("64", "1", "2")]
    assert read_lattice(AXES, points, "rate", "units").counts.tolist() == [[2, 2], [2, 2], [0, 1]]
    figure = drawn(points)
    assert len(figure.axes[0].lines[0].get_xdata()) == 5
    assert sorted(text.get_text() for text in figure.axes[0].texts) == ["1", "2", "2", "2", "2"]
    assert "A point stands for 1 to 2 configurations, the number beside it." in caption(figure)
    assert "Where there is no point, the grid has no configuration." in caption(figure)


def test_numbers_are_drawn_to_scale_where_the_study_wants_it():
    axes = {**AXES, "rate": ["1", "10", "4"]}
    points = list(itertools.product(*axes.values()))
    plot = drawn(points, axes, scaled=["rate"]).axes[0]
    assert [label.get_text() for label in plot.get_xticklabels()] == ["1", "4", "10"]
    assert np.ptp(np.diff(plot.get_xticks())) > 0
    assert plot.get_xlabel() == "rate (log scale)"


@pytest.mark.parametrize("count", [2, 30, 100])
def test_few_or_many_long_values_are_neither_clipped_nor_do_they_overlap(count):
    axes = {
        "a_hyperparameter_with_a_long_name": [f"value number {n}" for n in range(count)],
        "b": [str(n / 1000) for n in range(count)],
    }
    points = list(itertools.product(*axes.values()))
    for rows, columns in (axes, list(axes)[::-1]):
        figure = drawn(points, axes, rows, columns)
        nothing_clipped_or_overlapping(figure)
        assert figure.get_figwidth() in (COLUMN, PAGE)


def test_the_files_say_which_pairs_are_drawn(tmp_path):
    subject = Subject("T", AXES, "val_loss", "min", {})
    files = [tmp_path / f"lattice_rate_x_layers.{suffix}" for suffix in ("png", "svg")]
    (drawing,) = lattice_drawings(POINTS, subject, [], files)
    assert drawing.files == files
    assert drawing.draw().axes[0].get_xlabel() == "layers"
