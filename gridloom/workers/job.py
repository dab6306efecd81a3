"""The job: what a client sends to a worker, one line of JSON.

The client (`gridloom.workers.client`) starts once a job and puts it together without this module,
whose import costs more than all that the client does; a test holds both to each other.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from gridloom.identity.setup import Setup
from gridloom.naming.blocks import job_repetitions, point_of
from gridloom.naming.points import read_path
from gridloom.training.request import Request


@dataclass(frozen=True)
class TrainingSettings:
    """What all trainings of a study share besides the records that they make.

    Attributes
    ----------
    setup
        All that determines a training besides its point and repetition.
    objective
        What a network must measure to be trained.
    model
        Path of the model file.
    gpu_limit
        GPUs that all trainings of the run may use together; None for no limit.
    warm, lockstep, recycle_trainings, recycle_mb
        As in the study; `warm` is false in a cluster's job.
    """

    setup: Setup
    objective: str
    model: str
    gpu_limit: int | None
    warm: bool
    lockstep: bool
    recycle_trainings: int
    recycle_mb: int

    def as_json(self) -> dict[str, Any]:
        """Return what `read_settings` takes."""
        return {**vars(self), "setup": self.setup.as_json()}


@dataclass(frozen=True)
class Job:
    """One job of the rule `train`.

    Attributes
    ----------
    settings
        See `TrainingSettings`.
    scope
        Folder in which this run's clients meet its workers.
    watch
        Number of the Snakemake process.
    threads, gpus
        What it may use.
    record, log
        Files that it writes; the record's path tells what to train.
    rows, split
        Files that it reads.
    """

    settings: TrainingSettings
    scope: Path
    watch: int
    threads: int
    gpus: int
    record: Path
    log: Path
    rows: Path
    split: Path

    @classmethod
    def from_json(cls, sent: Mapping[str, Any]) -> Job:
        """Read what a client sent."""
        shared = {name: sent[name] for name in TrainingSettings.__dataclass_fields__}
        shared["setup"] = Setup.from_json(shared["setup"])
        return cls(
            settings=TrainingSettings(**shared),
            scope=Path(sent["scope"]),
            watch=sent["watch"],
            threads=sent["threads"],
            gpus=sent["gpus"],
            record=Path(sent["record"]),
            log=Path(sent["log"]),
            rows=Path(sent["rows"]),
            split=Path(sent["split"]),
        )

    @property
    def trainings(self) -> int:
        """Its trainings: one for each fold of each repetition."""
        folds: int = self.settings.setup.validation.get("folds", 1)
        return len(job_repetitions(self.record)) * folds

    @property
    def request(self) -> Request:
        """What it is to train."""
        return Request(
            setup=self.settings.setup,
            hyperparameters=read_path(point_of(self.record)),
            repetitions=tuple(job_repetitions(self.record)),
            rows_file=self.rows,
            split_file=self.split,
            model_file=Path(self.settings.model),
            lockstep=self.settings.lockstep,
            objective=self.settings.objective,
        )


@dataclass(frozen=True)
class Slot:
    """What a client asks a host for: a worker for a slot.

    Attributes
    ----------
    slot
        Its name.
    threads, gpus
        What the worker may use.
    gpu_limit, recycle_trainings, recycle_mb
        See `TrainingSettings`.
    """

    slot: str
    threads: int
    gpus: int
    gpu_limit: int | None
    recycle_trainings: int
    recycle_mb: int
