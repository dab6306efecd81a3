"""The plan of a run: what it would train, why, and an estimate of the time."""

from __future__ import annotations

import csv
from collections import Counter
from collections.abc import Collection, Iterable, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

from gridloom.errors import RecordError
from gridloom.naming.blocks import Block, point_of, read_block
from gridloom.naming.points import Point, read_path
from gridloom.naming.values import table_value
from gridloom.records import read_record
from gridloom.workflow.jobs import is_training
from gridloom.workflow.progress import JOB_SECONDS, describe_duration
from gridloom.workflow.setups import Earlier

#: Largest sample of finished records for an estimate, spread over all records.
SAMPLE = 200

#: Most lines that say why something trains.
MAX_REASONS = 12

#: Why a record is to be trained.
_MISSING = "missing"
_CUT_SHORT = "cut short"


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
        Why it is to be trained: it is missing, or was cut short; None if it is finished.
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


def list_jobs(
    records: Iterable[str], existing: Collection[str], cut_short: Collection[str]
) -> list[Job]:
    """List the jobs of a study, finished or not.

    A record's path names everything that decides about it, so Snakemake's rerun triggers do not.

    Parameters
    ----------
    records
        Paths of those that the study needs.
    existing, cut_short
        Those of them that exist, and those that were cut short.
    """
    finished, cut = set(existing), set(cut_short)
    jobs = []
    for path in records:
        reason = None if path in finished else _CUT_SHORT if path in cut else _MISSING
        block = read_block(path.rpartition("/")[2])
        assert block is not None, path
        jobs.append(Job(path, read_path(point_of(path)), block, reason))
    return jobs


def other_records(folder: Path, jobs: Iterable[Job]) -> dict[Path, Point]:
    """Return the records of a set-up that the study does not use, with their points.

    Parameters
    ----------
    folder
        Folder of the set-up's records.
    """
    used = {Path(job.path) for job in jobs}
    found = {}
    for path in sorted(folder.rglob("reps=*.json")):
        if path not in used and read_block(path.name) is not None:
            with suppress(ValueError):  # a file of a person's own
                found[path] = read_path(point_of(path))
    return found


