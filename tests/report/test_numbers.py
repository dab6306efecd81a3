"""Promises of the page's numbers: those of the tables and of the figures."""

from __future__ import annotations

import itertools

import numpy as np
import pandas as pd
import pytest

from gridloom.figures.numbers import mean_heatmap
from gridloom.report.numbers import (
    as_yaml,
    axes_json,
    metrics_json,
    metrics_of,
    points_json,
    trainings_json,
)
from tests.figures.studies import AXES, study_of
from tests.report.test_arrays import decode


def waves(units, dropout, rate, repetition):
    """Return a score; two trainings diverge, and one point is not there."""
    if (units, dropout, rate) == ("1", "0.3", "0.01"):
        return None
    if units == "64" and rate == "1" and repetition == 1:
        return np.nan
    return np.sin(float(units)) + float(dropout) * float(rate) + repetition / 50


@pytest.mark.parametrize("mode", ["max", "min"])
def test_the_means_of_pairs_are_those_of_the_heatmaps(mode):
    study = study_of(waves, noise=0.01, mode=mode)
    names = metrics_of(study)
    assert names[0] == study.metric
    pairs = list(itertools.combinations(AXES, 2))
    found = metrics_json(study, names, pairs)
    for metric, (place, pair) in itertools.product(found["metrics"], enumerate(pairs)):
        drawn = mean_heatmap(study, study.quantity(metric["name"]), *pair)
        np.testing.assert_allclose(decode(metric["means"][place]), drawn.values, rtol=1e-5)
        np.testing.assert_allclose(
            decode(metric["mean_errors"][place]), drawn.errors, rtol=1e-3, atol=1e-7
        )
    for place, pair in enumerate(pairs):
        tied = mean_heatmap(study, study.objective, *pair).tied
        np.testing.assert_array_equal(decode(found["tied"][place]), tied)


def test_points_stand_in_the_order_of_the_summary():
    study = study_of(waves)
    found = points_json(study)
    codes = decode(found["codes"])
    for place, (name, values) in enumerate(AXES.items()):
        texts = [values[code] for code in codes[:, place]]
        assert texts == study.summary[name].tolist()
    np.testing.assert_array_equal(decode(found["rank"]), study.summary["rank"])
    assert decode(found["lost"]).sum() == 2


def test_each_training_has_its_score_or_what_became_of_it():
    study = study_of(waves)
    found = trainings_json(study)
    status, scores = decode(found["status"]), decode(found["scores"])
    runs = study.runs.assign(place=pd.Categorical(study.runs["point"]).codes)
    assert found["repetitions"] == [1, 2, 3]
    assert found["statuses"][status.max()] == "diverged"
    assert (status == 1).sum() == (runs["status"] == "diverged").sum() == 2
    first = study.summary["point"].iloc[0]
    np.testing.assert_allclose(scores[0], runs.loc[runs["point"] == first, study.metric], rtol=1e-6)


def test_a_hyperparameter_named_like_a_mean_is_no_metric():
    study = study_of(waves)
    study.summary["noise_mean"] = 0.1
    assert "noise" not in study.metrics
    assert "val_loss" in study.metrics


@pytest.mark.parametrize(
    ("value", "text"),
    [
        (1, "1"),
        (1e-05, "1.0e-05"),
        ("1", "'1'"),
        ("relu", "relu"),
        (True, "true"),
        (None, "null"),
        ((16, 8), "[16, 8]"),
        ("a: b", "'a: b'"),
    ],
)
def test_values_are_written_as_yaml_reads_them(value, text):
    assert as_yaml(value) == text


def test_an_axis_has_its_name_label_and_values():
    study = study_of(waves, labels={"rate": "learning rate"})
    found = {axis["name"]: axis for axis in axes_json(study)}
    assert found["rate"]["label"] == "learning rate"
    assert found["rate"]["values"] == AXES["rate"]
    assert found["rate"]["yaml"] == ["1", "0.1", "0.01"]
