"""From a raw table (CSV, TSV, Parquet) to checked rows, or one message: column, row, remedy."""

from __future__ import annotations

import csv
import warnings
from collections.abc import Callable, Iterator, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from gridloom.data.rows import Rows, texts
from gridloom.errors import DataError, nearest
from gridloom.study import Dataset

#: A column of text with more different values than this is hardly one of categories.
MAX_CATEGORIES = 50

#: Columns named in a message.
MAX_NAMED = 8


def read_table(
    files: Sequence[Path], format: str, dataset: Dataset, test: tuple[str, str] | None = None
) -> Rows:
    """Read a raw table and check that a network can be trained on it.

    Parameters
    ----------
    files
        The table, and the one with the test rows if there is one.
    format
        ``csv``, ``tsv`` or ``parquet``.
    dataset
        Roles of columns, and how text is to be read.
    test
        A column, and its value in test rows.

    Raises
    ------
    DataError
        Naming the column, the row (counted from 1, without a header) and the remedy.
    """
    tables = [read_raw_table(path, format, dataset) for path in files]
    table = tables[0]
    if len(tables) == 2:
        differing = sorted(set(tables[0].columns) ^ set(tables[1].columns))
        if differing:
            raise DataError(
                f"dataset.test_source: column {differing[0]!r} is in one of the two files only"
            )
        table = pd.concat(tables, ignore_index=True)
    targets = [dataset.target] if isinstance(dataset.target, str) else dataset.target
    roles = {"group": dataset.group, "order": dataset.order, "weight": dataset.weight}
    if test is not None:
        roles["split"] = test[0]
    _check_columns(table, dataset, targets, roles)

    def place(flags: Any) -> str:
        """Say where the first flag stands."""
        row = int(np.argmax(np.asarray(flags)))
        if row < len(tables[0]):
            return f"row {row + 1}"
        return f"row {row - len(tables[0]) + 1} of the test file"

    for name in [*targets, *(column for column in roles.values() if column is not None)]:
        if table[name].isna().any():
            told = place(table[name].isna())
            raise DataError(f"dataset: column {name!r} is missing in {told}; mend the file")
    rows = Rows(
        features=table,
        target=_target(table, targets, dataset.task),
        weight=None if dataset.weight is None else _weights(table[dataset.weight], place),
        group=None if dataset.group is None else texts(table[dataset.group]),
        ordered=dataset.order is not None,
        test=np.arange(len(table)) >= len(tables[0]) if len(tables) == 2 else None,
    )
    if test is not None:
        rows = _with_test_column(rows, table[test[0]], test[1])
    others = [*dataset.drop, *targets, *(name for name in roles.values() if name is not None)]
    features, dropped = _features(table.drop(columns=list(dict.fromkeys(others))), dataset, place)
    rows = replace(rows, features=features, dropped=dropped)
    if dataset.order is not None:
        rows = rows.take(np.argsort(_times(table[dataset.order]), kind="stable"))
    return rows


def read_raw_table(path: Path, format: str, dataset: Dataset) -> pd.DataFrame:
    """Read a table as it is, its columns' names as text.

    Raises
    ------
    DataError
        If it cannot be read, or has no rows.
    """
    if format == "parquet":
        try:
            table = pd.read_parquet(path)
        except (OSError, ValueError) as error:  # Arrow's errors are of these kinds
            told = str(error).splitlines()[0]
            raise DataError(f"dataset.source: not a readable Parquet file ({told})") from None
    else:
        table = _read_text(path, "\t" if format == "tsv" else ",", dataset)
    table.columns = table.columns.map(str)
    if table.empty:
        raise DataError("dataset.source: the file has no rows")
    return table


def _read_text(path: Path, separator: str, dataset: Dataset) -> pd.DataFrame:
    separator = dataset.separator or separator
    try:
        names = _header(path, separator, dataset)
        with warnings.catch_warnings():
            # Rows longer than the header: pandas would cut them, with a warning only.
            warnings.simplefilter("error", pd.errors.ParserWarning)
            table: pd.DataFrame = pd.read_csv(
                path,
                sep=separator,
                decimal=dataset.decimal,
                encoding=dataset.encoding,
                header=None if dataset.columns is not None else 0,
                names=names,
                na_values=list(dataset.missing),
                skipinitialspace=True,
                index_col=False,
                low_memory=False,
            )
    except UnicodeError:
        raise DataError(
            f"dataset.encoding: the file is not {dataset.encoding} text; name its encoding, such "
            "as latin-1 or utf-16, or save it as UTF-8"
        ) from None
    except (pd.errors.ParserError, pd.errors.EmptyDataError, pd.errors.ParserWarning) as error:
        told = " ".join(str(error).split()).removeprefix("Error tokenizing data. C error: ")
        raise DataError(
            f"dataset.source: not a readable table ({told}); check the file's separator and quotes"
        ) from None
    except csv.Error as error:
        raise DataError(f"dataset.source: not a readable table ({error})") from None
    return table


