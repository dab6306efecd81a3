"""Repetitions in lockstep: the stacked twin of a model, whose layers carry R sets of weights.

A stacked layer takes and gives tensors of shape (R, rows, …) and computes for each repetition
what the layer it stands for would compute. To let a further layer train in lockstep, write its
twin here and add it to `TWINS`; `tests/training/test_lockstep.py` holds every twin to the plain
fit. Models with any other layer train one repetition after the other.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import keras
import numpy as np
import tensorflow as tf
from keras import layers

#: Optimizers that treat every number of a weight alike, so that stacking repetitions is exact.
ELEMENTWISE_OPTIMIZERS = {
    "SGD",
    "RMSprop",
    "Adam",
    "AdamW",
    "Adadelta",
    "Adagrad",
    "Adamax",
    "Nadam",
    "Ftrl",
    "Lion",
    "ScheduleFreeAdamW",
}

#: What a model's repetitions do in lockstep as Keras does it; a version of one's own is not called.
_REPLACED = ("train_step", "test_step", "compute_loss", "compute_metrics", "call")

#: Losses that reduce the last axis only.
ROWWISE_LOSSES = {
    "binary_crossentropy",
    "binary_focal_crossentropy",
    "categorical_crossentropy",
    "categorical_focal_crossentropy",
    "categorical_hinge",
    "cosine_similarity",
    "hinge",
    "huber",
    "kl_divergence",
    "log_cosh",
    "mean_absolute_error",
    "mean_absolute_percentage_error",
    "mean_squared_error",
    "mean_squared_logarithmic_error",
    "poisson",
    "sparse_categorical_crossentropy",
    "squared_hinge",
}


class _Twin(layers.Layer):  # type: ignore[misc]
    """A stacked layer.

    Parameters
    ----------
    layer
        The built layer that it stands for.
    repetitions
        R.
    """

    def __init__(self, layer: layers.Layer, repetitions: int) -> None:
        super().__init__(name=layer.name)
        self.layer_config = layer.get_config()
        self.repetitions = repetitions
        self.regularized: list[tuple[Any, Any]] = []
        for weight in layer.weights:
            self._stacked(layer, weight)

    def _stacked(self, layer: layers.Layer, weight: Any) -> None:
        name = weight.name
        # With an axis of one in the place of the rows, (R, 1, …), vectors broadcast as they are.
        ones = (1,) * (2 - len(weight.shape))
        variable = self.add_weight(
            name=name, shape=(self.repetitions, *ones, *weight.shape), trainable=weight.trainable
        )
        setattr(self, f"stacked_{name}", variable)
        regularizer = getattr(layer, f"{name}_regularizer", None)
        if regularizer is not None:
            self.regularized.append((regularizer, variable))

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

    def __init__(self, layer: layers.Dense, repetitions: int) -> None:
        super().__init__(layer, repetitions)
        self.activation = layer.activation
        self.units = layer.units

    def call(self, inputs: Any) -> Any:
        rank = len(inputs.shape)
        outputs = tf.matmul(inputs, self.spread(self.stacked_kernel.value, rank))
        if hasattr(self, "stacked_bias"):
            outputs += self.spread(self.stacked_bias.value, rank)
        return self.activation(outputs)

    def compute_output_shape(self, input_shape: Any) -> Any:
        return (*input_shape[:-1], self.units)


class StackedDropout(_Twin):
    """`Dropout`, drawing for each repetition the very mask that Keras would draw.

    The rate is data to the graph, so points that differ in it share one.
    """

    def __init__(self, layer: layers.Dropout, repetitions: int) -> None:
        super().__init__(layer, repetitions)
        self.rate = tf.Variable(layer.rate, trainable=False, dtype=tf.float32)
        self.seeds = tf.Variable(np.zeros(repetitions, np.int32), trainable=False)
        #: Set while the graph of a step is traced: how many steps came before it.
        self.draw: Any = None

    def hoist(self) -> None:
        """Read what stays the same over an epoch, outside the loop over its steps."""
        rate = self.rate.read_value()
        self.hoisted = (rate, 1.0 / (1.0 - rate), self.seeds.read_value())

    def call(self, inputs: Any, training: bool = False) -> Any:
        if not training:
            return inputs
        rate, scale, seeds = self.hoisted

        def masked() -> Any:
            pairs = tf.unstack(tf.stack([seeds, tf.fill([self.repetitions], self.draw)], axis=1))
            shape = tf.shape(inputs)[1:]
            uniform = tf.stack([_uniform(shape, seed) for seed in pairs])
            return tf.where(uniform >= rate, inputs * scale, tf.zeros((), inputs.dtype))

        return tf.cond(rate > 0, masked, lambda: inputs)

    def compute_output_shape(self, input_shape: Any) -> Any:
        return input_shape


def _uniform(shape: Any, seed: Any) -> Any:
    """Draw what ``tf.random.stateless_uniform`` draws in [0, 1), without scaling by 1 and 0."""
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

    def __init__(self, layer: layers.Layer, repetitions: int) -> None:
        super().__init__(layer, repetitions)
        self.row_shape = tuple(layer.output.shape[1:])

    def call(self, inputs: Any) -> Any:
        return tf.reshape(inputs, (self.repetitions, -1, *self.row_shape))

    def compute_output_shape(self, input_shape: Any) -> Any:
        return (self.repetitions, input_shape[1], *self.row_shape)


class StackedLayerNormalization(_Twin):
    """`LayerNormalization` over the last axis."""

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


class StackedNormalization(layers.Layer):  # type: ignore[misc]
    """`Normalization` with a mean and variance that no training changes."""

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


def _same(layer: layers.Layer, repetitions: int) -> layers.Layer:
    """Return an element-wise layer as it is: a leading axis changes nothing."""
    return type(layer).from_config(layer.get_config())


TWINS: dict[type[layers.Layer], Callable[[Any, int], layers.Layer]] = {
    layers.Dense: StackedDense,
    layers.Dropout: StackedDropout,
    layers.Flatten: StackedReshape,
    layers.Reshape: StackedReshape,
    layers.LayerNormalization: StackedLayerNormalization,
    layers.Normalization: StackedNormalization,
    layers.Activation: _same,
    layers.ReLU: _same,
    layers.LeakyReLU: _same,
    layers.ELU: _same,
    layers.Identity: _same,
    layers.Add: _same,
    layers.Subtract: _same,
    layers.Multiply: _same,
    layers.Average: _same,
    layers.Maximum: _same,
    layers.Minimum: _same,
}


def why_not(model: keras.Model) -> str | None:
    """Say what keeps a model's repetitions from training in lockstep; None if nothing does."""
    if _replaces(model):
        return "the model is a class of its own"
    if len(model.inputs) != 1 or len(model.outputs) != 1 or len(model.output_shape) != 2:
        return "the model has several inputs or outputs, or an output that is not a row of numbers"
    for operation in getattr(model, "operations", model.layers):
        told = _why_not_layer(operation)
        if told:
            return told
    told = _why_not_optimizer(model.optimizer)
    if told:
        return told
    if not measures_rows(model):
        return f"the loss {model.loss!r} or a metric may mix rows"
    compiled = model.get_compile_config()
    for option in ("weighted_metrics", "loss_weights"):
        if compiled.get(option):
            return f"the model is compiled with {option}"
    return None


