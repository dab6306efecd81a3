"""The kinds of a table's columns: numbers, true and false, categories.

A value that does not fit ends in one message, which names the column, the row and the remedy.
"""

from __future__ import annotations

import decimal
import re
from collections.abc import Callable, Mapping
from typing import Any

import numpy as np
import pandas as pd

from gridloom.data.rows import LARGEST, texts
from gridloom.errors import DataError, Problems
from gridloom.study.dataset import Dataset

#: ASSUME: a column of text with more different values does not hold categories.
MAX_CATEGORIES = 50

#: Kinds of a column of features.
NUMBER, FLAG, CATEGORY = "number", "flag", "category"

#: Begin of a date in the usual spellings.
_DATE = r"\d{1,4}[-./]\d{1,2}[-./]\d{1,4}"

#: Texts that pandas, and so most files, use for true and false.
_FLAGS = {"True": 1, "TRUE": 1, "true": 1, "False": 0, "FALSE": 0, "false": 0}


def column_kinds(
    features: pd.DataFrame,
    dataset: Dataset,
    lines: np.ndarray,
    problems: Problems,
    *,
    typed: bool,
) -> dict[str, str]:
    """Decide the kind of each column of the training rows; a column without values has none.

    Parameters
    ----------
    features
        As `gridloom.data.tables.read_table` returns them: a column that holds more than numbers is
        text.
    dataset
        Which columns are categories, and the decimal sign.
    lines
        As in `gridloom.data.rows.Rows`.
    problems
        Gets each column that has no kind: one wrong text among numbers, an id, free text, a date.
    typed
        Whether the file itself has types, as Parquet does.

    Returns
    -------
    dict
        Column → `NUMBER`, `FLAG` (true or false) or `CATEGORY`.

    Raises
    ------
    DataError
        If no column has a value.
    """
    kinds = {}
    for name in map(str, features.columns):
        column = features[name]
        if column.notna().any():
            named = name in dataset.categorical
            with problems.noted():
                kinds[name] = CATEGORY if named else _kind(column, dataset, lines, typed)
    if not kinds and not problems.found:
        raise DataError("dataset: no column is left to predict from")
    return kinds


def _kind(column: pd.Series, dataset: Dataset, lines: np.ndarray, typed: bool) -> str:
    if is_numeric(column):
        return NUMBER
    if is_flags(column):
        return FLAG
    if isinstance(column.dtype, pd.CategoricalDtype):
        return CATEGORY
    if not (pd.api.types.is_string_dtype(column) or pd.api.types.is_object_dtype(column)):
        raise DataError(
            f"dataset: column {column.name!r} holds {column.dtype}, not numbers or text; add it to "
            "dataset.drop"
        )
    if isinstance(column.dropna().iloc[0], decimal.Decimal):
        return NUMBER
    _, wrong = as_kind(column, NUMBER, dataset.decimal)
    if not typed:
        if not wrong.any():
            return NUMBER
        if column.notna().all() and not as_kind(column, FLAG)[1].any():
            return FLAG
    _check_text(column, wrong, dataset, lines)
    return CATEGORY


def typed_columns(
    features: pd.DataFrame, kinds: Mapping[str, str], dataset: Dataset, lines: np.ndarray
) -> pd.DataFrame:
    """Return the columns that have a kind, converted to it.

    Raises
    ------
    DataError
        For each column with a value that is not of its kind.
    """
    columns = {}
    problems = Problems()
    for name, kind in kinds.items():
        values, wrong = as_kind(features[name], kind, dataset.decimal)
        with problems.noted():
            if wrong.any():
                raise _slip(features[name], wrong, kind, dataset, lines)
            check_finite(values, name, lambda flags: row_of(lines, flags))
        columns[name] = values
    problems.settle()
    return pd.DataFrame(columns)


def as_kind(column: pd.Series, kind: str, sign: str = ".") -> tuple[np.ndarray, np.ndarray]:
    """Convert a column to a kind.

    Parameters
    ----------
    sign
        Decimal sign of numbers.

    Returns
    -------
    (values, wrong)
        The values: for a category, text with `MISSING`; else float64 with NaN where missing, and 1
        and 0 for true and false. And which values are not of this kind, shape (rows,).
    """
    if kind == CATEGORY:
        return as_categories(column), np.zeros(len(column), dtype=bool)
    fitting = is_flags(column) if kind == FLAG else is_numeric(column)
    if fitting:
        values = column.to_numpy(dtype=np.float64, na_value=np.nan)
    elif pd.api.types.is_string_dtype(column) or pd.api.types.is_object_dtype(column):
        given = pd.Series(column.to_numpy(dtype=object))
        if kind == FLAG:
            read = given.map(lambda value: _FLAGS.get(str(value)))
        elif sign == ",":
            read = given.map(_with_point)
        else:
            read = given
        values = pd.to_numeric(read, errors="coerce").to_numpy(dtype=np.float64, na_value=np.nan)
    else:
        values = np.full(len(column), np.nan)
    wrong = np.isnan(values) & column.notna().to_numpy()
    return values, wrong


def _with_point(value: Any) -> Any:
    """Replace a decimal comma by a point; text with a point becomes unreadable as a number."""
    return value.replace(".", "?").replace(",", ".") if isinstance(value, str) else value


