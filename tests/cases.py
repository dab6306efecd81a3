"""Tables of cases: `pytest` runs a few of each, `pytest --all` more, `pytest --nightly` all."""

from __future__ import annotations

from collections.abc import Collection, Iterable
from typing import TypeVar

import pytest

Name = TypeVar("Name", str, int)


def cases(names: Iterable[Name], quick: Collection[Name], slow: Collection[Name] = ()) -> list:
    """Return a test's cases; those named as neither quick nor slow are marked `nightly`.

    Raises
    ------
    ValueError
        If a quick or slow case is in no table, as after a change of its name.
    """
    names = list(names)
    if unknown := {*quick, *slow} - {*names}:
        raise ValueError(f"no such cases: {unknown}")
    marks = dict.fromkeys(slow, pytest.mark.slow) | dict.fromkeys(quick, ())
    return [pytest.param(name, marks=marks.get(name, pytest.mark.nightly)) for name in names]
