"""Promises of a warm trainer: earlier networks do not affect later ones.

Each case is a model file and points that differ in something that is in no configuration, or that
an earlier network leaves behind. The reference is `model.fit` on a separate network.
"""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from gridloom.engines import twins
from gridloom.engines.twins import StackedDense
from gridloom.errors import ModelError
from gridloom.networks import structure
from gridloom.study.dataset import Split
from gridloom.training import points, sharing
from gridloom.training.trainer import Trainer
from tests.cases import cases
from tests.made_requests import changed, make_data, request_for

HEAD = """
import random
import keras
import numpy as np
import tensorflow as tf
from keras import layers, ops

def chain(input_shape, outputs, *inner):
    last = layers.Dense(outputs, activation="softmax")
    return keras.Sequential([keras.Input(input_shape), *inner, last])

def compiled(model, optimizer="sgd", metrics=("mse",)):
    model.compile(optimizer, "categorical_crossentropy", metrics=list(metrics))
    return model
"""

#: Name → the body of `build_model(input_shape, outputs, a)`, what stands before it, values of a.
CASES = {
    "a layer named by its activation": (
        "",
        "return compiled(chain(input_shape, outputs, layers.Dense(8, activation=a, name=a)))",
        ["relu", "tanh"],
    ),
    "a train_step set on the model": (
        "",
        """
    model = compiled(chain(input_shape, outputs))
    plain = model.train_step
    model.train_step = lambda data: plain((a * data[0], *data[1:]))
    return model""",
        [0.5, 2.5],
    ),
    "a compute_loss set on the model": (
        "",
        """
    model = compiled(chain(input_shape, outputs))
    plain = model.compute_loss
    model.compute_loss = lambda *given, **named: a * plain(*given, **named)
    return model""",
        [0.5, 2.5],
    ),
    "a call set on a layer": (
        "",
        """
    model = compiled(chain(input_shape, outputs))
    plain = model.layers[-1].call
    model.layers[-1].call = lambda x, training=False: plain(a * x)
    return model""",
        [0.5, 2.5],
    ),
    "a tf.function set on the model": (
        "",
        """
    model = compiled(chain(input_shape, outputs))
    plain = model.train_step
    model.train_step = tf.function(lambda data: plain((a * data[0], *data[1:])))
    return model""",
        [0.5, 2.5],
    ),
    "a tf.function as an activation": (
        "",
        "return compiled(chain(input_shape, outputs, "
        "layers.Activation(tf.function(lambda x: a * x))))",
        [0.5, 2.5],
    ),
    "a container of one's own": (
        """
class Scales(dict):
    pass
""",
        """
    scales = Scales()
    scales.first = a
    return compiled(chain(input_shape, outputs, layers.Lambda(lambda x: scales.first * x)))""",
        [0.5, 2.5],
    ),
    "one Dropout called twice": (
        "",
        """
    inputs = keras.Input(input_shape)
    drop = layers.Dropout(a)
    hidden = drop(layers.Dense(8)(drop(inputs)))
    return compiled(keras.Model(inputs, layers.Dense(outputs, activation="softmax")(hidden)))""",
        [0.5, 0.3],
    ),
    "steps counted from another number": (
        "",
        """
    model = compiled(chain(input_shape, outputs), "adam")
    model.optimizer.iterations.assign(a)
    return model""",
        [1, 50],
    ),
    "a rate drawn for each repetition": (
        "",
        """
    rate = np.random.uniform(0.1, 0.7)
    return compiled(chain(input_shape, outputs, layers.Dropout(rate), layers.Dense(a)))""",
        [4, 3],
    ),
    "a learning rate drawn by Python": (
        "",
        """
    rate = random.uniform(0.1, 0.9)
    return compiled(chain(input_shape, outputs, layers.Dense(a)), keras.optimizers.SGD(rate))""",
        [4, 3],
    ),
    "units drawn for each repetition": (
        "",
        """
    units = np.random.randint(2, 9)
    return compiled(chain(input_shape, outputs, layers.Dense(units), layers.Dense(a)))""",
        [4, 3],
    ),
    "weights set by hand": (
        "",
        """
    model = compiled(chain(input_shape, outputs), keras.optimizers.SGD(a))
    model.set_weights([np.full_like(weight, a) for weight in model.get_weights()])
    return model""",
        [0.1, 0.2],
    ),
    "a metric whose reset_state does nothing": (
        """
class Stubborn(keras.metrics.MeanSquaredError):
    def reset_state(self):
        pass
""",
        "return compiled(chain(input_shape, outputs, layers.Dense(4)), keras.optimizers.SGD(a), "
        "[Stubborn()])",
        [0.1, 0.2],
    ),
    "a generator of TensorFlow at a later point only": (
        """
def start(shape, dtype=None):
    return tf.random.normal(shape, seed=3, dtype=dtype)
""",
        """
    kernel = start if a else "glorot_uniform"
    return compiled(chain(input_shape, outputs, layers.Dense(4, kernel_initializer=kernel)))""",
        [0, 1],
    ),
    "a policy for one point": (
        "",
        """
    if a:
        keras.mixed_precision.set_global_policy("float64")
    return compiled(chain(input_shape, outputs, layers.Dense(4)))""",
        [1, 0],
    ),
    "an epsilon for one point": (
        "",
        """
    if a:
        keras.config.set_epsilon(0.2)
    return compiled(chain(input_shape, outputs, layers.Dense(4)))""",
        [1, 0],
    ),
    "a layer without get_config": (
        """
class Scaled(layers.Layer):
    def __init__(self, by):
        super().__init__()
        self.by = by
    def call(self, x):
        return self.by * x
""",
        "return compiled(chain(input_shape, outputs, Scaled(a)))",
        [0.5, 2.0],
    ),
    "a subclassed model without build": (
        """
class Net(keras.Model):
    def __init__(self, units, outputs):
        super().__init__()
        self.hidden = layers.Dense(units)
        self.last = layers.Dense(outputs, activation="softmax")
    def call(self, x):
        return self.last(self.hidden(x))
""",
        "return compiled(Net(a, outputs))",
        [3, 4],
    ),
    "parts without get_config": (
        """
class Sum(keras.regularizers.Regularizer):
    def __init__(self, by):
        self.by = by
    def __call__(self, weight):
        return self.by * ops.sum(weight**2)
class Falling(keras.optimizers.schedules.LearningRateSchedule):
    def __call__(self, step):
        return 0.1 / (1 + ops.cast(step, "float32"))
class Tenths(keras.initializers.Initializer):
    def __call__(self, shape, dtype=None):
        return 0.1 * ops.ones(shape)
""",
        """
    inner = layers.Dense(4, kernel_regularizer=Sum(a), bias_initializer=Tenths())
    return compiled(chain(input_shape, outputs, inner), keras.optimizers.SGD(Falling()))""",
        [0.1, 0.01],
    ),
    "an activation with weights": (
        "",
        "return compiled(chain(input_shape, outputs, layers.Dense(a, activation=layers.PReLU())))",
        [3, 4],
    ),
    "weights of low rank": (
        "",
        "return compiled(chain(input_shape, outputs, layers.Dense(a, lora_rank=2)))",
        [3, 4],
    ),
    "an adapted Normalization": (
        "",
        """
    adapted = layers.Normalization()
    adapted.adapt(a * np.random.default_rng(0).normal(size=(20, *input_shape)))
    return compiled(chain(input_shape, outputs, adapted))""",
        [1.0, 3.0],
    ),
    "metrics without names": (
        "",
        "return compiled(chain(input_shape, outputs, layers.Dense(a)), "
        "metrics=[keras.metrics.AUC(), keras.metrics.Precision(), keras.metrics.AUC(curve='PR')])",
        [3, 4],
    ),
    "a state that the model file keeps": (
        "scale = {}\n",
        """
    scale["a"] = a
    return compiled(chain(input_shape, outputs, layers.Lambda(lambda x: scale["a"] * x)))""",
        [0.5, 2.0],
    ),
}


