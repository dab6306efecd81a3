"""Promises of a model file's `input_pipeline`: it reads rows by key while a network trains."""

from __future__ import annotations

import os
import re
from dataclasses import replace
from pathlib import Path

import keras
import numpy as np
import pandas as pd
import pytest
import tensorflow as tf

from gridloom.data.rows import Rows
from gridloom.data.split import split_rows
from gridloom.engines import model_fit
from gridloom.errors import ModelError
from gridloom.fitted.model import FittedModel
from gridloom.fitted.refit import refit, save
from gridloom.networks.build import build
from gridloom.networks.pipeline import Pipeline
from gridloom.study.dataset import Dataset, Split
from gridloom.training.objective import ObjectiveError
from gridloom.training.trainer import Trainer
from tests.cases import cases
from tests.made_networks import BATCH, EPOCHS, assert_same, mlp, plain_fit, rows_of, trainings_of
from tests.made_picks import pick_of
from tests.made_requests import request_for, setup_for, write_parts


def keyed(rows):
    """Return rows whose features are row numbers of an array, and the array."""
    held = len(rows.x_val)
    features = np.concatenate([rows.x_val, rows.x_train])
    numbers = np.arange(len(features), dtype=np.float32)[:, None]
    return replace(rows, x_val=numbers[:held], x_train=numbers[held:]), features


def looks_up(features, then=lambda rows, training, hyperparameters: rows):
    """Return a pipeline that looks rows up by number, then applies a function."""

    def input_pipeline(rows, training, hyperparameters):
        def read(x, y, weight):
            return tf.gather(features, tf.cast(x[0], tf.int32)), y, weight

        read_rows = rows.map(read, num_parallel_calls=tf.data.AUTOTUNE)
        return then(read_rows, training, hyperparameters)

    return input_pipeline


def fit_keyed(then=lambda rows, training, hyperparameters: rows, repetition=0, *, callbacks=()):
    """Fit on keys of made rows; also return the rows for the same fit without keys."""
    builder = mlp()
    training = trainings_of(builder, repetition + 1)[0][repetition]
    keys, features = keyed(training.rows)
    function = looks_up(features, then)
    pipeline = Pipeline(Path(__file__), function, {"units": 4})
    model = build(builder, features.shape[1:], 3, {}, training.seeds.init).model
    fitted = model_fit.fit(
        model,
        replace(training, rows=keys),
        callbacks,
        batch_size=BATCH,
        epochs=EPOCHS,
        stopping=None,
        pipeline=pipeline,
    )
    return fitted.history, builder, training


def test_rows_read_by_key_give_the_curves_of_rows_in_memory():
    history, builder, training = fit_keyed()
    expected, _ = plain_fit(builder, training, BATCH, EPOCHS, 3)
    assert_same(history, expected)
    assert expected["loss"][0] != expected["loss"][-1]


def test_a_pipeline_may_work_in_batches_and_return_rows():
    history, builder, training = fit_keyed(lambda rows, *_: rows.batch(5).unbatch())
    assert_same(history, plain_fit(builder, training, BATCH, EPOCHS, 3)[0])


def test_a_pipeline_gets_training_and_the_hyperparameters():
    calls = []
    fit_keyed(lambda rows, *given: (calls.append(given), rows)[1])
    assert {given[0] for given in calls} == {True, False}
    assert all(given[1] == {"units": 4} for given in calls)


def noisy(rows, training, hyperparameters):
    if not training:
        return rows.cache()  # their order is the same in each epoch
    numbers = tf.data.Dataset.random(rerandomize_each_iteration=True).batch(2)
    return tf.data.Dataset.zip(rows.shuffle(8), numbers).map(
        lambda row, seed: (row[0] + tf.random.stateless_normal(row[0].shape, seed), *row[1:])
    )


