"""Promises of the messages: a script ends with one sentence, and no message is very long."""

from __future__ import annotations

import numpy as np
import pytest

from gridloom.errors import MAX_MESSAGE, DataError, format_traceback, report_mistakes, shortened


def test_a_long_text_keeps_its_beginning_and_end():
    assert shortened("short", 100) == "short"
    text = "cause " + "x" * 10_000 + " (models/own.py, line 3)"
    message = shortened(text, 200)
    assert message.startswith("cause xxx")
    assert message.endswith("xxx (models/own.py, line 3)")
    assert "9,830 characters cut" in message
    assert len(message) < 240


def test_a_traceback_keeps_lines_and_causes_but_not_pages_of_arrays():
    pages = np.array2string(np.arange(50_000), threshold=100_000)
    try:
        try:
            raise ValueError(f"Binding inputs failed. Received: {pages}")
        except ValueError as error:
            raise TypeError(f"Can not cast {pages}") from error
    except TypeError as error:
        message = format_traceback(error)
    assert "test_errors.py" in message
    assert "ValueError: Binding inputs failed" in message
    assert "TypeError: Can not cast" in message
    assert "direct cause" in message
    assert len(message) < 2 * MAX_MESSAGE + 3_000


@pytest.mark.parametrize(
    ("error", "message"), [(DataError("no rows"), "no rows"), (MemoryError(), "too little memory")]
)
def test_a_script_ends_with_one_sentence(tmp_path, error, message):
    log = tmp_path / "log"
    with pytest.raises(SystemExit, match=message) as ended, report_mistakes(str(log)):
        raise error
    assert log.read_text() == f"{ended.value}\n"
