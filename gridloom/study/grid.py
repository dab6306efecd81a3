"""The grid: from the `hyperparameters` block of a study to its points.

Standard library only, because the Snakemake of every job imports this module, on a cluster too.
"""

from __future__ import annotations

import itertools
import keyword
import math
import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any

from gridloom.errors import StudyError, nearest
from gridloom.naming.points import MAX_COMPONENT_BYTES, Point, point_path
from gridloom.naming.values import Value, canonical, identity_of, table_text
from gridloom.study.grid_size import MAX_POINTS, range_length, why_too_large

#: Keys of a grid that are not hyperparameters.
RESERVED = ("exclude", "grids", "zip")

#: Values in the order given, each once, under what identifies it.
_Distinct = dict[Any, Value]


@dataclass(frozen=True)
class Grid:
    """All points of a study.

    Attributes
    ----------
    points
        Path of a point (see `point_path`) → its hyperparameters. The order is that of the product
        of the alphabetically sorted axes, with each axis's values in the order given.
    values
        Hyperparameter → the values that it has in points, both in the order given.
    """

    points: dict[str, Point]
    values: dict[str, list[Value]]

    def is_everywhere(self, name: str) -> bool:
        """Return whether every point has a hyperparameter."""
        return all(name in point for point in self.points.values())

    @cached_property
    def axes(self) -> dict[str, list[Value]]:
        """Swept hyperparameter → its values.

        A hyperparameter that some points lack (a conditional one) is an axis too.
        """
        return {
            name: values
            for name, values in self.values.items()
            if len(values) > 1 or not self.is_everywhere(name)
        }

    @cached_property
    def columns(self) -> list[str]:
        """All hyperparameters: the swept ones in the order given, then the fixed ones."""
        return [*self.axes, *sorted(self.values.keys() - self.axes.keys())]

    @cached_property
    def texts(self) -> dict[str, list[str]]:
        """Axis → its values as the tables spell them; a missing value comes last."""
        return {
            name: [*map(table_text, values), *([] if self.is_everywhere(name) else [""])]
            for name, values in self.axes.items()
        }

    @cached_property
    def numbers(self) -> dict[str, list[int | float]]:
        """Axis → its values, if all are numbers and every point has it."""
        return {
            name: [value for value in values if isinstance(value, int | float)]
            for name, values in self.axes.items()
            if all(type(value) in (int, float) for value in values) and self.is_everywhere(name)
        }


def read_grid(
    hyperparameters: Mapping[str, Any] | Sequence[Any], max_points: int = MAX_POINTS
) -> Grid:
    """Turn the `hyperparameters` block of a study into its points.

    Parameters
    ----------
    hyperparameters
        One grid, or a list of grids. A grid maps each hyperparameter to a scalar (fixed) or a
        list, ``{linspace: [a, b, n]}``, ``{logspace: [a, b, n]}`` or ``{range: [a, b, step]}``
        (swept). ``zip`` is a mapping of lists that vary together, or a list of such mappings.
        ``grids`` is a list of grids that share the keys beside it. ``exclude`` is a list of rules;
        a point that matches every key of a rule is left out.
    max_points
        A grid of more points, before `exclude`, is refused and not listed.

    Raises
    ------
    StudyError
        With one sentence for each mistake.
    """
    if too_large := why_too_large(hyperparameters, max_points):
        raise StudyError(too_large)
    problems: list[str] = []
    points: dict[str, Point] = {}
    given: dict[str, _Distinct] = {}
    for point in _points(hyperparameters, "hyperparameters", problems, given):
        path = point_path(point)
        for component in path.split("/"):
            size = len(component.encode())
            if size > MAX_COMPONENT_BYTES:
                problems.append(
                    f"hyperparameters: {component[:40]}… makes a folder name of {size} bytes, and "
                    f"file systems allow {MAX_COMPONENT_BYTES}; use a shorter value"
                )
        points.setdefault(path, point)
    if not problems and not points:
        problems.append("hyperparameters: no point is left; check `exclude` and empty lists")
    if problems:
        raise StudyError(list(dict.fromkeys(problems)))
    return Grid(points, _values_left(hyperparameters, points, given))


def _values_left(
    hyperparameters: Any, points: Mapping[str, Point], given: Mapping[str, _Distinct]
) -> dict[str, list[Value]]:
    """List the values that `exclude` leaves, in the order given."""
    left = {}
    for name in dict.fromkeys(_names(hyperparameters)):
        kept = {identity_of(point[name]) for point in points.values() if name in point}
        if kept:
            left[name] = [value for key, value in given[name].items() if key in kept]
    return left