def measures_rows(model: keras.Model) -> bool:
    """Tell whether loss and metrics are sums over rows, however these are cut into batches."""
    if _replaces(model) or row_loss(model) is None:
        return False
    compiled = model.get_compile_config()
    return all(_own_metrics(compiled.get(key)) for key in ("metrics", "weighted_metrics")) and all(
        _own(type(layer)) and getattr(layer, "activity_regularizer", None) is None
        for layer in model._flatten_layers(include_self=False)
    )


def _replaces(model: keras.Model) -> bool:
    return not _own(type(model)) or any(name in vars(model) for name in _REPLACED)


def _why_not_optimizer(optimizer: Any) -> str | None:
    name = type(optimizer).__name__
    if name not in ELEMENTWISE_OPTIMIZERS or not _own(type(optimizer)):
        return f"the optimizer {name} is not element-wise"
    options = ("clipnorm", "global_clipnorm", "use_ema", "gradient_accumulation_steps")
    for option in (*options, "loss_scale_factor"):
        if getattr(optimizer, option, None):
            return f"the optimizer's {option} looks at a whole weight"
    # The twin's optimizer is made from the configuration, which tells none of these.
    if excludes_weights(optimizer):
        return "the optimizer excludes weights from decay"
    rate = optimizer.get_config()["learning_rate"]
    if not isinstance(rate, float) and not str(rate.get("module")).startswith("keras."):
        return "the optimizer's learning rate is a function of the model file's own"
    return None


