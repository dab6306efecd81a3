"""The program that the graph of a compiled fit runs, and the batches that it runs on."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable, Sequence
from typing import Any

import keras
import numpy as np
import tensorflow as tf

from gridloom.engines.types import Training
from gridloom.networks.structure import learning_rate


class Batches:
    """Rows in the order of an epoch, cut into batches.

    Parameters
    ----------
    arrays
        Tensors of shape (R, rows, …).
    size
        Rows in a batch: a tensor, or a number if shapes must be known (XLA).
    """

    def __init__(self, arrays: Sequence[Any], size: Any) -> None:
        self.arrays = arrays
        self.size = size
        self.rows = tf.shape(arrays[0])[1] if tf.is_tensor(size) else arrays[0].shape[1]

    def take(self, start: Any, count: Any) -> list[Any]:
        """Return rows start to start + count."""
        begins: dict[int, tuple[Any, Any]] = {}
        parts = []
        for array in self.arrays:
            rank = len(array.shape)
            if rank not in begins:  # arrays of one rank share these two small tensors
                rest = rank - 2
                begins[rank] = (
                    tf.stack([0, start, *(0,) * rest]),
                    tf.stack([-1, count, *(-1,) * rest]),
                )
            part = tf.slice(array, *begins[rank])
            static = count if isinstance(count, int) else None
            part.set_shape((array.shape[0], static, *array.shape[2:]))
            parts.append(part)
        return parts

    def each(self, step: Callable[..., Any], carried: tuple[Any, ...]) -> tuple[Any, ...]:
        """Run ``step(start, batch, *carried) -> carried`` for each batch, in order."""
        size = self.size
        if tf.is_tensor(size):

            def dynamic(start: Any, *state: Any) -> Any:
                count = tf.minimum(size, self.rows - start)
                return (start + size, *step(start, self.take(start, count), *state))

            return tuple(
                tf.while_loop(lambda start, *_: start < self.rows, dynamic, (0, *carried))[1:]
            )
        full, rest = divmod(self.rows, size)
        if full:

            def static(index: Any, *state: Any) -> Any:
                return (index + 1, *step(index * size, self.take(index * size, size), *state))

            carried = tuple(tf.while_loop(lambda i, *_: i < full, static, (0, *carried))[1:])
        if rest:
            carried = tuple(step(tf.constant(full * size), self.take(full * size, rest), *carried))
        return carried


class Program(ABC):
    """The computation inside a compiled fit.

    Attributes
    ----------
    repetitions
        R, the length of the leading axis of all data.
    directions
        Metric → 1 if less is better, -1 if more is, 0 if Keras does not say; in the order in which
        `train_epoch` and `validate` return metrics.
    """

    repetitions: int
    directions: dict[str, int]

    @abstractmethod
    def start(self, trainings: Sequence[Training], model: keras.Model) -> None:
        """Set weights, seeds, and everything else that depends on the freshly built `model`."""

    @abstractmethod
    def variables(self) -> list[Any]:
        """Return the variables that early stopping restores."""

    @abstractmethod
    def state(self) -> list[Any]:
        """Return the variables that steps change, in an order that a new program has too."""

    @abstractmethod
    def spread(self, flags: Any, rank: int) -> Any:
        """Reshape flags of shape (R,) to broadcast against a variable of this rank."""

    @abstractmethod
    def train_epoch(self, epoch: Any, batches: Batches) -> Any:
        """Add an epoch's steps to the graph; return its metrics, shape (metrics, R)."""

    @abstractmethod
    def validate(self, batches: Batches) -> Any:
        """Add a validation to the graph; return its metrics, shape (metrics, R)."""

    @abstractmethod
    def check_graph(self, graph: Any, own: Sequence[Any]) -> None:
        """Refuse a traced graph with a state that `start` does not reset.

        Parameters
        ----------
        graph
            A concrete function.
        own
            Variables of the loop around the program, which are allowed.
        """

    @abstractmethod
    def finish(self) -> None:
        """Finish as Keras does after the last epoch; not called if early stopping is used."""

    @abstractmethod
    def weights_of(self, place: int) -> list[np.ndarray]:
        """Return the current weights of the training at `place`, ordered as `model.weights`."""


#: Added to all weights while an optimizer is built, so that states that copy a weight show.
_MARK = 0.734


class OptimizerStart:
    """The initial state of an optimizer, which is restored for each training.

    Parameters
    ----------
    optimizer
        Not built yet, as `compile` leaves it.
    variables
        The variables that it trains.
    """

    def __init__(self, optimizer: Any, variables: Sequence[Any]) -> None:
        self.optimizer = optimizer
        # Some states start as copies of weights (ScheduleFreeAdamW); marked weights show which.
        weights = [variable.numpy() for variable in variables]
        for variable, value in zip(variables, weights, strict=True):
            variable.assign(value + _MARK)
        marked = [variable.numpy() for variable in variables]
        optimizer.build(variables)
        self.values = [variable.numpy() for variable in optimizer.variables]
        self.copies = {
            place: variable
            for place, value in enumerate(self.values)
            for variable, mark in zip(variables, marked, strict=True)
            if np.shape(value) and np.array_equal(value, mark)
        }
        for variable, value in zip(variables, weights, strict=True):
            variable.assign(value)

    def restart(self, fresh: Any) -> None:
        """Reset the optimizer, with the learning rate of a fresh one if it is one number."""
        for place, variable in enumerate(self.optimizer.variables):
            variable.assign(self.copies.get(place, self.values[place]))
        own, rate = learning_rate(self.optimizer), learning_rate(fresh)
        if own is not None and rate is not None:
            own.assign(rate)
