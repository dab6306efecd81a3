"""Promises of Ctrl-C and SIGTERM: what is trained is kept, and there is no traceback."""

from __future__ import annotations

import json
import os
import re
import signal
import threading

import pytest
from snakemake.shell import shell

from gridloom.workflow.adapter import _take_signals
from tests.workflow.conftest import TINY
from tests.workflow.processes import (
    left_behind,
    processes_of,
    training,
    wait_for,
    wait_for_client,
)


def make_trainings(project, **trainer):
    """Give the project one job of two trainings, some seconds each."""
    knobs = {"units": 4, "dropout": 0.3, "batch_size": 1, "epochs": 25}
    settings = {"lockstep": False, **trainer}
    project.change(repetitions=2, trainer=settings, hyperparameters=knobs)
    keep_short_trainings(project)


def keep_short_trainings(project):
    """Have the project keep finished trainings that took less than five seconds, too."""
    module = project.folder / "gridloom" / "training" / "unfinished.py"
    text = module.read_text()
    assert "SAVE_SECONDS = 5.0" in text
    module.write_text(text.replace("SAVE_SECONDS = 5.0", "SAVE_SECONDS = 0.0"))


def unfinished(project):
    return list((project.results / "points").rglob("*.unfinished.npz"))


def log_of(project) -> str:
    (log,) = (project.results / "logs" / "points").rglob("*.log")
    return log.read_text()


def interrupt(running, project, how: str) -> None:
    """Press Ctrl-C, which all processes in the foreground get, or end the client of a job."""
    if how == "Ctrl-C":
        os.killpg(running.pid, signal.SIGINT)
    else:
        (client,) = wait_for_client(project)
        os.kill(client, signal.SIGTERM)


def histories(project):
    (record,) = project.records().values()
    return [training["history"] for training in json.loads(record)["trainings"]]


def assert_ended(running, project):
    """Expect that a run ends in failure, without a traceback or a process that is left."""
    assert running.wait(timeout=120) != 0
    assert "Traceback" not in project.printed
    assert wait_for(lambda: not processes_of(project)), processes_of(project)
    assert left_behind(project) == []
    assert project.records() == {}


def assert_continues_with_the_same_numbers(project, taken_over: str):
    """Run to the end, and once more from the start; the first job says what it takes over."""
    project.succeed("--until", "train")
    assert taken_over in log_of(project)
    assert unfinished(project) == []
    continued = histories(project)
    (record,) = project.records()
    (project.results / "points" / record).unlink()
    project.succeed("--until", "train")
    assert histories(project) == continued


@pytest.mark.parametrize(
    ("how", "warm"),
    [
        pytest.param("Ctrl-C", True, marks=pytest.mark.slow),
        pytest.param("SIGTERM", False, marks=pytest.mark.nightly),
    ],
)
def test_an_interrupted_job_keeps_its_finished_trainings(untrained, how, warm):
    make_trainings(untrained, warm=warm)
    running = untrained.start("--until", "train")
    assert wait_for(lambda: unfinished(untrained))
    interrupt(running, untrained, how)
    assert_ended(running, untrained)
    assert log_of(untrained).endswith("error: was interrupted\n")
    said = "1 of 1 records were interrupted; kept: 1 finished training."
    assert said in untrained.printed
    assert "failed" not in untrained.printed.partition(said)[2]
    assert_continues_with_the_same_numbers(untrained, "trainings are finished\n")


@pytest.mark.parametrize(
    ("how", "warm"),
    [
        pytest.param("SIGTERM", True, marks=pytest.mark.slow),
        pytest.param("Ctrl-C", False, marks=pytest.mark.nightly),
    ],
)
def test_a_stopped_training_continues_from_its_checkpoint(untrained, how, warm):
    make_trainings(untrained, warm=warm, checkpoint_minutes=0.001)
    running = untrained.start("--until", "train")
    assert wait_for(lambda: unfinished(untrained))
    interrupt(running, untrained, how)
    assert_ended(running, untrained)
    assert log_of(untrained).endswith("error: was interrupted; the next run continues it\n")
    (kept,) = re.findall(r"were interrupted; kept: (.*)\.", untrained.printed)
    assert kept.endswith("1 checkpoint")
    assert_continues_with_the_same_numbers(untrained, "and another has a checkpoint\n")


HANGS = """
import time
from pathlib import Path

def build_model(input_shape, outputs, units):
    Path("hangs").touch()
    while True:
        time.sleep(0.1)
"""


@pytest.mark.slow
def test_a_second_ctrl_c_ends_a_training_that_the_first_one_waits_for(untrained):
    (untrained.folder / "models" / "hangs.py").write_text(HANGS)
    study = {"model": "models/hangs.py", "trainer": {"checkpoint_minutes": 1}}
    knobs = {"units": 1, "batch_size": 64, "epochs": 1}
    untrained.write({**TINY, **study, "hyperparameters": knobs})
    running = untrained.start("--until", "train")
    assert wait_for(lambda: training(untrained) and (untrained.folder / "hangs").exists())
    os.killpg(running.pid, signal.SIGINT)
    assert wait_for(lambda: "Terminating processes" in untrained.printed)
    assert wait_for_client(untrained)
    os.killpg(running.pid, signal.SIGINT)
    assert_ended(running, untrained)
    assert log_of(untrained).endswith("error: was interrupted\n")


def test_snakemakes_handler_of_sigterm_waits_for_no_lock_of_the_main_thread():
    lock, handled = threading.Lock(), []
    before = {one: signal.getsignal(one) for one in (signal.SIGINT, signal.SIGTERM)}
    # As Snakemake's does.
    signal.signal(signal.SIGTERM, lambda *received: handled.append(lock.acquire(timeout=30)))
    try:
        _take_signals()
        with lock:
            os.kill(os.getpid(), signal.SIGTERM)
        assert wait_for(lambda: handled)
        assert handled == [True]
    finally:
        shell.prefix("")
        for one, handler in before.items():
            signal.signal(one, handler)
