"""Arrays as the page's script reads them: base64 of little-endian numbers."""

from __future__ import annotations

import base64
from typing import Any

import numpy as np

#: Name of a type in the page → NumPy's.
_TYPES = {"f4": "<f4", "i4": "<i4", "i2": "<i2", "u1": "u1"}


def encode(values: np.ndarray) -> dict[str, Any]:
    """Return an array of any shape for JSON, in the smallest type that keeps it.

    Whole numbers and truth values stay exact, whatever their type. Others are rounded to float32
    (seven digits), NaN stays NaN.

    Raises
    ------
    OverflowError
        If a whole number needs more than 32 bits.
    """
    if np.issubdtype(values.dtype, np.floating) and _are_whole(values):
        values = values.astype(np.int64)
    if values.dtype == bool:
        kind = "u1"
    elif np.issubdtype(values.dtype, np.integer):
        fitting = [name for name in ("u1", "i2", "i4") if _fits(values, np.dtype(_TYPES[name]))]
        if not fitting:
            raise OverflowError("a whole number needs more than 32 bits")
        kind = fitting[0]
    else:
        kind = "f4"
    plain = np.ascontiguousarray(values, _TYPES[kind])
    data = base64.b64encode(plain.tobytes()).decode()
    return {"type": kind, "shape": list(values.shape), "data": data}


def _are_whole(values: np.ndarray) -> bool:
    """Return whether float64 values are whole numbers of at most 31 bits."""
    return bool((np.isfinite(values) & (np.abs(values) < 2**31)).all()) and bool(
        (values == np.rint(values)).all()
    )


def _fits(values: np.ndarray, kind: np.dtype) -> bool:
    known = np.iinfo(kind)
    return not values.size or bool(known.min <= values.min() and values.max() <= known.max)
