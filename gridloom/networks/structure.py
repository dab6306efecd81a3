"""What a network is made of: a text that two networks share only if one graph serves both.

It is no configuration: configurations leave things out (Huber's delta), and a person may set
anything on any part of a model. So all objects that a model reaches are walked, with all their
attributes, and written down in the order in which they are found. Left out is what a graph gets as
data: initial weights, states of generators, the learning rate, rates of `Dropout`.
"""

from __future__ import annotations

import functools
import hashlib
import inspect
import types
from collections import deque
from collections.abc import Collection, Mapping
from dataclasses import dataclass
from typing import Any

import keras
import numpy as np
import tensorflow as tf

#: Attributes of Keras's objects that repeat others, name a process's objects, or count.
_REPEATS = {
    "_auto_config",  # arguments of constructors, which their objects have made use of
    "_compile_config",
    "_call_signature",  # of `call`, which is Keras's own or told as foreign
    "_lock",
    "_loss_ids",
    "_nodes",  # all operations are found from the outputs
    "_nodes_by_depth",
    "_operations_by_depth",
    "_parent_path",
    "_path",
    "_tracked",
    "_tracker",
    "_trainable_variables_indices",
    "call_signature_parameters",
}

#: Those of `Dropout` that its rate decides; the twins in lockstep take the rate as data.
_OF_RATE = {"rate", "seed", "seed_generator", "_seed_generators"}

#: Drawn for each network where no seed is given, and of no effect once weights are set.
_OF_INITIALIZERS = {"seed"}

#: What TensorFlow puts around Keras's objects, always the same.
_KNOWN_OF_TENSORFLOW = {"_DefaultDistributionStrategy"}

_PLAIN = (type(None), bool, int, float, complex, str, bytes, type(...), np.generic, np.dtype)
_OF_TENSORFLOW = (tf.DType, tf.TensorShape)
_PLAIN_CONTAINERS = ("builtins", "collections")
_LIBRARIES = ("keras.", "numpy.", "tensorflow.")


@dataclass(frozen=True)
class Structure:
    """What a network is made of.

    Attributes
    ----------
    digest
        Equal for two networks only if all that they reach is alike, but for `rates`,
        `learning_rate` and what a training sets: weights and the states of generators.
    rates
        Of the `Dropout` layers, in the order in which they are found.
    learning_rate
        Of the optimizer; None if it follows a schedule.
    own
        The first part that is no part of Keras, such as ``activation of dense: soft``; None if
        there is none. Such a part may depend on what no walk sees, such as a global variable.
    hidden
        Whether a part keeps what cannot be looked at, so that nothing is known to be alike.
    """

    digest: str
    rates: tuple[float, ...]
    learning_rate: float | None
    own: str | None
    hidden: bool


def structure_of(model: keras.Model) -> Structure:
    """Describe a network that is built and compiled, and not trained yet."""
    walk = _Walk(data={id(variable) for variable in model.variables})
    rate = learning_rate(model.optimizer)
    if rate is not None:
        walk.data.add(id(rate))
    # Metrics are among the variables of a model; their states are no data.
    walk.data -= {id(variable) for variable in model.metrics_variables}
    walk.start("model", model)
    return Structure(
        digest=walk.digest(),
        rates=tuple(walk.rates),
        learning_rate=None if rate is None else float(rate.numpy()),
        own=walk.own,
        hidden=walk.hidden,
    )


def differs(
    part: Any, other: Any, ignored: Collection[str] = (), data: Collection[Any] = ()
) -> bool:
    """Tell whether two objects of Keras, such as an optimizer and its copy, differ in anything.

    Parameters
    ----------
    ignored
        Names of attributes that do not count.
    data
        Variables whose values do not count.
    """
    ids = {id(variable) for variable in data}
    some, others = _Walk(ids, ignored), _Walk(ids, ignored)
    some.start("part", part)
    others.start("part", other)
    return some.hidden or some.digest() != others.digest()


def learning_rate(optimizer: Any) -> Any:
    """Return the variable that holds an optimizer's learning rate; None for a schedule."""
    # With mixed precision, Keras wraps the optimizer in one that scales the loss.
    inner = getattr(optimizer, "inner_optimizer", optimizer)
    rate = getattr(inner, "_learning_rate", None)
    return rate if isinstance(rate, keras.Variable) else None


def from_keras(thing: Any) -> bool:
    """Tell whether a class, function or object of it is Keras's own."""
    return str(getattr(thing, "__module__", "")).startswith("keras.")


