"""The structure of a network: a description that is equal only if one graph serves both networks.

Keras's configurations are not enough: they leave things out (Huber's delta), and users may set any
attribute on any part of a model. So this module walks over all objects that a model reaches, with
all their attributes, and lists them in the order in which they are found. It leaves out what a
graph gets as data: initial weights, states of generators, the learning rate, rates of `Dropout`.
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

from gridloom.networks.keras_private import layers_of

#: Attributes of Keras's objects that repeat others, identify objects of the process, or count.
_REPEATS = {
    "_auto_config",  # arguments of constructors, which have been applied already
    "_compile_config",
    "_call_signature",  # of `call`, which is Keras's own or noted as foreign
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

#: Attributes of `Dropout` that depend on its rate; a graph gets the rate as data.
_OF_RATE = {"rate", "seed", "seed_generator", "_seed_generators"}

#: Attributes of initializers that are drawn for each network and have no effect on set weights.
_OF_INITIALIZERS = {"seed"}

#: Objects of TensorFlow inside Keras's objects that are always the same.
_KNOWN_OF_TENSORFLOW = {"_DefaultDistributionStrategy"}

_PLAIN = (type(None), bool, int, float, complex, str, bytes, type(...), np.generic, np.dtype)
_OF_TENSORFLOW = (tf.DType, tf.TensorShape)
_PLAIN_CONTAINERS = ("builtins", "collections")
_LIBRARIES = ("keras.", "numpy.", "tensorflow.")
_PLAIN_TYPES_OF = ("builtins", "numpy", "numpy.dtypes", "ml_dtypes")


@dataclass(frozen=True)
class Structure:
    """The structure of a network.

    Attributes
    ----------
    digest
        Equal for two networks only if all objects that they reach are equal, except `rates`,
        `learning_rate` and what a training sets: weights and the states of generators.
    rates
        Rates of the `Dropout` layers, in the order in which they are found.
    learning_rate
        Learning rate of the optimizer; None if it follows a schedule.
    own
        The first part that is not Keras's, such as ``activation of dense: soft``; None if there is
        none. Such a part may depend on things that the walk does not see, such as a global
        variable.
    hidden
        Whether a part cannot be inspected, so that nothing can be proven equal.
    """

    digest: str
    rates: tuple[float, ...]
    learning_rate: float | None
    own: str | None
    hidden: bool


def structure_of(model: keras.Model) -> Structure:
    """Describe a network that is built and compiled but not trained yet."""
    walk = _Walk(data={id(variable) for variable in model.variables})
    rate = learning_rate(model.optimizer)
    if rate is not None:
        walk.data.add(id(rate))
    # The variables of a model include those of its metrics, which are not data.
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
    """Return whether two objects of Keras, such as an optimizer and its copy, differ in anything.

    Parameters
    ----------
    part, other
        The two objects.
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


def dropout_layers(model: keras.Model) -> list[keras.layers.Dropout]:
    """Return the layers whose rate a graph gets as data, also those inside of other layers."""
    return [layer for layer in layers_of(model) if type(layer) is keras.layers.Dropout]


def from_keras(thing: Any) -> bool:
    """Return whether a class, function or object is Keras's own."""
    return str(getattr(thing, "__module__", "")).startswith("keras.")


class _Walk:
    """Lists objects in the order in which they are found, each once.

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
        self._registered = keras.saving.get_custom_objects()
        self._lines: list[Any] = []
        self._places: dict[int, int] = {}
        self._kept: list[Any] = []  # an id is unique only while its object lives
        self._found: deque[tuple[str, Any]] = deque()

    def start(self, name: str, thing: Any) -> None:
        """List an object and all objects that it reaches."""
        self._lines.append(self._word(name, thing))
        while self._found:
            self._lines.append(self._line(*self._found.popleft()))

    def digest(self) -> str:
        """Return the SHA-256 of the list."""
        return hashlib.sha256(repr(self._lines).encode()).hexdigest()

    def _word(self, name: str, thing: Any) -> Any:
        """Return a plain value itself; for another object, its position, and queue the object."""
        if isinstance(thing, _PLAIN):
            if type(thing).__module__ not in _PLAIN_TYPES_OF:
                self._note(name, type(thing))  # a user's number, whose methods may do anything
            if isinstance(thing, str) and thing in self._registered:
                # Such as a loss, which Keras looks up by its name when it trains.
                self._note(name, self._registered[thing])
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
            self._note(name, kind)  # a user's container, whose methods may do anything
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
            # Such as a `tf.function` or a table, whose behaviour is not in its attributes.
            self.hidden |= kind.__name__ not in _KNOWN_OF_TENSORFLOW
            return head
        if not from_keras(kind):
            self._note(name, kind)
        return (head, self._attributes(name, thing))

    def _attributes(self, name: str, thing: Any) -> list[Any]:
        if not hasattr(thing, "__dict__"):
            # An object implemented in C, such as NumPy's generators, whose state is unknown.
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
            self.hidden = True  # a symbolic tensor, or a type that NumPy lacks
            return None

    def _set(self, things: Collection[Any]) -> list[str]:
        if not all(isinstance(thing, _PLAIN) for thing in things):
            self.hidden = True  # sets of objects have no order
        return sorted(map(repr, things))

    def _named(self, name: str, thing: Any) -> list[Any]:
        """Return the name of a class or function, with a function's closure and defaults."""
        module, known = str(thing.__module__), thing.__qualname__
        places = {module}
        if isinstance(thing, types.FunctionType):
            # `functools.wraps` gives a function the module and name of another one.
            places.add(str(thing.__globals__.get("__name__")))
        for place in places:
            if not place.startswith(_LIBRARIES) and place not in ("builtins", "numpy"):
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
