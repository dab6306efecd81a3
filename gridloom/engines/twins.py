"""The stacked twin of a model, whose layers carry R sets of weights, for repetitions in lockstep.

A stacked layer takes and returns tensors of shape (R, rows, …), and computes for each repetition
what the original layer would compute. A layer can be replaced by its twin only if it equals a layer
made from its configuration, and if each key of the configuration is supported by the twin or has
its default value. To let another layer train in lockstep, write its twin here and add it to
`TWINS`; `tests/engines/test_lockstep.py` compares every twin, with each of its keys, with the plain
fit. Models with any other layer train one repetition after the other.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any, ClassVar

import keras
import numpy as np
import tensorflow as tf
from keras import activations, layers, regularizers

from gridloom.engines.dropout import scale_of

#: Activations that work along the last axis, in any number of dimensions.
ROWWISE_ACTIVATIONS = {
    getattr(activations, name)
    for name in (
        "celu",
        "elu",
        "exponential",
        "gelu",
        "hard_shrink",
        "hard_sigmoid",
        "hard_silu",
        "hard_tanh",
        "leaky_relu",
        "linear",
        "log_sigmoid",
        "log_softmax",
        "mish",
        "relu",
        "relu6",
        "selu",
        "sigmoid",
        "silu",
        "soft_shrink",
        "softmax",
        "softplus",
        "softsign",
        "sparse_plus",
        "squareplus",
        "tanh",
        "tanh_shrink",
    )
}

#: Most numbers of a kernel that oneDNN does not multiply: it starts 8 µs later, which is more than
#: these products take.
SMALL_KERNEL = 1024

#: Keras's own regularizers; each is called on the weight of one repetition in its original shape.
REGULARIZERS = (
    regularizers.L1,
    regularizers.L2,
    regularizers.L1L2,
    regularizers.OrthogonalRegularizer,
)


def anything(value: Any) -> bool:
    """Accept any value of a key."""
    del value
    return True


def _activation(value: Any) -> bool:
    return activations.get(value) in ROWWISE_ACTIVATIONS


def _regularizer(value: Any) -> bool:
    return value is None or type(regularizers.get(value)) in REGULARIZERS


class _Twin(layers.Layer):  # type: ignore[misc]
    """A stacked layer.

    Parameters
    ----------
    layer
        The original layer, built.
    repetitions
        R.

    Attributes
    ----------
    honours
        Key of the layer's configuration → function that returns whether the twin supports a value.
    """

    honours: ClassVar[Mapping[str, Callable[[Any], bool]]] = {}

    def __init__(self, layer: layers.Layer, repetitions: int) -> None:
        super().__init__(name=layer.name)
        self.layer_config = layer.get_config()
        self.repetitions = repetitions
        #: Regularizer, stacked weight, shape of the weight of one repetition.
        self.regularized: list[tuple[Any, Any, tuple[int, ...]]] = []
        for weight in layer.weights:
            self._stacked(layer, weight)

    def _stacked(self, layer: layers.Layer, weight: Any) -> None:
        name = weight.name
        # Vectors get an axis of length 1 for the rows, (R, 1, …), so that they broadcast.
        ones = (1,) * (2 - len(weight.shape))
        variable = self.add_weight(
            name=name, shape=(self.repetitions, *ones, *weight.shape), trainable=weight.trainable
        )
        setattr(self, f"stacked_{name}", variable)
        regularizer = getattr(layer, f"{name}_regularizer", None)
        if regularizer is not None:
            self.regularized.append((regularizer, variable, tuple(weight.shape)))

    def spread(self, weight: Any, rank: int) -> Any:
        """Reshape a stacked weight (R, …) to broadcast against inputs of this rank."""
        shape = tuple(weight.shape)
        if len(shape) == rank:
            return weight
        return tf.reshape(weight, (shape[0], *(1,) * (rank - len(shape)), *shape[1:]))

    def build(self, input_shape: Any) -> None:
        self.built = True


class StackedDense(_Twin):
    """`Dense`."""

    honours: ClassVar = {
        "units": anything,
        "activation": _activation,
        "use_bias": anything,
        "kernel_initializer": anything,
        "bias_initializer": anything,
        "kernel_regularizer": _regularizer,
        "bias_regularizer": _regularizer,
    }

    def __init__(self, layer: layers.Dense, repetitions: int) -> None:
        super().__init__(layer, repetitions)
        self.activation = layer.activation
        self.units = layer.units

    def call(self, inputs: Any) -> Any:
        rank = len(inputs.shape)
        kernel = self.spread(self.stacked_kernel.value, rank)
        small = rank == 3 and kernel.shape[1] * kernel.shape[2] <= SMALL_KERNEL
        outputs = (_small_product if small else tf.matmul)(inputs, kernel)
        if hasattr(self, "stacked_bias"):
            outputs += self.spread(self.stacked_bias.value, rank)
        return self.activation(outputs)

    def compute_output_shape(self, input_shape: Any) -> Any:
        return (*input_shape[:-1], self.units)


@tf.custom_gradient  # type: ignore[untyped-decorator]
def _small_product(inputs: Any, kernel: Any) -> Any:
    """Multiply as `tf.matmul` does, without oneDNN, forward and backward."""

    def product(some: Any, other: Any, **transposed: bool) -> Any:
        # oneDNN replaces version 2 of this operation only.
        return tf.raw_ops.BatchMatMulV3(x=some, y=other, Tout=some.dtype, **transposed)

    def gradient(upstream: Any) -> tuple[Any, Any]:
        return product(upstream, kernel, adj_y=True), product(inputs, upstream, adj_x=True)

    return product(inputs, kernel), gradient


class StackedDropout(_Twin):
    """`Dropout`, with exactly the masks that Keras would draw for each repetition.

    Rates are inputs of the graph, one for each repetition, so that points with different rates
    share a graph. Lanes with the same seed, such as those of one repetition of several points,
    share what is drawn: it depends on nothing else.
    """

    honours: ClassVar = {"rate": anything, "seed": anything}

    def __init__(self, layer: layers.Dropout, repetitions: int) -> None:
        super().__init__(layer, repetitions)
        self.rank = len(layer.output.shape) + 1
        self.rates = tf.Variable(np.zeros(repetitions, np.float32), trainable=False)
        self.scales = tf.Variable(np.ones(repetitions, np.float32), trainable=False)
        #: Of each lane, the place of its seed among the seeds.
        self.places = tf.Variable(np.zeros(repetitions, np.int32), trainable=False)

    def draw_for(self, seeds: int) -> None:
        """Set how many different seeds the lanes have; called once, before the graph is traced."""
        self.seeds = tf.Variable(np.zeros(seeds, np.int32), trainable=False)
        #: Number of the step, set while its graph is traced.
        self.draw: Any = None

    def start(self, rates: Sequence[float], seeds: Sequence[int]) -> None:
        """Set the rate of each repetition, and the seed of its masks."""
        self.rates.assign(rates)
        self.scales.assign([scale_of(rate) for rate in rates])
        different, places = np.unique(np.array(seeds, np.int32), return_inverse=True)
        assert len(different) <= self.seeds.shape[0], "a graph for fewer seeds"
        self.seeds.assign(np.resize(different, self.seeds.shape))
        self.places.assign(places)

    def hoist(self) -> None:
        """Read the values that are constant in an epoch outside the loop over its steps."""
        rates, scales, *others = (
            value.read_value() for value in (self.rates, self.scales, self.places, self.seeds)
        )
        ones = (1,) * (self.rank - 1)
        spread = [tf.reshape(value, (-1, *ones)) for value in (rates, scales)]
        self.hoisted = [tf.reduce_any(rates > 0), *spread, *others]

    def call(self, inputs: Any, training: bool = False) -> Any:
        if not training:
            return inputs
        masks, rates, scales, places, seeds = self.hoisted

        def masked() -> Any:
            pairs = tf.unstack(tf.stack([seeds, tf.fill(seeds.shape, self.draw)], axis=1))
            shape = tf.shape(inputs)[1:]
            # One operation a seed. `MapDefun` draws the same bits in a graph that does not grow,
            # traced in 0.03 s instead of 0.07 s (24 seeds, 2 layers), but takes a third longer.
            uniform = tf.gather(tf.stack([_uniform(shape, seed) for seed in pairs]), places)
            # A rate of 0 keeps each number as it is. TensorFlow is faster where nothing broadcasts.
            return tf.where(uniform >= rates, inputs * scales, tf.zeros_like(inputs))

        return tf.cond(masks, masked, lambda: inputs)

    def compute_output_shape(self, input_shape: Any) -> Any:
        return input_shape


def _uniform(shape: Any, seed: Any) -> Any:
    """Draw like ``tf.random.stateless_uniform`` in [0, 1), without its scaling by 1 and 0."""
    drawn = tf.raw_ops.StatelessRandomGetKeyCounter(seed=seed)
    return tf.raw_ops.StatelessRandomUniformV2(
        shape=shape,
        key=drawn.key,
        counter=drawn.counter,
        alg=tf.random.Algorithm.AUTO_SELECT.value,
        dtype=tf.float32,
    )


class StackedReshape(_Twin):
    """`Flatten` and `Reshape`."""

    honours: ClassVar = {
        "target_shape": anything,
        "data_format": lambda value: value in (None, "channels_last"),
    }

    def __init__(self, layer: layers.Layer, repetitions: int) -> None:
        super().__init__(layer, repetitions)
        self.row_shape = tuple(layer.output.shape[1:])

    def call(self, inputs: Any) -> Any:
        return tf.reshape(inputs, (self.repetitions, -1, *self.row_shape))

    def compute_output_shape(self, input_shape: Any) -> Any:
        return (self.repetitions, input_shape[1], *self.row_shape)


class StackedLayerNormalization(_Twin):
    """`LayerNormalization` over the last axis."""

    honours: ClassVar = {
        # `_why_not_layer` checks the axis against the rank of the inputs.
        "axis": anything,
        "epsilon": anything,
        "center": anything,
        "scale": anything,
        "beta_initializer": anything,
        "gamma_initializer": anything,
        "beta_regularizer": _regularizer,
        "gamma_regularizer": _regularizer,
        "rms_scaling": lambda value: not value,
    }

    def __init__(self, layer: layers.LayerNormalization, repetitions: int) -> None:
        super().__init__(layer, repetitions)
        self.epsilon = layer.epsilon

    def call(self, inputs: Any) -> Any:
        rank = len(inputs.shape)
        mean, variance = tf.nn.moments(inputs, axes=[-1], keepdims=True)
        outputs = (inputs - mean) * tf.math.rsqrt(variance + self.epsilon)
        if hasattr(self, "stacked_gamma"):
            outputs *= self.spread(self.stacked_gamma.value, rank)
        if hasattr(self, "stacked_beta"):
            outputs += self.spread(self.stacked_beta.value, rank)
        return outputs

    def compute_output_shape(self, input_shape: Any) -> Any:
        return input_shape


class StackedBatchNormalization(_Twin):
    """`BatchNormalization` over the last axis, with the mean and variance of each repetition."""

    honours: ClassVar = {
        "axis": anything,  # as for `LayerNormalization`
        "momentum": anything,
        "epsilon": anything,
        "center": anything,
        "scale": anything,
        "beta_initializer": anything,
        "gamma_initializer": anything,
        "moving_mean_initializer": anything,
        "moving_variance_initializer": anything,
        "beta_regularizer": _regularizer,
        "gamma_regularizer": _regularizer,
    }

    def __init__(self, layer: layers.BatchNormalization, repetitions: int) -> None:
        super().__init__(layer, repetitions)
        self.momentum, self.epsilon = layer.momentum, layer.epsilon

    def call(self, inputs: Any, training: bool = False, mask: None = None) -> Any:
        del mask  # no layer that has a twin makes one
        rank = len(inputs.shape)
        gamma, beta = (
            None if weight is None else self.spread(weight.value, rank)
            for weight in (getattr(self, f"stacked_{name}", None) for name in ("gamma", "beta"))
        )
        moving = self.stacked_moving_mean, self.stacked_moving_variance
        if training:
            mean, variance = tf.nn.moments(inputs, list(range(1, rank - 1)), keepdims=True)
            for kept, now in zip(moving, (mean, variance), strict=True):
                now = tf.reshape(now, kept.shape)
                kept.assign(kept.value * self.momentum + now * (1.0 - self.momentum))
        else:
            mean, variance = (self.spread(kept.value, rank) for kept in moving)
        return tf.nn.batch_normalization(inputs, mean, variance, beta, gamma, self.epsilon)

    def compute_output_shape(self, input_shape: Any) -> Any:
        return input_shape


class StackedNormalization(layers.Layer):  # type: ignore[misc]
    """`Normalization` with a given mean and variance."""

    honours: ClassVar = {"axis": anything, "mean": anything, "variance": anything}

    def __init__(self, layer: layers.Normalization, repetitions: int) -> None:
        super().__init__(name=layer.name)
        self.mean = keras.ops.convert_to_numpy(layer.mean)[None]
        self.deviation = np.maximum(
            np.sqrt(keras.ops.convert_to_numpy(layer.variance)), keras.config.epsilon()
        )[None]

    def call(self, inputs: Any) -> Any:
        return (inputs - self.mean) / self.deviation

    def compute_output_shape(self, input_shape: Any) -> Any:
        return input_shape


class _Same:
    """An element-wise layer, which needs no change for a leading axis."""

    honours: ClassVar = {
        "activation": _activation,
        "max_value": anything,
        "negative_slope": anything,
        "threshold": anything,
        "alpha": anything,
    }

    def __new__(cls, layer: layers.Layer, repetitions: int) -> Any:
        """Return a copy of the layer."""
        del repetitions
        return type(layer).from_config(layer.get_config())


TWINS: dict[type[layers.Layer], Any] = {
    layers.Dense: StackedDense,
    layers.Dropout: StackedDropout,
    layers.Flatten: StackedReshape,
    layers.Reshape: StackedReshape,
    layers.LayerNormalization: StackedLayerNormalization,
    layers.BatchNormalization: StackedBatchNormalization,
    layers.Normalization: StackedNormalization,
    layers.Activation: _Same,
    layers.ReLU: _Same,
    layers.LeakyReLU: _Same,
    layers.ELU: _Same,
    layers.Identity: _Same,
    layers.Add: _Same,
    layers.Subtract: _Same,
    layers.Multiply: _Same,
    layers.Average: _Same,
    layers.Maximum: _Same,
    layers.Minimum: _Same,
}


def stack(model: keras.Model, repetitions: int) -> keras.Model:
    """Return the stacked twin of a model for which `why_not_in_lockstep` is None.

    Its weights correspond to the model's, in order, with a leading axis of length R.
    """
    inputs = keras.Input(batch_shape=(repetitions, None, *model.input_shape[1:]))
    source = model
    if isinstance(model, keras.Sequential):
        source = keras.Model(model.inputs, model.outputs)

    def twin(layer: layers.Layer) -> layers.Layer:
        if isinstance(layer, layers.InputLayer):
            return layer
        return TWINS[type(layer)](layer, repetitions)

    tensors = [inputs] if isinstance(source.input, list) else inputs
    return keras.models.clone_model(source, input_tensors=tensors, clone_function=twin)
