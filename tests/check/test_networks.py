"""Promises of the check of networks: each mistake of a model file is found without a training."""

from __future__ import annotations

from dataclasses import replace

import pytest

from gridloom.check.findings import Findings
from gridloom.check.networks import EPOCHS, check, write_findings
from gridloom.naming.points import point_path
from tests.made_requests import ROOT, changed, request_for, request_of

HEAD = '"""A network."""\nimport keras\nimport tensorflow as tf\nfrom keras import layers\n\n'

BUILD = "def build_model(input_shape, outputs, *, units: int):\n"

#: Lines that a network has between its input and its output; its loss; its other arguments.
NETWORK = """    model = keras.Sequential([keras.Input(input_shape), {layers}])
    model.compile({compile})
    return model
"""

OUT = "layers.Dense(outputs, activation='softmax')"
COMPILE = "'sgd', 'categorical_crossentropy', metrics=['accuracy']"


def network(layers=OUT, compile=COMPILE, before=""):
    return HEAD + before + BUILD + NETWORK.format(layers=layers, compile=compile)


#: A model file, changes to the point or the request → what the cause must hold.
MISTAKES = {
    "a misspelt objective": (
        network(),
        {"objective": "val_acuracy"},
        "objective.metric: there is no 'val_acuracy' (did you mean 'val_accuracy'?)",
    ),
    "a misspelt metric to monitor": (
        network(),
        {"early_stopping_patience": 2, "early_stopping_monitor": "val_acc"},
        "early_stopping_monitor: there is no metric 'val_acc'",
    ),
    "a metric without a direction to monitor": (
        network(
            compile="'sgd', 'categorical_crossentropy', metrics=[mine]",
            before="def mine(y_true, y_pred):\n    return tf.reduce_sum(y_pred)\n\n",
        ),
        {"early_stopping_patience": 2, "early_stopping_monitor": "val_mine"},
        "Keras does not say whether more or less of val_mine is better; monitor val_loss",
    ),
    "a metric of several numbers": (
        network(compile="'sgd', 'categorical_crossentropy', metrics=[keras.metrics.F1Score()]"),
        {},
        "the metric f1_score gives 2 numbers; choose an average",
    ),
    "a misspelt activation": (
        network(layers=f"layers.Dense(units, 'rellu'), {OUT}"),
        {},
        "Could not interpret activation function identifier: rellu",
    ),
    "a misspelt optimizer": (
        network(compile="'addam', 'mse'"),
        {},
        "Could not interpret optimizer identifier: addam",
    ),
    "a misspelt metric": (
        network(compile="'sgd', 'mse', metrics=['acuracy']"),
        {},
        "Could not interpret metric identifier: acuracy",
    ),
    "no units": (
        network(layers=f"layers.Dense(0), {OUT}"),
        {},
        "expected a positive integer. Received: units=0",
    ),
    "too much dropout": (network(layers=f"layers.Dropout(1.5), {OUT}"), {}, "between 0 and 1"),
    "images of rows": (
        network(layers=f"layers.Conv2D(4, 3), {OUT}"),
        {},
        "of layer 'conv2d' is incompatible",
    ),
    "a kernel larger than the rows": (
        network(layers=f"layers.Reshape((30, 1)), layers.Conv1D(4, 40), {OUT}"),
        {},
        "raised ValueError",
    ),
    "another shape": (network(layers=f"layers.Reshape((7, 7)), {OUT}"), {}, "raised ValueError"),
    "one output for each row of several": (
        network(layers="layers.Reshape((30, 1)), layers.Dense(outputs)"),
        {},
        "where (rows, outputs) is needed; flatten or pool before the last Dense layer",
    ),
    "an output of another width": (
        network(layers="layers.Dense(5)"),
        {},
        "its output has 5 columns, the data 2 classes; end with Dense(outputs)",
    ),
    "a loss that raises": (
        network(
            compile="'sgd', mine",
            before="def mine(y_true, y_pred):\n    raise TypeError('no such loss')\n\n",
        ),
        {},
        "its test_step raised TypeError: no such loss",
    ),
    "run_eagerly": (
        network(compile=f"{COMPILE}, run_eagerly=True"),
        {},
        "the compiled fit cannot do run_eagerly; set `trainer: {engine: keras}`",
    ),
    "a state between batches": (
        network(layers=f"layers.Reshape((30, 1)), layers.GRU(2, stateful=True), {OUT}").replace(
            "keras.Input(input_shape)", "keras.Input(batch_shape=(8, *input_shape))"
        ),
        {},
        "the compiled fit cannot do the stateful layer",
    ),
    "a batch size of the network's own": (
        network().replace("keras.Input(input_shape)", "keras.Input(batch_shape=(8, *input_shape))"),
        {},
        "the compiled fit cannot do an input with a fixed batch size (8)",
    ),
    "callbacks for the compiled fit": (
        network() + "\n\ndef callbacks(hyperparameters):\n    return []\n",
        {},
        "defines `callbacks`, which only model.fit calls; set `trainer: {engine: keras}`",
    ),
    "a module that is not there": (
        network().replace("import keras\n", "import kears\n", 1),
        {},
        "No module named 'kears'",
    ),
    "a layer that is not there": (
        network(layers="layers.Dens(outputs)"),
        {},
        "has no attribute 'Dens'",
    ),
    "no compile": (
        network().replace(f"    model.compile({COMPILE})\n", ""),
        {},
        "returned a model that is not compiled",
    ),
}


