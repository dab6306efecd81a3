"""Promises of the host of the workers, and of the workers."""

from __future__ import annotations

import shutil
import subprocess
import sys

import pytest

from gridloom.naming.points import point_path
from gridloom.records import Record, read_record
from tests.made_requests import POINT, make_data, setup_for
from tests.opened_scope import MODEL, open_for, settings_with

#: A worker that answers a client that was killed.
ANSWERS = """
import os, socket, sys
from pathlib import Path
from gridloom.workers.worker import Host

ours, theirs = socket.socketpair()
theirs.close()
Host(Path(sys.argv[1]), os.getpid(), True)._fork("slot", ours, lambda: ours.sendall(b"ready"))
os.wait()
"""


def test_a_worker_whose_client_was_killed_leaves_no_traceback_for_another_client(tmp_path):
    command = [sys.executable, "-c", ANSWERS, str(tmp_path)]
    done = subprocess.run(command, capture_output=True, text=True, check=True)
    assert done.stderr == ""


@pytest.fixture
def train(tmp_path, monkeypatch):
    """Train a point of a study, as its job does, in the one run of several studies."""
    scope = tmp_path / "s"
    make_data(tmp_path, "builtin:breast_cancer")

    def run(study: str, model) -> Record:
        settings = settings_with(setup=setup_for(model), model=str(model))
        command = open_for(scope, tmp_path / study, settings, monkeypatch)
        record = tmp_path / study / "points" / settings.setup.name / point_path(POINT)
        files = [record / "reps=0-0.json", *(tmp_path / name for name in FILES)]
        subprocess.run([*command, "1", "0", "60", *files], check=True)
        return read_record(files[0])

    yield run
    shutil.rmtree(scope)  # its host ends


FILES = ("log", "train.parquet", "split.json")


@pytest.mark.slow
def test_a_model_file_that_changes_keras_changes_no_other_study(tmp_path, train):
    acting = tmp_path / "acting.py"
    change = "keras.layers.Dense.call = lambda self, x: 0 * keras.ops.matmul(x, self.kernel)"
    acting.write_text(f"{MODEL.read_text()}\n\n{change}\n")
    first, changed, again = train("a", MODEL), train("b", acting), train("c", MODEL)
    assert changed.trainings[0].history != first.trainings[0].history
    assert again.trainings[0].history == first.trainings[0].history
