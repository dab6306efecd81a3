"""What all trainings of one Snakemake run share: their settings, and a private folder.

In the folder the warm workers meet their clients.
Standard library only. It lies on the local disk, in a place whose path is short: a Unix socket's
path may have 107 bytes.
"""

from __future__ import annotations

import atexit
import fcntl
import json
import os
import shutil
import sys
import tempfile
from pathlib import Path

from gridloom.errors import StorageError
from gridloom.training import client

_MAX_FOLDER_BYTES = 80

#: Locked by Snakemake for as long as it lives.
_LOCK = "snakemake.lock"


def open_scope(folder: Path, **settings: object) -> None:
    """Tell the clients of this process's jobs how to train.

    By the environment, which jobs inherit: as a rule's params, every change of a setting would
    train everything anew, and each of ten thousand jobs would have to be told. Also puts this
    Python first on the path, for jobs that call `python`.

    Parameters
    ----------
    folder
        From `claim_folder`.
    settings
        What the trainings share, as JSON can hold it.
    """
    shared = {"scope": str(folder), "watch": os.getpid(), **settings}
    os.environ["GRIDLOOM_SETTINGS"] = json.dumps(shared)
    os.environ["GRIDLOOM_CLIENT"] = client.__file__
    os.environ["PATH"] = os.pathsep.join([str(Path(sys.executable).parent), os.environ["PATH"]])


def start_host(folder: Path) -> None:
    """Start the host of the warm workers now, beside the jobs that come before training.

    Raises
    ------
    StorageError
        If the workers' folder is another user's: whoever owns it could read and send jobs.
    """
    try:
        client.private_folder(str(folder))
    except SystemExit as refused:
        raise StorageError(str(refused)) from None
    client.start_host(str(folder), os.getpid())


def claim_folder() -> Path:
    """Make this process's folder for its workers, lock it, and remove those of the dead.

    The lock tells the living, also to a Snakemake in a container that shares this machine's
    ``/tmp``: process numbers mean something else there. So the folder's name is drawn, too.

    Raises
    ------
    StorageError
        If no folder can be made.
    """
    try:
        root = _root()
        _sweep(root)
        # Nobody may see it without its lock.
        hidden = Path(tempfile.mkdtemp(prefix=f".{_prefix()}", dir=root))
        _locked(hidden / _LOCK, os.O_CREAT)
        folder = hidden.rename(root / hidden.name.removeprefix("."))
    except OSError as error:
        raise StorageError(
            f"{error.filename or 'the temporary folder'}: cannot be used ({error.strerror}); free "
            "some space, or set TMPDIR to a folder on the local disk"
        ) from None
    atexit.register(shutil.rmtree, folder, ignore_errors=True)
    return folder


def _root() -> Path:
    root = Path(tempfile.gettempdir())
    drawn = len(".") + len(_prefix()) + 8
    return root if len(bytes(root)) + drawn < _MAX_FOLDER_BYTES else Path("/tmp")  # noqa: S108


def _prefix() -> str:
    return f"gridloom-{os.getuid()}-"


def _sweep(root: Path) -> None:
    """Remove folders whose Snakemake is gone, left behind where all was killed at once."""
    for folder in root.glob(f"{_prefix()}*"):
        try:
            mine = os.lstat(folder).st_uid == os.getuid() and not folder.is_symlink()
            lock = _locked(folder / _LOCK) if mine else None
        except OSError:  # its Snakemake lives, or it is no such folder
            continue
        if lock is not None:
            shutil.rmtree(folder, ignore_errors=True)
            os.close(lock)


def _locked(file: Path, flags: int = 0) -> int:
    """Lock a file for as long as this process lives, or until the number returned is closed.

    Raises
    ------
    OSError
        If another process holds the lock, or there is no such file.
    """
    descriptor = os.open(file, os.O_RDWR | os.O_CLOEXEC | flags, 0o600)
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError:
        os.close(descriptor)
        raise
    return descriptor


def alive(process: int) -> bool:
    """Tell whether a process is there, whoever owns it."""
    try:
        os.kill(process, 0)
    except ProcessLookupError:
        return False
    except PermissionError:
        pass
    return True
