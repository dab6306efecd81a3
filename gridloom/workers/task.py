"""Tasks: work beside the trainings that needs TensorFlow, in a fork of the host where there is one.

The host has imported TensorFlow, which takes five seconds; a fork of it starts in milliseconds.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from importlib import import_module
from pathlib import Path
from typing import Any

from gridloom.errors import MAX_MESSAGE, GridloomError, format_traceback, shortened
from gridloom.workers import client
from gridloom.workers.process import loading, output_to, set_devices, set_libraries


@dataclass(frozen=True)
class Task:
    """A function to call.

    Attributes
    ----------
    function
        Such as ``gridloom.baselines.measure:write_baselines``.
    arguments
        Its arguments by name, as JSON takes them.
    threads
        What TensorFlow may use; it gets no GPU.
    log
        File that takes what the function prints.
    """

    function: str
    arguments: Mapping[str, Any]
    threads: int
    log: str

    def run(self) -> str | None:
        """Call the function in this process; return what went wrong, or None."""
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
    """Run a task in a fork of the host, or here where no host answers.

    Parameters
    ----------
    scope
        Folder in which this run's clients meet its workers; None if there is none.

    Raises
    ------
    GridloomError
        If it fails.
    """
    answer = "" if scope is None else _asked(task, Path(scope))
    if answer:
        error = json.loads(answer)["error"]
    else:
        set_libraries()
        error = task.run()
    if error is not None:
        raise GridloomError(error)


def _asked(task: Task, scope: Path) -> str:
    """Return the host's answer; an empty text if there is no host, or it ended."""
    host = client.try_connecting(str(scope / "host.sock"))
    if host is None:
        return ""
    with host:
        try:
            host.sendall(json.dumps({"task": asdict(task)}).encode() + b"\n")
            return host.makefile(encoding="utf-8").readline()
        except OSError:
            return ""
