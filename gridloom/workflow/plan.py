"""The plan of a run: what it would train, why, and an estimate of the time."""

from __future__ import annotations

import csv
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from gridloom.errors import RecordError
from gridloom.naming.blocks import Block, is_cut_short, point_of, read_block
from gridloom.naming.points import Point, read_path
from gridloom.naming.values import table_value
from gridloom.records import read_record
from gridloom.workflow.progress import describe_duration

#: Seconds that Snakemake needs to start a job; it starts one after the other.
JOB_SECONDS = 0.03

#: Largest sample of finished records for an estimate, spread over all records.
SAMPLE = 200

#: Most lines that say why something trains.
MAX_REASONS = 12

#: Snakemake's status of a record that does not exist, and of one that does.
_MISSING = "missing"
_THERE = "ok"


@dataclass(frozen=True, eq=False)
class Job:
    """One record that a study needs.

    Attributes
    ----------
    path
        Path of the record.
    point, block
        Its point and block of repetitions.
    reason
        Why it will be trained, in the words of Snakemake's summary; None if it is finished.
    """

    path: str
    point: Point
    block: Block
    reason: str | None

    @property
    def folder(self) -> str:
        """The point's folder."""
        return self.path.rpartition("/")[0]


@dataclass(frozen=True)
class Pace:
    """The speed of finished trainings.

    Attributes
    ----------
    epoch_seconds
        Mean seconds of an epoch.
    trainings
        Number of trainings in the mean.
    """

    epoch_seconds: float
    trainings: int


@dataclass(frozen=True)
class Earlier:
    """Records of the same study under another set-up, such as another model file.

    Attributes
    ----------
    records
        Their paths.
    changed
        Parts of the set-up that differ today.
    """

    records: list[Path]
    changed: list[str]


def find_earlier(points: Path, name: str, setup: Mapping[str, Any]) -> Earlier | None:
    """Return the newest records of another set-up; None if there are none.

    Parameters
    ----------
    points
        Folder that contains the folders of all set-ups.
    name, setup
        Name and content of today's set-up.
    """
    folders = [folder for folder in points.glob("*") if folder.is_dir() and folder.name != name]
    for folder in sorted(folders, key=lambda folder: folder.stat().st_mtime, reverse=True):
        records = sorted(folder.rglob("reps=*.json"))
        for path in records[:1]:
            try:
                before = read_record(path).setup
            except RecordError:
                continue
            changed = [key for key, value in setup.items() if before.get(key) != value]
            return Earlier(records, changed)
    return None


def read_summary(text: str, finished: Iterable[str] = ()) -> tuple[list[Job], list[str]]:
    """Read the output of ``snakemake --summary``.

    A record with status ``ok`` that would still be trained was cut short, or depends on something
    else that would run.

    Parameters
    ----------
    text
        Output of ``snakemake --summary``.
    finished
        Records that exist. The summary omits them if their rows are lost.

    Returns
    -------
    jobs
        One for each record, in the order printed.
    others
        Names of the other rules that would run.
    """
    jobs: list[Job] = []
    others: dict[str, None] = {}
    for row in csv.DictReader(text.splitlines(), delimiter="\t", quoting=csv.QUOTE_NONE):
        pending = row["plan"] != "no update"
        if row["rule"] == "train":
            jobs.append(_job(row["output_file"], row["status"] if pending else None))
        elif pending:
            others[row["rule"]] = None
    listed = {job.path for job in jobs}
    jobs += [_job(path, None) for path in finished if path not in listed]
    return jobs, list(others)


def _job(path: str, reason: str | None) -> Job:
    block = read_block(path.rpartition("/")[2])
    assert block is not None, path
    if reason == _THERE and is_cut_short(Path(path)):
        reason = "cut short"
    return Job(path, read_path(point_of(path)), block, reason)


