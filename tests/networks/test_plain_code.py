"""Promises of the look at a model file: code that could act beyond its networks is found."""

from __future__ import annotations

import pytest

from gridloom.networks.model_code import read_model_code
from gridloom.networks.plain_code import acts_beyond
from tests.made_requests import ROOT

HEAD = "import keras\nimport numpy as np\nimport tensorflow as tf\nfrom keras import layers\n"


def place_in(tmp_path, text, own=""):
    (tmp_path / "blocks.py").write_text(own)
    path = tmp_path / "net.py"
    path.write_text(HEAD + text)
    return acts_beyond(read_model_code(path))


@pytest.mark.parametrize("name", ["mlp.py", "convnet.py", "optimizers.py", "regressor.py"])
def test_the_examples_only_return_networks(name):
    assert acts_beyond(read_model_code(ROOT / "models" / name)) is None


@pytest.mark.parametrize(
    "text",
    [
        "UNITS = {'small': 4}\nUNITS['large'] = 64\n",
        "chosen = getattr(keras.optimizers, 'SGD')(0.1)\nchosen.learning_rate = 0.2\n",
        "base = keras.Sequential()\nfor layer in base.layers:\n    layer.trainable = False\n",
        "class Own(layers.Dense):\n    def __init__(self):\n        super().__init__(3)\n"
        "        self.more = 1\n",
        "start = np.random.default_rng(0).normal(size=3)\nstart[0] = tf.nn.relu(start)[1]\n",
        "base = keras.Sequential()\nbase.set_weights([])\nlist(map(layers.Dense, [3, 4]))\n",
        "def base():\n    return keras.Sequential()\nmodel = base()\nmodel.trainable = False\n",
        "from blocks import dense\nimport blocks\nx = blocks.dense(3)\n",
        "from dataclasses import dataclass\n@dataclass(frozen=True)\nclass Own:\n    x: int = 3\n",
        "x: int = 3\nx += 1\nif (n := len('abc')) > 2:\n    [a for a in range(n)]\n",
    ],
)
def test_ordinary_code_is_harmless(tmp_path, text):
    assert place_in(tmp_path, text, "from keras.layers import Dense as dense\n") is None


