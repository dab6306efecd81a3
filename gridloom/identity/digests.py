"""Digests of files, which are kept so that a large table is read again only if it changed.

Standard library only, because each job's Snakemake imports this module.
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

#: Increment on incompatible changes.
DIGESTS_FORMAT = 1

#: A file that changed this recently may change again with the same time stamp.
SETTLED_NS = 2 * 10**9


class Digests:
    """Digests of files, kept in a file between runs of `snakemake`.

    A kept digest is used if the size and the modification time noted with it are those of the file.

    Parameters
    ----------
    kept
        File of kept digests; None to keep nothing.
    """

    def __init__(self, kept: Path | None = None) -> None:
        self._kept = kept
        self._noted: dict[str, list[Any]] = {}
        self._changed = False
        if kept is not None:
            # If it is damaged or of another version, everything is computed again.
            with suppress(OSError, ValueError, KeyError, TypeError):
                read = json.loads(kept.read_text(encoding="utf-8"))
                if read["format"] == DIGESTS_FORMAT:
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
        """Return the result of `read` for a file, from the notes if the file did not change."""
        status = os.stat(path)  # noqa: PTH116 (a path may be text)
        # Paths below the working folder are relative, so that the folder may be moved or copied.
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
            with suppress(StorageError):  # notes only save time; other writes report a full disk
                write_text(self._kept, json.dumps({"format": DIGESTS_FORMAT, "files": self._noted}))
            self._changed = False