def measured_pace(records: Sequence[Path]) -> Pace | None:
    """Return the mean time of an epoch in a sample of finished records; None if there are none."""
    seconds, epochs, trainings = 0.0, 0, 0
    step = max(1, len(records) // SAMPLE)
    for path in records[::step]:
        try:
            record = read_record(path)
        except RecordError:  # gather reports it; the estimate ignores it
            continue
        for training in record.trainings:
            seconds += training.seconds
            epochs += len(training.history["loss"])
            trainings += 1
    return Pace(seconds / epochs, trainings) if epochs else None


def describe_other_versions(records: Sequence[Path], today: Mapping[str, str]) -> str | None:
    """Say how many of a sample of finished records were made with other versions; None if none.

    Parameters
    ----------
    records
        Paths of finished records.
    today
        Package → version that is installed now.
    """
    others: Counter[str] = Counter()
    sample = records[:: max(1, len(records) // SAMPLE)]
    for path in sample:
        try:
            made_with = read_record(path).machine.packages
        except RecordError:  # gather reports it
            continue
        differing = [
            f"{name} {made_with.get(name, 'none')}"
            for name, version in today.items()
            if made_with.get(name) != version
        ]
        if differing:
            others[", ".join(differing)] += 1
    if not others:
        return None
    counts = "; ".join(f"{count:,} with {versions}" for versions, count in others.most_common())
    return (
        f"of {_count(len(sample), 'record')}, {counts}, unlike today; they are used, unless the "
        "study says `environment: strict`"
    )


def describe_plan(
    jobs: Sequence[Job],
    others: Sequence[str],
    *,
    repetitions: int,
    folds: int,
    parallel: int | None,
    pace: Pace | None,
    earlier: Earlier | None = None,
    versions: str | None = None,
) -> str:
    """Describe what a run would do.

    Parameters
    ----------
    jobs, others
        From `read_summary`.
    repetitions
        Repetitions of each point; a record may hold more.
    folds
        Trainings of each repetition.
    parallel
        Trainings that run at once; None if unknown, as on a cluster.
    pace
        From `measured_pace`.
    earlier
        From `find_earlier`.
    versions
        From `describe_other_versions`.
    """
    pending = [job for job in jobs if job.reason is not None]
    points = list({job.folder: job.point for job in jobs}.values())
    trainings = len(points) * repetitions * folds
    to_train = sum(_repetitions(job, repetitions) for job in pending) * folds
    factors = [_count(len(points), "point"), _count(repetitions, "repetition")]
    if folds > 1:
        factors.append(f"{folds} folds")
    rows = [
        ("points", len(points), _describe_axes(points)),
        ("trainings", trainings, " × ".join(factors)),
        ("finished", trainings - to_train, ""),
        ("to train", to_train, f"in {_count(len(pending), 'job')}" if pending else ""),
    ]
    width = len(f"{trainings:,}")
    lines = [f"{name:<10} {number:>{width},}  {detail}".rstrip() for name, number, detail in rows]
    lines += [f"  {line}" for line in _describe_reasons(jobs, repetitions, earlier)]
    if versions:
        lines.append(f"{'versions':<10} {versions}")
    if pending:
        time = _describe_time(pending, repetitions, folds, parallel, pace)
        lines.append(f"{'time':<10} {time}")
    after = [rule for rule in others if rule != "all"]
    if after:
        lines.append(f"{'also runs':<10} {', '.join(after)}")
    if not pending and not after:
        lines.append("Nothing is left to do.")
    return "\n".join(lines)


def _repetitions(job: Job, repetitions: int) -> int:
    return min(job.block.last + 1, repetitions) - job.block.first


def _count(number: int, thing: str) -> str:
    return f"{number:,} {thing}{'s' * (number != 1)}"


def _value(point: Point, name: str) -> str:
    return str(table_value(point, name)) or "none"


def _describe_axes(points: Sequence[Point]) -> str:
    names = sorted({name for point in points for name in point})
    counts = {name: len({_value(point, name) for point in points}) for name in names}
    return " × ".join(f"{name} ({count})" for name, count in counts.items() if count > 1)


def _describe_reasons(jobs: Sequence[Job], repetitions: int, earlier: Earlier | None) -> list[str]:
    """List new values by axis, new repetitions, and other reasons to train."""
    there = [job for job in jobs if job.reason != _MISSING]
    missing = [job for job in jobs if job.reason == _MISSING]
    if not there:
        if earlier is None:
            return []
        what = ", ".join(earlier.changed) or "the set-up"
        kept = _count(len(earlier.records), "record")
        return [f"again: changed {what}; {kept} kept in case the change is undone"]
    lines: list[str] = []
    unexplained = set(missing)
    for name in sorted({name for job in missing for name in job.point}):
        known = {_value(job.point, name) for job in there}
        new: dict[str, list[Job]] = {}
        for job in missing:
            value = _value(job.point, name)
            if value not in known:
                new.setdefault(value, []).append(job)
        for value, having in new.items():
            lines.append(f"new: {name} = {value}, {_count(len(having), 'point')}")
            unexplained -= set(having)
    begun = {job.folder for job in there}
    more: Counter[tuple[int, int]] = Counter()
    for job in list(unexplained):
        if job.folder in begun:
            more[job.block.first, min(job.block.last + 1, repetitions) - 1] += 1
            unexplained.remove(job)
    for (first, last), count in sorted(more.items()):
        new_ones = f"repetition {first}" if first == last else f"repetitions {first} to {last}"
        lines.append(f"new: {new_ones} of {_count(count, 'point')}")
    if unexplained:
        lines.append(f"missing: {_count(len(unexplained), 'point')} whose values are all known")
    again = Counter(job.reason for job in there if job.reason is not None)
    lines += [f"again: {_count(n, 'job')}, because {reason}" for reason, n in again.items()]
    if len(lines) > MAX_REASONS:
        lines[MAX_REASONS:] = [f"and {len(lines) - MAX_REASONS} more values or reasons"]
    return lines


def _describe_time(
    pending: Sequence[Job], repetitions: int, folds: int, parallel: int | None, pace: Pace | None
) -> str:
    if pace is None:
        return "not known: no training is finished yet"
    epochs = sum(_repetitions(job, repetitions) * folds * _epochs(job.point) for job in pending)
    work = epochs * pace.epoch_seconds
    source = f"at the mean pace of {_count(pace.trainings, 'finished training')}"
    if parallel is None:
        return f"{describe_duration(work)} of training in all, {source}"
    wall = work / parallel + JOB_SECONDS * len(pending)
    return f"about {describe_duration(wall)} with {_count(parallel, 'training')} at once, {source}"


def _epochs(point: Point) -> int:
    epochs = point["epochs"]
    assert isinstance(epochs, int)
    return epochs
