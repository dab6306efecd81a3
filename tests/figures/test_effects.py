"""Promises of the effects: bars of shares beside noise, and a matrix of pairs."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pandas as pd
from matplotlib.colors import to_hex

from gridloom.analysis.contrasts import HIGHER
from gridloom.analysis.effects import NOISE, REPETITION
from gridloom.figures.effects import (
    MAX_AXES,
    MAX_BARS,
    draw_bars,
    draw_matrix,
    read_bars,
    read_matrix,
)
from gridloom.figures.page import LUCK, TIED, Subject

SUBJECT = Subject("T", {"batch_size": ["4"], "units": ["1"]}, "val_score", "max", {})


def table(rows):
    """Return a table of effects: name, share, its interval. The sum of variances is 4."""
    names, shares, lows, highs = zip(*rows, strict=True)
    order = [0 if name in (NOISE, REPETITION) else 1 + name.count(":") for name in names]
    shares = np.array(shares, float)
    variances = pd.DataFrame({"variance": 4 * shares, "low": lows, "high": highs})
    luck = np.array(order) == 0
    return pd.DataFrame(
        {
            "effect": names,
            "order": order,
            "variance": variances["variance"],
            "low": 4 * np.array(lows, float),
            "high": 4 * np.array(highs, float),
            "share": np.where(luck, np.nan, shares),
            "share_low": np.where(luck, np.nan, lows),
            "share_high": np.where(luck, np.nan, highs),
        }
    )


TABLE = table(
    [
        ("units", 0.3, 0.0, 0.5),
        ("batch_size", 0.2, 0.1, 0.4),
        ("units:batch_size", 0.5, 0.2, 0.9),
        (REPETITION, 0.1, 0.0, 0.2),
        (NOISE, 2.5, 2.0, 3.0),
    ]
)


def test_bars_are_sorted_and_noise_and_effects_that_reach_zero_have_colours_of_their_own():
    figure = draw_bars(read_bars(TABLE, SUBJECT), SUBJECT)
    plot = figure.axes[0]
    bars = plot.patches
    names = [label.get_text() for label in plot.get_yticklabels()]
    np.testing.assert_allclose([bar.get_width() for bar in bars], [2.5, 0.5, 0.3, 0.2, 0.1])
    assert names == [
        "noise of one training",
        "units × batch size",
        "units",
        "batch size",
        "repetition (luck that all share)",
    ]
    colours = [to_hex(bar.get_facecolor()) for bar in bars]
    assert [colours[0], colours[4]] == [LUCK, LUCK]
    assert [colours[1], colours[3]] == [TIED, TIED]
    assert colours[2] not in (LUCK, TIED)
    ends = plot.collections[0].get_segments()[1][:, 0]
    np.testing.assert_allclose(ends, [0.2, 0.9])
    # Noise ends at the frame, beside its number.
    assert plot.get_xlim()[1] < 1
    caption = figure.texts[1].get_text().replace("\n", " ")
    assert "Not all of it is in view: noise of one training." in caption


def test_the_largest_effects_are_drawn_and_the_others_are_counted():
    rows = [(f"axis{place}", 0.04, 0.01, 0.1) for place in range(25)]
    figure = draw_bars(read_bars(table(rows), SUBJECT), SUBJECT)
    assert len(figure.axes[0].patches) == MAX_BARS
    assert "5 smaller effects not drawn." in figure.texts[1].get_text()
    axes = {f"axis{place}": ["0", "1"] for place in range(25)}
    matrix = read_matrix(table(rows), replace(SUBJECT, axes=axes))
    assert len(matrix.axes) == MAX_AXES
    assert len(matrix.left_out) == 25 - MAX_AXES


def test_the_sum_of_higher_effects_is_a_bar_only_without_their_own_bars():
    rows = [("units", 0.4, 0.1, 0.5), (HIGHER, 0.6, 0.1, 0.9)]
    alone = table(rows).assign(order=[1, 3])
    assert "three axes and more, together" in read_bars(alone, SUBJECT).names
    with_parts = table([*rows, ("a:b:c", 0.6, 0.1, 0.9)]).assign(order=[1, 3, 3])
    assert len(read_bars(with_parts, SUBJECT).names) == 2


def test_the_matrix_has_axes_on_its_diagonal_and_pairs_below():
    rows = TABLE[TABLE["effect"] != "batch_size"]
    matrix = read_matrix(rows, SUBJECT)
    assert matrix.axes == ["units", "batch size"]
    np.testing.assert_array_equal(matrix.shares, [[0.3, np.nan], [0.5, np.nan]])
    figure = draw_matrix(matrix, SUBJECT)
    cells = {text.get_position(): text.get_text() for text in figure.axes[0].texts}
    assert cells == {(0, 0): "(30)", (0, 1): "50", (1, 1): "—"}


def test_without_shares_a_sentence_says_why():
    nothing = TABLE.assign(share=np.nan)
    for figure in (
        draw_bars(read_bars(nothing, SUBJECT), SUBJECT),
        draw_matrix(read_matrix(nothing, SUBJECT), SUBJECT),
    ):
        assert figure.axes == []
        assert "There are no shares" in figure.texts[1].get_text()
