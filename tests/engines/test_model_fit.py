"""Promises of the engines: with every setting of `compile`, both give the curves of `model.fit`."""

from __future__ import annotations

import gc
import random
from functools import cache

import keras
import numpy as np
import pytest
import tensorflow as tf

from gridloom.engines import model_fit
from gridloom.engines.eligibility import why_not_in_lockstep
from gridloom.engines.one_by_one import check_expressible
from gridloom.engines.types import Stopping
from gridloom.errors import ModelError
from gridloom.networks.build import build
from tests.cases import cases
from tests.made_networks import (
    BATCH,
    EPOCHS,
    OPTIMIZERS,
    assert_same,
    fit_one,
    mlp,
    plain_fit,
    trainings_of,
)


def fit_keras(builder, training, *, callbacks=(), stopping=None, epochs=EPOCHS, outputs=3):
    shape = training.rows.x_train.shape[1:]
    model = build(builder, shape, outputs, {}, training.seeds.init).model
    fitted = model_fit.fit(
        model, training, callbacks, batch_size=BATCH, epochs=epochs, stopping=stopping
    )
    return fitted, model


@pytest.mark.parametrize("optimizer", cases(OPTIMIZERS, [], ["SGD"]))
def test_the_keras_engine_gives_the_curves_of_model_fit(optimizer):
    builder = mlp(optimizer)
    trainings, _ = trainings_of(builder, 2)
    expected, _ = plain_fit(builder, trainings[1], BATCH, EPOCHS, 3)
    assert_same(fit_keras(builder, trainings[1])[0].history, expected)
    assert expected["loss"][0] != expected["loss"][-1]


def sequential(*layers, **compiled):
    """Return a builder of these layers with softmax on top, and these arguments of `compile`."""

    def build_model(input_shape, outputs):
        last = keras.layers.Dense(outputs, activation="softmax")
        model = keras.Sequential([keras.Input(input_shape), *(make() for make in layers), last])
        given = {name: make() for name, make in compiled.items()}
        options = {"optimizer": "sgd", "loss": "categorical_crossentropy", "metrics": ["mse"]}
        model.compile(**{**options, **given})
        return model

    return build_model


def dense(**options):
    return lambda: keras.layers.Dense(8, activation="relu", **options)


def optimized(name, *arguments, **options):
    return sequential(
        dense(), optimizer=lambda: getattr(keras.optimizers, name)(*arguments, **options)
    )


def mixing_loss(targets, outputs):
    """Return one number for a batch, which depends on the rows in it."""
    return keras.ops.sqrt(keras.ops.mean((targets - outputs) ** 2))


def own_rate():
    """Return a learning rate as a function, which `compile` also accepts."""
    return 0.3


class Largest(keras.metrics.Metric):
    def __init__(self):
        super().__init__(name="largest")
        self.value = self.add_variable((), "zeros", name="value")

    def update_state(self, targets, outputs, sample_weight=None):
        self.value.assign(keras.ops.maximum(self.value, keras.ops.max(outputs)))

    def result(self):
        return 1.0 * self.value  # the variable itself would show its value of later on


class AddsLoss(keras.layers.Layer):
    def call(self, inputs):
        self.add_loss(0.1 * keras.ops.mean(inputs**2))
        return inputs


class SignDescent(keras.optimizers.Optimizer):
    def build(self, variables):
        super().build(variables)
        self.kept = self.add_optimizer_variables(variables, "kept")

    def update_step(self, gradient, variable, learning_rate):
        kept = self.kept[self._get_variable_index(variable)]
        self.assign(kept, 0.5 * kept + gradient)
        self.assign_sub(variable, learning_rate * keras.ops.sign(kept))