def excludes_weights(optimizer: Any) -> bool:
    """Tell whether an optimizer was told to exclude weights from decay."""
    return hasattr(optimizer, "_exclude_from_weight_decay")


def _own_metrics(metrics: Any) -> bool:
    """Tell whether serialized metrics are all Keras's own, taken over rows and not over batches."""
    if isinstance(metrics, list | tuple):
        return all(map(_own_metrics, metrics))
    if isinstance(metrics, str):
        return metrics not in keras.saving.get_custom_objects()
    # A loss or a function as a metric is averaged over batches, whatever their size.
    return metrics is None or (
        isinstance(metrics, dict)
        and str(metrics.get("module")).startswith("keras.metrics")
        and metrics.get("class_name") != "MeanMetricWrapper"
    )


def _why_not_layer(layer: Any) -> str | None:
    if isinstance(layer, layers.InputLayer):
        return None
    name = type(layer).__name__
    if type(layer) not in TWINS:
        return f"the layer {name} has no stacked twin"
    if layer.dtype_policy.name != "float32":
        return f"the layer {layer.name} computes in {layer.dtype_policy.name}"
    if not layer.trainable or getattr(layer, "activity_regularizer", None) is not None:
        return f"the layer {layer.name} is frozen or has an activity regularizer"
    constraints = ("kernel", "bias", "gamma", "beta")
    if any(getattr(layer, f"{weight}_constraint", None) is not None for weight in constraints):
        return f"the layer {layer.name} has a constraint"
    if not _own(getattr(layer, "activation", None) or layers.Dense):
        return f"the layer {layer.name} has an activation of the model file's own"
    if getattr(layer, "noise_shape", None) is not None:
        return f"the layer {layer.name} has a noise shape"
    if isinstance(layer, layers.LayerNormalization):
        axis = layer.axis if isinstance(layer.axis, list | tuple) else [layer.axis]
        if list(axis) not in ([-1], [len(layer.input.shape) - 1]):
            return f"the layer {layer.name} normalizes other axes than the last"
    return None


def row_loss(model: keras.Model) -> Callable[[Any, Any], Any] | None:
    """Return the loss of each row as a function, or None if rows may mix.

    The function takes targets and outputs of shape (R, rows, …) and gives (R, rows).
    """
    loss = model.loss
    if isinstance(loss, str):
        loss = keras.losses.get(loss)
    if isinstance(loss, keras.losses.Loss):
        function = loss.call if loss.reduction in ("sum_over_batch_size", "mean") else None
    else:
        function = loss
    named = getattr(loss, "fn", loss)  # Keras wraps its functions into objects
    if function is None or not _own(named) or named.__name__ not in ROWWISE_LOSSES:
        return None
    return rowwise(function)


def rowwise(function: Callable[[Any, Any], Any]) -> Callable[[Any, Any], Any]:
    """Let a loss or metric that takes (rows, …) take (R, rows, …); it gives (R, values)."""

    def stacked(targets: Any, outputs: Any) -> Any:
        flat = tf.reshape(outputs, (-1, outputs.shape[-1]))
        logits = getattr(outputs, "_keras_logits", None)
        if logits is not None:
            # Keras takes the loss from what went into a softmax or sigmoid, kept on its output.
            flat._keras_logits = tf.reshape(logits, (-1, logits.shape[-1]))
        values = function(tf.reshape(targets, (-1, *targets.shape[2:])), flat)
        return tf.reshape(values, (outputs.shape[0], -1))

    return stacked


def _own(thing: Any) -> bool:
    return str(thing.__module__).startswith("keras.")


def stack(model: keras.Model, repetitions: int) -> keras.Model:
    """Return the stacked twin of a model for which `why_not` is None.

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
