"""Promises of the figures of test rows: the right numbers, and a sentence where there are none."""

from __future__ import annotations

import numpy as np
import pytest
from sklearn.metrics import roc_auc_score

from gridloom.figures.predictions import (
    Predictions,
    calibration,
    confusion,
    draw_all,
    predicted,
    residuals,
    roc,
)

GENERATOR = np.random.default_rng(0)


def classes(count, rows=80):
    target = GENERATOR.integers(count, size=rows)
    scores = GENERATOR.random((rows, count)) + np.eye(count)[target]
    shares = scores / scores.sum(axis=1, keepdims=True)
    names = [f"the name of the class number {place}" for place in range(count)]
    return Predictions(target, shares.argmax(axis=1), shares, names)


def texts(axes):
    return [text.get_text() for text in axes.texts]


def test_a_row_of_the_confusion_matrix_counts_the_rows_of_a_class():
    made = Predictions(np.array([0, 0, 1, 1, 1]), np.array([0, 1, 1, 1, 0]), None, ["no", "yes"])
    axes = confusion(made).axes[0]
    assert texts(axes) == ["1", "1", "1", "2"]
    np.testing.assert_allclose(axes.images[0].get_array(), [[1 / 2, 1 / 2], [1 / 3, 2 / 3]])


def test_long_names_are_cut_in_the_middle_and_stay_apart():
    labels = [label.get_text() for label in confusion(classes(3)).axes[0].get_yticklabels()]
    assert len(set(labels)) == 3
    assert all(len(label) == 21 for label in labels)


def test_many_classes_have_a_matrix_without_numbers_and_curves_without_a_legend():
    assert texts(confusion(classes(30)).axes[0]) == []
    assert roc(classes(30)).axes[0].get_legend() is None


@pytest.mark.parametrize(("count", "curves"), [(2, 1), (4, 4)])
def test_the_legend_gives_the_area_of_each_roc_curve(count, curves):
    made = classes(count)
    labels = [text.get_text() for text in roc(made).axes[0].get_legend().get_texts()]
    assert len(labels) == curves
    area = roc_auc_score(made.target == count - 1, made.probabilities[:, -1])
    assert f"(area {area:.3f})" in labels[-1]


def test_a_class_that_no_test_row_has_gets_no_curve():
    made = classes(3)
    without = Predictions(made.target % 2, made.predicted, made.probabilities, made.names)
    assert len(roc(without).axes[0].get_legend().get_texts()) == 2


def test_calibration_shows_shares_in_bins_of_the_probability():
    probability = np.repeat([0.15, 0.85], 20)
    target = np.tile([0, 0, 0, 1], 10)
    shares = np.stack([1 - probability, probability], axis=1)
    made = Predictions(target, (probability > 0.5).astype(int), shares, ["no", "yes"])
    plot, below = calibration(made).axes
    points = plot.containers[0].lines[0].get_xydata()
    np.testing.assert_allclose(points, [[0.15, 0.25], [0.85, 0.25]])
    assert [bar.get_height() for bar in below.patches if bar.get_height()] == [20, 20]


def test_numbers_have_a_panel_for_each_target():
    target = GENERATOR.normal(size=(30, 2))
    made = Predictions(target, target + 0.5, None, ["height", "width"])
    assert len(predicted(made).axes) == 2
    dots = residuals(made).axes[1].collections[0].get_offsets()
    np.testing.assert_allclose(dots[:, 1], -0.5)
    many = Predictions(np.tile(target, 10), np.tile(target, 10), None, list("abcdefghijklmnopqrst"))
    assert "11 more targets are not drawn" in predicted(many).axes[0].get_title()


def test_without_probabilities_or_a_known_class_a_sentence_says_why(tmp_path):
    made = Predictions(np.zeros(5, int), None, None, ["no", "yes"])
    expected = {confusion: "no class is", roc: "no ROC curve", calibration: "no calibration"}
    for draw, reason in expected.items():
        (text,) = draw(made).texts
        assert reason in text.get_text().replace("\n", " ")
    draw_all(made, [tmp_path / "roc.png", tmp_path / "roc.svg"], title="T", dpi=60)
    assert {file.name for file in tmp_path.iterdir()} == {"roc.png", "roc.svg"}