@pytest.mark.slow
def test_the_draws_of_a_pipeline_follow_from_the_seeds():
    first, other = fit_keyed(noisy)[0], fit_keyed(noisy, 1)[0]
    assert_same(fit_keyed(noisy)[0], first, 0)
    plainly = fit_keyed()[0]
    assert first["loss"][0] != plainly["loss"][0]
    assert first["loss"][0] != other["loss"][0]


def unknown(rows):
    return rows.filter(lambda *_: True)


WRONG = {
    "returns nothing": (lambda *_: None, "returned NoneType; return a tf.data.Dataset"),
    "raises": (lambda *_: {}["size"], r"input_pipeline\(rows, training=.*raised KeyError: 'size'"),
    "batches": (
        lambda rows, *_: rows.batch(8),
        r"gives \(float32 \(None, 6\), .*give single rows \(x, y, weight\).*makes the batches",
    ),
    "no weights": (
        lambda rows, *_: rows.map(lambda x, y, weight: (x, y)),
        r"gives \(float32 \(6,\), float32 \(3,\)\); give single rows \(x, y, weight\)",
    ),
    "several inputs": (
        lambda rows, *_: rows.map(lambda x, y, weight: ({"x": x}, y, weight)),
        "with one tensor x",
    ),
    "no shape": (
        lambda rows, *_: rows.map(
            lambda x, y, weight: (tf.numpy_function(lambda a: a, [x], tf.float32), y, weight)
        ),
        "x of an unknown shape.*tf.ensure_shape",
    ),
    "fewer": (lambda rows, *_: rows.skip(1), r"gives \d+ rows for the \d+ that it gets"),
    "more": (lambda rows, *_: rows.repeat(2), r"gives \d+ rows for the \d+ that it gets"),
    "endless": (lambda rows, *_: rows.repeat(), "gives endless rows; remove `repeat`"),
    "fewer, unknown": (
        lambda rows, *_: unknown(rows.skip(1)),
        r"another number of rows than it gets: it was expected to contain \d+ elements but",
    ),
    "more, unknown": (
        lambda rows, *_: unknown(rows.concatenate(rows)),
        r"another number of rows than it gets: it was expected to contain \d+ elements but",
    ),
    "a full batch more, in training": (
        # 31 rows in batches of 8: Keras would stop before the 33rd.
        lambda rows, training, _: unknown(rows.concatenate(rows.take(8))) if training else rows,
        r"another number of rows than it gets",
    ),
    "fails on a row": (
        lambda rows, *_: rows.map(
            lambda x, y, weight: (x + tf.cast(tf.io.read_file("no.png") == "", x.dtype), y, weight)
        ),
        r"failed on a row: NotFoundError: .*no.png",
    ),
    "keeps the first epoch": (
        lambda rows, *_: rows.cache(),
        "keeps the training rows in the order of the first epoch; cache them only where training",
    ),
}


@pytest.mark.parametrize("name", WRONG)
def test_a_pipeline_that_breaks_the_contract_is_refused_in_one_sentence(name):
    then, message = WRONG[name]
    with pytest.raises(ModelError) as caught:
        fit_keyed(then)
    assert re.search(message, str(caught.value)), caught.value
    assert "input_pipeline" in str(caught.value)


def resident_mb() -> float:
    """Return the memory that this process holds."""
    pages = int(Path("/proc/self/statm").read_text().split()[1])
    return pages * os.sysconf("SC_PAGE_SIZE") / 2**20


class Watches(keras.callbacks.Callback):
    def __init__(self):
        super().__init__()
        self.seen = []

    def on_train_batch_end(self, batch, logs=None):
        self.seen.append(resident_mb())


