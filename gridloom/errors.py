"""The library's own errors: a user's mistakes, each with a message for the user."""

from __future__ import annotations

import difflib
import signal
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
    """A mistake that the user can correct; its text says what, where and what to do."""

    @property
    def in_full(self) -> str:
        """The text for the log, which may be longer than that for the screen."""
        return str(self)


class GridloomWarning(UserWarning):
    """Something that the user should know about a result."""


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
    """The data cannot be read or downloaded, or is not what the study says.

    Parameters
    ----------
    problems
        One sentence for each mistake.
    """

    SHOWN = 20

    def __init__(self, *problems: str) -> None:
        self.problems = problems
        more = len(problems) - self.SHOWN
        lines = [*problems[: self.SHOWN], *([f"and {more:,} more; see the log"] * (more > 0))]
        mark = "- " if len(problems) > 1 else ""
        super().__init__("\n".join(f"{mark}{line}" for line in lines))

    @property
    def in_full(self) -> str:
        """All of the problems."""
        return "\n".join(self.problems)


class Problems:
    """Collects mistakes in the data, so that the user sees all of them at once."""

    def __init__(self) -> None:
        self.found: dict[str, None] = {}

    @contextmanager
    def noted(self) -> Iterator[None]:
        """Note a `DataError` of the block; what follows the block goes on."""
        try:
            yield
        except DataError as error:
            self.found.update(dict.fromkeys(error.problems))

    def settle(self) -> None:
        """Raise all that was found as one `DataError`, if anything was."""
        if self.found:
            raise DataError(*self.found)


class ModelError(GridloomError):
    """The model file does not keep its contract."""


class ChangedError(GridloomError):
    """A training finds other files or settings than the study was read with."""


class StoppedError(GridloomError):
    """A training was asked to end before it was finished."""


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
        lines = [*problems[: self.SHOWN], *([f"and {more:,} more; see the log"] * (more > 0))]
        super().__init__("\n".join(lines))

    @property
    def in_full(self) -> str:
        """All of the problems."""
        return "\n".join(self.problems)


class StorageError(GridloomError):
    """A file or folder cannot be written."""


class BackendError(GridloomError):
    """Keras is set to run on another library than TensorFlow."""


def nearest(name: str, known: Iterable[str]) -> str:
    """Return `` (did you mean 'x'?)`` for the known name nearest to `name`, or an empty text.

    Upper and lower case are not distinguished.
    """
    spelt = {other.lower(): other for other in known}
    matches = difflib.get_close_matches(name.lower(), list(spelt), n=1, cutoff=0.6)
    return f" (did you mean {spelt[matches[0]]!r}?)" if matches else ""


def shortened(text: str, characters: int) -> str:
    """Shorten a text by cutting out its middle: TensorFlow's errors can contain whole arrays."""
    if len(text) <= characters:
        return text
    end = characters // 4
    cut = len(text) - characters
    return f"{text[: characters - end]} … {cut:,} characters cut … {text[len(text) - end :]}"


def format_traceback(error: BaseException) -> str:
    """Return the traceback of an unexpected error, with long messages shortened."""
    return "".join(
        shortened(part.rstrip("\n"), MAX_MESSAGE) + "\n"
        for part in traceback.format_exception(error)
    )


@contextmanager
def report_mistakes(log: str) -> Iterator[None]:
    """End a script with one message, in its log and on the screen, if the user made a mistake."""

    def end(message: str, in_full: str) -> NoReturn:
        with suppress(OSError):  # the message may be about a full disk
            Path(log).write_text(f"{in_full}\n", encoding="utf-8")
        sys.exit(message)

    # Before, the script was started so that it ignores Ctrl-C (see `gridloom.workflow.adapter`).
    signal.signal(signal.SIGINT, signal.default_int_handler)
    try:
        yield
    except GridloomError as error:
        end(str(error), error.in_full)
    except MemoryError:
        end(TOO_LARGE, TOO_LARGE)
    except KeyboardInterrupt:
        sys.exit("interrupted")
