"""Which networks can train in lockstep, and why others cannot."""

from __future__ import annotations

import inspect
from collections.abc import Iterable, Mapping
from typing import Any

import keras
from keras import layers

from gridloom.engines.rowwise import measures_rows, row_loss
from gridloom.engines.twins import TWINS, anything
from gridloom.networks.keras_private import compile_arguments
from gridloom.networks.structure import differs, from_keras, learning_rate

#: Optimizers that update each number of a weight independently, so that stacking is exact.
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

#: Attributes that depend on a layer's place in a model, not on its configuration.
_OF_PLACE = {"_inbound_nodes", "_outbound_nodes", "_called", "_build_shapes_dict", "name"}


def why_not_in_lockstep(model: keras.Model) -> str | None:
    """Say why a model's repetitions cannot train in lockstep; None if they can."""
    reason = _why_not_model(model)
    if reason:
        return reason
    for operation in model.operations if hasattr(model, "operations") else model.layers:
        reason = _why_not_layer(operation) or _why_not_calls(model, operation)
        if reason:
            return reason
    return (
        _why_not_optimizer(model.optimizer)
        or _why_not_loss(model.loss)
        or _why_not_metrics(compile_arguments(model))
    )


def _why_not_model(model: keras.Model) -> str | None:
    if not from_keras(type(model)):
        return f"the model is of the model file's own class {type(model).__name__}"
    own = _own_attributes(model, _plain_attributes(type(model)))
    if own:
        return f"the model has its own {own[0]}"
    if len(model.inputs) != 1 or len(model.outputs) != 1 or len(model.output_shape) != 2:
        return "the model has several inputs or outputs, or an output that is not a row of numbers"
    if keras.config.dtype_policy().name != "float32":
        return f"the dtype policy is {keras.config.dtype_policy().name}"
    return None


def _plain_attributes(kind: type[keras.Model]) -> set[str]:
    """Return the attributes that a compiled model of Keras's own class has."""
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
        return f"the layer {layer.name} has a {key} that its stacked twin does not support"
    if isinstance(layer, layers.LayerNormalization | layers.BatchNormalization):
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
    """Return whether a layer equals one that is made from its configuration."""
    try:
        copy = type(layer).from_config(layer.get_config())
        shapes = [tuple(tensor.shape) for tensor in _inputs(layer)]
        copy.build(shapes[0] if len(shapes) == 1 else shapes)
    except Exception:  # Keras raises various errors if a custom part has no configuration
        return False
    values = [*layer.variables, *copy.variables]
    return not differs(layer, copy, _OF_PLACE, data=values)


def _not_honoured(layer: layers.Layer) -> str | None:
    """Return the first key of a layer's configuration that its twin does not support."""
    parameters = inspect.signature(type(layer).__init__).parameters
    general = {"name": anything, "dtype": anything, "trainable": lambda value: value is True}
    honours = {**general, **TWINS[type(layer)].honours}
    for key, value in layer.get_config().items():
        if key in honours:
            if not honours[key](value):
                return str(key)
        elif key not in parameters or value != parameters[key].default:
            return str(key)
    return None


def _why_not_calls(model: keras.Model, layer: Any) -> str | None:
    """Say whether a layer that keeps weights or draws masks is called more than once."""
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
            return f"the optimizer's {option} depends on a whole weight"
    if learning_rate(optimizer) is None and not from_keras(
        type(getattr(optimizer, "_learning_rate", None))
    ):
        return "the optimizer's learning rate is a function of the model file's own"
    # The twin's optimizer is made from the configuration.
    try:
        copy = type(optimizer).from_config(optimizer.get_config())
    except Exception:
        return "the optimizer has no configuration"
    if differs(optimizer, copy):
        return "the optimizer is more than its configuration"
    return None


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
        if not measures_rows(metric):
            return f"the metric {_name(metric)} may mix rows"
    return None