def _header(path: Path, separator: str, dataset: Dataset) -> list[str]:
    """Return the columns' names: the first row's, or the study's; further ones by their place."""
    with path.open(encoding=dataset.encoding, newline="") as stream:
        first = next(csv.reader(stream, delimiter=separator, skipinitialspace=True), [])
    if not first:
        raise DataError("dataset.source: the file has no rows, or opens with an empty line")
    first[0] = first[0].removeprefix("\ufeff")
    given = list(dataset.columns) if dataset.columns is not None else first
    if len(given) > len(first):
        raise DataError(
            f"dataset.columns: names {len(given)} columns, the file has {len(first)}; check "
            "dataset.separator"
        )
    names = [*given, *("" for _ in first[len(given) :])]
    names = [name.strip() or str(place) for place, name in enumerate(names, 1)]
    twice = [name for place, name in enumerate(names) if name in names[:place]]
    if twice:
        raise DataError(
            f"dataset.columns: two columns are named {twice[0]!r}; rename one in the file"
        )
    return names


def _check_columns(
    table: pd.DataFrame, dataset: Dataset, targets: Sequence[str], roles: dict[str, str | None]
) -> None:
    asked: Iterator[tuple[str, str]] = (
        *(("dataset.target", name) for name in targets),
        *(
            ("split.column" if role == "split" else f"dataset.{role}", name)
            for role, name in roles.items()
            if name is not None
        ),
        *(("dataset.drop", name) for name in dataset.drop),
        *(("dataset.categorical", name) for name in dataset.categorical),
    )  # type: ignore[assignment]
    for key, name in asked:
        if name not in table.columns:
            hint = nearest(name, table.columns) or f"; the columns are {_listed(table.columns)}"
            if dataset.columns is None and any(map(_is_number, table.columns)):
                hint += "; if the file has no header row, name columns in dataset.columns"
            raise DataError(f"{key}: there is no column {name!r}{hint}")
    for name in targets:
        if name in dataset.drop:
            raise DataError(f"dataset.drop: {name!r} is the target; keep it")
        for role, column in roles.items():
            if column == name:
                raise DataError(f"dataset.{role}: {name!r} is the target; name another column")


def _listed(names: Any) -> str:
    return ", ".join(map(repr, names[:MAX_NAMED])) + (", …" if len(names) > MAX_NAMED else "")


def _is_number(value: object) -> bool:
    try:
        float(str(value))
    except ValueError:
        return False
    return True


def _target(table: pd.DataFrame, names: Sequence[str], task: str) -> np.ndarray:
    if task == "classification":
        return _labels(table[names[0]])
    columns = []
    for name in names:
        column = table[name]
        if not pd.api.types.is_numeric_dtype(column):
            raise DataError(
                f"dataset.target: column {name!r} holds text; a {task} task needs numbers, or set "
                "dataset.task to classification"
            )
        with np.errstate(over="ignore"):
            values = column.to_numpy(dtype=np.float32)
        if not np.isfinite(values).all():
            raise DataError(
                f"dataset.target: column {name!r} holds infinite values, or some above 3e38; mend "
                "or rescale it"
            )
        if task == "multilabel" and not np.isin(values, (0, 1)).all():
            wrong = values[~np.isin(values, (0, 1))][0]
            raise DataError(f"dataset.target: column {name!r} holds {wrong:g}; labels are 0 or 1")
        columns.append(values)
    return np.stack(columns, axis=1)


def _labels(column: pd.Series) -> np.ndarray:
    if pd.api.types.is_float_dtype(column):
        if (column % 1 != 0).any():
            raise DataError(
                f"dataset.target: column {column.name!r} holds fractions; set dataset.task to "
                "regression"
            )
        column = column.astype("int64")
    labels = texts(column)
    if len(set(labels)) < 2:
        raise DataError(f"dataset.target: column {column.name!r} has one class only, {labels[0]!r}")
    return labels


