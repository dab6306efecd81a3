"""Where a run stands: what is trained, what trains now, what is best so far, what failed.

It takes events with their times and gives lines for a person; it depends on neither Snakemake nor a
clock. It imports the standard library only, and reads only the scores of a record, because it runs
in Snakemake's own process, beside the scheduling.
"""

from __future__ import annotations

import json
import math
import os
from collections import deque
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from statistics import fmean, stdev
from typing import Any, NamedTuple

from gridloom.naming.blocks import point_of, read_block
from gridloom.naming.points import describe_point, read_path
from gridloom.workers.client import EPOCH
from gridloom.workflow.failures import describe_kept, is_interruption

#: A run that has trained nothing stops at this number of failures with one cause, or soon after.
MAX_ALIKE = 10

#: Seconds that Snakemake needs to start a job; it starts one after the other.
JOB_SECONDS = 0.03

#: Most running jobs that the panel names.
MAX_RUNNING = 2

#: Longest name of a point in a line, in characters.
MAX_POINT = 100


@dataclass(frozen=True)
class Outlook:
    """What a run is about to train, and how its trainings are scored.

    Attributes
    ----------
    study
        Name of the study.
    pending
        Records that this run trains.
    jobs
        Number of jobs that make them.
    existing
        Finished records of the study, which are kept.
    axes
        Names of the swept hyperparameters, in which points differ.
    metric, mode
        The objective; ``min`` or ``max``.
    repetitions, folds
        Repetitions of each point, and folds of each repetition; a record may hold more repetitions.
    here
        Whether jobs run on this machine; if not, they wait in the queue of a cluster.
    checked
        Whether a check runs beside the first trainings (see `gridloom.workflow.check`).
    """

    study: str
    pending: tuple[str, ...]
    jobs: int
    existing: tuple[str, ...]
    axes: tuple[str, ...]
    metric: str
    mode: str
    repetitions: int
    folds: int
    here: bool
    checked: bool = False

    def trainings(self, record: str) -> int:
        """Return how many trainings of a record the study uses."""
        block = read_block(record.rpartition("/")[2])
        assert block is not None, record
        # `confirm` and `verify` train repetitions beyond the study's own.
        end = block.last + 1 if block.first >= self.repetitions else self.repetitions
        return (min(block.last + 1, end) - block.first) * self.folds

    def describe_point(self, record: str) -> str:
        """Name a record's point by the hyperparameters that are swept."""
        return self.describe_swept(point_of(record))

    def describe_swept(self, path: str) -> str:
        """Name the point of a path by the hyperparameters that are swept."""
        text = describe_point(read_path(path), self.axes) or "the only configuration"
        return text if len(text) <= MAX_POINT else f"{text[: MAX_POINT - 1]}…"


@dataclass(frozen=True)
class Best:
    """The best point so far: its path, the objective's mean, its standard error.

    The error is None for a point of one repetition.
    """

    point: str
    mean: float
    error: float | None


