"""Cells of the CSV tables: text that a spreadsheet would run as a formula is kept from it.

Such a text, and one that opens with an apostrophe itself, gets an apostrophe in front; `read_csv`
takes it off. Numbers stay as they are.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path

import pandas as pd

from gridloom.errors import StudyError
from gridloom.files import atomic_path

_KEPT = ("=", "+", "-", "@", "\t", "\r", "'")


def write_csv(table: pd.DataFrame, path: Path) -> None:
    """Write a table whose cells are values, never formulas."""
    texts = table.select_dtypes(["object", "string"]).columns
    with atomic_path(path) as beside:
        table.assign(**{name: _neutral(table[name]) for name in texts}).to_csv(beside, index=False)


def read_csv(path: Path, axes: Mapping[str, Sequence[str]]) -> pd.DataFrame:
    """Read a table that `write_csv` wrote.

    Parameters
    ----------
    axes
        Axis → its values as texts. These columns, and `point`, are texts, ``null`` and an empty
        one too. In other columns, an empty cell is NaN.

    Raises
    ------
    StudyError
        If an axis has another value: no part of the grid, it would be left out of every figure.
    """
    columns = pd.read_csv(path, nrows=0, lineterminator="\n").columns
    texts = columns.intersection(["point", *axes])
    table = pd.read_csv(
        path,
        lineterminator="\n",  # a carriage return is part of a text
        dtype=dict.fromkeys(texts, str),
        keep_default_na=False,
        na_values={name: [""] for name in columns.difference(texts)},
    )
    table = table.assign(**{name: table[name].str.removeprefix("'") for name in texts})
    for name, known in axes.items():
        strange = table.loc[~table[name].isin(known), name]
        if len(strange):
            raise StudyError(
                f"{path} has {name} = {strange.iloc[0] or 'none'}, which the grid has not; delete "
                "the file and run `snakemake`, which makes it anew"
            )
    return table


def _neutral(column: pd.Series) -> pd.Series:
    """Return cells of any types, all but such texts as they are."""
    cells = [
        f"'{cell}" if isinstance(cell, str) and cell.startswith(_KEPT) else cell for cell in column
    ]
    return pd.Series(cells, column.index, dtype=object)
