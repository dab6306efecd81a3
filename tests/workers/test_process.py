"""Promises of a training's process: Keras runs on TensorFlow, or one sentence says why not."""

from __future__ import annotations

import json
import os
import subprocess
import sys

import pytest

from gridloom.errors import BackendError
from gridloom.workers.process import require_backend


@pytest.fixture
def home(tmp_path, monkeypatch):
    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.delenv("KERAS_BACKEND", raising=False)
    monkeypatch.delenv("KERAS_HOME", raising=False)
    (tmp_path / ".keras").mkdir()
    return tmp_path


def test_the_environment_decides_before_the_file(home, monkeypatch):
    file = home / ".keras" / "keras.json"
    file.write_text(json.dumps({"backend": "torch"}))
    with pytest.raises(BackendError, match=r"keras\.json: backend is 'torch'.*KERAS_BACKEND="):
        require_backend()
    monkeypatch.setenv("KERAS_BACKEND", "tensorflow")
    require_backend()
    monkeypatch.setenv("KERAS_BACKEND", "jax")
    with pytest.raises(BackendError, match=r"KERAS_BACKEND is 'jax', but.*unset it"):
        require_backend()


def test_the_file_is_where_keras_looks_for_it(home, monkeypatch):
    (home / "elsewhere").mkdir()
    (home / "elsewhere" / "keras.json").write_text(json.dumps({"backend": "jax"}))
    require_backend()
    monkeypatch.setenv("KERAS_HOME", str(home / "elsewhere"))
    with pytest.raises(BackendError, match=r"elsewhere/keras\.json: backend is 'jax'"):
        require_backend()


@pytest.mark.parametrize("content", ["{}", "[]", "no json", '{"backend": "tensorflow"}'])
def test_a_file_without_another_backend_is_accepted(home, content):
    (home / ".keras" / "keras.json").write_text(content)
    require_backend()


#: Trains a network and prints all of its numbers.
CONVOLVES = """
from gridloom.workers.process import set_devices, set_libraries

set_libraries(onednn={onednn})
set_devices(1, [])
import hashlib

import keras
import numpy as np

keras.utils.set_random_seed(0)
model = keras.Sequential([
    keras.Input((12, 12, 1)),
    keras.layers.Conv2D(8, 3, activation="relu"),
    keras.layers.Reshape((10, 80)),
    keras.layers.LSTM(16),
    keras.layers.Dense(1),
])
model.compile("sgd", "mse")
x = np.random.default_rng(0).normal(size=(64, 12, 12, 1)).astype("float32")
model.fit(x, x.mean((1, 2)), batch_size=16, epochs=2, verbose=0)
print(hashlib.sha256(b"".join(weight.tobytes() for weight in model.get_weights())).hexdigest())
"""


@pytest.mark.slow
def test_without_onednn_the_instructions_of_the_processor_do_not_count():
    """A newer processor has kernels of its own; here the environment hides what it has."""

    def weights(**environment: str) -> str:
        done = subprocess.run(
            [sys.executable, "-c", CONVOLVES.format(onednn=False)],
            env={**os.environ, **environment},
            capture_output=True,
            text=True,
            check=True,
        )
        return done.stdout

    assert weights(ONEDNN_MAX_CPU_ISA="DEFAULT") == weights(ONEDNN_MAX_CPU_ISA="AVX2")