def mixed_precision(input_shape, outputs):
    half = {"dtype": "mixed_float16"}
    model = keras.Sequential(
        [
            keras.Input(input_shape),
            keras.layers.Dense(8, activation="relu", **half),
            keras.layers.Dense(outputs, activation="softmax", dtype="float32"),
        ],
    )
    # As in Keras if the whole model has this policy.
    scaled = keras.optimizers.LossScaleOptimizer(keras.optimizers.SGD(0.1), initial_scale=2.0**20)
    model.compile(scaled, "categorical_crossentropy", metrics=["mse"])
    return model


def without_decay_of_biases(input_shape, outputs):
    model = mlp(dropout=0)(input_shape, outputs)
    optimizer = keras.optimizers.AdamW(0.01, weight_decay=0.9)
    optimizer.exclude_from_weight_decay(var_names=["kernel"])
    model.compile(optimizer, "categorical_crossentropy", metrics=["mse"])
    return model


def by_parts(input_shape, outputs):
    """Compile with an optimizer for the kernels and another one for the biases."""
    model = mlp(dropout=0)(input_shape, outputs)
    parts = keras.optimizers.OptimizerMap(keras.optimizers.Adam(0.01))
    parts[".*bias"] = keras.optimizers.SGD(0.1)
    model.compile(keras.optimizers.MultiOptimizer(parts), "categorical_crossentropy")
    return model


def frozen(input_shape, outputs):
    model = mlp(dropout=0)(input_shape, outputs)
    model.layers[1].trainable = False
    model.compile("sgd", "categorical_crossentropy", metrics=["mse"])
    return model


def recurrent(input_shape, outputs):
    layers = keras.layers
    return sequential(
        lambda: layers.Reshape((*input_shape, 1)),
        lambda: layers.LSTM(4, dropout=0.2, recurrent_dropout=0.2),
    )(input_shape, outputs)


def augmented(input_shape, outputs):
    layers = keras.layers
    return sequential(
        lambda: layers.Reshape((3, 2, 1)),
        lambda: layers.RandomFlip(),
        lambda: layers.RandomContrast(0.3, value_range=(0, 1)),
        lambda: layers.Conv2D(2, 2, padding="same"),
        layers.Flatten,
    )(input_shape, outputs)


FEATURES = {
    "Adafactor": optimized("Adafactor", 0.1),
    "Lamb": optimized("Lamb", 0.1),
    "Muon": optimized("Muon", 0.1),
    "use_ema": optimized("SGD", 0.1, use_ema=True, ema_momentum=0.9),
    "ema_overwrite_frequency": optimized("Adam", 0.1, use_ema=True, ema_overwrite_frequency=3),
    "gradient_accumulation_steps": optimized("SGD", 0.5, gradient_accumulation_steps=3),
    "clipnorm": optimized("SGD", 0.5, clipnorm=0.01),
    "global_clipnorm": optimized("SGD", 0.5, global_clipnorm=0.01),
    "loss_scale_factor": optimized("SGD", 0.1, loss_scale_factor=8.0),
    "rate as a function": optimized("SGD", own_rate),
    "several optimizers": by_parts,
    "an optimizer of one's own": sequential(dense(), optimizer=lambda: SignDescent(0.01)),
    "weights without decay": without_decay_of_biases,
    "mixed precision": mixed_precision,
    "steps_per_execution": sequential(dense(), steps_per_execution=lambda: 3),
    "loss_weights": sequential(dense(), loss_weights=lambda: [3.0]),
    "weighted_metrics": sequential(dense(), weighted_metrics=lambda: ["mse", "accuracy"]),
    "a loss over the batch": sequential(dense(), loss=lambda: mixing_loss),
    "a summed loss": sequential(
        dense(), loss=lambda: keras.losses.CategoricalCrossentropy(reduction="sum")
    ),
    "Dice": sequential(dense(), loss=lambda: keras.losses.Dice()),
    "a metric over the batch": sequential(dense(), metrics=lambda: [mixing_loss]),
    "a loss as a metric": sequential(dense(), metrics=lambda: [keras.losses.Huber(delta=0.1)]),
    "a metric of one's own": sequential(dense(), metrics=lambda: [Largest()]),
    "add_loss": sequential(dense(), AddsLoss),
    "activity_regularizer": sequential(dense(activity_regularizer="l2")),
    "a constraint": sequential(dense(kernel_constraint=keras.constraints.MaxNorm(0.5))),
    "a frozen layer": frozen,
    "BatchNormalization": sequential(
        lambda: keras.layers.BatchNormalization(gamma_constraint="non_neg"), dense()
    ),
    "GaussianNoise": sequential(lambda: keras.layers.GaussianNoise(0.5), dense()),
    "GaussianDropout": sequential(lambda: keras.layers.GaussianDropout(0.5), dense()),
    "AlphaDropout": sequential(lambda: keras.layers.AlphaDropout(0.5), dense()),
    "LSTM": recurrent,
    "augmentation": augmented,
}


