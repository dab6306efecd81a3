"""Promises of networks that train one by one: dropout rates are data to their graph."""

from __future__ import annotations

import keras
import numpy as np
import pytest

from gridloom.engines.compiled import CompiledFit
from gridloom.engines.dropout import DropoutRates, scale_of
from gridloom.engines.one_by_one import OneByOne
from gridloom.networks.structure import dropout_layers
from tests.made_networks import BATCH, EPOCHS, assert_same, plain_fit, trainings_of


def with_rates(*rates):
    """Return a builder of a network with dropout at each place where a layer may stand."""
    first, inner, shared = rates

    def build_model(input_shape, outputs):
        inputs = keras.Input(input_shape)
        dropped = keras.layers.Dropout(first, noise_shape=(None, 1))(inputs)
        steps = keras.layers.Reshape((-1, 1))(dropped)
        block = [
            keras.layers.Conv1D(4, 3, activation="relu"),
            keras.layers.Dropout(inner),
            keras.layers.BatchNormalization(),
        ]
        hidden = keras.layers.Flatten()(keras.Sequential(block)(steps))
        twice = keras.layers.Dropout(shared)
        hidden = keras.layers.Dense(6, activation="relu")(twice(hidden))
        classes = keras.layers.Dense(outputs, activation="softmax")(twice(hidden))
        model = keras.Model(inputs, classes)
        model.compile("adam", "categorical_crossentropy", metrics=["categorical_accuracy"])
        return model

    return build_model


@pytest.mark.slow
def test_one_graph_of_one_network_serves_other_rates():
    builders = [with_rates(0.3, 0.2, 0.5), with_rates(0.05, 0.6, 0.1)]
    points = [(builder, *trainings_of(builder, 1)) for builder in builders]
    (_, (first,), network), *_ = points
    fit = CompiledFit(OneByOne(network, first), stopping=False, xla=False)
    for builder, (training,), model in [*points, points[0]]:
        settings = {"batch_size": BATCH, "epochs": EPOCHS, "stopping": None}
        (fitted,) = fit([training], model, **settings)
        expected, _ = plain_fit(builder, training, BATCH, EPOCHS, 3)
        assert_same(fitted.history, expected)
    assert fit.traces == 1
    for layer in dropout_layers(network):
        assert "call" not in vars(layer)


@pytest.mark.parametrize("noise_shape", [None, (6,), (1, 6), (None, 1, None)], ids=str)
def test_a_mask_has_the_shape_that_keras_gives_it(noise_shape):
    layer = keras.layers.Dropout(0.4, noise_shape=noise_shape, seed=1)
    model = keras.Sequential([keras.Input((5, 6)), layer])
    x = np.ones((7, 5, 6), np.float32)
    (state,) = [variable for variable in model.variables if "seed" in variable.path]
    start = state.numpy()
    expected = model(x, training=True)
    rates = DropoutRates(model)
    rates.assign([0.4])
    state.assign(start)
    with rates.as_data():
        np.testing.assert_array_equal(model(x, training=True), expected)


@pytest.mark.parametrize("rate", [0.0, 0.1, 0.3, 0.999])
def test_kept_numbers_grow_by_the_factor_of_keras(rate):
    dropped = np.asarray(keras.layers.Dropout(rate, seed=1)(np.ones(10_000), training=True))
    assert {*dropped[dropped > 0]} == {np.float32(scale_of(rate))}


@pytest.mark.filterwarnings("ignore:Gradients do not exist")  # Keras's own step has none
def test_a_rate_of_1_keeps_nothing_and_passes_no_gradient():
    builder = with_rates(0.3, 0.2, 1.0)
    (training,), network = trainings_of(builder, 1)
    fit = CompiledFit(OneByOne(network, training), stopping=False, xla=False)
    (fitted,) = fit([training], network, batch_size=BATCH, epochs=2, stopping=None)
    expected, _ = plain_fit(builder, training, BATCH, 2, 3)
    assert_same(fitted.history, expected)
    assert scale_of(1.0) == 0
