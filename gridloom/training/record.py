"""The record: what one job leaves behind, the trainings of a point and a block of repetitions."""

from __future__ import annotations

import json
import math
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np

from gridloom.files import write_text

#: Raised when a record of this version cannot be read as the one before.
FORMAT = 1


def shortest(value: float) -> float | None:
    """Return the shortest number that reads back as this float32; None if it is not finite."""
    return float(str(np.float32(value))) if math.isfinite(value) else None


def write_record(path: Path, record: Mapping[str, Any]) -> None:
    """Write a record atomically."""
    write_text(path, json.dumps(record, separators=(",", ":"), allow_nan=False) + "\n")
