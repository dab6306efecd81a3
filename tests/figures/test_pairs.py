"""Promises of the picture of all pairs: means below, bests above, each axis on the diagonal."""

from __future__ import annotations

import numpy as np
import pytest
from scipy import stats

from gridloom.analysis.effects import effects
from gridloom.analysis.observations import observe
from gridloom.figures.page import Subject
from gridloom.figures.pairs import MAX_AXES, draw_pairs, read_pairs
from tests.figures.shown import nothing_clipped_or_overlapping
from tests.figures.studies import AXES, study_of
from tests.figures.test_whole_grid import LONG


def read(study):
    observed = observe(study.runs, study.axes, study.metric, study.mode)
    return read_pairs(study, effects(observed).table)


def drawn(study):
    subject = Subject("T", study.axes, study.metric, study.mode, study.labels)
    return draw_pairs(read(study), study, subject)


def score(units, dropout, rate, _):
    return 0.5 + 0.2 * (rate == "1") + 0.1 * (units == "64") + 0.01 * (dropout == "0")


def caption(figure):
    return figure.texts[1].get_text().replace("\n", " ")


def test_the_axis_that_explains_most_is_first_and_each_pair_is_there_twice():
    pairs = read(study_of(score, noise=0.001))
    assert [one.axis for one in pairs.alone] == ["rate", "units", "dropout"]
    assert [(one.rows, one.columns) for one in pairs.means] == [
        ("units", "rate"),
        ("dropout", "rate"),
        ("dropout", "units"),
    ]
    assert [(one.columns, one.rows) for one in pairs.bests] == [
        (one.rows, one.columns) for one in pairs.means
    ]
    # The mean of dropout, and the better of its two values.
    assert pairs.means[0].values[0, 0] == pytest.approx(0.805, abs=0.002)
    assert pairs.bests[0].values[0, 0] == pytest.approx(0.81, abs=0.002)


def test_an_interval_of_an_axis_leaves_out_the_luck_that_all_share():
    luck = [-0.3, 0.1, 0.2]
    own = [0.01, -0.02, 0.01]
    study = study_of(lambda *p: score(*p) + luck[p[-1]] + own[p[-1]] * (p[2] == "1"))
    rate = read(study).alone[0]
    np.testing.assert_allclose(rate.means, [0.755, 0.555, 0.555])
    # The value is a third of the mean, so that two thirds of its own luck are left.
    half = stats.t.ppf(0.975, 2) * np.std(own, ddof=1) / np.sqrt(3)
    np.testing.assert_allclose(rate.halves, half * np.array([2, 1, 1]) / 3)


def test_one_repetition_has_no_intervals():
    figure = drawn(study_of(score, repetitions=1, noise=0.01))
    assert "intervals" not in caption(figure)
    nothing_clipped_or_overlapping(figure)


def test_of_very_many_axes_those_that_explain_most_are_drawn_and_the_others_named():
    axes = {f"axis_{place}": ["0", "1"] for place in range(MAX_AXES + 1)}
    study = study_of(
        lambda *p: sum(int(v) * n for n, v in enumerate(p[:-1])), axes, repetitions=2, noise=0.01
    )
    figure = drawn(study)
    assert "Axes that explain less, not drawn: axis 0." in caption(figure)
    nothing_clipped_or_overlapping(figure)


def test_long_names_and_values_are_neither_clipped_nor_do_they_overlap():
    study = study_of(
        lambda *p: np.nan if p[2] == "0.1" and p[-1] else 0.5 + 0.1 * len(p[1]),
        LONG,
        noise=0.01,
        labels={"val_accuracy": "share of the rows of the validation set that are right"},
    )
    nothing_clipped_or_overlapping(drawn(study))


def test_many_values_are_grouped_and_some_of_them_named():
    axes = {**AXES, "rate": [str(value) for value in range(90)]}
    study = study_of(lambda u, d, r, k: int(r) + int(u), axes, noise=0.1)
    figure = drawn(study)
    nothing_clipped_or_overlapping(figure)
    assert len(figure.axes[0].texts) < 100


@pytest.mark.parametrize("mode", ["max", "min"])
def test_means_and_bests_have_a_bar_each(mode):
    _, mean, best = drawn(study_of(score, noise=0.01, mode=mode)).axes
    assert mean.get_xlabel().startswith("below the diagonal: mean of each cell")
    assert best.get_xlabel().startswith("above: best configuration of each cell")
    assert mean.xaxis_inverted() == best.xaxis_inverted() == (mode == "min")
