"""Cells of the CSV tables: text that a spreadsheet would run as a formula is kept from it.

Such a text, and one that opens with an apostrophe itself, gets an apostrophe in front; `meant`
takes it off. Numbers stay as they are.
"""

from __future__ import annotations

from pathlib import Path

import pandas as pd

from gridloom.files import atomic_path

_KEPT = ("=", "+", "-", "@", "\t", "\r", "'")


def write_csv(table: pd.DataFrame, path: Path) -> None:
    """Write a table whose cells are values, never formulas."""
    texts = table.select_dtypes(["object", "string"]).columns
    with atomic_path(path) as beside:
        table.assign(**{name: _neutral(table[name]) for name in texts}).to_csv(beside, index=False)


def _neutral(column: pd.Series) -> pd.Series:
    """Return cells of any types, all but such texts as they are."""
    cells = [
        f"'{cell}" if isinstance(cell, str) and cell.startswith(_KEPT) else cell for cell in column
    ]
    return pd.Series(cells, column.index, dtype=object)


def meant(cell: str) -> str:
    """Return the value that a cell of a table stands for."""
    return cell.removeprefix("'")
