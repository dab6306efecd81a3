"""Blueprints: what `build_model` would build for a point, without building it.

Keras takes some 15 ms to build a small network, longer than a short training. A blueprint takes
0.1 ms: `build_model` runs with stand-ins for Keras's classes, which note all calls. Networks of
equal calls are equal, except for their learning rate and the rate of their `Dropout` layers, which
a blueprint holds as values. What a stand-in does not know refuses the blueprint; then the network
is built.
"""

from __future__ import annotations

import ast
import contextlib
import inspect
import linecache
import math
import sys
from collections.abc import Callable, Collection, Mapping
from dataclasses import dataclass
from functools import lru_cache
from types import FunctionType, ModuleType
from typing import Any, NoReturn

import keras

#: Classes of Keras that a stand-in may make: making one depends on the arguments alone.
_CLASSES = (
    keras.Initializer,
    keras.Layer,
    keras.Loss,
    keras.Metric,
    keras.Regularizer,
    keras.constraints.Constraint,
    keras.optimizers.Optimizer,
    keras.optimizers.schedules.LearningRateSchedule,
)

#: What may be called of a network; all else of it is not known before it is built.
_METHODS = ("add", "compile")

#: Builtins that depend on their arguments alone.
_BUILTINS = (
    *(abs, all, any, bool, bytes, dict, divmod, enumerate, filter, float, int, len),
    *(list, map, max, min, pow, range, reversed, round, sorted, str, sum, tuple, zip),
    *(AssertionError, Exception, KeyError, NotImplementedError, TypeError, ValueError),
)

_PLAIN = (type(None), bool, int, float, str, bytes)

#: What the code of a function may consist of. Stand-ins do not fail where Keras would, and are not
#: the same object where Keras's are: so `try` and `while` are missing, and `is` compares constants.
_SYNTAX = (
    *(ast.Assign, ast.AnnAssign, ast.AugAssign, ast.Assert, ast.Break, ast.Continue, ast.Expr),
    *(ast.For, ast.If, ast.Pass, ast.Raise, ast.Return, ast.BoolOp, ast.BinOp, ast.UnaryOp),
    *(ast.Attribute, ast.Call, ast.Compare, ast.Constant, ast.Dict, ast.FormattedValue),
    *(ast.GeneratorExp, ast.IfExp, ast.JoinedStr, ast.List, ast.ListComp, ast.Name, ast.Slice),
    *(ast.Starred, ast.Subscript, ast.Tuple, ast.comprehension, ast.keyword),
    *(ast.boolop, ast.operator, ast.unaryop, ast.cmpop, ast.expr_context),
)

#: Between these, no learning rate becomes 0 or infinite as a float of 32 bits.
_RATES = (1e-30, 1e30)

#: Most items of all arguments of a model.
_MOST_ITEMS = 100_000

#: Refusals after which a file is not tried any more: each takes a run of `build_model`.
_MOST_REFUSALS = 8


#: What Python may do with an object. Without `getitem`, `"text" % stand_in` fails as it should.
_OPERATIONS = """
    abs add and bool bytes call complex delattr delitem divmod enter eq exit float floordiv format
    ge gt hash iadd iand ifloordiv ilshift imatmul imod imul index int invert ior ipow irshift
    isub iter itruediv ixor le len lshift lt matmul mod mul ne neg next or pos pow radd rand
    rdivmod repr reversed rfloordiv rlshift rmatmul rmod rmul ror round rpow rrshift rshift rsub
    rtruediv rxor setattr setitem str sub truediv trunc xor
"""


@dataclass(frozen=True)
class Blueprint:
    """What `build_model` calls for a point.

    Attributes
    ----------
    calls
        All calls with their arguments, except the values below.
    learning_rate
        Of the optimizer; None if it is a part of the calls.
    rate
        Of all `Dropout` layers; None if there are none, or if it is a part of the calls.
    """

    calls: str
    learning_rate: float | None
    rate: float | None


