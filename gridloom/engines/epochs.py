"""The epoch that a fit is in, which another thread of the process may read while it runs.

A process fits one network or lockstep at a time.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

from gridloom.engines.types import Training


@dataclass(frozen=True)
class RunningFit:
    """A fit that is running.

    Attributes
    ----------
    trainings
        Those that it fits together.
    epochs
        Number of its epochs; fewer if it stops early.
    finished
        Returns how many epochs are finished.
    """

    trainings: Sequence[Training]
    epochs: int
    finished: Callable[[], int]

    def as_json(self) -> dict[str, int | None]:
        """Return where it stands: epochs finished of all, and its repetition if it has just one."""
        repetitions = {training.repetition for training in self.trainings}
        return {
            "finished": self.finished(),
            "epochs": self.epochs,
            "repetition": repetitions.pop() if len(repetitions) == 1 else None,
        }


_last: RunningFit | None = None


def begin(fit: RunningFit | None) -> None:
    """Note the fit that begins now; None if its epoch cannot be known."""
    global _last
    _last = fit


def last_fit() -> RunningFit | None:
    """Return the fit that began last in this process; None if its epoch is not known."""
    return _last
