"""Versions of sources on the web, whose content may change behind the same address.

A file in the results notes which SHA-256 each address gave. The version that came first has an
empty name, so that adding its sum to a study does not change the name of the rows. Later versions
are named by their SHA-256.
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from gridloom.errors import DataError, StudyError
from gridloom.files import fingerprint, write_text
from gridloom.study.sources import shown

#: Name of the file, in the folder of the results.
FILE = "sources.json"


def is_on_the_web(source: str) -> bool:
    """Return whether a source is an address, whose content may change at any time."""
    return source.startswith(("http://", "https://"))


def version_of(source: str, sha256: str | None, file: Path) -> str:
    """Return the name of the version of a source that a study uses.

    Parameters
    ----------
    source
        As in the study; a source that is not on the web has the empty name.
    sha256
        Sum in the study; None for the version downloaded last.
    file
        Notes on versions.
    """
    if not is_on_the_web(source):
        return ""
    noted = _read(file).get(_key(source), _note(source))
    if sha256 is None:
        return str(noted["current"])
    return str(noted["versions"].get(sha256, sha256))


def check_version(
    source: str, sha256: str | None, found: str, *, planned: str | None, file: Path
) -> None:
    """Check that a source gave the version that its rows are named after, and note new versions.

    Parameters
    ----------
    source
        As in the study.
    sha256
        Sum in the study; None for any.
    found
        SHA-256 of the file that came.
    planned
        SHA-256 of a local file when the study was read; None for other sources.
    file
        Notes on versions.

    Raises
    ------
    DataError
        If another version came. If the user asked for it (see `ask_anew`), it is noted and the next
        run uses it; otherwise the next run still expects the earlier version.
    """
    if planned is not None and found != planned:
        raise DataError(
            f"dataset.source: {source} changed while the study was running; run `snakemake` again: "
            "it trains on the new rows, and keeps what was trained on the old ones"
        )
    if not is_on_the_web(source):
        return
    notes, name = _read(file), version_of(source, sha256, file)
    noted = notes.setdefault(_key(source), _note(source))
    asked_anew = noted.pop("asked anew", False)
    before = next((known for known, given in noted["versions"].items() if given == name), found)
    if before == found:
        noted["versions"][found] = noted["current"] = name
    elif asked_anew:
        noted["current"] = noted["versions"].setdefault(found, found)
    _write(file, notes)
    if before != found:
        remedy = (
            "the new version is noted: run `snakemake` again and it trains anew"
            if asked_anew
            else "`snakemake --forcerun download` accepts the new version, which trains anew; "
            f"`dataset.sha256: {before}` insists on the earlier one"
        )
        raise DataError(
            f"dataset.source: {shown(source)} changed: it had SHA-256 {before}, now it has "
            f"{found}; what was trained is kept; {remedy}"
        )


def ask_anew(sources: list[str], file: Path) -> None:
    """Note that the user asks for the current content of these sources."""
    notes = _read(file)
    for source in sources:
        if _key(source) in notes:
            notes[_key(source)]["asked anew"] = True
            _write(file, notes)


def _key(source: str) -> str:
    """Return a fingerprint of an address, which may contain a secret."""
    return fingerprint([], source)


def _note(source: str) -> dict[str, Any]:
    return {"source": shown(source), "versions": {}, "current": ""}


def _read(file: Path) -> dict[str, Any]:
    try:
        notes = json.loads(file.read_text(encoding="utf-8"))
    except FileNotFoundError:
        return {}
    except (OSError, ValueError) as error:
        raise StudyError(
            f"{file}: cannot be read ({error}); it notes which versions of sources on the web were "
            "trained on; restore it, or remove it to accept the next version that comes"
        ) from None
    return dict(notes)


def _write(file: Path, notes: dict[str, Any]) -> None:
    write_text(file, json.dumps(notes, indent=2) + "\n")
