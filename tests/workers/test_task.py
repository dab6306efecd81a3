"""Promises of tasks: asked of the host where there is one, else done here, and one message."""

from __future__ import annotations

import json
import os
import socket
import sys
import threading

import pytest

from gridloom.errors import GridloomError, StudyError
from gridloom.workers import task as tasks
from gridloom.workers.task import Task, run_task


def note(path, text):
    print(f"noting {text}")
    with open(path, "w") as file:
        file.write(text)


def refuse(what):
    raise StudyError(f"{what}: is wrong")


def break_down():
    raise ValueError("broken")


@pytest.fixture
def task(tmp_path, monkeypatch):
    """Return what makes a task of a function here; TensorFlow is left as it is."""
    monkeypatch.setattr(tasks, "set_devices", lambda threads, devices: None)

    def make(name, **arguments):
        # As in a process of its own, not where pytest has it.
        monkeypatch.setattr(sys, "stdout", os.fdopen(1, "w", closefd=False))
        return Task(f"{__name__}:{name}", arguments, 1, str(tmp_path / "task.log"))

    return make


def test_without_a_host_a_task_is_done_here(task, tmp_path):
    run_task(task("note", path=str(tmp_path / "note"), text="done"), str(tmp_path))
    assert (tmp_path / "note").read_text() == "done"
    assert (tmp_path / "task.log").read_text() == "noting done\n"
    run_task(task("note", path=str(tmp_path / "note"), text="again"), None)
    assert (tmp_path / "note").read_text() == "again"


def test_a_persons_mistake_is_one_message_and_another_error_is_in_the_log(task, tmp_path):
    with pytest.raises(GridloomError, match="units: is wrong"):
        run_task(task("refuse", what="units"), None)
    with pytest.raises(GridloomError, match=r"^ValueError: broken; see .*task\.log$"):
        run_task(task("break_down"), None)
    assert "Traceback" in (tmp_path / "task.log").read_text()


@pytest.mark.parametrize("answer", [{"error": None}, {"error": "it failed"}, None])
def test_a_host_is_asked_and_its_answer_counts(task, tmp_path, answer):
    listener = socket.socket(socket.AF_UNIX)
    listener.bind(str(tmp_path / "host.sock"))
    listener.listen()
    asked = []

    def serve():
        connection, _ = listener.accept()
        with connection:
            asked.append(json.loads(connection.makefile().readline()))
            if answer is not None:
                connection.sendall(json.dumps(answer).encode() + b"\n")

    host = threading.Thread(target=serve)
    host.start()
    mine = task("note", path=str(tmp_path / "note"), text="here")
    if answer == {"error": "it failed"}:
        with pytest.raises(GridloomError, match=r"^it failed$"):
            run_task(mine, str(tmp_path))
    else:
        run_task(mine, str(tmp_path))
    host.join()
    listener.close()
    assert Task(**asked[0]["task"]) == mine
    # A host that ends without an answer did nothing.
    assert (tmp_path / "note").exists() == (answer is None)
