"""The request: what a job is to train, as its message tells it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from gridloom.identity.setup import Setup
from gridloom.naming.blocks import job_repetitions, point_of
from gridloom.naming.points import read_path
from gridloom.naming.values import Value
from gridloom.networks.model_code import check_process


@dataclass(frozen=True)
class Request:
    """What determines the trainings of a job, and the files it needs.

    Attributes
    ----------
    hyperparameters
        The point, early-stopping keys, `batch_size` and `epochs` among them.
    repetitions
        Which ones to train.
    seed, vary, validation, class_weight, scaling
        As in the study.
    target
        ``standard`` or ``none``: what is done to a regression's targets.
    rows_file, split_file, model_file
        ``train.parquet`` (or ``.npz``), ``split.json`` and the model file.
    setup
        All that determines a training besides its point and repetition; noted in the record.
    engine
        ``compiled`` or ``keras``.
    xla
        ``auto``, ``on`` or ``off``.
    lockstep
        Whether repetitions may train in lockstep.
    objective
        What a network must measure to be trained; None for anything.
    """

    hyperparameters: dict[str, Value]
    repetitions: tuple[int, ...]
    seed: int
    vary: tuple[str, ...]
    validation: dict[str, Any]
    class_weight: str | dict[str, float] | None
    scaling: str
    rows_file: Path
    split_file: Path
    model_file: Path
    setup: dict[str, Any]
    engine: str = "compiled"
    xla: str = "auto"
    lockstep: bool = True
    objective: str | None = None
    target: str = "none"


def read_request(job: Mapping[str, Any]) -> Request:
    """Read a job as the client sends it: its settings and files.

    Raises
    ------
    ChangedError
        If this process is not what the set-up says.
    """
    setup, record = Setup.from_json(job["setup"]), Path(job["record"])
    check_process(setup)
    return Request(
        hyperparameters=read_path(point_of(record)),
        repetitions=tuple(job_repetitions(record)),
        seed=setup.seed,
        vary=setup.vary,
        validation=setup.validation,
        class_weight=setup.class_weight,
        scaling=setup.scaling,
        rows_file=Path(job["rows"]),
        split_file=Path(job["split"]),
        model_file=Path(job["model"]),
        setup=setup.as_json(),
        engine=setup.engine,
        xla=setup.xla,
        lockstep=job["lockstep"],
        objective=job["objective"],
        target=setup.target,
    )
