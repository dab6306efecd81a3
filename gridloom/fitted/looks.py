"""Looks at the test rows: each one is recorded in a file, so that anybody can count them."""

from __future__ import annotations

import json
import os
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from gridloom.storage import storage_error


@dataclass(frozen=True)
class Look:
    """A model that was scored on test rows.

    Attributes
    ----------
    when
        Date and time in UTC, as ISO 8601 writes them.
    rows
        SHA-256 of the test rows' values.
    point
        Path of the configuration.
    setup
        Name of the set-up.
    scores
        Name → value; None where it is not finite or not defined.
    """

    when: str
    rows: str
    point: str
    setup: str
    scores: Mapping[str, float | None]


def note_look(look: Look, path: Path) -> None:
    """Append a look to the file of looks, as a line of JSON.

    A single write appends the line: two processes that write at the same time leave two whole
    lines.

    Raises
    ------
    StorageError
        If the disk is full or this user may not write to it.
    """
    line = json.dumps(asdict(look), ensure_ascii=False, allow_nan=False) + "\n"
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        file = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o644)
        try:
            os.write(file, line.encode())
        finally:
            os.close(file)
    except OSError as error:
        raise storage_error(error, path) or error from None


def noted_looks(path: Path, rows: str) -> list[Look]:
    """Return the looks at the test rows with this fingerprint; skip damaged lines.

    Parameters
    ----------
    path
        The file of looks; it may be missing.
    rows
        SHA-256 of the test rows' values.
    """
    if not path.exists():
        return []
    lines = path.read_text(encoding="utf-8", errors="replace").splitlines()
    looks = [look for look in map(_look, lines) if look is not None]
    return [look for look in looks if look.rows == rows]


def _look(line: str) -> Look | None:
    try:
        noted: Any = json.loads(line)
        return Look(**noted)
    except (ValueError, TypeError):
        return None
