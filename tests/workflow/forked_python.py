"""Runs `snakemake` and what it starts in forks of processes that have imported the packages.

Most of the processor time of a short run are imports of what is installed, the same each time: one
second for Snakemake, half a second for a script, five for TensorFlow. So two processes import these
packages once, and fork for each program: one for `snakemake`, one for the programs that it starts.
A fork has its own process id, environment, folder and files, reads the workflow and the library
of the project under test anew, and ends as any Python process does.

What `Project.start` and `Project.run_command` run is started without any of this.
"""

from __future__ import annotations

import atexit
import gc
import json
import os
import select
import shlex
import signal
import socket
import subprocess
import sys
import tempfile
import threading
import traceback
import types
import warnings
from functools import cache
from importlib import import_module
from pathlib import Path
from typing import Any

#: A run that takes longer is ended.
LIMIT_SECONDS = 300

#: What the process imports that forks `snakemake`; and the one that forks what it starts.
SNAKEMAKE = (
    "snakemake.cli",
    # Imported by any run.
    "docutils.core",
    "jsonschema",
    "nbformat",
    "platformdirs",
    "smart_open",
    "snakemake.report.html_reporter",
    "snakemake.storage",
    "yte",
)
LIBRARIES = (
    "jinja2",
    "keras",
    "markdown_it",
    "matplotlib.backends.backend_agg",
    "matplotlib.backends.backend_pdf",
    "matplotlib.backends.backend_svg",
    "matplotlib.figure",
    "pandas",
    "pooch",
    "pyarrow.dataset",
    "pyarrow.parquet",
    "pydantic.main",
    "scipy.stats",
    "sklearn.compose",
    "sklearn.linear_model",
    "sklearn.model_selection",
    "snakemake.io",
    "snakemake.iocontainers",
    "snakemake.script",
    "tenacity",
    "tensorflow",
    "yaml",
)

#: Variables that packages read when they are imported.
_READ_AT_IMPORT = ("HOME", "KERAS_", "LANG", "LC_", "MPL", "PYTHON", "TF_", "XDG_", "XLA_")


def run_snakemake(
    arguments: list[str], folder: Path, environment: dict[str, str]
) -> subprocess.CompletedProcess[str]:
    """Run `snakemake` to its end in a folder; return its status and what it printed."""
    from tests.workflow.asking import ask

    command = [str(Path(sys.executable).parent / "snakemake"), *arguments]
    with tempfile.TemporaryFile("w+") as out, tempfile.TemporaryFile("w+") as err:
        with open(os.devnull) as null:
            status = ask(
                _server(SNAKEMAKE),
                command,
                str(folder),
                environment,
                {0: null.fileno(), 1: out.fileno(), 2: err.fileno()},
                executable=forked_python(),
                seconds=LIMIT_SECONDS,
            )
        assert status is not None, "the process that forks `snakemake` could not fork"
        for file in (out, err):
            file.seek(0)
        return subprocess.CompletedProcess(command, status, out.read(), err.read())


def forked_python() -> str:
    """Return a ``python`` whose programs are forks; with options that a host has not, the real."""
    if sys.platform != "linux":
        return sys.executable
    return _python(_server(LIBRARIES))


#: The client of the workers is no fork, but the host that it may start is. It is bytecode.
_CLIENT = """
import marshal, sys
sys.executable = sys.argv[1]
del sys.argv[:2]
program = {"__name__": "__main__", "__file__": sys.argv[0]}
exec(marshal.loads(open(sys.argv[0], "rb").read()[16:]), program)
"""


@cache
def _python(address: str) -> str:
    asking = shlex.join([sys.executable, "-I", "-S", str(Path(__file__).with_name("asking.py"))])
    python, address = shlex.quote(sys.executable), shlex.quote(address)
    path = _folder() / "bin" / "python"
    path.parent.mkdir()
    path.write_text(
        "#!/bin/sh\n"
        'case "$*" in\n'
        # A worker without a host ends with its parent, and a fork has another one.
        f'*" --once "*) exec {python} "$@" ;;\n'
        f'"-S -E -P "*) shift 3; exec {python} -S -E -P -c {shlex.quote(_CLIENT)} "$0" "$@" ;;\n'
        f'"-P "* | [!-]*) exec {asking} {python} {address} "$@" ;;\n'
        f'*) exec {python} "$@" ;;\n'
        "esac\n"
    )
    path.chmod(0o755)
    return str(path)


@cache
def _temporary() -> tempfile.TemporaryDirectory[str]:
    return tempfile.TemporaryDirectory(dir="/tmp")  # a socket's path must be short


def _folder() -> Path:
    return Path(_temporary().name)


def _server(packages: tuple[str, ...]) -> str:
    """Return the socket's address of a forking process, which ends with this one.

    It is started if there is none, also after it died: then a warning holds what it printed.
    """
    address, printed = (str(_folder() / f"{packages[0]}{kind}") for kind in ("", ".err"))
    if packages in _SERVERS:
        server = _SERVERS[packages]
        status = server.poll()
        if status is None:
            return address
        server.stdin.close()
        server.stdout.close()
        with warnings.catch_warnings():
            warnings.simplefilter("default")  # the tests go on
            said = Path(printed).read_text()
            warnings.warn(f"a forking process ended with {status}: {said}", stacklevel=2)
        Path(address).unlink()
    # The project under test names the library that a run imports; none is imported before.
    kept = {name: value for name, value in os.environ.items() if name != "PYTHONPATH"}
    with open(printed, "w") as err:
        _SERVERS[packages] = subprocess.Popen(
            [sys.executable, __file__, address, *packages],
            cwd="/",
            env=kept,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=err,
        )
    _SERVERS[packages].stdout.readline()  # it listens
    return address