@pytest.fixture(scope="module")
def data(tmp_path_factory):
    folder = tmp_path_factory.mktemp("data")
    make_data(folder, "builtin:iris", Split(test=0.6))
    return folder


def request_of(data, model, a, **settings):
    return request_for(data, model, {"a": a, "batch_size": 20, "epochs": 2}, **settings)


def written(folder, body, before=""):
    model = folder / "net.py"
    indented = body if body.startswith("\n") else f"\n    {body}"
    model.write_text(f"{HEAD}{before}\ndef build_model(input_shape, outputs, *, a):{indented}\n")
    return model


def assert_close(history, expected):
    assert history.keys() == expected.keys()
    for name, values in expected.items():
        np.testing.assert_allclose(history[name], values, rtol=0, atol=1e-5, err_msg=name)


QUICK_CASES = ["a train_step set on the model"]

SLOW_CASES = [
    "units drawn for each repetition",
    "one Dropout called twice",
    "steps counted from another number",
    "a learning rate drawn by Python",
    "a policy for one point",
    "weights set by hand",
    "an adapted Normalization",
]


@pytest.mark.parametrize("case", cases(CASES, QUICK_CASES, SLOW_CASES))
def test_a_warm_trainer_gives_the_numbers_of_model_fit(data, tmp_path, case):
    before, body, values = CASES[case]
    model = written(tmp_path, body, before)
    warm, trained = Trainer(), {}
    for a in dict.fromkeys(values):
        trained[a] = warm.run(request_of(data, model, a)).trainings
        fresh = request_of(data, model, a, engine="keras", repetitions=(1,))
        (expected,) = Trainer().run(fresh).trainings
        assert_close(trained[a][1].history, expected.history)
    again = warm.run(request_of(data, model, values[0])).trainings
    for one, other in zip(again, trained[values[0]], strict=True):
        assert one.history == other.history


