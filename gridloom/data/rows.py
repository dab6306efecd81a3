"""Rows that a network can learn from: one type for tables and arrays, and its files."""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from gridloom.files import atomic_path

Features = pd.DataFrame | np.ndarray

#: The largest number that a network computes with, in float32.
LARGEST = float(np.finfo(np.float32).max)

#: The category of rows whose value is missing.
MISSING = "(missing)"


@dataclass(frozen=True)
class Rows:
    """Checked rows.

    Attributes
    ----------
    features
        A table of float64 columns (NaN where missing) and text columns (`MISSING` where missing),
        or an array of any shape (rows, …). Before `gridloom.data.split.settle`, a table has the
        types that it was read with.
    target
        Class labels as text, shape (rows,); or float32, shape (rows, targets): the numbers of a
        regression, or 0 and 1 for labels.
    weight
        Weight of each row in the loss, float32, shape (rows,); None if all are equal.
    group
        Group of each row as text, shape (rows,); None without groups.
    ordered
        Whether the rows are in the order of time.
    test
        Which rows are given as the test set, shape (rows,); None if it is to be drawn.
    kinds
        Column of a table's features → number, flag or category; see `gridloom.data.kinds`.
    dropped
        Column left out → reason.
    columns
        Columns that were made into an array; empty if the data came as an array.
    lines
        Row number in the file, from 1, and negative in the file of the test rows; shape (rows,).
        None if no message needs it.
    dtype
        Type of the training rows' array; None if all rows have the same.
    """

    features: Features
    target: np.ndarray
    weight: np.ndarray | None = None
    group: np.ndarray | None = None
    ordered: bool = False
    test: np.ndarray | None = None
    kinds: dict[str, str] = field(default_factory=dict)
    dropped: dict[str, str] = field(default_factory=dict)
    columns: tuple[str, ...] = ()
    lines: np.ndarray | None = None
    dtype: np.dtype[Any] | None = None

    def take(self, places: np.ndarray) -> Rows:
        """Return some of the rows."""

        def part(array: np.ndarray | None) -> np.ndarray | None:
            return None if array is None else array[places]

        return replace(
            self,
            features=take(self.features, places),
            target=self.target[places],
            weight=part(self.weight),
            group=part(self.group),
            test=part(self.test),
            lines=part(self.lines),
        )


def take(features: Features, places: np.ndarray) -> Features:
    """Return some rows of features."""
    if isinstance(features, pd.DataFrame):
        return features.iloc[places].reset_index(drop=True)
    taken: np.ndarray = features[places]
    return taken


def texts(values: Any) -> np.ndarray:
    """Return values as an array of text, `MISSING` where one is missing."""
    return np.array([MISSING if pd.isna(value) else str(value) for value in values], dtype=object)


def write_rows(rows: Rows, path: Path) -> None:
    """Write rows as Parquet (a table) or NPZ (an array), by the ending of `path`.

    The file also holds `target` (`target 0`, `target 1`, …), `weight` and `group`. In a table, the
    name of a feature's column begins with `feature`, so that no name occurs twice.
    """
    given = {"weight": rows.weight, "group": rows.group}
    extra: dict[str, Any] = {name: array for name, array in given.items() if array is not None}
    with atomic_path(path) as beside:
        if isinstance(rows.features, pd.DataFrame):
            table = rows.features.add_prefix("feature ")
            targets = rows.target.reshape(len(rows.target), -1)
            for place, column in enumerate(targets.T):
                table[f"target {place}"] = column
            table.assign(**extra).to_parquet(beside, index=False)
        else:
            arrays = {"features": rows.features, "target": rows.target, **extra}
            for name, array in arrays.items():
                if array.dtype == object:  # texts; NPZ would pickle them
                    arrays[name] = array.astype(str)
            np.savez(beside, **arrays)


def read_rows(path: Path) -> Rows:
    """Read what `write_rows` wrote."""
    if path.suffix == ".npz":
        with np.load(path, allow_pickle=False) as arrays:
            return Rows(**{name: arrays[name] for name in arrays.files})
    table = pd.read_parquet(path)
    features = table.filter(regex="^feature ").rename(columns=lambda name: name[len("feature ") :])
    target = table.filter(regex="^target ")
    labelled = not pd.api.types.is_numeric_dtype(target.dtypes.iloc[0])
    return Rows(
        features,
        texts(target["target 0"]) if labelled else target.to_numpy(),
        weight=table["weight"].to_numpy() if "weight" in table else None,
        group=texts(table["group"]) if "group" in table else None,
    )
