"""Promises of the client to a job of several records, with a worker that answers at once."""

from __future__ import annotations

import json
import signal
import socket
import subprocess
from collections.abc import Callable
from pathlib import Path

import pytest

from gridloom.workers import client
from gridloom.workflow.failures import failed_records
from tests.opened_scope import open_for, settings_with


class ManyRecords:
    """A job of three records, and the socket of its worker.

    Parameters
    ----------
    setup
        Name of the set-up of its records; None for that of the study.
    """

    def __init__(self, folder: Path, monkeypatch: pytest.MonkeyPatch, setup: str | None) -> None:
        self.scope, self.results = folder / "s", folder / "results"
        settings = settings_with()
        self.command = open_for(self.scope, self.results, settings, monkeypatch)
        points = self.results / "points" / (setup or settings.setup.name)
        self.records = [str(points / f"units={units}" / "reps=0-1.json") for units in range(3)]
        (folder / f"job{client.LIST}").write_text(json.dumps(self.records))
        self.arguments = [str(folder / f"job{client.LIST}"), str(folder / "job.log"), "b", "c"]
        self.log = folder / "job.log"
        self.running: subprocess.Popen | None = None
        self.server = socket.socket(socket.AF_UNIX)
        self.server.bind(str(self.scope / "1t0g-0.sock"))
        self.server.listen()
        self.server.settimeout(90)

    def start(self) -> subprocess.Popen:
        self.running = subprocess.Popen([*self.command, "1", "0", "60", *self.arguments])
        return self.running

    def close(self) -> None:
        """End the client if a test has failed before its end."""
        if self.running is not None:
            self.running.kill()
            self.running.wait()
        self.server.close()

    def answer(self, error: str | None, stop: Callable[[], object] = lambda: None) -> str:
        """Answer the next record and return it; before, perhaps `stop` the run."""
        connection, _ = self.server.accept()
        with connection, connection.makefile() as lines:
            record: str = json.loads(lines.readline())["record"]
            if error is None:
                Path(record).parent.mkdir(parents=True)
                Path(record).write_text("{}\n")
            stop()
            connection.sendall(json.dumps({"error": error}).encode() + b"\n")
        return record

    @property
    def failed(self) -> dict[str, str]:
        return failed_records(str(self.results), self.records, since=0)


@pytest.fixture
def job(tmp_path, monkeypatch, request):
    made = ManyRecords(tmp_path, monkeypatch, getattr(request, "param", None))
    yield made
    made.close()


@pytest.mark.parametrize("elsewhere", [False, True])
def test_a_run_that_stops_begins_no_further_record_of_a_job(job, elsewhere):
    """On a cluster, its list is removed."""
    stop = Path(job.arguments[0]).unlink if elsewhere else (job.scope / client.STOPPED).touch
    running = job.start()
    assert job.answer(None) == job.records[0]
    assert job.answer("too wide", stop) == job.records[1]
    assert running.wait(timeout=90) == 1
    assert job.failed == {job.records[1]: "too wide"}
    assert job.log.read_text() == (
        f"error: {client.INTERRUPTED}: the run stopped before 1 of 3 records\n"
    )


def test_stopping_a_run_marks_its_folder_and_signals_snakemake(tmp_path, monkeypatch):
    sent = []
    monkeypatch.setattr("os.kill", lambda *given: sent.append(given))
    assert not client.has_stopped(str(tmp_path), __file__)
    client.stop_run(str(tmp_path), 7)
    assert client.has_stopped(str(tmp_path), __file__)
    client.stop_run(str(tmp_path / "gone"), 8)
    assert sent == [(7, signal.SIGTERM), (8, signal.SIGTERM)]


@pytest.mark.parametrize("job", ["0" * 16], indirect=True)
def test_a_job_that_fails_before_its_first_record_fails_this_record(job):
    Path(client.store_of(job.records[0])).parent.mkdir(parents=True)
    Path(client.store_of(job.records[0])).write_text("{}\n")  # an earlier attempt trained it
    assert job.start().wait(timeout=90) == 1
    ((record, cause),) = job.failed.items()
    assert record == job.records[1]
    assert cause.startswith("the study, its model file, a module of it or Gridloom changed")
    assert job.log.read_text().startswith(f"error: {cause}")