def _names(block: Any) -> Iterator[str]:
    """Yield the hyperparameters' names in the order of the block."""
    if isinstance(block, Mapping):
        for key, value in block.items():
            if key == "zip":
                for group in value if isinstance(value, list) else [value]:
                    yield from group if isinstance(group, Mapping) else ()
            elif key == "grids":
                yield from _names(value)
            elif key != "exclude":
                yield key
    elif isinstance(block, list):
        for grid in block:
            yield from _names(grid)


def _points(
    block: Any, where: str, problems: list[str], given: dict[str, _Distinct]
) -> Iterator[Point]:
    if isinstance(block, Mapping):
        yield from _points_of_grid(block, where, problems, given)
    elif isinstance(block, Sequence) and not isinstance(block, str):
        if not block:
            problems.append(f"{where}: the list of grids is empty")
        for index, grid in enumerate(block):
            yield from _points(grid, f"{where}[{index}]", problems, given)
    else:
        problems.append(
            f"{where}: {block!r} is not a grid; write `name: value` or `name: [values]`"
        )


def _points_of_grid(
    grid: Mapping[str, Any], where: str, problems: list[str], given: dict[str, _Distinct]
) -> Iterator[Point]:
    dimensions: list[list[Point]] = []
    taken: set[str] = set()
    for name in sorted(map(str, grid)):
        if name in RESERVED:
            continue
        _check_name(name, where, problems)
        values = _distinct(_values(grid[name], f"{where}.{name}", problems))
        given[name] = given.get(name, {}) | values
        dimensions.append([{name: value} for value in values.values()])
        taken.add(name)
    for group_where, group in _zip_groups(grid, where, problems):
        dimensions.append(_zipped(group, group_where, taken, problems, given))
    if "grids" in grid:
        subgrids = grid["grids"]
        if not isinstance(subgrids, list):
            problems.append(f"{where}.grids: must be a list of grids, found {subgrids!r}")
            subgrids = []
        joined: list[Point] = []
        for index, subgrid in enumerate(subgrids):
            for point in _points(subgrid, f"{where}.grids[{index}]", problems, given):
                for name in sorted(taken & set(point)):
                    problems.append(
                        f"{where}.grids[{index}].{name}: is given beside `grids` too; keep one"
                    )
                joined.append(point)
        dimensions.append(joined)
    rules = _exclude_rules(grid, where, problems)
    for parts in itertools.product(*dimensions):
        merged = dict(itertools.chain.from_iterable(part.items() for part in parts))
        if not any(_matches(merged, rule) for rule in rules):
            yield dict(sorted(merged.items()))


def _zip_groups(
    grid: Mapping[str, Any], where: str, problems: list[str]
) -> Iterator[tuple[str, Mapping[str, Any]]]:
    if "zip" not in grid:
        return
    groups = grid["zip"] if isinstance(grid["zip"], list) else [grid["zip"]]
    for index, group in enumerate(groups):
        group_where = f"{where}.zip" + (f"[{index}]" if isinstance(grid["zip"], list) else "")
        if isinstance(group, Mapping) and group:
            yield group_where, group
        else:
            problems.append(
                f"{group_where}: must be lists by name, such as {{a: [1, 2], b: [3, 4]}}"
            )


def _zipped(
    group: Mapping[str, Any],
    where: str,
    taken: set[str],
    problems: list[str],
    given: dict[str, _Distinct],
) -> list[Point]:
    columns = {}
    for name in sorted(map(str, group)):
        _check_name(name, where, problems)
        if name in taken:
            problems.append(f"{where}.{name}: is given outside this group too; keep one")
        taken.add(name)
        columns[name] = _values(group[name], f"{where}.{name}", problems)
        given[name] = given.get(name, {}) | _distinct(columns[name])
    lengths = {name: len(values) for name, values in columns.items()}
    if len(set(lengths.values())) > 1:
        listed = ", ".join(f"{name} has {length}" for name, length in lengths.items())
        problems.append(f"{where}: lists that vary together need the same length; {listed}")
        return []
    return [dict(zip(columns, row, strict=True)) for row in zip(*columns.values(), strict=True)]


def _exclude_rules(
    grid: Mapping[str, Any], where: str, problems: list[str]
) -> list[dict[str, set[Any]]]:
    rules = grid.get("exclude", [])
    if not isinstance(rules, list) or not all(isinstance(rule, Mapping) and rule for rule in rules):
        problems.append(
            f"{where}.exclude: must be a list of rules, such as [{{units: 1, dropout: 0.6}}]"
        )
        return []
    known = set(_names(grid))
    read = []
    for index, rule in enumerate(rules):
        for name in rule:
            if name not in known:
                problems.append(
                    f"{where}.exclude[{index}].{name}: no such hyperparameter"
                    + nearest(str(name), known)
                )
        read.append(
            {
                str(name): set(
                    _distinct(_values(values, f"{where}.exclude[{index}].{name}", problems))
                )
                for name, values in rule.items()
            }
        )
    return read


