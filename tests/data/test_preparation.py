"""Promises of the preparation: no validation row is seen by anything that is fitted."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pandas as pd
import pytest

from gridloom.data.preparation import class_weights, prepare, training_rows, validation_parts
from gridloom.errors import DataError

HOLDOUT = {"method": "holdout", "fraction": 0.2}


def rows_of(counts=(30, 10), seed=0):
    generator = np.random.default_rng(seed)
    labels = [name for name, count in zip("abc", counts, strict=False) for _ in range(count)]
    table = pd.DataFrame(generator.normal(5, 3, size=(len(labels), 4)), columns=list("wxyz"))
    table["target"] = labels
    return training_rows(
        table, {"target": "target", "features": list("wxyz"), "classes": sorted(set(labels))}
    )


def test_the_scaler_sees_the_fitting_rows_only():
    rows = rows_of()
    ((fit, held),) = validation_parts(rows, HOLDOUT, 3)
    prepared = prepare(rows, fit, held, None)
    np.testing.assert_allclose(prepared.x_train.mean(axis=0), 0, atol=1e-6)
    np.testing.assert_allclose(prepared.x_train.std(axis=0), 1, atol=1e-6)
    raw = rows.features
    expected = (raw[held] - raw[fit].mean(axis=0)) / raw[fit].std(axis=0)
    np.testing.assert_allclose(prepared.x_val, expected, rtol=1e-5)


def test_changing_validation_rows_does_not_change_training_rows():
    rows = rows_of()
    ((fit, held),) = validation_parts(rows, HOLDOUT, 3)
    before = prepare(rows, fit, held, "balanced")
    changed = rows.features.copy()
    changed[held] *= 1000
    after = prepare(replace(rows, features=changed), fit, held, "balanced")
    assert (before.x_train == after.x_train).all()
    assert (before.weights == after.weights).all()


def test_a_constant_column_does_not_divide_by_zero():
    rows = rows_of()
    rows = replace(rows, features=rows.features * [0, 1, 1, 1] + 7)
    ((fit, held),) = validation_parts(rows, HOLDOUT, 3)
    assert np.isfinite(prepare(rows, fit, held, None).x_train).all()


def test_holdout_is_stratified_and_seeded():
    rows = rows_of()
    ((fit, held),) = validation_parts(rows, HOLDOUT, 3)
    assert sorted([*fit, *held]) == list(range(40))
    assert np.bincount(rows.target[held]).tolist() == [6, 2]
    assert (validation_parts(rows, HOLDOUT, 3)[0][1] == held).all()
    assert (validation_parts(rows, HOLDOUT, 4)[0][1] != held).any()


def test_folds_hold_every_row_out_once():
    rows = rows_of()
    parts = validation_parts(rows, {"method": "kfold", "folds": 4}, 3)
    assert len(parts) == 4
    assert sorted(np.concatenate([held for _, held in parts])) == list(range(40))
    for fit, held in parts:
        assert not set(fit) & set(held)
        assert np.bincount(rows.target[held]).tolist() in ([8, 2], [7, 3], [7, 2], [8, 3])


def test_too_few_rows_of_a_class_are_told():
    rows = rows_of((30, 3))
    with pytest.raises(DataError, match="fewer training rows than there are folds"):
        validation_parts(rows, {"method": "kfold", "folds": 4}, 3)
    with pytest.raises(DataError, match="validation: "):
        validation_parts(rows_of((30, 1)), HOLDOUT, 3)


def test_balanced_weights_are_those_of_scikit_learn():
    from sklearn.utils.class_weight import compute_class_weight

    target = np.array([0, 0, 0, 1, 2, 2])
    expected = compute_class_weight("balanced", classes=np.arange(3), y=target)
    np.testing.assert_allclose(class_weights(target, ["a", "b", "c"], "balanced"), expected)


def test_given_weights_follow_the_labels_and_must_name_all():
    weights = class_weights(np.array([0, 1]), ["a", "b"], {"b": 3.0, "a": 1.0})
    assert weights.tolist() == [1.0, 3.0]
    with pytest.raises(DataError, match=r"one weight for each of a, b; check 'b'"):
        class_weights(np.array([0, 1]), ["a", "b"], {"a": 1.0})
    with pytest.raises(DataError, match="check 'c'"):
        class_weights(np.array([0, 1]), ["a", "b"], {"a": 1.0, "b": 1.0, "c": 1.0})
