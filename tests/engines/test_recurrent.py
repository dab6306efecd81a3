"""Promises of recurrent layers in a graph: other operations, the numbers of Keras's own loop."""

from __future__ import annotations

import keras
import numpy as np
import pytest
import tensorflow as tf
from keras import layers

from gridloom.engines.recurrent import fast_loops
from gridloom.networks.generators import seed_states
from tests.made_networks import assert_same, fit_one, plain_fit, trainings_of

STEPS, FEATURES, UNITS = 5, 3, 4

#: Name → layers on rows of shape (STEPS, FEATURES).
REPLACED = {
    "an LSTM": lambda: [layers.LSTM(UNITS)],
    "a GRU": lambda: [layers.GRU(UNITS)],
    "all outputs": lambda: [
        layers.LSTM(UNITS, return_sequences=True),
        layers.GRU(UNITS, return_sequences=True),
        layers.Flatten(),
    ],
    "both directions": lambda: [
        layers.Bidirectional(layers.LSTM(UNITS, return_sequences=True)),
        layers.Bidirectional(layers.GRU(UNITS)),
    ],
    "dropout": lambda: [
        layers.LSTM(UNITS, dropout=0.4, return_sequences=True),
        layers.GRU(UNITS, dropout=0.4),
    ],
    "unrolled": lambda: [layers.GRU(UNITS, unroll=True, kernel_regularizer="l2")],
}


class OwnCell(layers.LSTMCell):
    def call(self, inputs, states, training=False):
        output, states = super().call(inputs, states, training)
        return 2 * output, states


def with_own_cell():
    layer = layers.LSTM(UNITS)
    layer.cell = OwnCell(UNITS)
    return layer


#: Name → layers that keep their own loop.
KEPT = {
    "another activation": lambda: [layers.LSTM(UNITS, activation="relu")],
    "another gate": lambda: [layers.GRU(UNITS, recurrent_activation="hard_sigmoid")],
    "one product a gate": lambda: [layers.LSTM(UNITS, implementation=1)],
    "no bias": lambda: [layers.LSTM(UNITS, use_bias=False)],
    "reset before": lambda: [layers.GRU(UNITS, reset_after=False)],
    "recurrent dropout": lambda: [layers.LSTM(UNITS, recurrent_dropout=0.3)],
    "another precision": lambda: [layers.GRU(UNITS, dtype="mixed_float16")],
    "a cell of the model's own": lambda: [with_own_cell()],
    "a simple layer": lambda: [layers.SimpleRNN(UNITS)],
}


def network(inner, kind=keras.Sequential):
    keras.utils.set_random_seed(3)
    model = kind([keras.Input((STEPS, FEATURES)), *inner, layers.Dense(2)])
    model.compile("sgd", "mse")
    for variable in model.trainable_variables:  # biases start at 0
        variable.assign(variable + 0.1 * np.random.default_rng(4).normal(size=variable.shape))
    return model


def looped(model):
    return [
        layer
        for layer in model._flatten_layers(include_self=False)
        if isinstance(layer, layers.RNN) and "inner_loop" in vars(layer)
    ]


def step_of(model):
    x = tf.constant(np.random.default_rng(5).normal(size=(7, STEPS, FEATURES)), tf.float32)
    for state in seed_states(model):
        state.assign([11, 0])
    variables = [variable.value for variable in model.trainable_variables]
    with tf.GradientTape() as tape:
        tape.watch(x)
        outputs = model(x, training=True)
        loss = tf.reduce_sum(tf.sin(outputs))
    return [outputs, *tape.gradient(loss, [x, *variables])]


@pytest.mark.parametrize("name", REPLACED)
def test_a_replaced_loop_gives_the_outputs_and_gradients_of_keras(name):
    model = network(REPLACED[name]())
    expected = step_of(model)
    with fast_loops(model):
        assert looped(model)
        found = step_of(model)
    assert not looped(model)
    for some, other in zip(found, expected, strict=True):
        np.testing.assert_allclose(some, other, rtol=1e-4, atol=1e-5)


def test_a_masked_sequence_and_a_given_state_count():
    inputs = keras.Input((STEPS, FEATURES))
    _, *states = layers.LSTM(UNITS, return_state=True)(inputs)
    hidden = layers.LSTM(UNITS, return_sequences=True)(inputs, initial_state=states)
    masked = layers.Masking(mask_value=0.0)(layers.ReLU()(inputs))
    joined = layers.Concatenate()([layers.Flatten()(hidden), layers.GRU(UNITS)(masked)])
    model = keras.Model(inputs, layers.Dense(2)(joined))
    model.compile("sgd", "mse")
    expected = step_of(model)
    with fast_loops(model):
        assert len(looped(model)) == 3
        found = step_of(model)
    for some, other in zip(found, expected, strict=True):
        np.testing.assert_allclose(some, other, rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize("kind", [layers.LSTM, layers.GRU])
@pytest.mark.parametrize("dtype", ["int32", "bool"])
def test_a_replaced_loop_takes_whole_numbers_and_truth_values(kind, dtype):
    model = network([kind(UNITS)])
    x = np.random.default_rng(5).integers(0, 2, (7, STEPS, FEATURES)).astype(dtype)
    expected = model.layers[0](x)
    with fast_loops(model):
        found = model.layers[0](x)
    np.testing.assert_allclose(found, expected, rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize("name", KEPT)
def test_a_layer_with_other_steps_keeps_its_own_loop(name):
    with fast_loops(model := network(KEPT[name]())):
        assert not looped(model)


class OwnStep(keras.Sequential):
    def train_step(self, data):
        return super().train_step(data)


def test_a_step_of_the_models_own_keeps_the_loops_of_its_layers():
    with fast_loops(model := network([layers.LSTM(UNITS)], OwnStep)):
        assert not looped(model)


def recurrent(input_shape, outputs):
    model = keras.Sequential(
        [
            keras.Input(input_shape),
            layers.Reshape((-1, 2)),
            layers.LSTM(UNITS, return_sequences=True, dropout=0.3),
            layers.GRU(UNITS),
            layers.Dense(outputs, activation="softmax"),
        ]
    )
    model.compile("adam", "categorical_crossentropy", metrics=["categorical_accuracy"])
    return model


@pytest.mark.slow
def test_a_recurrent_network_has_the_curves_of_model_fit():
    (training,), model = trainings_of(recurrent, 1)
    fitted, _ = fit_one(recurrent, training, model, batch=8, epochs=2)
    expected, _ = plain_fit(recurrent, training, 8, 2, 3)
    assert_same(fitted.history, expected)