def test_rows_are_read_when_needed_and_not_kept():
    count, side, size = 800, 512, 8  # 1 MB each

    def input_pipeline(rows, training, hyperparameters):
        def read(x, y, weight):
            return tf.fill((side, side, 1), x[0] / count), y, weight

        return rows.map(read)

    def builder(input_shape, outputs):
        pool = keras.layers.GlobalAveragePooling2D()
        model = keras.Sequential([keras.Input(input_shape), pool, keras.layers.Dense(outputs)])
        model.compile("sgd", "mse")
        return model

    rows = rows_of(None, rows=count * 4 // 3)
    rows, _ = keyed(rows)
    rows = replace(rows, x_val=rows.x_val[:0], y_val=rows.y_val[:0])
    pipeline = Pipeline(Path(__file__), input_pipeline, {})
    shape = pipeline.input_shape(rows.x_train, rows.y_train, 1, None)
    assert shape == (side, side, 1)
    model = build(builder, shape, 1, {}, 0).model
    training = replace(trainings_of(mlp(last=None, loss="mse", metrics=[]), 1, None)[0][0])
    training = replace(training, rows=rows, weights=model.get_weights())
    watch = Watches()
    settings = {"batch_size": size, "epochs": 1, "stopping": None}
    model_fit.fit(model, training, [watch], **settings, pipeline=pipeline)
    assert len(watch.seen) == len(rows.y_train) // size
    assert max(watch.seen) - watch.seen[2] < len(rows.y_train) / 4


#: Images are files named by their numbers; the network takes nothing else.
MODEL = """
import keras
import tensorflow as tf

def input_pipeline(rows, training, hyperparameters):
    assert hyperparameters["units"] == 4
    def read(x, y, weight):
        name = tf.strings.as_string(tf.cast(x[0], tf.int32))
        image = tf.io.decode_png(tf.io.read_file("{images}/" + name + ".png"), channels=1)
        return tf.ensure_shape(image, (4, 4, 1)), y * {factor}, weight
    return rows.map(read){more}

def build_model(input_shape, outputs, *, units):
    assert input_shape == (4, 4, 1), input_shape
    model = keras.Sequential([
        keras.Input(input_shape),
        keras.layers.Rescaling(1 / 255),
        keras.layers.Flatten(),
        keras.layers.Dense(units, activation="tanh"),
        keras.layers.Dense({last}),
    ])
    model.compile(keras.optimizers.Adam(0.05), {loss!r}, metrics=["accuracy"])
    return model
"""

ROWS = 60

POINT = {"units": 4, "batch_size": 8, "epochs": 3}


@pytest.fixture
def images(tmp_path):
    """Write images, and the split of a table with their numbers and labels."""
    folder = tmp_path / "images"
    folder.mkdir()
    generator = np.random.default_rng(3)
    numbers = generator.permutation(ROWS)
    bright = generator.integers(0, 2, ROWS)
    for number, light in zip(numbers, bright, strict=True):
        pixels = generator.integers(120 * light, 120 * light + 130, (4, 4, 1)).astype(np.uint8)
        (folder / f"{number}.png").write_bytes(tf.io.encode_png(pixels).numpy())
    dataset = Dataset(source="mine.csv", target="bright")
    table = pd.DataFrame({"image": numbers.astype(float)})
    rows = Rows(table, np.where(bright, "yes", "no").astype(object))
    train, test = split_rows(rows, dataset, Split())
    write_parts(tmp_path, train, test, dataset)
    return tmp_path


def write_model(folder, *, more="", factor=1, last='outputs, "softmax"', loss=None):
    """Write the model file; return its path."""
    path = folder / "net.py"
    loss = loss or "categorical_crossentropy"
    text = MODEL.format(images=folder / "images", more=more, factor=factor, last=last, loss=loss)
    path.write_text(text)
    return path


def ask(folder, model, **settings):
    return request_for(folder, model, POINT, **{"engine": "keras", "scaling": "none", **settings})


LOSSES = {
    "one-hot": {},
    "sparse": {"loss": "sparse_categorical_crossentropy"},
    "one output": {"loss": "binary_crossentropy", "last": '1, "sigmoid"'},
}


@pytest.mark.parametrize("loss", cases(LOSSES, ["one-hot"], LOSSES))
def test_a_study_of_numbered_files_trains_with_every_form_of_target(images, loss):
    model = write_model(images, **LOSSES[loss])
    record = Trainer().run(ask(images, model, objective="val_accuracy"))
    assert len(record.trainings) == 2
    for training in record.trainings:
        assert training.history["loss"][-1] < training.history["loss"][0]
        assert "val_accuracy" in training.history
    again = Trainer().run(ask(images, model))
    assert [one.history for one in again.trainings] == [one.history for one in record.trainings]


def test_a_misspelt_objective_is_reported_before_anything_trains(images):
    with pytest.raises(ObjectiveError, match=r"no 'val_acuracy' .did you mean 'val_accuracy'"):
        Trainer().run(ask(images, write_model(images), objective="val_acuracy"))


def test_a_missing_file_is_named_before_anything_trains(images):
    (images / "images").rename(images / "elsewhere")
    with pytest.raises(ModelError, match=r"failed on a row: NotFoundError.*images/\d+\.png"):
        Trainer().run(ask(images, write_model(images), objective="val_accuracy"))


def test_the_compiled_engine_refuses_a_pipeline_that_only_shows_when_the_file_runs(images):
    model = images / "net.py"
    model.write_text(
        "import keras\nglobals()['input_pipeline'] = lambda *given: given[0]\n"
        "def build_model(input_shape, outputs, units): ...\n"
    )
    with pytest.raises(
        ModelError,
        match=r"defines `input_pipeline`, which only model\.fit calls; set `trainer: {engine: ker",
    ):
        Trainer().run(ask(images, model, engine="compiled"))


def test_a_pipeline_that_is_not_a_function_is_refused(images):
    model = images / "net.py"
    model.write_text("input_pipeline = 3\ndef build_model(input_shape, outputs, units): ...\n")
    with pytest.raises(ModelError, match="`input_pipeline` is a int; make it a function"):
        Trainer().run(ask(images, model))


def fitted_model(folder, model):
    """Fit the point on all training rows, save and load it."""
    refitted = refit(
        pick_of("batch_size=8/epochs=3/units=4", epochs=30),
        setup_for(model, seed=3, scaling="none"),
        Dataset(source="mine.csv", target="bright"),
        train_file=folder / "train.parquet",
        test_file=folder / "test.parquet",
        split_file=folder / "split.json",
        model_file=model,
    )
    save(refitted, model, folder / "model")
    return refitted


@pytest.mark.parametrize("loss", cases(LOSSES, ["one-hot"], LOSSES))
def test_the_fitted_model_reads_new_rows_through_the_pipeline_in_their_order(images, loss):
    refitted = fitted_model(images, write_model(images, **LOSSES[loss]))
    assert refitted.card.test.metrics["accuracy"] > 0.9
    table = pd.DataFrame({"image": [*range(ROWS), *range(0, ROWS, 2)]})
    table.to_csv(images / "new.csv", index=False)
    loaded = FittedModel.load(images / "model")
    predicted = loaded.predict(loaded.read(images / "new.csv").features)
    brightness = [
        tf.reduce_mean(
            tf.cast(tf.io.decode_png((images / "images" / f"{n}.png").read_bytes()), tf.float32)
        ).numpy()
        for n in table["image"]
    ]
    expected = np.where(np.array(brightness) > 125, "yes", "no")
    assert (predicted["predicted_bright"] == expected).mean() > 0.9
    again = predicted["probability_yes"].to_numpy()
    np.testing.assert_allclose(again[ROWS:], again[:ROWS:2], rtol=1e-5)


def test_predictions_of_rows_in_another_order_are_refused(images):
    with pytest.raises(ModelError, match="changes the order of the rows or their weights"):
        fitted_model(images, write_model(images, more=".shuffle(50)"))


def test_a_new_row_with_a_missing_file_is_refused_with_a_sentence(images):
    fitted_model(images, write_model(images))
    (images / "new.csv").write_text("image\n7\n999\n")
    loaded = FittedModel.load(images / "model")
    with pytest.raises(ModelError, match=r"failed on a row: NotFoundError: .*999\.png"):
        loaded.predict(loaded.read(images / "new.csv").features)
