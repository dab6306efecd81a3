"""`Dropout` whose rate a graph gets as data, so that points with other rates share the graph."""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Iterator, Sequence
from functools import partial
from typing import Any

import keras
import numpy as np
import tensorflow as tf

from gridloom.networks.structure import dropout_layers


def scale_of(rate: float) -> float:
    """Return the factor of the numbers that a rate keeps; 0 if it keeps none.

    Keras computes it in float64. TensorFlow's float32 numbers would give other bits.
    """
    return 1.0 / (1.0 - rate) if rate < 1 else 0.0


class DropoutRates:
    """The rates of a model's `Dropout` layers, as variables.

    Parameters
    ----------
    model
        Its layers with a rate of 0 draw no masks, whatever the rates of a training are.
    """

    def __init__(self, model: keras.Model) -> None:
        # A `call` of the model file's own may do anything.
        self.layers = [
            (place, layer)
            for place, layer in enumerate(dropout_layers(model))
            if layer.rate > 0 and "call" not in vars(layer)
        ]
        zeros = np.zeros(len(self.layers), np.float32)
        self.rates = tf.Variable(zeros, trainable=False)
        self.scales = tf.Variable(zeros, trainable=False)

    def assign(self, rates: Sequence[float]) -> None:
        """Set the rates of a training, from `Training.rates`."""
        own = [rates[place] for place, _ in self.layers]
        self.rates.assign(own)
        self.scales.assign([scale_of(rate) for rate in own])

    def variables(self) -> list[Any]:
        """Return the variables that a graph reads."""
        return [self.rates, self.scales]

    @contextlib.contextmanager
    def as_data(self) -> Iterator[None]:
        """Let the layers read the variables, in steps that the block traces.

        The values are read where the block begins, so outside a loop over steps.
        """
        if not self.layers:
            yield
            return
        rates, scales = (tf.unstack(value.read_value()) for value in self.variables())
        # Set past Keras's tracking, as the layer's own `call` is looked up on its class.
        for (_, layer), rate, scale in zip(self.layers, rates, scales, strict=True):
            vars(layer)["call"] = _call_with(layer, rate, scale)
        try:
            yield
        finally:
            for _, layer in self.layers:
                del vars(layer)["call"]


def _call_with(layer: keras.layers.Dropout, rate: Any, scale: Any) -> Callable[..., Any]:
    """Return a `call` that gives what the layer's own gives, with a rate and scale as tensors."""

    def call(inputs: Any, training: bool = False) -> Any:
        if not training:
            return inputs
        shape = keras.ops.shape(inputs)
        if layer.noise_shape is not None:
            # If it has fewer axes than the inputs, the mask is broadcast.
            wanted = zip(layer.noise_shape, shape[: len(layer.noise_shape)], strict=True)
            shape = tuple(size if given is None else given for given, size in wanted)
        uniform = keras.random.uniform(shape, dtype=inputs.dtype, seed=layer.seed_generator)
        cast = partial(tf.cast, dtype=inputs.dtype)
        return tf.where(uniform >= cast(rate), inputs * cast(scale), tf.zeros((), inputs.dtype))

    return call
