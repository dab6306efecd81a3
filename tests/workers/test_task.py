"""Promises of tasks: asked of the host where there is one, else done here, and one message."""

from __future__ import annotations

import json
import os
import signal
import socket
import subprocess
import sys
import threading

import pytest

from gridloom.errors import GridloomError, StudyError
from gridloom.workers import task as tasks
from gridloom.workers.task import Task, in_host, run_script, run_task


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
        return Task(f"{__name__}:{name}", arguments, 1, str(tmp_path / "task.log"), onednn=True)

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


@pytest.mark.parametrize(
    ("code", "status", "said"),
    [
        ("print('noted')", 0, "noted\n"),
        ("import sys; sys.exit(3)", 3, ""),
        ("import sys; sys.exit()", 0, ""),
        ("import sys; sys.exit('dropout: is wrong')", 1, "dropout: is wrong\n"),
        ("raise ValueError('broken')", 1, "ValueError: broken\n"),
    ],
)
def test_a_script_in_a_fork_ends_as_in_a_process_of_its_own(
    tmp_path, monkeypatch, code, status, said
):
    monkeypatch.setattr(sys, "stdout", os.fdopen(1, "w", closefd=False))
    monkeypatch.setattr(sys, "stderr", os.fdopen(2, "w", closefd=False))
    monkeypatch.setenv("GRIDLOOM_IN_HOST", "")  # so that it is as before after the test
    script = tmp_path / "script.py"
    script.write_text(f"from gridloom.workers.task import in_host\nin_host(__file__)\n{code}\n")
    monkeypatch.setenv("GRIDLOOM_SCOPE", str(tmp_path))
    assert run_script(str(script), tmp_path / "said") == status
    assert (tmp_path / "said").read_text().endswith(said)


def test_a_process_ends_as_its_script_ended_in_the_host(tmp_path, monkeypatch, capsys):
    answer = {"status": 1, "said": "dropout: is wrong\n"}
    asked = []
    monkeypatch.setenv("GRIDLOOM_SCOPE", str(tmp_path))
    monkeypatch.setattr(
        tasks, "_ask", lambda request, scope, hosts: asked.append(request) or answer
    )
    with pytest.raises(SystemExit) as end:
        in_host("script.py")
    assert end.value.code == 1
    assert asked == [{"script": "script.py"}]
    assert capsys.readouterr().err == "dropout: is wrong\n"


def test_without_a_host_a_script_goes_on(tmp_path, monkeypatch):
    monkeypatch.setenv("GRIDLOOM_SCOPE", str(tmp_path))
    in_host("script.py")
    monkeypatch.delenv("GRIDLOOM_SCOPE")
    in_host("script.py")


def test_ctrl_c_ends_a_script_that_the_host_runs(tmp_path):
    with socket.socket(socket.AF_UNIX) as listener:
        listener.bind(str(tmp_path / "host.sock"))
        listener.listen()
        client = subprocess.Popen(
            [sys.executable, "-c", "from gridloom.workers.task import in_host; in_host('x.py')"],
            env={**os.environ, "GRIDLOOM_SCOPE": str(tmp_path), "GRIDLOOM_IN_HOST": ""},
            stderr=subprocess.PIPE,
            text=True,
            # As Snakemake starts its jobs.
            preexec_fn=lambda: signal.signal(signal.SIGINT, signal.SIG_IGN),
        )
        connection, _ = listener.accept()
        with connection:
            assert json.loads(connection.makefile().readline()) == {"script": "x.py"}
            client.send_signal(signal.SIGINT)
            _, said = client.communicate(timeout=120)
            # The host sees the end of the connection, and ends the fork.
            assert connection.recv(1) == b""
    assert (client.returncode, said) == (1, "interrupted\n")