def _matches(point: Point, rule: Mapping[str, set[Any]]) -> bool:
    return all(
        name in point and identity_of(point[name]) in values for name, values in rule.items()
    )


def _check_name(name: str, where: str, problems: list[str]) -> None:
    if not name.isidentifier() or keyword.iskeyword(name):
        problems.append(f"{where}.{name}: a hyperparameter's name must be a Python argument name")


#: Numbers between commas. Who means a text like this can write it into a list of one.
_NUMBER = r"[-+]?[\d.]+(?:[eE][-+]?\d+)?"
_UNLISTED = re.compile(rf"\s*{_NUMBER}(\s*,\s*{_NUMBER})+\s*")


def _values(given: Any, where: str, problems: list[str]) -> list[Value]:
    """Return the values of one axis in the order given."""
    if isinstance(given, Mapping):
        return _generated(given, where, problems)
    if isinstance(given, list | tuple):
        if not given:
            problems.append(f"{where}: the list is empty; give a value or remove the key")
        return [_value(item, f"{where}[{i}]", problems) for i, item in enumerate(given)]
    if isinstance(given, str) and _UNLISTED.fullmatch(given):
        problems.append(
            f"{where}: {given!r} is text, because brackets are missing; write [{given}] for a "
            "list, and a point in a decimal number"
        )
    return [_value(given, where, problems)]


def _distinct(values: Iterable[Value]) -> _Distinct:
    once: _Distinct = {}
    for value in values:
        once.setdefault(identity_of(value), value)
    return once


def _generated(given: Mapping[str, Any], where: str, problems: list[str]) -> list[Value]:
    forms = {"linspace": "[first, last, count]", "logspace": "[first, last, count]"}
    forms["range"] = "[first, end, step]"
    if len(given) != 1 or next(iter(given)) not in forms:
        problems.append(
            f"{where}: {dict(given)!r} is not a form of an axis; known are "
            + ", ".join(f"{{{form}: {arguments}}}" for form, arguments in forms.items())
        )
        return []
    form, arguments = next(iter(given.items()))
    numeric = isinstance(arguments, list | tuple) and all(
        isinstance(number, int | float) and not isinstance(number, bool) and math.isfinite(number)
        for number in arguments
    )
    if not numeric or len(arguments) != 3:
        problems.append(f"{where}.{form}: takes {forms[form]}, three numbers, found {arguments!r}")
        return []
    first, last, third = arguments
    if form == "range":
        return _range(first, last, third, f"{where}.range", problems)
    if not isinstance(third, int) or third < 1:
        problems.append(
            f"{where}.{form}: the count must be a whole number above 0, found {third!r}"
        )
        return []
    if form == "logspace" and (first <= 0 or last <= 0):
        problems.append(
            f"{where}.logspace: both ends must be above 0 (they are values, not powers)"
        )
        return []
    steps = [index / (third - 1) if third > 1 else 0.0 for index in range(third)]
    if form == "logspace":
        low, high = math.log10(first), math.log10(last)
        raw = [10 ** (low + (high - low) * step) for step in steps]
    else:
        raw = [first + (last - first) * step for step in steps]
    return [canonical(float(f"{number:.6g}")) for number in raw]


def _range(first: float, end: float, step: float, where: str, problems: list[str]) -> list[Value]:
    """Return ``first + index * step`` below `end`, like Python's range, also for floats."""
    if step == 0 or (end - first) * step <= 0:
        problems.append(f"{where}: [{first}, {end}, {step}] has no values; check the step's sign")
        return []
    count = range_length(first, end, step)
    if all(isinstance(number, int) for number in (first, end, step)):
        return [first + index * step for index in range(count)]
    return [canonical(float(f"{first + index * step:.6g}")) for index in range(count)]


def _value(given: Any, where: str, problems: list[str]) -> Value:
    if isinstance(given, list | tuple):
        if any(isinstance(item, list | tuple | Mapping) for item in given):
            problems.append(f"{where}: a list inside a list may hold plain values only")
            return ()
        return tuple(
            _value(item, f"{where}[{i}]", problems)  # type: ignore[misc]
            for i, item in enumerate(given)
        )
    if isinstance(given, float) and not math.isfinite(given):
        problems.append(f"{where}: {given} is not a finite number")
        return None
    if isinstance(given, str) and re.fullmatch(r"[-+]?\d+(\.\d*)?[eE][-+]?\d+", given):
        mantissa, exponent = given.lower().split("e")
        mantissa += "" if "." in mantissa else ".0"
        exponent = exponent if exponent[0] in "+-" else f"+{exponent}"
        problems.append(
            f"{where}: YAML reads {given} as text, not as a number; write {mantissa}e{exponent}"
        )
        return None
    if given is None or isinstance(given, bool | int | float | str):
        return canonical(given)
    problems.append(f"{where}: {given!r} is not a number, text, true, false or null")
    return None
