"""Promises of the trainer: sharing graphs between points changes no number and leaks no memory."""

from __future__ import annotations

import subprocess
import sys
from dataclasses import replace

import keras
import numpy as np
import pytest

from gridloom.engines.types import Fitted
from gridloom.errors import ModelError
from gridloom.naming.points import point_path
from gridloom.networks.model_file import load_model_file
from gridloom.records import read_record, write_record
from gridloom.study.seeds import STREAMS, training_seeds
from gridloom.training import sharing
from gridloom.training.trainer import Trainer, _training_result
from tests.made_requests import (
    POINTS,
    ROOT,
    changed,
    histories,
    request_of,
)

#: Only the dense layers of this network have twins.
WITHOUT_TWINS = """
import keras

def build_model(input_shape, outputs, *, dropout: float, learning_rate: float, **rest):
    model = keras.Sequential([
        keras.Input(input_shape),
        keras.layers.Dropout(dropout),
        keras.layers.UnitNormalization(),
        keras.layers.Dense(outputs, activation="softmax"),
    ])
    model.compile(keras.optimizers.SGD(learning_rate), "categorical_crossentropy",
                  metrics=["categorical_accuracy"])
    return model
"""

#: Convolves a row of 30 numbers as a picture, which oneDNN computes.
CONVOLVES = """
import keras

def build_model(input_shape, outputs, *, learning_rate: float, **rest):
    model = keras.Sequential([
        keras.Input(input_shape),
        keras.layers.Reshape((6, 5, 1)),
        keras.layers.Conv2D(8, 3, activation="relu"),
        keras.layers.Conv2D(4, 2, activation="relu"),
        keras.layers.Flatten(),
        keras.layers.Dense(outputs, activation="softmax"),
    ])
    model.compile(keras.optimizers.SGD(learning_rate), "categorical_crossentropy")
    return model
"""

#: Weights from TensorFlow's own generator, which Python's and NumPy's seeds do not affect.
DRAWS_ELSEWHERE = """
import keras
import tensorflow as tf

def start(shape, dtype=None):
    return tf.random.normal(shape, dtype=dtype)

def build_model(input_shape, outputs, **rest):
    model = keras.Sequential([
        keras.Input(input_shape),
        keras.layers.Dense(outputs, activation="softmax", kernel_initializer=start),
    ])
    model.compile("sgd", "categorical_crossentropy", metrics=["categorical_accuracy"])
    return model
"""


def test_points_that_share_a_graph_have_the_numbers_of_fresh_graphs(data):
    shared = Trainer()
    forth = [histories(shared.run(request_of(data, **point))) for point in POINTS]
    back = [histories(shared.run(request_of(data, **point))) for point in reversed(POINTS)]
    assert forth == back[::-1]
    assert len(shared.graphs) == 2  # two numbers of units
    for place in (0, 9, 23):
        assert histories(Trainer().run(request_of(data, **POINTS[place]))) == forth[place]


def test_points_of_a_job_train_in_the_same_lanes_with_the_numbers_of_each_alone(data, monkeypatch):
    requests = [request_of(data, **point) for point in POINTS]
    trainer = Trainer()
    alone = [histories(trainer.run(request)) for request in requests]
    fits = []
    together = sharing.SharedGraphs._fit_lanes
    monkeypatch.setattr(
        sharing.SharedGraphs,
        "_fit_lanes",
        lambda graphs, shares, kept: fits.append(len(shares)) or together(graphs, shares, kept),
    )
    trainer = Trainer()
    beside = [
        histories(trainer.run(request, requests[place + 1 :]))
        for place, request in enumerate(requests)
    ]
    assert beside == alone
    # Of a number of units and a batch size, there are six points; 12 trainings fit into the lanes.
    assert fits == [6] * 4


