"""Types that all engines share: the training that they get and the fit that they return."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Protocol, TypedDict

import keras
import numpy as np

from gridloom.data.preparation import PreparedRows
from gridloom.errors import ModelError
from gridloom.networks.generators import generator_seed, seed_states
from gridloom.networks.structure import dropout_layers, learning_rate
from gridloom.study.seeds import Seeds

#: Remedy for features that only `model.fit` supports.
REMEDY = "set `trainer: {engine: keras}`"


@dataclass(frozen=True)
class Training:
    """One training, ready to fit.

    Attributes
    ----------
    repetition, fold
        Both counted from 0; fold 0 if there are no folds.
    seeds
        Seeds of its random streams.
    rows
        Its arrays, with targets in the form that the loss takes.
    weights
        Initial values of `model.weights`, in order.
    learning_rate
        Of its optimizer; None if it follows a schedule.
    rates
        Rates of its `Dropout` layers, in the order of `dropout_layers`.
    """

    repetition: int
    fold: int
    seeds: Seeds
    rows: PreparedRows
    weights: list[np.ndarray]
    learning_rate: float | None
    rates: tuple[float, ...]

    @classmethod
    def of(
        cls,
        model: keras.Model,
        repetition: int,
        fold: int,
        seeds: Seeds,
        rows: PreparedRows,
        weights: list[np.ndarray],
    ) -> Training:
        """Return a training of a network, which is built and compiled."""
        rate = learning_rate(model.optimizer)
        return cls(
            repetition,
            fold,
            seeds,
            rows,
            weights,
            None if rate is None else float(rate.numpy()),
            tuple(float(layer.rate) for layer in dropout_layers(model)),
        )


@dataclass(frozen=True)
class Stopping:
    """Early stopping, with the arguments of `keras.callbacks.EarlyStopping`."""

    patience: int
    min_delta: float
    monitor: str


class FitSettings(TypedDict):
    """Settings of a fit, as in `model.fit`, and its early stopping; None for none."""

    batch_size: int
    epochs: int
    stopping: Stopping | None


@dataclass(frozen=True)
class Fitted:
    """The fit of one training.

    Attributes
    ----------
    history
        Metric → its value after each epoch, float32; validation metrics begin with ``val_``.
    restored_epoch
        Index of the epoch whose weights the training ends with: the last one, or the best one
        after early stopping.
    """

    history: dict[str, np.ndarray]
    restored_epoch: int


class Checkpoints(Protocol):
    """What keeps the state of a fit, from which another process continues it.

    A state is a list of arrays; the fit determines their number and order.
    """

    def find(self) -> list[np.ndarray] | None:
        """Return the state that an earlier process kept; None if there is none."""

    def offer(self, state: Callable[[], list[np.ndarray]]) -> None:
        """Keep the state after an epoch, if it is time to.

        Raises
        ------
        StoppedError
            If the fit must end here; then its state is kept.
        """


def set_start(model: keras.Model, training: Training) -> None:
    """Set the initial weights of a training in a model, and the seeds of its generators."""
    for variable, value in zip(model.weights, training.weights, strict=True):
        variable.assign(value)
    for place, state in enumerate(seed_states(model)):
        state.assign([generator_seed(training.seeds.dropout, place), 0])


def cannot(feature: str) -> ModelError:
    """Return the error for a feature that `model.fit` has and the compiled fit lacks."""
    return ModelError(f"model: the compiled fit cannot do {feature}; {REMEDY}")
