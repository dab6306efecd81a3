"""Promises of blueprints: equal ones stand for equal networks, and what is not known is refused."""

from __future__ import annotations

from pathlib import Path

import pytest

from gridloom.networks.blueprint import Blueprints
from gridloom.networks.build import arguments_for, build
from gridloom.networks.model_file import load_model_file
from gridloom.networks.structure import structure_of
from tests.made_requests import ROOT

HEAD = """
import functools
import itertools
import math
import keras
import numpy as np
import tensorflow as tf
from keras import layers
from keras.layers import Dense as Full
SIZES = (4, 8)
MADE = []
TABLE = {"small": 4}

def chain(*inner):
    return keras.Sequential([keras.Input((3,)), *inner, layers.Dense(2)])

def compiled(model, optimizer="sgd", **more):
    model.compile(optimizer, "mse", **more)
    return model
"""

#: Body of `build_model(input_shape, outputs, a, b=0.5)` that stand-ins know.
KNOWN = {
    "calls of functions of the file": "return compiled(chain(Full(SIZES[0], activation=a)))",
    "a functional model": (
        "x = keras.Input(input_shape)\n"
        "    y = layers.Dropout(b)(layers.Dense(4, activation=a)(x))\n"
        "    y = layers.Add()([y, layers.Dense(4)(x)])\n"
        "    return compiled(keras.Model(x, layers.Dense(2)(y)))"
    ),
    "layers that are added": (
        "model = keras.Sequential()\n"
        "    model.add(keras.Input(input_shape))\n"
        "    for units in [math.floor(4.5)] * 2:\n"
        "        model.add(layers.Dense(units, keras.activations.relu, kernel_initializer=\n"
        "                  keras.initializers.RandomNormal(stddev=b)))\n"
        "    model.add(layers.Dense(2, activation=a))\n"
        "    return compiled(model)"
    ),
    "a schedule": (
        "rate = keras.optimizers.schedules.ExponentialDecay(b, 10, 0.5)\n"
        "    return compiled(chain(Full(4, a)), keras.optimizers.Adam(learning_rate=rate))"
    ),
    "a choice by name": (
        "kinds = {'relu': keras.optimizers.SGD, 'tanh': keras.optimizers.Adam}\n"
        "    return compiled(chain(Full(4, a)), kinds[a](b), metrics=['mae'])"
    ),
}

