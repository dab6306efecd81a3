"""From a raw table (CSV, TSV, Parquet) to checked rows.

A flaw of the table ends in one message, which names the column, the row and the remedy.
"""

from __future__ import annotations

import csv
import json
import re
import warnings
from collections.abc import Callable, Collection, Iterator, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pyarrow
from pyarrow import compute, parquet

from gridloom.data.kinds import (
    FLAG,
    NUMBER,
    as_categories,
    as_kind,
    column_kinds,
    is_flags,
    is_numeric,
    row_of,
    sign_remedy,
    typed_columns,
)
from gridloom.data.rows import Rows
from gridloom.data.sources import LIMITS, Limits
from gridloom.errors import DataError, Problems, nearest, shortened
from gridloom.study.dataset import Dataset

#: Columns named in a message.
MAX_NAMED = 8


def read_table(
    files: Sequence[Path],
    format: str,
    dataset: Dataset,
    test: tuple[str, str] | None = None,
    limits: Limits = LIMITS,
) -> Rows:
    """Read a raw table, its target and the other columns that have a role.

    The kinds of the features are decided later, by the training rows (see `gridloom.data.kinds`).

    Parameters
    ----------
    files
        The table, and the file with the test rows if there is one.
    format
        ``csv``, ``tsv`` or ``parquet``.
    dataset
        Roles of columns, and how to read text.
    test
        A column, and its value in test rows.
    limits
        Largest size of a Parquet file's rows in memory.

    Raises
    ------
    DataError
        Which names each wrong column, the row (counted from 1, without the header) and the remedy.
    """
    targets = dataset.targets
    roles = {"group": dataset.group, "order": dataset.order, "weight": dataset.weight}
    if test is not None:
        roles["split"] = test[0]
    named: set[Any] = {*dataset.categorical, roles["group"], roles.get("split")}
    if dataset.task == "classification":
        named |= set(targets)
    named.discard(None)
    tables = _read_alike(files, format, dataset, named, limits)
    table = pd.concat(tables, ignore_index=True)
    _check_columns(table, dataset, targets, roles)
    first = len(tables[0])
    lines = np.arange(1, len(table) + 1)
    lines[first:] = first - lines[first:]

    def place(flags: Any) -> str:
        return row_of(lines, flags)

    in_use = [*targets, *(column for column in roles.values() if column is not None)]
    features = table.drop(columns=list(dict.fromkeys([*dataset.drop, *in_use])))
    given = np.arange(len(table)) >= first if len(tables) == 2 else None
    weight, order = None, None
    problems = Problems()
    for name in dict.fromkeys(in_use):
        with problems.noted():
            _check_whole(table[name], place)
    with problems.noted():
        target = _target(table, targets, dataset, place)
    if dataset.weight is not None:
        with problems.noted():
            weight = _weights(table[dataset.weight], dataset, place)
    if test is not None:
        with problems.noted():
            given = _test_rows(table[test[0]], test[1])
    if dataset.order is not None:
        with problems.noted():
            order = np.argsort(_times(table[dataset.order]), kind="stable")
    if problems.found:
        # The training rows, which decide the kinds, are not known; all rows decide instead.
        with problems.noted():
            kinds = column_kinds(features, dataset, lines, problems, typed=format == "parquet")
            typed_columns(features, kinds, dataset, lines)
    problems.settle()
    rows = Rows(
        features=features,
        target=target,
        weight=weight,
        group=None if dataset.group is None else as_categories(table[dataset.group]),
        ordered=dataset.order is not None,
        test=given,
        lines=lines,
    )
    return rows if order is None else rows.take(order)


def _check_whole(column: pd.Series, place: Callable[[Any], str]) -> None:
    if column.isna().any():
        raise DataError(
            f"dataset: column {column.name!r} is missing in {place(column.isna())}; correct the "
            "file"
        )


def _read_alike(
    files: Sequence[Path], format: str, dataset: Dataset, named: Collection[str], limits: Limits
) -> list[pd.DataFrame]:
    """Read tables so that a column that is text in one of them is text in all."""
    tables = [read_raw_table(path, format, dataset, named, limits) for path in files]
    if len(tables) == 2:
        differing = sorted(set(tables[0].columns) ^ set(tables[1].columns))
        if differing:
            raise DataError(
                *(
                    f"dataset.test_source: column {name!r} is in one of the two files only"
                    for name in differing
                )
            )
    if format == "parquet":
        return tables
    columns = [[table[name] for table in tables] for name in tables[0].columns]
    texts_all = {
        str(parts[0].name)
        for parts in columns
        if not all(map(is_numeric, parts)) and not all(map(is_flags, parts))
    }
    # pandas decides for each file alone; read one again where such a column is not text.
    return [
        table
        if all(isinstance(table[name].dtype, pd.StringDtype) for name in texts_all)
        else read_raw_table(path, format, dataset, texts_all | {*named})
        for path, table in zip(files, tables, strict=True)
    ]