QUICK_FEATURES = ["use_ema", "weighted_metrics", "BatchNormalization"]

SLOW_FEATURES = [
    "gradient_accumulation_steps",
    "global_clipnorm",
    "several optimizers",
    "a loss over the batch",
    "a metric of one's own",
    "add_loss",
    "LSTM",
    "augmentation",
]


@pytest.mark.parametrize("feature", cases(FEATURES, QUICK_FEATURES, SLOW_FEATURES))
def test_features_that_train_one_by_one_give_the_curves_and_weights_of_model_fit(feature):
    builder = FEATURES[feature]
    trainings, model = trainings_of(builder, 2)
    first, training = trainings
    check_expressible(model)
    if feature != "steps_per_execution":
        assert why_not_in_lockstep(model) is not None
    # The graph has trained another repetition before, which must have no effect.
    _, fit = fit_one(builder, first, model)
    (mine,) = fit([training], model, batch_size=BATCH, epochs=EPOCHS, stopping=None)
    keras_own, trained = fit_keras(builder, training)
    assert_same(mine.history, keras_own.history)
    # `plain_fit` calls `fit` for each epoch; each call ends by replacing weights with averages.
    if "ema" not in feature:
        assert_same(keras_own.history, plain_fit(builder, training, BATCH, EPOCHS, 3)[0])
    for one, other in zip(fit.program.weights_of(0), trained.get_weights(), strict=True):
        np.testing.assert_allclose(one, other, rtol=0, atol=1e-5)
    assert keras_own.history["loss"][0] != keras_own.history["loss"][-1]


REFUSED = {
    "a fit of the model's own": ("fit", lambda self, *given, **named: None),
    "a evaluate of the model's own": ("evaluate", lambda self, *given, **named: None),
    "run_eagerly": ("run_eagerly", True),
    "that cannot be traced: it raised": ("train_step", lambda self, data: float(data[0][0, 0])),
    "a train_step that returns loss, norm": (
        "train_step",
        lambda self, data: {**keras.Model.train_step(self, data), "norm": data[0][0, 0]},
    ),
    "a test_step that returns error": (
        "test_step",
        lambda self, data: {"error": keras.Model.test_step(self, data)["loss"]},
    ),
    "random numbers without a seed generator (RandomStandardNormal;": (
        "train_step",
        lambda self, data: keras.Model.train_step(
            self, (data[0] + tf.random.normal(tf.shape(data[0])), *data[1:])
        ),
    ),
    "a state that is not a weight of the model (counter:0)": (
        "train_step",
        lambda self, data: keras.Model.train_step(
            self, (data[0] + counter().assign_add(1.0), *data[1:])
        ),
    ),
}


def mixed(input_shape, outputs):
    """Build with a layer that chooses its operations with Python's generator, once a trace."""
    return sequential(
        lambda: keras.layers.Reshape((3, 2, 1)),
        lambda: keras.layers.AugMix(value_range=(-3, 3)),
        keras.layers.Flatten,
    )(input_shape, outputs)


def test_a_layer_that_draws_with_python_is_refused():
    (training,), model = trainings_of(mixed, 1)
    with pytest.raises(ModelError, match=r"draws with Python.*set `trainer: {engine: keras}`"):
        fit_one(mixed, training, model)


