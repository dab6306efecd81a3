"""Promises of the tables' cells: no formulas, and what is meant comes back."""

from __future__ import annotations

import csv

import pandas as pd

from gridloom.analysis.cells import meant, write_csv

TEXTS = ["=1+1", "+1", "-1", "@A1", "\tx", "'x", "''", "relu", "", "a=b", "[-1, 2]"]


def test_no_text_is_a_formula_and_each_comes_back(tmp_path):
    table = pd.DataFrame({"text": TEXTS, "number": -1.5, "mixed": [-1, "-1", *TEXTS[2:]]})
    write_csv(table, tmp_path / "t.csv")
    with (tmp_path / "t.csv").open(newline="") as stream:
        rows = list(csv.DictReader(stream))
    assert [meant(row["text"]) for row in rows] == TEXTS
    assert not any(row["text"].startswith(("=", "+", "-", "@", "\t")) for row in rows)
    assert {row["number"] for row in rows} == {"-1.5"}
    assert [row["mixed"] for row in rows[:2]] == ["-1", "'-1"]
