"""Promises of what is exported of each configuration."""

from __future__ import annotations

import pytest

from gridloom.exports.configurations import metrics_of, read_configurations
from tests.exports.made_results import make


def read(folder, case):
    results, _ = make(folder, case)
    return {one.point: one for one in read_configurations(results, metrics_of(results))}


def test_scores_and_curves_are_those_of_the_tables(tmp_path):
    found = read(tmp_path, "plain")
    assert len(found) == 6
    good = found["batch_size=4/epochs=3/rate=0.1/units=8"]
    assert good.scores == pytest.approx({0: 0.58, 1: 0.68, 2: 0.78})
    assert good.curves["val_score"] == pytest.approx([0.68 / 3, 0.68 * 2 / 3, 0.68])
    assert good.summary["val_score_mean"] == pytest.approx(0.68)
    assert good.seconds == 1.5
    assert [one.is_picked for one in found.values()].count(True) == 1


def test_a_configuration_that_lost_a_training_keeps_what_is_left(tmp_path):
    lost = [one for one in read(tmp_path, "plain").values() if one.is_lost]
    (one,) = lost
    assert one.scores == pytest.approx({0: 0.58, 1: None, 2: 0.78})
    assert one.curves["val_score"][-1] == pytest.approx(0.68)
    assert not one.is_picked


def test_a_configuration_that_lost_all_has_no_curve(tmp_path):
    for one in read(tmp_path, "diverged").values():
        assert one.is_lost
        assert one.curves == {}
        assert one.scores == {0: None, 1: None, 2: None}
        assert "val_score_mean" not in one.summary
        assert not one.is_picked


def test_folds_are_averaged_and_a_stopped_training_keeps_its_last_value(tmp_path):
    one = next(one for one in read(tmp_path, "folds").values() if one.hyperparameters["units"] == 1)
    first, second = 0.515, 0.615  # each the mean of two folds; the second stops after epoch 2
    assert one.scores == pytest.approx({0: first, 1: second * 2 / 3})
    assert one.curves["val_score"] == pytest.approx(
        [(first + second) / 6, (first + second) / 3, (first + second * 2 / 3) / 2]
    )


def test_an_absent_value_is_absent(tmp_path):
    found = [one.hyperparameters for one in read(tmp_path, "conditional").values()]
    assert [{**one, **{"batch_size": 4, "epochs": 3}} == one for one in found] == [True] * 3
    assert sorted(map(len, found)) == [3, 4, 4]


def test_one_repetition_has_no_standard_error(tmp_path):
    for one in read(tmp_path, "once").values():
        assert "val_score_se" not in one.summary
        assert list(one.scores) == [0]
