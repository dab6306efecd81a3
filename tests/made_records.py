"""Records as a job writes them, made without a training."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from gridloom.naming.blocks import Block
from gridloom.naming.points import point_path
from gridloom.naming.values import canonical
from gridloom.records import Machine, Record, TrainingResult, write_record
from gridloom.study.seeds import STREAMS, training_seeds

SETUP = {
    "seed": 0,
    "vary": sorted(STREAMS),
    "validation": {"method": "holdout", "fraction": 0.2},
}

MACHINE = Machine("here", packages={"keras": "3", "tensorflow": "2"})


def write_made_record(
    folder: Path,
    point: Mapping[str, Any],
    histories: Sequence[Mapping[str, list[float | None]]],
    *,
    first: int = 0,
    restored_epoch: int = -1,
    seconds: float = 0.5,
    setup: Mapping[str, Any] = SETUP,
    machine: Machine = MACHINE,
    **made_with: Any,
) -> Path:
    """Write the record of a point, with one history for each training, and return its path.

    Parameters
    ----------
    folder
        Folder of the study; the record's set-up is called `5`.
    histories
        In the order of repetitions, and of the folds of each that `setup` has.
    restored_epoch
        Counted from 0; -1 is the last.
    made_with
        Further attributes of the record.
    """
    point = {name: canonical(value) for name, value in point.items()}
    folds = setup["validation"].get("folds", 1)
    trainings = tuple(
        TrainingResult(
            repetition=first + place // folds,
            fold=place % folds,
            seeds=training_seeds(setup["seed"], first + place // folds, setup["vary"]),
            status="diverged" if None in history["loss"] else "ok",
            restored_epoch=range(len(history["loss"]))[restored_epoch],
            seconds=seconds,
            history=history,
        )
        for place, history in enumerate(histories)
    )
    block = Block(first, trainings[-1].repetition)
    path = folder / "points" / "5" / point_path(point) / block.file
    write_record(path, Record(point, 12, trainings, machine, dict(setup), **made_with))
    return path
