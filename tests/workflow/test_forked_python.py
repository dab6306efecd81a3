"""Promises of the forks that tested runs consist of: each is as a program started by a shell."""

from __future__ import annotations

import json
import os
import subprocess
import sys

import pytest

from tests.workflow.forked_python import _SERVERS, LIBRARIES, forked_python

PROGRAM = """
import json, os, signal, sys, tempfile
from pathlib import Path
seen = [sys.argv[2:], sys.path, os.getcwd(), dict(os.environ), sys.executable, __name__, __file__]
seen += [os.getpgid(0), os.getsid(0), tempfile.gettempdir(), sys.stdin.read()]
os.write(int(sys.argv.pop(1)), b"written")
print(json.dumps(seen))
print("tensorflow" in sys.modules, file=sys.stderr)
if sys.argv[1] == "killed":
    os.kill(os.getpid(), signal.SIGKILL)
sys.exit(int(sys.argv[1]))
"""

pytestmark = pytest.mark.skipif(sys.platform != "linux", reason="elsewhere, nothing is a fork")


def run(python, file, ending, **variables):
    """Run the program; return its status, what it saw and wrote, and whether it is a fork."""
    read, write = os.pipe()
    environment = {**os.environ, "PYTHONPATH": "/somewhere", "TMPDIR": str(file.parent)}
    environment["PWD"] = str(file.parent)
    done = subprocess.run(
        [python, str(file), str(write), ending],
        cwd=file.parent,
        env={**environment, **variables},
        input="asked",
        pass_fds=[write],
        capture_output=True,
        text=True,
        check=False,
    )
    os.close(write)
    with open(read) as piped:
        written = piped.read()
    seen = json.loads(done.stdout) if done.stdout else None
    return (done.returncode, seen, written), done.stderr == "True\n"


@pytest.mark.parametrize("ending", ["0", "3", "killed"])
def test_a_fork_sees_and_leaves_what_a_program_does(tmp_path, ending):
    file = tmp_path / "program.py"
    file.write_text(PROGRAM)
    started, _ = run(sys.executable, file, ending)
    forked, is_fork = run(forked_python(), file, ending)
    assert is_fork
    assert forked == started
    assert started[0] == (-9 if ending == "killed" else int(ending))


def test_a_program_for_which_packages_may_differ_is_no_fork(tmp_path):
    file = tmp_path / "program.py"
    file.write_text(PROGRAM)
    started, is_fork = run(forked_python(), file, "3", KERAS_HOME=str(tmp_path))
    assert not is_fork
    assert started[0] == 3


@pytest.mark.slow
def test_a_forking_process_that_died_is_replaced(tmp_path):
    file = tmp_path / "program.py"
    file.write_text(PROGRAM)
    python = forked_python()
    server = _SERVERS[LIBRARIES]
    server.kill()
    server.wait()
    _, is_fork = run(python, file, "3")
    assert not is_fork
    with pytest.warns(UserWarning, match="ended with -9"):
        assert forked_python() == python
    _, is_fork = run(python, file, "3")
    assert is_fork
