"""Promises of the objective: a slip is told before training, with what there is to choose from."""

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
        # Not the one of the training rows, which is nearer.
        ("categorical_acuracy", "(did you mean 'val_categorical_accuracy'?)"),
        ("nrom", "(did you mean 'norm'?)"),
        ("auc", "there is no 'auc'; there are"),
    ],
)
def test_a_metric_that_there_is_not_is_told_with_the_nearest_and_all(objective, hint):
    with pytest.raises(ObjectiveError) as caught:
        check_objective(objective, NAMES)
    assert hint in str(caught.value)
    assert str(caught.value).endswith(f"; there are {', '.join(NAMES)}")


def test_a_metric_that_there_is_passes_also_one_of_the_training_rows():
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


def test_what_is_measured_is_known_before_training():
    (training,), model = trainings_of(mlp(), 1)
    assert measured_names(model, training.rows, by_keras=False) == NAMES[:4]


def test_a_metric_of_several_numbers_has_a_name_for_each():
    (training,), model = trainings_of(network([keras.metrics.F1Score(name="f1")]), 1)
    assert "val_f1_2" in measured_names(model, training.rows, by_keras=True)


def test_what_a_model_logs_by_itself_is_not_known_before():
    (training,), model = trainings_of(network(kind=OwnLogs), 1)
    assert measured_names(model, training.rows, by_keras=True) is None
