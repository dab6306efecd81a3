"""Jobs of several records: which records each makes, and the files that say so to the jobs.

The main process cuts the missing records of a study into groups, and each group becomes a rule. It
notes the records of each in a file, because a job on a cluster reads the Snakefile again, when
other records are missing. Standard library only, because each job's Snakemake imports this module.
"""

from __future__ import annotations

import contextlib
import json
import math
import os
import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path

from gridloom.errors import StorageError
from gridloom.files import fingerprint, write_text
from gridloom.naming.blocks import is_cut_short
from gridloom.workers.client import LIST, STORE, log_of, remove, store_of, take_over
from gridloom.workflow.failures import NO_MESSAGE, cause_of
from gridloom.workflow.progress import JOB_SECONDS

#: Folder of the files with the records of each group.
FOLDER = Path(".snakemake/gridloom/jobs")

#: Seconds to start a job on a cluster: two starts of Snakemake and one of TensorFlow.
START_ELSEWHERE = 10.0

#: Largest share of a job's time that `auto` gives to its start.
START_SHARE = 0.05

#: Fewest jobs for each of those that run at once on this machine, so that all end at about the same
#: time.
JOBS_A_SLOT = 4

#: Seconds of a training, as long as none is measured: those of the fastest. A guess that is too
#: short costs little, as there are at least as many jobs as run or queue at once; one that is too
#: long costs the starts of jobs.
FIRST_GUESS = 0.005

#: Most records that are read for the pace.
SAMPLE = 20

#: In another workflow, the names of rules may have a prefix.
_RULE = re.compile(r"(?:.*_)?train_([0-9a-f]{8})")


def is_training(rule: str) -> bool:
    """Return whether a rule of this name trains: `train`, or that of a group."""
    return rule == "train" or (rule.startswith("train_") and bool(_RULE.fullmatch(rule)))


@dataclass(frozen=True)
class Group:
    """The records that one job makes.

    Attributes
    ----------
    digest
        Fingerprint of the records.
    records
        Their paths.
    """

    digest: str
    records: tuple[str, ...]

    @classmethod
    def of(cls, records: Iterable[str]) -> Group:
        """Name a group by its records."""
        paths = tuple(records)
        return cls(fingerprint([], "\n".join(paths))[:8], paths)

    @property
    def rule(self) -> str:
        """Name of its rule."""
        return f"train_{self.digest}"

    @property
    def file(self) -> str:
        """File with its records."""
        return str(FOLDER / f"{self.digest}{LIST}")


def cut(records: Sequence[str], size: int) -> list[Group]:
    """Cut records into groups of about equal size, in order.

    Parameters
    ----------
    size
        Most records of a group.
    """
    if not records:
        return []
    even = math.ceil(len(records) / math.ceil(len(records) / size))
    starts = range(0, len(records), even)
    return [Group.of(records[start : start + even]) for start in starts]


