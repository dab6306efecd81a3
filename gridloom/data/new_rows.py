"""New rows to predict: read like the study's own rows, but without a target."""

from __future__ import annotations

import tempfile
from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from gridloom.data.arrays import check_features, load_arrays
from gridloom.data.description import SplitDescription
from gridloom.data.kinds import CATEGORY, FLAG, NUMBER, as_kind, check_finite
from gridloom.data.rows import MISSING, Features
from gridloom.data.sources import unpack
from gridloom.data.split import shaped
from gridloom.data.tables import read_raw_table
from gridloom.errors import DataError, Problems, nearest
from gridloom.study.dataset import Dataset
from gridloom.study.sources import ending_format, table_format


@dataclass(frozen=True, eq=False)
class NewRows:
    """Rows to predict.

    Attributes
    ----------
    features
        As in `gridloom.data.rows.Rows`.
    dropped
        Those columns of the study's ``dataset.drop`` that the file has, such as an id, in the
        file's own spelling; one row for each row of the features.
    """

    features: Features
    dropped: pd.DataFrame

    def label(self, predictions: pd.DataFrame) -> pd.DataFrame:
        """Put the dropped columns before the predictions, so that an id names its row.

        A dropped column with the name of a prediction is left out.
        """
        shown = self.dropped.columns.difference(predictions.columns, sort=False)
        return pd.concat([self.dropped[shown], predictions], axis="columns")


def read_new_rows(path: Path, dataset: Dataset, description: SplitDescription) -> NewRows:
    """Read rows from a file that has the features of a study.

    Columns that are neither features nor in ``dataset.drop`` are ignored.

    Parameters
    ----------
    path
        A CSV, TSV, Parquet or NPZ file (with an array `x`), also in gzip or zip. If its ending is
        unknown, it has the format of the study's file.
    dataset
        How the study's own file was read.
    description
        ``split.json``.

    Raises
    ------
    DataError
        Which names the column, the row (counted from 1) and the remedy.
    """
    format = ending_format(path.name)
    if format is None:
        format = table_format(dataset.source, dataset.format, dataset.member)
    try:
        with tempfile.TemporaryDirectory(prefix="gridloom-") as folder:
            plain = Path(folder) / "plain"
            packed = unpack(path, path.name, format, to=plain) is not None
            rows = _read(plain if packed else path, format, dataset, description)
        if description.shape is None:
            return rows
        features = rows.features
        if dataset.shape is not None:
            features = shaped(features, dataset.shape)
        if list(features.shape[1:]) != description.shape:
            raise DataError(
                f"a row has the shape {list(features.shape[1:])}, and a row of the study has "
                f"{description.shape}"
            )
    except DataError as error:
        raise DataError(
            *(f"{path}: {one.removeprefix('dataset.source: ')}" for one in error.problems)
        ) from None
    except OSError as error:
        raise DataError(f"{path}: cannot be read ({error.strerror})") from None
    return replace(rows, features=features)


def _read(path: Path, format: str, dataset: Dataset, description: SplitDescription) -> NewRows:
    if description.shape is None or description.columns:
        if format == "npz":
            raise DataError("the study's rows come from a table; give a table")
        return _table(path, format, dataset, description)
    if format != "npz":
        raise DataError("the study's rows are arrays; give an NPZ file with an array x")
    features = _array(load_arrays(path))
    return NewRows(features, pd.DataFrame(index=range(len(features))))


def _array(arrays: Mapping[str, np.ndarray]) -> np.ndarray:
    if "x" not in arrays:
        raise DataError(f"there is no array 'x'; there are {', '.join(arrays) or 'none'}")
    check_features("x", arrays["x"])
    return arrays["x"]


def _table(path: Path, format: str, dataset: Dataset, description: SplitDescription) -> NewRows:
    """Read the study's features by name, each column as the kind that it has in the study."""
    categorical = description.categorical
    flags = [name for name, kind in description.reading.items() if kind == FLAG]
    table = read_raw_table(path, format, dataset, [*categorical, *flags, *dataset.drop])
    columns = {}
    problems = Problems()
    for name in description.columns or description.features:
        kind = CATEGORY if name in categorical else description.reading.get(name, NUMBER)
        with problems.noted():
            columns[name] = _column(table, name, kind, dataset.decimal)
    problems.settle()
    dropped = table[table.columns.intersection(dataset.drop)].reset_index(drop=True)
    return NewRows(pd.DataFrame(columns), dropped)


def _column(table: pd.DataFrame, name: str, kind: str, sign: str) -> np.ndarray:
    if name not in table.columns:
        raise DataError(f"there is no column {name!r}{nearest(name, table.columns)}")
    values, wrong = as_kind(table[name], kind, sign)
    if wrong.any():
        had = "numbers" if kind == NUMBER else "true or false"
        raise DataError(
            f"column {name!r} holds {str(table[name][wrong].iloc[0])!r} in {_row(wrong)}, where "
            f"the study had {had}; correct the file"
        )
    check_finite(values, name, _row)
    return values


def _row(flags: Any) -> str:
    return f"row {int(np.argmax(np.asarray(flags))) + 1}"


def describe_unknown(features: Features, description: SplitDescription) -> str | None:
    """Describe missing values and categories that no training row had; None if there are none."""
    if not isinstance(features, pd.DataFrame):
        return None
    lines = []
    for name, known in description.categorical.items():
        new = features.loc[~features[name].isin(known), name]
        if len(new):
            shown = "a missing value" if new.iloc[0] == MISSING else repr(new.iloc[0])
            lines.append(
                f"column {name!r}: {len(new)} rows hold a category that no training row had, such "
                f"as {shown}; it is treated as none of the known categories"
            )
    for name in description.numeric:
        missing = int(features[name].isna().sum())
        if missing and name not in description.incomplete:
            lines.append(
                f"column {name!r}: missing in {missing} rows, but in no training row; the median "
                "is used"
            )
    return "\n".join(lines) or None