def read_raw_table(
    path: Path,
    format: str,
    dataset: Dataset,
    texts: Collection[str] = (),
    limits: Limits = LIMITS,
) -> pd.DataFrame:
    """Read a table without checking its columns; their names become text.

    Parameters
    ----------
    path
        An unpacked file.
    format
        ``csv``, ``tsv`` or ``parquet``.
    dataset
        How to read text.
    texts
        Columns to read as the text of the file, such as ``01``; a Parquet file has types.
    limits
        Largest size of a Parquet file's rows in memory.

    Raises
    ------
    DataError
        If it cannot be read, or has no rows.
    """
    if format == "parquet":
        try:
            _check_size(path, limits)
            table = pd.read_parquet(path)
        except (OSError, ValueError, NotImplementedError) as error:  # Arrow's errors are of these
            reason = str(error).splitlines()[0]
            raise DataError(f"dataset.source: not a readable Parquet file ({reason})") from None
    else:
        table = _read_text(path, "\t" if format == "tsv" else ",", dataset, texts)
    table.columns = table.columns.map(str)
    if table.empty:
        raise DataError("dataset.source: the file has no rows")
    return table


def _check_size(path: Path, limits: Limits) -> None:
    """Refuse a Parquet file whose rows take too much memory: a small file can hold many rows."""
    file = parquet.ParquetFile(path)
    columns = [file.schema.column(place) for place in range(len(file.schema))]
    wide = {"BOOLEAN": 1, "INT32": 4, "FLOAT": 4, "INT96": 12}
    bytes_a_row = sum(wide.get(one.physical_type, max(8, one.length)) for one in columns)
    size = bytes_a_row * file.metadata.num_rows
    texts_in_it = [one.path for one in columns if one.physical_type == "BYTE_ARRAY"]
    letters = _letters(path, texts_in_it) if size <= limits.size else iter(())
    for more in letters:
        size += more
        if size > limits.size:
            break
    if size > limits.size:
        raise DataError(
            f"dataset.source: its {file.metadata.num_rows:,} rows take at least "
            f"{size / 2**30:.3g} GiB of memory, more than {limits.shown}"
        )


def _letters(path: Path, columns: list[str]) -> Iterator[int]:
    """Yield the bytes of a Parquet file's texts, part by part, without expanding them."""
    file = parquet.ParquetFile(path, read_dictionary=columns)
    for group in range(file.num_row_groups if columns else 0):
        for column in file.read_row_group(group, columns=columns).columns:
            for chunk in column.chunks if pyarrow.types.is_dictionary(column.type) else ():
                lengths = compute.binary_length(chunk.dictionary).fill_null(0).to_numpy()
                yield int(lengths[chunk.indices.drop_null().to_numpy()].sum())


