"""The library's own errors: mistakes of a person, each with a message for that person."""

from __future__ import annotations

import difflib
import sys
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path


class GridloomError(Exception):
    """A mistake that a person can mend; its text says what, where and what to do."""

    @property
    def in_full(self) -> str:
        """The text for the log, where it may be longer than on the screen."""
        return str(self)


class StudyError(GridloomError):
    """Something in the study's configuration is wrong.

    Parameters
    ----------
    problems
        One sentence for each mistake, each opening with the key that it is about.
    """

    def __init__(self, problems: str | Sequence[str]) -> None:
        self.problems = [problems] if isinstance(problems, str) else list(problems)
        super().__init__("\n".join(f"- {problem}" for problem in self.problems))


class DataError(GridloomError):
    """The data cannot be had, or is not what the study says it is."""


class ModelError(GridloomError):
    """The model file does not keep its contract."""


class ChangedError(GridloomError):
    """A training does not find what the study was read with."""


class RecordError(GridloomError):
    """Records of trainings cannot be read.

    Parameters
    ----------
    problems
        One sentence for each record, each opening with its file.
    """

    SHOWN = 5

    def __init__(self, *problems: str) -> None:
        self.problems = problems
        more = len(problems) - self.SHOWN
        told = [*problems[: self.SHOWN], *([f"and {more:,} more, told in the log"] * (more > 0))]
        super().__init__("\n".join(told))

    @property
    def in_full(self) -> str:
        """All of the problems."""
        return "\n".join(self.problems)


class StorageError(GridloomError):
    """The disk does not take what is to be written."""


def nearest(name: str, known: Iterable[str]) -> str:
    """Return `` (did you mean 'x'?)`` for the known name nearest to `name`, or an empty text."""
    matches = difflib.get_close_matches(name, list(known), n=1, cutoff=0.6)
    return f" (did you mean {matches[0]!r}?)" if matches else ""


@contextmanager
def told_in(log: str) -> Iterator[None]:
    """End a script with one message, in its log and on the screen, at a person's mistake."""
    try:
        yield
    except GridloomError as error:
        with suppress(OSError):  # a full disk may be what it is about
            Path(log).write_text(f"{error.in_full}\n", encoding="utf-8")
        sys.exit(str(error))
    except KeyboardInterrupt:
        sys.exit("interrupted")