#: Body of `build_model(input_shape, outputs, a, b=0.5)` that stand-ins refuse.
UNKNOWN = {
    "an attribute of a layer": (
        "x = Full(4)\n    x.trainable = False\n    return compiled(chain(x))"
    ),
    "an attribute of a model": (
        "model = compiled(chain())\n"
        "    if model.count_params() > 3:\n        return compiled(chain(Full(4)))\n"
        "    return model"
    ),
    "a list that is kept": "MADE.append(a)\n    return compiled(chain(Full(len(MADE))))",
    "a table of the file": "return compiled(chain(Full(TABLE['small'])))",
    "random numbers": "return compiled(chain(Full(int(np.random.randint(9)) + 1)))",
    "TensorFlow": "return compiled(chain(Full(int(tf.random.uniform([]) * 9) + 1)))",
    "a function of Keras": "return compiled(chain(), keras.optimizers.get('sgd'))",
    "a test of a type": (
        "x = Full(4)\n    if isinstance(x, layers.Dense):\n        return compiled(chain(x))"
    ),
    "an error of Keras that is caught": (
        "try:\n        x = Full(0)\n    except ValueError:\n        x = Full(4)\n"
        "    return compiled(chain(x))"
    ),
    "a bare except in a loop": (
        "while True:\n        try:\n            size = int(np.sqrt(16))\n            break\n"
        "        except:\n            pass\n    return compiled(chain(Full(size)))"
    ),
    "a function that looks like one of Keras": (
        "return compiled(chain(), loss=LIKE)\n\n"
        "own = keras.losses.mean_squared_error\n"
        "LIKE = functools.update_wrapper(functools.partial(own), own)"
    ),
    "a list that changes for one call": (
        "values = [0.1] * 4\n    init = keras.initializers.Constant(values)\n"
        "    values[0] = 5\n    y = Full(4, bias_initializer=init)(keras.Input((3,)))\n"
        "    values[0] = 0.1\n    return compiled(keras.Model(keras.Input((3,)), y))"
    ),
    "a dictionary, which Keras may change": "return compiled(chain(), {'class_name': 'SGD'})",
    "lists of lists of lists": (
        "z = []\n    for _ in range(40):\n        z = [z, z]\n"
        "    return compiled(chain(), metrics=z)"
    ),
    "a comparison of objects": (
        "x = keras.Input((3,))\n    y = keras.Input(tensor=x)\n"
        "    return compiled(chain(Full(4 if y is x else 8)))"
    ),
    "a comparison of methods": (
        "model = keras.Sequential()\n"
        "    return compiled(chain(Full(4 if model.add == model.add else 8)))"
    ),
    "text of a method": (
        "model = keras.Sequential()\n    return compiled(chain(Full(len(str(model.add)))))"
    ),
    "a layer of nothing": (
        "nothing = layers.Identity()(None)\n"
        "    return compiled(chain(Full(4 if nothing is None else 8)))"
    ),
    "a match": (
        "x = keras.Input((3,))\n    match layers.Identity()([x, x]):\n"
        "        case [_, _]:\n            return compiled(chain(Full(4)))\n"
        "    return compiled(chain(Full(8)))"
    ),
    "a set": "return compiled(chain(Full(len({len, max}))))",
    "a format without a place": "'no mark' % Full(4)\n    return compiled(chain())",
    "a loop without an end": (
        "n = -1\n    Full(n)\n    while n != 0:\n        n -= 1\n    return compiled(chain())"
    ),
    "a function inside": (
        "def dense():\n        return Full(4)\n    return compiled(chain(dense()))"
    ),
    "an item that is set": (
        "kinds = {}\n    kinds[a] = 4\n    return compiled(chain(Full(kinds[a])))"
    ),
    "a variable of the file that another function sets": (
        "return compiled(chain(Full(N)))\n\nN = 4\n\ndef widen():\n    global N\n    N = 8"
    ),
    "a caught error": (
        "x = Full(4)\n    try:\n        x + 1\n    except BaseException:\n        pass\n"
        "    return compiled(chain(x))"
    ),
    "an import": "import keras as other\n    return compiled(chain(other.layers.Dense(4)))",
    "a variable of the file": "global KEPT\n    KEPT = a\n    return compiled(chain(Full(4)))",
    "a class of the file": (
        "class Own(layers.Dense):\n        pass\n    return compiled(chain(Own(4)))"
    ),
    "a function as an argument": "return compiled(chain(layers.Lambda(lambda x: 2 * x)))",
    "a list that changes after the call": (
        "found = ['mae']\n    model = compiled(chain(), metrics=found)\n    found.append('mse')\n"
        "    return model"
    ),
    "a closure of the library": ("return compiled(chain(functools.partial(layers.Dense, 4)()))"),
    "a file": "return compiled(chain(Full(len(open(__file__).read()))))",
    "no model": "return Full(4)(keras.Input(input_shape))",
    "an error": "raise ValueError(a)",
    "text of a layer": "return compiled(chain(Full(len(str(Full(4))))))",
    "a layer among others": "x = Full(4)\n    return compiled(chain(*{x: 1}))",
}


def file_with(tmp_path: Path, body: str, defaults: str = "b=0.5"):
    path = tmp_path / "net.py"
    path.write_text(f"{HEAD}\ndef build_model(input_shape, outputs, a, {defaults}):\n    {body}\n")
    return load_model_file(path)


def blueprint(file, **arguments):
    return Blueprints(file.build_model).of((3,), 2, arguments)


@pytest.mark.parametrize("case", KNOWN)
def test_a_known_model_has_a_blueprint_that_differs_if_the_network_does(tmp_path, case):
    file = file_with(tmp_path, KNOWN[case])
    first, same, other = (blueprint(file, a=a) for a in ("relu", "relu", "tanh"))
    assert first == same is not None
    assert first.calls != other.calls
    for a in ("relu", "tanh"):  # the stand-ins stood for what can be built
        build(file.build_model, (3,), 2, {"a": a}, 0, file.state)


@pytest.mark.parametrize("case", UNKNOWN)
def test_what_is_not_known_is_refused(tmp_path, case):
    file = file_with(tmp_path, UNKNOWN[case])
    assert blueprint(file, a="relu") is None
    assert blueprint(file, a="relu") is None


