"""The processes of a run, the files that they leave, and studies slow enough to observe them."""

from __future__ import annotations

import contextlib
import time
from pathlib import Path

from tests.workflow.conftest import processes_with


def processes_of(project) -> list[int]:
    """List the processes of a project, found by its temporary folder."""
    return processes_with(project.temporary)


def host_and_workers(project) -> tuple[list[int], list[int]]:
    """Return the host and its workers, which are its forks and have its command line."""
    found = [process for process in processes_of(project) if process not in clients_of(project)]
    parents = {}
    for process in found:
        with contextlib.suppress(OSError):
            fields = Path(f"/proc/{process}/stat").read_text().rpartition(")")[2].split()
            parents[process] = int(fields[1])
    hosts = [process for process, parent in parents.items() if parent not in parents]
    return hosts, [process for process in parents if process not in hosts]


def training(project) -> bool:
    """Return whether a warm worker has begun a job: it listens, and the job has a log."""
    sockets = (file.name for folder in left_behind(project) for file in folder.glob("*.sock"))
    logs = (project.results / "logs" / "points").rglob("*.log")
    return any(name != "host.sock" for name in sockets) and any(logs)


def left_behind(project) -> list[Path]:
    """List what the workers left in the temporary folder."""
    return list(project.temporary.glob("gridloom*"))


def wait_for(condition, seconds=90.0):
    """Wait for a condition as long as a loaded machine may take; return whether it holds."""
    deadline = time.monotonic() + seconds
    while time.monotonic() < deadline:
        if condition():
            return True
        time.sleep(0.02)
    return False


def make_long(project, points=30, epochs=60, **changes):
    """Give the project a study that takes a while."""
    project.change(
        **changes,
        repetitions=1,
        hyperparameters={
            "units": [1, 4],
            "dropout": [0, 0.3],
            "learning_rate": {"linspace": [0.01, 0.2, points // 4 + 1]},
            "batch_size": 4,
            "epochs": epochs,
        },
    )


def make_endless(project, epochs=5000):
    """Give the project one training that takes minutes."""
    knobs = {"units": 4, "dropout": 0, "batch_size": 1, "epochs": epochs}
    project.change(repetitions=1, hyperparameters=knobs)


def clients_of(project) -> list[int]:
    """List the clients of a project's jobs."""
    found = []
    for process in processes_of(project):
        with contextlib.suppress(OSError):
            words = Path(f"/proc/{process}/cmdline").read_text().split("\0")
            if any(word.endswith("client.pyc") for word in words):
                found.append(process)
    return found


def wait_for_client(project) -> list[int]:
    wait_for(lambda: clients_of(project))
    return clients_of(project)
