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
import sysconfig
import tempfile
from pathlib import Path

from gridloom.errors import StorageError
from gridloom.files import write_text
from gridloom.storage import storage_error
from gridloom.training import client

_MAX_FOLDER_BYTES = 80


def open_scope(name: str, results: str, **settings: object) -> None:
    """Tell the clients of this process's jobs how a study trains.

    By a file for each set-up in a private folder, which the environment names to the jobs: as a
    rule's params, every change of a setting would train everything anew, and each of ten thousand
    jobs would have to be told. Also has jobs that call `python` find this Python, and in it this
    library.

    Parameters
    ----------
    name, results
        Name of the study's set-up, and the folder of its results; one process may hold several
        studies.
    settings
        What the trainings of the study share, as JSON can hold it.

    Raises
    ------
    StorageError
        If the private folder is another user's, or cannot be written.
    """
    _sweep()
    folder = _open_folder()
    atexit.register(shutil.rmtree, folder, ignore_errors=True)
    shared = {"scope": str(folder), "watch": os.getpid(), **settings}
    file = Path(client.settings_file(str(folder), name))
    studies = json.loads(file.read_text(encoding="utf-8")) if file.exists() else {}
    write_text(file, json.dumps({**studies, str(Path(results).absolute()): shared}))
    os.environ["GRIDLOOM_SCOPE"] = str(folder)
    os.environ["GRIDLOOM_CLIENT"] = str(Path(client.__file__).absolute())
    _put_first("PATH", str(Path(sys.executable).parent))
    library = Path(client.__file__).absolute().parents[2]
    if library != Path(sysconfig.get_path("purelib")):
        _put_first("PYTHONPATH", str(library))


def _put_first(variable: str, folder: str) -> None:
    """Put a folder first in a variable that lists folders."""
    others = [one for one in os.environ.get(variable, "").split(os.pathsep) if one != folder]
    os.environ[variable] = os.pathsep.join([folder, *filter(None, others)])


def _open_folder() -> Path:
    try:
        return Path(client.private_folder(str(scope_folder(os.getpid()))))
    except SystemExit as refused:
        raise StorageError(str(refused)) from None
    except OSError as error:
        problem = storage_error(error, scope_folder(os.getpid()))
        if problem is None:
            raise
        raise problem from None


def start_host() -> None:
    """Start the host of the warm workers now, beside the jobs that come before training.

    Raises
    ------
    StorageError
        If the workers' folder is another user's: whoever owns it could read and send jobs.
    """
    client.start_host(str(_open_folder()), os.getpid())


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