def rules_to_run(summary: str) -> list[str]:
    """Name the rules besides `train` that would run, from what ``snakemake --summary`` prints."""
    rows = csv.DictReader(summary.splitlines(), delimiter="\t", quoting=csv.QUOTE_NONE)
    pending = dict.fromkeys(row["rule"] for row in rows if row["plan"] != "no update")
    return [rule for rule in pending if rule != "all" and not is_training(rule)]


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
    *,
    count: int,
    repetitions: int,
    folds: int,
    parallel: int | None,
    pace: Pace | None,
    others: Sequence[Point] = (),
    earlier: Earlier | None = None,
    versions: str | None = None,
    adoptable: int = 0,
) -> str:
    """Describe what a run would train.

    Parameters
    ----------
    jobs
        From `list_jobs`.
    count
        Number of jobs that make what is to be trained.
    repetitions
        Repetitions of each point; a record may hold more.
    folds
        Trainings of each repetition.
    parallel
        Trainings that run at once; None if unknown, as on a cluster.
    pace
        From `measured_pace`.
    others
        Points of the set-up's records that the study does not use, one for each record.
    earlier
        From `find_earlier`.
    versions
        From `describe_other_versions`.
    adoptable
        From `count_fitting`.
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
        ("to train", to_train, f"in {_count(count, 'job')}" if pending else ""),
    ]
    width = len(f"{trainings:,}")
    lines = [f"{name:<10} {number:>{width},}  {detail}".rstrip() for name, number, detail in rows]
    lines += [f"  {line}" for line in _describe_reasons(jobs, repetitions, others, earlier)]
    if adoptable:
        lines.append(
            f"  may be adopted: {_count(adoptable, 'record')}, not trained again where network, "
            "data and settings are those of an earlier record"
        )
    if versions:
        lines.append(f"{'versions':<10} {versions}")
    if pending:
        time = _describe_time(pending, count, repetitions, folds, parallel, pace)
        lines.append(f"{'time':<10} {time}")
    return "\n".join(lines)


def describe_rules(jobs: Iterable[Job], rules: Sequence[str]) -> str | None:
    """Say which other rules a run would start, or that nothing is left; None if only `train` is."""
    if rules:
        return f"{'also runs':<10} {', '.join(rules)}"
    return None if any(job.reason for job in jobs) else "Nothing is left to do."


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


def _describe_reasons(
    jobs: Sequence[Job], repetitions: int, others: Sequence[Point], earlier: Earlier | None
) -> list[str]:
    """List new values by axis, new repetitions, other reasons to train, and what is kept."""
    missing = [job for job in jobs if job.reason == _MISSING]
    there = [job for job in jobs if job.reason != _MISSING]
    known = [*(job.point for job in there), *others]
    lines, unexplained = _describe_new_values(missing, known) if known else ([], missing)
    begun = {job.folder for job in there}
    more: Counter[tuple[int, int]] = Counter(
        (job.block.first, min(job.block.last + 1, repetitions) - 1)
        for job in unexplained
        if job.folder in begun
    )
    for (first, last), count in sorted(more.items()):
        # From 1, as people count.
        which = f" {first + 1}" if first == last else f"s {first + 1} to {last + 1}"
        lines.append(f"new: repetition{which} of {_count(count, 'point')}")
    unexplained = [job for job in unexplained if job.folder not in begun]
    if unexplained and earlier is not None:
        what = ", ".join(earlier.changed) or "the set-up"
        kept = _count(len(earlier.records), "record")
        lines.append(
            f"again: changed {what}; {kept} kept in case the change is undone, and for "
            "`snakemake compare`"
        )
    elif unexplained and known:
        lines.append(f"missing: {_count(len(unexplained), 'point')} whose values are all known")
    again = Counter(job.reason for job in there if job.reason is not None)
    lines += [f"again: {_count(n, 'record')}, because {reason}" for reason, n in again.items()]
    if missing:
        lines += _describe_old_values([job.point for job in jobs], others)
    if len(lines) > MAX_REASONS:
        lines[MAX_REASONS:] = [f"and {len(lines) - MAX_REASONS} more values or reasons"]
    return lines


def _describe_new_values(
    missing: Sequence[Job], known: Sequence[Point]
) -> tuple[list[str], list[Job]]:
    """Describe values that no known point has; return also the jobs of points without any."""
    lines: list[str] = []
    unexplained = list(missing)
    for name in sorted({name for job in missing for name in job.point}):
        values = {_value(point, name) for point in known}
        new: Counter[str] = Counter()
        for job in missing:
            new[_value(job.point, name)] += _value(job.point, name) not in values
        lines += [f"new: {name} = {value}, {_count(n, 'point')}" for value, n in new.items() if n]
        unexplained = [job for job in unexplained if not new[_value(job.point, name)]]
    return lines, unexplained


def _describe_old_values(points: Sequence[Point], others: Sequence[Point]) -> list[str]:
    """Say how many records are kept of values that the grid no longer has."""
    lines = []
    for name in sorted({name for point in others for name in point}):
        values = {_value(point, name) for point in points}
        old = Counter(_value(point, name) for point in others)
        lines += [
            f"kept: {_count(n, 'record')} with {name} = {value}, in case the change is undone"
            for value, n in old.items()
            if value not in values
        ]
    return lines


def _describe_time(
    pending: Sequence[Job],
    count: int,
    repetitions: int,
    folds: int,
    parallel: int | None,
    pace: Pace | None,
) -> str:
    if pace is None:
        return "not known: no training is finished yet; `snakemake check` measures it"
    epochs = sum(_repetitions(job, repetitions) * folds * _epochs(job.point) for job in pending)
    work = epochs * pace.epoch_seconds
    source = f"at the mean pace of {_count(pace.trainings, 'finished training')}"
    if parallel is None:
        return f"{describe_duration(work)} of training in all, {source}"
    wall = work / parallel + JOB_SECONDS * count
    return f"about {describe_duration(wall)} with {_count(parallel, 'training')} at once, {source}"


def _epochs(point: Point) -> int:
    epochs = point["epochs"]
    assert isinstance(epochs, int)
    return epochs