class Progress:
    """The state of a run.

    Parameters
    ----------
    outlook
        What the run is about to train.

    Attributes
    ----------
    done, total
        Number of finished trainings, before this run or in it; and of all trainings.
    running
        Record → when its job began, the oldest first; on a cluster, when it was submitted. Of a job
        of several records, it is the one that trains now, since it began.
    failed
        Record → the cause, which may be an interruption.
    diverged
        Number of trainings that diverged, in the records read so far.
    begun
        When the first job began; None before.
    can_train
        Whether the check built a network that can train; None until it has ended.
    epochs
        Record → what its worker noted of the fit that is running, of long trainings only.
    """

    def __init__(self, outlook: Outlook) -> None:
        self.outlook = outlook
        self._trainings = {record: outlook.trainings(record) for record in outlook.pending}
        self._before = sum(map(outlook.trainings, outlook.existing))
        self.done = self._before
        self.total = self._before + sum(self._trainings.values())
        self.running: dict[str, float] = {}
        # The record of a job that trains now → those that follow it in this job.
        self._next: dict[str, deque[str]] = {}
        self.failed: dict[str, str] = {}
        self.diverged = 0
        self.begun: float | None = None
        self.can_train: bool | None = None if outlook.checked else False
        self.epochs: dict[str, str] = {}
        self._unread = deque(outlook.existing)
        self._finished: set[str] = set()
        self._scores: dict[str, list[float]] = {}
        self._means: dict[str, float] = {}
        self._spoilt: set[str] = set()
        # Cause → when its failures reached `MAX_ALIKE`, so that the run may be hopeless.
        self._alike: dict[str, float] = {}
        self._settled_at = 0.0

    def begin(self, records: Sequence[str], now: float) -> None:
        """Note that the job of some records begins, or is tried again."""
        if self.begun is None:
            self.begun = now
        for record in records:
            if record not in self._trainings:  # it belongs to a round that was planned later
                self._trainings[record] = self.outlook.trainings(record)
                self.total += self._trainings[record]
            self.failed.pop(record, None)
        self._go_on(deque(record for record in records if record not in self._finished), now)

    def _go_on(self, left: deque[str], now: float) -> None:
        if left:
            record = left.popleft()
            self.running[record], self._next[record] = now, left

    def advance(self, look: Callable[[str], str | None], now: float) -> dict[str, str]:
        """Note which records of running jobs of several are finished or have failed meanwhile.

        Parameters
        ----------
        look
            Returns why a record failed, an empty text if it is finished, None if it is neither.

        Returns
        -------
        dict
            Record → the cause, of those that failed.
        """
        failed = {}
        for first in [record for record, left in self._next.items() if left]:
            record: str | None = first
            while record is not None and (cause := look(record)) is not None:
                left = self._next[record]
                if cause:
                    failed[record] = cause
                    self.fail(record, cause, now)
                else:
                    self.finish(record, now)
                record = left[0] if left else None
                self._go_on(left, now)
        return failed

    def finish(self, record: str, now: float) -> None:
        """Note that a record is finished; `read` reads its scores."""
        self.running.pop(record, None)
        self._next.pop(record, None)
        if record not in self._finished:
            self._finished.add(record)
            self.done += self._trainings[record]
            self._settled_at = now
            self._unread.appendleft(record)

    def fail(self, record: str, cause: str, now: float) -> None:
        """Note that a record failed."""
        self.running.pop(record, None)
        self._next.pop(record, None)
        self.failed[record] = cause
        self._settled_at = now
        if is_interruption(cause):
            return
        if cause not in self._alike and list(self.failed.values()).count(cause) >= MAX_ALIKE:
            self._alike[cause] = now

    def has_ended(self, record: str) -> bool:
        """Return whether a record is finished or failed."""
        return record in self._finished or record in self.failed

    @property
    def settled(self) -> bool:
        """Whether each record of this run is finished or failed."""
        return len(self._finished) + len(self.failed) >= len(self._trainings)

    @property
    def hopeless(self) -> bool:
        """Whether the run should stop: nothing trained, and `MAX_ALIKE` jobs failed with one cause.

        Jobs that began before the last of these failures must end first: if one of them trains,
        only some points fail, and the run goes on with the others. So it does if a check built a
        network that can train.
        """
        if self.can_train is not False:
            return False
        oldest = min(self.running.values(), default=math.inf)
        return not self.done and any(oldest >= since for since in self._alike.values())

    def read(self, enough: Callable[[], bool]) -> None:
        """Read the scores of finished records, the latest first, until `enough` returns True.

        Parameters
        ----------
        enough
            Returns whether the time for reading is used up.
        """
        while self._unread and not enough():
            self._read(self._unread.popleft())

    def read_epochs(self, folder: Path) -> None:
        """Read what the workers of this machine noted of the fits that are running.

        Parameters
        ----------
        folder
            Folder in which the workers note it (see `gridloom.workers.scope`).
        """
        records = {os.path.abspath(record): record for record in self.running}  # noqa: PTH100
        self.epochs = {}
        for file in folder.glob(f"*{EPOCH}"):
            with suppress(OSError, ValueError, LookupError, TypeError):
                noted = json.loads(file.read_text(encoding="utf-8"))
                if noted["record"] in records:
                    self.epochs[records[noted["record"]]] = describe_epoch(noted)

    def _read(self, record: str) -> None:
        point = point_of(record)
        try:
            trainings = json.loads(Path(record).read_text(encoding="utf-8"))["trainings"]
            diverged, scores = _scores(trainings, self.outlook)
        except (OSError, ValueError, LookupError, TypeError):  # `gather` reports it
            return
        self.diverged += diverged
        known = self._scores.setdefault(point, [])
        known += scores
        # As in the tables, a point with a training that diverged ranks behind all others.
        if diverged:
            self._spoilt.add(point)
        if known and point not in self._spoilt:
            self._means[point] = fmean(known)
        else:
            self._means.pop(point, None)

    def best(self) -> Best | None:
        """Return the best point of the records read so far; None if there is none.

        Its error is the standard error of the mean over repetitions, sd (``ddof=1``) / √n.
        """
        if not self._means:
            return None
        choose = min if self.outlook.mode == "min" else max
        point = choose(self._means, key=self._means.__getitem__)
        scores = self._scores[point]
        error = stdev(scores) / math.sqrt(len(scores)) if len(scores) > 1 else None
        return Best(point, self._means[point], error)

    def pace(self) -> float | None:
        """Return the trainings finished per second since the first job began; None before any."""
        fresh = self.done - self._before
        if self.begun is None or not fresh or self._settled_at <= self.begun:
            return None
        return fresh / (self._settled_at - self.begun)

    def seconds_left(self, now: float) -> float | None:
        """Estimate the time until all is trained, at the mean pace so far; None without a pace."""
        pace = self.pace()
        if pace is None:
            return None
        lost = sum(self._trainings[record] for record in self.failed)
        left = (self.total - self.done - lost) / pace
        return max(left - (now - self._settled_at), 0.0)


