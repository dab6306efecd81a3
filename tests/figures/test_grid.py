"""Promises of a grid's figures: a line along one axis, and none that an earlier grid left."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from gridloom.figures.grid import draw_grid
from gridloom.figures.lines import draw_line, read_line
from gridloom.figures.numbers import StudyNumbers
from gridloom.figures.wanted import wanted_heatmaps
from tests.figures.studies import study_of

RATES = ["0.1", "1", ""]


def tables(axis="rate", values=RATES):
    """Return a summary and its runs, two repetitions of two folds; the last fold diverged."""
    scores = np.array(
        [[[1.0, 3.0], [3.0, 5.0]], [[5.0, 5.0], [7.0, 7.0]], [[2.0, 2.0], [2.0, 9.0]]]
    )
    diverged = np.zeros(scores.shape, bool)
    diverged[2, 1, 1] = True
    runs = pd.DataFrame(
        [
            {
                "point": f"{axis}={value}",
                axis: value,
                "repetition": repetition,
                "fold": fold,
                "status": "diverged" if diverged[place, repetition, fold] else "ok",
                "score": scores[place, repetition, fold],
            }
            for place, value in enumerate(values)
            for repetition in (0, 1)
            for fold in (0, 1)
        ]
    )
    summary = pd.DataFrame(
        {
            axis: values,
            "n_trainings": 4,
            "n_diverged": [0, 0, 1],
            "n_missing": 0,
            "score_mean": [3.0, 6.0, 2.0],
            "score_ci_low": [1.0, 5.0, np.nan],
            "score_ci_high": [5.0, 7.0, np.nan],
        }
    )
    return summary, runs


def plot_of(line, mode="max"):
    figure = draw_line(line, title="T", metric="val_score", mode=mode, labels={"rate": "step"})
    figure.draw_without_rendering()
    return figure.axes[0]


@pytest.mark.parametrize("mode", ["min", "max"])
def test_a_line_has_means_with_intervals_and_a_dot_for_each_repetition(mode):
    summary, runs = tables()
    line = read_line(summary.iloc[::-1], runs.iloc[::-1], "rate", RATES, "score", mode)
    np.testing.assert_array_equal(line.means, [3, 6, 2])
    # Folds are averaged; a repetition that lost one has no dot.
    np.testing.assert_array_equal(line.repetitions, [[2, 4], [5, 7], [2, np.nan]])
    plot = plot_of(line, mode)
    (bars,) = plot.containers
    np.testing.assert_array_equal(bars.lines[0].get_ydata(), [3, 6, 2])
    ends = [segment[:, 1] for segment in bars.lines[2][0].get_segments() if len(segment)]
    np.testing.assert_array_equal(ends, [[1, 5], [5, 7]])
    assert [text.get_text() for text in plot.get_xticklabels()] == ["0.1", "1", "—"]
    assert [text.get_text() for text in plot.texts] == ["✕ 1 of 4"]
    assert "✕: diverged, not in the mean" in plot.get_title()
    assert plot.get_xlabel() == "step"
    better = "lower" if mode == "min" else "higher"
    assert plot.get_ylabel() == f"validation score\n({better} is better)"


def test_only_numbers_are_joined():
    summary, runs = tables()
    (bars,) = plot_of(read_line(summary, runs, "rate", RATES, "score", "max")).containers
    assert bars.lines[0].get_linestyle() == "None"
    summary, runs = tables(values=["1", "2", "4"])
    (bars,) = plot_of(read_line(summary, runs, "rate", ["1", "2", "4"], "score", "max")).containers
    assert bars.lines[0].get_linestyle() == "-"


def test_one_repetition_has_a_dot_and_no_interval():
    summary, runs = tables()
    summary = summary.assign(score_ci_low=np.nan, score_ci_high=np.nan)
    line = read_line(summary, runs[runs["repetition"] == 0], "rate", RATES, "score", "max")
    assert line.repetitions.shape == (3, 1)
    assert plot_of(line).get_title().startswith("mean of repetitions\ndots: repetitions")


def test_an_axis_whose_trainings_all_diverged_is_drawn_with_their_numbers():
    summary, runs = tables()
    nothing = {f"score_{part}": np.nan for part in ("mean", "ci_low", "ci_high")}
    summary = summary.assign(n_diverged=4, **nothing)
    line = read_line(summary, runs.assign(status="diverged"), "rate", RATES, "score", "max")
    assert [text.get_text() for text in plot_of(line).texts] == ["✕ 4 of 4"] * 3


def written(axes, files):
    summary, runs = tables()
    study = StudyNumbers(summary, runs, axes, "score", "max", None, {})
    draw_grid(study, [], Path("effects.csv"), title="T", dpi=60, files=files)
    return [file.read_bytes() for file in files]


def test_one_axis_gives_the_same_files_again_and_none_a_sentence(tmp_path):
    files = [tmp_path / "figures" / f"line_rate.{ending}" for ending in ("png", "svg", "pdf")]
    first = written({"rate": RATES}, files)
    assert all(len(content) > 1000 for content in first)
    assert written({"rate": RATES}, files) == first
    (sentence,) = written({}, [tmp_path / "figures" / "no_figure.txt"])
    assert b"one configuration, so there is nothing to compare" in sentence


def test_a_grid_of_many_axes_draws_the_pairs_of_its_effects_and_says_which(tmp_path):
    axes = {f"a{n}": ["0", "1"] for n in range(13)}

    def score(*point):
        ones = point[:13].count("1")
        return 0.1 * ones if ones < 2 else None

    effects = pd.DataFrame({"effect": ["a3", "a7"], "variance": [2.0, 1.0]})
    effects.to_csv(tmp_path / "effects.csv", index=False)
    wanted = wanted_heatmaps(list(axes), "val_accuracy", [], ["mean"], [])
    file = tmp_path / f"{wanted[0].name}.svg"
    study = study_of(score, axes, repetitions=1)
    draw_grid(study, wanted, tmp_path / "effects.csv", title="T", dpi=60, files=[file])
    labels = file.read_text().split("</text>")
    assert [label.split(">")[-1] for label in labels].count("a7") == 1
    assert [label.split(">")[-1] for label in labels].count("a3") == 1