MLP = "return compiled(chain(input_shape, outputs, layers.Dense(4)), keras.optimizers.SGD(a))"


@pytest.mark.slow
def test_the_record_says_how_a_point_trained_and_why_not_in_lockstep(data, tmp_path):
    def record_of(body, **settings):
        model = written(tmp_path, body)
        return Trainer().run(request_of(data, model, 0.1, **settings))

    expected = {
        MLP: ("lockstep", None),
        "return compiled(chain(input_shape, outputs, layers.UnitNormalization()))": (
            "one by one",
            "the layer UnitNormalization has no stacked twin",
        ),
        "return compiled(chain(input_shape, outputs, layers.Dropout(random.random())))": (
            "one by one",
            "build_model returns another network in each repetition",
        ),
    }
    for body, (engine, why_not) in expected.items():
        made = record_of(body)
        assert (made.engine, made.why_not_lockstep) == (engine, why_not)
    made = record_of(MLP, lockstep=False)
    assert (made.engine, made.why_not_lockstep) == (
        "one by one",
        "trainer.lockstep is false",
    )
    made = record_of(MLP, engine="keras")
    assert (made.engine, made.why_not_lockstep) == ("keras", None)


def test_points_that_train_one_by_one_share_a_graph_if_they_differ_in_rates(data, tmp_path):
    body = (
        "return compiled(chain(input_shape, outputs, layers.Dropout(a)), keras.optimizers.SGD(a))"
    )
    model, warm = written(tmp_path, body), Trainer()
    for rate in (0.5, 0.3):
        record = warm.run(request_of(data, model, rate, lockstep=False))
        assert record.engine == "one by one"
    assert len(warm.graphs) == 1
    warm.run(request_of(data, model, 0.0, lockstep=False))  # such a layer draws no masks
    assert len(warm.graphs) == 2


NAMED_LOSS = """import keras

FACTOR = 1.0


def own(y, p):
    return FACTOR * keras.losses.categorical_crossentropy(y, p)


custom_objects = {"own": own}


def build_model(input_shape, outputs, factor, **others):
    global FACTOR
    FACTOR = factor
    model = keras.Sequential([keras.Input(input_shape), keras.layers.Dense(outputs, "softmax")])
    model.compile("sgd", "own")
    return model
"""


def test_a_loss_that_keras_looks_up_by_name_shares_a_graph_with_no_other_point(data, tmp_path):
    (tmp_path / "own.py").write_text(NAMED_LOSS)
    trainer, kinds = Trainer(), set()
    for factor in (1.0, 3.0):
        point = {"factor": factor, "batch_size": 64, "epochs": 1}
        opened = trainer._open(request_for(data, tmp_path / "own.py", point))
        kinds.add(sharing.Point(opened, opened.built(0)).kind.name)
    assert len(kinds) == 2


@pytest.mark.parametrize("folds", cases([2, 7, 20], [], [7]))
def test_folds_of_uneven_size_give_the_same_numbers_in_lockstep_and_one_by_one(
    data, tmp_path, folds
):
    # The optimizer counts its steps; 20 folds are more than one lockstep takes.
    model = written(tmp_path, MLP.replace("SGD(a)", "Adam(a)"))
    common = {"validation": {"method": "kfold", "folds": folds}}
    together, alone = Trainer(), Trainer()
    for repetitions in ((0, 1), (1,)):
        request = request_of(data, model, 0.1, repetitions=repetitions, **common)
        record = together.run(request)
        single = alone.run(changed(request, lockstep=False))
        assert record.engine == "lockstep"
        assert single.engine == "one by one"
        assert len(record.trainings) == folds * len(repetitions)
        for one, other in zip(record.trainings, single.trainings, strict=True):
            assert (one.repetition, one.fold) == (other.repetition, other.fold)
            assert_close(one.history, other.history)
    assert len(alone.graphs) == 1
    if folds == 7:  # the measure takes a second a training
        fresh = request_of(data, model, 0.1, engine="keras", repetitions=(1,), **common)
        for one, other in zip(record.trainings, Trainer().run(fresh).trainings, strict=True):
            assert_close(one.history, other.history)


