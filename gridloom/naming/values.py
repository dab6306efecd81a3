"""Values of hyperparameters: their canonical form, and how paths and tables spell them.

Standard library only, because the Snakemake of every job imports this module, on a cluster too.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any
from urllib.parse import quote, unquote

Scalar = bool | int | float | str | None

Value = Scalar | tuple[Scalar, ...]

_NUMBER = re.compile(r"-?\d+(\.\d+)?(e-?\d+)?")

_WORDS: dict[str, Scalar] = {"null": None, "true": True, "false": False}


def identity_of(value: Value) -> Any:
    """Return a key that is equal for ``0`` and ``0.0``, but not for ``1`` and ``True``."""
    if isinstance(value, tuple):
        return tuple(identity_of(item) for item in value)
    return (type(value) is bool, value)


def canonical(value: Any) -> Value:
    """Return the canonical form of a value: ``0.0`` becomes ``0``, lists become tuples."""
    if isinstance(value, list | tuple):
        return tuple(canonical(item) for item in value)  # type: ignore[misc]
    if isinstance(value, float) and value.is_integer() and abs(value) < 1e15:
        return int(value)
    return value  # type: ignore[no-any-return]


def table_text(value: Any) -> str:
    """Return a value as the tables spell it, which is also how heatmaps name it."""
    if isinstance(value, list | tuple):
        return "[" + ", ".join(map(table_text, value)) + "]"
    return "null" if value is None else str(value)


def table_value(point: Mapping[str, Any], name: str) -> Any:
    """Return the cell of a hyperparameter in the tables: a number, a truth value or a text.

    It is empty where the point does not have the hyperparameter. Written to a CSV file, it reads
    `table_text`.
    """
    if name not in point:
        return ""
    value = point[name]
    return value if isinstance(value, bool | int | float) else table_text(value)


def spell(value: Value) -> str:
    """Spell a value for a file name, percent-encoding all but letters, digits and ``_ .``.

    Lists are joined by ``-`` (``64-32``; one item ``64-``; empty ``-``). Inside a list, ``~``
    stands for a minus sign and for an empty text. Text that would read as a number or another word
    has its first character encoded: ``"1"`` is ``%31``, ``1`` is ``1``.
    """
    if isinstance(value, tuple):
        items = [spell(item).replace("-", "~") or "~" for item in value]
        text = "-".join(items) + ("-" if len(items) < 2 else "")
        if _NUMBER.fullmatch(text):  # such as ["1e", 5]
            text = f"%{ord(text[0]):02X}{text[1:]}"
        return text
    for word, meaning in _WORDS.items():
        if value is meaning:
            return word
    if isinstance(value, str):
        text = quote(value, safe="").replace("-", "%2D").replace("~", "%7E")
        if text and (text in _WORDS or _NUMBER.fullmatch(text)):
            text = f"%{ord(text[0]):02X}{text[1:]}"
        return text
    return repr(value).replace("e+", "e")


def read_value(text: str) -> Value:
    """Read a value that `spell` wrote."""
    if "-" in text and not _NUMBER.fullmatch(text):
        items = text.removesuffix("-").split("-") if text != "-" else []
        items = ["" if item == "~" else item.replace("~", "-") for item in items]
        return tuple(read_value(item) for item in items)  # type: ignore[misc]
    if text in _WORDS:
        return _WORDS[text]
    if _NUMBER.fullmatch(text):
        return float(text) if "." in text or "e" in text else int(text)
    return unquote(text)