class Blueprints:
    """Makes the blueprints of a model file.

    ASSUME: the file does not act beyond its networks (see `gridloom.networks.plain_code`).

    Parameters
    ----------
    builder
        Its `build_model`.
    """

    def __init__(self, builder: Callable[..., Any]) -> None:
        self._recording = _Recording()
        self._builder: Any = None
        self._refusals = 0
        with contextlib.suppress(Exception):  # objects of the file may do anything when looked at
            self._builder = self._copied(builder)

    def of(
        self, input_shape: tuple[int, ...], outputs: int, arguments: Mapping[str, Any]
    ) -> Blueprint | None:
        """Return the blueprint of a network; None if it takes more than stand-ins know.

        Parameters
        ----------
        arguments
            Hyperparameters, as `build_model` gets them.
        """
        if self._builder is None or self._refusals >= _MOST_REFUSALS:
            return None
        self._recording.clear()
        found = None
        # Building the network shows what is wrong.
        with contextlib.suppress(Exception, _RefusedError):
            found = self._recording.finish(self._builder(input_shape, outputs, **arguments))
        self._refusals += found is None
        return found

    def _copied(self, builder: Any) -> Any:
        """Return a function of the file that sees stand-ins; None if it may keep anything."""
        module = getattr(builder, "__globals__", {})
        simple = _simple_functions(builder)
        if not _is_stateless(builder, simple):
            return None
        names: dict[str, Any] = {"__builtins__": _Builtins(self._recording)}
        copies: dict[int, FunctionType] = {}

        def copy(function: FunctionType) -> FunctionType:
            if id(function) not in copies:
                code, defaults = function.__code__, function.__defaults__
                copies[id(function)] = FunctionType(code, names, function.__name__, defaults)
                copies[id(function)].__kwdefaults__ = function.__kwdefaults__
            return copies[id(function)]

        for name, value in module.items():
            if name.startswith("__"):
                continue
            if _is_stateless(value, simple) and value.__globals__ is module:
                names[name] = copy(value)
            else:
                names[name] = self._recording.stand_in(value)
        return copy(builder)


def _is_stateless(value: Any, simple: Collection[tuple[str, int]]) -> bool:
    """Return whether something is one of these functions, and keeps nothing between calls."""
    if type(value) is not FunctionType:
        return False
    place = (value.__code__.co_name, value.__code__.co_firstlineno)
    given = (*(value.__defaults__ or ()), *(value.__kwdefaults__ or {}).values())
    return place in simple and not value.__closure__ and all(map(_is_plain, given))


def _simple_functions(builder: Any) -> set[tuple[str, int]]:
    """Return name and line of the functions of a file that consist of `_SYNTAX`."""
    if type(builder) is not FunctionType:
        return set()
    tree = ast.parse("".join(linecache.getlines(builder.__code__.co_filename)))
    if any(isinstance(node, ast.Global) for node in ast.walk(tree)):
        return set()  # a function may depend on the calls before it
    return {
        (function.name, function.lineno)
        for function in tree.body
        if isinstance(function, ast.FunctionDef)
        and not function.decorator_list
        and all(_is_simple(node) for part in function.body for node in ast.walk(part))
    }


def _is_simple(node: ast.AST) -> bool:
    if isinstance(node, ast.Attribute | ast.Subscript):
        return isinstance(node.ctx, ast.Load)
    if isinstance(node, ast.Compare) and any(
        isinstance(one, ast.Is | ast.IsNot) for one in node.ops
    ):
        return any(isinstance(one, ast.Constant) for one in (node.left, *node.comparators))
    return isinstance(node, _SYNTAX)


def _is_plain(value: Any) -> bool:
    """Return whether a value cannot change, and stands for itself."""
    kind = type(value)  # whose comparison may be the file's own
    return any(kind is one for one in _PLAIN) or (kind is tuple and all(map(_is_plain, value)))


def _is_keras_own(value: Any) -> bool:
    """Return whether something is a class or function of Keras, under its own name."""
    if not (issubclass(type(value), type) or type(value) is FunctionType):
        return False
    module = str(value.__module__)
    place = sys.modules.get(module) if module.startswith("keras.") else None
    return vars(place).get(value.__qualname__) is value if place is not None else False