@pytest.mark.parametrize("limit", ["MAX_LOCKSTEP_PARAMETERS", "MAX_LOCKSTEP_OPERATIONS"])
def test_a_network_that_keeps_a_core_busy_trains_one_by_one(data, tmp_path, monkeypatch, limit):
    model = written(tmp_path, MLP)
    assert Trainer().run(request_of(data, model, 0.1)).engine == "lockstep"
    monkeypatch.setattr(sharing, limit, 10)
    record = Trainer().run(request_of(data, model, 0.1))
    assert record.engine == "one by one"
    assert record.why_not_lockstep == "a step of this network keeps a core busy by itself"


def test_a_network_that_reads_values_trains_by_model_fit(data, tmp_path):
    before = """
class Net(keras.Model):
    def __init__(self, outputs):
        super().__init__()
        self.last = layers.Dense(outputs, activation="softmax")
    def call(self, x):
        return self.last(x if float(ops.sum(x)) > 1e9 else a_half * x)
a_half = 0.5
"""
    body = """
    model = Net(outputs)
    model.compile("sgd", "categorical_crossentropy", metrics=["mse"], run_eagerly=True)
    return model"""
    model = written(tmp_path, body, before)
    with pytest.raises(ModelError, match=r"cannot do run_eagerly; set `trainer: {engine: keras}`"):
        Trainer().run(request_of(data, model, 0.1))
    record = Trainer().run(request_of(data, model, 0.1, engine="keras"))
    losses = record.trainings[0].history["loss"]
    assert losses[1] < losses[0]


def test_a_wrong_stacked_twin_is_found_before_it_trains(data, tmp_path, monkeypatch, capsys):
    right = Trainer().run(request_of(data, written(tmp_path, MLP), 0.1, lockstep=False))
    plain = StackedDense.call
    monkeypatch.setattr(StackedDense, "call", lambda self, x: 1.01 * plain(self, x))
    record = Trainer().run(request_of(data, written(tmp_path, MLP), 0.1))
    assert record.engine == "one by one"
    assert record.why_not_lockstep.startswith("in a check, a step in lockstep")
    assert "please report this with the model file" in capsys.readouterr().out
    for one, other in zip(record.trainings, right.trainings, strict=True):
        assert one.history == other.history


@pytest.mark.parametrize("rates", [(0.5, 0.0), (0.0, 0.5)])
def test_a_wrong_mask_is_found_beside_a_point_without_masks(data, tmp_path, monkeypatch, rates):
    body = "return compiled(chain(input_shape, outputs, layers.Dropout(a), layers.Dense(4)))"
    plain = twins._uniform
    monkeypatch.setattr(twins, "_uniform", lambda shape, seed: 1 - plain(shape, seed))
    first, other = (request_of(data, written(tmp_path, body), rate) for rate in rates)
    trainer = Trainer()
    records = [trainer.run(first, [other]), trainer.run(other)]
    masked = records[rates.index(0.5)]
    assert masked.engine == "one by one"


def test_networks_that_share_a_metric_are_checked_rightly(data, tmp_path, capsys):
    body = (
        "return compiled(chain(input_shape, outputs, layers.Dense(4)), "
        "keras.optimizers.SGD(a), [MAE])"
    )
    model = written(tmp_path, body, "MAE = keras.metrics.MeanAbsoluteError()")
    trainer = Trainer()
    for rate in (0.1, 0.2):
        assert trainer.run(request_of(data, model, rate)).engine == "lockstep"
    assert "please report" not in capsys.readouterr().out


def test_a_wrong_kept_graph_is_found_before_it_trains(data, tmp_path, monkeypatch, capsys):
    """Simulates that the graph wrongly takes the regularizer's strength as data."""
    body = (
        "return compiled(chain(input_shape, outputs, layers.Dense(4, kernel_regularizer="
        "keras.regularizers.L2(a))), keras.optimizers.SGD(a))"
    )
    model = written(tmp_path, body)
    right = Trainer().run(request_of(data, model, 0.2))

    def blind(model):
        return replace(structure.structure_of(model), digest="alike")

    for module in (points, sharing):
        monkeypatch.setattr(module, "structure_of", blind)
    warm = Trainer()
    warm.run(request_of(data, model, 0.1))
    capsys.readouterr()
    record = warm.run(request_of(data, model, 0.2))
    assert "a kept graph fails with another learning rate" in capsys.readouterr().out
    for one, other in zip(record.trainings, right.trainings, strict=True):
        assert one.history == other.history


def test_random_numbers_that_a_step_draws_with_numpy_are_refused(data, tmp_path):
    body = """
    model = compiled(chain(input_shape, outputs))
    plain = model.layers[-1].call
    model.layers[-1].call = lambda x, training=False: plain(x + np.random.normal())
    return model"""
    model = written(tmp_path, body)
    with pytest.raises(ModelError, match=r"draws with NumPy.*set `trainer: {engine: keras}`"):
        Trainer().run(request_of(data, model, 0.1))
    assert Trainer().run(request_of(data, model, 0.1, engine="keras")).trainings
