"""Rows as `split` leaves them, and the request of a job that trains on them."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

from gridloom.data.rows import Rows
from gridloom.data.sources import download
from gridloom.data.split import describe_split, read_raw, split_rows, write_split
from gridloom.seeds import STREAMS
from gridloom.study import Dataset, Split
from gridloom.training.run import Request


def make_data(folder: Path, source: str, split: Split | None = None) -> None:
    """Bring a builtin set and split it."""
    dataset, split = Dataset(source=source), split or Split()
    download(dataset.source, format="csv", table=folder / "raw.csv")
    raw = read_raw([folder / "raw.csv"], "csv", dataset, split)
    write_parts(folder, *split_rows(raw, dataset, split), dataset)


def write_parts(folder: Path, train: Rows, test: Rows, dataset: Dataset) -> None:
    """Write both parts of a split, and its description."""
    write_split(
        train,
        test,
        describe_split(train, test, dataset),
        train_file=folder / "train.parquet",
        test_file=folder / "test.parquet",
        description_file=folder / "split.json",
    )


def request_for(
    folder: Path, model: Path, hyperparameters: Mapping[str, Any], **settings: Any
) -> Request:
    """Ask for two repetitions of a point, or for what `settings` of a request say."""
    request = Request(
        setup={},
        hyperparameters=dict(sorted(hyperparameters.items())),
        repetitions=(0, 1),
        seed=0,
        vary=STREAMS,
        validation={"method": "holdout", "fraction": 0.25},
        class_weight=None,
        scaling="standard",
        rows_file=folder / "train.parquet",
        split_file=folder / "split.json",
        model_file=model,
    )
    return replace(request, **settings)
