"""Promises of the rounds: who was left, until when, and what became of the others."""

from __future__ import annotations

from dataclasses import replace

from gridloom.analysis.rounds import Gone, Left, Round
from gridloom.figures.page import Subject
from gridloom.figures.rounds import BEATEN, DIVERGED, LEFT, MAX_ROWS, draw_survivors, read_survivors
from tests.made_picks import BEST

SUBJECT = Subject("T", {"units": ["0"], "rate": ["0.1", ""]}, "val_score", "max", {})

FIRST = Round(
    number=0,
    repetitions=10,
    left={"units=0": Left(1.0, 0.1, 7, 10), "units=1": Left(0.9, 0.1, 7, 10)},
    gone={"rate=0.1/units=2": Gone(10, None), "units=3": Gone(8, "units=0")},
    settled=False,
    last=30,
    trainings=20,
    seconds=1.0,
    seconds_per_repetition=0.1,
    most_trainings=40,
)

LAST = replace(
    FIRST,
    number=1,
    repetitions=20,
    left={"units=0": FIRST.left["units=0"]},
    gone={"units=1": Gone(15, "units=0")},
    settled=True,
)


def test_lines_end_where_configurations_left_and_steps_count_those_that_did_not():
    survivors = read_survivors([FIRST, LAST], replace(BEST, rule="it won"), SUBJECT)
    assert survivors.values == {"units": ["0", "1", "2", "3"], "rate": ["", "", "0.1", ""]}
    assert survivors.until.tolist() == [20, 15, 10, 8]
    assert survivors.fates == [LEFT, BEATEN, DIVERGED, BEATEN]
    figure = draw_survivors(survivors, SUBJECT)
    above, below = figure.axes
    steps, rounds = above.lines
    assert steps.get_xydata().tolist() == [[0, 4], [8, 3], [10, 2], [15, 1], [20, 1]]
    assert rounds.get_xydata().tolist() == [[10, 2], [20, 1]]
    ends = [segment[1, 0] for segment in below.collections[0].get_segments()]
    assert ends == [20, 15, 10, 8]
    assert "The pick: it won." in figure.texts[1].get_text().replace("\n", " ")


def test_those_left_longest_have_a_line_and_the_others_are_counted():
    gone = {f"units={place}": Gone(10, "units=0") for place in range(2, 2 * MAX_ROWS)}
    survivors = read_survivors([replace(FIRST, gone=gone), LAST], BEST, SUBJECT)
    assert survivors.until.tolist()[:3] == [20, 15, 10]
    assert survivors.not_drawn == MAX_ROWS
    figure = draw_survivors(survivors, SUBJECT)
    assert f"{MAX_ROWS} configurations not drawn." in figure.texts[1].get_text().replace("\n", " ")