def _read_text(
    path: Path, separator: str, dataset: Dataset, texts: Collection[str]
) -> pd.DataFrame:
    separator = dataset.separator or separator
    try:
        names = _header(path, separator, dataset)
        with warnings.catch_warnings():
            # pandas cuts rows that are longer than the header, with only a warning.
            warnings.simplefilter("error", pd.errors.ParserWarning)
            table: pd.DataFrame = pd.read_csv(
                path,
                sep=separator,
                decimal=dataset.decimal,
                encoding=dataset.encoding,
                header=None if dataset.columns is not None else 0,
                names=names,
                dtype={name: str for name in names if name in texts},
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
        reason = " ".join(str(error).split()).removeprefix("Error tokenizing data. C error: ")
        raise DataError(
            f"dataset.source: not a readable table ({reason}); check the file's separator and "
            "quotes"
        ) from None
    except csv.Error as error:
        raise DataError(f"dataset.source: not a readable table ({error})") from None
    return table


def _header(path: Path, separator: str, dataset: Dataset) -> list[str]:
    """Return the columns' names, from the first row or the study; others get their position."""
    with path.open(encoding=dataset.encoding, newline="") as stream:
        # Skip a byte order mark, as Excel writes it: it would come before the first quote.
        if stream.read(1) != "\ufeff":
            stream.seek(0)
        first = next(csv.reader(stream, delimiter=separator, skipinitialspace=True), [])
    if not first:
        raise DataError("dataset.source: the file has no rows, or begins with an empty line")
    if len(first) == 1 and dataset.separator is None:
        likely = max(";\t|,", key=first[0].count)
        if likely in first[0]:
            raise DataError(
                f"dataset.separator: the first row is a single column, {shortened(first[0], 60)!r};"
                f" set dataset.separator to {json.dumps(likely)}"
            )
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
    problems = []
    for key, name in asked:
        if name not in table.columns:
            hint = nearest(name, table.columns) or f"; the columns are {_listed(table.columns)}"
            if dataset.columns is None and any(map(_is_number, table.columns)):
                hint += "; if the file has no header row, name columns in dataset.columns"
            problems.append(f"{key}: there is no column {name!r}{hint}")
    for name in targets:
        if name in dataset.drop:
            problems.append(f"dataset.drop: {name!r} is the target; keep it")
        for role, column in roles.items():
            if column == name:
                problems.append(f"dataset.{role}: {name!r} is the target; name another column")
    if problems:
        raise DataError(*problems)


def _listed(names: Any) -> str:
    return ", ".join(map(repr, names[:MAX_NAMED])) + (", …" if len(names) > MAX_NAMED else "")


def _is_number(value: object) -> bool:
    try:
        float(str(value))
    except ValueError:
        return False
    return True


def _target(
    table: pd.DataFrame, names: Sequence[str], dataset: Dataset, place: Callable[[Any], str]
) -> np.ndarray:
    if dataset.task == "classification":
        return _labels(table[names[0]])
    columns = []
    problems = Problems()
    for name in names:
        with problems.noted():
            columns.append(_target_numbers(table[name], dataset, place))
    problems.settle()
    return np.stack(columns, axis=1)


def _target_numbers(column: pd.Series, dataset: Dataset, place: Callable[[Any], str]) -> np.ndarray:
    """Return the numbers of a target, float32, shape (rows,)."""
    numbers, wrong = _numbers(column, dataset)
    if wrong.any():
        remedy = sign_remedy(column[wrong], dataset.decimal)
        raise DataError(
            f"dataset.target: column {column.name!r} holds {str(column[wrong].iloc[0])!r} in "
            f"{place(wrong)}, a {dataset.task} task needs numbers; "
            + (remedy or "correct the file, or set dataset.task to classification")
        )
    with np.errstate(over="ignore"):
        values: np.ndarray = numbers.astype(np.float32)
    missing = column.isna().to_numpy()
    if not np.isfinite(values[~missing]).all():
        raise DataError(
            f"dataset.target: column {column.name!r} holds infinite values or values above 3e38; "
            "correct or rescale it"
        )
    no_label = ~(np.isin(values, (0, 1)) | missing)
    if dataset.task == "multilabel" and no_label.any():
        raise DataError(
            f"dataset.target: column {column.name!r} holds {values[no_label][0]:g}; labels are 0 "
            "or 1"
        )
    return values


def _labels(column: pd.Series) -> np.ndarray:
    numbers = pd.to_numeric(column, errors="coerce")
    whole = numbers.notna().all() and not is_flags(column)
    if whole and (numbers % 1 != 0).any():
        raise DataError(
            f"dataset.target: column {column.name!r} holds fractions; set dataset.task to "
            "regression"
        )
    labels = as_categories(column)
    if whole:  # 1.0 is the class 1, but 01 stays 01
        labels = np.array([re.sub(r"\.0*$", "", label) for label in labels], dtype=object)
    if len(set(labels)) < 2:
        raise DataError(f"dataset.target: column {column.name!r} has one class only, {labels[0]!r}")
    return labels


def _numbers(column: pd.Series, dataset: Dataset) -> tuple[np.ndarray, np.ndarray]:
    """Return a column's numbers, and which values are none; true and false count as 1 and 0."""
    return as_kind(column, FLAG if is_flags(column) else NUMBER, dataset.decimal)


def _weights(column: pd.Series, dataset: Dataset, place: Callable[[Any], str]) -> np.ndarray:
    values, not_numbers = _numbers(column, dataset)
    wrong = ~(np.isfinite(values) & (values >= 0)) & column.notna().to_numpy()
    if wrong.any():
        remedy = sign_remedy(column[not_numbers], dataset.decimal) if not_numbers.any() else None
        raise DataError(
            f"dataset.weight: column {column.name!r} must hold numbers of 0 or more, found "
            f"{column[int(np.argmax(wrong))]} in {place(wrong)}; {remedy or 'correct the file'}"
        )
    return values.astype(np.float32)


def _times(column: pd.Series) -> np.ndarray:
    """Return sortable values of the column that orders the rows: numbers or dates."""
    if pd.api.types.is_numeric_dtype(column) or pd.api.types.is_datetime64_any_dtype(column):
        return column.to_numpy()
    # Times of several zones are ordered as moments.
    times = pd.to_datetime(column, format="ISO8601", errors="coerce", utc=True)
    wrong = column.notna() & times.isna()
    if wrong.any():
        raise DataError(
            f"dataset.order: column {column.name!r} holds neither numbers nor dates such as "
            f"2026-01-31, found {column[wrong].iloc[0]!r}; write the dates of the file in this form"
        )
    return times.dt.tz_localize(None).to_numpy()


def _test_rows(column: pd.Series, value: str) -> np.ndarray:
    """Return which rows have the value that marks test rows, shape (rows,)."""
    parts = as_categories(column)
    test: np.ndarray = parts == value
    if test.all() or not test.any():
        listed = _listed(sorted(set(parts)))
        raise DataError(
            f"split.test_value: {'every' if test.all() else 'no'} row has {value!r} in column "
            f"{column.name!r}; its values are {listed}"
        )
    return test