def _scores(trainings: Sequence[Any], outlook: Outlook) -> tuple[int, list[float]]:
    """Return how many trainings diverged, and the objective of each repetition, over its folds."""
    diverged = 0
    folds: dict[int, list[float]] = {}
    for training in trainings:
        if training["repetition"] >= outlook.repetitions:
            continue
        if training["status"] != "ok":
            diverged += 1
            continue
        values = training["history"].get(outlook.metric)
        value = values[training["restored_epoch"]] if values else None
        if value is not None:
            folds.setdefault(training["repetition"], []).append(value)
    return diverged, [fmean(values) for values in folds.values()]


def describe_outlook(outlook: Outlook) -> str:
    """Describe what a run is about to train."""
    new, old = (sum(map(outlook.trainings, part)) for part in (outlook.pending, outlook.existing))
    if not new:
        return f"{outlook.study}: {old:,} trainings, all finished"
    kept = f"; {old:,} are finished" if old else ""
    jobs = f"{outlook.jobs:,} job{'s' * (outlook.jobs != 1)}"
    return f"{outlook.study}: {new:,} trainings in {jobs}{kept}"


class Row(NamedTuple):
    """A row of the panel.

    Attributes
    ----------
    label, text
        What it shows.
    is_cut
        Whether it is cut at the edge of the terminal, so that the panel keeps its height.
    """

    label: str
    text: str
    is_cut: bool = False


def describe_panel(progress: Progress, now: float) -> list[Row]:
    """Describe where a run stands, for a terminal.

    Parameters
    ----------
    now
        Time on the clock of the events, in seconds.
    """
    outlook = progress.outlook
    rows = [Row("", _describe_time(progress, now))]
    best = progress.best()
    if best is not None:
        rows.append(Row("best so far", f"{outlook.metric} {describe_score(best.mean, best.error)}"))
        rows.append(Row("", outlook.describe_swept(best.point)))
    oldest = list(progress.running)[:MAX_RUNNING]
    for place, record in enumerate(oldest):
        since = describe_duration(now - progress.running[record])
        label = "trains now" if outlook.here else "submitted"
        text = f"{since}: {outlook.describe_point(record)}"
        rows.append(Row(label if place == 0 else "", text, is_cut=True))
        # In a row of its own: beside it, too little of the point would fit into 80 columns.
        if record in progress.epochs:
            rows.append(Row("", f"  {progress.epochs[record]}"))
    more = len(progress.running) - len(oldest)
    if more:
        rows.append(Row("", f"and {more:,} more"))
    rows.append(Row("", _describe_troubles(progress)))
    return rows


