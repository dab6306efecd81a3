"""Promises of the comparison with baselines: within repetitions, and silent where it must be."""

from __future__ import annotations

import math

import numpy as np
import pandas as pd
import pytest
from scipy import stats

from gridloom.analysis.baselines import describe_baselines, summarize_baselines
from gridloom.analysis.cells import read_csv, write_csv


def table(scores, name="linear", note=""):
    repetitions = range(len(scores))
    return pd.DataFrame(
        {"baseline": name, "repetition": repetitions, "val_loss": scores, "note": note}
    )


def test_the_gain_is_the_paired_difference_with_its_interval():
    baseline, pick = np.array([0.5, 0.7, 0.3, 0.6]), np.array([0.4, 0.6, 0.3, 0.4])
    (less,) = summarize_baselines(table(baseline), "val_loss", "min", dict(enumerate(pick)))
    expected = stats.ttest_rel(baseline, pick)
    assert less.gain == pytest.approx(0.1)
    assert (less.gain_low, less.gain_high) == pytest.approx(expected.confidence_interval(0.95))
    assert (less.n, less.mean) == (4, pytest.approx(0.525))
    assert less.se == pytest.approx(stats.sem(baseline))
    (more,) = summarize_baselines(table(baseline), "val_loss", "max", dict(enumerate(pick)))
    assert more.gain == pytest.approx(-0.1)


def test_only_repetitions_that_both_have_are_compared():
    pick = {0: 0.1, 2: math.nan, 3: 0.3, 1_000_000: 9.0}
    (summary,) = summarize_baselines(table([0.2, 0.2, 0.2, 0.5]), "val_loss", "min", pick)
    assert summary.gain == pytest.approx(0.15)
    (apart,) = summarize_baselines(table([0.2, 0.2]), "val_loss", "min", {1_000_000: 0.1})
    assert (apart.n, apart.mean) == (2, 0.2)
    assert math.isnan(apart.gain)
    (once,) = summarize_baselines(table([0.2]), "val_loss", "min", {0: 0.1})
    assert (once.mean, once.gain) == (0.2, pytest.approx(0.1))
    assert math.isnan(once.se)
    assert math.isnan(once.gain_low)


def test_what_was_not_measured_keeps_its_note_and_the_order_of_the_study(tmp_path):
    unmeasured = table([math.nan], "dummy", "not measured: no reason").assign(repetition=math.nan)
    write_csv(pd.concat([unmeasured, table([0.2, 0.4], "boosting")]), tmp_path / "baselines.csv")
    read = read_csv(tmp_path / "baselines.csv", {})
    dummy, boosting = summarize_baselines(read, "val_loss", "min", {})
    assert (dummy.baseline, dummy.n, dummy.note) == ("dummy", 0, "not measured: no reason")
    assert (boosting.mean, boosting.note) == (pytest.approx(0.3), "")


def test_the_sentence_names_the_best_simple_model_and_claims_no_more_than_is_shown():
    both = pd.concat([table([0.9, 0.8, 0.9], "dummy"), table([0.5, 0.6, 0.4])])

    def sentence(pick):
        found = summarize_baselines(both, "val_loss", "min", pick)
        return describe_baselines(found, "min", reserved=False)

    assert "dummy 0.8667, linear 0.5." in sentence({})
    assert "It takes two repetitions" in sentence({0: 0.1})
    better = sentence({0: 0.1, 1: 0.2, 2: 0.1})
    assert "is better than the best of them, linear: it gains 0.367 (" in better
    assert better.endswith("The repetitions that chose the pick flatter it.")
    assert "is not shown to be better" in sentence({0: 0.2, 1: 0.7, 2: 0.4})
    unmeasured = table([math.nan], note="not measured: no reason")
    found = summarize_baselines(unmeasured, "val_loss", "min", {})
    assert describe_baselines(found, "min", reserved=False) == (
        "Simple models: not measured: no reason."
    )
    assert describe_baselines([], "min", reserved=False) is None
