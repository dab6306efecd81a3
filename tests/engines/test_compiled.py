"""Promises of the compiled fit: the curves of `model.fit`, in one graph."""

from __future__ import annotations

import keras
import numpy as np
import pytest
import tensorflow as tf
from scipy import stats

from gridloom.engines.compiled import CompiledFit
from gridloom.engines.eligibility import ELEMENTWISE_OPTIMIZERS, why_not_in_lockstep
from gridloom.engines.lockstep import Lockstep
from gridloom.engines.monitoring import improves
from gridloom.engines.types import Stopping
from gridloom.errors import ModelError
from gridloom.networks.generators import seed_states
from tests.cases import cases
from tests.made_networks import (
    BATCH,
    EPOCHS,
    OPTIMIZERS,
    assert_same,
    fit_one,
    fit_together,
    mlp,
    plain_fit,
    rows_of,
    trainings_of,
)

#: Rounding of float32 sums in another order, after all epochs; losses here are near 1.
LOCKSTEP_TOLERANCE = 1e-5


@pytest.mark.parametrize("optimizer", cases(OPTIMIZERS, ["Adam"], ["RMSprop", "SGD"]))
def test_every_elementwise_optimizer_gives_the_curves_of_model_fit(optimizer):
    builder = mlp(optimizer)
    trainings, model = trainings_of(builder, 2)
    together, _ = fit_together(trainings, model)
    alone, _ = fit_one(builder, trainings[1], trainings_of(builder, 2)[1])
    expected, _ = plain_fit(builder, trainings[1], BATCH, EPOCHS, 3)
    assert_same(alone.history, expected)
    assert_same(together[1].history, expected)
    assert expected["loss"][0] != expected["loss"][-1]


SETUPS = {
    "sparse": (mlp(loss="sparse_categorical_crossentropy", metrics=["accuracy"]), 3),
    "one output": (mlp(loss="binary_crossentropy", metrics=["accuracy", "AUC"], last="sigmoid"), 2),
    "regression": (mlp(loss="mean_squared_error", metrics=["mae", "r2_score"], last=None), None),
    "loss object": (mlp(loss=keras.losses.Huber(delta=0.5), metrics=["mse"], last=None), None),
    "logits": (
        mlp(loss=keras.losses.CategoricalCrossentropy(from_logits=True), last=None),
        3,
    ),
    "momentum": (mlp(lambda: keras.optimizers.SGD(0.1, momentum=0.9, nesterov=True)), 3),
    "decay": (mlp(lambda: keras.optimizers.AdamW(0.01, weight_decay=0.1, clipvalue=0.1)), 3),
    "schedule": (
        mlp(lambda: keras.optimizers.SGD(keras.optimizers.schedules.ExponentialDecay(0.1, 5, 0.5))),
        3,
    ),
    "regularized": (mlp(kernel_regularizer=keras.regularizers.L1L2(0.01, 0.01)), 3),
    "other metrics": (mlp(metrics=["AUC", keras.metrics.F1Score(average="macro")]), 3),
    "layers": (
        mlp(
            layers=[
                keras.layers.LayerNormalization,
                lambda: keras.layers.Dropout(0.5),
                lambda: keras.layers.Activation("tanh"),
                lambda: keras.layers.Reshape((2, 4)),
                lambda: keras.layers.Dense(4),
                keras.layers.Flatten,
                lambda: keras.layers.Normalization(mean=0.5, variance=4.0),
            ]
        ),
        3,
    ),
}


QUICK_SETUPS = ["regression", "layers"]

SLOW_SETUPS = ["sparse", "one output", "momentum"]


@pytest.mark.parametrize("name", cases(SETUPS, QUICK_SETUPS, SLOW_SETUPS))
def test_losses_metrics_and_layers_give_the_curves_of_model_fit(name):
    builder, classes = SETUPS[name]

    def wrapped(input_shape, outputs):
        return builder(input_shape, 1 if name == "one output" else outputs)

    trainings, model = trainings_of(wrapped, 2, classes)
    together, _ = fit_together(trainings, model)
    alone, _ = fit_one(wrapped, trainings[1], trainings_of(wrapped, 2, classes)[1])
    expected, _ = plain_fit(wrapped, trainings[1], BATCH, EPOCHS, classes or 1)
    assert_same(alone.history, expected, 3e-5)
    assert_same(together[1].history, expected, 3e-5)


