"""Points: configurations of a network, each with its path and back."""

from __future__ import annotations

from collections.abc import Mapping

from gridloom.naming.values import Value, read_value, spell

Point = dict[str, Value]

#: A path component may have this many bytes on every file system in use.
MAX_COMPONENT_BYTES = 255


def point_path(point: Mapping[str, Value]) -> str:
    """Return the path of a point, such as ``dropout=0.3/units=64``.

    Every hyperparameter is named, in alphabetical order. `read_path` is its inverse.
    """
    return "/".join(f"{name}={spell(point[name])}" for name in sorted(point))


def read_path(path: str) -> Point:
    """Return the point that has this path, the types of its values restored."""
    parts = (component.split("=", 1) for component in path.split("/"))
    return {name: read_value(text) for name, text in parts}
