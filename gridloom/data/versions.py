"""Versions of sources on the web: an address stays the same where what is behind it changes.

A file of the results notes which SHA-256 each address gave. The version that came first has no
name, so that a study without a sum, and one with the sum of just that version, have the same rows;
every later one is named by its SHA-256.
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
    """Tell whether a source is an address, whose content may change at any time."""
    return source.startswith(("http://", "https://"))


def version_of(source: str, sha256: str | None, file: Path) -> str:
    """Return the name of the version of a source that a study means.

    Parameters
    ----------
    sha256
        What the study asks for; None for the version downloaded last.
    file
        Where versions are noted.
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
    """See that what came from a source is what its rows are called after; note what the web gave.

    Parameters
    ----------
    sha256
        What the study asks for; None for any.
    found
        SHA-256 of what came.
    planned
        That of a local file when the study was read; None for other sources.

    Raises
    ------
    DataError
        If something else came. From the web, where it was asked for (see `ask_anew`), it is noted
        and the next run has it; else the next run, too, means what came before.
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
            else "`snakemake --forcerun download` takes the new version, which trains anew; "
            f"`dataset.sha256: {before}` insists on the one before"
        )
        raise DataError(
            f"dataset.source: {shown(source)} changed: it had SHA-256 {before}, now it has "
            f"{found}; what was trained is kept; {remedy}"
        )


def ask_anew(sources: list[str], file: Path) -> None:
    """Note that a person asks for what these sources hold today."""
    notes = _read(file)
    for source in sources:
        if _key(source) in notes:
            notes[_key(source)]["asked anew"] = True
            _write(file, notes)


def _key(source: str) -> str:
    """Name an address by a fingerprint: there may be a secret in it."""
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
            "trained on; bring it back, or remove it to go by what comes next"
        ) from None
    return dict(notes)


def _write(file: Path, notes: dict[str, Any]) -> None:
    write_text(file, json.dumps(notes, indent=2) + "\n")
