"""Promises of the library's rooms: each imports only rooms above it, and none is too large."""

from __future__ import annotations

import ast
from collections import Counter
from collections.abc import Iterator
from pathlib import Path

LIBRARY = Path(__file__).parents[1] / "gridloom"

#: Rooms in the order in which data passes through them.
ROOMS = [
    "errors",
    "storage",
    "files",
    "naming",
    "study",
    "data",
    "identity",
    "records",
    "networks",
    "engines",
    "training",
    "workers",
    "analysis",
    "crosscheck",
    "baselines",
    "figures",
    "report",
    "fitted",
    "results",
    "exports",
    "predict",
    "check",
    "workflow",
]


def room_of(module: str) -> str:
    return module.split(".")[1]


def modules() -> dict[str, Path]:
    files = [file for file in LIBRARY.rglob("*.py") if file != LIBRARY / "__init__.py"]
    return {
        ".".join(file.relative_to(LIBRARY.parent).with_suffix("").parts): file for file in files
    }


def imports(file: Path) -> Iterator[str]:
    for node in ast.walk(ast.parse(file.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom) and node.module == "gridloom":
            yield from (f"gridloom.{alias.name}" for alias in node.names)
        elif isinstance(node, ast.ImportFrom) and node.module:
            yield node.module


def test_every_room_has_its_place_in_the_order():
    assert {room_of(module) for module in modules()} == set(ROOMS)


def test_a_room_imports_only_rooms_above_it():
    places = {room: place for place, room in enumerate(ROOMS)}
    upward = [
        f"{module} imports {imported}"
        for module, file in modules().items()
        for imported in imports(file)
        if imported.startswith("gridloom.") and places[room_of(imported)] > places[room_of(module)]
    ]
    assert upward == []


def test_no_room_is_more_than_a_quarter_of_the_library():
    lines: Counter[str] = Counter()
    for module, file in modules().items():
        lines[room_of(module)] += len(file.read_text(encoding="utf-8").splitlines())
    (largest, count), *_ = lines.most_common(1)
    assert count <= lines.total() / 4, largest
