"""The private folder of a Snakemake run, with the settings that all of its trainings share.

Clients connect to warm workers in this folder. It is on the local disk and has a short path,
because the path of a Unix socket may have only 107 bytes.
"""

from __future__ import annotations

import atexit
import fcntl
import json
import os
import py_compile
import shutil
import sys
import sysconfig
import tempfile
from functools import cache
from pathlib import Path

from gridloom.errors import StorageError
from gridloom.files import atomic_path, write_text
from gridloom.workers import client
from gridloom.workers.job import TrainingSettings

_MAX_FOLDER_BYTES = 80

#: File that Snakemake locks while it lives.
_LOCK = "snakemake.lock"


def open_scope(
    folder: Path, results: str, settings: TrainingSettings, *, contained: bool = False
) -> None:
    """Pass a study's training settings to the clients of this process's jobs.

    The settings are in a file of the private folder, one for each set-up; an environment variable
    names the folder to the jobs. They are not parameters of the rule, because then every change of
    a setting would retrain everything, and each of ten thousand jobs would get a copy. Other
    variables name this Python and the client. The environment is also set so that jobs that call
    `python` find this Python and this library.

    Parameters
    ----------
    folder
        From `own_folder`.
    results
        Folder of the study's results; one process may hold several studies.
    settings
        Settings that the study's trainings share.
    contained
        Whether jobs run in a container.

    Raises
    ------
    StorageError
        If the disk is full.
    """
    file = Path(client.studies_file(str(folder), settings.setup.name))
    line = study_line(folder, results, settings)
    name = line.partition("\t")[0]
    studies = file.read_text(encoding="utf-8").splitlines(keepends=True) if file.exists() else []
    others = [study for study in studies if study.partition("\t")[0] != name]
    write_text(file, "".join([*others, line]))
    os.environ["GRIDLOOM_SCOPE"] = str(folder)
    # A container has a Python of its own, maybe of another version.
    source = str(Path(client.__file__).absolute())
    os.environ["GRIDLOOM_PYTHON"] = "python" if contained else sys.executable
    os.environ["GRIDLOOM_CLIENT"] = source if contained else str(_compiled_client(folder))
    _put_first("PATH", str(Path(sys.executable).parent))
    library = Path(client.__file__).absolute().parents[2]
    if library != Path(sysconfig.get_path("purelib")):
        _put_first("PYTHONPATH", str(library))


def study_line(folder: Path, results: str, settings: TrainingSettings) -> str:
    """Return what a client reads of a study (see `client.studies_file`)."""
    uses = {
        "warm": settings.warm,
        "onednn": settings.setup.onednn,
        "checkpoints": settings.checkpoint_minutes is not None,
    }
    features = " ".join(name for name, used in uses.items() if used)
    shared = {"scope": str(folder), "watch": os.getpid(), **settings.as_json()}
    return f"{client.as_json(str(Path(results).absolute()))}\t{features}\t{json.dumps(shared)}\n"


def _compiled_client(folder: Path) -> Path:
    """Return the client as bytecode of this Python, which no job then compiles.

    It is in the private folder, because that of the library may be closed to this user.
    """
    file = folder / "client.pyc"
    if not file.exists():
        source = str(Path(client.__file__).absolute())
        with atomic_path(file) as beside:
            py_compile.compile(source, str(beside), doraise=True)
    return file


def _put_first(variable: str, folder: str) -> None:
    """Put a folder first in a variable that lists folders."""
    others = [one for one in os.environ.get(variable, "").split(os.pathsep) if one != folder]
    os.environ[variable] = os.pathsep.join([folder, *filter(None, others)])


def start_host(folder: Path, onednn: bool) -> None:
    """Start the host of the warm workers, so that it loads while earlier jobs run.

    Parameters
    ----------
    folder
        From `own_folder`.
    onednn
        Whether TensorFlow uses oneDNN, as in the study.

    Raises
    ------
    StorageError
        If the workers' folder belongs to another user, who could read and send jobs.
    """
    try:
        client.private_folder(str(folder))
    except SystemExit as refused:
        raise StorageError(str(refused)) from None
    client.start_host(str(folder), os.getpid(), onednn)


@cache
def own_folder() -> Path:
    """Return this process's folder, which several studies of a workflow share."""
    return claim_folder()


def claim_folder() -> Path:
    """Create and lock this process's folder for its workers, and remove folders of dead processes.

    The lock shows that a process is alive, also to a Snakemake in a container that shares this
    machine's ``/tmp``. Process ids differ there, so the folder has a random name.

    Raises
    ------
    StorageError
        If no folder can be made.
    """
    try:
        root = _root()
        _sweep(root)
        # The folder is renamed when it is locked, so that no process sees it without the lock.
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
    """Remove folders whose Snakemake is dead, such as after all processes were killed at once."""
    for folder in root.glob(f"{_prefix()}*"):
        try:
            mine = os.lstat(folder).st_uid == os.getuid() and not folder.is_symlink()
            lock = _locked(folder / _LOCK) if mine else None
        except OSError:  # its Snakemake is alive, or this is another kind of folder
            continue
        if lock is not None:
            shutil.rmtree(folder, ignore_errors=True)
            os.close(lock)


def _locked(file: Path, flags: int = 0) -> int:
    """Lock a file until this process ends or the returned descriptor is closed.

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
    """Return whether a process exists, whoever owns it."""
    try:
        os.kill(process, 0)
    except ProcessLookupError:
        return False
    except PermissionError:
        pass
    return True
