"""The disk: whether files can be written, and what the user can do if not.

Standard library only, because each job's Snakemake imports it.
"""

from __future__ import annotations

import errno
import tempfile
from pathlib import Path

from gridloom.errors import StorageError

_FULL = {errno.ENOSPC: "the disk is full", errno.EDQUOT: "the disk quota is used up"}
_CLOSED = {errno.EROFS, errno.EACCES, errno.EPERM}

#: Bytes that must be free before a run starts: Snakemake writes notes on the run.
ROOM = 2**16


def storage_error(error: OSError, path: Path | str) -> StorageError | None:
    """Return an error that says that a file cannot be written; None for errors of other kinds.

    Parameters
    ----------
    path
        The file that was to be written. An error about one of its folders counts too.
    """
    named = error.filename
    if error.errno in _FULL:
        return StorageError(
            f"{path}: cannot be written, {_FULL[error.errno]}; free some space and run again: what "
            "is finished is kept"
        )
    # If an input cannot be read, that is another mistake.
    own = named is None or Path(path).is_relative_to(Path(named).parent)
    if error.errno in _CLOSED and own:
        return StorageError(
            f"{path}: cannot be written ({error.strerror}); make its folder writable for you and "
            "run again: what is finished is kept"
        )
    return None


def require_room(folder: Path | str) -> None:
    """Check that a folder can be written to, or the nearest parent that exists.

    Raises
    ------
    StorageError
        If it cannot: Snakemake itself would end with a traceback.
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
