"""Small networks with rows, fitted by each engine and by Keras itself."""

from __future__ import annotations

from dataclasses import replace

import keras
import numpy as np

from gridloom.data.preparation import PreparedRows
from gridloom.engines.compiled import CompiledFit
from gridloom.engines.eligibility import ELEMENTWISE_OPTIMIZERS, why_not_in_lockstep
from gridloom.engines.lockstep import Lockstep
from gridloom.engines.one_by_one import OneByOne
from gridloom.engines.types import Training
from gridloom.networks.build import build
from gridloom.networks.generators import generator_seed, seed_states
from gridloom.networks.targets import encode_target
from gridloom.study.seeds import STREAMS, row_orders, training_seeds

BATCH, EPOCHS = 8, 4

OPTIMIZERS = sorted(ELEMENTWISE_OPTIMIZERS & vars(keras.optimizers).keys())


def rows_of(classes: int | None = 3, rows: int = 41, features: int = 6, seed: int = 0):
    """Make separable rows: 41 of them, so that the last batch of 8 is short."""
    generator = np.random.default_rng(seed)
    x = generator.normal(size=(rows, features)).astype(np.float32)
    if classes is None:
        y = (x @ generator.normal(size=(features, 1))).astype(np.float32)
    else:
        y = (x @ generator.normal(size=(features, classes))).argmax(axis=1)
    weights = generator.uniform(0.5, 1.5, size=rows).astype(np.float32)
    held = rows // 4
    return PreparedRows(x[held:], y[held:], weights[held:], x[:held], y[:held])


def trainings_of(builder, repetitions: int, classes: int | None = 3, rows: PreparedRows = None):
    """Build a network and its trainings; return the network of repetition 0 and the trainings."""
    rows = rows if rows is not None else rows_of(classes)
    shape, outputs = rows.x_train.shape[1:], classes or 1
    labels = [str(label) for label in range(classes)] if classes else None
    trainings, first = [], None
    for repetition in range(repetitions):
        seeds = training_seeds(0, repetition, STREAMS)
        model = build(builder, shape, outputs, {}, seeds.init).model
        first = first or model
        encoded = replace(
            rows,
            y_train=encode_target(model, shape, rows.y_train, labels),
            y_val=encode_target(model, shape, rows.y_val, labels),
        )
        weights = model.get_weights()
        trainings.append(Training.of(model, repetition, 0, seeds, encoded, weights))
    return trainings, first


def plain_fit(builder, training, batch_size: int, epochs: int, outputs: int, kept=None):
    """Train by `model.fit` with exactly the batches and random numbers of the compiled fit.

    The weights after each epoch are added to the list `kept`, where one is given.
    """
    rows = training.rows
    shape = rows.x_train.shape[1:]
    model = build(builder, shape, outputs, {}, training.seeds.init).model
    # Keras miscounts metrics such as F1Score in the batch that creates their variables.
    model.test_on_batch(rows.x_val, rows.y_val)
    for place, state in enumerate(seed_states(model)):
        state.assign([generator_seed(training.seeds.dropout, place), 0])
    # Built inside a traced step, ScheduleFreeAdamW would reset its momentum in each step.
    model.optimizer.build(model.trainable_variables)
    history = {}
    for order in row_orders(training.seeds.shuffle, epochs, len(rows.y_train)):
        logs = model.fit(
            rows.x_train[order],
            rows.y_train[order],
            sample_weight=rows.weights[order],
            validation_data=(rows.x_val, rows.y_val),
            batch_size=batch_size,
            shuffle=False,
            verbose=0,
        ).history
        for name, (value,) in logs.items():
            history.setdefault(name, []).append(value)
        if kept is not None:
            kept.append(model.get_weights())
    return history, model


def mlp(
    optimizer="sgd",
    loss="categorical_crossentropy",
    metrics=("categorical_accuracy",),
    *,
    dropout=0.3,
    last="softmax",
    layers=(),
    **dense,
):
    """Return a builder of a small network."""

    def build_model(input_shape, outputs):
        model = keras.Sequential(
            [
                keras.Input(input_shape),
                keras.layers.Dropout(dropout),
                keras.layers.Dense(8, activation="relu", **dense),
                *(layer() for layer in layers),
                keras.layers.Dense(outputs, activation=last),
            ]
        )
        chosen = keras.optimizers.get(optimizer) if isinstance(optimizer, str) else optimizer()
        model.compile(chosen, loss=loss, metrics=list(metrics))
        return model

    return build_model


def fit_one(builder, training, model, *, stopping=None, xla=False, epochs=EPOCHS, batch=BATCH):
    fit = CompiledFit(OneByOne(model, training), stopping=stopping is not None, xla=xla)
    (fitted,) = fit([training], model, batch_size=batch, epochs=epochs, stopping=stopping)
    return fitted, fit


def fit_together(trainings, model, *, stopping=None, xla=False, epochs=EPOCHS, batch=BATCH):
    assert why_not_in_lockstep(model) is None
    fit = CompiledFit(Lockstep(model, trainings), stopping=stopping is not None, xla=xla)
    return fit(trainings, model, batch_size=batch, epochs=epochs, stopping=stopping), fit


def assert_same(history, expected, tolerance=1e-5):
    assert history.keys() == expected.keys()
    for name in expected:
        np.testing.assert_allclose(
            history[name], expected[name], rtol=0, atol=tolerance, err_msg=name
        )
