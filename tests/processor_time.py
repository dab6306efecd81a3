"""Processor time of work, to compare with other work on the same machine.

No test asserts a time: a slow or loaded machine would fail it.
"""

from __future__ import annotations

import resource
import time
from collections.abc import Callable


def in_turns(*works: Callable[[], object], turns: int = 3) -> list[float]:
    """Do each work in turns; return the least processor seconds of each in this process."""
    return _least(time.process_time, works, turns)


def of_children_in_turns(*works: Callable[[], object], turns: int = 5) -> list[float]:
    """As `in_turns`, of the processes that each work starts and waits for."""

    def seconds() -> float:
        used = resource.getrusage(resource.RUSAGE_CHILDREN)
        return used.ru_utime + used.ru_stime

    return _least(seconds, works, turns)


def _least(
    clock: Callable[[], float], works: tuple[Callable[[], object], ...], turns: int
) -> list[float]:
    seconds: list[list[float]] = [[] for _ in works]
    for _ in range(turns):
        for work, own in zip(works, seconds, strict=True):
            started = clock()
            work()
            own.append(clock() - started)
    return [min(own) for own in seconds]
