"""Repetitions in lockstep: the stacked twin of a model, whose layers carry R sets of weights.

A stacked layer takes and gives tensors of shape (R, rows, …) and computes for each repetition
what the layer it stands for would compute. A twin stands in for a layer only if that layer is
nothing but its configuration, and each key of it is one that the twin honours or has its default.
To let a further layer train in lockstep, write its twin here and add it to `TWINS`;
`tests/training/test_lockstep.py` holds every twin and each of its keys to the plain fit. Models
with any other layer train one repetition after the other.
"""

from __future__ import annotations

import inspect
from collections.abc import Callable, Iterable, Mapping
from functools import partial
from typing import Any, ClassVar

import keras
import numpy as np
import tensorflow as tf
from keras import activations, layers, losses, metrics, regularizers

from gridloom.training.keras_private import compile_arguments
from gridloom.training.structure import differs, from_keras, learning_rate

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

#: Activations that compute each row from its own last axis, in any number of dimensions.
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

#: Regularizers of Keras's own, each called on one repetition's weight in its own shape.
REGULARIZERS = (
    regularizers.L1,
    regularizers.L2,
    regularizers.L1L2,
    regularizers.OrthogonalRegularizer,
)

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


#: Metrics that give the same from all rows at once as batch by batch. Those of a cross-entropy are
#: none: Keras takes them from what went into a softmax or sigmoid, which an epoch does not keep.
ROWWISE_METRICS = {
    getattr(metrics, name)
    for name in (
        "AUC",
        "Accuracy",
        "BinaryAccuracy",
        "BinaryIoU",
        "CategoricalAccuracy",
        "CategoricalHinge",
        "CosineSimilarity",
        "F1Score",
        "FBetaScore",
        "FalseNegatives",
        "FalsePositives",
        "Hinge",
        "KLDivergence",
        "LogCoshError",
        "MeanAbsoluteError",
        "MeanAbsolutePercentageError",
        "MeanSquaredError",
        "MeanSquaredLogarithmicError",
        "Poisson",
        "Precision",
        "PrecisionAtRecall",
        "R2Score",
        "Recall",
        "RecallAtPrecision",
        "RootMeanSquaredError",
        "SensitivityAtSpecificity",
        "SparseCategoricalAccuracy",
        "SparseTopKCategoricalAccuracy",
        "SpecificityAtSensitivity",
        "SquaredHinge",
        "TopKCategoricalAccuracy",
        "TrueNegatives",
        "TruePositives",
    )
}


def _any(value: Any) -> bool:
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
        The built layer that it stands for.
    repetitions
        R.

    Attributes
    ----------
    honours
        Key of the layer's configuration → whether the twin computes with a value of it.
    """

    honours: ClassVar[Mapping[str, Callable[[Any], bool]]] = {}

    def __init__(self, layer: layers.Layer, repetitions: int) -> None:
        super().__init__(name=layer.name)
        self.layer_config = layer.get_config()
        self.repetitions = repetitions
        #: Regularizer, the stacked weight, the shape of one repetition's.
        self.regularized: list[tuple[Any, Any, tuple[int, ...]]] = []
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
        "units": _any,
        "activation": _activation,
        "use_bias": _any,
        "kernel_initializer": _any,
        "bias_initializer": _any,
        "kernel_regularizer": _regularizer,
        "bias_regularizer": _regularizer,
    }

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

    honours: ClassVar = {"rate": _any, "seed": _any}

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

    honours: ClassVar = {
        "target_shape": _any,
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
        # As built, an axis is a place among the inputs' axes; see `_why_not_layer`.
        "axis": _any,
        "epsilon": _any,
        "center": _any,
        "scale": _any,
        "beta_initializer": _any,
        "gamma_initializer": _any,
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


class StackedNormalization(layers.Layer):  # type: ignore[misc]
    """`Normalization` with a mean and variance that are given."""

    honours: ClassVar = {"axis": _any, "mean": _any, "variance": _any}

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
    """An element-wise layer as it is: a leading axis changes nothing."""

    honours: ClassVar = {
        "activation": _activation,
        "max_value": _any,
        "negative_slope": _any,
        "threshold": _any,
        "alpha": _any,
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

#: What a layer's place in a model decides, and no configuration tells.
_OF_PLACE = {"_inbound_nodes", "_outbound_nodes", "_called", "_build_shapes_dict", "name"}


def why_not(model: keras.Model) -> str | None:
    """Say what keeps a model's repetitions from training in lockstep; None if nothing does."""
    told = _why_not_model(model)
    if told:
        return told
    for operation in model.operations if hasattr(model, "operations") else model.layers:
        told = _why_not_layer(operation) or _why_not_calls(model, operation)
        if told:
            return told
    return (
        _why_not_optimizer(model.optimizer)
        or _why_not_loss(model.loss)
        or _why_not_metrics(compile_arguments(model))
    )


