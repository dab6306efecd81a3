"""Rows as `split` writes them, and requests to train on them."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

from gridloom.data.rows import Rows
from gridloom.data.sources import download
from gridloom.data.split import describe_split, read_raw, split_rows, write_split
from gridloom.identity.digests import Digests
from gridloom.identity.identify import library_settings
from gridloom.identity.setup import Setup, model_fingerprint
from gridloom.study.dataset import Dataset, Split
from gridloom.study.seeds import STREAMS
from gridloom.training.request import Request

ROOT = Path(__file__).parents[1]

POINT = {
    "activation": "relu",
    "batch_size": 64,
    "dropout": 0.3,
    "epochs": 3,
    "learning_rate": 0.1,
    "units": 4,
}

POINTS = [
    {"dropout": dropout, "units": units, "learning_rate": rate, "batch_size": batch}
    for dropout in (0, 0.3, 0.6)
    for units in (2, 4)
    for rate in (0.01, 1)
    for batch in (32, 64)
]


def make_data(folder: Path, source: str, split: Split | None = None) -> None:
    """Download a builtin set and split it."""
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


def setup_for(model: Path, **settings: Any) -> Setup:
    """Return the set-up of a model file, with default settings besides those given."""
    setup = Setup(
        data="rows",
        model_file=model_fingerprint(model, Digests().source)[0],
        training_code="code",
        seed=0,
        vary=STREAMS,
        validation={"method": "holdout", "fraction": 0.25},
        class_weight=None,
        scaling="standard",
        target="none",
        engine="compiled",
        onednn=True,
        xla="auto",
        libraries=library_settings({}),
    )
    return replace(setup, **settings)


def request_for(
    folder: Path, model: Path, hyperparameters: Mapping[str, Any], **settings: Any
) -> Request:
    """Request two repetitions of a point, with changed settings of the request or set-up."""
    request = Request(
        setup=setup_for(model),
        hyperparameters=dict(sorted(hyperparameters.items())),
        repetitions=(0, 1),
        rows_file=folder / "train.parquet",
        split_file=folder / "split.json",
        model_file=model,
    )
    return changed(request, **settings)


def changed(request: Request, **settings: Any) -> Request:
    """Return a request with changed settings of the request or set-up."""
    own = {name: settings.pop(name) for name in list(settings) if hasattr(request, name)}
    return replace(request, **{"setup": replace(request.setup, **settings), **own})


def request_of(data, model=ROOT / "models" / "mlp.py", repetitions=(0, 1), lockstep=True, **knobs):
    return request_for(
        data,
        Path(model),
        {**POINT, **knobs},
        repetitions=repetitions,
        lockstep=lockstep,
        validation={"method": "holdout", "fraction": 0.2},
        class_weight="balanced",
    )


def histories(record):
    return [training.history for training in record.trainings]
