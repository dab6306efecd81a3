"""Promises of the closing summary: each failed point with its cause, its log and its retry."""

from __future__ import annotations

import os
import threading

import numpy as np
import pytest

from gridloom.engines.types import Fitted
from gridloom.naming.blocks import unfinished_of
from gridloom.training.unfinished import Unfinished
from gridloom.workers.client import INTERRUPTED
from gridloom.workflow.failures import describe_failures, describe_kept, failed_records


@pytest.fixture
def results(tmp_path):
    """Make a study: point 1 is finished, 2 and 3 failed, 4 did not begin, 5 failed earlier."""
    logs = {
        1: "",
        2: "Traceback…\nerror: model: build_model(units=2) raised ValueError: too wide (m.py)\n",
        3: "error: an older cause\nerror: model: build_model(units=[3, 4]) raised ValueError: too "
        "wide (m.py)\n",
        5: "error: of another run\n",
    }
    for units, text in logs.items():
        log = tmp_path / "logs" / "points" / f"units={units}" / "reps=0-4.log"
        log.parent.mkdir(parents=True)
        log.write_text(text)
        if units == 5:
            os.utime(log, (1, 1))
    record = tmp_path / "points" / "units=1" / "reps=0-4.json"
    record.parent.mkdir(parents=True)
    record.write_text("{}")
    return tmp_path


def records(results):
    return [f"{results}/points/units={units}/reps=0-4.json" for units in range(1, 6)]


def test_only_missing_records_that_this_run_trained_have_failed(results):
    failed = failed_records(str(results), records(results), since=100)
    cause = "model: build_model raised ValueError: too wide (m.py)"
    assert failed == {records(results)[1]: cause, records(results)[2]: cause}


def test_a_log_without_a_message_says_so(results):
    log = results / "logs" / "points" / "units=2" / "reps=0-4.log"
    log.write_text("killed")
    failed = failed_records(str(results), records(results), since=100)
    assert failed[records(results)[1]].startswith("left no message in its log")


def test_a_cause_names_files_of_the_project_without_its_path(results, monkeypatch):
    monkeypatch.chdir(results)
    log = results / "logs" / "points" / "units=2" / "reps=0-4.log"
    log.write_text(f"error: too wide ({results}/models/own.py, line 6)\n")
    failed = failed_records(str(results), records(results), since=100)
    assert failed[records(results)[1]] == "too wide (models/own.py, line 6)"


def test_the_summary_groups_by_cause_with_log_and_retry(results):
    failed = failed_records(str(results), records(results), since=100)
    summary = describe_failures(str(results), failed, 5, 1)
    assert summary.startswith("2 of 5 records failed; what was trained is kept.")
    assert summary.count("too wide") == 1
    assert f"log    {results}/logs/points/units=2/reps=0-4.log" in summary
    assert f"retry  snakemake --cores all {results}/points/units=2/reps=0-4.json" in summary


def test_the_commands_name_a_study_that_is_not_the_default(results):
    failed = failed_records(str(results), records(results), since=100)
    study = ["--configfile", "my study.yaml", "--config", "repetitions=3"]
    summary = describe_failures(str(results), failed, 5, 1, study)
    given = "--configfile 'my study.yaml' --config repetitions=3"
    assert f"units=2/reps=0-4.json {given}" in summary
    assert f"`snakemake {given}` retries all of them, `snakemake partial {given}` shows" in summary


def test_many_failures_and_causes_are_cut_short(results):
    alike = {f"{results}/points/units={n}/reps=0-4.json": "alike" for n in range(10)}
    summary = describe_failures(str(results), alike, 10, 0)
    assert "10 × alike" in summary
    assert summary.count("retry  ") == 1
    unlike = {record: f"cause {n}" for n, record in enumerate(alike)}
    summary = describe_failures(str(results), unlike, 10, 1)
    assert "and 8 more causes" in summary
    assert len(summary.splitlines()) <= 10


def test_the_summary_says_if_nothing_is_trained_yet(results):
    failed = failed_records(str(results), records(results), since=100)
    summary = describe_failures(str(results), failed, 5, 0)
    assert summary.startswith("2 of 5 records failed; nothing is trained yet.")
    assert summary.endswith("`snakemake` retries all of them.")


def test_interrupted_jobs_have_not_failed_and_say_what_they_keep(results):
    first, second, third, *_ = records(results)
    stopped = {first: INTERRUPTED, second: f"{INTERRUPTED}; the next run continues it"}
    summary = describe_failures(str(results), stopped, 5, 0)
    assert summary.splitlines() == [
        "2 of 5 records were interrupted; nothing to keep yet.",
        "`snakemake` trains the rest.",
    ]
    _, *others = describe_failures(str(results), {**stopped, third: "wide"}, 5, 1).splitlines()
    assert others[:2] == ["1 of 5 records failed; what was trained is kept.", "1 × wide"]
    assert others[-1].startswith("`snakemake` retries all of them, `snakemake partial` shows")


@pytest.mark.parametrize("checkpoint", [False, True])
def test_what_an_unfinished_job_keeps_is_read_from_its_file(tmp_path, checkpoint):
    record = tmp_path / "reps=0-4.json"
    assert describe_kept([str(record)]) == "nothing to keep yet"
    history = {"val_loss": np.array([0.5], np.float32)}
    stop = threading.Event()
    unfinished = Unfinished(unfinished_of(record), {}, 0.0, stop)
    unfinished.fit([0, 1], lambda _: [Fitted(history, 0)] * 2)
    unfinished._save_after(0)
    if checkpoint:
        unfinished.offer(lambda: [np.zeros(3)])
    kept = "kept: 2 finished trainings" + ", 1 checkpoint" * checkpoint
    assert describe_kept([str(record)]) == kept
    unfinished_of(record).write_bytes(b"damaged")
    assert describe_kept([str(record)]) == "nothing to keep yet"


def test_the_retry_of_all_names_what_was_asked_for(results):
    failed = failed_records(str(results), records(results), since=100)
    text = describe_failures(str(results), failed, 5, 1, targets=["confirm"])
    assert "`snakemake confirm` retries" in text
