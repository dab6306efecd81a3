"""What else runs in forks of the workers' host: tasks, and the scripts of rules.

The host has imported TensorFlow, pandas, SciPy and Matplotlib, which takes five seconds; a fork of
it starts in milliseconds. A task is a function that needs TensorFlow but trains no network of the
study. Where there is no host, both run in a process of their own.
"""

from __future__ import annotations

import contextlib
import gc
import json
import os
import runpy
import signal
import sys
import traceback
from collections.abc import Iterable, Mapping
from dataclasses import asdict, dataclass
from importlib import import_module
from pathlib import Path
from typing import Any

from gridloom.errors import MAX_MESSAGE, GridloomError, format_traceback, shortened
from gridloom.workers import client
from gridloom.workers.process import loading, output_to, set_devices, set_libraries

#: Set in a fork that runs a script.
_IN_HOST = "GRIDLOOM_IN_HOST"


@dataclass(frozen=True)
class Task:
    """A function to call.

    Attributes
    ----------
    function
        Such as ``gridloom.baselines.measure:write_baselines``.
    arguments
        Its arguments by name; values that JSON has.
    threads
        Number of threads for TensorFlow; it gets no GPU.
    log
        File for what the function prints.
    onednn
        Whether TensorFlow uses oneDNN, as in the study.
    nice
        By how much its process lowers its priority.
    """

    function: str
    arguments: Mapping[str, Any]
    threads: int
    log: str
    onednn: bool
    nice: int = 0

    def run(self) -> str | None:
        """Call the function in this process; return the error as a message, or None."""
        os.nice(self.nice)
        module, _, name = self.function.partition(":")
        with output_to(self.log):
            try:
                with loading():
                    set_devices(self.threads, [])
                    function = getattr(import_module(module), name)
                function(**self.arguments)
            except GridloomError as error:
                return str(error)
            except Exception as error:
                print(format_traceback(error))
                return shortened(f"{type(error).__name__}: {error}; see {self.log}", MAX_MESSAGE)
        return None


def run_task(task: Task, scope: str | None) -> None:
    """Run a task in a fork of the host, or in this process if no host answers.

    Parameters
    ----------
    scope
        Folder in which this run's clients meet its workers; None if there is none.

    Raises
    ------
    GridloomError
        If the task fails.
    """
    answer = None if scope is None else ask_host(task, Path(scope))
    if answer is not None:
        error = answer["error"]
    else:
        set_libraries(task.onednn)
        error = task.run()
    if error is not None:
        raise GridloomError(error)


def ask_host(task: Task, scope: Path) -> dict[str, str | None] | None:
    """Have the host run a task, and wait for its answer.

    Returns
    -------
    dict or None
        With the ``error``, or None in its place; None if there is no host, or if it has ended.
    """
    answer: dict[str, str | None] | None = _ask({"task": asdict(task)}, scope, [task.onednn])
    return answer


def in_host(script: str) -> None:
    """Have the host run a rule's script, and end this process as it ended; return if it cannot.

    Called before a script imports anything large. In the fork, the call returns at once.

    Parameters
    ----------
    script
        File that Snakemake made of the script, ``__real_file__`` in it.
    """
    scope = os.environ.get("GRIDLOOM_SCOPE")
    if scope is None or os.environ.get(_IN_HOST):
        return
    # The job was started so that it ignores Ctrl-C (see `gridloom.workflow.adapter`).
    signal.signal(signal.SIGINT, signal.default_int_handler)
    try:
        answer = _ask({"script": script}, Path(scope), [True, False])
    except KeyboardInterrupt:  # the fork ends with this connection
        sys.exit("interrupted")
    if answer is not None:
        sys.stderr.write(answer["said"])
        sys.exit(answer["status"])


def run_script(script: str, said: Path) -> int:
    """Run a rule's script in this process, a fork of the host; return its exit status.

    Parameters
    ----------
    said
        File for what it prints.
    """
    os.environ[_IN_HOST] = "1"
    # Figures are made of many objects that last as long as they do; the default of 700 took a
    # twentieth of the time of a script that draws.
    gc.set_threshold(50_000)
    with output_to(said):
        try:
            runpy.run_path(script, run_name="__main__")
        except SystemExit as end:
            if isinstance(end.code, str):
                print(end.code, file=sys.stderr)
            return end.code if isinstance(end.code, int) else int(end.code is not None)
        except BaseException:
            traceback.print_exc()
            return 1
    return 0


def _ask(request: Mapping[str, Any], scope: Path, onednn: Iterable[bool]) -> Any:
    """Send a request to a host, and wait for the answer; None if there is none.

    Parameters
    ----------
    onednn
        Whether the host may use oneDNN: the first that answers will do.
    """
    files = (str(scope / f"{client.host_name(choice)}.sock") for choice in onednn)
    host = next(filter(None, map(client.try_connecting, files)), None)
    if host is None:
        return None
    with contextlib.closing(host):
        try:
            host.sendall(json.dumps(request).encode() + b"\n")
            answer = client.read_line(host)
        except OSError:
            return None
    return json.loads(answer) if answer else None
