"""The library's own errors: mistakes of a person, each with a message for that person."""

from __future__ import annotations

import difflib
import sys
import traceback
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import NoReturn

TOO_LARGE = "there is too little memory for this; take fewer rows, or a larger machine"

#: Longest message of an unexpected error in a log, in characters.
MAX_MESSAGE = 2_000


class GridloomError(Exception):
    """A mistake that a person can mend; its text says what, where and what to do."""

    @property
    def in_full(self) -> str:
        """The text for the log, where it may be longer than on the screen."""
        return str(self)


class GridloomWarning(UserWarning):
    """Something that a person should know of a result."""


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


class BackendError(GridloomError):
    """Keras is set to run on another library than TensorFlow."""


def nearest(name: str, known: Iterable[str]) -> str:
    """Return `` (did you mean 'x'?)`` for the known name nearest to `name`, or an empty text.

    Capital and small letters count as one.
    """
    spelt = {other.lower(): other for other in known}
    matches = difflib.get_close_matches(name.lower(), list(spelt), n=1, cutoff=0.6)
    return f" (did you mean {spelt[matches[0]]!r}?)" if matches else ""


def shortened(text: str, characters: int) -> str:
    """Cut out of the middle of a text what is too much: TensorFlow's errors hold whole arrays."""
    if len(text) <= characters:
        return text
    end = characters // 4
    cut = len(text) - characters
    return f"{text[: characters - end]} … {cut:,} characters cut … {text[len(text) - end :]}"


def told_traceback(error: BaseException) -> str:
    """Return the traceback of an unexpected error, each message in it of bounded length."""
    return "".join(
        shortened(part.rstrip("\n"), MAX_MESSAGE) + "\n"
        for part in traceback.format_exception(error)
    )


@contextmanager
def told_in(log: str) -> Iterator[None]:
    """End a script with one message, in its log and on the screen, at a person's mistake."""

    def end(message: str, in_full: str) -> NoReturn:
        with suppress(OSError):  # a full disk may be what it is about
            Path(log).write_text(f"{in_full}\n", encoding="utf-8")
        sys.exit(message)

    try:
        yield
    except GridloomError as error:
        end(str(error), error.in_full)
    except MemoryError:
        end(TOO_LARGE, TOO_LARGE)
    except KeyboardInterrupt:
        sys.exit("interrupted")
