"""Cells of the CSV tables: text that a spreadsheet would run as a formula is kept from it.

Such a text, and one that opens with an apostrophe itself, gets an apostrophe in front; `meant`
takes it off. Numbers stay as they are.
"""

from __future__ import annotations

from collections.abc import Collection
from pathlib import Path

import pandas as pd

from gridloom.files import atomic_path

_KEPT = ("=", "+", "-", "@", "\t", "\r", "'")


def write_csv(table: pd.DataFrame, path: Path) -> None:
    """Write a table whose cells are values, never formulas."""
    texts = table.select_dtypes(["object", "string"]).columns
    with atomic_path(path) as beside:
        table.assign(**{name: _neutral(table[name]) for name in texts}).to_csv(beside, index=False)


def read_csv(path: Path, texts: Collection[str] = ()) -> pd.DataFrame:
    """Read a table that `write_csv` wrote.

    Parameters
    ----------
    texts
        Columns of texts, besides `point`: their cells are what was meant, an empty one is ``""``
        and ``null`` is a text. In other columns, an empty cell is NaN.
    """
    table: pd.DataFrame = pd.read_csv(path, converters=dict.fromkeys(("point", *texts), meant))
    return table


def _neutral(column: pd.Series) -> pd.Series:
    """Return cells of any types, all but such texts as they are."""
    cells = [
        f"'{cell}" if isinstance(cell, str) and cell.startswith(_KEPT) else cell for cell in column
    ]
    return pd.Series(cells, column.index, dtype=object)


def meant(cell: str) -> str:
    """Return the value that a cell of a table stands for."""
    return cell.removeprefix("'")
