"""The inputs of a network: rows to fit on and to validate, prepared features, encoded targets."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from sklearn.compose import ColumnTransformer
from sklearn.impute import MissingIndicator, SimpleImputer
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import (
    FunctionTransformer,
    MinMaxScaler,
    OneHotEncoder,
    StandardScaler,
)

from gridloom.data.description import SplitDescription
from gridloom.data.partition import Traits, fold_rows, hold_out
from gridloom.data.rows import Features, read_rows, take
from gridloom.errors import DataError

SCALERS = {"standard": StandardScaler, "minmax": MinMaxScaler, "none": FunctionTransformer}


@dataclass(frozen=True)
class TrainingRows:
    """The training part of a split.

    Attributes
    ----------
    features
        As in `gridloom.data.rows.Rows`, neither scaled nor encoded.
    target
        Classes as int64 indices into `classes`, shape (rows,); else float32, shape
        (rows, targets).
    classes
        Labels in the order of the indices; None in a regression, or if a row can have several
        labels.
    description
        ``split.json``.
    weights
        Weight of each row in the loss, float32, shape (rows,).
    groups
        Group of each row, shape (rows,); None without groups.
    """

    features: Features
    target: np.ndarray
    classes: list[str] | None
    description: SplitDescription
    weights: np.ndarray
    groups: np.ndarray | None = None

    @property
    def outputs(self) -> int:
        """Number of outputs of a network for a row: classes, labels or values."""
        return self.target.shape[1] if self.classes is None else len(self.classes)


@dataclass(frozen=True)
class TargetScale:
    """Mean and standard deviation by which number targets are standardized.

    Attributes
    ----------
    mean, deviation
        Mean and standard deviation of each target over the rows that a training fits on
        (``ddof=0``, as for features), float64, shape (targets,). A target that does not vary has
        deviation 1.
    """

    mean: np.ndarray
    deviation: np.ndarray

    @classmethod
    def of(cls, target: np.ndarray) -> TargetScale:
        """Fit to targets of shape (rows, targets)."""
        mean = target.mean(axis=0, dtype=np.float64)
        deviation = target.std(axis=0, dtype=np.float64)
        return cls(mean, np.where(deviation > 0, deviation, 1.0))

    def standardized(self, target: np.ndarray) -> np.ndarray:
        """Return targets with mean 0 and deviation 1, float32."""
        standardized: np.ndarray = ((target - self.mean) / self.deviation).astype(np.float32)
        return standardized

    def restored(self, outputs: np.ndarray) -> np.ndarray:
        """Return a network's outputs in the units of the targets, float32."""
        restored: np.ndarray = (outputs * self.deviation + self.mean).astype(np.float32)
        return restored


@dataclass(frozen=True)
class PreparedRows:
    """The arrays of one training, float32 (targets in the form that the model's loss takes).

    Attributes
    ----------
    x_train, x_val
        Inputs, shape (rows, …), from a preparation that was fitted on the training rows.
    y_train, y_val
        Class indices, shape (rows,), or values, shape (rows, targets).
    weights
        Weights of the training rows in the loss, shape (rows,).
    target_scale
        Scale by which `y_train` and `y_val` were standardized; None if they were not.
    """

    x_train: np.ndarray
    y_train: np.ndarray
    weights: np.ndarray
    x_val: np.ndarray
    y_val: np.ndarray
    target_scale: TargetScale | None = None


def training_rows(path: Path, description: SplitDescription) -> TrainingRows:
    """Read the training part of a split.

    Parameters
    ----------
    path
        ``train.parquet`` or ``train.npz``.
    description
        ``split.json``.
    """
    rows = read_rows(path)
    classes = description.classes
    target = rows.target
    if classes is not None:
        target = pd.Categorical(target, categories=classes).codes.astype(np.int64)
    count = len(target)
    return TrainingRows(
        rows.features,
        target,
        classes,
        description,
        weights=np.ones(count, np.float32) if rows.weight is None else rows.weight,
        groups=rows.group,
    )


def validation_parts(
    rows: TrainingRows, validation: Mapping[str, Any], seed: int
) -> list[tuple[np.ndarray, np.ndarray]]:
    """Choose which rows fit and which validate.

    Parameters
    ----------
    validation
        ``{"method": "holdout", "fraction": f}`` or ``{"method": "kfold", "folds": k}``.
    seed
        Seed of the validation stream; the same for every point.

    Returns
    -------
    list of (fit, validate)
        Row indices in ascending order; one pair, or one for each fold. See
        `gridloom.data.partition` for classes, groups and an order in time.

    Raises
    ------
    DataError
        If there are too few rows, groups, or rows of a class.
    """
    labels = None if rows.classes is None else rows.target
    traits = Traits(labels, rows.groups, rows.description.ordered, rows.classes)
    count = len(rows.target)
    try:
        if validation["method"] == "kfold":
            return fold_rows(count, validation["folds"], seed, traits)
        return [hold_out(count, validation["fraction"], seed, traits)]
    except ValueError as error:
        raise DataError(f"validation: {error}") from None