def _why_not_model(model: keras.Model) -> str | None:
    if not from_keras(type(model)):
        return f"the model is of a class of its own, {type(model).__name__}"
    own = _own_attributes(model, _plain_attributes(type(model)))
    if own:
        return f"the model has a {own[0]} of its own"
    if len(model.inputs) != 1 or len(model.outputs) != 1 or len(model.output_shape) != 2:
        return "the model has several inputs or outputs, or an output that is not a row of numbers"
    if keras.config.dtype_policy().name != "float32":
        return f"the dtype policy is {keras.config.dtype_policy().name}"
    return None


def _plain_attributes(kind: type[keras.Model]) -> set[str]:
    """Return the attributes that Keras gives a compiled model of its own class."""
    if kind not in _plain:
        inputs = keras.Input((1,))
        outputs = layers.Dense(1)(inputs)
        given = ([inputs, layers.Dense(1)],) if kind is keras.Sequential else (inputs, outputs)
        plain = kind(*given)
        plain.compile("sgd", "mse")
        _plain[kind] = set(vars(plain))
    return _plain[kind]


_plain: dict[type[keras.Model], set[str]] = {}


def _own_attributes(thing: Any, plain: Iterable[str]) -> list[str]:
    return sorted(name for name in vars(thing).keys() - set(plain) if not name.startswith("_self_"))


def _why_not_layer(layer: Any) -> str | None:
    if isinstance(layer, layers.InputLayer):
        return None if layer.dtype == "float32" else f"the input is of type {layer.dtype}"
    if type(layer) not in TWINS:
        return f"the layer {type(layer).__name__} has no stacked twin"
    if layer.dtype_policy.name != "float32":
        return f"the layer {layer.name} computes in {layer.dtype_policy.name}"
    if not _is_its_configuration(layer):
        return f"the layer {layer.name} is more than its configuration"
    key = _not_honoured(layer)
    if key is not None:
        return f"the layer {layer.name} has a {key} that its stacked twin does not know"
    if isinstance(layer, layers.LayerNormalization):
        axis = layer.axis if isinstance(layer.axis, list | tuple) else [layer.axis]
        if list(axis) not in ([-1], [len(layer.input.shape) - 1]):
            return f"the layer {layer.name} normalizes other axes than the last"
    if len({len(tensor.shape) for tensor in _inputs(layer)}) > 1:
        return f"the layer {layer.name} merges tensors of several ranks"
    return None


def _inputs(layer: layers.Layer) -> list[Any]:
    given = layer._inbound_nodes[0].input_tensors
    return list(given)


def _is_its_configuration(layer: layers.Layer) -> bool:
    """Tell whether a layer made from the configuration has the same attributes."""
    try:
        copy = type(layer).from_config(layer.get_config())
        shapes = [tuple(tensor.shape) for tensor in _inputs(layer)]
        copy.build(shapes[0] if len(shapes) == 1 else shapes)
    except Exception:  # Keras raises anything where a part of one's own has no configuration
        return False
    values = [*layer.variables, *copy.variables]
    return not differs(layer, copy, _OF_PLACE, data=values)


def _not_honoured(layer: layers.Layer) -> str | None:
    """Return the first key of a layer's configuration that its twin does not honour."""
    parameters = inspect.signature(type(layer).__init__).parameters
    general = {"name": _any, "dtype": _any, "trainable": lambda value: value is True}
    honours = {**general, **TWINS[type(layer)].honours}
    for key, value in layer.get_config().items():
        if key in honours:
            if not honours[key](value):
                return str(key)
        elif key not in parameters or value != parameters[key].default:
            return str(key)
    return None


def _why_not_calls(model: keras.Model, layer: Any) -> str | None:
    """Tell of a layer that keeps weights or draws masks, and is called more than once."""
    calls = sum(
        node.operation is layer
        for nodes in getattr(model, "_functional", model)._nodes_by_depth.values()
        for node in nodes
    )
    if calls > 1 and (layer.variables or isinstance(layer, layers.Dropout)):
        return f"the layer {layer.name} is called more than once"
    return None


