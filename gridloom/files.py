"""Atomic writes, so that a reader sees a whole file or none, and fingerprints of content."""

from __future__ import annotations

import hashlib
import os
from collections.abc import Iterable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from gridloom.storage import storage_error


@contextmanager
def atomic_path(path: Path | str) -> Iterator[Path]:
    """Yield a temporary path beside `path`, and rename it to `path` if the block succeeds.

    The temporary name keeps the suffix, because writers choose their format by it.

    Raises
    ------
    StorageError
        If the disk is full, or this user may not write there.
    """
    path = Path(path)
    beside = path.with_name(f".{path.stem}.{os.getpid()}{path.suffix}")
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        yield beside
        beside.replace(path)
    except OSError as error:
        problem = storage_error(error, path)
        if problem is None:
            raise
        raise problem from None
    finally:
        with suppress(OSError):
            beside.unlink()


def write_text(path: Path | str, text: str) -> None:
    """Write a text file atomically, as UTF-8."""
    with atomic_path(path) as beside:
        beside.write_text(text, encoding="utf-8")


def fingerprint(paths: Iterable[Path | str], text: str = "") -> str:
    """Return 16 hexadecimal digits of the SHA-256 of a text and some files' contents, in order."""
    total = hashlib.sha256(text.encode())
    for path in paths:
        with Path(path).open("rb") as stream:
            total.update(hashlib.file_digest(stream, "sha256").digest())
    return total.hexdigest()[:16]
