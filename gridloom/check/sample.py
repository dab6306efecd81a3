"""The points that a check looks at: one, and from it one with each other value of each axis.

Standard library only.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any

from gridloom.naming.points import Point
from gridloom.naming.values import identity_of

#: Most values of an axis that are checked: the first, the last, and others spread between them.
MAX_VALUES = 12


def sample(points: Sequence[Point], base: int = 0) -> list[int]:
    """Choose points so that each value of each axis is in one of them.

    A mistake in one value then shows in one point. Of the points with a value, the one is chosen
    that differs from the base in the fewest hyperparameters.

    Parameters
    ----------
    base
        Index of the point to start from.

    Returns
    -------
    list
        Indices of the chosen points, the base first.
    """
    items = [_items(point) for point in points]
    nearest: dict[str, dict[Any, tuple[int, int]]] = {}
    for place, point in enumerate(items):
        distance = len(point.items() ^ items[base].items())
        for name, value in point.items():
            values = nearest.setdefault(name, {})
            if value not in values or distance < values[value][0]:
                values[value] = (distance, place)
    chosen = [base]
    for values in nearest.values():
        chosen += [place for _, place in _spread(list(values.values()))]
    return list(dict.fromkeys(chosen))


def left_out(points: Sequence[Point]) -> dict[str, tuple[int, int]]:
    """Return axis → how many of its values are checked, and how many it has, if not all are."""
    values: dict[str, set[Any]] = {}
    for point in points:
        for name, value in _items(point).items():
            values.setdefault(name, set()).add(value)
    counts = {name: len(of_axis) for name, of_axis in values.items()}
    return {name: (MAX_VALUES, count) for name, count in counts.items() if count > MAX_VALUES}


def _items(point: Point) -> dict[str, Any]:
    return {name: identity_of(value) for name, value in point.items()}


def _spread(values: Sequence[tuple[int, int]]) -> Iterator[tuple[int, int]]:
    """Yield at most `MAX_VALUES` items at equal distances, the first and the last among them."""
    if len(values) <= MAX_VALUES:
        yield from values
        return
    for step in range(MAX_VALUES):
        yield values[step * (len(values) - 1) // (MAX_VALUES - 1)]
