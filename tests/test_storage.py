"""Promises about the disk: a message names the file and the remedy; no file is half-written."""

from __future__ import annotations

import errno
import os

import pytest

from gridloom.errors import StorageError
from gridloom.files import atomic_path, write_text
from gridloom.storage import require_room, storage_error


@pytest.mark.parametrize(
    ("number", "cause"),
    [
        (errno.ENOSPC, "the disk is full; free some space"),
        (errno.EDQUOT, "the disk quota is used up; free some space"),
        (errno.EROFS, "(Read-only file system); make its folder writable"),
        (errno.EACCES, "(Permission denied); make its folder writable"),
    ],
)
def test_a_failed_write_names_the_file_and_the_remedy(tmp_path, number, cause):
    path = tmp_path / "runs.csv"
    path.write_text("old")
    with pytest.raises(StorageError) as caught, atomic_path(path) as beside:
        beside.write_text("half")
        raise OSError(number, os.strerror(number))
    assert str(caught.value).startswith(f"{path}: cannot be written")
    assert cause in str(caught.value)
    assert [entry.read_text() for entry in tmp_path.iterdir()] == ["old"]


def test_an_unreadable_input_is_not_reported_as_a_failed_write(tmp_path):
    error = PermissionError(errno.EACCES, "Permission denied", "/elsewhere/secret.csv")
    assert storage_error(error, tmp_path / "runs.csv") is None
    with pytest.raises(PermissionError), atomic_path(tmp_path / "runs.csv"):
        raise error


def test_other_errors_are_left_alone(tmp_path):
    with pytest.raises(IsADirectoryError), atomic_path(tmp_path / "runs.csv"):
        tmp_path.read_text()


def test_a_file_in_place_of_a_folder_is_reported(tmp_path):
    write_text(tmp_path / "results", "")
    with pytest.raises(StorageError, match=r"results: cannot be used \(Not a directory\)"):
        require_room(tmp_path / "results")


def test_checking_for_room_leaves_no_files_behind(tmp_path):
    require_room(tmp_path / "not" / "there")
    assert list(tmp_path.iterdir()) == []


@pytest.mark.skipif(not os.path.exists("/dev/full"), reason="no /dev/full")
def test_a_full_device_is_reported_as_a_full_disk(tmp_path):
    with (
        pytest.raises(StorageError, match="the disk is full"),
        atomic_path(tmp_path / "x"),
        open("/dev/full", "w") as full,
    ):
        full.write("x")