def functional(input_shape, outputs):
    inputs = keras.Input(input_shape)
    hidden = keras.layers.Dense(6, activation="relu")(inputs)
    joined = keras.layers.Add()([hidden, inputs])
    model = keras.Model(inputs, keras.layers.Dense(outputs, activation="softmax")(joined))
    model.compile("adam", "categorical_crossentropy", metrics=["categorical_accuracy"])
    return model


def test_a_functional_model_trains_in_lockstep():
    trainings, model = trainings_of(functional, 3)
    together, _ = fit_together(trainings, model)
    for place in range(3):
        expected, _ = plain_fit(functional, trainings[place], BATCH, EPOCHS, 3)
        assert_same(together[place].history, expected)


def convolutional(input_shape, outputs):
    model = keras.Sequential(
        [
            keras.Input(input_shape),
            keras.layers.Reshape((*input_shape, 1)),
            keras.layers.Conv1D(4, 3, activation="relu"),
            keras.layers.BatchNormalization(),
            keras.layers.Flatten(),
            keras.layers.Dense(outputs, activation="softmax"),
        ]
    )
    model.compile("adam", "categorical_crossentropy", metrics=["categorical_accuracy"])
    return model


class OwnStep(keras.Model):
    def __init__(self, outputs):
        super().__init__()
        self.dense = keras.layers.Dense(outputs, activation="softmax")

    def build(self, input_shape):
        self.dense.build(input_shape)

    def call(self, inputs, training=False):
        return self.dense(inputs)

    def train_step(self, data):
        x, y, weight = data
        return super().train_step((x * 0.5, y, weight))


def own_step(input_shape, outputs):
    model = OwnStep(outputs)
    model.build((None, *input_shape))
    model.compile("sgd", "categorical_crossentropy", metrics=["categorical_accuracy"])
    return model


@pytest.mark.parametrize("builder", [convolutional, own_step])
def test_models_without_twins_train_one_by_one_like_model_fit(builder):
    (training,), model = trainings_of(builder, 1)
    assert why_not_in_lockstep(model) is not None
    alone, _ = fit_one(builder, training, model)
    expected, _ = plain_fit(builder, training, BATCH, EPOCHS, 3)
    assert_same(alone.history, expected, 1e-5)


def test_one_graph_serves_points_that_differ_in_data_only():
    fits = []
    for rate, dropout in ((0.01, 0.3), (0.5, 0.6)):
        builder = mlp(lambda rate=rate: keras.optimizers.SGD(rate), dropout=dropout)
        trainings, model = trainings_of(builder, 2)
        fits.append((builder, trainings, model))
    fit = CompiledFit(Lockstep(fits[0][2], fits[0][1]), stopping=False, xla=False)
    for batch, epochs in ((8, 3), (5, 2)):
        for builder, trainings, model in fits:
            fitted = fit(trainings, model, batch_size=batch, epochs=epochs, stopping=None)
            expected, _ = plain_fit(builder, trainings[1], batch, epochs, 3)
            assert_same(fitted[1].history, expected)
    assert fit.traces == 1


def test_a_training_does_not_affect_later_ones():
    builder = mlp(lambda: keras.optimizers.Adam(0.05))
    trainings, model = trainings_of(builder, 2)
    first, fit = fit_together(trainings, model)
    fit(trainings[::-1], model, batch_size=5, epochs=6, stopping=None)
    again = fit(trainings, model, batch_size=BATCH, epochs=EPOCHS, stopping=None)
    for one, other in zip(first, again, strict=True):
        for name in one.history:
            assert (one.history[name] == other.history[name]).all()


@pytest.mark.parametrize(
    "monitor", cases(["val_loss", "val_categorical_accuracy"], [], ["val_loss"])
)
def test_early_stopping_equals_that_of_keras_with_best_weights_restored(monitor):
    builder = mlp(lambda: keras.optimizers.SGD(0.8))
    stopping = Stopping(patience=2, min_delta=0.01, monitor=monitor)
    trainings, model = trainings_of(builder, 3)
    together, fit = fit_together(trainings, model, stopping=stopping, epochs=12)
    assert len({len(fitted.history["loss"]) for fitted in together}) > 1, "all stop alike"
    for place, training in enumerate(trainings):
        alone, one = fit_one(
            builder, training, trainings_of(builder, 1)[1], stopping=stopping, epochs=12
        )
        weights = []
        expected, _ = plain_fit(builder, training, BATCH, 12, 3, kept=weights)
        ran, best = keras_stops(expected[monitor], stopping)
        for fitted in (alone, together[place]):
            assert (len(fitted.history["loss"]), fitted.restored_epoch) == (ran, best)
            np.testing.assert_allclose(fitted.history["loss"], expected["loss"][:ran], atol=1e-4)
        for mine, others, keras_own in zip(
            one.program.weights_of(0),
            fit.program.weights_of(place),
            weights[best],
            strict=True,
        ):
            np.testing.assert_allclose(mine, keras_own, atol=1e-4)
            np.testing.assert_allclose(others, keras_own, atol=1e-4)