class _RefusedError(BaseException):
    """A stand-in does not know what to do; no `except Exception` of a model file catches it."""


class _Recording:
    """The calls of one run of `build_model`."""

    def __init__(self) -> None:
        #: Id of an object → the object, which lives as long, and what stands for it.
        self._stand_ins: dict[int, tuple[Any, Any]] = {}
        self.clear()

    def stand_in(self, value: Any) -> Any:
        """Return what stands for something that the file has: for one object, always the same."""
        if _is_plain(value) or value is math:
            return value
        if id(value) not in self._stand_ins:
            made: _Unknown
            if type(value) is ModuleType and value.__name__.partition(".")[0] == "keras":
                made = _Module(self, value)
            elif _is_keras_own(value):
                made = _Known(self, value)
            else:
                made = _Unknown(self)
            self._stand_ins[id(value)] = (value, made)
        return self._stand_ins[id(value)][1]

    def clear(self) -> None:
        """Begin anew."""
        self._refused = False
        self._items = 0
        self._calls: list[Any] = []
        #: Arguments that may change, and their words when they were given.
        self._given: list[tuple[Any, Any]] = []
        self._optimizers = 0
        self._learning_rates: list[float] = []
        self._rates: list[float] = []

    def refuse(self) -> NoReturn:
        """Give up, also if the model file goes on."""
        self._refused = True
        raise _RefusedError

    def note(self, what: Any, args: tuple[Any, ...], kwargs: dict[str, Any]) -> int:
        """Note a call of a class, a layer or a method; return its place."""
        self._check_given()
        words = [self._words(args), *map(self._words, kwargs.items())]
        for value in (*args, *kwargs.values()):
            if type(value) is list or type(value) is tuple:
                self._given.append((value, self._words(value)))
        if isinstance(what, type):
            value, rest = self._value(what, args, kwargs)
            if value is not None:
                words = [value > 0, *map(self._words, rest.items())]
            what = f"{what.__module__}.{what.__qualname__}"
        self._calls.append([what, words])
        return len(self._calls) - 1

    def _value(self, kind: type, args: Any, kwargs: Any) -> tuple[float | None, Any]:
        """Return the argument that is not a part of the calls, if there is one, and the others.

        The sign of a rate is, because only a layer with a rate above 0 draws a seed.
        """
        name, kept = "", self._rates
        if issubclass(kind, keras.optimizers.Optimizer):
            self._optimizers += 1
            name, kept = "learning_rate", self._learning_rates
        elif kind is keras.layers.Dropout:
            name = "rate"
        if not name:
            return None, None
        given = _signature(kind).bind(*args, **kwargs).arguments
        value = given.pop(name, None)
        if name == "rate":
            known = type(value) in (int, float) and 0 <= value < 1 and repr(value) != "-0.0"
        else:
            known = type(value) is float and _RATES[0] < value < _RATES[1]
        if not known:
            return None, None
        kept.append(float(value))
        return float(value), given

    def finish(self, returned: Any) -> Blueprint | None:
        """Return the blueprint of what `build_model` returned; None if it was refused."""
        if type(returned) is not _Made or not _is_model(_known_of(returned)[1]):
            return None
        self._check_given()
        calls = [*self._calls, ["return", self._words(returned)]]
        if self._refused:
            return None
        learning_rate = rate = None
        if self._optimizers == len(self._learning_rates) == 1:
            (learning_rate,) = self._learning_rates
        if len({*self._rates}) == 1:
            rate = self._rates[0]
        calls += [
            [] if learning_rate is not None else self._learning_rates,
            [] if rate is not None else self._rates,
        ]
        return Blueprint(repr(calls), learning_rate, rate)

    def _check_given(self) -> None:
        """Refuse a list that the file has changed after a call: Keras may have kept it."""
        if any(self._words(value) != words for value, words in self._given):
            self.refuse()

    def _words(self, value: Any) -> Any:
        """Return a form of an argument that is equal only for equal arguments.

        A dictionary has none: Keras changes those that it reads a configuration from.
        """
        kind = type(value)
        if any(kind is one for one in _PLAIN):
            return (kind.__name__, repr(value))
        if kind is list or kind is tuple:
            self._items += len(value)
            if self._items > _MOST_ITEMS:
                self.refuse()
            return [kind.__name__, *map(self._words, value)]
        if kind is _Made:
            return _known_of(value)[0]
        if kind is _Known:
            (known,) = _known_of(value)
            return f"{known.__module__}.{known.__qualname__}"
        return self.refuse()


