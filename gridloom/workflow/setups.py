"""Other set-ups of a study: which ones have records, and what differs from today's.

The time of a set-up's folder is when a run last used it (see `gridloom.workflow.study_run`).
Nothing heavy is imported here, because each job's Snakemake imports this module.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from gridloom.errors import RecordError, StudyError
from gridloom.workflow.progress import describe_duration

#: Longest value that a change is shown with, in characters.
MAX_VALUE = 40

#: Keys of a set-up whose values are fingerprints.
_FINGERPRINTS = ("data", "model file", "training code")

#: Most set-ups that a message lists.
_MAX_LISTED = 10


@dataclass(frozen=True)
class Earlier:
    """Records of the same study under another set-up, such as another model file.

    Attributes
    ----------
    records
        Their paths.
    setup
        The set-up.
    changed
        Parts of it that differ today, such as ``seed (0 → 5)``.
    """

    records: list[Path]
    setup: Mapping[str, Any]
    changed: list[str]


def other_setups(points: Path, name: str) -> list[Path]:
    """List the folders of other set-ups, the one used last first.

    Parameters
    ----------
    points
        Folder that contains the folders of all set-ups.
    name
        Name of today's set-up.
    """
    folders = [folder for folder in points.glob("*") if folder.is_dir() and folder.name != name]
    return sorted(folders, key=lambda folder: folder.stat().st_mtime, reverse=True)


def find_earlier(points: Path, name: str, setup: Mapping[str, Any]) -> Earlier | None:
    """Return the records of the other set-up that was used last; None if there are none.

    Parameters
    ----------
    points
        Folder that contains the folders of all set-ups.
    name, setup
        Name and content of today's set-up.
    """
    read = (read_earlier(folder, setup) for folder in other_setups(points, name))
    return next(filter(None, read), None)


def read_earlier(folder: Path, setup: Mapping[str, Any]) -> Earlier | None:
    """Return the records of another set-up; None if there are none, or the first is damaged.

    Parameters
    ----------
    folder
        Its folder.
    setup
        Content of today's set-up.
    """
    # NumPy, which it imports, would take a tenth of a second of each job's Snakemake.
    from gridloom.records import read_record

    records = sorted(folder.rglob("reps=*.json"))
    try:
        before = read_record(records[0]).setup if records else None
    except RecordError:
        return None
    return None if before is None else Earlier(records, before, describe_changes(before, setup))


def describe_changes(before: Mapping[str, Any], now: Mapping[str, Any]) -> list[str]:
    """Name the parts of a set-up that changed, with their values if these are short."""
    return [
        _describe_change(key, before.get(key), value)
        for key, value in now.items()
        if before.get(key) != value
    ]


def _describe_change(key: str, before: Any, now: Any) -> str:
    """Name what changed, with its values if they are short and no fingerprints."""
    texts = [" ".join(map(str, _parts(value))) for value in (before, now)]
    short = max(map(len, texts)) <= MAX_VALUE and key not in _FINGERPRINTS
    return f"{key} ({texts[0]} → {texts[1]})" if short else key


def _parts(value: Any) -> Sequence[Any]:
    """Return the parts of a value, of a mapping its texts first: ``kfold 5`` in any order."""
    if isinstance(value, Mapping):
        return sorted(value.values(), key=lambda part: not isinstance(part, str))
    return value if isinstance(value, list) else [value]


def choose_setup(
    points: Path,
    name: str,
    setup: Mapping[str, Any],
    asked: str | None,
    shares: Callable[[Path], bool],
) -> Path:
    """Return the folder of the set-up to compare today's with.

    Parameters
    ----------
    points, name, setup
        As for `find_earlier`.
    asked
        What the person asks for: a folder, its name or the beginning of it; None for the set-up
        used last that can be compared.
    shares
        Returns whether a set-up has records of the study's configurations.

    Raises
    ------
    StudyError
        If there is none. It lists the set-ups that there are.
    """
    others = other_setups(points, name)
    if asked is not None:
        beginning = Path(asked).name
        fitting = [folder for folder in others if folder.name.startswith(beginning)]
        if len(fitting) != 1:
            own = name.startswith(beginning) and not fitting
            found = f"{len(fitting)} set-ups begin" if fitting else "no other set-up begins"
            why = "is the set-up of the study itself" if own else f"{found} with it"
            raise StudyError(f"compare: {asked!r}: {why}; there are:{_listed(others, setup)}")
        others = fitting
    chosen = next(filter(shares, others), None)
    if chosen is not None:
        return chosen
    if not others:
        raise StudyError(
            "compare: there is nothing to compare with: all trainings belong to one set-up. Edit "
            "the model file or another part of the study that trains it anew, run `snakemake`, "
            "then `snakemake compare`"
        )
    which = "no other set-up has" if asked is None else f"set-up {others[0].name} does not have"
    raise StudyError(
        f"compare: {which} finished trainings of the study's configurations. Take values into the "
        "grid that were trained before, or train the study's with that set-up; there are:"
        + _listed(others, setup)
    )


def _listed(folders: Sequence[Path], setup: Mapping[str, Any]) -> str:
    """Return lines that list set-ups: when each was used, its records, what differs."""
    lines = [_describe(folder, setup) for folder in folders[:_MAX_LISTED]]
    more = len(folders) - _MAX_LISTED
    if more > 0:
        lines.append(f"and {more} more")
    return "".join(f"\n    {line}" for line in lines or ["none"])


def _describe(folder: Path, setup: Mapping[str, Any]) -> str:
    earlier = read_earlier(folder, setup)
    if earlier is None:
        return f"{folder.name}: no readable record"
    age = describe_duration(time.time() - folder.stat().st_mtime)
    count = len(earlier.records)
    records = f"{count:,} record{'s' * (count != 1)}"
    differs = ", ".join(earlier.changed) or "nothing"
    return f"{folder.name}: used {age} ago, {records}; differs in {differs}"