def test_improvements_equal_those_of_keras_to_the_last_bit():
    generator = np.random.default_rng(0)
    value = generator.uniform(0.5, 1, 2000).astype(np.float32)
    min_delta = generator.uniform(0.01, 0.2, 2000)
    # Computed in float32 throughout, none of them would be an improvement.
    best = value + min_delta.astype(np.float32)
    callback = keras.callbacks.EarlyStopping("loss", mode="min")
    callback._set_monitor_op()
    expected = []
    for one, delta, other in zip(value, min_delta, best, strict=True):
        callback.min_delta = -float(delta)
        expected.append(bool(callback._is_improvement(float(one), float(other))))
    assert 0 < sum(expected) < 2000
    mine = improves(tf.constant(value), tf.constant(min_delta), tf.constant(best))
    np.testing.assert_array_equal(mine, expected)


def keras_stops(values, stopping):
    """Run Keras's own callback on a curve; return the number of epochs and the best one's index."""
    callback = keras.callbacks.EarlyStopping(
        stopping.monitor,
        stopping.min_delta,
        stopping.patience,
        mode="max" if "accuracy" in stopping.monitor else "min",
        restore_best_weights=True,
    )
    (_, model) = trainings_of(mlp(), 1)
    callback.set_model(model)
    callback.on_train_begin()
    for epoch, value in enumerate(values):
        callback.on_epoch_end(epoch, {stopping.monitor: value})
        if callback.stopped_epoch:
            break
    return epoch + 1, callback.best_epoch


def test_monitoring_an_unknown_metric_is_refused_with_the_nearest_name():
    trainings, model = trainings_of(mlp(), 1)
    stopping = Stopping(2, 0.0, "val_los")
    with pytest.raises(ModelError, match=r"no metric 'val_los' \(did you mean 'val_loss'\?\)"):
        fit_together(trainings, model, stopping=stopping)


def test_repetitions_give_the_same_numbers_together_and_alone():
    builder = mlp()
    trainings, model = trainings_of(builder, 5)
    together, _ = fit_together(trainings, model, epochs=10)
    for place, training in enumerate(trainings):
        (alone,), _ = fit_together([training], trainings_of(builder, 1)[1], epochs=10)
        assert_same(together[place].history, alone.history, LOCKSTEP_TOLERANCE)


@pytest.mark.parametrize("together", cases([True, False], [], [True]))
def test_xla_gives_the_same_curves(together):
    # Without dropout, because XLA draws other masks.
    builder = mlp(metrics=["categorical_accuracy", "AUC"], dropout=0)
    trainings, _ = trainings_of(builder, 2)
    stopping = Stopping(3, 0.0, "val_loss")
    plain, compiled = (
        fit_together(trainings, trainings_of(builder, 1)[1], stopping=stopping, xla=xla)[0][1]
        if together
        else fit_one(
            builder, trainings[1], trainings_of(builder, 1)[1], stopping=stopping, xla=xla
        )[0]
        for xla in (False, True)
    )
    assert_same(plain.history, compiled.history, 1e-4)


def test_a_large_validation_set_is_scored_in_parts():
    rows = rows_of(rows=9000)
    builder = mlp()
    (training,), model = trainings_of(builder, 1, rows=rows)
    alone, _ = fit_one(builder, training, model, epochs=1, batch=500)
    expected, _ = plain_fit(builder, training, 500, 1, 3)
    assert_same(alone.history, expected)


def test_a_metric_of_several_numbers_is_refused_with_the_remedy():
    trainings, model = trainings_of(mlp(metrics=[keras.metrics.F1Score()]), 1)
    with pytest.raises(ModelError, match="gives 3 numbers; choose an average"):
        fit_together(trainings, model)


#: Two samples of one distribution differ by this much in one case out of a hundred.
SAME_DISTRIBUTION = 0.01