@lru_cache
def _signature(kind: type) -> inspect.Signature:
    return inspect.signature(kind)


def _refuse(stand_in: Any, *_: Any, **__: Any) -> NoReturn:
    _recording_of(stand_in).refuse()


class _Unknown:
    """Stands for something of which nothing is known; whatever is done with it is refused."""

    def __init__(self, recording: _Recording, *known: Any) -> None:
        object.__setattr__(self, "recording", recording)
        object.__setattr__(self, "known", known)

    def __getattribute__(self, name: str) -> Any:
        _refuse(self)


for _operation in _OPERATIONS.split():
    setattr(_Unknown, f"__{_operation}__", _refuse)


class _Module(_Unknown):
    """Stands for a module of Keras."""

    def __getattribute__(self, name: str) -> Any:
        (module,) = _known_of(self)
        if not hasattr(module, name):
            _refuse(self)
        return _recording_of(self).stand_in(getattr(module, name))


class _Known(_Unknown):
    """Stands for a class or function of Keras."""

    def __call__(self, *args: Any, **kwargs: Any) -> _Made:
        recording, (what,) = _recording_of(self), _known_of(self)
        if isinstance(what, type) and issubclass(what, _CLASSES):
            return _Made(recording, recording.note(what, args, kwargs), what)
        if what is keras.Input:
            return _Made(recording, recording.note("Input", args, kwargs), None)
        return recording.refuse()


class _Made(_Unknown):
    """Stands for an object that Keras's classes make, or for an output of a layer."""

    def __getattribute__(self, name: str) -> Any:
        recording, (place, kind) = _recording_of(self), _known_of(self)
        if name not in _METHODS or not _is_model(kind):
            recording.refuse()
        return _Method(recording, [name, place])

    def __call__(self, *args: Any, **kwargs: Any) -> _Made:
        recording, (place, kind) = _recording_of(self), _known_of(self)
        if kind is None or not issubclass(kind, keras.Layer) or not all(map(_is_output, args)):
            recording.refuse()
        return _Made(recording, recording.note(["call", place], args, kwargs), None)


class _Method(_Unknown):
    """Stands for a method of a network."""

    def __call__(self, *args: Any, **kwargs: Any) -> None:
        (what,) = _known_of(self)
        _recording_of(self).note(what, args, kwargs)


def _is_output(value: Any) -> bool:
    """Return whether something stands for an output of a layer, or for several; not for none."""
    if type(value) is list or type(value) is tuple:
        return len(value) > 0 and all(map(_is_output, value))
    return type(value) is _Made and _known_of(value)[1] is None


def _is_model(kind: type | None) -> bool:
    return kind is not None and issubclass(kind, keras.Model)


class _Builtins(dict[str, Any]):
    """The builtins that a model file sees."""

    def __init__(self, recording: _Recording) -> None:
        super().__init__({one.__name__: one for one in _BUILTINS})
        self._recording = recording
        self["__import__"] = _Unknown(recording)

    def __missing__(self, name: str) -> NoReturn:
        self._recording.refuse()


def _recording_of(stand_in: _Unknown) -> _Recording:
    found: _Recording = object.__getattribute__(stand_in, "recording")
    return found


def _known_of(stand_in: _Unknown) -> tuple[Any, ...]:
    known: tuple[Any, ...] = object.__getattribute__(stand_in, "known")
    return known