def test_a_point_of_a_job_that_fails_costs_the_others_nothing(data):
    points = [{"units": 2}, {"units": -1}, {"units": 2, "learning_rate": 0.5}]
    requests = [request_of(data, **point) for point in points]
    trainer = Trainer()
    first = trainer.run(requests[0], requests[1:])
    with pytest.raises(ModelError, match="units=-1"):
        trainer.run(requests[1], requests[2:])
    last = trainer.run(requests[2])
    assert [histories(first), histories(last)] == [
        histories(Trainer().run(requests[place])) for place in (0, 2)
    ]


def test_lockstep_and_one_by_one_agree_and_the_record_says_which(data):
    together = Trainer().run(request_of(data, repetitions=(0, 1, 2)))
    alone = Trainer().run(request_of(data, repetitions=(0, 1, 2), lockstep=False))
    assert together.engine == "lockstep"
    assert alone.engine == "one by one"
    for one, other in zip(histories(together), histories(alone), strict=True):
        for name in one:
            np.testing.assert_allclose(one[name], other[name], atol=1e-5)


def test_packing_repetitions_into_blocks_changes_nothing(data):
    whole = histories(Trainer().run(request_of(data, repetitions=(0, 1, 2))))
    assert histories(Trainer().run(request_of(data, repetitions=(2,)))) == whole[2:]


def test_a_network_without_twins_keeps_its_own_dropout_rate(data, tmp_path):
    model = tmp_path / "net.py"
    model.write_text(WITHOUT_TWINS)
    trainer = Trainer()
    shared = [trainer.run(request_of(data, model, dropout=rate)) for rate in (0.1, 0.8)]
    fresh = [Trainer().run(request_of(data, model, dropout=rate)) for rate in (0.1, 0.8)]
    assert list(map(histories, shared)) == list(map(histories, fresh))
    assert histories(shared[0]) != histories(shared[1])
    assert shared[0].engine == "one by one"


def test_convolutions_have_the_same_bits_in_any_order_of_points(data, tmp_path):
    model = tmp_path / "net.py"
    model.write_text(CONVOLVES)
    requests = [request_of(data, model, learning_rate=r, batch_size=b) for r, b in CONVOLVED]
    shared = Trainer()
    forth = [histories(shared.run(request)) for request in requests]
    back = [histories(shared.run(request)) for request in reversed(requests)]
    assert forth == back[::-1]
    assert histories(Trainer().run(requests[-1])) == forth[-1]
    alone = [Trainer().run(replace(requests[0], repetitions=(place,))) for place in (1, 0)]
    assert [one for record in alone for one in histories(record)] == forth[0][::-1]
    assert shared.run(requests[0]).machine.onednn


#: Learning rates and batch sizes.
CONVOLVED = ((0.1, 32), (0.1, 50), (0.01, 32))


def test_weights_from_tensorflows_generator_are_seeded(data, tmp_path):
    model = tmp_path / "net.py"
    model.write_text(DRAWS_ELSEWHERE)
    records = [Trainer().run(request_of(data, model)) for _ in range(2)]
    assert histories(records[0]) == histories(records[1])
    first, second = histories(records[0])
    assert first != second


def test_a_changed_model_file_is_read_again(data, tmp_path):
    model = tmp_path / "net.py"
    model.write_text(WITHOUT_TWINS)
    trainer = Trainer()
    before = trainer.run(request_of(data, model))
    model.write_text(WITHOUT_TWINS.replace("UnitNormalization()", "Dense(3)"))
    after = trainer.run(request_of(data, model))
    assert before.parameters != after.parameters


def test_a_diverging_training_is_a_result(data, tmp_path):
    record = Trainer().run(request_of(data, learning_rate=1e6, epochs=5, units=32))
    assert {training.status for training in record.trainings} == {"diverged"}
    assert None in histories(record)[0]["loss"]
    path = tmp_path / "points" / "5" / point_path(record.hyperparameters) / "reps=0-1.json"
    write_record(path, record)
    assert read_record(path) == record