def sign_remedy(values: pd.Series, sign: str) -> str | None:
    """Return what to do about texts that are numbers with another decimal sign or with thousands.

    In ``1,234``, the comma may be either: the remedy then names both.

    Parameters
    ----------
    values
        Texts that are no numbers with the decimal sign `sign`; at least one.

    Returns
    -------
    str or None
        None if a text is no such number.
    """
    other = "," if sign == "." else "."
    mark, point = re.escape(other), re.escape(sign)
    given = values.astype(str).str.strip()
    decimals = given.str.fullmatch(rf"[-+]?\d*{mark}\d+").all()
    thousands = given.str.fullmatch(rf"[-+]?\d{{1,3}}({mark}\d{{3}})+({point}\d*)?").all()
    if not decimals and not thousands:
        return None
    first = given.iloc[0]
    remedies = []
    if decimals:
        remedies.append(f"if {other!r} is the decimal sign, set dataset.decimal to {other!r}")
    if thousands:
        bare = first.replace(other, "")
        remedies.append(
            f"if {other!r} separates thousands, write the numbers of the file without it: {bare}"
        )
    return "; ".join(remedies)


def check_finite(values: np.ndarray, name: str, place: Callable[[Any], str]) -> None:
    """Check that a network can compute with all numbers of a column.

    Parameters
    ----------
    values
        Values of the column; categories pass.
    name
        Name of the column, for messages.
    place
        Returns the place of the first flagged row, as `row_of` does.

    Raises
    ------
    DataError
        If a number is infinite or too large.
    """
    if values.dtype == object:
        return
    if np.isinf(values).any():
        raise DataError(
            f"dataset: column {name!r} is infinite in {place(np.isinf(values))}; correct the "
            "file, or add 'inf' to dataset.missing if it means a missing value"
        )
    large = np.abs(values) > LARGEST
    if large.any():
        raise DataError(
            f"dataset: column {name!r} holds {values[large][0]:g} in {place(large)}, above 3e38, "
            "the largest number that a network computes with; correct or rescale it"
        )


def as_categories(column: pd.Series) -> np.ndarray:
    """Return a column as text, with `MISSING` where missing.

    Whole numbers have no decimal point. Text is not changed: ``01`` and ``1.0`` are not ``1``.
    """
    if pd.api.types.is_float_dtype(column):
        given = column.to_numpy(dtype=np.float64, na_value=np.nan)
        return texts(int(value) if value % 1 == 0 else value for value in given.tolist())
    return texts(column)


def _slip(
    column: pd.Series, wrong: np.ndarray, kind: str, dataset: Dataset, lines: np.ndarray
) -> DataError:
    found = str(column[wrong].iloc[0])
    among = "numbers" if kind == NUMBER else "true and false"
    remedy = sign_remedy(column[wrong], dataset.decimal) if kind == NUMBER else None
    otherwise = (
        f"correct the file, or add {found!r} to dataset.missing if it means a missing value, or "
        "the column to dataset.categorical if its values are names"
    )
    return DataError(
        f"dataset: column {column.name!r} holds {found!r} among {among} in "
        f"{row_of(lines, wrong)}; {remedy or otherwise}"
    )


def _check_text(column: pd.Series, wrong: np.ndarray, dataset: Dataset, lines: np.ndarray) -> None:
    """Refuse text that is not a category: numbers in another spelling, an id, free text.

    Parameters
    ----------
    wrong
        Which values are no numbers.
    """
    present = column.notna()
    if wrong.any() and (present.sum() - wrong.sum()) * 2 >= present.sum():
        raise _slip(column, wrong, NUMBER, dataset, lines)
    # Beside numbers with the other decimal sign, there may be texts such as `unknown`.
    _, still_wrong = as_kind(column, NUMBER, "." if dataset.decimal == "," else ",")
    other_sign = wrong & ~still_wrong
    meant = other_sign if other_sign.sum() * 2 >= present.sum() else wrong
    remedy = sign_remedy(column[meant], dataset.decimal) if meant.any() else None
    if remedy:
        raise DataError(
            f"dataset: column {column.name!r} holds {str(column[meant].iloc[0])!r} in "
            f"{row_of(lines, meant)}; {remedy}; or add the column to dataset.categorical if its "
            "values are names"
        )
    given = column[present].astype(str)
    different = given.nunique()
    if different > MAX_CATEGORIES or (len(given) >= 10 and different * 2 > len(given)):
        dated = given.str.match(_DATE).all()
        as_order = "to dataset.order if the test rows are to be the latest, " if dated else ""
        raise DataError(
            f"dataset: column {column.name!r} holds {different} different texts, such as "
            f"{given.iloc[0]!r}; add it to dataset.drop, {as_order}or to dataset.categorical if "
            "each is a category"
        )


def is_numeric(column: pd.Series) -> bool:
    """Return whether a column was read as numbers."""
    return pd.api.types.is_numeric_dtype(column) and not pd.api.types.is_bool_dtype(column)


def is_flags(column: pd.Series) -> bool:
    """Return whether a column was read as true and false."""
    return pd.api.types.is_bool_dtype(column)


def row_of(lines: np.ndarray, flags: Any) -> str:
    """Return the place of the first flagged row, for messages.

    Parameters
    ----------
    lines
        As in `Rows`, shape (rows,).
    flags
        Shape (rows,); at least one is set.
    """
    flagged = lines[np.asarray(flags, dtype=bool)]
    if (flagged > 0).any():
        return f"row {flagged[flagged > 0].min()}"
    return f"row {-flagged.max()} of the test file"
