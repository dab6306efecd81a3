"""Promises of the objective: a misspelt one is reported before training, with the known names."""

from __future__ import annotations

import keras
import pytest

from gridloom.training.objective import ObjectiveError, check_objective, measured_names
from tests.made_networks import mlp, trainings_of

NAMES = ["loss", "categorical_accuracy", "val_loss", "val_categorical_accuracy", "norm"]


@pytest.mark.parametrize(
    ("objective", "hint"),
    [
        ("val_categorical_acuracy", "(did you mean 'val_categorical_accuracy'?)"),
        ("VAL_Categorical_Accuracy", "(did you mean 'val_categorical_accuracy'?)"),
        # The metric of validation rows is suggested, although that of training rows is nearer.
        ("categorical_acuracy", "(did you mean 'val_categorical_accuracy'?)"),
        ("nrom", "(did you mean 'norm'?)"),
        ("auc", "there is no 'auc'; there are"),
    ],
)
def test_an_unknown_metric_is_reported_with_the_nearest_and_all_names(objective, hint):
    with pytest.raises(ObjectiveError) as caught:
        check_objective(objective, NAMES)
    assert hint in str(caught.value)
    assert str(caught.value).endswith(f"; there are {', '.join(NAMES)}")


def test_known_metrics_pass_also_those_of_training_rows():
    for name in NAMES:
        check_objective(name, NAMES)


class OwnLogs(keras.Sequential):
    def test_step(self, data):
        return {**super().test_step(data), "gap": 1.0}


def network(metrics=("categorical_accuracy",), kind=keras.Sequential):
    def build_model(input_shape, outputs):
        model = kind([keras.Input(input_shape), keras.layers.Dense(outputs, "softmax")])
        model.compile("sgd", "categorical_crossentropy", metrics=list(metrics))
        return model

    return build_model


def first(training):
    return training.rows.x_train[:1], training.rows.y_train[:1]


def test_metrics_are_known_before_training():
    (training,), model = trainings_of(mlp(), 1)
    assert measured_names(model, *first(training), by_keras=False) == NAMES[:4]


def test_each_number_of_a_metric_has_a_name():
    (training,), model = trainings_of(network([keras.metrics.F1Score(name="f1")]), 1)
    assert "val_f1_2" in measured_names(model, *first(training), by_keras=True)


def test_custom_logs_are_not_known_before_training():
    (training,), model = trainings_of(network(kind=OwnLogs), 1)
    assert measured_names(model, *first(training), by_keras=True) is None
