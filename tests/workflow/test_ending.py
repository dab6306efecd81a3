"""Promises of the last message of a run that succeeded."""

from __future__ import annotations

from dataclasses import replace

import pandas as pd
import pytest

from gridloom.workflow.ending import (
    describe_answer,
    describe_touched,
    describe_trained,
    read_answer,
)
from tests.made_picks import BEST
from tests.workflow.test_progress import outlook_of, record_of

PICK = replace(BEST, point="epochs=2/units=2", metric="val_loss", mode="min")


def described(tmp_path, pick) -> str:
    pick.write(tmp_path / "best.yaml")
    pd.DataFrame({"n_diverged": [0, 0, 1]}).to_csv(tmp_path / "summary.csv", index=False)
    answer = read_answer(tmp_path / "best.yaml", tmp_path / "summary.csv")
    records = [record_of(tmp_path, units) for units in (1, 2, 3)]
    outlook = outlook_of(records[1:], records[:1])
    assert " 6 trainings, 2 of them new, 2 adopted; " in describe_answer(outlook, None, "r", 1, 2)
    return describe_answer(outlook, answer, "results", seconds=23)


def test_the_answer_is_the_pick_with_its_error_what_is_tied_and_where_to_look(tmp_path):
    pick = replace(PICK, mean=0.498, se=0.0098, n=5, expected=0.501, tied=2)
    assert described(tmp_path, pick).splitlines() == [
        "Finished in 23 s: 6 trainings, 4 of them new; none failed, 1 diverged.",
        "take   units=2",
        "       val_loss 0.4980 ± 0.0098",
        "       mean ± standard error of 5 repetitions; expect 0.501 when trained again",
        "tied   2 of 3 configurations may be the best",
        "look   results/report.html, results/summary.csv, results/figures",
    ]


def test_one_repetition_has_no_error_and_one_configuration_no_ties(tmp_path):
    text = described(tmp_path, replace(PICK, mean=0.498))
    assert "0.498\n       one repetition, so its error is not known\n" in text
    assert "tied" not in text


@pytest.mark.parametrize("content", [None, "", "n_diverged\nx\n"])
def test_missing_or_damaged_tables_leave_the_pick_out(tmp_path, content):
    PICK.write(tmp_path / "best.yaml")
    path = tmp_path / "summary.csv"
    if content is not None:
        path.write_text(content)
    answer = read_answer(tmp_path / "none.yaml", path)
    assert answer is None
    assert "take" not in describe_answer(outlook_of([]), None, "results", seconds=1)


def test_touched_files_are_no_trainings():
    assert describe_touched([]).endswith("nothing was trained or made.")
    assert describe_touched(["a", "b"]).endswith("Missing records: 2; `snakemake` trains them.")


def test_a_run_of_a_part_describes_what_it_trained(tmp_path):
    outlook = outlook_of([record_of(tmp_path, 1)])
    assert describe_trained(outlook, 3) == "Finished in 3 s: 2 trainings."
