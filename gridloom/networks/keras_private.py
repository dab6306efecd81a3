"""All private parts of Keras and TensorFlow that Gridloom uses.

They are looked up when this module is imported, so that a version that lacks one fails at once and
not in the middle of a training.
"""

from __future__ import annotations

import contextlib
import random
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any

import keras
import numpy as np
import tensorflow as tf
from keras.src.backend import compute_output_spec
from keras.src.backend import config as keras_config
from keras.src.backend.common import global_state
from keras.src.random import seed_generator
from keras.src.trainers import trainer as keras_trainer
from tensorflow.python.framework import ops, random_seed
from tensorflow.python.ops import stateful_random_ops

_SETTINGS = ("_FLOATX", "_EPSILON", "_IMAGE_DATA_FORMAT")

for _module, _names in (
    (keras_config, _SETTINGS),
    (global_state, ("GLOBAL_STATE_TRACKER",)),
    (seed_generator, ("python_random", "GLOBAL_SEED_GENERATOR")),
    (random_seed, ("get_seed",)),
    (stateful_random_ops, ("global_generator",)),
    (keras.Model, ("_flatten_layers",)),
    (keras.layers.LSTM, ("inner_loop",)),
    (keras.layers.GRU, ("inner_loop",)),
    (keras.layers.LSTMCell, ("get_dropout_mask",)),
    (keras.layers.GRUCell, ("get_dropout_mask",)),
):
    for _name in _names:
        if not hasattr(_module, _name):
            raise ImportError(
                f"this version of Keras or TensorFlow has no {_module.__name__}.{_name}, which "
                "Gridloom needs; install the versions that uv.lock names"
            )


def layers_of(model: keras.Model, *, include_self: bool = False) -> list[Any]:
    """Return a model's layers, also those inside of other layers."""
    return list(model._flatten_layers(include_self=include_self))


@dataclass(frozen=True)
class GlobalState:
    """Global state of Keras and TensorFlow, which would carry over from network to network.

    Attributes
    ----------
    settings
        Float type, epsilon and image format.
    attributes
        Other global attributes of Keras, such as the dtype policy.
    eager
        Whether `tf.function` is set to run eagerly.
    """

    settings: dict[str, Any]
    attributes: dict[str, Any]
    eager: bool

    @classmethod
    def now(cls) -> GlobalState:
        """Return the current state, without counters of names and the global generator."""
        attributes = dict(vars(global_state.GLOBAL_STATE_TRACKER))
        attributes.pop("object_name_uids", None)
        attributes.pop(seed_generator.GLOBAL_SEED_GENERATOR, None)
        settings = {name: getattr(keras_config, name) for name in _SETTINGS}
        return cls(settings, attributes, tf.config.functions_run_eagerly())

    def __str__(self) -> str:
        policy = self.attributes.get("dtype_policy")  # made from the float type at first use
        return f"{self.settings} {getattr(policy, 'name', policy)} {self.eager}"

    def restore(self) -> None:
        """Restore this state. Unlike `keras.utils.clear_session`, keep all traced graphs."""
        for name, value in self.settings.items():
            setattr(keras_config, name, value)
        kept = vars(global_state.GLOBAL_STATE_TRACKER)
        kept.clear()
        kept.update(self.attributes)
        if tf.config.functions_run_eagerly() != self.eager:
            tf.config.run_functions_eagerly(self.eager)


#: The state of Keras when this process started.
PRISTINE = GlobalState.now()


@dataclass
class Draws:
    """Whether anything but Keras's initializers and layers has drawn random numbers."""

    seen: bool = False


@contextlib.contextmanager
def watching_draws(seed: int) -> Iterator[Draws]:
    """Seed Python's and NumPy's generators, and detect draws from any generator of the process.

    Keras draws the seeds of its initializers and layers from Python's generator. Here it gets a
    separate generator with the same seed, so that other draws can be detected.
    """
    draws = Draws()
    random.seed(seed)
    np.random.seed(seed)
    python, numpy = random.getstate(), np.random.get_state()
    generator = stateful_random_ops.global_generator
    before = _state_of(generator)
    get_seed, python_random = random_seed.get_seed, seed_generator.python_random

    def seen(op_seed: Any) -> Any:
        draws.seen = True
        return get_seed(op_seed)

    seed_generator.python_random = random.Random(seed)
    random_seed.get_seed = seen
    try:
        yield draws
    finally:
        random_seed.get_seed = get_seed
        seed_generator.python_random = python_random
    draws.seen |= (
        random.getstate() != python
        or not _same_state(np.random.get_state(), numpy)
        or stateful_random_ops.global_generator is not generator
        or _state_of(generator) != before
        or global_state.get_global_attribute(seed_generator.GLOBAL_SEED_GENERATOR) is not None
    )


def _state_of(generator: Any) -> list[int] | None:
    """Return the state of one of TensorFlow's generators."""
    return None if generator is None else list(generator.state.numpy())


def _same_state(some: Any, other: Any) -> bool:
    return all(map(np.array_equal, some, other))


@contextlib.contextmanager
def no_draws(refuse: Callable[[str], Exception]) -> Iterator[None]:
    """Raise an error if the block draws from Python's or NumPy's global generator.

    Parameters
    ----------
    refuse
        Returns the error; takes the owner of the generator, ``Python`` or ``NumPy``.
    """
    python, numpy = random.getstate(), np.random.get_state()
    yield
    if random.getstate() != python:
        raise refuse("Python")
    if not _same_state(np.random.get_state(), numpy):
        raise refuse("NumPy")


def make_variables(step: Callable[..., Any], batch: tuple[Any, ...]) -> None:
    """Run a step of a model with symbolic tensors, so that it creates its variables.

    No variable changes its value.

    Parameters
    ----------
    step
        Takes a tuple of tensors.
    batch
        Arrays with at least one row; only their types and the shapes of rows are used.
    """
    symbols = [
        keras.KerasTensor((None, *array.shape[1:]), keras.backend.standardize_dtype(array.dtype))
        for array in batch
    ]
    compute_output_spec(lambda *tensors: step(tensors), *symbols)


def compile_arguments(model: keras.Model) -> dict[str, Any]:
    """Return the arguments of a model's `compile`, as they were given."""
    arguments: dict[str, Any] = model._compile_config.config
    return arguments


def uses_xla(model: keras.Model, setting: str) -> bool:
    """Return whether a compiled model trains with XLA.

    Parameters
    ----------
    setting
        ``on``, ``off``, or ``auto`` for what ``compile(jit_compile=…)`` says.
    """
    return setting == "on" or (setting == "auto" and bool(model.jit_compile))


@contextlib.contextmanager
def xla_only_if_asked() -> Iterator[None]:
    """Let `compile` choose XLA only if it is asked to; Keras chooses it on GPUs.

    A compiled model does not show who chose.
    """
    chosen = keras_trainer.Trainer._resolve_auto_jit_compile
    keras_trainer.Trainer._resolve_auto_jit_compile = lambda model: False
    try:
        yield
    finally:
        keras_trainer.Trainer._resolve_auto_jit_compile = chosen


def name_tables() -> list[dict[str, Any]]:
    """Return the tables in which `compile` and layers look up names of functions and classes."""
    named = (
        keras.activations,
        keras.constraints,
        keras.losses,
        keras.metrics,
        keras.regularizers,
    )
    return [module.get.__globals__["ALL_OBJECTS_DICT"] for module in named]


def gradient_registry() -> dict[str, Any]:
    """Return TensorFlow's registry of gradients, by name."""
    gradients: dict[str, Any] = ops.gradient_registry._registry
    return gradients