def seeded_by_keras(builder, rows, repetitions, epochs):
    """Train by plain `model.fit`, which shuffles and draws with Keras's own seeds.

    Returns
    -------
    array of shape (repetitions,)
        The validation loss of each training's last epoch.
    """
    _, model = trainings_of(builder, 1, rows=rows)
    encoded = trainings_of(builder, 1, rows=rows)[0][0].rows
    model.optimizer.build(model.trainable_variables)
    start = [variable.numpy() for variable in model.optimizer.variables]
    losses = []
    for repetition in range(repetitions):
        keras.utils.set_random_seed(1000 + repetition)
        fresh = builder(encoded.x_train.shape[1:], encoded.y_train.shape[1])
        # One model serves all trainings, so that `fit` traces its step once.
        model.set_weights(fresh.get_weights())
        for state, drawn in zip(seed_states(model), seed_states(fresh), strict=True):
            state.assign(drawn)
        for variable, value in zip(model.optimizer.variables, start, strict=True):
            variable.assign(value)
        history = model.fit(
            encoded.x_train,
            encoded.y_train,
            sample_weight=encoded.weights,
            validation_data=(encoded.x_val, encoded.y_val),
            batch_size=BATCH,
            epochs=epochs,
            shuffle=True,
            verbose=0,
        ).history
        losses.append(history["val_loss"][-1])
    return np.array(losses)


@pytest.mark.nightly
def test_compiled_and_plain_fits_with_different_seeds_agree_in_distribution():
    """Over 25 repetitions, by the Kolmogorov-Smirnov test on the final validation loss."""
    repetitions, epochs = 25, 8

    def builder_of(dropout):
        return mlp(lambda: keras.optimizers.Adam(0.03), dropout=dropout)

    rows = rows_of(rows=60)
    plain = seeded_by_keras(builder_of(0.5), rows, repetitions, epochs)

    made = {
        dropout: trainings_of(builder_of(dropout), repetitions, rows=rows) for dropout in (0.5, 0.0)
    }

    def last_losses(dropout, together):
        trainings, model = made[dropout]
        if together:
            fitted, _ = fit_together(trainings, model, epochs=epochs)
        else:
            _, fit = fit_one(builder_of(dropout), trainings[0], model, epochs=epochs)
            run = {"batch_size": BATCH, "epochs": epochs, "stopping": None}
            fitted = [fit([training], model, **run)[0] for training in trainings]
        return np.array([one.history["val_loss"][-1] for one in fitted])

    for together in (True, False):
        mine = last_losses(0.5, together)
        assert len(set(mine)) == repetitions
        assert stats.ks_2samp(mine, plain).pvalue > SAME_DISTRIBUTION
        # The same test distinguishes a network without dropout from one with it.
        assert stats.ks_2samp(last_losses(0.0, together), plain).pvalue < SAME_DISTRIBUTION


#: Names in `keras.optimizers` that cannot be made from a learning rate.
WRAPPERS = {"Optimizer", "OptimizerMap", "LossScaleOptimizer", "MultiOptimizer"}


def test_the_elementwise_optimizers_are_those_of_the_installed_keras():
    """An optimizer is element-wise if it updates two stacked weights like each of them alone."""
    elementwise = set()
    for name, kind in vars(keras.optimizers).items():
        if isinstance(kind, type) and name not in WRAPPERS and not name.startswith("_"):
            generator = np.random.default_rng(0)
            start = generator.normal(size=(2, 4, 3)).astype(np.float32)
            gradients = generator.normal(size=(3, 2, 4, 3)).astype(np.float32)

            def updated(value, gradients, kind=kind):
                variable = keras.Variable(value, name="kernel")
                optimizer = kind(learning_rate=0.1)
                optimizer.build([variable])
                for gradient in gradients:
                    optimizer.apply([tf.constant(gradient)], [variable])
                return variable.numpy()

            alone = np.stack([updated(start[i], gradients[:, i]) for i in range(2)])
            if np.allclose(updated(start, gradients), alone, atol=1e-6):
                elementwise.add(name)
    assert elementwise == ELEMENTWISE_OPTIMIZERS & vars(keras.optimizers).keys()


def test_an_optimizer_state_that_copies_weights_copies_those_of_each_training():
    kind = getattr(keras.optimizers, "ScheduleFreeAdamW", None)
    if kind is None:
        pytest.skip("this Keras has no such optimizer")
    builder = mlp(kind)
    trainings, model = trainings_of(builder, 3)
    _, fit = fit_one(builder, trainings[0], model)
    (fitted,) = fit([trainings[2]], model, batch_size=BATCH, epochs=EPOCHS, stopping=None)
    assert_same(fitted.history, plain_fit(builder, trainings[2], BATCH, EPOCHS, 3)[0])
