"""Promises of the tables' cells: no formulas, and what is meant comes back."""

from __future__ import annotations

import csv

import pandas as pd
import pytest
from hypothesis import HealthCheck, given, settings

from gridloom.analysis.cells import read_csv, write_csv
from gridloom.errors import StudyError
from gridloom.naming.values import table_text, table_value
from tests.made_values import values

TEXTS = ["=1+1", "+1", "-1", "@A1", "\tx", "'x", "''", "relu", "", "a=b", "[-1, 2]"]


def test_no_text_is_a_formula_and_each_comes_back(tmp_path):
    table = pd.DataFrame({"text": TEXTS, "number": -1.5, "mixed": [-1, "-1", *TEXTS[2:]]})
    write_csv(table, tmp_path / "t.csv")
    with (tmp_path / "t.csv").open(newline="") as stream:
        rows = list(csv.DictReader(stream))
    assert read_csv(tmp_path / "t.csv", {"text": TEXTS})["text"].tolist() == TEXTS
    assert not any(row["text"].startswith(("=", "+", "-", "@", "\t")) for row in rows)
    assert {row["number"] for row in rows} == {"-1.5"}
    assert [row["mixed"] for row in rows[:2]] == ["-1", "'-1"]


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(values)
def test_a_value_reads_back_as_figures_and_tables_spell_it(tmp_path, value):
    cell = table_value({"axis": value}, "axis")
    table = pd.DataFrame({"point": "p", "axis": pd.Series([cell, 0.5], dtype=object)})
    write_csv(table, tmp_path / "t.csv")
    text = table_text(value)
    read = read_csv(tmp_path / "t.csv", {"axis": [text, "0.5"]})
    assert read["axis"].tolist() == [text, "0.5"]


def test_a_value_that_the_grid_has_not_is_named_instead_of_left_out(tmp_path):
    write_csv(pd.DataFrame({"point": ["p"], "units": [3]}), tmp_path / "t.csv")
    with pytest.raises(StudyError, match="units = 3, which the grid has not"):
        read_csv(tmp_path / "t.csv", {"units": ["1", "2"]})
