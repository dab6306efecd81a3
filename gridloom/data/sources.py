"""Sources of raw data: scikit-learn's data sets, OpenML, local files, web addresses.

Packed files (gzip, or a member of a zip) are unpacked here, so that later steps see one plain file.
Names inside an archive are never used as paths.
"""

from __future__ import annotations

import gzip
import hashlib
import json
import shutil
import tempfile
import threading
import time
import zipfile
import zlib
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import IO, Any, cast
from urllib.parse import urlsplit

from gridloom.errors import DataError, nearest
from gridloom.files import atomic_path, write_text
from gridloom.study.sources import is_local, shown, why_no_source

ATTEMPTS = 3

TIMEOUT_SECONDS = 30


@dataclass(frozen=True)
class Limits:
    """Limits above which data is refused, because it is more likely a mistake than a table.

    Attributes
    ----------
    size
        Largest size in bytes of a download, of an unpacked file, and of arrays in memory.
    seconds
        Longest time of a download.
    """

    size: int = 8 * 2**30
    seconds: float = 6 * 3600.0

    @property
    def shown(self) -> str:
        """The size, and the key that sets it, for messages."""
        size = f"{self.size / 2**30:.3g}"
        return f"{size} GiB; if you trust it, raise limits.gib"


#: The limits where no study sets them.
LIMITS = Limits()


def download(
    source: str,
    *,
    format: str,
    table: Path,
    member: str | None = None,
    sha256: str | None = None,
    limits: Limits = LIMITS,
) -> dict[str, Any]:
    """Fetch and unpack the raw data.

    Parameters
    ----------
    source
        ``builtin:NAME``, ``openml:ID``, a path, or an http(s) address.
    format
        Its format, from `table_format`.
    table
        File to write: the unpacked data.
    member
        File inside a zip.
    sha256
        SHA-256 that the packed file must have; None accepts any.
    limits
        Limits of its size and of the time of a download.

    Returns
    -------
    dict
        For ``raw.json``: source, format, bytes and SHA-256 of the packed file, and the member of a
        zip.

    Raises
    ------
    DataError
        If the data cannot be fetched or has another SHA-256. Then nothing is written.
    """
    name = shown(source)
    problem = why_no_source(source)
    if problem:
        raise DataError(f"dataset.source: {problem}")
    with atomic_path(table) as beside:
        if source.startswith("builtin:"):
            _write_builtin(source.removeprefix("builtin:"), beside)
        elif source.startswith("openml:"):
            number = int(source.removeprefix("openml:"))
            _in_time(lambda: _write_openml(number, beside), name, limits)
        elif is_local(source):
            _copy(Path(source), beside)
        else:
            _in_time(lambda: _retrieve(source, name, beside, limits), name, limits)
        with beside.open("rb") as stream:
            found = hashlib.file_digest(stream, "sha256").hexdigest()
        if sha256 is not None and found != sha256:
            raise DataError(
                f"dataset.sha256: {name} has SHA-256 {found}, the study asks for {sha256}; if the "
                "new data is meant, put the new sum into the study"
            )
        notes = {
            "source": name,
            "format": format,
            "bytes": beside.stat().st_size,
            "sha256": found,
        }
        _require_table(beside, name)
        inside = unpack(beside, name, format, member=member, to=beside, limits=limits)
        if inside is not None:
            notes["member"] = inside
            _require_table(beside, name)
    return notes


def write_provenance(path: Path, sources: list[dict[str, Any]]) -> None:
    """Write where the data came from: what `download` returned, for each file."""
    write_text(path, json.dumps(sources, indent=2) + "\n")


def _write_builtin(name: str, path: Path) -> None:
    from sklearn import datasets

    bunch = getattr(datasets, f"load_{name}")(as_frame=True)
    frame = bunch.frame
    if "target_names" in bunch and name != "digits":
        # Names instead of numbers, as in published files: M/B and malignant/benign sort alike.
        frame["target"] = bunch.target_names[frame["target"]]
    frame.to_csv(path, index=False)


def _write_openml(number: int, path: Path) -> None:
    from sklearn.datasets import fetch_openml

    with tempfile.TemporaryDirectory(dir=path.parent, prefix=".openml-") as cache:
        try:
            frame = fetch_openml(
                data_id=number, as_frame=True, parser="auto", data_home=cache, n_retries=ATTEMPTS
            ).frame
        except OSError as error:  # HTTPError and URLError among them
            reason = getattr(error, "reason", None) or error
            raise DataError(
                f"dataset.source: openml:{number} cannot be downloaded ({reason})"
            ) from None
        except ValueError as error:
            raise DataError(f"dataset.source: openml:{number}: {error}") from None
    frame.to_parquet(path, index=False)  # keeps nominal columns as categories, even of numbers


def _copy(source: Path, path: Path) -> None:
    if source.is_dir():
        raise DataError(f"dataset.source: {source} is a folder; name a file in it")
    try:
        shutil.copyfile(source, path)
    except OSError as error:
        raise DataError(f"dataset.source: {source} cannot be read ({error.strerror})") from None


def _in_time(bring: Callable[[], None], name: str, limits: Limits) -> None:
    """Run a download, and give up at the time limit: a slow server may keep sending single bytes.

    The download runs in a separate thread, which can be abandoned and ends with the process.
    """
    ended: list[BaseException | None] = []

    def run() -> None:
        try:
            bring()
            ended.append(None)
        except BaseException as error:  # raised again below
            ended.append(error)

    worker = threading.Thread(target=run, daemon=True)
    worker.start()
    worker.join(limits.seconds)
    if not ended:
        raise DataError(
            f"dataset.source: {name} takes longer than {limits.seconds / 60:.3g} minutes; download "
            "it by hand and give its path, or raise limits.minutes"
        )
    if ended[0] is not None:
        raise ended[0]