def describe_line(progress: Progress, now: float) -> str:
    """Describe where a run stands in one line, for a file or a log."""
    outlook = progress.outlook
    parts = [f"{describe_count(progress)}, {_describe_time(progress, now)}"]
    best = progress.best()
    if best is not None:
        score = describe_score(best.mean, best.error)
        parts.append(f"best so far {score} ({outlook.describe_swept(best.point)})")
    oldest = next((record for record in progress.running if record in progress.epochs), None)
    if oldest is not None:
        parts.append(f"{outlook.describe_point(oldest)} in {progress.epochs[oldest]}")
    parts.append(_describe_troubles(progress))
    return "; ".join(parts)


def describe_epoch(noted: Mapping[str, Any]) -> str:
    """Describe where a fit stands, such as ``repetition 2, epoch 3 of 25``, counted from 1.

    Parameters
    ----------
    noted
        As the worker noted it: epochs ``finished`` of all ``epochs``, and the ``repetition``.
    """
    epoch = f"epoch {min(noted['finished'] + 1, noted['epochs']):,} of {noted['epochs']:,}"
    if noted["repetition"] is None:
        return epoch
    return f"repetition {noted['repetition'] + 1:,}, {epoch}"


def describe_count(progress: Progress) -> str:
    """Write how many of all trainings are finished."""
    share = math.floor(100 * progress.done / progress.total) if progress.total else 100
    return f"{progress.done:,} of {progress.total:,} trainings ({share} %)"


def describe_failure(outlook: Outlook, record: str, cause: str, log: str) -> str:
    """Describe why a point failed, and where its log is; or what an interrupted one keeps."""
    if is_interruption(cause):
        return f"interrupted: {outlook.describe_point(record)}; {describe_kept([record])}"
    return f"failed: {outlook.describe_point(record)}\n  {cause}\n  log  {log}"


def describe_stop() -> str:
    """Describe why a run stops in which nothing trains."""
    return (
        f"{MAX_ALIKE} configurations failed with one cause and none has trained, so the run stops. "
        "Remove the cause, or take the values that it names out of the grid, and run again."
    )


def _describe_time(progress: Progress, now: float) -> str:
    pace, left = progress.pace(), progress.seconds_left(now)
    if progress.begun is None or pace is None or left is None:
        return "time left: known when the first training is finished"
    so_far = describe_duration(now - progress.begun)
    if progress.settled:
        return f"{describe_pace(pace)}, in {so_far}"
    return f"{describe_pace(pace)}, {so_far} so far, about {describe_duration(left)} left"


def _describe_troubles(progress: Progress) -> str:
    lost = {True: 0, False: 0}
    for record, cause in progress.failed.items():
        lost[is_interruption(cause)] += progress.outlook.trainings(record)
    text = f"{progress.diverged:,} diverged, {lost[False]:,} failed"
    return f"{text}, {lost[True]:,} interrupted" if lost[True] else text


def describe_score(mean: float, error: float | None) -> str:
    """Write a mean with its standard error, both to the error's second significant digit."""
    if error is None or not error > 0 or not math.isfinite(error):
        return f"{mean:.4g}" + ("" if error is None else " ± 0")
    places = 1 - math.floor(math.log10(error))
    if not 0 <= places <= 8:
        return f"{mean:.4g} ± {error:.2g}"
    return f"{mean:.{places}f} ± {error:.{places}f}"


def describe_pace(a_second: float) -> str:
    """Write a rate a second, minute or hour: the first of them in which it is at least 1."""
    units = ((1, "s"), (60, "minute"), (3600, "hour"))
    seconds, unit = next((one for one in units if a_second * one[0] >= 1), units[-1])
    number = a_second * seconds
    return f"{number:,.1f} trainings/{unit}" if number < 10 else f"{number:,.0f} trainings/{unit}"


def describe_duration(seconds: float) -> str:
    """Write a time in the largest unit in which it is at least 2."""
    for size, unit in ((86_400, "days"), (3_600, "hours"), (60, "minutes")):
        if seconds >= 2 * size:
            return f"{seconds / size:.0f} {unit}"
    return f"{max(seconds, 1):.0f} s"
