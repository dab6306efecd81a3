"""Promises of the scores: scikit-learn's numbers, with intervals that cover."""

from __future__ import annotations

import numpy as np
import pytest
from sklearn import metrics

from gridloom.fitted.scores import (
    RESAMPLES,
    bootstrap,
    class_statistics,
    label_statistics,
    number_statistics,
    roc_auc,
)

GENERATOR = np.random.default_rng(0)


def made(rows, classes):
    target = GENERATOR.integers(classes, size=rows)
    scores = GENERATOR.normal(size=(rows, classes)).round(1) + 1.5 * np.eye(classes)[target]
    probabilities = np.exp(scores) / np.exp(scores).sum(axis=1, keepdims=True)
    return target, probabilities.argmax(axis=1), probabilities.astype(np.float32)


def values_of(statistics, rows):
    scores = bootstrap(statistics, np.arange(rows), seed=0)
    assert all(score.low < score.value < score.high for score in scores)
    return {score.name: score.value for score in scores}


@pytest.mark.parametrize("classes", [2, 4])
def test_classes_are_scored_as_scikit_learn_scores_them(classes):
    target, predicted, probabilities = made(90, classes)
    shares = probabilities / probabilities.sum(axis=1, keepdims=True)
    some = shares[:, 1] if classes == 2 else shares
    expected = {
        "accuracy": metrics.accuracy_score(target, predicted),
        "balanced accuracy": metrics.balanced_accuracy_score(target, predicted),
        "ROC AUC": metrics.roc_auc_score(target, some, multi_class="ovr"),
        "log loss": metrics.log_loss(target, shares),
        "Brier score": metrics.brier_score_loss(target, some),
    }
    found = values_of(class_statistics(target, predicted, probabilities), 90)
    assert found == pytest.approx(expected, rel=1e-5)


def test_labels_are_scored_as_the_mean_over_labels():
    (first, guess, chances), (second, other, more) = made(80, 2), made(80, 2)
    target, predicted = np.stack([first, second], 1), np.stack([guess, other], 1)
    probabilities = np.stack([chances[:, 1], more[:, 1]], 1)
    found = values_of(label_statistics(target.astype(np.float32), predicted, probabilities), 80)
    assert found["all labels right"] == metrics.accuracy_score(target, predicted)
    assert found["accuracy"] == pytest.approx((target == predicted).mean())
    area = metrics.roc_auc_score(target, probabilities)
    assert found["ROC AUC"] == pytest.approx(area)


def test_numbers_are_scored_as_scikit_learn_scores_them_each_target_by_itself():
    target = 70_000 + GENERATOR.normal(size=(60, 2)) * (1, 1000)
    predicted = target + GENERATOR.normal(size=(60, 2)) * (0.5, 300)
    found = values_of(number_statistics(target, predicted, ["a", "b"]), 60)
    assert len(found) == 6
    for place, name in enumerate("ab"):
        pair = target[:, place], predicted[:, place]
        assert found[f"mean absolute error of {name}"] == pytest.approx(
            metrics.mean_absolute_error(*pair)
        )
        assert found[f"root mean squared error of {name}"] == pytest.approx(
            metrics.root_mean_squared_error(*pair)
        )
        assert found[f"R2 of {name}"] == pytest.approx(metrics.r2_score(*pair))


def test_a_resample_is_scored_as_its_rows_would_be():
    target, _, probabilities = made(50, 2)
    drawn = GENERATOR.integers(50, size=50)
    counts = np.bincount(drawn, minlength=50)[None].astype(float)
    area = roc_auc(target == 1, probabilities[:, 1])(counts)[0]
    assert area == pytest.approx(metrics.roc_auc_score(target[drawn], probabilities[drawn, 1]))


def test_the_interval_of_a_mean_is_about_as_wide_as_theory_says():
    rows = 400
    target, predicted = np.ones(rows, int), (np.arange(rows) % 5 > 0).astype(int)
    (accuracy, *_) = bootstrap(class_statistics(target, predicted, None), np.arange(rows), 1)
    assert accuracy.value == 0.8
    assert accuracy.high - accuracy.low == pytest.approx(2 * 1.96 * (0.16 / rows) ** 0.5, rel=0.1)


def test_groups_are_drawn_whole():
    right = np.repeat([0, 1, 1, 1], 50)
    statistics = class_statistics(np.ones(200, int), right, None)
    (by_group, *_) = bootstrap(statistics, np.repeat(np.arange(4), 50), seed=0)
    (by_row, *_) = bootstrap(statistics, np.arange(200), seed=0)
    assert (by_group.low, by_group.high) == (0.25, 1)
    assert by_row.high - by_row.low < 0.15


def test_a_score_that_is_not_defined_is_none():
    target = np.zeros(9, int)
    shares = np.full((9, 2), [0.8, 0.2])
    scores = bootstrap(class_statistics(target, target, shares), np.arange(9), seed=0)
    assert {s.name for s in scores if s.value is None} == {"ROC AUC"}
    assert "ROC AUC not defined" in map(str, scores)
    (alone, *_) = bootstrap(class_statistics(target, target, None), np.zeros(9, int), seed=0)
    assert (alone.value, alone.low, alone.high) == (1, None, None)
    constant = bootstrap(number_statistics(np.ones((9, 1)), np.zeros((9, 1)), ["y"]), target, 0)
    assert constant[-1].value is None


def test_intervals_do_not_depend_on_how_many_resamples_fit_into_memory(monkeypatch):
    target, predicted, probabilities = made(30, 3)
    statistics = class_statistics(target, predicted, probabilities)
    whole = bootstrap(statistics, np.arange(30), seed=5)
    monkeypatch.setattr("gridloom.fitted.scores._CELLS", 30 * (RESAMPLES // 7))
    assert bootstrap(statistics, np.arange(30), seed=5) == whole