@pytest.mark.parametrize(
    ("text", "what"),
    [
        ("import os\n", "import of os"),
        ("from keras.layers import *\n", "import * of keras.layers"),
        ("from keras.src import backend\n", "src"),
        ("from tensorflow import config\n", "config"),
        ("tf.config.optimizer.set_jit(True)\n", "set_jit"),
        ("np.seterr(all='raise')\n", "seterr"),
        ("__builtins__['setattr'](layers.Dense, 'marker', 1)\n", "__builtins__"),
        ("(x for x in ()).gi_frame.f_builtins['setattr'](layers.Dense, 'm', 1)\n", "f_builtins"),
        ("D = [layers.Dense].pop()\nD.marker = 1\n", "an attribute marker is set"),
        ("D = {1: layers.Dense}.get(1)\nD.marker = 1\n", "an attribute marker is set"),
        ("D = {}.get(1, layers.Dense)\nD.marker = 1\n", "an attribute marker is set"),
        (
            "def g(x):\n    D = x.pop()\n    D.marker = 1\ng([layers.Dense])\n",
            "an attribute marker is set",
        ),
        (
            "import functools\nD = functools.reduce(lambda p, q: q, [1, layers.Dense])\n"
            "D.marker = 1\n",
            "an attribute marker is set",
        ),
        (
            "from functools import partial\nD = partial(lambda x: x, layers.Dense)()\n"
            "D.marker = 1\n",
            "an attribute marker is set",
        ),
        (
            "import functools\nc = functools.partial(lambda x: x, layers.Dense)\nD = c()\n"
            "D.marker = 1\n",
            "an attribute marker is set",
        ),
        (
            "import operator\nD = operator.itemgetter(0)([layers.Dense])\nD.marker = 1\n",
            "an attribute marker is set",
        ),
        (
            "import itertools\nD = next(itertools.chain([layers.Dense]))\nD.marker = 1\n",
            "an attribute marker is set",
        ),
        (
            "import collections\nD = collections.deque([layers.Dense]).pop()\nD.marker = 1\n",
            "an attribute marker is set",
        ),
        (
            "import dataclasses\ndataclasses.dataclass(eq=True)(layers.Dropout)\n",
            "dataclass of a class that is given",
        ),
        (
            "from dataclasses import dataclass\ndataclass(layers.Dropout)\n",
            "dataclass of a class that is given",
        ),
        (
            "import functools\nfunctools.update_wrapper(layers.ReLU, layers.ELU, ('call',), ())\n",
            "update_wrapper",
        ),
        ("keras.mixed_precision.set_global_policy('float64')\n", "set_global_policy"),
        ("layers.Dense.call = lambda self, x: x\n", "an attribute call is set"),
        ("for one in (layers.Dense,):\n    one.call = print\n", "an attribute call is set"),
        (
            "def patch(one):\n    one.call = print\npatch(layers.Dense)\n",
            "an attribute call is set",
        ),
        ("kind = getattr(layers, 'Dense')\nkind.call = print\n", "an attribute call is set"),
        ("keras.layers.Dense(3).__class__.call = print\n", "an attribute call is set"),
        ("vars(layers.Dense).update(call=print)\n", "vars"),
        ("change = setattr\nchange(layers.Dense, 'call', print)\n", "setattr"),
        ("object.__setattr__(layers, 'Dense', 3)\n", "__setattr__"),
        (
            "table = keras.activations.TABLE\ntable['relu'] = print\n",
            "a part of an imported object",
        ),
        ("keras.utils.get_custom_objects().update(relu=print)\n", "get_custom_objects"),
        ("del keras.layers.Dense\n", "an attribute Dense is set"),
        ("getattr(tf, 'config').optimizer.set_jit(True)\n", "set_jit"),
        ("getattr(tf.random, 'set_seed')(3)\n", "set_seed"),
        ("def library():\n    return tf\nlibrary().config.optimizer.set_jit(True)\n", "set_jit"),
        ("import operator\noperator.attrgetter('config')(tf)\n", "attrgetter"),
        ("from operator import methodcaller\n", "methodcaller"),
        ("tf.RegisterGradient('Own')(print)\n", "RegisterGradient"),
        (
            "for one, call in zip([layers.Dense], [print]):\n    one.call = call\n",
            "an attribute call is set",
        ),
        (
            "KINDS = {'dense': layers.Dense}\nkind = KINDS.get('dense')\nkind.call = print\n",
            "an attribute call is set",
        ),
        (
            "def kind():\n    return layers.Dense\none = kind()\none.call = print\n",
            "an attribute call is set",
        ),
        ("one = (lambda: layers.Dense)()\none.call = print\n", "an attribute call is set"),
        ("kind = lambda: layers.Dense\none = kind()\none.call = print\n", "an attribute call"),
        (
            "def same(x):\n    return x\none = same(layers.Dense)\none.call = print\n",
            "an attribute call is set",
        ),
        ("one = type(layers.Dense(3))\none.call = print\n", "an attribute call is set"),
        ("import functools\nfunctools.partial(layers.Dense, 3).func\n", "func"),
        ("one = layers.Dense.mro()[0]\none.call = print\n", "mro"),
        ("for self in [layers.Dense]:\n    self.call = print\n", "an attribute call is set"),
        (
            "class Own:\n    def __init__(self):\n        self.kind = layers.Dense\n"
            "        self.kind.call = print\n",
            "an attribute call is set",
        ),
        ("class Own(layers.Dense):\n    __module__ = 'keras.own'\n", "__module__"),
    ],
)
def test_code_that_could_act_on_more_is_named(tmp_path, text, what):
    place = place_in(tmp_path, text)
    assert place.startswith("line ")
    assert what in place


def test_code_that_is_nested_too_deeply_to_be_looked_at_may_act(tmp_path):
    assert "too deeply" in place_in(tmp_path, f"x = {' + '.join('1' * 1500)}\n")


def test_a_module_of_the_model_file_is_looked_at_too(tmp_path):
    own = "import keras\n\nkeras.backend.set_epsilon(1)\n"
    assert place_in(tmp_path, "import blocks\n", own) == "blocks.py, line 3: set_epsilon"
