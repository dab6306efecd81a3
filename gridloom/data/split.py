"""From the raw table to training and test rows."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from sklearn.model_selection import train_test_split

from gridloom.errors import DataError, nearest
from gridloom.files import atomic_path, write_text


def read_table(
    path: Path, *, target: str, task: str, drop: Sequence[str], columns: Sequence[str] | None
) -> pd.DataFrame:
    """Read the raw CSV and check that a network can be trained on it.

    Parameters
    ----------
    path
        The CSV file.
    target
        Column to predict; put last.
    task
        ``classification`` or ``regression``.
    drop
        Columns left out.
    columns
        Names of the columns if the file has no header row.

    Returns
    -------
    DataFrame
        Float feature columns, then the target: text labels, or floats in a regression.

    Raises
    ------
    DataError
        Naming the column and the remedy.
    """
    try:
        names = {} if columns is None else {"header": None, "names": list(columns)}
        table: pd.DataFrame = pd.read_csv(path, index_col=False, **names)  # type: ignore[call-overload]
    except (pd.errors.ParserError, pd.errors.EmptyDataError, pd.errors.ParserWarning) as error:
        raise DataError(f"dataset.source: not a readable CSV file ({error})") from None
    except UnicodeDecodeError:
        raise DataError("dataset.source: the file is not UTF-8 text; save it as UTF-8") from None
    except ValueError as error:
        raise DataError(f"dataset.columns: {error}") from None
    table.columns = table.columns.map(str)
    _check_columns(table, target, drop)
    table = table.drop(columns=list(drop))
    features = table.drop(columns=target)
    for name in features:
        if not pd.api.types.is_numeric_dtype(features[name]):
            text = next(value for value in features[name].dropna() if not _is_number(value))
            raise DataError(
                f"dataset: column {name!r} holds text ({text!r}); add it to dataset.drop"
            )
    values = features.to_numpy(dtype=np.float64)
    if not np.isfinite(values).all():
        row, column = np.argwhere(~np.isfinite(values))[0]
        what = "is missing" if np.isnan(values[row, column]) else "is infinite"
        raise DataError(
            f"dataset: column {features.columns[column]!r} {what} in row {row + 1}; mend the file "
            "or add the column to dataset.drop"
        )
    if table[target].isna().any():
        row = int(table[target].isna().to_numpy().argmax()) + 1
        raise DataError(f"dataset.target: column {target!r} is missing in row {row}; mend the file")
    prepared = features.astype("float64")
    prepared[target] = _target(table[target], task)
    return prepared


def _is_number(value: object) -> bool:
    try:
        float(str(value))
    except ValueError:
        return False
    return True


def _check_columns(table: pd.DataFrame, target: str, drop: Sequence[str]) -> None:
    if table.empty:
        raise DataError("dataset.source: the file has no rows")
    if not table.columns.is_unique:
        twice = table.columns[table.columns.duplicated()][0]
        raise DataError(f"dataset.columns: the name {twice!r} is given twice")
    for key, name in [("target", target), *(("drop", name) for name in drop)]:
        if name not in table.columns:
            listed = ", ".join(map(repr, table.columns[:8])) + (
                ", …" if len(table.columns) > 8 else ""
            )
            hint = nearest(name, table.columns) or f"; the columns are {listed}"
            raise DataError(f"dataset.{key}: there is no column {name!r}{hint}")
    if target in drop:
        raise DataError(f"dataset.drop: {target!r} is the target; keep it")
    if len(table.columns) - len(drop) < 2:
        raise DataError("dataset: no column is left to predict from")


def _target(column: pd.Series, task: str) -> pd.Series:
    if task == "regression":
        if not pd.api.types.is_numeric_dtype(column):
            raise DataError(
                f"dataset.target: column {column.name!r} holds text; a regression needs numbers, "
                "or set dataset.task to classification"
            )
        return column.astype("float64")
    if pd.api.types.is_float_dtype(column) and (column % 1 != 0).any():
        raise DataError(
            f"dataset.target: column {column.name!r} holds fractions; set dataset.task to "
            "regression"
        )
    if pd.api.types.is_float_dtype(column):
        column = column.astype("int64")
    labels = column.astype(str)
    if labels.nunique() < 2:
        raise DataError(f"dataset.target: column {column.name!r} has one class only")
    return labels


def split_rows(
    table: pd.DataFrame, *, target: str, task: str, test: float, stratify: bool, seed: int
) -> tuple[pd.DataFrame, pd.DataFrame]:
    """Split a table into training and test rows, each in the order of the table.

    Parameters
    ----------
    table
        What `read_table` returned.
    test
        Fraction of the rows held back, in (0, 1).
    stratify
        Whether the classes have equal shares in both parts.
    seed
        Of the split; no other stream touches it.

    Raises
    ------
    DataError
        If a class is too small to be in both parts.
    """
    labels = table[target] if stratify and task == "classification" else None
    if labels is not None and labels.value_counts().min() < 2:
        rarest = labels.value_counts().idxmin()
        raise DataError(f"split.stratify: class {rarest!r} has one row only; drop it, or set false")
    try:
        train, held = train_test_split(
            np.arange(len(table)), test_size=test, random_state=seed, stratify=labels
        )
    except ValueError as error:
        raise DataError(f"split.test: {test} of {len(table)} rows: {error}") from None
    return table.iloc[np.sort(train)], table.iloc[np.sort(held)]


def describe_split(
    train: pd.DataFrame, test: pd.DataFrame, target: str, task: str
) -> dict[str, Any]:
    """Describe a split for `split.json`: what a training has to know besides the rows."""
    classes = sorted(train[target].unique(), key=_class_order) if task == "classification" else None
    return {
        "task": task,
        "target": target,
        "features": [name for name in train.columns if name != target],
        "classes": classes,
        "rows": {"train": len(train), "test": len(test)},
        "train_sha256": _fingerprint(train),
        "test_sha256": _fingerprint(test),
    }


def _class_order(label: str) -> tuple[int, float, str]:
    """Sort labels that are numbers by size, others as text."""
    return (0, float(label), label) if _is_number(label) else (1, 0.0, label)


def _fingerprint(table: pd.DataFrame) -> str:
    return hashlib.sha256(table.to_csv(index=False).encode()).hexdigest()


def write_split(
    train: pd.DataFrame,
    test: pd.DataFrame,
    description: dict[str, Any],
    *,
    train_file: Path,
    test_file: Path,
    description_file: Path,
) -> None:
    """Write both parts as Parquet and the description as JSON."""
    for part, path in ((train, train_file), (test, test_file)):
        with atomic_path(path) as beside:
            part.to_parquet(beside, index=False)
    write_text(description_file, json.dumps(description, indent=2) + "\n")
