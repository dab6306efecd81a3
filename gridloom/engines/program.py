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
    """Rows cut into batches.

    Parameters
    ----------
    arrays
        Tensors of shape (R, rows, …).
    size
        Rows in a batch: a tensor, or a number if shapes must be known (XLA).
    order
        Order of the rows in each lane, int, shape (R, rows); None for the order that they have.
    """

    def __init__(self, arrays: Sequence[Any], size: Any, order: Any = None) -> None:
        self.arrays = arrays
        self.size = size
        self.dynamic = tf.is_tensor(size)
        self.repetitions = arrays[0].shape[0]
        self.rows = tf.shape(arrays[0])[1] if self.dynamic else arrays[0].shape[1]
        #: Number of batches with `size` rows, and of all.
        self.full = self.rows // size
        self.count = (self.rows + size - 1) // size
        # In an array of shape (R × rows, …), from which whole rows are gathered fastest.
        first = tf.range(self.repetitions)[:, None] * self.rows
        self.places = first + (tf.range(self.rows) if order is None else order)
        self._flat = [tf.reshape(array, (-1, *array.shape[2:])) for array in arrays]

    def ordered(self, place: int) -> Any:
        """Return the array at `place` with its rows in the order of the batches."""
        return tf.gather(self._flat[place], self.places)

    def each(self, step: Callable[..., tuple[Any, ...]], carried: tuple[Any, ...]) -> Any:
        """Run ``step(number, batch, *carried) -> carried`` for each batch, in order."""
        end = self.full * self.size
        whole = tf.reshape(self.places[:, :end], (self.repetitions, self.full, self.size))
        rest = self.places[:, end:]
        # A step gets its places from a list faster than by a slice of an array.
        listed = tf.TensorArray(
            tf.int32,
            size=self.full,
            dynamic_size=self.dynamic,
            infer_shape=False,
            element_shape=(self.repetitions, None if self.dynamic else self.size),
        ).unstack(tf.transpose(whole, [1, 0, 2]))
        if self.dynamic:
            listed = listed.write(self.full, rest)

        def batch(places: Any) -> list[Any]:
            return [tf.gather(array, places) for array in self._flat]

        def one(number: Any, *state: Any) -> Any:
            return (number + 1, *step(number, batch(listed.read(number)), *state))

        count = self.count if self.dynamic else self.full
        if self.dynamic or self.full:
            carried = tuple(tf.while_loop(lambda i, *_: i < count, one, (0, *carried))[1:])
        if not self.dynamic and self.count > self.full:
            carried = tuple(step(tf.constant(self.full), batch(rest), *carried))
        return carried

    def collect(
        self, step: Callable[..., tuple[Any, Any]], carried: Any, width: int
    ) -> tuple[Any, Any]:
        """Run a step for each batch, in order, and join its outputs.

        Parameters
        ----------
        step
            ``step(number, batch, carried) -> carried, outputs``; outputs of shape (R, rows, width).
        carried
            What the first step gets.

        Returns
        -------
        tuple
            What the last step returned, and the outputs of all rows, shape (R, rows, width).
        """
        # Batches are listed as they are, and put in order once, after the last one: this costs a
        # step least. The last batch, which may be smaller, has no place in a list of fixed shapes.
        count = self.count if self.dynamic else self.full
        listed = tf.TensorArray(tf.float32, count, infer_shape=not self.dynamic)
        last: list[Any] = []

        def listing(number: Any, batch: Sequence[Any], carried: Any, listed: Any) -> Any:
            carried, outputs = step(number, batch, carried)
            flat = tf.reshape(outputs, [-1])
            if self.dynamic or outputs.shape[1] == self.size:
                return carried, listed.write(number, flat)
            last.append(flat)
            return carried, listed

        carried, listed = self.each(listing, (carried, listed))
        flat = tf.concat([*([listed.concat()] if self.dynamic or self.full else []), *last], axis=0)
        end = self.full * self.size * self.repetitions * width
        whole = tf.reshape(flat[:end], (self.full, self.repetitions, self.size, width))
        parts = (tf.transpose(whole, [1, 0, 2, 3]), flat[end:])
        return carried, tf.concat(
            [tf.reshape(part, (self.repetitions, -1, width)) for part in parts], axis=1
        )


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
