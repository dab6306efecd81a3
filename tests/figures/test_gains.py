"""Promises of the figure of a comparison: a row for each mean gain, and nothing hidden unsaid."""

from __future__ import annotations

import math

import numpy as np

from gridloom.figures.gains import MAX_ROWS, draw_gains, read_gains
from gridloom.figures.page import OTHERS, PICK, TIED, Subject
from tests.analysis.test_compare import compared, draw, units
from tests.figures.shown import nothing_clipped_or_overlapping


def subject(count):
    return Subject("T", units(count), "val_score", "max", {})


def caption(figure):
    return figure.texts[1].get_text().replace("\n", " ")


def better_at_0(points=3, repetitions=8):
    """Return a comparison in which units 0 gain 2, units 1 lose 2, and others nothing."""
    before = draw(points, repetitions)
    shift = np.zeros((points, 1))
    shift[:2, 0] = 2, -2
    return compared(before, before + shift + 0.1 * draw(points, repetitions, 1))


def test_there_is_a_row_for_all_and_one_for_each_value_in_the_colour_of_its_sign():
    found = better_at_0()
    figure = draw_gains(read_gains(found, subject(3)), subject(3))
    (plot,) = figure.axes
    names = [label.get_text() for label in plot.get_yticklabels()]
    assert names[0] == "all configurations"
    assert names[-3:] == ["units = 0", "units = 1", "units = 2"]
    marks = {text.get_text() for text in figure.legends[0].get_texts()}
    assert marks == {"better now", "worse now", "may be luck"}
    colours = plot.collections[-1].get_facecolors()[-3:, :3]
    shown = ["#" + "".join(f"{round(255 * part):02x}" for part in colour) for colour in colours]
    assert shown == [TIED, PICK, OTHERS]
    nothing_clipped_or_overlapping(figure)


def test_what_is_left_out_is_counted():
    before, now = draw(MAX_ROWS + 3, 3), draw(MAX_ROWS + 3, 3, 1)
    before[0, 0] = math.nan
    now[1] += 1000
    gains = read_gains(compared(before, now), subject(MAX_ROWS + 3))
    assert len(gains.rows) == MAX_ROWS
    said = caption(draw_gains(gains, subject(MAX_ROWS + 3)))
    assert "1 configuration that lost a training before or now left out." in said
    assert "values not drawn." in said


def test_one_repetition_and_no_configuration_are_said():
    one = read_gains(compared(draw(3, 1), draw(3, 1, 1)), subject(3))
    assert "One repetition: there are no intervals." in caption(draw_gains(one, subject(3)))
    none = read_gains(compared(np.full((3, 2), math.nan), draw(3, 2)), subject(3))
    assert "nothing can be compared" in caption(draw_gains(none, subject(3)))
