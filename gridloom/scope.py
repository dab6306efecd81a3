"""What all trainings of one Snakemake run share: their settings, and a private folder.

In the folder the warm workers meet their clients.
Standard library only. It lies on the local disk, in a place whose path is short: a Unix socket's
path may have 107 bytes.
"""

from __future__ import annotations

import atexit
import json
import os
import shutil
import sys
import tempfile
from pathlib import Path

from gridloom.errors import StorageError
from gridloom.training import client

_MAX_FOLDER_BYTES = 80


def open_scope(**settings: object) -> None:
    """Tell the clients of this process's jobs how to train.

    By the environment, which jobs inherit: as a rule's params, every change of a setting would
    train everything anew, and each of ten thousand jobs would have to be told. Also puts this
    Python first on the path, for jobs that call `python`.

    Parameters
    ----------
    settings
        What the trainings share, as JSON can hold it.
    """
    _sweep()
    folder = scope_folder(os.getpid())
    atexit.register(shutil.rmtree, folder, ignore_errors=True)
    shared = {"scope": str(folder), "watch": os.getpid(), **settings}
    os.environ["GRIDLOOM_SETTINGS"] = json.dumps(shared)
    os.environ["GRIDLOOM_CLIENT"] = client.__file__
    os.environ["PATH"] = os.pathsep.join([str(Path(sys.executable).parent), os.environ["PATH"]])


def start_host() -> None:
    """Start the host of the warm workers now, beside the jobs that come before training.

    Raises
    ------
    StorageError
        If the workers' folder is another user's: whoever owns it could read and send jobs.
    """
    try:
        folder = client.private_folder(str(scope_folder(os.getpid())))
    except SystemExit as refused:
        raise StorageError(str(refused)) from None
    client.start_host(folder, os.getpid())


def scope_folder(process: int) -> Path:
    """Return the folder for the workers of a Snakemake process."""
    name = f"gridloom-{os.getuid()}-{process}"
    folder = Path(tempfile.gettempdir()) / name
    return folder if len(bytes(folder)) <= _MAX_FOLDER_BYTES else Path("/tmp") / name  # noqa: S108


def _sweep() -> None:
    """Remove folders whose Snakemake is gone, left behind where all was killed at once."""
    for folder in scope_folder(0).parent.glob(f"gridloom-{os.getuid()}-*"):
        process = folder.name.rpartition("-")[2]
        if process.isdigit() and not alive(int(process)):
            shutil.rmtree(folder, ignore_errors=True)


def alive(process: int) -> bool:
    """Tell whether a process is there, whoever owns it."""
    try:
        os.kill(process, 0)
    except ProcessLookupError:
        return False
    except PermissionError:
        pass
    return True
