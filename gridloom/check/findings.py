"""What a check found, in the file that it writes. Standard library only."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from pathlib import Path

from gridloom.files import write_text


@dataclass(frozen=True)
class Cost:
    """The cost of a job of `train`.

    Attributes
    ----------
    start_seconds
        Time of a job before and after its epochs.
    epoch_seconds
        Time of an epoch of all trainings of the job.
    record_bytes
        Size of its record.
    """

    start_seconds: float
    epoch_seconds: float
    record_bytes: int


@dataclass(frozen=True)
class Findings:
    """The result of a check.

    Attributes
    ----------
    points
        Paths of the points that it looked at, in the order in which it did.
    failed
        Path of a point that cannot train → the cause.
    engines
        Path of a point that can → the engine that trains it.
    one_by_one
        Path of a point → why its repetitions do not train in lockstep; those that do are left out.
    costs
        Path of a point that was timed → the cost of a job; empty if nothing was timed.
    memory_mb
        Memory of a process that trains, in MB; None if nothing was timed.
    """

    points: tuple[str, ...]
    failed: Mapping[str, str]
    engines: Mapping[str, str]
    one_by_one: Mapping[str, str]
    costs: Mapping[str, Cost]
    memory_mb: float | None = None

    def write(self, file: Path) -> None:
        """Write the file that `read` reads."""
        write_text(file, json.dumps(asdict(self)))

    @classmethod
    def read(cls, file: Path) -> Findings:
        """Read the file that `write` wrote."""
        noted = json.loads(file.read_text(encoding="utf-8"))
        noted["points"] = tuple(noted["points"])
        noted["costs"] = {path: Cost(**cost) for path, cost in noted["costs"].items()}
        return cls(**noted)
