"""From a model file to built Keras models: the contract, the graph's identity, the weights."""

from __future__ import annotations

import inspect
import json
import random
import sysconfig
import traceback
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import keras
import numpy as np
import tensorflow as tf

from gridloom.contract import CALLBACKS, CUSTOM_OBJECTS, FUNCTION
from gridloom.errors import ModelError
from gridloom.grid import Value
from gridloom.study import FIT_HYPERPARAMETERS
from gridloom.training.lockstep import excludes_weights
from gridloom.training.model_code import ModelCode, read_model_code

Builder = Callable[..., Any]

#: Characters of an error's text that are told; TensorFlow's may run over pages.
MAX_TOLD = 600

OUT_OF_MEMORY = (
    "needs more memory than there is; choose a smaller network or batch_size, or a larger machine"
)

#: Where Keras reads names, in `compile` and in layers.
_NAMED = (
    keras.activations,
    keras.constraints,
    keras.losses,
    keras.metrics,
    keras.regularizers,
)

#: Names that the model file of this process registered with Keras.
_registered: set[str] = set()


@dataclass(frozen=True)
class ModelFile:
    """What a model file defines.

    Attributes
    ----------
    path
        Of the file.
    build_model
        Makes a point's network (see `build`).
    callbacks
        Makes a training's callbacks (see `make_callbacks`); None if the file has none.
    names
        Name → class or function that the file or a module of its own defines, `custom_objects`
        among them.
    """

    path: Path
    build_model: Builder
    callbacks: Callable[..., Any] | None
    names: dict[str, Any]


def load_model_file(path: Path, code: ModelCode | None = None) -> ModelFile:
    """Run a model file and register its `custom_objects` with Keras.

    Parameters
    ----------
    code
        What was read of it; None to read it now.

    Raises
    ------
    ModelError
        If the file does not run, or does not keep the contract.
    """
    name = f"gridloom_model_{path.stem}"
    code = read_model_code(path) if code is None else code
    try:
        module = code.run(name)
    except ModelError:
        raise
    except Exception as error:
        raise ModelError(f"model: {path} cannot be loaded: {told(error, path)}") from error
    builder, callbacks = getattr(module, FUNCTION, None), getattr(module, CALLBACKS, None)
    if not callable(builder):
        raise ModelError(f"model: {path} has no function `{FUNCTION}`")
    if callbacks is not None and not callable(callbacks):
        raise ModelError(
            f"model: {path}: `{CALLBACKS}` is a {type(callbacks).__name__}; make it a function "
            f"`{CALLBACKS}(hyperparameters)` that returns a list of Keras callbacks"
        )
    custom_objects = getattr(module, CUSTOM_OBJECTS, {})
    _register(path, custom_objects)
    own = {
        key: value
        for key, value in code.namespace(module).items()
        if callable(value) and getattr(value, "__module__", None) in {name, *code.modules}
    }
    return ModelFile(path, builder, callbacks, {**own, **custom_objects})


def _register(path: Path, custom_objects: Any) -> None:
    """Register a model file's names with Keras, and forget those of the file before it."""
    if not isinstance(custom_objects, Mapping):
        raise ModelError(
            f"model: {path}: `{CUSTOM_OBJECTS}` is a {type(custom_objects).__name__}; make it a "
            "dict from name to object, such as {'my_loss': my_loss}"
        )
    tables = [keras.saving.get_custom_objects()]
    # Keras 3 asks its custom objects where it loads a model, and not where it reads a name.
    tables += [module.get.__globals__["ALL_OBJECTS_DICT"] for module in _NAMED]
    for table in tables:
        for name in _registered:
            table.pop(name, None)
    _registered.clear()
    for name in custom_objects:
        if not isinstance(name, str):
            raise ModelError(f"model: {path}: `{CUSTOM_OBJECTS}` has the name {name!r}, not text")
        if any(name in table for table in tables[1:]):
            raise ModelError(
                f"model: {path}: `{CUSTOM_OBJECTS}` has {name!r}, which Keras has too; rename it"
            )
    for table in tables:
        table.update(custom_objects)
    _registered.update(custom_objects)


