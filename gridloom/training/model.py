"""From a model file to built Keras models: the contract, the seeds, the targets."""

from __future__ import annotations

import inspect
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
from gridloom.training.keras_private import (
    PRISTINE,
    GlobalState,
    make_variables,
    name_tables,
    watching_draws,
)
from gridloom.training.losses import loss_traits
from gridloom.training.model_code import ModelCode, read_model_code

Builder = Callable[..., Any]

#: Characters of an error's text that are told; TensorFlow's may run over pages.
MAX_TOLD = 600

OUT_OF_MEMORY = (
    "needs more memory than there is; choose a smaller network or batch_size, or a larger machine"
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
    state
        Keras's global state as the file leaves it, in which each network is built.
    """

    path: Path
    build_model: Builder
    callbacks: Callable[..., Any] | None
    names: dict[str, Any]
    state: GlobalState


@dataclass(frozen=True)
class Network:
    """What `build_model` returned.

    Attributes
    ----------
    model
        Built and compiled.
    drew
        Whether random numbers were drawn otherwise than by Keras's initializers and layers: then
        anything about the network may depend on the seed, not its initial weights alone.
    """

    model: keras.Model
    drew: bool


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
    names = {**own, **custom_objects}
    return ModelFile(path, builder, callbacks, names, GlobalState.now())


def _register(path: Path, custom_objects: Any) -> None:
    """Register a model file's names with Keras, and forget those of the file before it."""
    if not isinstance(custom_objects, Mapping):
        raise ModelError(
            f"model: {path}: `{CUSTOM_OBJECTS}` is a {type(custom_objects).__name__}; make it a "
            "dict from name to object, such as {'my_loss': my_loss}"
        )
    # Keras 3 asks its custom objects where it loads a model, and not where it reads a name.
    tables = [keras.saving.get_custom_objects(), *name_tables()]
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
    state: GlobalState = PRISTINE,
) -> Network:
    """Build one point's network, its initial weights drawn from `init_seed`.

    It is built in the same state of Keras as each other one, whatever networks came before: float
    type, policy, counters of names. Whole numbers become floats for arguments annotated ``float``:
    ``1`` and ``1.0`` are one value of a grid, and Keras refuses the first as a learning rate.

    Parameters
    ----------
    init_seed
        Seeds Python's and NumPy's generators, and TensorFlow's where the file draws from them.
    state
        Keras's global state to build it in.

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
    state.restore()
    with watching_draws(init_seed) as draws:
        model = _built(builder, input_shape, outputs, arguments)
    if draws.seen:
        # Seeding TensorFlow's generators too makes it prepare every traced graph anew, about 0.1 s
        # each, so only networks that draw get it.
        state.restore()
        keras.utils.set_random_seed(init_seed)
        model = _built(builder, input_shape, outputs, arguments)
    return Network(model, draws.seen)


def _built(
    builder: Builder, input_shape: tuple[int, ...], outputs: int, arguments: Mapping[str, Any]
) -> keras.Model:
    path = Path(inspect.getfile(builder))
    given = ", ".join(f"{name}={value!r}" for name, value in arguments.items())
    try:
        model = builder(input_shape, outputs, **arguments)
        if isinstance(model, keras.Model):
            _make_weights(model, input_shape)
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


def _make_weights(model: keras.Model, input_shape: tuple[int, ...]) -> None:
    """Make all weights, as `fit` does at its first batch."""
    if not model.built and type(model).build is not keras.Model.build:
        model.build((None, *input_shape))
    if not all(layer.built for layer in model._flatten_layers()):
        row = np.zeros((1, *input_shape), np.float32)
        try:
            make_variables(lambda arrays: model(arrays[0], training=False), (row,))
        except Exception:
            model(row, training=False)  # it looks at values; if it fails at those too, it tells


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
    if loss_traits(model.loss, width).sparse:
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