def test_the_keras_engine_seeds_pythons_generator():
    (first, other), _ = trainings_of(mixed, 2)
    expected = fit_keras(mixed, first)[0].history
    random.seed(1)  # whatever the process did before
    assert_same(fit_keras(mixed, first)[0].history, expected, 0)
    assert fit_keras(mixed, other)[0].history["loss"][0] != expected["loss"][0]


@cache
def counter():
    """Return a variable that is not part of any model."""
    return tf.Variable(0.0, name="counter")


def dense_model(input_shape, outputs, **attributes):
    kind = type("Own", (keras.Sequential,), attributes)
    model = kind([keras.Input(input_shape), keras.layers.Dense(outputs, activation="softmax")])
    model.compile("sgd", "categorical_crossentropy")
    return model


@pytest.mark.parametrize("feature", REFUSED)
def test_features_that_the_compiled_fit_lacks_are_refused_with_the_remedy(feature):
    name, value = REFUSED[feature]

    counter()  # outside of any graph

    def builder(input_shape, outputs):
        if name == "run_eagerly":
            model = dense_model(input_shape, outputs)
            model.run_eagerly = True
            return model
        return dense_model(input_shape, outputs, **{name: value})

    (training,), model = trainings_of(builder, 1)
    with pytest.raises(ModelError) as caught:
        check_expressible(model)
        fit_one(builder, training, model)
    assert feature in str(caught.value)
    assert str(caught.value).endswith("set `trainer: {engine: keras}`")


def test_stateful_layers_are_refused():
    def stateful(input_shape, outputs):
        inputs = keras.Input(batch_shape=(BATCH, *input_shape))
        hidden = keras.layers.Reshape((*input_shape, 1))(inputs)
        hidden = keras.layers.GRU(2, stateful=True)(hidden)
        model = keras.Model(inputs, keras.layers.Dense(outputs)(hidden))
        model.compile("sgd", "mse")
        return model

    with pytest.raises(ModelError, match=r"cannot do the stateful layer gru"):
        check_expressible(trainings_of(stateful, 1)[1])

    def fixed(input_shape, outputs):
        model = keras.Sequential(
            [keras.Input(batch_shape=(BATCH, *input_shape)), keras.layers.Dense(outputs)]
        )
        model.compile("sgd", "mse")
        return model

    with pytest.raises(ModelError, match=r"a fixed batch size \(8\)"):
        check_expressible(trainings_of(fixed, 1)[1])


class Eager(keras.Sequential):
    def train_step(self, data):
        assert float(data[0][0, 0]) is not None  # no graph has a value here
        return super().train_step(data)


class Fits(keras.Sequential):
    def fit(self, *given, epochs, **named):
        return super().fit(*given, epochs=epochs - 1, **named)


def own(kind, **compiled):
    def builder(input_shape, outputs):
        model = kind(mlp()(input_shape, outputs).layers)
        model.build((None, *input_shape))
        model.compile(
            "sgd", "categorical_crossentropy", metrics=["categorical_accuracy"], **compiled
        )
        return model

    return builder


def test_a_step_that_cannot_be_traced_trains_eagerly_with_the_same_curves():
    (training,), _ = trainings_of(mlp(), 1)
    expected, _ = plain_fit(mlp(), training, BATCH, EPOCHS, 3)
    assert_same(fit_keras(own(Eager, run_eagerly=True), training)[0].history, expected)


def test_the_models_own_fit_is_called():
    (training,), _ = trainings_of(mlp(), 1)
    expected, _ = plain_fit(mlp(), training, BATCH, EPOCHS - 1, 3)
    assert_same(fit_keras(own(Fits), training)[0].history, expected)


