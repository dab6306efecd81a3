"""The rounds of `snakemake confirm`: the plan, what each round found, what comes next.

Nothing heavy is imported here: the rules read these files to know which records a round needs.
"""

from __future__ import annotations

import json
import math
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from gridloom.errors import StudyError
from gridloom.files import write_text
from gridloom.naming.blocks import FIRST_RESERVED
from gridloom.study.schema import Confirm

#: A round has at least the number of repetitions before it, divided by this.
GROWTH = 4


@dataclass(frozen=True)
class Plan:
    """What is settled before the first further training, and kept.

    The number of repetitions of a round is no part of it, because no result depends on that number.

    Attributes
    ----------
    difference
        Difference of the objective that is not worth a training, in the objective's units.
    first
        Repetitions that each configuration gets before any is left out.
    own
        Repetitions that the study itself had then. They are the first ones.
    configurations
        How many are compared.
    alpha
        Probability of a wrong choice.
    diverged_above
        The loss above which a finite training counts as diverged; may be infinite.
    asked
        `difference` and `first_repetitions` as the study had them then.
    """

    difference: float
    first: int
    own: int
    configurations: int
    alpha: float
    diverged_above: float
    asked: Mapping[str, Any]

    @classmethod
    def read(cls, path: Path) -> Plan:
        """Read what `write` wrote; raise `StudyError` if it is no plan."""
        written = _read(path)
        try:
            bound = written.pop("diverged_above")
            return cls(**written, diverged_above=math.inf if bound is None else bound)
        except (KeyError, TypeError) as error:
            raise _damaged(path) from error

    def write(self, path: Path) -> None:
        """Write it as JSON, atomically; an infinite bound is null."""
        bound = self.diverged_above if math.isfinite(self.diverged_above) else None
        _write(path, {**asdict(self), "diverged_above": bound})


def asked_of(confirm: Confirm) -> dict[str, Any]:
    """Return the settings that a plan keeps."""
    return confirm.model_dump(include={"difference", "first_repetitions"})


def describe_kept(plan: Plan, confirm: Confirm, file: str) -> str | None:
    """Say which settings changed since the plan was made; None if none did.

    Parameters
    ----------
    file
        File of the plan.
    """
    today = asked_of(confirm)
    changed = [
        f"confirm.{key} was {plan.asked[key]} and is {today[key]}"
        for key in today
        if plan.asked[key] != today[key]
    ]
    if not changed:
        return None
    return (
        f"The plan is kept although {' and '.join(changed)}; remove {Path(file).parent} to plan "
        "anew: what is trained is kept."
    )


@dataclass(frozen=True)
class Left:
    """A configuration that is left after a round.

    Attributes
    ----------
    mean, se
        Mean and standard error over all repetitions so far, in units of the objective.
    epochs
        The median, over its trainings, of the epoch whose weights were kept.
    parameters
        Number of its network's parameters.
    """

    mean: float
    se: float
    epochs: int
    parameters: int


@dataclass(frozen=True)
class Gone:
    """A configuration that left in a round.

    Attributes
    ----------
    at
        Repetitions after which it left.
    by
        Path of the point that beat it; None if a training diverged or has no number.
    """

    at: int
    by: str | None


@dataclass(frozen=True)
class Round:
    """What a round found.

    Attributes
    ----------
    number
        Number of the round; 0 is the round of the first repetitions.
    repetitions
        Repetitions that each configuration has which was left before it, in all.
    left, gone
        Configurations by the paths of their points. Those that are left are in the order of their
        means, the best first; among equal means, the one with the fewest parameters is first.
    settled
        Whether nothing is left to decide.
    last
        Repetitions after which nothing can be left to decide.
    trainings, seconds
        What all rounds so far cost beyond the study's own repetitions.
    seconds_per_repetition
        What a further repetition of all that are left costs.
    most_trainings
        What all rounds after this one can cost.
    """

    number: int
    repetitions: int
    left: Mapping[str, Left]
    gone: Mapping[str, Gone]
    settled: bool
    last: int
    trainings: int
    seconds: float
    seconds_per_repetition: float
    most_trainings: int

    @classmethod
    def read(cls, path: Path) -> Round:
        """Read what `write` wrote; raise `StudyError` if it is no round."""
        written = _read(path)
        try:
            written["left"] = {point: Left(**one) for point, one in written["left"].items()}
            written["gone"] = {point: Gone(**one) for point, one in written["gone"].items()}
            return cls(**written)
        except (AttributeError, KeyError, TypeError) as error:
            raise _damaged(path) from error

    def write(self, path: Path) -> None:
        """Write it as JSON, atomically."""
        _write(path, asdict(self))


@dataclass(frozen=True)
class Next:
    """What comes after a round.

    Attributes
    ----------
    repetitions
        Repetitions that the next round has in all; None if there is no next round.
    because
        What ended it, in words.
    """

    repetitions: int | None
    because: str


def after(last: Round, confirm: Confirm, folds: int) -> Next:
    """Decide what comes after a round: a next one that keeps to the limits, or the end.

    Parameters
    ----------
    confirm
        Size and limits of the rounds.
    folds
        Trainings of each repetition.
    """
    if last.settled:
        one = len(last.left) == 1
        return Next(None, "one configuration is left" if one else "those left have equal means")
    # Later rounds are longer, because each round costs some seconds besides its trainings.
    size = max(confirm.repetitions_per_round, last.repetitions // GROWTH)
    limits = {
        "": min(size, last.last - last.repetitions),
        "a study has no more repetitions": FIRST_RESERVED - last.repetitions,
    }
    if confirm.max_trainings is not None:
        unspent = confirm.max_trainings - last.trainings
        limits["confirm.max_trainings is reached"] = unspent // (len(last.left) * folds)
    if confirm.max_hours is not None and last.seconds_per_repetition > 0:
        hours = confirm.max_hours * 3600 - last.seconds
        limits["confirm.max_hours is reached"] = int(hours // last.seconds_per_repetition)
    because, further = min(limits.items(), key=lambda limit: limit[1])
    return Next(last.repetitions + further, "") if further > 0 else Next(None, because)


def _read(path: Path) -> dict[str, Any]:
    try:
        written = json.loads(path.read_text(encoding="utf-8"))
    except ValueError as error:
        raise _damaged(path) from error
    if not isinstance(written, dict):
        raise _damaged(path)
    return written


def _damaged(path: Path) -> StudyError:
    return StudyError(f"{path} is damaged; delete it and run `snakemake confirm` again")


def _write(path: Path, content: Mapping[str, Any]) -> None:
    write_text(path, json.dumps(content, indent=1, allow_nan=False) + "\n")
