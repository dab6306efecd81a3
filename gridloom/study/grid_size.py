"""Count the points of a grid without listing them.

Standard library only: the Snakemake of every job, on a cluster too, imports this module.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any

#: Default limit; a larger grid is more likely a mistake than intended.
MAX_POINTS = 20_000

#: Axes named in a message, the longest first.
_MAX_NAMED = 8

#: Largest count of an axis: a range of tiny steps overflows a float.
_UNCOUNTABLE = 10**18


def count_points(hyperparameters: Any) -> int:
    """Count the points of a `hyperparameters` block, including those that `exclude` leaves out.

    Anything that is not a grid or an axis counts as one; `gridloom.study.grid.read_grid` reports
    the mistake.
    """
    if isinstance(hyperparameters, Mapping):
        return math.prod(_sizes(hyperparameters).values())
    if isinstance(hyperparameters, list | tuple):
        return sum(map(count_points, hyperparameters))
    return 1


def why_too_large(hyperparameters: Any, max_points: int) -> str | None:
    """Describe the sizes of the axes of a block that exceeds `max_points`; None if it does not."""
    count = count_points(hyperparameters)
    if count <= max_points:
        return None
    if isinstance(hyperparameters, Mapping):
        sizes, sign = _sizes(hyperparameters), " × "
        excluding = " before `exclude`" if "exclude" in hyperparameters else ""
    else:
        grids = enumerate(hyperparameters)
        sizes, sign, excluding = {f"[{i}]": count_points(grid) for i, grid in grids}, " + ", ""
    swept = sorted((size, name) for name, size in sizes.items() if size > 1)[::-1]
    named = [f"{name} ({size:,})" for size, name in swept[:_MAX_NAMED]]
    more = [f"{len(swept) - _MAX_NAMED} more"] if len(swept) > _MAX_NAMED else []
    return (
        f"hyperparameters: {count:,} points{excluding}, max_points is {max_points:,}: "
        f"{sign.join(named + more)}; give fewer values, or raise max_points if you mean it"
    )


def _sizes(grid: Mapping[str, Any]) -> dict[str, int]:
    """Return the factors of a grid: axis, group of `zip`, or `grids` → its number of values."""
    sizes = {}
    for name, given in grid.items():
        if name == "grids":
            sizes[name] = count_points(given)
        elif name == "zip":
            for group in given if isinstance(given, list) else [given]:
                if isinstance(group, Mapping) and group:
                    sizes[" with ".join(map(str, group))] = max(map(_count_values, group.values()))
        elif name != "exclude":
            sizes[str(name)] = _count_values(given)
    return sizes


def _count_values(given: Any) -> int:
    """Count the values of an axis, including those given twice."""
    if isinstance(given, list | tuple):
        return max(len(given), 1)
    try:
        ((form, (first, second, third)),) = given.items()
        if form == "range":
            return min(max(range_length(first, second, third), 1), _UNCOUNTABLE)
        return min(max(int(third), 1), _UNCOUNTABLE)
    except OverflowError:
        return _UNCOUNTABLE
    except (ZeroDivisionError, AttributeError, TypeError, ValueError):
        return 1  # one value, or something that is not an axis


def range_length(first: float, end: float, step: float) -> int:
    """Count the numbers from `first` to before `end`, without the errors of repeated addition.

    Raises
    ------
    ZeroDivisionError, OverflowError
        If `step` is 0, or if the count is too large for a float.
    """
    return math.ceil((end - first) / step - 1e-9)
