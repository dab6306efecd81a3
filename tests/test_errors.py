"""Promises of how a script ends: with one sentence, on the screen and in its log."""

from __future__ import annotations

import pytest

from gridloom.errors import DataError, told_in


@pytest.mark.parametrize(
    ("error", "told"), [(DataError("no rows"), "no rows"), (MemoryError(), "too little memory")]
)
def test_a_script_ends_with_one_sentence(tmp_path, error, told):
    log = tmp_path / "log"
    with pytest.raises(SystemExit, match=told) as ended, told_in(str(log)):
        raise error
    assert log.read_text() == f"{ended.value}\n"