#: Packages that a process has imported → the process.
_SERVERS: dict[tuple[str, ...], subprocess.Popen[bytes]] = {}


def _serve(address: str, *packages: str) -> dict[str, Any]:
    """Fork for each program that is asked for; return, in the fork, what was asked for."""
    at_import, path = _at_import(dict(os.environ)), list(sys.path)
    # As `gridloom.workers.process.set_libraries`: threads do not survive a fork.
    os.environ["TF_ENABLE_ONEDNN_OPTS"] = "1"
    for library in ("OMP", "OPENBLAS", "MKL"):
        os.environ[f"{library}_NUM_THREADS"] = "1"
    signal.signal(signal.SIGCHLD, signal.SIG_IGN)
    listener = socket.socket(socket.AF_UNIX)
    listener.bind(address)
    listener.listen(128)
    print("listening", flush=True)
    imported = False
    while True:
        ready, _, _ = select.select([0, listener], [], [])
        if 0 in ready:
            os._exit(0)  # the tests have ended
        connection, _ = listener.accept()
        # At the first request, because many a test asks for none.
        if not imported:
            imported = True
            gc.disable()
            for package in packages:
                import_module(package)
            assert "gridloom" not in sys.modules
            sys.path[:] = path  # Snakemake's import adds to it
            gc.freeze()
            gc.enable()
        try:
            forked = os.fork()
        except OSError:  # no memory, or too many processes
            traceback.print_exc()
            connection.sendall(b"null\n")
            forked = -1
        if forked:
            connection.close()
            continue
        listener.close()
        signal.signal(signal.SIGCHLD, signal.SIG_DFL)
        asked = _read(connection)
        # Snakemake's own packages read none of these variables.
        if packages != SNAKEMAKE and _at_import(asked["environment"]) != at_import:
            connection.sendall(b"null\n")
            os._exit(0)
        child = os.fork()
        if child == 0:
            connection.close()
            return asked
        _watch(connection, child, asked["files"])


def _at_import(environment: dict[str, str]) -> dict[str, str]:
    return {
        name: value
        for name, value in environment.items()
        if name.startswith(_READ_AT_IMPORT) and name != "PYTHONPATH"
    }


def _read(connection: socket.socket) -> dict[str, Any]:
    """Read what is asked for; ``files`` maps the numbers in the fork to those here."""
    _, files, _, _ = socket.recv_fds(connection, 1, 64)
    with connection.makefile() as lines:
        asked = json.loads(lines.readline())
    return {**asked, "files": dict(zip(asked["files"], files, strict=True))}


def _watch(connection: socket.socket, child: int, files: dict[int, int]) -> None:
    """Report how a fork ends; kill it if the process that asked for it ends."""
    for file in files.values():
        os.close(file)
    ended = os.pidfd_open(child)
    ready, _, _ = select.select([ended, connection], [], [])
    if ended not in ready:
        os.kill(child, signal.SIGKILL)
    _, status = os.waitpid(child, 0)
    connection.sendall(b"%d\n" % os.waitstatus_to_exitcode(status))
    os._exit(0)


def _become(asked: dict[str, Any]) -> str:
    """Take on all that a program started in a shell has; return its code."""
    session, group = asked["group"]
    if session == group and session != os.getsid(0):
        os.setsid()
    files = asked["files"]
    # First above all numbers that are asked for.
    above = [os.dup2(file, 1000 + number) for number, file in files.items()]
    for file in files.values():
        os.close(file)
    for number, file in zip(files, above, strict=True):
        os.dup2(file, number)
        os.close(file)
    os.chdir(asked["folder"])
    os.environ.clear()
    os.environ.update(asked["environment"])
    tempfile.tempdir = None  # may have been read from another environment
    library = [path for path in os.environ.get("PYTHONPATH", "").split(os.pathsep) if path]
    match asked["arguments"]:
        case ["-P", "-c", code, *rest]:
            sys.argv, sys.path[:1] = ["-c", *rest], library
        case [file, *rest]:
            sys.argv, sys.path[:1] = [file, *rest], [str(Path(file).parent), *library]
            code = Path(file).read_text()
    if asked["executable"] is not None:
        sys.executable = asked["executable"]
    return code


def _run(code: str) -> int:
    """Run a program; return its exit status."""
    program = types.ModuleType("__main__")
    program.__file__ = sys.argv[0]
    sys.modules["__main__"] = program
    try:
        exec(compile(code, sys.argv[0], "exec"), vars(program))
    except SystemExit as ended:
        if ended.code is None or isinstance(ended.code, int):
            return ended.code or 0
        print(ended.code, file=sys.stderr)
        return 1
    except BaseException:
        traceback.print_exc()
        return 1
    return 0


if __name__ == "__main__":
    here = sys.modules["__main__"]  # would end without a reference
    status = _run(_become(_serve(*sys.argv[1:])))
    # The end of Python, but for clearing all modules, which would copy the memory of the packages.
    threading._shutdown()
    atexit._run_exitfuncs()
    sys.stdout.flush()
    sys.stderr.flush()
    os._exit(status & 0xFF)