def test_an_infinite_final_validation_loss_is_a_divergence():
    curves = {
        "loss": np.float32([0.5, 0.4]),
        "val_loss": np.float32([np.inf, 0.6]),
        "val_accuracy": np.float32([0.5, 0.6]),
    }
    seeds = training_seeds(0, 0, STREAMS)
    status = [_training_result(0, 0, seeds, Fitted(curves, epoch), 0.0).status for epoch in (0, 1)]
    assert status == ["diverged", "ok"]  # infinite on the way, it recovered


@pytest.mark.slow
def test_memory_does_not_grow_from_50_to_500_trainings(tmp_path):
    """The trainings run in a separate process, whose memory nothing else changes."""
    code = f"""
import sys, os
sys.path.insert(0, {str(ROOT)!r})
from pathlib import Path
from tests.made_requests import make_data
from tests.made_requests import POINTS, request_of
from gridloom.training import sharing
from gridloom.training.trainer import Trainer
data = Path({str(tmp_path)!r})
make_data(data, "builtin:breast_cancer")
trainer, done = Trainer(), 0
def memory():
    return int(Path("/proc/self/statm").read_text().split()[1])
while done < 500:
    point = POINTS[done // 5 % 4]
    trainer.run(request_of(data, repetitions=tuple(range(5)), **point))
    done += 5
    if done == 50:
        early = memory()
print(early, memory())
"""
    done = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, check=True, cwd=ROOT
    )
    early, late = map(int, done.stdout.split()[-2:])
    assert late < 1.1 * early, (early, late)


#: A model file that only the keras engine trains, with a name for each of its parts.
OWN_PARTS = """
import keras
from keras import ops

def soft(x):
    return ops.log(1 + ops.exp(x))

def error(targets, outputs):
    return ops.mean((targets - outputs) ** 2, axis=-1)

custom_objects = {"soft": soft, "error": error}

def callbacks(hyperparameters):
    assert hyperparameters["epochs"] == 3
    return [keras.callbacks.LearningRateScheduler(lambda epoch: 0.5 ** epoch)]

def build_model(input_shape, outputs, *, activation, **rest):
    model = keras.Sequential([
        keras.Input(input_shape),
        keras.layers.Dense(4, activation=activation),
        keras.layers.Dense(outputs, activation="softmax"),
    ])
    model.compile("sgd", "error", metrics=["error"])
    return model
"""


@pytest.mark.slow
def test_the_keras_engine_trains_every_repetition_and_fold(data, tmp_path):
    model = tmp_path / "net.py"
    model.write_text(OWN_PARTS)
    request = changed(
        request_of(data, model, activation="soft"),
        engine="keras",
        validation={"method": "kfold", "folds": 2},
    )
    record = Trainer().run(request)
    assert (record.engine, record.built) == ("keras", None)
    assert [(one.repetition, one.fold) for one in record.trainings] == [
        (0, 0),
        (0, 1),
        (1, 0),
        (1, 1),
    ]
    for history in histories(record):
        assert history["learning_rate"] == [1.0, 0.5, 0.25]
        assert history["val_loss"] == pytest.approx(history["val_error"])
    assert histories(Trainer().run(request)) == histories(record)


@pytest.mark.slow
def test_both_engines_give_the_same_curves_and_weights_in_their_records(data):
    for point in ({"dropout": 0.3}, {"early_stopping_patience": 1, "learning_rate": 1.0}):
        request = request_of(data, **point)
        compiled = Trainer().run(request)
        keras_own = Trainer().run(changed(request, engine="keras"))
        for one, other in zip(compiled.trainings, keras_own.trainings, strict=True):
            assert one.restored_epoch == other.restored_epoch
            for name, values in one.history.items():
                np.testing.assert_allclose(values, other.history[name], rtol=0, atol=1e-5)


def test_losses_that_differ_outside_their_configuration_share_no_graph(data, tmp_path):
    model = tmp_path / "net.py"
    model.write_text(
        "import keras\n"
        "def build_model(input_shape, outputs, *, units: float, **rest):\n"
        "    model = keras.Sequential([keras.Input(input_shape), keras.layers.Dense(outputs)])\n"
        "    model.compile('sgd', keras.losses.Huber(delta=units))\n"
        "    return model\n"
    )
    shared = Trainer()
    for delta in (0.01, 10):
        record = shared.run(request_of(data, model, units=delta))
        assert histories(record) == histories(Trainer().run(request_of(data, model, units=delta)))