def training_seconds(records: Sequence[str]) -> float | None:
    """Return the mean seconds of a training in a sample of finished records; None without any."""
    seconds: list[float] = []
    for record in records[:: max(1, len(records) // SAMPLE)]:
        with contextlib.suppress(
            OSError, ValueError, LookupError, TypeError
        ):  # `gather` reports it
            content = json.loads(Path(record).read_text(encoding="utf-8"))
            seconds += [float(training["seconds"]) for training in content["trainings"]]
    return sum(seconds) / len(seconds) if seconds else None


def worthwhile_size(
    count: int, trainings: int, seconds: float | None, *, here: bool, slots: int
) -> int:
    """Return how many records a job should make, so that starting jobs costs little.

    Parameters
    ----------
    count
        Number of records to make.
    trainings
        Of each record.
    seconds
        Of a training, as measured; None if it is not known.
    here
        Whether jobs run on this machine.
    slots
        Jobs that run at once on this machine, or may be in a cluster's queue at once. On a cluster,
        jobs beyond those would only start once Snakemake has noticed that others ended.
    """
    start = JOB_SECONDS if here else START_ELSEWHERE
    record = trainings * max(FIRST_GUESS if seconds is None else seconds, 1e-6)
    longest = start / START_SHARE / record
    # Rounded up on a cluster: one job more than its queue may hold waits for another to end.
    balanced = count / (JOBS_A_SLOT * slots) if here else math.ceil(count / slots)
    # If the pace is measured, no job is shorter than its start.
    shortest = 1.0 if seconds is None else start / record
    return max(1, round(min(longest, max(balanced, shortest))))


def freeze(groups: Iterable[Group]) -> None:
    """Write the file of each group, and remove those of groups that are trained.

    Raises
    ------
    StorageError
        If the disk is full.
    """
    wanted = {group.file: group for group in groups}
    for file in FOLDER.glob(f"*{LIST}"):
        if str(file) not in wanted and all(map(os.path.exists, _read(file))):
            file.unlink(missing_ok=True)
    for group in wanted.values():
        write_text(group.file, json.dumps(group.records, indent=0))


def withdraw() -> None:
    """Remove the files of all groups: their jobs then end after the record at hand."""
    for file in FOLDER.glob(f"*{LIST}"):
        with contextlib.suppress(OSError):  # this job then goes through all of its records
            file.unlink()


def frozen(rules: Iterable[str]) -> list[Group]:
    """Read the groups of some rules.

    Raises
    ------
    StorageError
        If the file of one is gone.
    """
    found = []
    for rule in rules:
        match = _RULE.fullmatch(rule)
        if match is None:
            continue
        file = FOLDER / f"{match[1]}{LIST}"
        records = _read(file)
        if not records:
            raise StorageError(f"{file} is gone, with the list of a job's records; run again")
        found.append(Group(match[1], records))
    return found


def _read(file: Path) -> tuple[str, ...]:
    try:
        return tuple(json.loads(file.read_text(encoding="utf-8")))
    except (OSError, ValueError):
        return ()


def outcome(record: str, since: float) -> str | None:
    """Return why a record of a running job of several failed; None if it has not ended.

    Parameters
    ----------
    since
        Start of the job, in seconds since 1970; older logs belong to earlier attempts.

    Returns
    -------
    str or None
        Empty if the record is finished.
    """
    if Path(store_of(record)).exists():
        return ""
    log = Path(log_of(record))
    try:
        begun = log.stat().st_mtime >= since
    except OSError:
        return None
    cause = cause_of(log) if begun else NO_MESSAGE
    return None if cause == NO_MESSAGE else cause


def begin_with_store(results: str) -> None:
    """Remove what the store has of records that are in their place: a run may make them anew.

    What an earlier run that was killed has trained stays, if its record is missing.
    """
    clear_store(_stored(results, map(str, Path(results, "points").rglob("reps=*.json"))))


def clear_store(records: Iterable[str]) -> None:
    """Remove records from the store that are in their place, and that no running job makes."""
    for record in records:
        if _is_whole(record):
            with contextlib.suppress(OSError):  # the end of a run or the next one tries again
                remove(store_of(record))


def empty_store(results: str, records: Iterable[str]) -> None:
    """Put what the store has into its place, and remove it from the store.

    Snakemake deletes all records of a job that failed, also those that were trained.
    """
    for record in _stored(results, records):
        with contextlib.suppress(OSError):  # it stays there for the next run
            if _is_whole(record) or take_over(record):
                remove(store_of(record))
    with contextlib.suppress(OSError):  # it is not empty, or not there
        Path(results, STORE).rmdir()


def _stored(results: str, records: Iterable[str]) -> list[str]:
    """List the records that the store has."""
    try:
        names = {file.name for file in Path(results, STORE).iterdir()}
    except OSError:
        return []
    return [record for record in records if Path(store_of(record)).name in names] if names else []


def _is_whole(record: str) -> bool:
    return os.path.exists(record) and not is_cut_short(Path(record))  # noqa: PTH110 (10,000 calls)