class _Bounded:
    """A file that refuses more bytes than a download may have."""

    def __init__(self, stream: IO[bytes], name: str, limits: Limits) -> None:
        self._stream, self._name, self._limits, self._left = stream, name, limits, limits.size

    def write(self, chunk: bytes) -> int:
        self._left -= len(chunk)
        if self._left < 0:
            raise DataError(f"dataset.source: {self._name} is larger than {self._limits.shown}")
        return self._stream.write(chunk)

    def flush(self) -> None:
        self._stream.flush()


def _retrieve(address: str, name: str, path: Path, limits: Limits) -> None:
    import pooch
    import requests

    fetch = pooch.HTTPDownloader(progressbar=True, timeout=TIMEOUT_SECONDS, chunk_size=2**16)
    for attempt in range(1, ATTEMPTS + 1):
        try:
            with path.open("wb") as stream:
                fetch(address, _Bounded(stream, name, limits), None)
            return
        except requests.HTTPError as error:
            status = error.response.status_code
            reason = f"the server answered {status} {error.response.reason}"
            if status < 500:
                raise DataError(f"dataset.source: {name}: {reason}; check the address") from None
        except requests.exceptions.InvalidURL:
            raise DataError(f"dataset.source: {name} is not an address") from None
        except requests.RequestException as error:
            host = urlsplit(address).netloc
            reason = f"no answer from {host} ({type(error).__name__})"
        if attempt < ATTEMPTS:
            time.sleep(attempt)
    raise DataError(f"dataset.source: {name}: {reason}, tried {ATTEMPTS} times")


def _require_table(path: Path, name: str) -> None:
    """Refuse an empty file, a web page and a git-lfs pointer."""
    with path.open("rb") as stream:
        start = stream.read(2048)
    if not start.strip():
        raise DataError(f"dataset.source: {name} is empty")
    if start.lstrip(b"\xef\xbb\xbf \t\r\n").lower().startswith((b"<!doctype", b"<html")):
        raise DataError(
            f"dataset.source: {name} is a web page, not a table; use the address of the file "
            "itself (often behind a button named Raw or Download)"
        )
    if start.startswith(b"version https://git-lfs"):
        raise DataError(
            f"dataset.source: {name} is only a git-lfs pointer to a file; run `git lfs pull`"
        )


def unpack(
    path: Path,
    name: str,
    format: str,
    *,
    member: str | None = None,
    to: Path,
    limits: Limits = LIMITS,
) -> str | None:
    """Unpack a file; return the name of the member, "" for gzip, None if it is not packed.

    Parameters
    ----------
    path
        File that may be packed.
    name
        Its name in messages.
    format
        Format of the data; an NPZ file is a zip, but is only unpacked to get a `member`.
    member
        File inside a zip; None if it holds one only.
    to
        File to write.
    limits
        Largest size of the unpacked file.

    Raises
    ------
    DataError
        If the archive is damaged, holds several files, or is too large.
    """
    with path.open("rb") as stream:
        magic = stream.read(4)
    zipped = magic == b"PK\x03\x04" and (format != "npz" or member is not None)
    if not zipped and member is not None:
        raise DataError(f"dataset.member: {name} is not a zip file; remove the key")
    if not zipped and magic[:2] != b"\x1f\x8b":
        return None
    try:
        with (
            _opened(path, name, zipped, member) as (stream, inside),
            atomic_path(to) as beside,
            beside.open("wb") as plain,
        ):
            left = limits.size
            while chunk := stream.read(2**20):
                left -= len(chunk)
                if left < 0:
                    raise DataError(f"dataset.source: {name} unpacks to more than {limits.shown}")
                plain.write(chunk)
    except (zipfile.BadZipFile, gzip.BadGzipFile, EOFError, zlib.error) as error:
        raise DataError(f"dataset.source: {name} is a damaged archive ({error})") from None
    except (RuntimeError, NotImplementedError) as error:  # encrypted; a method not supported
        raise DataError(f"dataset.source: {name}: {error}; unpack it by hand") from None
    return inside


@contextmanager
def _opened(
    path: Path, name: str, zipped: bool, member: str | None
) -> Iterator[tuple[IO[bytes], str]]:
    """Open the only file of an archive, or its `member`."""
    if not zipped:
        with gzip.open(path) as unzipped:
            yield cast(IO[bytes], unzipped), ""
        return
    with zipfile.ZipFile(path) as archive:
        files = [
            entry
            for entry in archive.namelist()
            if not entry.endswith("/") and not entry.startswith("__MACOSX/")
        ]
        if "xl/workbook.xml" in files:
            raise DataError(f"dataset.source: {name} is an Excel workbook; save its sheet as CSV")
        if member is None and len(files) != 1:
            raise DataError(
                f"dataset.member: {name} holds {len(files)} files; name one: " + _listed(files)
            )
        if member is not None and member not in files:
            hint = nearest(member, files) or "; there are " + _listed(files)
            raise DataError(f"dataset.member: there is no {member!r} in {name}{hint}")
        chosen = member or files[0]
        with archive.open(chosen) as stream:
            yield stream, chosen


def _listed(names: list[str], most: int = 8) -> str:
    return ", ".join(names[:most]) + (", …" if len(names) > most else "")
