"""The check of networks: build a sample of a study's points, and time an epoch of some.

It runs as a task (see `gridloom.workers.task`), in a process with TensorFlow.
"""

from __future__ import annotations

import tempfile
import time
from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

from gridloom.check.findings import Cost, Findings
from gridloom.check.sample import sample
from gridloom.errors import MAX_MESSAGE, ChangedError, DataError, GridloomError, shortened
from gridloom.identity.setup import Setup
from gridloom.naming.points import read_path
from gridloom.records import Record, write_record
from gridloom.training.request import Request
from gridloom.training.trainer import Inspection, Trainer
from gridloom.workers.process import memory_mb

#: Time after which no further point is timed.
TIMING_SECONDS = 8.0

#: A fit is timed with each of these numbers of epochs; the difference is the time of an epoch.
EPOCHS = (1, 5)


def write_findings(
    points: Sequence[str],
    *,
    setup: Mapping[str, Any],
    repetitions: Sequence[int],
    objective: str,
    lockstep: bool,
    rows_file: str,
    split_file: str,
    model_file: str,
    timed: bool,
    findings: str,
) -> None:
    """Check a sample of points; a task calls this, so all arguments are values that JSON has.

    Parameters
    ----------
    points
        Paths of the points that would train.
    setup
        As `Setup.as_json` returns it.
    repetitions
        Those of one job of `train`.
    timed
        Whether to time epochs.
    findings
        File to write.
    """
    request = Request(
        setup=Setup.from_json(setup),
        hyperparameters={},
        repetitions=tuple(repetitions),
        rows_file=Path(rows_file),
        split_file=Path(split_file),
        model_file=Path(model_file),
        lockstep=lockstep,
        objective=objective,
    )
    requests = {path: replace(request, hyperparameters=read_path(path)) for path in points}
    check(requests, timed=timed).write(Path(findings))


def check(requests: Mapping[str, Request], *, timed: bool) -> Findings:
    """Build a sample of networks, check them as a training does, and time epochs of some.

    Parameters
    ----------
    requests
        Path of each point → a job of it.
    timed
        Whether to time epochs if each network of the sample can train. If not, the mistakes are
        reported sooner.
    """
    trainer = Trainer()
    paths, inspected = list(requests), _inspect(trainer, list(requests.values()))
    results = {paths[place]: result for place, result in inspected.items()}
    good = {path: result for path, result in results.items() if isinstance(result, Inspection)}
    jobs = [(path, requests[path]) for path in good]
    costs = _time(trainer, jobs) if timed and len(good) == len(results) else {}
    return Findings(
        points=tuple(results),
        failed={path: result for path, result in results.items() if isinstance(result, str)},
        engines={path: result.engine for path, result in good.items()},
        one_by_one={
            path: result.why_not_lockstep
            for path, result in good.items()
            if result.why_not_lockstep is not None
        },
        costs=costs,
        memory_mb=memory_mb() if costs else None,
    )


def _inspect(trainer: Trainer, requests: Sequence[Request]) -> dict[int, Inspection | str]:
    """Inspect a sample of points; return the index of each, and the cause if it cannot train.

    If the first point fails, each point that shares its mistake fails as well, so a second sample
    is taken around one that does not.
    """
    points = [request.hyperparameters for request in requests]
    results: dict[int, Inspection | str] = {}
    base = 0
    for _ in range(2):
        for place in sample(points, base):
            if place not in results:
                results[place] = _inspected(trainer, requests[place])
        if isinstance(results[base], Inspection):
            break
        base = next((place for place, one in results.items() if isinstance(one, Inspection)), base)
    return results


def _inspected(trainer: Trainer, request: Request) -> Inspection | str:
    try:
        return trainer.inspect(request)
    except (ChangedError, DataError, OSError):  # not about this network
        raise
    except GridloomError as error:
        return shortened(str(error), MAX_MESSAGE)
    except Exception as error:
        return shortened(f"{type(error).__name__}: {error}", MAX_MESSAGE)


def _time(trainer: Trainer, jobs: Sequence[tuple[str, Request]]) -> dict[str, Cost]:
    """Return path → cost of the first job, and of others as long as there is time."""
    began = time.monotonic()
    costs: dict[str, Cost] = {}
    for path, request in jobs:
        if costs and time.monotonic() - began > TIMING_SECONDS:
            break
        costs[path] = _cost(trainer, request)
    return costs


def _cost(trainer: Trainer, request: Request) -> Cost:
    """Time a job with few epochs, and without early stopping."""
    point = {
        name: value
        for name, value in request.hyperparameters.items()
        if not name.startswith("early_stopping_")
    }
    epochs = request.hyperparameters["epochs"]
    assert isinstance(epochs, int)

    def run(count: int) -> tuple[Record, float]:
        started = time.perf_counter()
        record = trainer.run(replace(request, hyperparameters={**point, "epochs": count}))
        return record, time.perf_counter() - started

    few, more = EPOCHS
    record, first = run(few)
    size = _bytes(record, epochs)
    # The first run traces the graph as well; in a long one, that is a small part.
    if first > TIMING_SECONDS:
        return Cost(0.0, first / few, size)
    run(more)  # with XLA, each number of epochs is traced
    (_, short), (_, long) = run(few), run(more)
    epoch_seconds = max(long - short, 0.0) / (more - few)
    return Cost(max(short - few * epoch_seconds, 0.0), epoch_seconds, size)


def _bytes(record: Record, epochs: int) -> int:
    """Return the size that a record of one epoch has after more of them."""
    trainings = tuple(
        replace(
            training, history={name: values * epochs for name, values in training.history.items()}
        )
        for training in record.trainings
    )
    with tempfile.TemporaryDirectory(prefix="gridloom-") as folder:
        file = Path(folder, "record.json")
        write_record(file, replace(record, trainings=trainings))
        return file.stat().st_size
