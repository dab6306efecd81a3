"""Points: the configurations of a grid, and the path of each."""

from __future__ import annotations

from collections.abc import Iterable, Mapping

from gridloom.naming.values import Value, read_value, spell, table_text

Point = dict[str, Value]

#: Longest name of a file or folder on the file systems in use, in bytes.
MAX_COMPONENT_BYTES = 255


def point_path(point: Mapping[str, Value]) -> str:
    """Return the path of a point, such as ``dropout=0.3/units=64``.

    Every hyperparameter is named, in alphabetical order. `read_path` is its inverse.
    """
    return "/".join(f"{name}={spell(point[name])}" for name in sorted(point))


def describe_point(point: Mapping[str, Value], names: Iterable[str] | None = None) -> str:
    """Name a point for people, such as ``units=64, dropout=0.3``.

    Parameters
    ----------
    names
        Hyperparameters to show, in this order, if the point has them; None for all.
    """
    shown = point if names is None else [name for name in names if name in point]
    texts = {name: table_text(point[name]) for name in shown}
    return ", ".join(f"{name}={text or repr(text)}" for name, text in texts.items())


def read_path(path: str) -> Point:
    """Return the point that has this path, with the types of its values."""
    parts = (component.split("=", 1) for component in path.split("/"))
    return {name: read_value(text) for name, text in parts}
