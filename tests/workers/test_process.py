"""Promises of a training's process: Keras runs on TensorFlow, or one sentence says why not."""

from __future__ import annotations

import json

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
