"""Promises about XLA: only the study or the model file asks for it, never the machine."""

from __future__ import annotations

import keras
import pytest
from keras.src.trainers.trainer import Trainer

from gridloom.networks.build import build
from gridloom.networks.keras_private import uses_xla


@pytest.mark.parametrize(
    "given", [{}, *({"jit_compile": value} for value in ("auto", True, False))]
)
def test_the_study_decides_or_leaves_it_to_the_model_file(given, monkeypatch):
    # As Keras decides on a GPU.
    monkeypatch.setattr(Trainer, "_resolve_auto_jit_compile", lambda model: True)

    def build_model(input_shape, outputs):
        model = keras.Sequential([keras.Input(input_shape), keras.layers.Dense(outputs)])
        model.compile("sgd", "mse", **given)
        return model

    model = build(build_model, (2,), 1, {}, 0).model
    assert uses_xla(model, "auto") is (given.get("jit_compile") is True)
    assert uses_xla(model, "on")
    assert not uses_xla(model, "off")
    assert Trainer._resolve_auto_jit_compile(model)  # as before
