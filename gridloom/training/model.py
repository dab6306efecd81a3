"""From a model file to built Keras models: the contract, the graph's identity, the weights."""

from __future__ import annotations

import importlib.util
import inspect
import json
import random
import sys
import traceback
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import keras
import numpy as np

from gridloom.contract import FUNCTION
from gridloom.errors import ModelError
from gridloom.grid import Value
from gridloom.study import FIT_HYPERPARAMETERS

Builder = Callable[..., Any]


def load_builder(path: Path) -> Builder:
    """Run a model file and return its `build_model`.

    Raises
    ------
    ModelError
        If the file does not run or has no `build_model`.
    """
    name = f"gridloom_model_{path.stem}"
    spec = importlib.util.spec_from_file_location(name, path)
    if spec is None or spec.loader is None:
        raise ModelError(f"model: {path} is not a Python file")
    module = importlib.util.module_from_spec(spec)
    sys.modules[name] = module  # custom Keras objects find their module by name
    try:
        spec.loader.exec_module(module)
    except Exception as error:
        raise ModelError(f"model: {path} cannot be loaded: {_told(error, path)}") from error
    if not callable(getattr(module, FUNCTION, None)):
        raise ModelError(f"model: {path} has no function `{FUNCTION}`")
    return getattr(module, FUNCTION)  # type: ignore[no-any-return]


def build(
    builder: Builder,
    input_shape: tuple[int, ...],
    outputs: int,
    hyperparameters: Mapping[str, Value],
    init_seed: int,
    *,
    seed_tensorflow: bool,
) -> keras.Model:
    """Build one point's network, its initial weights drawn from `init_seed`.

    Whole numbers become floats for arguments annotated ``float``: ``1`` and ``1.0`` are one value
    of a grid, and Keras refuses the first as a learning rate.

    Parameters
    ----------
    seed_tensorflow
        Whether to seed TensorFlow's own generators too, besides those of Python and NumPy, from
        which Keras's initializers draw. It makes TensorFlow prepare every traced graph anew,
        about 0.1 s each, so only networks that need it get it.

    Raises
    ------
    ModelError
        If `build_model` raises, or returns anything but a compiled and built model.
    """
    parameters = inspect.signature(builder).parameters
    arguments = {
        name: float(value)
        if type(value) is int and _annotated(parameters.get(name), "float")
        else (list(value) if isinstance(value, tuple) else value)
        for name, value in hyperparameters.items()
        if name not in FIT_HYPERPARAMETERS
    }
    if seed_tensorflow:
        keras.utils.set_random_seed(init_seed)
    else:
        random.seed(init_seed)
        np.random.seed(init_seed)
    path = Path(inspect.getfile(builder))
    given = ", ".join(f"{name}={value!r}" for name, value in arguments.items())
    try:
        model = builder(input_shape, outputs, **arguments)
        if isinstance(model, keras.Model) and not model.built:
            model.build((None, *input_shape))
    except Exception as error:
        raise ModelError(f"model: {FUNCTION}({given}) raised {_told(error, path)}") from error
    if not isinstance(model, keras.Model):
        raise ModelError(
            f"model: {FUNCTION}({given}) in {path} returned {type(model).__name__}, not a "
            "keras.Model; end it with `return model`"
        )
    if not model.compiled or model.optimizer is None:
        raise ModelError(
            f"model: {FUNCTION}({given}) in {path} returned a model that is not compiled; call "
            "model.compile(optimizer, loss, metrics) first"
        )
    return model


def _annotated(parameter: inspect.Parameter | None, name: str) -> bool:
    if parameter is None:
        return False
    annotation = parameter.annotation
    text = annotation if isinstance(annotation, str) else getattr(annotation, "__name__", "")
    return bool(text == name)


def _told(error: Exception, path: Path) -> str:
    """Say an error in one line, with the last line of `path` that led to it."""
    lines = [
        frame.lineno
        for frame in traceback.extract_tb(error.__traceback__)
        if Path(frame.filename) == path
    ]
    message = " ".join(str(error).split())
    return f"{type(error).__name__}: {message}" + (f" ({path}, line {lines[-1]})" if lines else "")


