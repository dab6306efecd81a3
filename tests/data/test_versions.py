"""Promises of the versions of a source: a changed file is reported, and never mixed in."""

from __future__ import annotations

import pytest

from gridloom.data.versions import ask_anew, check_version, version_of
from gridloom.errors import DataError, StudyError

ADDRESS = "https://example.org/d.csv?token=abc"


@pytest.fixture
def file(tmp_path):
    return tmp_path / "sources.json"


def came(found, file, sha256=None):
    check_version(ADDRESS, sha256, found, planned=None, file=file)


def test_the_first_version_and_its_sum_have_one_name(file):
    assert version_of(ADDRESS, None, file) == ""
    came("1", file)
    assert version_of(ADDRESS, None, file) == version_of(ADDRESS, "1", file) == ""
    assert version_of(ADDRESS, "2", file) == "2"
    assert "abc" not in file.read_text()


def test_a_change_is_reported_without_changing_the_name(file):
    came("1", file)
    came("1", file)
    with pytest.raises(DataError, match=r"had SHA-256 1, now it has 2.*--forcerun download"):
        came("2", file)
    assert version_of(ADDRESS, None, file) == ""


def test_an_accepted_change_is_noted_for_the_next_run(file):
    came("1", file)
    ask_anew([ADDRESS, "mine.csv"], file)
    came("1", file)  # nothing changed: nothing to decide
    with pytest.raises(DataError, match="had SHA-256 1, now it has 2"):
        came("2", file)
    ask_anew([ADDRESS], file)
    with pytest.raises(DataError, match="the new version is noted: run `snakemake` again"):
        came("2", file)
    assert version_of(ADDRESS, None, file) == "2"
    came("2", file)
    # The sum of the first version finds its rows; without a sum, the last version is used.
    assert version_of(ADDRESS, "1", file) == ""
    came("1", file, sha256="1")
    assert version_of(ADDRESS, None, file) == ""


def test_a_sum_given_from_the_start_has_the_first_name(file):
    assert version_of(ADDRESS, "1", file) == "1"
    came("1", file, sha256="1")
    assert version_of(ADDRESS, None, file) == "1"


def test_a_local_file_changed_after_the_study_was_read_is_refused(file):
    check_version("mine.csv", None, "1", planned="1", file=file)
    with pytest.raises(DataError, match=r"mine.csv changed while .* run `snakemake` again"):
        check_version("mine.csv", None, "2", planned="1", file=file)
    assert not file.exists()


def test_damaged_notes_are_reported(file):
    file.write_text("{")
    with pytest.raises(StudyError, match=r"sources.json: cannot be read .* or remove it"):
        version_of(ADDRESS, None, file)
