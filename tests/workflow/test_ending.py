"""Promises of the last words of a run that succeeded."""

from __future__ import annotations

from pathlib import Path

import pandas as pd
import pytest

from gridloom.workflow.ending import describe_answer, describe_trained, read_answer
from tests.workflow.test_progress import outlook_of, record_of


def write(path: Path, **changes) -> Path:
    columns = {
        "point": ["epochs=2/units=1", "epochs=2/units=2", "epochs=2/units=3"],
        "n": [5, 5, 4],
        "n_diverged": [0, 0, 1],
        "val_loss_mean": [0.512, 0.498, 0.4],
        "val_loss_se": [0.0123, 0.0098, 0.01],
        "rank": [2, 1, 3],
    }
    pd.DataFrame({**columns, **changes}).to_csv(path, index=False)
    return path


def told(tmp_path, **changes) -> str:
    records = [record_of(tmp_path, units) for units in (1, 2, 3)]
    answer = read_answer(write(tmp_path / "summary.csv", **changes), "val_loss")
    return describe_answer(outlook_of(records[1:], records[:1]), answer, "results", seconds=23)


def test_the_answer_names_the_best_with_its_error_and_where_to_look(tmp_path):
    assert told(tmp_path).splitlines() == [
        "Finished in 23 s: 6 trainings, 4 of them new; none failed, 1 diverged.",
        "best   val_loss 0.4980 ± 0.0098 (mean and standard error of 5 repetitions)",
        "       units=2",
        "look   results/verdict.md, results/summary.csv, results/figures",
    ]


def test_the_answer_counts_what_is_tied_once_the_table_says(tmp_path):
    lines = told(tmp_path, tied_with_best=[True, True, False]).splitlines()
    assert "tied   2 of 3 configurations may be the best" in lines
    assert len(lines) <= 10


def test_one_repetition_has_no_error(tmp_path):
    nothing = [None] * 3
    assert "0.498 (one repetition: no error is known)" in told(tmp_path, val_loss_se=nothing)


def test_where_all_diverged_there_is_no_best(tmp_path):
    nothing = [None] * 3
    gone = told(tmp_path, val_loss_mean=nothing, val_loss_se=nothing, rank=[1, 1, 1], n=[0, 0, 0])
    assert "best   none: no configuration has a val_loss" in gone
    assert "nan" not in gone


@pytest.mark.parametrize("content", [None, "", "point,rank\n", "point,rank,n_diverged\na,1,0\n"])
def test_a_table_that_does_not_tell_leaves_the_best_out(tmp_path, content):
    path = tmp_path / "summary.csv"
    if content is not None:
        path.write_text(content)
    assert read_answer(path, "val_loss") is None
    assert "best" not in describe_answer(outlook_of([]), None, "results", seconds=1)


def test_a_run_of_a_part_says_what_it_trained(tmp_path):
    outlook = outlook_of([record_of(tmp_path, 1)])
    assert describe_trained(outlook, 3) == "Finished in 3 s: 2 trainings."
