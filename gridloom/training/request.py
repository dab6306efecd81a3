"""The request: what a job trains, and with which files."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from gridloom.identity.setup import Setup
from gridloom.naming.points import Point


@dataclass(frozen=True)
class Request:
    """The trainings of a job, and the files that it needs.

    Attributes
    ----------
    setup
        Everything that determines a training besides its point and repetition; noted in the record.
    hyperparameters
        The point, including early-stopping keys, `batch_size` and `epochs`.
    repetitions
        The repetitions to train.
    rows_file, split_file, model_file
        ``train.parquet`` (or ``.npz``), ``split.json`` and the model file.
    lockstep
        Whether repetitions may train in lockstep.
    objective
        Metric that a network must measure; None for no check.
    unfinished
        File for what is trained until all is (see `gridloom.training.unfinished`); None for none.
    checkpoint_minutes
        Minutes between two checkpoints of a fit; None for none.
    adoptable
        File that lists records that may be adopted (see `gridloom.training.adoption`); None for
        none.
    """

    setup: Setup
    hyperparameters: Point
    repetitions: tuple[int, ...]
    rows_file: Path
    split_file: Path
    model_file: Path
    lockstep: bool = True
    objective: str | None = None
    unfinished: Path | None = None
    checkpoint_minutes: float | None = None
    adoptable: Path | None = None