def graph_key(
    model: keras.Model, hyperparameters: Mapping[str, Value], rate: Callable[[float], Any]
) -> str:
    """Return a text that two models share only if one traced graph serves both.

    It holds all that shapes the graph: layers, loss, metrics and the optimizer, but not the
    learning rate, which is data to it. A model with code of a person's own in it shares its
    graph with no other point, as its configuration may not tell all.

    Parameters
    ----------
    rate
        What of a dropout's rate shapes the graph.
    """
    try:
        layers = model.get_config()
        compiled = model.get_compile_config()
    except (NotImplementedError, TypeError, ValueError):
        return json.dumps(dict(hyperparameters), sort_keys=True, default=str)
    # No clear_session to make names start from zero: it would also drop all traced graphs.
    named = [layer["config"]["name"] for layer in layers.get("layers", [])]
    names = {name: f"#{place}" for place, name in enumerate([model.name, *named])}
    layers = _renamed(layers, names)
    optimizer = compiled.get("optimizer", {}).get("config", {})
    optimizer.pop("name", None)
    if isinstance(optimizer.get("learning_rate"), float):
        optimizer["learning_rate"] = "data"
    for layer in layers.get("layers", []):
        if layer.get("class_name") == "Dropout":
            layer["config"]["rate"] = rate(layer["config"]["rate"])
    parts: list[Any] = [type(model).__name__, layers, compiled]
    if not type(model).__module__.startswith("keras.") or _foreign(parts):
        parts.append(dict(hyperparameters))
    return json.dumps(parts, sort_keys=True, default=str)


def _renamed(part: Any, names: Mapping[str, str]) -> Any:
    """Replace the names of layers, which count on from model to model, by their places."""
    if isinstance(part, Mapping):
        return {key: _renamed(value, names) for key, value in part.items()}
    if isinstance(part, list | tuple):
        return [_renamed(item, names) for item in part]
    return names.get(part, part) if isinstance(part, str) else part


def _foreign(part: Any) -> bool:
    """Tell whether a serialized part holds an object that is not Keras's own."""
    if isinstance(part, Mapping):
        module = part.get("module")
        if isinstance(module, str) and not (module == "keras" or module.startswith("keras.")):
            return True
        return part.get("class_name") == "Lambda" or any(map(_foreign, part.values()))
    return isinstance(part, list | tuple) and any(map(_foreign, part))


def loss_name(model: keras.Model) -> str:
    """Return the name of the model's loss, such as ``categorical_crossentropy``."""
    loss = model.loss
    return str(loss if isinstance(loss, str) else getattr(loss, "name", None) or loss)


def encode_target(
    model: keras.Model, row_shape: tuple[int, ...], target: np.ndarray, classes: list[str] | None
) -> np.ndarray:
    """Give the target the form that the model's output and loss take.

    Parameters
    ----------
    row_shape
        Shape of one row of features.
    target
        Class indices, shape (rows,), or float32 values, shape (rows, targets).
    classes
        None unless `target` is class indices.

    Returns
    -------
    array
        float32, as given, for values; float32 of shape (rows, 1) for two classes and one output;
        int32 of shape (rows,) for a sparse loss; else one-hot, float32, shape (rows, classes).

    Raises
    ------
    ModelError
        If the output's width does not fit the number of classes or targets.
    """
    width = _width(model, row_shape)
    if classes is None:
        # Keras would broadcast one against the other, and train to nothing.
        if width != target.shape[1]:
            raise ModelError(
                f"model: its output has {width} columns, the data {target.shape[1]} targets; end "
                "with Dense(outputs)"
            )
        return target
    if width == 1 and len(classes) == 2:
        return target.astype(np.float32)[:, None]
    if width != len(classes):
        raise ModelError(
            f"model: its output has {width} columns, the data {len(classes)} classes; end with "
            "Dense(outputs)"
        )
    if loss_name(model).startswith("sparse_"):
        return target.astype(np.int32)
    one_hot: np.ndarray = np.eye(len(classes), dtype=np.float32)[target]
    return one_hot


def _width(model: keras.Model, row_shape: tuple[int, ...]) -> int:
    try:
        return int(model.output_shape[-1])
    except AttributeError:  # a class of its own does not know before it is called
        return int(model(np.zeros((1, *row_shape), np.float32), training=False).shape[-1])


def seed_states(model: keras.Model) -> list[Any]:
    """Return the states of the model's random generators, in the order of its layers."""
    return [variable for variable in model.variables if "seed_generator_state" in variable.path]


def generator_seed(dropout_seed: int, place: int) -> int:
    """Return the seed of the generator at `place` in `seed_states`, in [0, 2³¹)."""
    return int(np.random.SeedSequence(dropout_seed, spawn_key=(place,)).generate_state(1)[0] >> 1)
