"""Promises of the rule `baselines`: a table beside the study, measured again only if needed."""

from __future__ import annotations

import pandas as pd
import pytest


@pytest.mark.slow
def test_baselines_are_measured_beside_a_study_and_again_only_for_other_rows_or_metrics(copied):
    baselines = {"baselines": ["dummy", "linear"]}
    copied.change(**baselines)
    assert copied.succeed() == {
        "baselines": 1,
        "verdict": 1,
        "figures": 1,
        "report": 1,
    }  # no host: nothing trains
    table = pd.read_csv(copied.results / "baselines.csv")
    assert table["baseline"].tolist() == ["dummy", "dummy", "linear", "linear"]
    assert table["val_categorical_accuracy"].between(0.5, 1).all()
    assert copied.succeed("-n") == {}
    copied.change(**baselines, repetitions=3)
    made = copied.succeed("baselines", "gather")  # in a fork of the workers' host
    assert made == {"train": 4, "gather": 1, "baselines": 1}
    more = pd.read_csv(copied.results / "baselines.csv")
    assert len(more) == 6
    same = more[more["repetition"] < 2].drop(columns="seconds").reset_index(drop=True)
    pd.testing.assert_frame_equal(same, table.drop(columns="seconds"))
