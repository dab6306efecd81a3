"""Promises of the messages between client, host and worker: each reads what another sends."""

from __future__ import annotations

import json
import os
import socket
import threading
from dataclasses import replace
from pathlib import Path

import pytest

from gridloom.workers import client
from gridloom.workers.job import Job, Slot, TrainingSettings
from gridloom.workers.scope import open_scope
from tests.made_requests import ROOT, setup_for

POINT = "batch_size=16/units=4"


@pytest.fixture
def settings() -> TrainingSettings:
    model = ROOT / "models" / "mlp.py"
    validation = {"method": "kfold", "folds": 3}
    setup = setup_for(model, validation=validation, class_weight={"a": 2.0, "b": 1.0})
    return TrainingSettings(setup, "val_loss", str(model), 2, True, False, None, 50, 3000)


@pytest.fixture
def scope(tmp_path, monkeypatch, settings):
    """Open a folder for a study, as Snakemake does; its variables end with the test."""
    for variable in ("GRIDLOOM_SCOPE", "GRIDLOOM_CLIENT", "PATH", "PYTHONPATH"):
        monkeypatch.setenv(variable, os.environ.get(variable, ""))
    folder = tmp_path / "s"
    folder.mkdir(mode=0o700)
    open_scope(folder, str(tmp_path / "results"), settings)
    return folder


def arguments(tmp_path: Path, setup: str) -> list[str]:
    record = tmp_path / "results" / "points" / setup / POINT / "reps=2-4.json"
    return [
        "2",
        "1",
        "60",
        str(record),
        *(str(tmp_path / name) for name in ("log", "rows", "split")),
    ]


def sent_by(client_of_job, socket_file: Path) -> dict:
    """Return the line that a client sends to a socket."""
    listener = socket.socket(socket.AF_UNIX)
    listener.bind(str(socket_file))
    listener.listen(1)
    running = threading.Thread(target=client_of_job)
    running.start()
    connection, _ = listener.accept()
    line = connection.makefile(encoding="utf-8").readline()
    connection.sendall(b'{"error": null}\n')
    running.join()
    connection.close()
    listener.close()
    return json.loads(line)


def test_a_worker_reads_the_job_that_a_client_sends(tmp_path, scope, settings):
    given = arguments(tmp_path, settings.setup.name)
    sent = sent_by(lambda: client.main(given), scope / "2t1g-0.sock")
    job = Job.from_json(sent)
    assert job.settings == settings
    assert (job.threads, job.gpus, job.watch) == (2, 1, os.getpid())
    assert (job.scope, job.log) == (scope, tmp_path / "log")
    assert job.trainings == 9
    request = job.request
    assert request.unfinished == job.record.with_name("reps=2-4.unfinished.npz")
    assert request.checkpoint_minutes is None
    assert Job.from_json({**sent, "checkpoint_minutes": 0.5}).request.checkpoint_minutes == 0.5
    assert request.hyperparameters == {"batch_size": 16, "units": 4}
    assert request.repetitions == (2, 3, 4)
    assert (request.rows_file, request.split_file) == (tmp_path / "rows", tmp_path / "split")
    assert (request.setup, request.lockstep, request.objective) == (
        settings.setup,
        False,
        "val_loss",
    )


@pytest.mark.parametrize(("onednn", "host"), [(True, "host"), (False, "host-plain")])
def test_a_host_reads_the_slot_that_a_client_sends(tmp_path, scope, settings, onednn, host):
    settings = replace(settings, setup=replace(settings.setup, onednn=onednn))
    job = {**settings.as_json(), "threads": 2, "gpus": 1, "watch": os.getpid()}
    job["log"] = str(tmp_path / "log")

    def ask() -> None:
        with pytest.raises(client.JobError):  # no worker comes of it here
            client.connect(str(scope), "2t1g-0", job)

    slot = Slot(**sent_by(ask, scope / f"{host}.sock"))
    assert slot == Slot("2t1g-0", 2, 1, gpu_limit=2, recycle_trainings=50, recycle_mb=3000)


def test_a_job_whose_set_up_changed_says_so(tmp_path, scope):
    with pytest.raises(SystemExit):
        client.main(arguments(tmp_path, "0" * 16))
    assert "changed after this run was planned" in (tmp_path / "log").read_text()
