"""Promises of the curves: means over repetitions with their range, folds averaged first."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest

from gridloom.figures.curves import (
    MAX_TIED,
    MAX_VALUES,
    curve_of,
    draw_axis_curves,
    draw_pick_curves,
    read_axis_curves,
    read_histories,
    read_pick_curves,
)
from gridloom.figures.page import Subject
from tests.made_picks import BEST

SUBJECT = Subject("T", {"units": ["0", "1"]}, "val_score", "max", {})

#: Point, repetition, fold → the objective in each epoch.
LOGGED = {
    ("units=0", 0, 0): [0.0, 0.2, 0.4],
    ("units=0", 0, 1): [0.2, 0.4, 0.6],
    ("units=0", 1, 0): [0.5],
    ("units=0", 1, 1): [0.7],
    ("units=1", 0, 0): [0.9, 0.9],
    ("units=1", 0, 1): [0.7, 0.7],
    ("units=1", 1, 0): [0.1, np.nan],
    ("units=1", 1, 1): [0.1, 0.1],
}


def tables(logged=LOGGED):
    """Return history and runs; the training rows score 1 more. One training diverged."""
    rows = [
        (*key, epoch, value, value + 1)
        for key, values in logged.items()
        for epoch, value in enumerate(values, 1)
    ]
    names = ["point", "repetition", "fold", "epoch", "val_score", "score"]
    history = pd.DataFrame(rows, columns=names).astype({"point": "category"})
    runs = pd.DataFrame(list(logged), columns=names[:3])
    runs["status"] = ["diverged" if np.isnan(values[-1]) else "ok" for values in logged.values()]
    runs["units"] = runs["point"].str.removeprefix("units=")
    return history, runs


def histories(logged=LOGGED):
    history, runs = tables(logged)
    return read_histories(history.sample(frac=1, random_state=0), runs, ["score", "val_score"])


def test_a_curve_averages_folds_and_carries_the_last_value_of_what_stopped():
    read = histories()
    curve = curve_of(read, (read.points["units"] == "0").to_numpy(), "val_score")
    np.testing.assert_allclose(curve.mean, [0.35, 0.45, 0.55])
    np.testing.assert_allclose(curve.low, [0.1, 0.3, 0.5])
    np.testing.assert_allclose(curve.high, [0.6, 0.6, 0.6])
    assert (curve.configurations, curve.repetitions, curve.stopped) == (1, 2, True)


def test_a_diverged_training_is_in_no_curve_and_is_counted():
    read = histories()
    curve = curve_of(read, (read.points["units"] == "1").to_numpy(), "val_score")
    np.testing.assert_allclose(curve.mean, [0.45, 0.45])
    figure = draw_axis_curves(read_axis_curves(read, tables()[1], "units", SUBJECT), SUBJECT)
    assert "1 training that diverged left out." in figure.texts[1].get_text().replace("\n", " ")


def test_each_value_of_an_axis_has_a_curve_of_both_kinds_of_rows():
    figure = draw_axis_curves(read_axis_curves(histories(), tables()[1], "units", SUBJECT), SUBJECT)
    training, validation = figure.axes
    assert training.get_title() == "training score"
    assert validation.get_title() == "validation score"
    np.testing.assert_allclose(training.lines[1].get_ydata(), [1.45, 1.45])
    np.testing.assert_allclose(validation.lines[0].get_ydata(), [0.35, 0.45, 0.55])
    band = validation.collections[0].get_paths()[0].vertices[:, 1]
    assert (band.min(), band.max()) == pytest.approx((0.1, 0.6))
    assert [text.get_text() for text in figure.legends[0].texts] == ["units 0", "units 1"]


def test_of_many_values_evenly_spaced_ones_have_a_curve():
    count = 3 * MAX_VALUES
    logged = {(f"units={place}", 0, 0): [place / count] for place in range(count)}
    values = [str(place) for place in range(count)]
    subject = Subject("T", {"units": values}, "val_score", "max", {})
    curves = read_axis_curves(histories(logged), tables(logged)[1], "units", subject)
    assert len(curves.values) == MAX_VALUES
    assert {"0", str(count - 1)} <= set(curves.values)
    assert curves.not_drawn == count - MAX_VALUES


def test_the_pick_is_drawn_among_the_tied_and_the_rest_of_these_are_counted():
    count = MAX_TIED + 5
    logged = {(f"units={place}", 0, 0): [0.1, place / count] for place in range(count)}
    summary = pd.DataFrame(
        {"point": [key[0] for key in logged], "tied_with_best": True, "rank": range(count)}
    )
    curves = read_pick_curves(histories(logged), summary, BEST, [], SUBJECT)
    assert (len(curves.tied), curves.not_drawn) == (MAX_TIED, 4)
    left, right = draw_pick_curves(curves, SUBJECT).axes
    assert len(right.lines) == MAX_TIED + 1
    # Training, validation, and the epoch whose weights were kept.
    assert [list(line.get_ydata()) for line in left.lines[:2]] == [[1.1, 1.0], [0.1, 0.0]]
    assert left.lines[2].get_xdata()[0] == BEST.epochs


def test_without_a_pick_a_sentence_says_why():
    summary = pd.DataFrame({"point": [], "tied_with_best": [], "rank": []})
    figure = draw_pick_curves(read_pick_curves(histories(), summary, None, [], SUBJECT), SUBJECT)
    assert figure.texts[1].get_text() == "No training has a curve: all diverged."
