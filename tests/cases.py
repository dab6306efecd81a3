"""Tables of cases: `pytest` runs a few of each, `pytest --all` runs all."""

from __future__ import annotations

from collections.abc import Collection, Iterable
from typing import TypeVar

import pytest

Name = TypeVar("Name", str, int)


def cases(names: Iterable[Name], quick: Collection[Name]) -> list:
    """Return a test's cases; those that are not named as quick are marked `slow`.

    Raises
    ------
    ValueError
        If a quick case is in no table, as after a change of its name.
    """
    names = list(names)
    if unknown := set(quick) - set(names):
        raise ValueError(f"no such cases: {unknown}")
    return [pytest.param(name, marks=[] if name in quick else pytest.mark.slow) for name in names]
