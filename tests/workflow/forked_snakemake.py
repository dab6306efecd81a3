"""Runs the `snakemake` command in forks of a process that has imported it.

Two thirds of the processor time of a start are imports of what is installed, the same each time.
A fork has its own process id, environment, folder and output, reads the workflow and the library
of the project under test anew, and ends as any Python process does.
"""

from __future__ import annotations

import gc
import json
import os
import signal
import subprocess
import sys
import tempfile
from functools import cache
from pathlib import Path

#: A run that takes longer is ended by SIGALRM.
LIMIT_SECONDS = 300


def run_snakemake(
    arguments: list[str], folder: Path, environment: dict[str, str]
) -> subprocess.CompletedProcess[str]:
    """Run `snakemake` to its end in a folder; return its status and what it printed."""
    server = _server()
    with tempfile.TemporaryDirectory() as printed:
        out, err = Path(printed, "out"), Path(printed, "err")
        asked = [arguments, str(folder), environment, str(out), str(err)]
        server.stdin.write(json.dumps(asked) + "\n")
        server.stdin.flush()
        status = int(server.stdout.readline())
        return subprocess.CompletedProcess(arguments, status, out.read_text(), err.read_text())


@cache
def _server() -> subprocess.Popen[str]:
    """Start the forking process, one for each test process, with which it ends."""
    # The project under test names the library that a run imports; none is imported before.
    kept = {name: value for name, value in os.environ.items() if name != "PYTHONPATH"}
    return subprocess.Popen(
        [sys.executable, __file__],
        cwd="/",
        env=kept,
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    )


def _serve() -> list[str]:
    """Fork for each line that asks for a run; return its arguments in the fork."""
    for line in sys.stdin:
        arguments, folder, environment, out, err = json.loads(line)
        child = os.fork()
        if child == 0:
            _become(folder, environment, out, err)
            return arguments
        _, status = os.waitpid(child, 0)
        print(os.waitstatus_to_exitcode(status), flush=True)
    os._exit(0)


def _become(folder: str, environment: dict[str, str], out: str, err: str) -> None:
    """Take on the folder, environment and output of a command started in a shell."""
    signal.alarm(LIMIT_SECONDS)
    os.chdir(folder)
    os.environ.clear()
    os.environ.update(environment)
    # As the interpreter does when it starts.
    library = [path for path in environment.get("PYTHONPATH", "").split(os.pathsep) if path]
    sys.path[:1] = [str(Path(sys.executable).parent), *library]
    for number, path, flags in (
        (0, os.devnull, os.O_RDONLY),
        (1, out, os.O_WRONLY | os.O_CREAT),
        (2, err, os.O_WRONLY | os.O_CREAT),
    ):
        opened = os.open(path, flags, 0o600)
        os.dup2(opened, number)
        os.close(opened)


if __name__ == "__main__":
    from snakemake import cli

    assert "gridloom" not in sys.modules
    gc.freeze()
    asked_for = _serve()
    sys.argv = [str(Path(sys.executable).parent / "snakemake"), *asked_for]
    sys.exit(cli.main())
