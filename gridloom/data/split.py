"""From checked rows to training rows, test rows and their description."""

from __future__ import annotations

import hashlib
import math
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from gridloom.data.arrays import read_arrays
from gridloom.data.description import SplitDescription
from gridloom.data.kinds import column_kinds, typed_columns
from gridloom.data.partition import Traits, hold_out
from gridloom.data.rows import Features, Rows, write_rows
from gridloom.data.sources import LIMITS, Limits
from gridloom.data.tables import read_table
from gridloom.errors import DataError, Problems
from gridloom.study.dataset import Dataset, Split


def read_raw(
    files: Sequence[Path],
    format: str,
    dataset: Dataset,
    split: Split,
    limits: Limits = LIMITS,
) -> Rows:
    """Read the raw file, and the file with the test rows if there is one.

    The kinds of the features are decided later, by `settle`.

    Raises
    ------
    DataError
        If a network cannot be trained on these rows.
    """
    if format == "npz":
        return read_arrays(files, dataset, limits)
    test = None if split.column is None else (split.column, split.test_value)
    return read_table(files, format, dataset, test, limits)


def settle(train: Rows, test: Rows, dataset: Dataset, format: str) -> tuple[Rows, Rows]:
    """Decide the kinds of the features by the training rows alone, and convert both parts.

    Raises
    ------
    DataError
        If a network cannot learn from a column, or a test row does not fit a column's kind.
    """
    if isinstance(train.features, pd.DataFrame):
        assert train.lines is not None
        problems = Problems()
        typed = format == "parquet"
        kinds = column_kinds(train.features, dataset, train.lines, problems, typed=typed)
        dropped = {str(name): "no value" for name in train.features if name not in kinds}
        parts = []
        for part in (train, test):
            with problems.noted():
                parts.append(_typed(part, kinds, dropped, dataset))
        problems.settle()
    else:
        # Test rows of a wider type must not change the type of the training rows.
        kept = (
            train.features
            if train.dtype is None
            else train.features.astype(train.dtype, copy=False)
        )
        parts = [replace(train, features=kept), test]
    if dataset.shape is not None:
        columns = tuple(map(str, parts[0].kinds))
        parts = [
            replace(
                part, features=shaped(part.features, dataset.shape), dropped={}, columns=columns
            )
            for part in parts
        ]
    return parts[0], parts[1]


def _typed(rows: Rows, kinds: dict[str, str], dropped: dict[str, str], dataset: Dataset) -> Rows:
    assert isinstance(rows.features, pd.DataFrame)
    assert rows.lines is not None
    features = typed_columns(rows.features, kinds, dataset, rows.lines)
    return replace(rows, features=features, kinds=kinds, dropped=dropped)


def shaped(features: Features, shape: Sequence[int]) -> np.ndarray:
    """Reshape the rows of features; a table of whole numbers from 0 to 255 becomes bytes.

    Raises
    ------
    DataError
        If a column does not hold numbers, or the number of columns does not fit the shape.
    """
    if isinstance(features, pd.DataFrame):
        wrong = [
            f"dataset.shape: column {name!r} holds text or missing values; add it to dataset.drop, "
            "or correct the file"
            for name, column in features.items()
            if not pd.api.types.is_numeric_dtype(column) or column.isna().any()
        ]
        if wrong:
            raise DataError(*wrong)
        values = features.to_numpy()
        if ((values % 1 == 0) & (values >= 0) & (values <= 255)).all():
            values = values.astype(np.uint8)
    else:
        values = features
    if math.prod(shape) != math.prod(values.shape[1:]):
        raise DataError(
            f"dataset.shape: {list(shape)} has {math.prod(shape)} numbers, a row has "
            f"{math.prod(values.shape[1:])}"
        )
    return values.reshape(len(values), *shape)


