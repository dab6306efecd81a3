"""Where raw data comes from: sets that scikit-learn ships, local files, web addresses."""

from __future__ import annotations

import hashlib
import json
import shutil
import tempfile
import time
from pathlib import Path
from urllib.parse import urlsplit

from gridloom.errors import DataError, nearest
from gridloom.files import atomic_path, write_text

BUILTIN = ("breast_cancer", "diabetes", "digits", "iris", "wine")
ATTEMPTS = 3
TIMEOUT_SECONDS = 30


def is_local(source: str) -> bool:
    """Tell whether a source is the path of a file here."""
    return not source.startswith(("builtin:", "http://", "https://"))


def download(source: str, sha256: str | None, table: Path, provenance: Path) -> None:
    """Bring the raw data here, as CSV, and note where it came from.

    Parameters
    ----------
    source
        ``builtin:NAME``, a path, or an http(s) address.
    sha256
        What the file's SHA-256 must be; None accepts any.
    table, provenance
        Files to write: the CSV as it came, and JSON with `source`, `bytes` and `sha256`.

    Raises
    ------
    DataError
        If the data cannot be had or is not what was promised; neither file is then written.
    """
    with atomic_path(table) as beside:
        if source.startswith("builtin:"):
            _write_builtin(source.removeprefix("builtin:"), beside)
        elif is_local(source):
            _copy(Path(source), beside)
        else:
            _retrieve(source, beside)
        _refuse_what_is_no_table(beside, source)
        with beside.open("rb") as stream:
            found = hashlib.file_digest(stream, "sha256").hexdigest()
        if sha256 is not None and found != sha256:
            raise DataError(
                f"dataset.sha256: {source} has SHA-256 {found}, the study asks for {sha256}; if "
                "the new data is meant, put the new sum into the study"
            )
        size = beside.stat().st_size
    notes = {"source": source, "bytes": size, "sha256": found}
    write_text(provenance, json.dumps(notes, indent=2) + "\n")


def _write_builtin(name: str, path: Path) -> None:
    from sklearn import datasets

    if name not in BUILTIN:
        raise DataError(
            f"dataset.source: there is no builtin:{name}{nearest(name, BUILTIN)}; "
            f"known are {', '.join(BUILTIN)}"
        )
    bunch = getattr(datasets, f"load_{name}")(as_frame=True)
    frame = bunch.frame
    if "target_names" in bunch and name != "digits":
        # Names, as in the files people have: M/B and malignant/benign then sort alike.
        frame["target"] = bunch.target_names[frame["target"]]
    frame.to_csv(path, index=False)


def _copy(source: Path, path: Path) -> None:
    if source.is_dir():
        raise DataError(f"dataset.source: {source} is a folder; name a CSV file")
    try:
        shutil.copyfile(source, path)
    except OSError as error:
        raise DataError(f"dataset.source: {source} cannot be read ({error.strerror})") from None


def _retrieve(address: str, path: Path) -> None:
    import pooch
    import requests

    fetch = pooch.HTTPDownloader(progressbar=True, timeout=TIMEOUT_SECONDS)
    with tempfile.TemporaryDirectory(dir=path.parent, prefix=".download-") as folder:
        for attempt in range(1, ATTEMPTS + 1):
            try:
                got = pooch.retrieve(
                    address, known_hash=None, fname="raw", path=folder, downloader=fetch
                )
                break
            except requests.HTTPError as error:
                status = error.response.status_code
                told = f"the server answered {status} {error.response.reason}"
                if status < 500:
                    raise DataError(f"dataset.source: {address}: {told}; check it") from None
            except requests.exceptions.InvalidURL as error:
                raise DataError(f"dataset.source: {address} is no address ({error})") from None
            except requests.RequestException as error:
                host = urlsplit(address).netloc
                told = f"no answer from {host} ({type(error).__name__})"
            if attempt == ATTEMPTS:
                raise DataError(f"dataset.source: {address}: {told}, tried {ATTEMPTS} times")
            time.sleep(attempt)
        shutil.move(got, path)


def _refuse_what_is_no_table(path: Path, source: str) -> None:
    with path.open("rb") as stream:
        start = stream.read(2048)
    if not start.strip():
        raise DataError(f"dataset.source: {source} is empty")
    if start.lstrip(b"\xef\xbb\xbf \t\r\n").lower().startswith((b"<!doctype", b"<html")):
        raise DataError(
            f"dataset.source: {source} is a web page, not a CSV file; use the address of the file "
            "itself (often behind a button named Raw or Download)"
        )
