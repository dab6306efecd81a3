"""The description of a split, ``split.json``: what a training needs to know besides the rows."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field, fields
from pathlib import Path
from typing import Any

from gridloom.files import write_text


@dataclass(frozen=True)
class SplitDescription:
    """What a training or a prediction needs to know about a split besides its rows.

    Attributes
    ----------
    task
        As in the study.
    targets
        Names of the targets.
    classes
        Sorted labels; None in a regression, or if a row can have several labels.
    ordered
        Whether rows have an order in time.
    reading
        Column → its role or kind, in every file of the study.
    rows
        Number of rows in the parts ``train`` and ``test``.
    train_sha256, test_sha256
        SHA-256 of each part's values.
    numeric
        Columns of numbers in a table.
    incomplete
        Those of `numeric` with missing values.
    categorical
        Column of categories in a table → its categories.
    dropped
        Column that was left out of a table → the reason.
    shape
        Shape of a row of arrays; None for a table.
    columns
        Columns that were made into an array; empty if the data came as arrays.
    alarms
        Possible leaks (see `gridloom.data.alarms`).
    """

    task: str = "classification"
    targets: list[str] = field(default_factory=list)
    classes: list[str] | None = None
    ordered: bool = False
    reading: dict[str, str] = field(default_factory=dict)
    rows: dict[str, int] = field(default_factory=dict)
    train_sha256: str = ""
    test_sha256: str = ""
    numeric: list[str] = field(default_factory=list)
    incomplete: list[str] = field(default_factory=list)
    categorical: dict[str, list[str]] = field(default_factory=dict)
    dropped: dict[str, str] = field(default_factory=dict)
    shape: list[int] | None = None
    columns: list[str] = field(default_factory=list)
    alarms: list[dict[str, Any]] = field(default_factory=list)

    @property
    def features(self) -> list[str]:
        """Columns of a table that a network learns from."""
        return [*self.numeric, *self.categorical]

    @classmethod
    def read(cls, path: Path) -> SplitDescription:
        """Read ``split.json``."""
        return cls.from_json(json.loads(path.read_text(encoding="utf-8")))

    @classmethod
    def from_json(cls, noted: Mapping[str, Any]) -> SplitDescription:
        """Read what `as_json` returned."""
        known = {one.name for one in fields(cls)}
        return cls(**{name: value for name, value in noted.items() if name in known})

    def as_json(self) -> dict[str, Any]:
        """Return the content of ``split.json``."""
        return asdict(self)

    def write(self, path: Path) -> None:
        """Write ``split.json`` atomically."""
        write_text(path, json.dumps(self.as_json(), indent=2, ensure_ascii=False) + "\n")
