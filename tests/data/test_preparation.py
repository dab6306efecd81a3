"""Promises of the preparation: no validation row is seen by anything that is fitted."""

from __future__ import annotations

from dataclasses import replace

import joblib
import numpy as np
import pandas as pd
import pytest

from gridloom.data.description import SplitDescription
from gridloom.data.preparation import (
    Preparation,
    TargetScale,
    TrainingRows,
    class_weights,
    prepare,
    validation_parts,
)
from gridloom.data.rows import MISSING
from gridloom.errors import DataError

HOLDOUT = {"method": "holdout", "fraction": 0.2}


def rows_of(counts=(30, 10), seed=0):
    generator = np.random.default_rng(seed)
    codes = np.repeat(np.arange(len(counts)), counts)
    features = pd.DataFrame(generator.normal(5, 3, size=(len(codes), 4)), columns=list("wxyz"))
    return TrainingRows(
        features,
        codes,
        list("abc")[: len(counts)],
        SplitDescription(numeric=list("wxyz")),
        np.ones(len(codes), np.float32),
    )


def mixed():
    """Make a table with missing numbers, and a category that only its last rows have."""
    features = pd.DataFrame(
        {
            "a": [1.0, 2.0, np.nan, 3.0, 9.0, np.nan],
            "kind": ["u", "v", "u", MISSING, "rare", "rare"],
        }
    )
    layout = SplitDescription(
        numeric=["a"],
        incomplete=["a"],
        categorical={"kind": [MISSING, "rare", "u", "v"]},
    )
    return TrainingRows(features, np.array([0, 1, 0, 1, 0, 1]), list("ab"), layout, np.ones(6))


def test_the_scaler_sees_the_fitting_rows_only():
    rows = rows_of()
    ((fit, held),) = validation_parts(rows, HOLDOUT, 3)
    prepared = prepare(rows, fit, held, None, "standard")
    np.testing.assert_allclose(prepared.x_train.mean(axis=0), 0, atol=1e-6)
    np.testing.assert_allclose(prepared.x_train.std(axis=0), 1, atol=1e-6)
    raw = rows.features.to_numpy()
    expected = (raw[held] - raw[fit].mean(axis=0)) / raw[fit].std(axis=0)
    np.testing.assert_allclose(prepared.x_val, expected, rtol=1e-5, atol=1e-6)


def test_changing_validation_rows_does_not_change_training_rows():
    rows = rows_of()
    ((fit, held),) = validation_parts(rows, HOLDOUT, 3)
    before = prepare(rows, fit, held, "balanced", "standard")
    changed = rows.features.copy()
    changed.iloc[held] *= 1000
    after = prepare(replace(rows, features=changed), fit, held, "balanced", "standard")
    assert (before.x_train == after.x_train).all()
    assert (before.weights == after.weights).all()


def test_missing_numbers_get_the_median_of_the_fitting_rows_and_an_indicator():
    prepared = prepare(mixed(), np.arange(4), np.arange(4, 6), None, "none")
    assert prepared.x_train[:, 0].tolist() == [1, 2, 2, 3]
    assert prepared.x_train[:, 1].tolist() == [0, 0, 1, 0]
    assert prepared.x_val[:, :2].tolist() == [[9, 0], [2, 1]]


def test_a_number_missing_in_new_rows_only_gets_the_median():
    rows = rows_of()
    preparation = Preparation(rows.description, "standard")
    preparation.fit_transform(rows.features)
    new = rows.features[:2].copy()
    new.loc[0, "w"] = np.nan
    assert np.isfinite(preparation.transform(new)).all()


def test_categories_are_one_hot_and_zero_if_only_validation_rows_have_them():
    prepared = prepare(mixed(), np.arange(4), np.arange(4, 6), None, "none")
    assert prepared.x_train[:, 2:].tolist() == [
        [0, 0, 1, 0],
        [0, 0, 0, 1],
        [0, 0, 1, 0],
        [1, 0, 0, 0],
    ]
    assert prepared.x_val[:, 2:].tolist() == [[0, 0, 0, 0]] * 2


