"""A page of a study whose scores a test gives, made without a training."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pandas as pd

from gridloom.analysis.cells import read_csv, write_csv
from gridloom.report.page import Sources, write_report
from gridloom.study.schema import Study
from tests.figures.made_study import write_study

VERDICT = "# {title}: the verdict\n\n- **Take units=8**: it is `good`.\n"

NEXT = "# What to try next\nhyperparameters:\n  rate: [0.1, 1, 10]\n"

#: Scores that differ by axis, by pair of axes, and a little by repetition.
AXES: dict[str, Sequence[Any]] = {
    "units": [1, 8, 64],
    "rate": [0.1, 1.5],
    "activation": ["relu", "tanh"],
}


def score(point: Mapping[str, Any], repetition: int) -> float | None:
    """Return a score below 1; the largest rate diverges with the largest layers."""
    if point["units"] == 64 and point["rate"] == 1.5:
        return None
    size = {1: 0.0, 8: 0.06, 64: 0.05}[point["units"]]
    together = 0.02 if (point["rate"] == 1.5) == (point["activation"] == "relu") else 0.0
    together += 0.03 if point["rate"] == 1.5 else 0.0
    wobble = ((7 * repetition + 3 * point["units"] + len(point["activation"])) % 5) / 500
    return 0.8 + size + together + wobble


@dataclass(frozen=True)
class MadePage:
    """A page and what it was made from."""

    file: Path
    sources: Sources
    axes: Mapping[str, Sequence[str]]

    @property
    def html(self) -> str:
        """Its text."""
        return self.file.read_text(encoding="utf-8")

    @property
    def summary(self) -> pd.DataFrame:
        """The table that it shows, with axes as texts."""
        return read_csv(self.sources.summary, self.axes)


def write_page(
    folder: Path,
    axes: Mapping[str, Sequence[Any]] = AXES,
    score: Callable[[dict[str, Any], int], float | None] = score,
    *,
    title: str = "Made study",
    mode: str = "max",
    verdict: str = VERDICT,
    failed: Mapping[str, str] | None = None,
    partial: str = "",
    labels: Mapping[str, str] | None = None,
    **given: Any,
) -> MadePage:
    """Write the tables of a study and its page; arguments as of `write_study` and the page."""
    tables, subject = write_study(folder, axes, score, mode=mode, title=title, **given)
    summary = read_csv(tables.summary, subject.axes)
    if partial:
        summary["partial"] = partial
        write_csv(summary, tables.summary)
    (folder / "verdict.md").write_text(verdict.format(title=title), encoding="utf-8")
    (folder / "next.yaml").write_text(NEXT, encoding="utf-8")
    study = Study.model_validate(
        {
            "name": title,
            "results": str(folder),
            "repetitions": given.get("repetitions", 3),
            "dataset": {"source": "builtin:iris"},
            "model": "models/mlp.py",
            "hyperparameters": {**axes, "batch_size": 4, "epochs": 4},
            "objective": {"metric": "val_score", "mode": mode},
            "figures": {"labels": dict(labels or {})},
        }
    )
    sources = Sources(
        runs=tables.runs,
        history=tables.history,
        summary=tables.summary,
        effects=tables.effects,
        best=tables.best,
        verdict=folder / "verdict.md",
        following=folder / "next.yaml",
        confirmed=None,
        data=folder / "data",
        points=folder / "points",
    )
    file = folder / "report.html"
    write_report(
        sources, study, file, arguments=["--configfile", "my study.yaml"], failed=failed or {}
    )
    return MadePage(file, sources, subject.axes)