CALLBACKS = {
    "raises": ("raise KeyError('depth')", r"callbacks\(hyperparameters\) raised KeyError.*line 2"),
    "returns None": ("pass", "returned NoneType; return a list of keras.callbacks.Callback"),
    "returns others": ("return [1]", "returned a list that holds a int; return a list of"),
}


@pytest.mark.parametrize("name", CALLBACKS)
def test_wrong_callbacks_are_refused(data, tmp_path, name):
    body, message = CALLBACKS[name]
    model = tmp_path / "net.py"
    model.write_text(f"def callbacks(hyperparameters):\n    {body}\n{WITHOUT_TWINS}")
    with pytest.raises(ModelError, match=message):
        Trainer().run(changed(request_of(data, model), engine="keras"))


def test_callbacks_that_appear_only_at_run_time_are_refused(data, tmp_path):
    model = tmp_path / "net.py"
    model.write_text(f"globals()['callbacks'] = lambda point: []\n{WITHOUT_TWINS}")
    with pytest.raises(ModelError, match=r"only model\.fit calls; set `trainer: {engine: keras}`"):
        Trainer().run(request_of(data, model))


@pytest.mark.parametrize(
    ("custom_objects", "message"),
    [
        ("dict(soft=max).keys()", "`custom_objects` is a dict_keys; make it a dict"),
        ("dict(relu=max)", "has 'relu', which Keras has too; rename it"),
    ],
)
def test_wrong_custom_objects_are_refused(tmp_path, custom_objects, message):
    model = tmp_path / "net.py"
    model.write_text(f"custom_objects = {custom_objects}\n{WITHOUT_TWINS}")
    with pytest.raises(ModelError, match=message):
        load_model_file(model)


def test_custom_objects_are_removed_when_another_model_file_is_loaded(tmp_path):
    model = tmp_path / "net.py"
    model.write_text(OWN_PARTS)
    load_model_file(model)
    assert callable(keras.activations.get("soft"))
    model.write_text(WITHOUT_TWINS)
    load_model_file(model)
    assert "soft" not in keras.saving.get_custom_objects()
    with pytest.raises(ValueError, match="soft"):
        keras.activations.get("soft")


def test_a_training_without_a_loss_is_refused(data, tmp_path):
    model = tmp_path / "net.py"
    model.write_text(
        "import keras\n"
        "class Own(keras.Sequential):\n"
        "    def train_step(self, data):\n"
        "        return {'error': super().train_step(data)['loss']}\n"
        "def build_model(input_shape, outputs, **rest):\n"
        "    model = Own([keras.Input(input_shape), keras.layers.Dense(outputs)])\n"
        "    model.compile('sgd', 'mse')\n"
        "    return model\n"
    )
    with pytest.raises(ModelError, match=r"train_step returns no 'loss' \(but error, val_loss\)"):
        Trainer().run(changed(request_of(data, model), engine="keras"))


def test_a_setting_of_keras_in_a_point_ahead_does_not_reach_this_one(data, tmp_path):
    file = tmp_path / "policies.py"
    file.write_text(
        (ROOT / "models" / "mlp.py")
        .read_text()
        .replace("    model = ", "    keras.config.set_dtype_policy(policy)\n    model = ", 1)
        .replace("units: int", "policy: str, units: int", 1)
    )
    requests = [
        request_of(data, file, policy=policy, learning_rate=rate)
        for policy, rate in [("float32", 0.1), ("mixed_float16", 0.1), ("float32", 0.2)]
    ]
    beside = Trainer().run(requests[0], requests[1:])
    assert beside.engine == "lockstep"
    assert histories(beside) == histories(Trainer().run(requests[0]))
