"""Descriptions, for the user, of errors that a network raised."""

from __future__ import annotations

import sysconfig
import traceback
from pathlib import Path

import tensorflow as tf

#: Longest description in characters; TensorFlow's messages can fill pages.
MAX_CHARACTERS = 600

OUT_OF_MEMORY = (
    "needs more memory than there is; choose a smaller network or batch_size, or a larger machine"
)


def ran_out_of_memory(error: BaseException) -> bool:
    """Return whether an error of Python, NumPy or TensorFlow means that memory ran out."""
    return (
        isinstance(error, MemoryError | tf.errors.ResourceExhaustedError)
        or "bad_alloc" in str(error)
        or "OOM when allocating" in str(error)
    )


def describe_error(error: Exception, path: Path | None = None) -> str:
    """Describe an error in one line, with the last line of the user's code in its traceback.

    Parameters
    ----------
    error
        Any error of a network.
    path
        The model file; None for any file outside libraries.
    """
    library = (str(Path(__file__).parent.parent), sysconfig.get_path("stdlib"), "<")
    frames = [
        frame
        for frame in traceback.extract_tb(error.__traceback__)
        if (
            Path(frame.filename) == path
            if path
            else not frame.filename.startswith(library) and "site-packages" not in frame.filename
        )
    ]
    # When loading fails, Keras puts the cause after pages of configuration.
    message = " ".join(str(error).rpartition("Exception encountered: ")[2].split())
    if len(message) > MAX_CHARACTERS:
        message = message[:MAX_CHARACTERS] + "…"
    place = f" ({frames[-1].filename}, line {frames[-1].lineno})" if frames else ""
    return f"{type(error).__name__}: {message}" + place
