"""Promises of a loss's traits: they follow from class and function, not from the name."""

from __future__ import annotations

from functools import partial

import keras
import pytest

from gridloom.errors import ModelError
from gridloom.networks.losses import _OUTPUTS, LossTraits, _is_keras, loss_traits


def sparse_focal(y, p):
    return keras.losses.sparse_categorical_crossentropy(y, p)


def own_crossentropy(y, p):
    return keras.losses.binary_crossentropy(y, p, from_logits=True)


class Renamed(keras.losses.BinaryCrossentropy):
    pass


class Overridden(keras.losses.BinaryCrossentropy):
    def call(self, y, p):
        return p - y


WRAPPER = type(keras.losses.MeanSquaredError()).__mro__[1]

CLASSES = LossTraits(False, "classes")
SPARSE = LossTraits(True, "classes")
LABELS = LossTraits(False, "labels")
LOGITS = LossTraits(False, "labels", logits=True)


@pytest.mark.parametrize(
    ("loss", "expected"),
    [
        ("sparse_categorical_crossentropy", SPARSE),
        ("SparseCategoricalCrossentropy", SPARSE),
        (keras.losses.sparse_categorical_crossentropy, SPARSE),
        (keras.losses.SparseCategoricalCrossentropy(name="ce"), SPARSE),
        (keras.losses.CategoricalCrossentropy(name="sparse_ce"), CLASSES),
        ("CategoricalFocalCrossentropy", CLASSES),
        ("bce", LABELS),
        ("ce", CLASSES),
        (["BinaryCrossentropy"], LABELS),
        ({"out": keras.losses.BinaryCrossentropy(from_logits=True, name="h")}, LOGITS),
        (partial(keras.losses.binary_crossentropy, from_logits=True), LOGITS),
        (WRAPPER(keras.losses.binary_crossentropy, from_logits=True), LOGITS),
        (Renamed(from_logits=True), LOGITS),
        (keras.losses.Hinge(name="h"), LossTraits(False, "margins")),
        (keras.losses.hinge, LossTraits(False, "margins")),
        ("SquaredHinge", LossTraits(False, "margins")),
        ("mse", LossTraits(False, "values")),
        (keras.losses.Circle(), LossTraits(False, "unknown")),
        (Overridden(from_logits=True), LossTraits(False, "unknown")),
        (own_crossentropy, LossTraits(False, "unknown")),
        (WRAPPER(own_crossentropy, name="binary_crossentropy"), LossTraits(False, "unknown")),
        (sparse_focal, LossTraits(True, "unknown")),
        (None, LossTraits(False, "unknown")),
    ],
)
def test_a_loss_is_recognized_by_its_function(loss, expected):
    assert loss_traits(loss, 3) == expected


def test_a_loss_unknown_to_keras_is_refused():
    with pytest.raises(ModelError, match="Could not interpret loss identifier: mes"):
        loss_traits("mes", 2)


def test_each_loss_of_keras_is_in_the_table_or_listed_as_unknown():
    functions = {name for name, value in vars(keras.losses).items() if _is_keras(value)}
    functions = {name for name in functions if name.islower()} - {"get", "serialize", "deserialize"}
    assert functions - _OUTPUTS.keys() == {"circle", "ctc"}


def test_the_meaning_of_outputs_follows_from_the_loss():
    assert loss_traits(Renamed(from_logits=True), 1).meaning(1) == {
        "activation": "sigmoid",
        "probabilities": True,
        "threshold": 0.5,
        "known": True,
    }
    assert loss_traits("hinge", 1).meaning(1)["threshold"] == 0
    assert loss_traits(own_crossentropy, 1).meaning(1) == {
        "activation": None,
        "probabilities": False,
        "threshold": None,
        "known": False,
    }