def split_rows(rows: Rows, dataset: Dataset, split: Split) -> tuple[Rows, Rows]:
    """Split into training and test rows, each in the order of the table (or of time).

    Test rows that are given (by a file, a column, or separate arrays) are kept. Otherwise a
    fraction is drawn by `split.seed` alone: whole groups if there are groups, the last rows if
    they have an order in time, else equal shares of the classes (`split.stratify`).

    Raises
    ------
    DataError
        If a class is too small for both parts, or only test rows have it.
    """
    classified = dataset.task == "classification"
    if rows.test is not None:
        train, test = (rows.take(np.flatnonzero(flags)) for flags in (~rows.test, rows.test))
        if rows.group is not None:
            both = sorted(set(train.group) & set(test.group))  # type: ignore[arg-type]
            if both:
                raise DataError(
                    f"dataset.group: {both[0]!r} is in the training rows and in the given test "
                    "rows; remove dataset.group, or correct the rows"
                )
    else:
        labels = rows.target if classified and split.stratify else None
        traits = Traits(labels, rows.group, rows.ordered)
        try:
            kept, held = hold_out(len(rows.target), split.test, split.seed, traits)
        except ValueError as error:
            raise DataError(
                f"split.test: {split.test} of {len(rows.target)} rows: {error}"
                + (", or set split.stratify to false" if labels is not None else "")
            ) from None
        train, test = rows.take(kept), rows.take(held)
    if classified and len(set(train.target)) < 2:
        raise DataError("dataset.target: the training rows have one class only")
    unseen = sorted(set(test.target) - set(train.target)) if classified else []
    if unseen:
        remedy = "" if rows.test is not None else "; set another split.seed"
        raise DataError(f"dataset.target: class {unseen[0]!r} is in the test rows only{remedy}")
    return train, test


def describe_split(train: Rows, test: Rows, dataset: Dataset) -> SplitDescription:
    """Describe a split for ``split.json``.

    Columns and categories are taken from all training rows, once, so that every repetition and
    fold trains a network of the same shape. Transformers (`gridloom.data.preparation`) are fitted
    only to the rows that a training fits on.

    Raises
    ------
    DataError
        If no column of the training rows varies.
    """
    classified = dataset.task == "classification"
    labels = sorted(set(map(str, train.target)), key=_class_order) if classified else None
    if isinstance(train.features, pd.DataFrame):
        layout = _layout(train.features, train.dropped)
    else:
        layout = {"shape": list(train.features.shape[1:]), "columns": list(train.columns)}
    return SplitDescription(
        task=dataset.task,
        targets=dataset.targets,
        classes=labels,
        ordered=train.ordered,
        reading=train.kinds | _roles(dataset),
        rows={"train": len(train.target), "test": len(test.target)},
        train_sha256=_fingerprint(train),
        test_sha256=_fingerprint(test),
        **layout,
    )


def _roles(dataset: Dataset) -> dict[str, str]:
    """Return column → role, for columns that are not features."""
    roles = dict.fromkeys(dataset.targets, "target")
    for role in ("group", "order", "weight"):
        name = getattr(dataset, role)
        if name is not None:
            roles[name] = role
    return roles


def _layout(features: pd.DataFrame, dropped: dict[str, str]) -> dict[str, Any]:
    numeric: list[str] = []
    categorical: dict[str, list[str]] = {}
    dropped = dict(dropped)
    for name, column in features.items():
        if column.nunique(dropna=False) < 2:
            dropped[str(name)] = "one value in all training rows"
        elif pd.api.types.is_float_dtype(column):
            numeric.append(str(name))
        else:
            categorical[str(name)] = sorted(set(column), key=_class_order)
    if not numeric and not categorical:
        raise DataError("dataset: no column varies, so there is nothing to predict from")
    return {
        "numeric": numeric,
        "incomplete": [name for name in numeric if features[name].isna().any()],
        "categorical": categorical,
        "dropped": dropped,
    }


def _class_order(label: str) -> tuple[int, float, str]:
    """Return a key that sorts labels that are numbers by size, and others after them as text."""
    try:
        return (0, float(label), label)
    except ValueError:
        return (1, 0.0, label)


def _fingerprint(rows: Rows) -> str:
    """Return the SHA-256 of the features' and target's values."""
    total = hashlib.sha256()
    if isinstance(rows.features, pd.DataFrame):
        total.update(rows.features.to_csv(index=False).encode())
    else:
        total.update(np.ascontiguousarray(rows.features).tobytes())
    total.update(repr(rows.target.tolist()).encode())
    return total.hexdigest()


def write_split(
    train: Rows,
    test: Rows,
    description: SplitDescription,
    *,
    train_file: Path,
    test_file: Path,
    description_file: Path,
) -> None:
    """Write both parts, without the columns that the description drops, and the description."""
    for part, path in ((train, train_file), (test, test_file)):
        if isinstance(part.features, pd.DataFrame):
            part = replace(part, features=part.features[description.features])
        write_rows(part, path)
    description.write(description_file)


def describe_dropped(description: SplitDescription) -> str | None:
    """Say which columns were left out and why; None if none was."""
    if not description.dropped:
        return None
    return "Left out of the features: " + "; ".join(
        f"{name} ({reason})" for name, reason in description.dropped.items()
    )
