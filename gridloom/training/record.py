"""The record: what one job leaves behind, the trainings of a point and a block of repetitions."""

from __future__ import annotations

import json
import math
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np

from gridloom.blocks import point_of, read_block
from gridloom.errors import RecordError
from gridloom.files import write_text

#: Raised when a record of this version cannot be read as the one before.
FORMAT = 1

_KEYS = {"format", "point", "hyperparameters", "trainings", "parameters", "environment"}
_TRAINING_KEYS = {"repetition", "fold", "seeds", "status", "restored_epoch", "seconds", "history"}


def shortest(value: float) -> float | None:
    """Return the shortest number that reads back as this float32; None if it is not finite."""
    return float(str(np.float32(value))) if math.isfinite(value) else None


def write_record(path: Path, record: Mapping[str, Any]) -> None:
    """Write a record atomically."""
    write_text(path, json.dumps(record, separators=(",", ":"), allow_nan=False) + "\n")


def read_record(path: Path) -> dict[str, Any]:
    """Read a record and check that it is whole.

    Raises
    ------
    RecordError
        Naming the file and what to do.
    """
    remedy = "delete it and run again: it will be trained anew"
    try:
        record = json.loads(path.read_text(encoding="utf-8"))
    except OSError as error:
        raise RecordError(f"{path}: cannot be read ({error.strerror})") from None
    except ValueError:
        raise RecordError(f"{path}: is cut short or damaged; {remedy}") from None
    if not isinstance(record, dict) or "format" not in record:
        raise RecordError(f"{path}: is not a record; {remedy}")
    if record["format"] != FORMAT:
        raise RecordError(
            f"{path}: has format {record['format']}, this version reads {FORMAT}; {remedy}"
        )
    if not _is_complete(record):
        raise RecordError(f"{path}: is not a record; {remedy}")
    if record["point"] != point_of(path):
        raise RecordError(f"{path}: holds another point, {record['point']}; {remedy}")
    block = read_block(path.name)
    held = {training["repetition"] for training in record["trainings"]}
    if block is not None and held != set(block.repetitions):
        raise RecordError(f"{path}: holds other repetitions than its name says; {remedy}")
    return record


def _is_complete(record: dict[str, Any]) -> bool:
    return (
        record.keys() >= _KEYS
        and isinstance(record["trainings"], list)
        and all(
            isinstance(training, dict) and training.keys() >= _TRAINING_KEYS
            for training in record["trainings"]
        )
    )