def test_a_value_beyond_float32_after_scaling_is_refused():
    rows = rows_of()
    for features in (rows.features * 1e-9, rows.features.to_numpy() * 1e-9):
        shape = None if isinstance(features, pd.DataFrame) else [4]
        preparation = Preparation(replace(rows.description, shape=shape), "standard")
        preparation.fit_transform(features)
        far = features[:2].copy()
        far[far > -1] = 1e35
        with pytest.raises(
            DataError, match="so far from the values of other rows that it exceeds float32"
        ):
            preparation.transform(far)


def test_every_choice_of_rows_gives_inputs_of_the_same_shape():
    rows = mixed()
    for fit in ([0, 1, 3], [2, 4, 5], [0, 2, 4]):
        held = np.setdiff1d(np.arange(6), fit)
        prepared = prepare(rows, np.array(fit), held, None, "standard")
        assert prepared.x_train.shape == (3, 6)
        assert np.isfinite(prepared.x_train).all()
        assert np.isfinite(prepared.x_val).all()


def test_a_column_that_is_constant_among_the_fitting_rows_does_not_vary_at_validation():
    rows = rows_of()
    ((fit, held),) = validation_parts(rows, HOLDOUT, 3)
    features = rows.features.copy()
    features.loc[fit, "w"] = 7.0
    features.loc[held, "w"] = 1e6
    prepared = prepare(replace(rows, features=features), fit, held, None, "standard")
    assert (prepared.x_train[:, 0] == 0).all()
    assert (prepared.x_val[:, 0] == 0).all()


def test_a_fitted_preparation_is_saved_and_prepares_new_rows(tmp_path):
    rows = mixed()
    preparation = Preparation(rows.description, "standard")
    expected = preparation.fit_transform(rows.features)
    joblib.dump(preparation, tmp_path / "preparation.joblib")
    loaded = joblib.load(tmp_path / "preparation.joblib")
    assert (loaded.transform(rows.features) == expected).all()
    new = pd.DataFrame({"kind": ["never seen"], "a": [np.nan]})
    assert loaded.transform(new)[0, 2:].tolist() == [0, 0, 0, 0]


@pytest.mark.parametrize(
    ("features", "expected"),
    [
        (np.arange(48, dtype=np.uint8).reshape(3, 4, 4), "as a whole"),
        (np.arange(48, dtype=np.float64).reshape(3, 4, 4) * [1, 10, 100, 1000], "by last axis"),
        (np.arange(12, dtype=np.float32).reshape(3, 4) * [1, 10, 100, 1000], "by last axis"),
    ],
)
def test_arrays_keep_their_shape_and_are_scaled(features, expected):
    preparation = Preparation(SplitDescription(shape=list(features.shape[1:])), "standard")
    prepared = preparation.fit_transform(features)
    assert prepared.shape == features.shape
    axes = None if expected == "as a whole" else tuple(range(features.ndim - 1))
    np.testing.assert_allclose(prepared.mean(axis=axes), 0, atol=1e-6)
    np.testing.assert_allclose(prepared.std(axis=axes), 1, atol=1e-5)
    untouched = Preparation(SplitDescription(shape=list(features.shape[1:])), "none")
    assert (untouched.fit_transform(features) == features).all()


def test_holdout_is_stratified_and_seeded():
    rows = rows_of()
    ((fit, held),) = validation_parts(rows, HOLDOUT, 3)
    assert sorted([*fit, *held]) == list(range(40))
    assert np.bincount(rows.target[held]).tolist() == [6, 2]
    assert (validation_parts(rows, HOLDOUT, 3)[0][1] == held).all()
    assert (validation_parts(rows, HOLDOUT, 4)[0][1] != held).any()


