"""What the text of a source tells: of which kind it is, its format, and what may be shown of it."""

from __future__ import annotations

import re
from pathlib import Path, PurePosixPath
from urllib.parse import urlsplit

from gridloom.errors import StudyError, nearest

BUILTIN = ("breast_cancer", "diabetes", "digits", "iris", "wine")

ENDINGS = {
    ".csv": "csv",
    ".tsv": "tsv",
    ".tab": "tsv",
    ".parquet": "parquet",
    ".pq": "parquet",
    ".npz": "npz",
}

_PACKED = (".gz", ".gzip", ".zip")

_SECRET = re.compile(
    r"([?&;#][^&;=]*(?:token|key|secret|sig|pass|pwd|auth|credential|session|jwt)[^&;=]*=)[^&;#]*",
    re.IGNORECASE,
)


def is_local(source: str) -> bool:
    """Tell whether a source is the path of a file here."""
    return not source.startswith(("builtin:", "openml:", "http://", "https://"))


def local_sources(*sources: str | None) -> list[str]:
    """Return those sources that are files here.

    Raises
    ------
    StudyError
        If one is not there.
    """
    files = [source for source in sources if source is not None and is_local(source)]
    for file in files:
        if not Path(file).is_file():
            what = "is a folder; name a file in it" if Path(file).is_dir() else "is not there"
            raise StudyError(
                f"dataset.source: {file} {what} (paths start at {Path.cwd()}; builtin:NAME, "
                "openml:ID and http(s) addresses need no file)"
            )
    return files


def why_no_source(source: str) -> str | None:
    """Say what is wrong with a source as far as its text tells; None if nothing is."""
    kind, colon, name = source.partition(":")
    if kind == "builtin" and colon:
        if name in BUILTIN:
            return None
        return f"there is no {source}{nearest(name, BUILTIN)}; known are {', '.join(BUILTIN)}"
    if kind == "openml" and colon:
        return None if name.isdecimal() else f"{source}: OpenML's sets have numbers: openml:61"
    if is_local(source):
        if "://" in source:
            return f"{kind}:// is not supported; bring the file here and give its path"
        return None
    try:
        parts = urlsplit(source)
        named = parts.hostname is not None and (parts.port or True)
    except ValueError:  # a port that is no number, half an IPv6 address
        return "the address cannot be read; check its host and port"
    if parts.username is not None:
        return (
            "the address holds a user name or password; put them into ~/.netrc, where downloads "
            "look for them"
        )
    return None if named else f"{shown(source)} is no address"


def table_format(source: str, given: str | None, member: str | None) -> str:
    """Return in which format a source is once it is unpacked: csv, tsv, parquet or npz.

    Parameters
    ----------
    given, member
        `dataset.format` and `dataset.member`.
    """
    if given is not None:
        return given
    if source.startswith("openml:"):
        return "parquet"
    if source.startswith("builtin:"):
        return "csv"
    path = member or (source if is_local(source) else urlsplit(source).path)
    return ending_format(path) or "csv"


def ending_format(path: str) -> str | None:
    """Return the format that a file's ending tells, before ``.gz`` and the like; None if none."""
    suffixes = [suffix.lower() for suffix in PurePosixPath(path).suffixes]
    while suffixes and suffixes[-1] in _PACKED:
        suffixes.pop()
    return ENDINGS.get(suffixes[-1]) if suffixes else None


def shown(source: str) -> str:
    """Return a source as logs and provenance may show it: no secrets in its query."""
    return source if is_local(source) else _SECRET.sub(r"\1…", source)
