"""The disk: whether it takes what is written, and what a person can do where it does not.

Standard library only: it is imported by each job's Snakemake.
"""

from __future__ import annotations

import errno
import tempfile
from pathlib import Path

from gridloom.errors import StorageError

_FULL = {errno.ENOSPC: "the disk is full", errno.EDQUOT: "the disk quota is used up"}
_CLOSED = {errno.EROFS, errno.EACCES, errno.EPERM}

#: Bytes that must find room before a run starts: Snakemake's notes on the run take some.
ROOM = 2**16


def storage_error(error: OSError, path: Path | str) -> StorageError | None:
    """Say that a file cannot be written; None if the disk is not what the error is about.

    Parameters
    ----------
    path
        The file that was to be written. Its folders are looked up for the error of one of them.
    """
    named = error.filename
    if error.errno in _FULL:
        return StorageError(
            f"{path}: cannot be written, {_FULL[error.errno]}; free some space and run again: what "
            "is finished is kept"
        )
    # An input may be closed as well, which is another mistake.
    own = named is None or Path(path).is_relative_to(Path(named).parent)
    if error.errno in _CLOSED and own:
        return StorageError(
            f"{path}: cannot be written ({error.strerror}); make its folder writable for you and "
            "run again: what is finished is kept"
        )
    return None


def require_room(folder: Path | str) -> None:
    """Write a little to a folder, or to where it will be made, and remove it again.

    Raises
    ------
    StorageError
        If that cannot be done: Snakemake itself ends with a traceback then.
    """
    place = Path(folder).absolute()
    while not place.exists():
        place = place.parent
    try:
        with tempfile.TemporaryFile(dir=place) as probe:
            probe.write(bytes(ROOM))
    except OSError as error:
        error.filename = None  # a random name
        problem = storage_error(error, folder)
        raise problem or StorageError(f"{folder}: cannot be used ({error.strerror})") from None