@pytest.mark.parametrize(
    "monitor", cases(["val_loss", "val_categorical_accuracy"], [], ["val_categorical_accuracy"])
)
def test_the_engines_agree_in_early_stopping(monitor):
    builder = mlp(lambda: keras.optimizers.SGD(0.8))
    stopping = Stopping(patience=2, min_delta=0.01, monitor=monitor)
    (training,), model = trainings_of(builder, 1)
    compiled, fit = fit_one(builder, training, model, stopping=stopping, epochs=12)
    fitted, trained = fit_keras(builder, training, stopping=stopping, epochs=12)
    assert_same(fitted.history, compiled.history, 1e-4)
    assert fitted.restored_epoch == compiled.restored_epoch
    assert len(fitted.history["loss"]) < 12
    for one, other in zip(fit.program.weights_of(0), trained.get_weights(), strict=True):
        np.testing.assert_allclose(one, other, rtol=0, atol=1e-4)


def test_monitoring_an_unknown_metric_is_an_error_not_a_warning():
    (training,), _ = trainings_of(mlp(), 1)
    with pytest.raises(ModelError, match=r"no metric 'val_los' \(did you mean 'val_loss'\?\)"):
        fit_keras(mlp(), training, stopping=Stopping(2, 0.0, "val_los"))


class Logs(keras.callbacks.Callback):
    def on_epoch_end(self, epoch, logs=None):
        logs["twice"] = 2 * logs["loss"]
        logs["note"] = "text"
        if epoch == 1:
            logs["once"] = 7


def test_the_history_contains_what_callbacks_log():
    (training,), _ = trainings_of(mlp(), 1)
    schedule = keras.callbacks.LearningRateScheduler(lambda epoch: 0.1 / (epoch + 1))
    history = fit_keras(mlp(), training, callbacks=[Logs(), schedule])[0].history
    np.testing.assert_allclose(history["twice"], 2 * history["loss"])
    np.testing.assert_allclose(history["learning_rate"], [0.1, 0.05, 0.1 / 3, 0.025], rtol=1e-6)
    np.testing.assert_array_equal(history["once"], [np.nan, 7, np.nan, np.nan])
    assert "note" not in history


def test_a_callback_may_stop_early_and_restore_weights():
    (training,), _ = trainings_of(mlp(), 1)
    early = keras.callbacks.EarlyStopping(patience=9, restore_best_weights=True, mode="max")
    fitted, _ = fit_keras(mlp(), training, callbacks=[early])
    assert fitted.restored_epoch == int(np.argmax(fitted.history["val_loss"])) == 0


def test_the_numbers_of_a_metric_are_recorded_separately():
    builder = mlp(metrics=[keras.metrics.F1Score()])
    (training,), _ = trainings_of(builder, 1)
    history = fit_keras(builder, training)[0].history
    assert {"f1_score_0", "f1_score_1", "f1_score_2", "val_f1_score_2"} < history.keys()


def test_a_callback_that_raises_is_named_with_its_line():
    class Raises(keras.callbacks.Callback):
        def on_epoch_end(self, epoch, logs=None):
            raise KeyError("no such log")

    (training,), _ = trainings_of(mlp(), 1)
    with pytest.raises(ModelError, match=r"model\.fit raised KeyError: .*test_model_fit\.py, line"):
        fit_keras(mlp(), training, callbacks=[Raises()])


@pytest.mark.slow
def test_running_out_of_memory_is_reported_in_one_sentence():
    def greedy(input_shape, outputs):
        return sequential(lambda: keras.layers.Dense(10**11))(input_shape, outputs)

    with pytest.raises(ModelError, match=r"build_model\(\) in .* needs more memory than there is"):
        trainings_of(greedy, 1)


def test_a_training_leaves_no_graph_in_memory():
    (training,), _ = trainings_of(mlp(), 1)

    def graphs():
        gc.collect()
        return sum(type(thing).__name__ == "FuncGraph" for thing in gc.get_objects())

    fit_keras(mlp(), training)  # TensorFlow keeps some of the first
    before = graphs()
    for _ in range(2):
        fit_keras(mlp(), training)
    assert graphs() <= before