class _Walk:
    """Writes down objects in the order in which they are found, each once.

    Parameters
    ----------
    data
        Ids of variables whose values do not count.
    ignored
        Names of attributes of Keras's objects that do not count, besides `_REPEATS`.
    """

    def __init__(self, data: Collection[int] = (), ignored: Collection[str] = ()) -> None:
        self.data = set(data)
        self.ignored = {*_REPEATS, *ignored}
        self.rates: list[float] = []
        self.own: str | None = None
        self.hidden = False
        self._lines: list[Any] = []
        self._places: dict[int, int] = {}
        self._kept: list[Any] = []  # ids are of use only while their objects live
        self._found: deque[tuple[str, Any]] = deque()

    def start(self, name: str, thing: Any) -> None:
        """Write down a thing and all that it reaches."""
        self._lines.append(self._word(name, thing))
        while self._found:
            self._lines.append(self._line(*self._found.popleft()))

    def digest(self) -> str:
        """Return the SHA-256 of all that was written down."""
        return hashlib.sha256(repr(self._lines).encode()).hexdigest()

    def _word(self, name: str, thing: Any) -> Any:
        """Return a plain value as it is, and the place of all else, to be written down later."""
        if isinstance(thing, _PLAIN):
            return (type(thing).__name__, repr(thing))
        if isinstance(thing, _OF_TENSORFLOW):
            return str(thing)
        if id(thing) not in self._places:
            self._places[id(thing)] = len(self._places)
            self._kept.append(thing)
            self._found.append((name, thing))
        return self._places[id(thing)]

    def _line(self, name: str, thing: Any) -> Any:
        kind = type(thing)
        head = f"{kind.__module__}.{kind.__qualname__}"
        if isinstance(thing, Mapping | list | tuple | set | frozenset) and not (
            kind.__module__.startswith(_LIBRARIES) or kind.__module__ in _PLAIN_CONTAINERS
        ):
            self._note(name, kind)  # its methods may do anything
        if isinstance(thing, np.ndarray):
            return (head, str(thing.dtype), thing.shape, hashlib.sha256(thing.tobytes()).digest())
        if isinstance(thing, tf.Tensor | tf.Variable):
            return (head, self._value(name, thing))
        if isinstance(thing, keras.Variable):
            return (head, *self._variable(name, thing))
        if isinstance(thing, Mapping):
            return (
                head,
                [
                    (self._word(name, key), self._word(f"{key} of {name}", value))
                    for key, value in thing.items()
                ],
            )
        if isinstance(thing, list | tuple):
            return (head, [self._word(name, item) for item in thing])
        if isinstance(thing, set | frozenset):
            return (head, self._set(thing))
        if isinstance(thing, types.ModuleType):
            return (head, thing.__name__)
        if isinstance(thing, types.MethodType):
            return (head, self._word(name, thing.__self__), self._word(name, thing.__func__))
        if isinstance(thing, functools.partial):
            parts = (thing.func, thing.args, thing.keywords)
            return (head, [self._word(name, part) for part in parts])
        if isinstance(thing, type | types.FunctionType | types.BuiltinFunctionType | np.ufunc):
            return (head, *self._named(name, thing))
        if isinstance(thing, inspect.Signature):
            return (head, str(thing))
        if kind.__module__.startswith("tensorflow."):
            # A `tf.function`, a table: what it does is not among its attributes.
            self.hidden |= kind.__name__ not in _KNOWN_OF_TENSORFLOW
            return head
        if not from_keras(kind):
            self._note(name, kind)
        return (head, self._attributes(name, thing))

    def _attributes(self, name: str, thing: Any) -> list[Any]:
        if not hasattr(thing, "__dict__"):
            # An object in C, such as NumPy's generators: nobody knows what it keeps.
            self.hidden = True
            return []
        skipped = self.ignored
        if type(thing) is keras.layers.Dropout:
            self.rates.append(float(thing.rate))
            skipped = skipped | _OF_RATE
        elif isinstance(thing, keras.initializers.Initializer) and "_init_seed" in vars(thing):
            skipped = skipped | _OF_INITIALIZERS
        elif isinstance(thing, keras.KerasTensor | keras.random.SeedGenerator):
            skipped = skipped | {"name"}
        own_name = vars(thing).get("name")
        place = own_name if isinstance(own_name, str) else name
        return [
            (key, self._word(f"{key} of {place}", value))
            for key, value in sorted(vars(thing).items())
            if key not in skipped and not key.startswith("_self_")
        ]

    def _variable(self, name: str, variable: keras.Variable) -> list[Any]:
        words = [
            self._word(name, getattr(variable, part))
            for part in ("shape", "dtype", "trainable", "regularizer", "constraint", "name")
        ]
        if id(variable) not in self.data:
            words.append(self._value(name, variable.value))
        return words

    def _value(self, name: str, tensor: Any) -> Any:
        try:
            return self._word(name, np.asarray(tensor))
        except (AttributeError, NotImplementedError, TypeError, ValueError):
            self.hidden = True  # a symbol, or a tensor of a kind that NumPy has not
            return None

    def _set(self, things: Collection[Any]) -> list[str]:
        if not all(isinstance(thing, _PLAIN) for thing in things):
            self.hidden = True  # sets have no order in which to write down what they hold
        return sorted(map(repr, things))

    def _named(self, name: str, thing: Any) -> list[Any]:
        """Write down a class or function: its name, and what a function has closed over."""
        module, known = str(thing.__module__), thing.__qualname__
        if not module.startswith(_LIBRARIES) and module not in ("builtins", "numpy"):
            self._note(name, thing)
        if not isinstance(thing, types.FunctionType):
            return [module, known]
        cells = [self._cell(name, cell) for cell in thing.__closure__ or ()]
        line = thing.__code__.co_firstlineno
        given = (thing.__defaults__, thing.__kwdefaults__)
        return [module, known, line, cells, [self._word(name, part) for part in given]]

    def _cell(self, name: str, cell: Any) -> Any:
        try:
            return self._word(name, cell.cell_contents)
        except ValueError:
            return "empty"

    def _note(self, name: str, thing: Any) -> None:
        if self.own is None:
            self.own = f"{name}: {getattr(thing, '__qualname__', type(thing).__qualname__)}"