def _weights(column: pd.Series, place: Callable[[Any], str]) -> np.ndarray:
    values = pd.to_numeric(column, errors="coerce").to_numpy(dtype=np.float64)
    wrong = ~(np.isfinite(values) & (values >= 0))
    if wrong.any():
        raise DataError(
            f"dataset.weight: column {column.name!r} must hold numbers of 0 or more, found "
            f"{column[int(np.argmax(wrong))]} in {place(wrong)}"
        )
    return values.astype(np.float32)


def _times(column: pd.Series) -> np.ndarray:
    """Return sortable values of the column that orders the rows: numbers, or dates as text."""
    if pd.api.types.is_numeric_dtype(column) or pd.api.types.is_datetime64_any_dtype(column):
        return column.to_numpy()
    try:
        return pd.to_datetime(column, format="ISO8601").to_numpy()
    except (ValueError, TypeError):
        raise DataError(
            f"dataset.order: column {column.name!r} holds neither numbers nor dates such as "
            f"2026-01-31, found {column.iloc[0]!r}"
        ) from None


def _with_test_column(rows: Rows, column: pd.Series, value: str) -> Rows:
    parts = texts(column)
    test = parts == value
    if test.all() or not test.any():
        listed = _listed(sorted(set(parts)))
        raise DataError(
            f"split.test_value: {'every' if test.all() else 'no'} row has {value!r} in column "
            f"{column.name!r}; its values are {listed}"
        )
    return replace(rows, test=test)


def _features(
    table: pd.DataFrame, dataset: Dataset, place: Callable[[Any], str]
) -> tuple[pd.DataFrame, dict[str, str]]:
    """Type the columns to predict from; drop those without any value."""
    columns, dropped = {}, {}
    for name in map(str, table.columns):
        column = table[name]
        if column.isna().all():
            dropped[name] = "no value"
        elif name in dataset.categorical:
            columns[name] = as_categories(column)
        elif pd.api.types.is_numeric_dtype(column):
            columns[name] = as_numbers(column, place)
        elif isinstance(column.dtype, pd.CategoricalDtype):
            columns[name] = as_categories(column)
        elif pd.api.types.is_string_dtype(column) or pd.api.types.is_object_dtype(column):
            _check_text(column, place)
            columns[name] = as_categories(column)
        else:
            raise DataError(
                f"dataset: column {name!r} holds {column.dtype}, not numbers or text; add it to "
                "dataset.drop"
            )
    if not columns:
        raise DataError("dataset: no column is left to predict from")
    return pd.DataFrame(columns), dropped


def as_numbers(column: pd.Series, place: Callable[[Any], str]) -> np.ndarray:
    """Return a column of numbers as float64, NaN where missing.

    Parameters
    ----------
    place
        Says where the first of some flags stands.

    Raises
    ------
    DataError
        If it is infinite somewhere.
    """
    values = column.to_numpy(dtype=np.float64, na_value=np.nan)
    if np.isinf(values).any():
        raise DataError(
            f"dataset: column {column.name!r} is infinite in {place(np.isinf(values))}; mend the "
            "file, or add 'inf' to dataset.missing if it means a missing value"
        )
    return values


def as_categories(column: pd.Series) -> np.ndarray:
    """Return a column as texts, whole numbers without a point, `MISSING` where missing."""
    whole = pd.api.types.is_float_dtype(column) and (column.dropna() % 1 == 0).all()
    return texts(column.astype("Int64") if whole else column)


def _check_text(column: pd.Series, place: Callable[[Any], str]) -> None:
    """Refuse text that is no category: a slip among numbers, an id, a free text."""
    present = column.notna()
    numbers = pd.to_numeric(column, errors="coerce").notna()
    wrong = present & ~numbers
    if not wrong.any():  # codes that are numbers, or true and false
        return
    if numbers.sum() * 2 >= present.sum():
        found = str(column[wrong].iloc[0])
        raise DataError(
            f"dataset: column {column.name!r} holds {found!r} among numbers in {place(wrong)}; "
            f"mend the file, or add {found!r} to dataset.missing if it means a missing value, or "
            "the column to dataset.categorical if its numbers are names"
        )
    given = column[present].astype(str)
    different = given.nunique()
    if different > MAX_CATEGORIES or (len(given) >= 10 and different * 2 > len(given)):
        hint = ""
        if given.str.fullmatch(r"-?\d+,\d+").mean() > 0.5:
            hint = "; if these are numbers with a decimal comma, set dataset.decimal to ','"
        raise DataError(
            f"dataset: column {column.name!r} holds {different} different texts, such as "
            f"{given.iloc[0]!r}; add it to dataset.drop, or to dataset.categorical if each is a "
            f"category{hint}"
        )