def make_callbacks(file: ModelFile, hyperparameters: Mapping[str, Value]) -> list[Any]:
    """Make one training's callbacks.

    Parameters
    ----------
    hyperparameters
        All of the point's, `batch_size` and `epochs` among them; lists as lists.

    Raises
    ------
    ModelError
        If `callbacks` raises, or returns anything but a list of Keras callbacks.
    """
    if file.callbacks is None:
        return []
    given = {
        name: list(value) if isinstance(value, tuple) else value
        for name, value in hyperparameters.items()
    }
    try:
        made = file.callbacks(given)
    except Exception as error:
        raise ModelError(
            f"model: {CALLBACKS}(hyperparameters) raised {told(error, file.path)}"
        ) from error
    wrong = next(
        (one for one in made if not isinstance(one, keras.callbacks.Callback))
        if isinstance(made, list | tuple)
        else iter([made]),
        None,
    )
    if wrong is not None or made is None:
        kind = "a list that holds a " if isinstance(made, list | tuple) else ""
        raise ModelError(
            f"model: {CALLBACKS}(hyperparameters) in {file.path} returned {kind}"
            f"{type(wrong).__name__}; return a list of keras.callbacks.Callback"
        )
    return list(made)


def ran_out_of_memory(error: BaseException) -> bool:
    """Tell whether an error of Python, NumPy or TensorFlow means that memory ran out."""
    return (
        isinstance(error, MemoryError | tf.errors.ResourceExhaustedError)
        or "bad_alloc" in str(error)
        or "OOM when allocating" in str(error)
    )


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
        if ran_out_of_memory(error):
            raise ModelError(f"model: {FUNCTION}({given}) in {path} {OUT_OF_MEMORY}") from error
        raise ModelError(f"model: {FUNCTION}({given}) raised {told(error, path)}") from error
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


def told(error: Exception, path: Path | None = None) -> str:
    """Say an error in one line, with the last line of `path` that led to it.

    Parameters
    ----------
    path
        The model file; without it, any file of the person's own.
    """
    library = (str(Path(__file__).parent.parent), sysconfig.get_path("stdlib"), "<")
    frames = [
        frame
        for frame in traceback.extract_tb(error.__traceback__)
        if (
            Path(frame.filename) == path
            if path
            else not frame.filename.startswith(library) and "site-packages" not in frame.filename
        )
    ]
    # Keras puts what went wrong in loading behind pages of configuration.
    message = " ".join(str(error).rpartition("Exception encountered: ")[2].split())
    if len(message) > MAX_TOLD:
        message = message[:MAX_TOLD] + "…"
    place = f" ({frames[-1].filename}, line {frames[-1].lineno})" if frames else ""
    return f"{type(error).__name__}: {message}" + place


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
    parts: list[Any] = [type(model).__name__, layers, compiled, _untold(model)]
    if (
        not type(model).__module__.startswith("keras.")
        or _foreign(parts)
        or excludes_weights(model.optimizer)
    ):
        parts.append(dict(hyperparameters))
    return json.dumps(parts, sort_keys=True, default=str)


def _untold(model: keras.Model) -> list[Any]:
    """Return what losses and metrics do not tell in their configuration, such as Huber's delta."""
    compiled = getattr(model, "_compile_config", None)
    parts: list[Any] = [] if compiled is None else [compiled.config]
    found = []
    while parts:
        part = parts.pop()
        if isinstance(part, Mapping):
            parts += [part[key] for key in sorted(part)]
        elif isinstance(part, list | tuple):
            parts += part
        elif isinstance(part, keras.losses.Loss | keras.metrics.Metric):
            found.append(getattr(part, "_fn_kwargs", None))
    return found


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
        return part.get("class_name") in ("Lambda", "__lambda__") or any(
            map(_foreign, part.values())
        )
    return isinstance(part, list | tuple) and any(map(_foreign, part))


def loss_name(loss: Any) -> str:
    """Return the name of a compiled model's loss, such as ``categorical_crossentropy``."""
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
        If the output is not one row of numbers, as many as there are classes or targets.
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
    if loss_name(model.loss).startswith("sparse_"):
        return target.astype(np.int32)
    one_hot: np.ndarray = np.eye(len(classes), dtype=np.float32)[target]
    return one_hot


def _width(model: keras.Model, row_shape: tuple[int, ...]) -> int:
    try:
        shape = tuple(model.output_shape)
    except AttributeError:  # a class of its own does not know before it is called
        shape = tuple(model(np.zeros((1, *row_shape), np.float32), training=False).shape)
    if len(shape) != 2 or not isinstance(shape[1], int):
        raise ModelError(
            f"model: its output has the shape {shape}, where (rows, outputs) is needed; flatten or "
            "pool before the last Dense layer"
        )
    return shape[1]


def seed_states(model: keras.Model) -> list[Any]:
    """Return the states of the model's random generators, in the order of its layers."""
    return [variable for variable in model.variables if "seed_generator_state" in variable.path]


def generator_seed(dropout_seed: int, place: int) -> int:
    """Return the seed of the generator at `place` in `seed_states`, in [0, 2³¹)."""
    return int(np.random.SeedSequence(dropout_seed, spawn_key=(place,)).generate_state(1)[0] >> 1)