def _why_not_optimizer(optimizer: Any) -> str | None:
    name = type(optimizer).__name__
    if name not in ELEMENTWISE_OPTIMIZERS or not from_keras(type(optimizer)):
        return f"the optimizer {name} is not element-wise"
    options = ("clipnorm", "global_clipnorm", "use_ema", "gradient_accumulation_steps")
    for option in (*options, "loss_scale_factor"):
        if getattr(optimizer, option, None):
            return f"the optimizer's {option} looks at a whole weight"
    if learning_rate(optimizer) is None and not _is_schedule_of_keras(optimizer):
        return "the optimizer's learning rate is a function of the model file's own"
    # The twin's optimizer is made from the configuration.
    try:
        copy = type(optimizer).from_config(optimizer.get_config())
    except Exception:
        return "the optimizer has no configuration"
    if differs(optimizer, copy):
        return "the optimizer is more than its configuration"
    return None


def _is_schedule_of_keras(optimizer: Any) -> bool:
    return from_keras(type(getattr(optimizer, "_learning_rate", None)))


def _why_not_loss(loss: Any) -> str | None:
    if row_loss(loss) is not None:
        return None
    return f"the loss {_name(loss)} may mix rows"


def _name(thing: Any) -> str:
    return str(
        thing
        if isinstance(thing, str)
        else getattr(thing, "__name__", None) or type(thing).__name__
    )


def _why_not_metrics(compiled: Mapping[str, Any]) -> str | None:
    for option in ("weighted_metrics", "loss_weights"):
        if compiled.get(option):
            return f"the model is compiled with {option}"
    for metric in keras.tree.flatten(compiled.get("metrics")):
        if not _measures_rows(metric):
            return f"the metric {_name(metric)} may mix rows"
    return None


def _measures_rows(metric: Any) -> bool:
    """Tell whether a metric is taken over rows, however these are cut into batches."""
    if metric is None or metric in ("accuracy", "acc"):
        return True
    if isinstance(metric, str):
        try:
            metric = metrics.get(metric)
        except ValueError:  # Keras says it better, when it makes the metric
            return False
    # A loss or a function as a metric is averaged over batches, whatever their size.
    return (
        type(metric) in ROWWISE_METRICS
        and not any(name in vars(metric) for name in _METHODS)
        and getattr(metric, "_fn_kwargs", {}).get("axis", -1) == -1
    )


#: Methods that a person may replace on one object.
_METHODS = ("call", "__call__", "update_state", "result", "reset_state")


def row_loss(loss: Any) -> Callable[[Any, Any], Any] | None:
    """Return the loss of each row as a function, or None if rows may mix.

    The function takes targets and outputs of shape (R, rows, …) and gives (R, rows).
    """
    if isinstance(loss, str):
        loss = losses.get(loss)
    function: Any = loss
    options: dict[str, Any] = {}
    if isinstance(loss, losses.Loss):
        if loss.reduction not in ("sum_over_batch_size", "mean") or loss.dtype != "float32":
            return None
        if not from_keras(type(loss)) or any(name in vars(loss) for name in _METHODS):
            return None
        function, options = getattr(loss, "fn", None), getattr(loss, "_fn_kwargs", {})
    named = getattr(function, "__name__", None)
    if not from_keras(function) or named not in ROWWISE_LOSSES:
        return None
    # Without rows of an ignored class, a batch's mean is over fewer rows.
    if options.get("axis", -1) != -1 or options.get("ignore_class") is not None:
        return None
    return rowwise(loss.call if isinstance(loss, losses.Loss) else loss)


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


def measure(metric: Any, targets: Any, outputs: Any) -> Any:
    """Evaluate a metric on all rows of each repetition.

    Parameters
    ----------
    metric
        One of `ROWWISE_METRICS`, its variables made.
    targets, outputs
        Shape (R, rows, …).

    Returns
    -------
    float32, shape (R,)
    """
    if isinstance(metric, metrics.MeanMetricWrapper) and metric.dtype == "float32":
        rows = rowwise(partial(metric._fn, **metric._fn_kwargs))(targets, outputs)
        return tf.reduce_mean(tf.cast(rows, tf.float32), axis=1)
    pairs = zip(tf.unstack(targets), tf.unstack(outputs), strict=True)
    return tf.stack([_evaluate(metric, *pair) for pair in pairs])


def _evaluate(metric: Any, targets: Any, outputs: Any) -> Any:
    metric.reset_state()
    metric.update_state(targets, outputs)
    return tf.cast(metric.result(), tf.float32)


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
