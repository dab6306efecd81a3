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
from tests.made_requests import setup_for
from tests.opened_scope import MODEL, open_for, settings_with

POINT = "batch_size=16/units=4"

#: A folder's name with what JSON, or a line of the studies, would take for something else.
RESULTS = 'r\t"é\\\n\udcff'


@pytest.fixture
def settings() -> TrainingSettings:
    validation = {"method": "kfold", "folds": 3}
    setup = setup_for(MODEL, validation=validation, class_weight={"a": 2.0, "b": 1.0})
    return settings_with(setup=setup, gpu_limit=2, lockstep=False)


@pytest.fixture
def scope(tmp_path, monkeypatch, settings):
    """Open a folder for a study, as Snakemake does."""
    open_for(tmp_path / "s", tmp_path / RESULTS, settings, monkeypatch)
    return tmp_path / "s"


def arguments(tmp_path: Path, setup: str) -> list[str]:
    record = tmp_path / RESULTS / "points" / setup / POINT / "reps=2-4.json"
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
    assert (job.scope, job.record, job.log) == (scope, Path(given[3]), tmp_path / "log")
    assert list(job.ahead) == []
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
    open_scope(scope, str(tmp_path / RESULTS), settings)
    record = arguments(tmp_path, settings.setup.name)[3]
    study = client.read_study(str(scope), record, str(tmp_path / "log"))

    def ask() -> None:
        with pytest.raises(client.JobError):  # no worker comes of it here
            client.connect(study, "2t1g-0", {"threads": 2, "gpus": 1})

    slot = Slot(**sent_by(ask, scope / f"{host}.sock"))
    assert slot == Slot("2t1g-0", 2, 1, gpu_limit=2, recycle_trainings=50, recycle_mb=3000)


TEXTS = ["", "a/b c=1", 'a"b', "a\\b", "a\tb\n", "\x7f\x00", "é", "\udcff", "\u2028", "😀"]


@pytest.mark.parametrize("value", [*TEXTS, TEXTS, [], None, 12])
def test_a_client_writes_a_value_as_json_does(value):
    assert client.as_json(value) == json.dumps(value)


def test_studies_of_one_set_up_are_told_apart_and_the_last_settings_hold(tmp_path, scope, settings):
    other = replace(settings, warm=False, checkpoint_minutes=2.0)
    for name, kept in [("other", settings), ("other", other), (RESULTS + "2", settings)]:
        open_scope(scope, str(tmp_path / name), kept)
    for name, kept in [("other", other), (RESULTS, settings)]:
        record = str(tmp_path / name / "points" / settings.setup.name / POINT / "reps=0-1.json")
        study = client.read_study(str(scope), record)
        assert (study.warm, study.onednn) == (kept.warm, True)
        assert study.checkpoints == (kept.checkpoint_minutes is not None)
        assert json.loads(study.settings)["checkpoint_minutes"] == kept.checkpoint_minutes


def test_a_job_whose_set_up_changed_says_so(tmp_path, scope):
    with pytest.raises(SystemExit):
        client.main(arguments(tmp_path, "0" * 16))
    assert "changed after this run was planned" in (tmp_path / "log").read_text()
