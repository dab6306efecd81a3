"""Estimate a run: what would train, why, and how long it would take."""

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

#: What a job costs beside its trainings, in seconds: Snakemake starts one after the other.
JOB_SECONDS = 0.03

#: Finished records that an estimate of the time reads, spread over all.
SAMPLE = 200

#: Lines that say why something trains.
MAX_REASONS = 12

#: Snakemake's status of a record that is not there, and of one that is.
_MISSING = "missing"
_THERE = "ok"


@dataclass(frozen=True, eq=False)
class Job:
    """One record that a study needs.

    Attributes
    ----------
    path
        Of the record.
    point, block
        What it holds.
    reason
        Why it is to be trained, as Snakemake's summary says it; None if it is finished.
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
    """How long trainings took.

    Attributes
    ----------
    epoch_seconds
        Mean seconds of an epoch.
    trainings
        Over how many trainings.
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
        What of the set-up is another today.
    """

    records: list[Path]
    changed: list[str]


def find_earlier(points: Path, name: str, setup: Mapping[str, Any]) -> Earlier | None:
    """Return the newest records of another set-up; None if there are none.

    Parameters
    ----------
    points
        Folder of all set-ups.
    name, setup
        Today's: its folder, and what it holds.
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
    """Read what ``snakemake --summary`` prints.

    What Snakemake takes for there although it would train it, was cut short or comes after
    something else that would run.

    Parameters
    ----------
    finished
        Records that are there. The summary leaves them out where their rows are lost.

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
    told = {job.path for job in jobs}
    jobs += [_job(path, None) for path in finished if path not in told]
    return jobs, list(others)


def _job(path: str, reason: str | None) -> Job:
    block = read_block(path.rpartition("/")[2])
    assert block is not None, path
    if reason == _THERE and is_cut_short(Path(path)):
        reason = "cut short"
    return Job(path, read_path(point_of(path)), block, reason)


def measured_pace(records: Sequence[Path]) -> Pace | None:
    """Take the mean time of an epoch from a sample of finished records; None if there are none."""
    seconds, epochs, trainings = 0.0, 0, 0
    step = max(1, len(records) // SAMPLE)
    for path in records[::step]:
        try:
            record = read_record(path)
        except RecordError:  # gather tells; an estimate does without
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
    today
        Package → version, as a training would have it now.
    """
    others: Counter[str] = Counter()
    sample = records[:: max(1, len(records) // SAMPLE)]
    for path in sample:
        try:
            made_with = read_record(path).packages
        except RecordError:  # gather tells
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
    told = "; ".join(f"{count:,} with {versions}" for versions, count in others.most_common())
    return (
        f"of {_count(len(sample), 'record')}, {told}, unlike today; they serve, unless the study "
        "says `environment: strict`"
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
    """Say what a run would do, in lines for a person.

    Parameters
    ----------
    jobs, others
        From `read_summary`.
    repetitions
        Of each point; a record may hold more.
    folds
        Trainings of each repetition.
    parallel
        Trainings that run at once; None if that is not known, as on a cluster.
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
        ("points", len(points), _told_axes(points)),
        ("trainings", trainings, " × ".join(factors)),
        ("finished", trainings - to_train, ""),
        ("to train", to_train, f"in {_count(len(pending), 'job')}" if pending else ""),
    ]
    width = len(f"{trainings:,}")
    lines = [f"{name:<10} {number:>{width},}  {told}".rstrip() for name, number, told in rows]
    lines += [f"  {line}" for line in _told_reasons(jobs, repetitions, earlier)]
    if versions:
        lines.append(f"{'versions':<10} {versions}")
    if pending:
        lines.append(f"{'time':<10} {_told_time(pending, repetitions, folds, parallel, pace)}")
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


def _told_value(point: Point, name: str) -> str:
    return str(table_value(point, name)) or "none"


def _told_axes(points: Sequence[Point]) -> str:
    names = sorted({name for point in points for name in point})
    counts = {name: len({_told_value(point, name) for point in points}) for name in names}
    return " × ".join(f"{name} ({count})" for name, count in counts.items() if count > 1)


def _told_reasons(jobs: Sequence[Job], repetitions: int, earlier: Earlier | None) -> list[str]:
    """Say what is new by axis, and what else is to be trained for which reason."""
    there = [job for job in jobs if job.reason != _MISSING]
    missing = [job for job in jobs if job.reason == _MISSING]
    if not there:
        if earlier is None:
            return []
        what = ", ".join(earlier.changed) or "the set-up"
        kept = _count(len(earlier.records), "record")
        return [f"again: changed {what}; {kept} from before it kept, for when it is taken back"]
    lines: list[str] = []
    unexplained = set(missing)
    for name in sorted({name for job in missing for name in job.point}):
        known = {_told_value(job.point, name) for job in there}
        new: dict[str, list[Job]] = {}
        for job in missing:
            value = _told_value(job.point, name)
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
        told = f"repetition {first}" if first == last else f"repetitions {first} to {last}"
        lines.append(f"new: {told} of {_count(count, 'point')}")
    if unexplained:
        lines.append(f"missing: {_count(len(unexplained), 'point')} whose values are all known")
    again = Counter(job.reason for job in there if job.reason is not None)
    lines += [f"again: {_count(n, 'job')}, because {reason}" for reason, n in again.items()]
    if len(lines) > MAX_REASONS:
        lines[MAX_REASONS:] = [f"and {len(lines) - MAX_REASONS} more values or reasons"]
    return lines


def _told_time(
    pending: Sequence[Job], repetitions: int, folds: int, parallel: int | None, pace: Pace | None
) -> str:
    if pace is None:
        return "not known: no training is finished yet"
    epochs = sum(_repetitions(job, repetitions) * folds * _epochs(job.point) for job in pending)
    work = epochs * pace.epoch_seconds
    source = f"at the mean pace of {_count(pace.trainings, 'finished training')}"
    if parallel is None:
        return f"{_duration(work)} of training in all, {source}"
    wall = work / parallel + JOB_SECONDS * len(pending)
    return f"about {_duration(wall)} with {_count(parallel, 'training')} at once, {source}"


def _epochs(point: Point) -> int:
    epochs = point["epochs"]
    assert isinstance(epochs, int)
    return epochs


def _duration(seconds: float) -> str:
    for size, unit in ((86_400, "days"), (3_600, "hours"), (60, "minutes")):
        if seconds >= 2 * size:
            return f"{seconds / size:.0f} {unit}"
    return f"{max(seconds, 1):.0f} s"