def class_weights(
    target: np.ndarray, classes: list[str], weighting: str | Mapping[str, float] | None
) -> np.ndarray:
    """Return the weight of each class in the loss, float32, shape (classes,).

    ``balanced`` gives class c the weight rows / (classes · rows of c), counted over `target`, as
    scikit-learn does.

    Raises
    ------
    DataError
        If the classes of a mapping are not those of the data.
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


class Preparation:
    """From features to a network's inputs: scikit-learn's transformers, fitted on training rows.

    In a table, missing numbers are imputed by the median, then numbers are scaled; each incomplete
    column gets an indicator; categories are one-hot, and an unknown category is all zero. Arrays
    are only scaled: images of bytes by one scale, other arrays along their last axis.

    Parameters
    ----------
    description
        ``split.json``.
    scaling
        ``standard`` (mean 0, sd 1), ``minmax`` (0 to 1) or ``none``.

    Attributes
    ----------
    transformer
        A `ColumnTransformer` for a table, the scaler for arrays.
    target_scale
        Scale by which the targets were standardized; None if they were not.
    """

    #: A default on the class, for saved preparations that lack this attribute.
    target_scale: TargetScale | None = None

    def __init__(self, description: SplitDescription, scaling: str) -> None:
        scaler = SCALERS[scaling]()
        self.transformer = (
            scaler if description.shape is not None else _of_columns(description, scaler)
        )
        self._columns = 0
        self._constant: dict[int, float] = {}

    def fit_transform(self, features: Features) -> np.ndarray:
        """Fit to the rows of a training and return its inputs, float32, shape (rows, …)."""
        if isinstance(features, pd.DataFrame):
            prepared = _computable(self.transformer.fit_transform(features), features)
            # A column that is constant in the training rows, such as a category that occurs in
            # validation rows only, stays constant: a network cannot learn its weights.
            constant = np.flatnonzero((prepared == prepared[0]).all(axis=0))
            self._constant = {int(place): float(prepared[0, place]) for place in constant}
            return prepared
        whole = features.dtype == np.uint8 and features.ndim > 2
        self._columns = 1 if whole else features.shape[-1]
        self.transformer.fit(features.reshape(-1, self._columns))
        return self.transform(features)

    def transform(self, features: Features) -> np.ndarray:
        """Return the inputs of other rows, float32, shape (rows, …)."""
        if isinstance(features, pd.DataFrame):
            prepared = _computable(self.transformer.transform(features), features)
            prepared[:, list(self._constant)] = list(self._constant.values())
            return prepared
        flat = self.transformer.transform(features.reshape(-1, self._columns))
        return _computable(flat.reshape(features.shape), features)


def _computable(prepared: np.ndarray, features: Features) -> np.ndarray:
    """Return prepared rows as float32.

    Raises
    ------
    DataError
        If a value is beyond float32: a network would compute with it and predict any class.
    """
    with np.errstate(over="ignore"):
        inputs: np.ndarray = np.asarray(prepared, np.float32)
    if np.isfinite(inputs).all():
        return inputs
    row = int(np.argmax(~np.isfinite(inputs).reshape(len(inputs), -1).all(axis=1)))
    found = "a value"
    if isinstance(features, pd.DataFrame):
        # Numbers come before all other inputs, in the order of their columns.
        numbers = features.select_dtypes("number")
        name = numbers.columns[int(np.argmax(~np.isfinite(inputs[row])))]
        found = f"column {name!r} holds {numbers[name].iloc[row]:g}, which"
    raise DataError(
        f"dataset: {found} is so far from the values of other rows that it exceeds float32 when "
        "scaled; correct or drop it"
    )


def _of_columns(description: SplitDescription, scaler: Any) -> ColumnTransformer:
    parts: list[tuple[str, Any, list[str]]] = []
    if description.numeric:
        # Complete columns are included, because new rows may have missing values there.
        imputer = SimpleImputer(strategy="median", keep_empty_features=True)
        parts.append(("numbers", make_pipeline(imputer, scaler), description.numeric))
    if description.incomplete:
        indicator = MissingIndicator(features="all", error_on_new=False)
        parts.append(("missing", indicator, description.incomplete))
    if description.categorical:
        encoder = OneHotEncoder(
            categories=list(description.categorical.values()),
            handle_unknown="ignore",
            sparse_output=False,
        )
        parts.append(("categories", encoder, list(description.categorical)))
    return ColumnTransformer(parts, sparse_threshold=0)


def row_weights(
    rows: TrainingRows, fit: np.ndarray, weighting: str | Mapping[str, float] | None
) -> np.ndarray:
    """Return the weights in the loss of the rows that a training fits on, shape (rows,).

    Each is the weight of the row times that of its class, which is counted over these rows.
    """
    weights: np.ndarray = rows.weights[fit]
    if rows.classes is None:
        return weights
    codes = rows.target[fit]
    product: np.ndarray = weights * class_weights(codes, rows.classes, weighting)[codes]
    return product


def prepare(
    rows: TrainingRows,
    fit: np.ndarray,
    held: np.ndarray,
    weighting: str | Mapping[str, float] | None,
    scaling: str,
    target: str = "none",
) -> PreparedRows:
    """Prepare features, targets and row weights for one training.

    Everything that is fitted, and the class weights, see only the rows that the training fits on.
    """
    preparation = Preparation(rows.description, scaling)
    x_train = preparation.fit_transform(take(rows.features, fit))
    x_val = preparation.transform(take(rows.features, held))
    weights = row_weights(rows, fit, weighting)
    y_train, y_val = rows.target[fit], rows.target[held]
    scale = TargetScale.of(y_train) if target == "standard" else None
    if scale is not None:
        y_train, y_val = scale.standardized(y_train), scale.standardized(y_val)
    return PreparedRows(x_train, y_train, weights, x_val, y_val, scale)
