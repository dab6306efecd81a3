"""Tables of a study, made by the library from records without a training."""

from __future__ import annotations

import itertools
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import pandas as pd

from gridloom.analysis.cells import read_csv, write_csv
from gridloom.analysis.certainty import certainty, with_certainty
from gridloom.analysis.choice import choose
from gridloom.analysis.effects import effects
from gridloom.analysis.observations import observe
from gridloom.analysis.pick import NothingToChooseError, write_nothing
from gridloom.analysis.table import gather, write_tables
from gridloom.figures.evidence import Tables
from gridloom.figures.page import Subject
from gridloom.naming.points import read_path
from gridloom.naming.values import canonical, table_text
from tests.made_records import write_made_record


def write_study(
    folder: Path,
    axes: Mapping[str, Sequence[Any]],
    score: Callable[[dict[str, Any], int], float | None],
    *,
    repetitions: int = 3,
    epochs: int = 4,
    mode: str = "max",
    title: str = "T",
    baselines: Mapping[str, float] = {},
) -> tuple[Tables, Subject]:
    """Write the tables of a study whose objective is ``val_score``.

    Parameters
    ----------
    axes
        Axis → its values; the grid is complete.
    score
        Of a point in a repetition, in the last of its epochs; in epoch e it is e / `epochs` of
        that, and 0.1 more for the training rows. None if the training diverges.
    baselines
        Name → score.
    """
    records = []
    for values in itertools.product(*axes.values()):
        point = {"batch_size": 4, **dict(zip(axes, values, strict=True))}
        histories = []
        for repetition in range(repetitions):
            last = score(point, repetition)
            rising = [
                None if last is None else last * epoch / epochs for epoch in range(1, epochs + 1)
            ]
            training = [None if value is None else value + 0.1 for value in rising]
            losses = [1.0] * (epochs - 1) + [None if last is None else 1.0]
            histories.append({"loss": losses, "score": training, "val_score": rising})
        records.append(write_made_record(folder, point, histories))
    gathered = gather(records, list({**axes, "batch_size": 4}), repetitions, "val_score", mode)
    runs = gathered.runs
    summary = with_certainty(gathered.summary, certainty(runs, "val_score", mode, None))
    tables = Tables(
        runs=folder / "runs.csv",
        history=folder / "history.parquet",
        summary=folder / "summary.csv",
        effects=folder / "effects.csv",
        best=folder / "best.yaml",
        confirmed=None,
        baselines=[folder / "baselines.csv"] if baselines else [],
    )
    write_tables(replace(gathered, summary=summary), tables.runs, tables.history, tables.summary)
    texts = {name: [table_text(canonical(value)) for value in axes[name]] for name in axes}
    observed = observe(read_csv(tables.runs, texts), texts, "val_score", mode)
    write_csv(effects(observed).table, tables.effects)
    paths = {path: read_path(path) for path in summary["point"]}
    try:
        choose(summary, runs, paths, "val_score", mode, ["parameters"], 0.01).write(tables.best)
    except NothingToChooseError as nothing:
        write_nothing(tables.best, str(nothing))
    for file in tables.baselines:
        rows = [
            {"baseline": name, "repetition": 0, "val_score": value, "note": ""}
            for name, value in baselines.items()
        ]
        write_csv(pd.DataFrame(rows), file)
    return tables, Subject(title, texts, "val_score", mode, {})
