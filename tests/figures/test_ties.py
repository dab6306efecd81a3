"""Promises of the ties: every repetition a dot, the pick marked, nothing left out in silence."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pandas as pd
from matplotlib.colors import to_hex

from gridloom.figures.page import OTHERS, TIED, Baseline, Subject
from gridloom.figures.ties import MAX_ROWS, draw_ties, read_ties
from tests.made_picks import BEST

SUBJECT = Subject("T", {"units": [str(place) for place in range(50)]}, "val_score", "max", {})


def tables(count=3, repetitions=2):
    """Return a summary and its runs; point i has the scores 1 - i / 100 and 0.02 less."""
    scores = 1 - np.arange(count)[:, None] / 100 - 0.02 * np.arange(repetitions)
    names = [str(place) for place in range(count)]
    paths = [f"units={name}" for name in names]
    runs = pd.DataFrame(
        {
            "point": np.repeat(paths, repetitions),
            "units": np.repeat(names, repetitions),
            "repetition": np.tile(np.arange(repetitions), count),
            "status": "ok",
            "val_score": scores.ravel(),
        }
    )
    summary = pd.DataFrame(
        {
            "point": paths,
            "units": names,
            "n": repetitions,
            "n_diverged": 0,
            "n_missing": 0,
            "val_score_mean": scores.mean(axis=1),
            "val_score_ci_low": scores.mean(axis=1) - 0.005,
            "val_score_ci_high": scores.mean(axis=1) + 0.005,
            "tied_with_best": np.arange(count) < 2,
            "rank": np.arange(count) + 1,
        }
    )
    return summary, runs


def caption(figure):
    return figure.texts[1].get_text().replace("\n", " ").replace("\N{NO-BREAK SPACE}", " ")


def test_rows_are_sorted_and_every_repetition_is_a_dot_in_the_colour_of_its_tie():
    summary, runs = tables()
    ties = read_ties(summary.iloc[::-1], runs, BEST, [Baseline("linear", 0.98)], SUBJECT)
    figure = draw_ties(ties, SUBJECT)
    plot = figure.axes[0]
    lines, dots, means = plot.collections
    np.testing.assert_allclose(dots.get_offsets()[:, 0], [1, 0.98, 0.99, 0.97, 0.98, 0.96])
    np.testing.assert_allclose(means.get_offsets()[:, 0], [0.99, 0.98, 0.97])
    np.testing.assert_allclose(lines.get_segments()[0][:, 0], [0.985, 0.995])
    colours = [TIED, TIED, OTHERS]
    assert [to_hex(colour) for colour in means.get_facecolors()] == colours
    assert [to_hex(colour) for colour in dots.get_facecolors()[::2]] == colours
    pick, baseline = plot.lines
    assert (pick.get_xdata()[0], pick.get_ydata()[0]) == (0.99, 0)
    assert baseline.get_xdata()[0] == 0.98
    labels = [label.get_text().strip() for label in plot.get_yticklabels()]
    assert labels == ["units", "0", "1", "2"]
    assert caption(figure) == (
        "Small dots: 2 repetitions. Large dot and line: mean and its 95 % interval. "
        "2 of 3 configurations may be the best (95 %, for all together)."
    )


def test_a_pick_beyond_the_best_rows_takes_the_last_one_and_the_others_are_counted():
    summary, runs = tables(count=50)
    ties = read_ties(summary, runs, replace(BEST, point="units=45"), [], SUBJECT)
    assert len(ties.means) == MAX_ROWS
    assert ties.values["units"][-2:] == ["38", "45"]
    assert ties.pick == MAX_ROWS - 1
    figure = draw_ties(ties, SUBJECT)
    assert "10 configurations not drawn." in caption(figure)
    assert figure.texts[0].get_text() == "T: the best configurations, 40 of 50"


def test_lost_trainings_have_a_column_and_no_dot():
    summary, runs = tables()
    runs.loc[2, "status"] = "diverged"
    summary.loc[1, ["n", "n_diverged", "val_score_ci_low", "val_score_ci_high"]] = [
        1,
        1,
        np.nan,
        np.nan,
    ]
    figure = draw_ties(read_ties(summary, runs, None, [], SUBJECT), SUBJECT)
    header, *rows = [label.get_text() for label in figure.axes[0].get_yticklabels()]
    assert header.endswith("lost")
    assert [row[-1] for row in rows] == ["\N{NO-BREAK SPACE}", "1", "\N{NO-BREAK SPACE}"]
    dots = figure.axes[0].collections[1].get_offsets()
    assert len(dots.compressed()) == 2 * 5
