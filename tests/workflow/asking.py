"""Asks a process that forks Python programs (see `forked_python`) for one, and waits for its end.

As a program, this file stands for ``python``: it hands over its folder, environment, open files and
place among the processes, and ends as the fork does. It takes milliseconds, so it imports little.
"""

from __future__ import annotations

import contextlib
import json
import os
import signal
import socket
import sys


def ask(
    address: str,
    arguments: list[str],
    folder: str,
    environment: dict[str, str],
    files: dict[int, int],
    *,
    group: tuple[int, int] = (0, 0),
    executable: str | None = None,
    seconds: float | None = None,
) -> int | None:
    """Run a Python program in a fork.

    Parameters
    ----------
    address
        Socket of the process that forks.
    arguments
        Those of ``python``.
    files
        Number of a file in the fork → its number here.
    group
        Session and process group that the fork joins.
    executable
        What the fork takes for its ``python``; None for the real one.
    seconds
        Time after which the fork is killed.

    Returns
    -------
    int or None
        Exit status, negative for a signal; None if the server cannot fork, or the environment is
        not that of the server, whose imported packages may then differ.

    Raises
    ------
    TimeoutError
        If the program takes longer.
    """
    connection = socket.socket(socket.AF_UNIX)
    with connection:
        connection.settimeout(seconds)
        connection.connect(address)
        socket.send_fds(connection, [b"*"], list(files.values()))
        asked = {
            "arguments": arguments,
            "folder": folder,
            "environment": environment,
            "files": list(files),
            "group": group,
            "executable": executable,
        }
        connection.sendall(json.dumps(asked).encode() + b"\n")
        answer = connection.makefile().readline()
    return json.loads(answer) if answer else 1


def _inherited() -> dict[int, int]:
    """Find the files that this process was started with."""
    found = {}
    for name in os.listdir("/proc/self/fd"):
        with contextlib.suppress(OSError):  # that of the folder itself
            if os.get_inheritable(int(name)):
                found[int(name)] = int(name)
    return found


def _main(python: str, address: str, *arguments: str) -> None:
    group = (os.getsid(0), os.getpgid(0))
    try:
        status = ask(
            address, list(arguments), os.getcwd(), dict(os.environ), _inherited(), group=group
        )
    except ConnectionRefusedError:  # the server died; the next test starts another
        status = None
    if status is None:
        os.execv(python, [python, *arguments])
    if status < 0:
        with contextlib.suppress(OSError):  # SIGKILL has no handler
            signal.signal(-status, signal.SIG_DFL)
        os.kill(os.getpid(), -status)
    os._exit(status)


if __name__ == "__main__":
    _main(*sys.argv[1:])
