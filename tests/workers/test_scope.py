"""Promises of the workers' folder: one for each Snakemake, removed only when that is dead."""

from __future__ import annotations

import os
import subprocess
import sys

import pytest

from gridloom.errors import StorageError
from gridloom.workers import scope

CLAIMS = (
    "from gridloom.workers.scope import claim_folder; print(claim_folder(), flush=True); input()"
)


@pytest.fixture
def place(tmp_path, monkeypatch):
    monkeypatch.setattr(scope.tempfile, "tempdir", str(tmp_path))
    monkeypatch.setattr(scope, "_MAX_FOLDER_BYTES", 10_000)
    return tmp_path


def claimed_elsewhere(place, *command):
    """Claim a folder in another process; return both."""
    environment = {**os.environ, "TMPDIR": str(place)}
    held = "import gridloom.workers.scope as s; s._MAX_FOLDER_BYTES = 10_000; "
    process = subprocess.Popen(
        [*command, sys.executable, "-c", held + CLAIMS],
        env=environment,
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    )
    return process, process.stdout.readline().strip()


def end(process):
    process.kill()
    process.communicate()


def test_only_folders_of_dead_processes_are_removed(place):
    process, folder = claimed_elsewhere(place)
    try:
        assert os.path.dirname(folder) == str(place)
        assert os.stat(folder).st_mode & 0o777 == 0o700
        mine = scope.claim_folder()
        assert os.path.isdir(folder)
    finally:
        end(process)
    assert os.path.isdir(folder)  # killed, it could not remove it
    third = scope.claim_folder()
    assert not os.path.isdir(folder)
    assert {path.name for path in place.iterdir()} == {mine.name, third.name}


def test_the_folder_of_a_process_in_another_namespace_is_kept(place):
    """In another namespace, a process id may be that of a dead process or of this one."""
    apart = ["unshare", "--pid", "--fork", "--kill-child"]
    if subprocess.run([*apart, "true"], capture_output=True, check=False).returncode:
        pytest.skip("namespaces are not permitted here")
    processes = [claimed_elsewhere(place, *apart) for _ in range(2)]
    try:
        scope.claim_folder()
        folders = [folder for _, folder in processes]
        assert all(map(os.path.isdir, folders))
        assert len(set(folders)) == 2
    finally:
        for process, _ in processes:
            end(process)


def test_folders_without_a_lock_are_kept(place):
    old = place / f"gridloom-{os.getuid()}-99999999"
    old.mkdir()
    scope.claim_folder()
    assert old.is_dir()


def test_an_unusable_temporary_folder_is_reported(place, monkeypatch):
    monkeypatch.setattr(scope.tempfile, "tempdir", str(place / "none"))
    with pytest.raises(StorageError, match=r"none.*: cannot be used.*set TMPDIR to a folder"):
        scope.claim_folder()