def test_an_object_of_keras_has_one_stand_in(tmp_path):
    body = (
        "alike = keras.optimizers.SGD in [layers.Dense, keras.optimizers.SGD][1:]\n"
        "    return compiled(chain(Full(4 if alike else 8)))"
    )
    assert "'4'" in blueprint(file_with(tmp_path, body), a="relu").calls


def test_objects_of_the_file_that_cannot_be_looked_at_have_no_blueprint(tmp_path):
    more = (
        "class Odd(type):\n    def __eq__(cls, other):\n        raise KeyError\n"
        "    __hash__ = type.__hash__\n\n"
        "class Own(metaclass=Odd):\n    def __getattribute__(self, name):\n"
        "        raise KeyError(name)\n\nOWN = Own()"
    )
    known = file_with(tmp_path, f"return compiled(chain())\n\n{more}")
    assert blueprint(known, a="relu") is not None
    unknown = file_with(tmp_path, f"OWN.x\n    return compiled(chain())\n\n{more}")
    assert blueprint(unknown, a="relu") is None


def test_a_file_that_is_refused_is_not_tried_for_ever(tmp_path):
    body = "if a < 3:\n        int(b)\n        np.e\n    return compiled(chain())"
    plans = Blueprints(file_with(tmp_path, body).build_model)
    assert plans.of((3,), 2, {"a": 3}) is not None
    for _ in range(8):
        assert plans.of((3,), 2, {"a": 1}) is None
    assert plans.of((3,), 2, {"a": 3}) is None


def test_a_default_that_may_change_is_refused(tmp_path):
    body = "c.append(a)\n    return compiled(chain(Full(len(c))))"
    assert blueprint(file_with(tmp_path, body, "c=[]"), a="relu") is None


@pytest.mark.parametrize("name", ["mlp", "regressor"])
@pytest.mark.parametrize("dropout", [0, 0.25])
def test_networks_of_equal_blueprints_differ_in_their_values_only(name, dropout):
    file = load_model_file(ROOT / "models" / f"{name}.py")
    given = {
        "mlp": {"units": 4, "activation": "relu", "dropout": dropout},
        "regressor": {"layers": (4, 3), "l2": 0.01},
    }[name]
    plans = Blueprints(file.build_model)
    found = []
    for rate in (0.1, 0.3):
        point = {**given, "learning_rate": rate}
        plan = plans.of((3,), 2, arguments_for(file.build_model, point))
        structure = structure_of(build(file.build_model, (3,), 2, point, 0, file.state).model)
        assert structure.learning_rate == pytest.approx(plan.learning_rate)
        assert set(structure.rates) == ({dropout} if name == "mlp" else set())
        assert plan.rate == (dropout if name == "mlp" else None)
        found.append((plan.calls, structure.digest))
    assert found[0] == found[1]


@pytest.mark.parametrize(
    "body",
    [
        "return compiled(chain(layers.Dropout(a), layers.Dropout(b)), keras.optimizers.SGD(0.1))",
        "return compiled(chain(layers.Dropout(1.5 + a)))",
        "keras.optimizers.Adam(a)\n    return compiled(chain(), keras.optimizers.SGD(a + 0.1))",
        "return compiled(chain(layers.Dense(3, kernel_regularizer=keras.regularizers.L2(a))))",
        "return compiled(chain(layers.GaussianNoise(a)))",
        "return compiled(chain(), keras.optimizers.SGD(momentum=a))",
        "return compiled(chain(), keras.optimizers.SGD(a * 1e39))",
        "return compiled(chain(layers.Dropout((a - 0.25) * -0.0)))",
    ],
)
def test_other_numbers_are_part_of_the_calls(tmp_path, body):
    file = file_with(tmp_path, body)
    first, other = (blueprint(file, a=a) for a in (0.2, 0.3))
    assert first.calls != other.calls
    assert blueprint(file, a=0.2) == first


def test_a_rate_of_0_is_part_of_the_calls(tmp_path):
    file = file_with(tmp_path, "return compiled(chain(layers.Dropout(a)))")
    none, some, more = (blueprint(file, a=a) for a in (0, 0.2, 0.3))
    assert none.calls != some.calls == more.calls
    assert (none.rate, some.rate, more.rate) == (0, 0.2, 0.3)
