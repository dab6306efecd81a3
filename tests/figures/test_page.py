"""Promises of what figures share: good scores stay in view, and names stay whole and plain."""

from __future__ import annotations

import numpy as np
import pytest
from matplotlib.figure import Figure
from matplotlib.text import Text

from gridloom.figures.page import (
    Baseline,
    Subject,
    baseline_lines,
    finish,
    out_of_view,
    percent,
    spread,
    tabulate,
    view,
)

SUBJECT = Subject("T", {"learning_rate": ["0.1"]}, "val_loss", "min", {"learning_rate": "rate"})


@pytest.mark.parametrize(("mode", "sign"), [("max", 1), ("min", -1)])
def test_scores_far_on_the_worse_side_are_out_of_view_and_none_of_the_best_is(mode, sign):
    scores = sign * np.array([1.0, 0.9, 0.8, 0.5, 0.4, -50.0, np.nan])
    low, high = view(scores, mode)
    ends = sorted([sign * 0.4, sign * 1.0])
    np.testing.assert_allclose([low, high], [ends[0] - 0.024, ends[1] + 0.024])
    assert out_of_view(scores, (low, high)) == 1


def test_differences_by_rounding_put_nothing_out_of_view():
    scores = np.array([0.1 + 0.2, 0.3, 0.3, 0.30000000000000016])
    for mode in ("max", "min"):
        assert out_of_view(scores, view(scores, mode)) == 0


def test_a_view_widens_for_what_is_near_and_exists_for_anything():
    scores = np.array([0.0, 1.0])
    assert view(scores, "max", [1.4, 9.0])[1] == pytest.approx(1.456)
    for odd in ([np.nan], [], [3.0], [0.0, 0.0]):
        low, high = view(np.array(odd), "max")
        assert low < high


def test_a_baseline_out_of_view_is_named_without_a_line():
    plot = Figure().add_subplot()
    marks = baseline_lines(plot, [Baseline("near", 0.5), Baseline("far", 9.0)], (0.0, 1.0))
    assert [line.get_ydata()[0] for line in plot.lines] == [0.5]
    assert [mark.get_label() for mark in marks] == ["near 0.5", "far 9 (out of view)"]


def test_a_table_lines_up_and_says_what_it_has_no_room_for():
    table = tabulate([("units", ["1", "64"]), ("layers", ["[64, 32]", "[8]"])], width=3)
    rows = [table.header, *table.rows]
    assert [row.split("\N{NO-BREAK SPACE}")[-1] for row in rows] == ["layers", "32]", "[8]"]
    assert len(set(map(len, rows))) == 1
    assert " " not in table.header
    many = tabulate([(f"a long name {place}", ["x" * 30]) for place in range(9)], width=2)
    assert "…" in many.rows[0]
    assert many.left_out == [f"a long name {place}" for place in range(4, 9)]


def test_short_forms():
    assert [percent(0.273), percent(-0.0001, 1)] == ["27 %", "0.0 %"]
    assert spread(["1", "2", "3", "4", "5"], 3) == ["1", "3", "5"]
    assert spread(["1", "2"], 3) == ["1", "2"]


def test_names_of_any_characters_are_plain_text_and_words_are_the_studys():
    figure = finish(Figure(figsize=(3, 1)), SUBJECT, "costs $x$ and $y$", "50 % of <b>")
    assert not any(text.get_parse_math() for text in figure.findobj(Text))
    assert "50\N{NO-BREAK SPACE}% of <b>" in [text.get_text() for text in figure.texts]
    assert SUBJECT.measured == "validation loss (lower is better)"
    assert SUBJECT.name("learning_rate") == "rate"
