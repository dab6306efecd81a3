"""Digests of files, computed anew only for those that changed: a large table is not read twice.

Standard library only: each job's Snakemake asks this.
"""

from __future__ import annotations

import hashlib
import json
import os
import time
from contextlib import suppress
from dataclasses import astuple
from pathlib import Path
from typing import Any

from gridloom.errors import StorageError
from gridloom.files import write_text
from gridloom.identity.source_code import Import, Source, read_source

#: Raised when what is kept has another meaning than before.
FORMAT = 1

#: A file changed so recently may change again without its time showing it.
SETTLED_NS = 2 * 10**9


class Digests:
    """Digests of files, kept in a file from one `snakemake` to the next.

    A digest is taken from there while the file's size and time of change are those noted with it.

    Parameters
    ----------
    kept
        The file; None to keep nothing.
    """

    def __init__(self, kept: Path | None = None) -> None:
        self._kept = kept
        self._noted: dict[str, list[Any]] = {}
        self._changed = False
        if kept is not None:
            # Damaged or of another version: everything is computed anew.
            with suppress(OSError, ValueError, KeyError, TypeError):
                read = json.loads(kept.read_text(encoding="utf-8"))
                if read["format"] == FORMAT:
                    self._noted = dict(read["files"])

    def content(self, path: Path | str) -> str:
        """Return the SHA-256 of a file's content, in hexadecimal digits."""

        def read() -> str:
            with Path(path).open("rb") as stream:
                return hashlib.file_digest(stream, "sha256").hexdigest()

        return str(self._of("content", path, read))

    def source(self, path: Path | str) -> Source:
        """Read a Python file (see `gridloom.identity.source_code.read_source`)."""

        def read() -> list[Any]:
            source = read_source(Path(path).read_bytes(), path)
            return [source.digest, [astuple(one) for one in source.imports]]

        digest, imports = self._of("source", path, read)
        return Source(
            digest, tuple(Import(name, tuple(names), *place) for name, names, *place in imports)
        )

    def _of(self, kind: str, path: Path | str, read: Any) -> Any:
        """Return what `read` gives for a file, from the notes if it did not change."""
        status = os.stat(path)  # noqa: PTH116 (a path may be text)
        # Below the working folder a relative path: the folder may be moved or copied.
        full, here = Path(path).absolute(), Path.cwd()
        key = f"{kind} {full.relative_to(here) if full.is_relative_to(here) else full}"
        stamp = [status.st_size, status.st_mtime_ns]
        noted = self._noted.get(key)
        if noted is not None and noted[0] == stamp:
            return noted[1]
        found = read()
        if time.time_ns() - status.st_mtime_ns > SETTLED_NS:
            self._noted[key] = [stamp, found]
            self._changed = True
        return found

    def keep(self) -> None:
        """Write the notes, if there are new ones."""
        if self._kept is not None and self._changed:
            with suppress(StorageError):  # it only saves time; the run tells of a closed disk
                write_text(self._kept, json.dumps({"format": FORMAT, "files": self._noted}))
            self._changed = False
