"""Promises of the messages: one sentence ends a script; all that is read is of bounded length."""

from __future__ import annotations

import numpy as np
import pytest

from gridloom.errors import MAX_MESSAGE, DataError, shortened, told_in, told_traceback


def test_a_long_text_keeps_its_beginning_and_end():
    assert shortened("short", 100) == "short"
    text = "cause " + "x" * 10_000 + " (models/own.py, line 3)"
    told = shortened(text, 200)
    assert told.startswith("cause xxx")
    assert told.endswith("xxx (models/own.py, line 3)")
    assert "9,830 characters cut" in told
    assert len(told) < 240


def test_a_traceback_names_lines_and_causes_and_leaves_out_pages_of_arrays():
    pages = np.array2string(np.arange(50_000), threshold=100_000)
    try:
        try:
            raise ValueError(f"Binding inputs failed. Received: {pages}")
        except ValueError as error:
            raise TypeError(f"Can not cast {pages}") from error
    except TypeError as error:
        told = told_traceback(error)
    assert "test_errors.py" in told
    assert "ValueError: Binding inputs failed" in told
    assert "TypeError: Can not cast" in told
    assert "direct cause" in told
    assert len(told) < 2 * MAX_MESSAGE + 3_000


@pytest.mark.parametrize(
    ("error", "told"), [(DataError("no rows"), "no rows"), (MemoryError(), "too little memory")]
)
def test_a_script_ends_with_one_sentence(tmp_path, error, told):
    log = tmp_path / "log"
    with pytest.raises(SystemExit, match=told) as ended, told_in(str(log)):
        raise error
    assert log.read_text() == f"{ended.value}\n"
