"""Promises of the baselines: the networks' rows, weights and metric, and a limit of time."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pandas as pd
import pytest

from gridloom.baselines import fits
from gridloom.baselines.fits import Work, predict
from gridloom.baselines.keras_metric import KerasMetric
from gridloom.baselines.measure import measure_baselines
from gridloom.data.description import SplitDescription
from gridloom.data.preparation import PreparedRows, prepare, training_rows, validation_parts
from gridloom.data.rows import Rows
from gridloom.data.split import split_rows
from gridloom.networks.build import build
from gridloom.networks.model_file import load_model_file
from gridloom.networks.targets import encode_target
from gridloom.study.dataset import Dataset, Split
from gridloom.study.seeds import training_seeds
from tests.made_requests import request_for, write_parts

BASELINES = ("dummy", "linear", "boosting")

MODEL = """
import keras

{more}
def build_model(input_shape, outputs, *, units):
    model = keras.Sequential([keras.Input(input_shape), {last}])
    model.compile("sgd", loss={loss}, metrics=[{metrics}])
    return model
"""

KNOBS = {"batch_size": 16, "epochs": 1, "units": 2}


class Study:
    """Made rows in a folder, whose second feature determines the target."""

    def __init__(self, folder, task="classification", targets="y"):
        self.folder = folder
        dataset = Dataset(source="mine.parquet", task=task, target=targets)
        x = np.random.default_rng(1).normal(3, 2, size=(120, 3))
        if task == "classification":
            target = np.where(x[:, 1] > 2, "yes", "no").astype(object)
        else:
            target = ((x > 3) if task == "multilabel" else 1000 * x)[:, :2].astype(np.float32)
            target = target[:, : len(targets) if isinstance(targets, list) else 1]
        rows = Rows(pd.DataFrame(x, columns=list("abc")), target)
        write_parts(folder, *split_rows(rows, dataset, Split(test=0.2)), dataset)

    def request(self, objective, last, loss, metrics="", more="", **settings):
        model = self.folder / "mine.py"
        model.write_text(MODEL.format(last=last, loss=loss, metrics=metrics, more=more))
        return request_for(self.folder, model, KNOBS, objective=objective, **settings)

    def measure(self, *model, baselines=("dummy", "linear"), **settings):
        return measure_baselines(baselines, self.request(*model, **settings))


SOFTMAX = 'keras.layers.Dense(outputs, activation="softmax")'


@pytest.fixture(scope="module")
def study(tmp_path_factory):
    return Study(tmp_path_factory.mktemp("study"))


def test_each_baseline_has_a_row_for_each_repetition(study):
    model = ("val_accuracy", SOFTMAX, '"categorical_crossentropy"', '"accuracy"')
    table = study.measure(*model, baselines=BASELINES)
    assert table["baseline"].tolist() == [name for name in BASELINES for _ in range(2)]
    assert table["repetition"].tolist() == [0, 1] * 3
    mean = table.groupby("baseline")["val_accuracy"].mean()
    assert 0.5 < mean["dummy"] < 0.8
    assert mean["linear"] > 0.85
    assert mean["boosting"] > 0.85
    assert table["rows_fitted"].equals(table["rows"])
    assert (table["note"] == "").all()


def test_the_dummy_is_right_on_the_commonest_class_of_the_networks_validation_rows(study):
    weights = {"no": 9.0, "yes": 0.1}
    model = ("val_accuracy", SOFTMAX, '"categorical_crossentropy"', '"accuracy"')
    table = study.measure(*model, class_weight=weights)
    description = SplitDescription.read(study.folder / "split.json")
    rows = training_rows(study.folder / "train.parquet", description)
    expected = []
    for repetition in (0, 1):
        seed = training_seeds(0, repetition, ("validation",)).validation
        ((fit, held),) = validation_parts(rows, {"method": "holdout", "fraction": 0.25}, seed)
        commonest = np.bincount(rows.target[fit]).argmax()
        expected.append((rows.target[held] == commonest).mean())
    dummy = table[table["baseline"] == "dummy"]["val_accuracy"]
    assert dummy.tolist() == pytest.approx(expected)


@pytest.mark.parametrize(
    ("last", "loss"),
    [
        (SOFTMAX, '"categorical_crossentropy"'),
        ("keras.layers.Dense(outputs)", "keras.losses.CategoricalCrossentropy(from_logits=True)"),
        (SOFTMAX, '"sparse_categorical_crossentropy"'),
        ('keras.layers.Dense(1, activation="sigmoid")', '"binary_crossentropy"'),
        ("keras.layers.Dense(1)", "keras.losses.BinaryCrossentropy(from_logits=True)"),
        (SOFTMAX[:-1] + ', kernel_regularizer="l2")', '"categorical_crossentropy"'),
    ],
)
def test_the_loss_is_the_same_whatever_form_the_outputs_have(study, last, loss):
    plain = study.measure("val_loss", SOFTMAX, '"categorical_crossentropy"')
    other = study.measure("val_loss", last, loss)
    np.testing.assert_allclose(other["val_loss"], plain["val_loss"], rtol=1e-3)


def test_a_metric_is_what_the_network_itself_would_get_for_these_outputs(tmp_path):
    study = Study(tmp_path, "regression", "y")
    metrics = '"mae", keras.metrics.RootMeanSquaredError(name="off")'
    request = study.request(
        "val_off", "keras.layers.Dense(outputs)", '"mse"', metrics, target="standard"
    )
    table = measure_baselines(("linear", "dummy"), request)
    dummy = table[table["baseline"] == "dummy"]["val_off"]
    assert dummy.between(1000, 3000).all()  # the deviation of the target is 2000
    assert (table[table["baseline"] == "linear"]["val_off"] < 200).all()


def test_several_labels_and_several_numbers_are_predicted(tmp_path):
    (tmp_path / "labels").mkdir()
    labels = Study(tmp_path / "labels", "multilabel", ["tall", "wide"])
    last = 'keras.layers.Dense(outputs, activation="sigmoid")'
    model = ("val_binary_accuracy", last, '"binary_crossentropy"', '"binary_accuracy"')
    table = labels.measure(*model, baselines=BASELINES)
    mean = table.groupby("baseline")["val_binary_accuracy"].mean()
    assert mean["dummy"] < 0.75 < min(mean["linear"], mean["boosting"])
    numbers = Study(tmp_path, "regression", ["height", "width"])
    model = ("val_loss", "keras.layers.Dense(outputs)", '"mae"')
    table = numbers.measure(*model, baselines=BASELINES, target="standard")
    mean = table.groupby("baseline")["val_loss"].mean()
    assert mean["linear"] < 0.1 < mean["boosting"] < 0.5 < mean["dummy"]


def test_the_score_of_a_repetition_is_the_mean_over_its_folds(study):
    model = ("val_accuracy", SOFTMAX, '"categorical_crossentropy"', '"accuracy"')
    validation = {"method": "kfold", "folds": 4}
    table = study.measure(*model, validation=validation, repetitions=(0,))
    assert len(table) == 2
    assert table["rows"].iloc[0] == 72
    # With k folds, all rows validate once.
    rows = training_rows(
        study.folder / "train.parquet", SplitDescription.read(study.folder / "split.json")
    )
    assert table["val_accuracy"].iloc[0] == pytest.approx(
        np.bincount(rows.target).max() / len(rows.target), abs=0.02
    )


OWN = "def own(y, p): return keras.ops.mean((y - p) ** 2, axis=-1)\n"

CURVES = "def input_pipeline(rows, training, hyperparameters): return rows\n"


@pytest.mark.parametrize(
    ("objective", "loss", "more", "note"),
    [
        ("val_loss", "own", OWN, "it is not known what its outputs mean"),
        ("val_loss", '"mse"', CURVES, "`input_pipeline` changes the rows before the networks see"),
        ("loss", '"mse"', "", "loss is not measured on validation rows"),
    ],
)
def test_the_table_says_why_nothing_can_be_measured(study, objective, loss, more, note):
    table = study.measure(objective, SOFTMAX, loss, more=more)
    assert table["baseline"].tolist() == ["dummy", "linear"]
    assert table["note"].str.contains(note).all()
    assert table[objective].isna().all()


def test_a_note_says_that_a_metric_that_only_the_fit_knows_is_not_a_number(study):
    table = study.measure("val_rate", SOFTMAX, '"categorical_crossentropy"')
    assert (table["note"] == "its val_rate is not a number").all()


def prepared(rows=400, columns=5, classes=2):
    generator = np.random.default_rng(0)
    x = generator.normal(size=(rows, columns)).astype(np.float32)
    y = generator.integers(classes, size=rows)
    return PreparedRows(x, y, np.ones(rows, np.float32), x[:9], y[:9])


def test_a_large_table_is_fitted_on_a_part_of_its_rows_and_a_note_says_so(monkeypatch):
    monkeypatch.setattr(fits, "_MAX_VALUES", 5 * 300)
    rows, work = prepared(), Work(classes=2, models=1, seed=0)
    assert len(work.rows_to_fit(rows)) == 300
    assert work.note("linear", rows) == "fitted on a random 300 of 400 rows"
    assert np.array_equal(work.rows_to_fit(rows), Work(2, 1, 0).rows_to_fit(rows))
    assert len(replace(work, models=9).rows_to_fit(rows)) == 200  # the fewest


def test_many_models_get_fewer_rounds_of_boosting_and_a_note_says_so():
    work = Work(classes=10, models=500, seed=0)
    assert work.rounds == 10
    assert work.note("boosting", prepared()) == "10 rounds of boosting instead of 100"
    assert work.note("linear", prepared()) == ""


@pytest.mark.parametrize("baseline", BASELINES)
def test_a_class_that_no_row_to_fit_on_has_gets_no_probability(baseline):
    rows = replace(prepared(60, classes=2), y_train=np.array([0, 2] * 30))
    probabilities = predict(baseline, rows, Work(3, 1, 0))
    np.testing.assert_allclose(probabilities.sum(axis=1), 1)
    assert (probabilities[:, 1] == 0).all()
    alone = replace(rows, y_train=np.full(60, 1))
    assert (predict(baseline, alone, Work(3, 1, 0))[:, 1] == 1).all()


def test_weights_of_rows_count_in_the_fit():
    rows = prepared(300)
    heavy = replace(rows, weights=np.where(rows.y_train > 0, 50, 1).astype(np.float32))
    for baseline in ("linear", "boosting"):
        plain, weighted = (predict(baseline, one, Work(2, 1, 0)) for one in (rows, heavy))
        assert weighted[:, 1].mean() > plain[:, 1].mean() + 0.1


def test_the_networks_metric_scores_the_networks_own_outputs_as_keras_does(study):
    metrics = '"accuracy", keras.metrics.AUC(name="area")'
    request = study.request("val_area", SOFTMAX, '"categorical_crossentropy"', metrics)
    description = SplitDescription.read(study.folder / "split.json")
    rows = training_rows(study.folder / "train.parquet", description)
    part = prepare(rows, np.arange(60), np.arange(60, 96), None, "standard")
    file = load_model_file(request.model_file)
    network = build(file.build_model, (3,), 2, KNOBS, 0, file.state).model
    y = encode_target(network, (3,), part.y_val, rows.classes)
    for name, expected in network.evaluate(part.x_val, y, return_dict=True, verbose=0).items():
        outputs = network.predict(part.x_val, verbose=0)
        metric = KerasMetric(network, f"val_{name}", rows.classes)
        assert metric(outputs, part) == pytest.approx(expected, rel=1e-5)
