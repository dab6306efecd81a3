"""Promises of units: a regression's numbers are in the target's units where these are defined."""

from __future__ import annotations

import keras
import numpy as np
import pandas as pd
import pytest

from gridloom.data.preparation import TargetScale
from gridloom.data.rows import Rows
from gridloom.data.split import split_rows
from gridloom.errors import ModelError
from gridloom.study.dataset import Dataset, Split
from gridloom.training.trainer import Trainer
from gridloom.training.units import check_standardizable, in_target_units, target_powers
from tests.made_requests import request_for, write_parts


def network(loss="mse", metrics=(), last=None, outputs=1, **compiled):
    model = keras.Sequential([keras.Input((3,)), keras.layers.Dense(outputs, activation=last)])
    model.compile("sgd", loss, metrics=list(metrics), **compiled)
    return model


class Own(keras.losses.MeanSquaredError):
    """A custom loss with a name of Keras's."""


def mean_squared_error(y, outputs):
    return keras.ops.mean(keras.ops.abs(y - outputs) ** 1.5, axis=-1)


def powers(*metrics, loss="mse", targets=1, **compiled):
    return target_powers(network(loss, metrics, **compiled), targets)


@pytest.mark.parametrize(
    "loss",
    [
        "mse",
        "MeanSquaredError",
        keras.losses.mean_squared_error,
        keras.losses.MeanSquaredError(name="mine"),
        ["mse"],
    ],
)
def test_a_loss_is_recognized_by_its_function(loss):
    assert powers(loss=loss) == {"loss": 2}


@pytest.mark.parametrize("loss", ["huber", "log_cosh", Own(), mean_squared_error])
def test_other_losses_are_not_converted(loss):
    assert powers(loss=loss) == {}


def test_metrics_are_recognized_by_function_and_named_as_in_the_history():
    given = [
        "mae",
        "MeanSquaredError",
        keras.metrics.RootMeanSquaredError(name="off"),
        keras.losses.mean_absolute_error,
        keras.metrics.R2Score(),
        keras.metrics.R2Score("variance_weighted_average", name="weighted"),
        "cosine_similarity",
    ]
    model = network("huber", given, weighted_metrics=["mse"])
    x, y = np.random.default_rng(0).normal(size=(2, 8, 3))
    named = model.fit(x, y[:, :1], verbose=0).history.keys()
    found = target_powers(model, 1)
    assert found == {
        "mae": 1,
        "MeanSquaredError": 2,
        "off": 1,
        "mean_absolute_error": 1,
        "r2_score": 0,
        "mse": 2,
    }
    assert found.keys() < set(named)


def test_names_unknown_to_keras_are_left_to_the_fit():
    assert powers("no_such_metric", "mae", loss="no_such_loss") == {"mae": 1}


def test_with_several_targets_only_unitless_metrics_are_converted():
    assert powers("mae", keras.metrics.R2Score(), targets=2, outputs=2) == {"r2_score": 0}


def test_custom_steps_are_not_converted():
    class Model(keras.Sequential):
        def compute_loss(self, *arguments, **options):
            return super().compute_loss(*arguments, **options) ** 0.5

    model = Model([keras.Input((3,)), keras.layers.Dense(1)])
    model.compile("sgd", "mse", metrics=["mae"])
    assert target_powers(model, 1) == {}


def test_values_beyond_float32_are_infinite():
    scale = TargetScale(np.array([0.0]), np.array([1e5]))
    found = in_target_units({"val_loss": np.float32([1, 1e33]), "lr": 3}, {"loss": 2}, scale)
    np.testing.assert_array_equal(found["val_loss"], np.float32([1e10, np.inf]))
    assert found["lr"] == 3


@pytest.mark.parametrize(
    ("model", "message"),
    [
        (lambda: network("poisson"), "its loss poisson is for targets of 0 or more"),
        (lambda: network("mse", ["mape"]), "its metric mean_absolute_percentage_error is for"),
        (lambda: network("mse", last="softplus"), "its outputs, after softplus, are never below"),
    ],
)
def test_networks_for_positive_targets_are_refused_with_the_remedy(model, message):
    with pytest.raises(ModelError) as caught:
        check_standardizable(model())
    assert message in str(caught.value)
    assert "set `preparation: {target: none}`" in str(caught.value)
    check_standardizable(network("mse", ["mae"]))


#: The target's square root is 260 times its scale: without it, this network learns nothing.
MODEL = """
import keras

def build_model(input_shape, outputs, *, learning_rate: float):
    model = keras.Sequential([keras.Input(input_shape), keras.layers.Dense(outputs)])
    model.compile(keras.optimizers.SGD(learning_rate), "mse",
                  metrics=["mae", keras.metrics.R2Score()])
    return model
"""


@pytest.mark.slow
@pytest.mark.parametrize("engine", ["compiled", "keras"])
def test_a_network_learns_large_targets_and_is_measured_in_their_units(tmp_path, engine):
    generator = np.random.default_rng(2)
    x = generator.normal(size=(200, 3))
    y = 68_000 + 27_000 * (x @ [[0.6], [0.5], [-0.6]]) + generator.normal(size=(200, 1)) * 2000
    dataset = Dataset(source="mine.parquet", task="regression", target="price")
    train, test = split_rows(
        Rows(pd.DataFrame(x, columns=list("abc")), y.astype(np.float32)), dataset, Split()
    )
    write_parts(tmp_path, train, test, dataset)
    (tmp_path / "mine.py").write_text(MODEL)
    point = {"batch_size": 16, "epochs": 20, "learning_rate": 0.1}
    settings = {"engine": engine, "target": "standard"}
    request = request_for(tmp_path, tmp_path / "mine.py", point, **settings)
    for training in Trainer().run(request).trainings:
        history = training.history
        # The noise alone costs 2000² and, on the average, 1600.
        assert 2e6 < history["val_loss"][-1] < 8e6
        assert 1000 < history["val_mae"][-1] < 2500
        spread = history["val_loss"][-1] / (1 - history["val_r2_score"][-1])
        assert 1e8 < spread < 2e9
        assert history["loss"][0] > 1e8
