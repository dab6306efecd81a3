"""Promises of arrays: what the page reads is what was written."""

from __future__ import annotations

import base64

import numpy as np
import pytest

from gridloom.report.arrays import encode

TYPES = {"f4": "<f4", "i4": "<i4", "i2": "<i2", "u1": "u1"}


def decode(array):
    data = np.frombuffer(base64.b64decode(array["data"]), TYPES[array["type"]])
    return data.reshape(array["shape"])


@pytest.mark.parametrize(
    ("values", "kind"),
    [
        (np.array([[0, 255]]), "u1"),
        (np.array([-1, 3]), "i2"),
        (np.array([40_000, 0]), "i4"),
        (np.array([True, False]), "u1"),
        (np.array([0.1, np.nan, np.inf]), "f4"),
        (np.array([25_557_033.0, 1.0]), "i4"),
        (np.array([1.0, np.nan]), "f4"),
        (np.zeros((0, 3), int), "u1"),
    ],
)
def test_numbers_keep_their_values_in_the_smallest_type(values, kind):
    found = encode(values)
    assert found["type"] == kind
    np.testing.assert_array_equal(decode(found), values.astype(TYPES[kind]))


def test_a_number_that_does_not_fit_is_refused():
    with pytest.raises(OverflowError, match="32 bits"):
        encode(np.array([2**40]))
