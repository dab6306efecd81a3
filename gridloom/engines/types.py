"""What all engines share: the training that they get, and the fit that they return."""

from __future__ import annotations

from dataclasses import dataclass

import keras
import numpy as np

from gridloom.data.preparation import PreparedRows
from gridloom.errors import ModelError
from gridloom.networks.generators import generator_seed, seed_states
from gridloom.study.seeds import Seeds

#: What to set where the compiled fit cannot follow `model.fit`.
REMEDY = "set `trainer: {engine: keras}`"


@dataclass(frozen=True)
class Training:
    """One training, ready to fit.

    Attributes
    ----------
    repetition, fold
        Which one it is; fold 0 where there are no folds.
    seeds
        Its random streams.
    rows
        Its arrays, targets in the form that the loss takes.
    weights
        Initial values of `model.weights`, in order.
    """

    repetition: int
    fold: int
    seeds: Seeds
    rows: PreparedRows
    weights: list[np.ndarray]


@dataclass(frozen=True)
class Stopping:
    """Early stopping, in the words of `keras.callbacks.EarlyStopping`."""

    patience: int
    min_delta: float
    monitor: str


@dataclass(frozen=True)
class Fitted:
    """What a fit gives for one training.

    Attributes
    ----------
    history
        Metric → its value after each epoch run, float32; `val_` names first seen at validation.
    restored_epoch
        Index of the epoch whose weights the training ends with: the last one, or the best one
        after early stopping.
    """

    history: dict[str, np.ndarray]
    restored_epoch: int


def set_start(model: keras.Model, training: Training) -> None:
    """Give a model the initial weights of a training, and its generators their seeds."""
    for variable, value in zip(model.weights, training.weights, strict=True):
        variable.assign(value)
    for place, state in enumerate(seed_states(model)):
        state.assign([generator_seed(training.seeds.dropout, place), 0])


def cannot(feature: str) -> ModelError:
    """Return the error for what `model.fit` can do and the compiled fit cannot."""
    return ModelError(f"model: the compiled fit cannot do {feature}; {REMEDY}")
