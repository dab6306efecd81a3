"""The model file: loading it, registering its names with Keras, making its callbacks."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import keras

from gridloom.errors import ModelError
from gridloom.naming.values import Value
from gridloom.networks.build import Builder
from gridloom.networks.error_text import describe_error
from gridloom.networks.keras_private import GlobalState, name_tables
from gridloom.networks.model_code import ModelCode, read_model_code
from gridloom.study.contract import CALLBACKS, CUSTOM_OBJECTS, FUNCTION, PIPELINE

#: Names that the model file of this process registered with Keras.
_registered: set[str] = set()


@dataclass(frozen=True)
class ModelFile:
    """What a model file defines.

    Attributes
    ----------
    path
        Path of the file.
    build_model
        Builds a point's network (see `build`).
    callbacks
        Makes a training's callbacks (see `make_callbacks`); None if the file has none.
    names
        Name → class or function that the file or one of its own modules defines, with
        `custom_objects`.
    state
        Keras's global state after loading the file; each network is built in this state.
    pipeline
        Transforms rows while a network trains (see `gridloom.networks.pipeline`); None if the file
        has none.
    """

    path: Path
    build_model: Builder
    callbacks: Callable[..., Any] | None
    names: dict[str, Any]
    state: GlobalState
    pipeline: Callable[..., Any] | None = None


def load_model_file(path: Path, code: ModelCode | None = None) -> ModelFile:
    """Run a model file and register its `custom_objects` with Keras.

    Parameters
    ----------
    path
        The model file.
    code
        The code that was read; None to read it now.

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
        raise ModelError(
            f"model: {path} cannot be loaded: {describe_error(error, path)}"
        ) from error
    builder, callbacks = getattr(module, FUNCTION, None), getattr(module, CALLBACKS, None)
    if not callable(builder):
        raise ModelError(f"model: {path} has no function `{FUNCTION}`")
    if callbacks is not None and not callable(callbacks):
        raise ModelError(
            f"model: {path}: `{CALLBACKS}` is a {type(callbacks).__name__}; make it a function "
            f"`{CALLBACKS}(hyperparameters)` that returns a list of Keras callbacks"
        )
    pipeline = getattr(module, PIPELINE, None)
    if pipeline is not None and not callable(pipeline):
        raise ModelError(
            f"model: {path}: `{PIPELINE}` is a {type(pipeline).__name__}; make it a function "
            f"`{PIPELINE}(rows, training, hyperparameters)` that returns a tf.data.Dataset"
        )
    custom_objects = getattr(module, CUSTOM_OBJECTS, {})
    _register(path, custom_objects)
    own = {
        key: value
        for key, value in code.namespace(module).items()
        if callable(value) and getattr(value, "__module__", None) in {name, *code.modules}
    }
    names = {**own, **custom_objects}
    return ModelFile(path, builder, callbacks, names, GlobalState.now(), pipeline)


def _register(path: Path, custom_objects: Any) -> None:
    """Register a model file's names with Keras, and remove those of the file before it."""
    if not isinstance(custom_objects, Mapping):
        raise ModelError(
            f"model: {path}: `{CUSTOM_OBJECTS}` is a {type(custom_objects).__name__}; make it a "
            "dict from name to object, such as {'my_loss': my_loss}"
        )
    # Keras 3 uses its custom objects when it loads a model, but not when it looks up a name.
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
    file
        The model file.
    hyperparameters
        All of the point's, including `batch_size` and `epochs`.

    Raises
    ------
    ModelError
        If `callbacks` raises, or returns anything but a list of Keras callbacks.
    """
    if file.callbacks is None:
        return []
    try:
        made = file.callbacks(listed(hyperparameters))
    except Exception as error:
        raise ModelError(
            f"model: {CALLBACKS}(hyperparameters) raised {describe_error(error, file.path)}"
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


def listed(hyperparameters: Mapping[str, Value]) -> dict[str, Any]:
    """Return hyperparameters for a model file's functions, with lists instead of tuples."""
    return {
        name: list(value) if isinstance(value, tuple) else value
        for name, value in hyperparameters.items()
    }