def test_validation_respects_groups_and_time():
    rows = replace(rows_of(), groups=np.arange(40) // 4)
    for method in (HOLDOUT, {"method": "kfold", "folds": 4}):
        for fit, held in validation_parts(rows, method, 3):
            assert not set(rows.groups[fit]) & set(rows.groups[held])
    rows = replace(rows_of(), description=replace(rows_of().description, ordered=True))
    ((fit, held),) = validation_parts(rows, HOLDOUT, 3)
    assert max(fit) < min(held)


def test_too_few_rows_of_a_class_are_refused():
    rows = rows_of((30, 3))
    with pytest.raises(DataError, match="class 'b' has only 3 rows for 4 folds"):
        validation_parts(rows, {"method": "kfold", "folds": 4}, 3)
    with pytest.raises(DataError, match="validation: "):
        validation_parts(rows_of((30, 1)), HOLDOUT, 3)


def test_balanced_weights_are_those_of_scikit_learn():
    from sklearn.utils.class_weight import compute_class_weight

    target = np.array([0, 0, 0, 1, 2, 2])
    expected = compute_class_weight("balanced", classes=np.arange(3), y=target)
    np.testing.assert_allclose(class_weights(target, ["a", "b", "c"], "balanced"), expected)


def test_weights_of_rows_and_classes_multiply():
    rows = replace(rows_of(), weights=np.arange(40, dtype=np.float32))
    ((fit, held),) = validation_parts(rows, HOLDOUT, 3)
    weights = prepare(rows, fit, held, {"a": 1.0, "b": 3.0}, "standard").weights
    assert weights.tolist() == [place * (1 if place < 30 else 3) for place in fit]


def test_given_class_weights_must_name_every_class():
    weights = class_weights(np.array([0, 1]), ["a", "b"], {"b": 3.0, "a": 1.0})
    assert weights.tolist() == [1.0, 3.0]
    with pytest.raises(DataError, match=r"one weight for each of a, b; check 'b'"):
        class_weights(np.array([0, 1]), ["a", "b"], {"a": 1.0})
    with pytest.raises(DataError, match="check 'c'"):
        class_weights(np.array([0, 1]), ["a", "b"], {"a": 1.0, "b": 1.0, "c": 1.0})


def test_each_number_target_is_standardized_by_the_fitting_rows():
    generator = np.random.default_rng(0)
    target = generator.normal([68_000, -3], [27_000, 0.1], size=(40, 2)).astype(np.float32)
    rows = replace(rows_of(), target=target, classes=None)
    fit, held = np.arange(30), np.arange(30, 40)
    prepared = prepare(rows, fit, held, None, "standard", "standard")
    np.testing.assert_allclose(prepared.y_train.mean(axis=0), 0, atol=1e-6)
    np.testing.assert_allclose(prepared.y_train.std(axis=0), 1, rtol=1e-6)
    assert prepared.y_val.dtype == np.float32
    np.testing.assert_allclose(prepared.target_scale.restored(prepared.y_val), target[held], 1e-6)
    other = replace(rows, target=np.vstack([target[:30], target[30:] * 5]))
    again = prepare(other, fit, held, None, "standard", "standard")
    np.testing.assert_array_equal(again.y_train, prepared.y_train)


def test_a_constant_target_is_shifted_but_not_scaled():
    scale = TargetScale.of(np.full((5, 1), 7, np.float32))
    np.testing.assert_array_equal(scale.standardized(np.array([[7.0], [9.0]])), [[0], [2]])


def test_targets_are_not_standardized_if_the_study_says_none():
    rows = replace(rows_of(), target=np.arange(40, dtype=np.float32)[:, None], classes=None)
    prepared = prepare(rows, np.arange(30), np.arange(30, 40), None, "standard")
    assert prepared.target_scale is None
    np.testing.assert_array_equal(prepared.y_val, rows.target[30:])
