"""The card of a fitted model, ``model.json``: what it is, how it came about, what it scored."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass, fields
from functools import cache
from pathlib import Path
from typing import Annotated, Any, Literal

import numpy as np
from pydantic import BeforeValidator, PlainSerializer, PlainValidator, TypeAdapter

from gridloom.analysis.pick import Pick
from gridloom.data.description import SplitDescription
from gridloom.errors import ModelError
from gridloom.files import write_text
from gridloom.fitted.outputs import OutputMeaning
from gridloom.fitted.scores import Score
from gridloom.identity.setup import Setup
from gridloom.naming.values import Value
from gridloom.study.dataset import Dataset
from gridloom.study.seeds import Seeds

#: Increment on incompatible changes.
FORMAT = 4

#: Name of the card in the model's folder.
CARD = "model.json"

REMEDY = "delete the folder and run `snakemake refit`"


def _whole(noted: Any) -> Any:
    """Refuse a description of the split that lacks a field: a default would replace it silently."""
    if isinstance(noted, Mapping) and {one.name for one in fields(SplitDescription)} - noted.keys():
        raise ValueError("lacks a field")
    return noted


@dataclass(frozen=True)
class TargetForm:
    """The form that a row's target had in the fit."""

    shape: tuple[int, ...]
    dtype: Literal["float32", "int32"]

    @classmethod
    def of(cls, target: np.ndarray) -> TargetForm:
        """Return the form of targets, shape (rows, …)."""
        return cls(target.shape[1:], "int32" if target.dtype == np.int32 else "float32")

    @property
    def zeros(self) -> np.ndarray:
        """One target of zeros, shape (1, …)."""
        return np.zeros((1, *self.shape), self.dtype)


@dataclass(frozen=True)
class Measured:
    """What Keras measures on rows.

    Attributes
    ----------
    rows
        Number of rows.
    metrics
        Loss and metrics by their names in the history; None where they are not finite.
    """

    rows: int
    metrics: dict[str, float | None]


@dataclass(frozen=True)
class Card:
    """What is recorded about a fitted model.

    Attributes
    ----------
    format
        `FORMAT` of the version that wrote the card.
    pick
        The configuration, and how it was chosen.
    seeds
        Random seeds of the fit.
    training
        Loss and metrics on the training rows in the last epoch, with dropout and row weights.
    test
        Loss and metrics on the test rows, without dropout and row weights.
    standardized
        Names of the metrics of the standardized target; all others are in the target's units.
    scores
        Scores of the predictions for the test rows.
    groups
        Number of groups in the test rows, if the intervals of `scores` resample groups; None if
        they resample rows.
    outputs
        What the network's outputs mean.
    target_form
        Form of the zeros that the model file's `input_pipeline` gets as targets of new rows.
    dataset, split
        How the rows were read, and what they hold.
    model_file
        Name of the model file's copy in the folder.
    setup
        All other settings that determined the fit.
    environment
        The machine, and the versions of the packages.
    """

    format: int
    pick: Pick
    seeds: Seeds
    training: Measured
    test: Measured
    standardized: list[str]
    scores: list[Score]
    groups: int | None
    outputs: OutputMeaning
    target_form: TargetForm
    dataset: Dataset
    split: Annotated[SplitDescription, BeforeValidator(_whole)]
    model_file: str
    setup: Annotated[Setup, PlainValidator(Setup.from_json), PlainSerializer(Setup.as_json)]
    environment: dict[str, Any]

    @property
    def hyperparameters(self) -> dict[str, Value]:
        """Hyperparameters of the configuration."""
        return self.pick.hyperparameters

    @classmethod
    def read(cls, folder: Path) -> Card:
        """Read the card in a model's folder.

        Raises
        ------
        ModelError
            If the folder has no card, or the card is damaged or has another format.
        """
        path = folder / CARD
        try:
            text = path.read_text(encoding="utf-8")
        except OSError as error:
            raise ModelError(
                f"{path}: cannot be read ({error.strerror}); `snakemake refit` writes it"
            ) from None
        try:
            noted = json.loads(text)
            made_as = noted["format"]
            if made_as != FORMAT:
                raise ModelError(
                    f"{folder}: has format {made_as}, this version reads {FORMAT}; {REMEDY}"
                )
            return _adapter().validate_python(noted)
        except (ValueError, KeyError, TypeError):
            raise ModelError(f"{path}: is damaged; {REMEDY}") from None

    def write(self, folder: Path) -> None:
        """Write the card into a model's folder, atomically."""
        text = _adapter().dump_json(self, indent=2, ensure_ascii=False).decode()
        write_text(folder / CARD, text + "\n")


@cache
def _adapter() -> TypeAdapter[Card]:
    return TypeAdapter(Card)
