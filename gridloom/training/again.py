"""Trainings that run once more, so that their records can be compared."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import replace
from pathlib import Path

from gridloom.naming.blocks import job_repetitions, point_of
from gridloom.records import read_record, write_record
from gridloom.training.request import Request
from gridloom.training.trainer import Trainer


def train_again(records: Iterable[Path], request: Request, folder: Path) -> list[tuple[Path, Path]]:
    """Train the records of a point once more.

    Parameters
    ----------
    request
        The point and its files. The repetitions, and whether they train in lockstep, are taken from
        each record: lockstep changes results by rounding.
    folder
        Folder of the new records.

    Returns
    -------
    list of pairs
        Each record, and the new one.
    """
    trainer = Trainer()
    pairs = []
    for record in records:
        before = read_record(record)
        once_more = replace(
            request,
            repetitions=tuple(job_repetitions(record)),
            lockstep=before.engine == "lockstep",
        )
        again = folder / "points" / request.setup.name / point_of(record) / record.name
        write_record(again, trainer.run(once_more))
        pairs.append((record, again))
    return pairs
