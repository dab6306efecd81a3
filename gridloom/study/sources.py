"""What the text of a source says: its kind, its format, and a form that may be shown."""

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
    """Return whether a source is the path of a local file."""
    return not source.startswith(("builtin:", "openml:", "http://", "https://"))


def local_sources(*sources: str | None) -> list[str]:
    """Return the sources that are local files.

    Raises
    ------
    StudyError
        If one does not exist.
    """
    files = [source for source in sources if source is not None and is_local(source)]
    for file in files:
        if not Path(file).is_file():
            what = "is a folder; name a file in it" if Path(file).is_dir() else "does not exist"
            raise StudyError(
                f"dataset.source: {file} {what} (paths start at {Path.cwd()}; builtin:NAME, "
                "openml:ID and http(s) addresses need no file)"
            )
    return files


def why_no_source(source: str) -> str | None:
    """Say what is wrong with the text of a source; None if nothing is."""
    kind, colon, name = source.partition(":")
    if kind == "builtin" and colon:
        if name in BUILTIN:
            return None
        return f"there is no {source}{nearest(name, BUILTIN)}; known are {', '.join(BUILTIN)}"
    if kind == "openml" and colon:
        return None if name.isdecimal() else f"{source}: give the number of the set: openml:61"
    if is_local(source):
        if "://" in source:
            return f"{kind}:// is not supported; download the file and give its path"
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
    return None if named else f"{shown(source)} is not an address"


def table_format(source: str, given: str | None, member: str | None) -> str:
    """Return the format of a source once it is unpacked: csv, tsv, parquet or npz.

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
    """Return the format of a file by its ending, before ``.gz`` and the like; None if unknown."""
    suffixes = [suffix.lower() for suffix in PurePosixPath(path).suffixes]
    while suffixes and suffixes[-1] in _PACKED:
        suffixes.pop()
    return ENDINGS.get(suffixes[-1]) if suffixes else None


def shown(source: str) -> str:
    """Return a source without the secrets in its query, so that logs may show it."""
    return source if is_local(source) else _SECRET.sub(r"\1…", source)
