"""Promises of the digests: a file is read again exactly when it may have changed."""

from __future__ import annotations

import hashlib
import os
from pathlib import Path

import pytest

from gridloom.identity.digests import Digests
from gridloom.identity.source_code import Import

LONG_AGO = 10**18


def aged(path: Path, text: str, time_ns: int = LONG_AGO) -> Path:
    path.write_text(text)
    os.utime(path, ns=(time_ns, time_ns))
    return path


@pytest.fixture
def reads(monkeypatch):
    """Count how often a file is read completely."""
    counted = []
    digest = hashlib.file_digest
    monkeypatch.setattr(hashlib, "file_digest", lambda *a: counted.append(1) or digest(*a))
    return counted


def test_an_unchanged_file_is_read_once_over_many_starts(tmp_path, reads):
    table, kept = aged(tmp_path / "a.csv", "1,2"), tmp_path / "kept.json"
    found = set()
    for _ in range(3):
        digests = Digests(kept)
        found.add(digests.content(table))
        digests.keep()
    assert found == {hashlib.sha256(b"1,2").hexdigest()}
    assert len(reads) == 1


def test_another_size_or_time_is_another_digest(tmp_path):
    table, kept = aged(tmp_path / "a.csv", "1,2"), tmp_path / "kept.json"
    digests = Digests(kept)
    first = digests.content(table)
    digests.keep()
    aged(table, "1,3", LONG_AGO + 1)
    second = Digests(kept).content(table)
    aged(table, "1,22")
    assert len({first, second, Digests(kept).content(table)}) == 3


def test_a_just_changed_file_is_read_again(tmp_path, reads):
    table, kept = tmp_path / "a.csv", tmp_path / "kept.json"
    table.write_text("1,2")
    status = table.stat()
    digests = Digests(kept)
    first = digests.content(table)
    digests.keep()
    # The same size, and a clock that did not tick between the two.
    table.write_text("1,3")
    os.utime(table, ns=(status.st_mtime_ns, status.st_mtime_ns))
    assert Digests(kept).content(table) != first
    assert len(reads) == 2


@pytest.mark.parametrize("text", ["", "{", "[]", '{"format": 0}', '{"format": 1, "files": 3}'])
def test_damaged_notes_are_replaced(tmp_path, text):
    table, kept = aged(tmp_path / "a.csv", "1,2"), tmp_path / "kept.json"
    kept.write_text(text)
    assert Digests(kept).content(table) == hashlib.sha256(b"1,2").hexdigest()


def test_what_a_source_imports_is_kept_with_its_digest(tmp_path):
    model, kept = aged(tmp_path / "m.py", "import keras\nfrom .a import b, c\n"), tmp_path / "k"
    digests = Digests(kept)
    first = digests.source(model)
    digests.keep()
    assert Digests(kept).source(model) == first
    assert first.imports == (Import("keras", (), 0, 1), Import("a", ("b", "c"), 1, 2))
