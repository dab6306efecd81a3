"""Promises of the database that exports fill: whole files, and one message for other tables."""

from __future__ import annotations

import sqlite3
from contextlib import closing

import pytest

from gridloom.errors import GridloomError
from gridloom.exports.database import insert, write


def test_rows_are_in_the_file_that_replaces_another(tmp_path):
    file = tmp_path / "new folder" / "made.db"
    file.parent.mkdir()
    file.write_text("an export before")
    with closing(sqlite3.connect(":memory:")) as database:
        database.execute('CREATE TABLE metrics ("key" TEXT, value REAL)')
        insert(database, "metrics", ("key", "value"), ((f"'{n}'; --", n / 2) for n in range(3)))
        write(database, file)
    with closing(sqlite3.connect(file)) as database:
        found = database.execute("SELECT * FROM metrics").fetchall()
    assert found == [("'0'; --", 0), ("'1'; --", 0.5), ("'2'; --", 1)]
    assert [path.name for path in file.parent.iterdir()] == ["made.db"]


def test_tables_of_another_version_are_one_message():
    with closing(sqlite3.connect(":memory:")) as database:
        database.execute("CREATE TABLE runs (id TEXT)")
        with pytest.raises(GridloomError, match=r"no column named name\); install the version"):
            insert(database, "runs", ("id", "name"), [("1", "a")])
