"""What a network is fed: which rows fit and which validate, scaled features, encoded targets."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd
from sklearn.model_selection import KFold, StratifiedKFold, train_test_split
from sklearn.preprocessing import StandardScaler

from gridloom.errors import DataError


@dataclass(frozen=True)
class TrainingRows:
    """The training part of a split, as arrays.

    Attributes
    ----------
    features
        float64, shape (rows, features), unscaled.
    target
        Classes as int64 indices into `classes`, or float32 values in a regression; shape (rows,).
    classes
        Labels in the order of the indices; None in a regression.
    """

    features: np.ndarray
    target: np.ndarray
    classes: list[str] | None


@dataclass(frozen=True)
class PreparedRows:
    """One training's arrays, float32 (targets in the form that the model's loss takes).

    Attributes
    ----------
    x_train, x_val
        Shape (rows, features), scaled by the training rows' mean and standard deviation.
    y_train, y_val
        Class indices or regression values, shape (rows,).
    weights
        Of the training rows in the loss, shape (rows,); all one without class weights.
    """

    x_train: np.ndarray
    y_train: np.ndarray
    weights: np.ndarray
    x_val: np.ndarray
    y_val: np.ndarray


def training_rows(table: pd.DataFrame, description: Mapping[str, Any]) -> TrainingRows:
    """Turn the training part of a split into arrays.

    Parameters
    ----------
    table
        ``train.parquet``.
    description
        ``split.json``.
    """
    target = table[description["target"]]
    classes = description["classes"]
    if classes is None:
        encoded = target.to_numpy(dtype=np.float32)
    else:
        encoded = pd.Categorical(target, categories=classes).codes.astype(np.int64)
    return TrainingRows(table[description["features"]].to_numpy(), encoded, classes)


def validation_parts(
    rows: TrainingRows, validation: Mapping[str, Any], seed: int
) -> list[tuple[np.ndarray, np.ndarray]]:
    """Choose which rows fit and which validate.

    Parameters
    ----------
    validation
        ``{"method": "holdout", "fraction": f}`` or ``{"method": "kfold", "folds": k}``.
    seed
        The validation stream's; the same for every point.

    Returns
    -------
    list of (fit, validate)
        Row indices in ascending order; one pair, or one for each fold. Stratified for classes.

    Raises
    ------
    DataError
        If a class has too few rows.
    """
    classified = rows.classes is not None
    places = np.arange(len(rows.target))
    try:
        if validation["method"] == "kfold":
            splitter = StratifiedKFold if classified else KFold
            folds = splitter(validation["folds"], shuffle=True, random_state=seed)
            if classified and np.bincount(rows.target).min() < validation["folds"]:
                raise ValueError("a class has fewer training rows than there are folds")
            return [(fit, held) for fit, held in folds.split(places, rows.target)]
        fit, held = train_test_split(
            places,
            test_size=validation["fraction"],
            random_state=seed,
            stratify=rows.target if classified else None,
        )
    except ValueError as error:
        raise DataError(f"validation: {error}") from None
    return [(np.sort(fit), np.sort(held))]


def class_weights(
    target: np.ndarray, classes: list[str], weighting: str | Mapping[str, float] | None
) -> np.ndarray:
    """Return the weight of each class in the loss, float32, shape (classes,).

    ``balanced`` gives class c the weight rows / (classes · rows of c), counted over `target`, as
    scikit-learn does.

    Raises
    ------
    DataError
        If a mapping names a class that is not there, or lacks one that is.
    """
    if weighting is None:
        return np.ones(len(classes), np.float32)
    if isinstance(weighting, str):
        counts = np.bincount(target, minlength=len(classes))
        return np.asarray(len(target) / (len(classes) * np.maximum(counts, 1)), np.float32)
    unknown = sorted(set(weighting) ^ set(classes))
    if unknown:
        raise DataError(
            f"class_weight: needs one weight for each of {', '.join(classes)}; check {unknown[0]!r}"
        )
    return np.array([weighting[label] for label in classes], np.float32)


def prepare(
    rows: TrainingRows,
    fit: np.ndarray,
    held: np.ndarray,
    weighting: str | Mapping[str, float] | None,
) -> PreparedRows:
    """Scale features and weigh rows for one training.

    The scaler and the class weights see the rows that the training fits on and no others.
    """
    scaler = StandardScaler().fit(rows.features[fit])
    y_train = rows.target[fit]
    if rows.classes is None:
        weights = np.ones(len(fit), np.float32)
    else:
        weights = class_weights(y_train, rows.classes, weighting)[y_train]
    return PreparedRows(
        x_train=scaler.transform(rows.features[fit]).astype(np.float32),
        y_train=y_train,
        weights=weights,
        x_val=scaler.transform(rows.features[held]).astype(np.float32),
        y_val=rows.target[held],
    )
