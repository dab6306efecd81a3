"""From `build_model` to a built network, its initial weights drawn from a seed."""

from __future__ import annotations

import inspect
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import keras
import numpy as np

from gridloom.errors import ModelError
from gridloom.naming.columns import FIT_HYPERPARAMETERS
from gridloom.naming.values import Value
from gridloom.networks.error_text import OUT_OF_MEMORY, describe_error, ran_out_of_memory
from gridloom.networks.keras_private import (
    PRISTINE,
    GlobalState,
    layers_of,
    make_variables,
    watching_draws,
    xla_only_if_asked,
)
from gridloom.study.contract import FUNCTION

Builder = Callable[..., Any]


@dataclass(frozen=True)
class Network:
    """The result of `build_model`.

    Attributes
    ----------
    model
        Built and compiled.
    drew
        Whether random numbers were drawn by anything but Keras's initializers and layers. If so,
        more than the initial weights may depend on the seed.
    """

    model: keras.Model
    drew: bool


def build(
    builder: Builder,
    input_shape: tuple[int, ...],
    outputs: int,
    hyperparameters: Mapping[str, Value],
    init_seed: int,
    state: GlobalState = PRISTINE,
) -> Network:
    """Build one point's network, its initial weights drawn from `init_seed`.

    Every network is built in the same state of Keras (float type, policy, counters of names),
    independent of the networks before it.

    Parameters
    ----------
    builder
        The model file's `build_model`.
    input_shape
        Shape of a row.
    outputs
        Number of classes, labels or targets.
    hyperparameters
        The point's; those of the fit are left out.
    init_seed
        Seed of Python's and NumPy's generators, and of TensorFlow's if the file draws from them.
    state
        Keras's global state in which the network is built.

    Raises
    ------
    ModelError
        If `build_model` raises, or returns anything but a compiled and built model.
    """
    arguments = arguments_for(builder, hyperparameters)
    state.restore()
    with watching_draws(init_seed) as draws:
        model = _built(builder, input_shape, outputs, arguments)
    if draws.seen:
        # Seeding TensorFlow's generators makes it prepare every traced graph again, about 0.1 s
        # each, so this is done only for networks that draw.
        state.restore()
        keras.utils.set_random_seed(init_seed)
        model = _built(builder, input_shape, outputs, arguments)
    return Network(model, draws.seen)


def arguments_for(builder: Builder, hyperparameters: Mapping[str, Value]) -> dict[str, Any]:
    """Return the hyperparameters that a `build_model` gets.

    Whole numbers become floats for arguments annotated ``float``: ``1`` and ``1.0`` are one value
    of a grid, but Keras refuses ``1`` as a learning rate.
    """
    parameters = inspect.signature(builder).parameters
    return {
        name: float(value)
        if type(value) is int and _annotated(parameters.get(name), "float")
        else (list(value) if isinstance(value, tuple) else value)
        for name, value in hyperparameters.items()
        if name not in FIT_HYPERPARAMETERS
    }


def _built(
    builder: Builder, input_shape: tuple[int, ...], outputs: int, arguments: Mapping[str, Any]
) -> keras.Model:
    path = Path(inspect.getfile(builder))
    given = ", ".join(f"{name}={value!r}" for name, value in arguments.items())
    try:
        with xla_only_if_asked():
            model = builder(input_shape, outputs, **arguments)
        if isinstance(model, keras.Model):
            _make_weights(model, input_shape)
    except Exception as error:
        if ran_out_of_memory(error):
            raise ModelError(f"model: {FUNCTION}({given}) in {path} {OUT_OF_MEMORY}") from error
        raise ModelError(
            f"model: {FUNCTION}({given}) raised {describe_error(error, path)}"
        ) from error
    if not isinstance(model, keras.Model):
        raise ModelError(
            f"model: {FUNCTION}({given}) in {path} returned {type(model).__name__}, not a "
            "keras.Model; end it with `return model`"
        )
    inputs = getattr(model, "inputs", None) or []  # a class of its own has none
    if len(inputs) > 1:
        raise ModelError(
            f"model: {FUNCTION}({given}) in {path} returned a model of {len(inputs)} inputs, the "
            "data has one; take it in by one keras.Input(input_shape), and part it inside of the "
            "network, such as x[:, :3] and x[:, 3:]"
        )
    if not model.compiled or model.optimizer is None:
        raise ModelError(
            f"model: {FUNCTION}({given}) in {path} returned a model that is not compiled; call "
            "model.compile(optimizer, loss, metrics) first"
        )
    return model


def _make_weights(model: keras.Model, input_shape: tuple[int, ...]) -> None:
    """Create all weights, as `fit` does at its first batch."""
    if not model.built and type(model).build is not keras.Model.build:
        model.build((None, *input_shape))
    if not all(layer.built for layer in layers_of(model, include_self=True)):
        row = np.zeros((1, *input_shape), np.float32)
        try:
            make_variables(lambda arrays: model(arrays[0], training=False), (row,))
        except Exception:
            model(row, training=False)  # for a model that needs values instead of symbols


def _annotated(parameter: inspect.Parameter | None, name: str) -> bool:
    if parameter is None:
        return False
    annotation = parameter.annotation
    text = annotation if isinstance(annotation, str) else getattr(annotation, "__name__", "")
    return bool(text == name)
