"""The check before trainings, for a person: what cannot train and why, by which engine, the cost.

Nothing heavy is imported here: `gridloom.check.networks` checks in a process with TensorFlow.
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from gridloom.check.findings import Cost, Findings
from gridloom.check.sample import left_out
from gridloom.naming.blocks import point_of
from gridloom.naming.points import Point, describe_point, read_path
from gridloom.naming.values import identity_of
from gridloom.workers import client
from gridloom.workers.task import Task, ask_host
from gridloom.workflow.failures import without_arguments
from gridloom.workflow.progress import JOB_SECONDS, describe_duration

#: The function that a task of a check calls.
FUNCTION = "gridloom.check.networks:write_findings"

#: Most causes that are shown.
MAX_CAUSES = 10

#: Seconds between two looks whether the rows are there.
POLL_SECONDS = 0.1

#: Lowers the priority of a check, so that it mostly uses the time in which no training runs. It
#: still gets a quarter of a core that a training keeps busy.
BESIDE_TRAININGS = 5

#: TensorFlow's import, which a run starts with.
START_SECONDS = 5.0

#: ASSUME: a job's record and log, and the folders of each, take a block of the disk at least.
DISK_BLOCK = 4096
FOLDERS_AND_LOG = 3


@dataclass(frozen=True)
class Load:
    """What a run has to do, and with what.

    Attributes
    ----------
    records
        Records that it would train.
    jobs
        Number of jobs that make them.
    trainings
        Number of its trainings.
    parallel
        Jobs that run at once; None if unknown, as on a cluster.
    memory_mb
        Memory of the machine, in MB.
    """

    records: Sequence[str]
    jobs: int
    trainings: int
    parallel: int | None
    memory_mb: float


def describe_troubles(
    findings: Findings, points: Sequence[Point], axes: Collection[str]
) -> str | None:
    """Describe the points that cannot train; None if all that were checked can.

    Parameters
    ----------
    points
        All points that would train.
    axes
        Names of the hyperparameters that the study sweeps.
    """
    if not findings.failed:
        return None
    causes: dict[str, list[str]] = {}
    for path, cause in findings.failed.items():
        causes.setdefault(without_arguments(cause), []).append(path)
    lines = [
        f"✗ {_describe_points(paths, findings, points, axes)}: {cause}"
        for cause, paths in list(causes.items())[:MAX_CAUSES]
    ]
    if len(causes) > MAX_CAUSES:
        lines.append(f"and {len(causes) - MAX_CAUSES:,} more causes")
    return "\n".join(lines)


def _describe_points(
    failed: Sequence[str], findings: Findings, points: Sequence[Point], axes: Collection[str]
) -> str:
    """Name points that fail by the values that they share and no point that can train has."""
    shared = set.intersection(*(_items(read_path(path)) for path in failed))
    for path in findings.engines:
        shared -= _items(read_path(path))
    if not findings.engines:
        # Finished points have other values of the axes, so a value that all others share may be
        # the reason; a value that the study does not sweep is not.
        shared = {item for item in shared if item[0] in axes}
        if not shared:
            return "each network that was built"
    names = [name for name, _ in shared]
    if not names:
        first = describe_point(read_path(failed[0]), axes)
        more = f" and {len(failed) - 1:,} more" if len(failed) > 1 else ""
        return f"{first}{more}"
    concerned = sum(shared <= _items(point) for point in points)
    value = describe_point(read_path(failed[0]), sorted(names))
    return f"{value} ({concerned:,} of {len(points):,} points)"


def _items(point: Point) -> set[tuple[str, object]]:
    return {(name, identity_of(value)) for name, value in point.items()}


def describe_engines(findings: Findings) -> list[str]:
    """Say by which engine the points train; if one by one, why."""
    total = len(findings.engines)
    if not total:
        return []
    reasons: dict[str, int] = {}
    for path, engine in findings.engines.items():
        why_not = findings.one_by_one.get(path)
        text = {
            "lockstep": "lockstep: the repetitions of a point train as one computation",
            "keras": "Keras's own model.fit, as the study asks",
        }.get(engine, f"one by one, because {why_not}")
        reasons[text] = reasons.get(text, 0) + 1
    if len(reasons) == 1:
        return list(reasons)
    return [f"{count:,} of {total:,}: {text}" for text, count in reasons.items()]


def describe_check(
    findings: Findings, points: Sequence[Point], axes: Collection[str], load: Load
) -> str:
    """Describe what a check found, and what a run would cost.

    Parameters
    ----------
    points
        All points that the check stands for.
    axes
        Names of the hyperparameters that the study sweeps.
    """
    rows = [("networks", line) for line in _describe_sample(findings, points)]
    rows += [("engine", line) for line in describe_engines(findings)]
    if findings.costs:
        rows += _describe_costs(findings, load)
    lines = []
    last = ""
    for label, text in rows:
        lines.append(f"{'' if label == last else label:<10} {text}")
        last = label
    return "\n".join([*lines, *filter(None, [describe_troubles(findings, points, axes)])])


def _describe_sample(findings: Findings, points: Sequence[Point]) -> Iterable[str]:
    built, failed = len(findings.points), len(findings.failed)
    what = "one, and one with each other value of each axis" if built > 1 else "the only one"
    yield f"{built:,} of {len(points):,} points built: {what}"
    for name, (checked, count) in left_out(points).items():
        yield f"of {name}, {checked:,} of {count:,} values"
    yield f"{failed:,} cannot train" if failed else "each can train"


def _describe_costs(findings: Findings, load: Load) -> Iterable[tuple[str, str]]:
    paths = list(map(point_of, load.records))
    if paths:
        yield "time", _describe_time(findings, load, [read_path(path) for path in paths])
    else:
        yield "time", "nothing is left to train"
    assert findings.memory_mb is not None
    memory = f"about {findings.memory_mb:,.0f} MB a job"
    if load.parallel is not None:
        together = load.parallel * findings.memory_mb / 1000
        memory += f"; {load.parallel:,} at once: {together:,.1f} of {load.memory_mb / 1000:,.1f} GB"
    yield "memory", memory
    if paths:
        largest = max(cost.record_bytes for cost in findings.costs.values())
        disk = len(paths) * (largest + FOLDERS_AND_LOG * DISK_BLOCK)
        yield "disk", f"about {max(disk / 1e6, 1):,.0f} MB of records and logs"


def _describe_time(findings: Findings, load: Load, points: Sequence[Point]) -> str:
    work = sum(job_seconds(findings.costs, points))
    count = f"{load.trainings:,} trainings in {load.jobs:,} jobs"
    if load.parallel is None:
        text = f"about {describe_duration(work)} of training in all, {count}"
    else:
        wall = START_SECONDS + work / load.parallel + JOB_SECONDS * load.jobs
        text = f"about {describe_duration(wall)} for {count}, {load.parallel:,} at once"
    stops = any(point.get("early_stopping_patience") is not None for point in points)
    return f"{text}, or less where early stopping ends them" if stops else text


def job_seconds(costs: Mapping[str, Cost], points: Sequence[Point]) -> Iterable[float]:
    """Estimate the time of a job of each point.

    ASSUME: hyperparameters act on the time of an epoch as factors, each known from the point that
    was timed with this value. A value that was not timed costs as much as the first.
    """
    (first, base), *others = ((read_path(path), cost) for path, cost in costs.items())
    known = _items(first)
    factors: dict[tuple[str, object], float] = {}
    for point, cost in others:
        differing = [item for item in _items(point) - known if item[0] != "epochs"]
        if len(differing) == 1 and base.epoch_seconds > 0:
            factors[differing[0]] = cost.epoch_seconds / base.epoch_seconds
    for point in points:
        epochs = point["epochs"]
        assert isinstance(epochs, int)
        epoch_seconds = base.epoch_seconds
        for item in _items(point):
            epoch_seconds *= factors.get(item, 1.0)
        yield base.start_seconds + epochs * epoch_seconds


def describe_beside(findings: Findings, points: Sequence[Point], axes: Collection[str]) -> str:
    """Describe what a user should know while a run trains; nothing if all is as it should be.

    Parameters
    ----------
    points, axes
        As for `describe_troubles`.
    """
    lines = []
    if findings.one_by_one:
        lines = [f"engine  {line}" for line in describe_engines(findings)]
    troubles = describe_troubles(findings, points, axes)
    if troubles is not None:
        others = "; the others train" if findings.engines else ""
        lines += [f"The check found configurations that cannot train{others}:", troubles]
    return "\n".join(lines)


class Beside:
    """A check beside the first trainings of a run.

    It is no job of Snakemake, so nothing can train again because of it, and no training waits for
    it. It runs in a fork of the workers' host.

    Parameters
    ----------
    arguments
        From `StudyRun.check_arguments`.
    axes
        Names of the hyperparameters that the study sweeps.
    scope
        Folder of this run's workers.
    report
        Called once, with a message, which is empty if there is nothing that the user should know,
        and with whether a network that was built can train.
    """

    def __init__(
        self,
        arguments: Mapping[str, Any],
        axes: Collection[str],
        scope: Path,
        report: Callable[[str, bool], None],
    ) -> None:
        self.axes = axes
        self.scope = scope
        self.report = report
        self._findings = scope / "check.json"
        self._arguments = {**arguments, "timed": False, "findings": str(self._findings)}
        self._ended = threading.Event()
        threading.Thread(target=self._run, daemon=True).start()

    def _run(self) -> None:
        rows = (Path(self._arguments[name]) for name in ("rows_file", "split_file"))
        onednn = self._arguments["setup"]["onednn"]
        needed = [*rows, self.scope / f"{client.host_name(onednn)}.sock"]
        while not all(file.exists() for file in needed):
            if self._ended.wait(POLL_SECONDS):
                return
        log = str(self.scope / "check.log")
        task = Task(FUNCTION, self._arguments, 1, log, onednn, nice=BESIDE_TRAININGS)
        message, can_train = "", False
        # If the check itself fails, the trainings show whether the study is the reason.
        answer = ask_host(task, self.scope)
        if answer is not None and answer["error"] is None:
            try:
                findings = Findings.read(self._findings)
            except OSError:  # the run has ended, and its folder is gone
                return
            points = [read_path(path) for path in self._arguments["points"]]
            message = describe_beside(findings, points, self.axes)
            can_train = bool(findings.engines)
        if not self._ended.is_set():
            self.report(message, can_train)

    def end(self) -> None:
        """Report nothing from now on."""
        self._ended.set()