@pytest.fixture
def request_of_file(data, tmp_path):
    """Return what makes a request for a network of its own."""

    def make(text, units=4, **changes):
        file = tmp_path / "own.py"
        file.write_text(text)
        knobs = {name: changes.pop(name) for name in list(changes) if name.startswith("early")}
        point = {"units": units, "batch_size": 64, "epochs": 2, **knobs}
        return changed(request_for(data, file, point), **changes)

    return make


def named(requests):
    return {point_path(request.hyperparameters): request for request in requests}


@pytest.mark.parametrize("name", MISTAKES)
def test_a_mistake_is_found_before_any_training(request_of_file, name):
    text, changes, expected = MISTAKES[name]
    found = check(named([request_of_file(text, **changes)]), timed=False)
    (cause,) = found.failed.values()
    assert expected in cause
    assert found.engines == {}
    # As one message, never as a traceback.
    assert "Traceback" not in cause


def test_networks_that_can_train_have_an_engine_and_the_others_a_cause(request_of_file):
    text = network(layers="*([layers.UnitNormalization()] * (units == 8)), " + OUT).replace(
        "    model = ", "    if units < 0:\n        raise ValueError('too few')\n    model = "
    )
    requests = [request_of_file(text, units=units) for units in (4, -1, 8)]
    # The files are read as they are now.
    requests = [replace(requests[-1], hyperparameters=one.hyperparameters) for one in requests]
    paths = [point_path(one.hyperparameters) for one in requests]
    found = check(named(requests), timed=True)
    assert list(found.failed) == [paths[1]]
    assert not found.costs  # so that the mistake is reported at once
    assert found.engines == {paths[0]: "lockstep", paths[2]: "one by one"}
    assert found.one_by_one == {paths[2]: "the layer UnitNormalization has no stacked twin"}


def test_if_the_first_point_fails_the_others_are_checked_from_one_that_can_train(request_of_file):
    text = (
        network()
        .replace("*, units: int", "*, units: int, depth: int")
        .replace(
            "    model = ",
            "    if units < 0 or depth < 0:\n        raise ValueError('too few')\n    model = ",
        )
    )
    made = request_of_file(text)
    requests = [
        replace(made, hyperparameters={**made.hyperparameters, "units": units, "depth": depth})
        for units in (-1, 1)
        for depth in (1, -1, 2)
    ]
    found = check(named(requests), timed=False)
    good = {point_path(one.hyperparameters) for one in requests[3:] if one is not requests[4]}
    assert set(found.engines) == good
    assert point_path(requests[4].hyperparameters) in found.failed


def test_an_inspection_says_what_a_training_does(data):
    from gridloom.training.trainer import Trainer

    trainer = Trainer()
    for settings in ({}, {"lockstep": False}):
        request = request_of(data, **settings)
        found = trainer.inspect(request)
        record = trainer.run(request)
        assert (found.engine, found.why_not_lockstep) == (record.engine, record.why_not_lockstep)
    by_keras = changed(request_of(data), engine="keras")
    assert trainer.inspect(by_keras).engine == "keras"


def test_epochs_are_timed_and_the_size_of_a_record_is_estimated(data, tmp_path):
    from gridloom.records import write_record
    from gridloom.training.trainer import Trainer

    request = request_of(data, epochs=40)
    found = check(named([request]), timed=True)
    (cost,) = found.costs.values()
    # The difference of two fits, which a loaded machine may hide.
    assert cost.start_seconds + cost.epoch_seconds > 0
    assert found.memory_mb > 100
    file = tmp_path / "record.json"
    write_record(file, Trainer().run(request))
    assert cost.record_bytes == pytest.approx(file.stat().st_size, rel=0.2)
    assert max(EPOCHS) < 40


def test_a_task_writes_findings_that_can_be_read_again(data, tmp_path):
    request = request_of(data)
    file = tmp_path / "findings.json"
    write_findings(
        [point_path(request.hyperparameters)],
        setup=request.setup.as_json(),
        repetitions=[0, 1],
        objective="val_categorical_accuracy",
        lockstep=True,
        rows_file=str(request.rows_file),
        split_file=str(request.split_file),
        model_file=str(ROOT / "models" / "mlp.py"),
        timed=True,
        findings=str(file),
    )
    found = Findings.read(file)
    assert found.points == (point_path(request.hyperparameters),)
    assert found.failed == {}
    found.write(tmp_path / "again.json")
    assert Findings.read(tmp_path / "again.json") == found
