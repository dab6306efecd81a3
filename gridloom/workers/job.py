"""The job that a client sends to a worker, as one line of JSON.

The client (`gridloom.workers.client`) builds this line without this module, whose import would take
longer than everything that the client does. A test checks that both agree.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from gridloom.identity.setup import Setup
from gridloom.naming.blocks import job_repetitions, point_of, unfinished_of
from gridloom.naming.points import read_path
from gridloom.training.request import Request


@dataclass(frozen=True)
class TrainingSettings:
    """Settings that all trainings of a study share.

    Attributes
    ----------
    setup
        Everything that determines a training besides its point and repetition.
    objective
        Metric that a network must measure.
    model
        Path of the model file.
    gpu_limit
        GPUs that all trainings of the run may use together; None for no limit.
    warm, lockstep, checkpoint_minutes, recycle_trainings, recycle_mb
        As in the study; `warm` is false in a cluster's job.
    adoptable
        File that may list records to adopt; None for none.
    """

    setup: Setup
    objective: str
    model: str
    gpu_limit: int | None
    warm: bool
    lockstep: bool
    checkpoint_minutes: float | None
    recycle_trainings: int
    recycle_mb: int
    adoptable: str | None = None

    def as_json(self) -> dict[str, Any]:
        """Return the form that `Job.from_json` reads."""
        return {**vars(self), "setup": self.setup.as_json()}


@dataclass(frozen=True)
class Job:
    """One record that a job of `train` makes.

    Attributes
    ----------
    settings
        See `TrainingSettings`.
    scope
        Folder in which this run's clients connect to its workers.
    watch
        Process id of Snakemake.
    threads, gpus
        Cores and GPUs that it may use.
    record, log
        Files that it writes; the record's path says what to train.
    request
        What it trains.
    ahead
        What the job trains after it; some may train in the same lanes. Read one by one, because
        most are not needed.
    """

    settings: TrainingSettings
    scope: Path
    watch: int
    threads: int
    gpus: int
    record: Path
    log: Path
    request: Request
    ahead: Iterator[Request]

    @classmethod
    def from_json(cls, sent: Mapping[str, Any]) -> Job:
        """Read the job that a client sent."""
        shared = {name: sent[name] for name in TrainingSettings.__dataclass_fields__}
        shared["setup"] = Setup.from_json(shared["setup"])
        settings = TrainingSettings(**shared)

        def request_for(record: Path) -> Request:
            return Request(
                setup=settings.setup,
                hyperparameters=read_path(point_of(record)),
                repetitions=tuple(job_repetitions(record)),
                rows_file=Path(sent["rows"]),
                split_file=Path(sent["split"]),
                model_file=Path(settings.model),
                lockstep=settings.lockstep,
                objective=settings.objective,
                unfinished=unfinished_of(record),
                checkpoint_minutes=settings.checkpoint_minutes,
                adoptable=None if settings.adoptable is None else Path(settings.adoptable),
            )

        return cls(
            settings=settings,
            scope=Path(sent["scope"]),
            watch=sent["watch"],
            threads=sent["threads"],
            gpus=sent["gpus"],
            record=Path(sent["record"]),
            log=Path(sent["log"]),
            request=request_for(Path(sent["record"])),
            ahead=(request_for(Path(record)) for record in sent["ahead"]),
        )

    @property
    def trainings(self) -> int:
        """Number of its trainings: one for each fold of each repetition."""
        return len(self.request.repetitions) * self.settings.setup.folds


@dataclass(frozen=True)
class Slot:
    """A slot for which a client asks the host for a worker.

    Attributes
    ----------
    slot
        Its name.
    threads, gpus
        Cores and GPUs that the worker may use.
    gpu_limit, recycle_trainings, recycle_mb
        See `TrainingSettings`.
    """

    slot: str
    threads: int
    gpus: int
    gpu_limit: int | None
    recycle_trainings: int
    recycle_mb: int
