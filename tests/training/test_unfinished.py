"""Promises of unfinished jobs: what is trained is kept, the rest trains, and no bit changes."""

from __future__ import annotations

import errno
import json
from dataclasses import replace

import numpy as np
import pytest

from gridloom.engines.types import Fitted
from gridloom.errors import ModelError, StoppedError
from gridloom.training import unfinished
from gridloom.training.trainer import Trainer
from gridloom.training.unfinished import Unfinished, remove_unfinished
from tests.made_requests import changed, histories, request_of

IDENTITY = {"point": "units=1"}


@pytest.fixture(autouse=True)
def no_wait(monkeypatch):
    """Keep trainings of milliseconds, too."""
    monkeypatch.setattr(unfinished, "SAVE_SECONDS", 0.0)


class Stop:
    """A flag that is set when it is looked at for the nth time."""

    def __init__(self, looks: int) -> None:
        self.looks = looks

    def is_set(self) -> bool:
        self.looks -= 1
        return self.looks == 0


def kept(file, identity=IDENTITY, stop=None):
    return Unfinished(file, identity, 60.0, stop or Stop(0))


def fail(checkpoints):
    raise AssertionError("it trains again")


def some_fit() -> list[Fitted]:
    loss = np.array([0.1, np.nan, np.inf], np.float32)
    return [Fitted({"loss": loss}, 2)]


def test_a_kept_fit_is_the_same_to_the_last_bit(tmp_path):
    file = tmp_path / "reps=0-4.unfinished.npz"
    kept(file).fit([0, 2], lambda checkpoints: some_fit())
    (fit,) = kept(file).fit([0, 2], fail)
    assert fit.history["loss"].tobytes() == some_fit()[0].history["loss"].tobytes()
    assert fit.history["loss"].dtype == np.float32
    assert fit.restored_epoch == 2


DAMAGES = {
    "empty": lambda content: b"",
    "cut": lambda content: content[: len(content) // 2],
    "changed": lambda content: content.replace(b"restored", b"restorec"),
    "text": lambda content: b"{}",
    "another file": lambda content: _saved_array(),
}


def _saved_array() -> bytes:
    from io import BytesIO

    stream = BytesIO()
    np.save(stream, np.zeros(3))
    return stream.getvalue()


@pytest.mark.parametrize("damage", DAMAGES.values(), ids=DAMAGES)
def test_a_damaged_file_is_ignored(tmp_path, damage):
    file = tmp_path / "reps=0-4.unfinished.npz"
    kept(file).fit([0], lambda checkpoints: some_fit())
    content = file.read_bytes()
    assert damage(content) != content
    file.write_bytes(damage(content))
    with pytest.raises(AssertionError, match="trains again"):
        kept(file).fit([0], fail)


def test_a_file_of_other_trainings_is_ignored(tmp_path):
    file = tmp_path / "reps=0-4.unfinished.npz"
    kept(file).fit([0], lambda checkpoints: some_fit())
    with pytest.raises(AssertionError, match="trains again"):
        kept(file, {"point": "units=2"}).fit([0], fail)


def test_a_full_disk_ends_no_training(tmp_path, monkeypatch, capsys):
    def full(*arrays):
        raise OSError(errno.ENOSPC, "no space")

    monkeypatch.setattr(np, "savez", full)
    file = tmp_path / "reps=0-4.unfinished.npz"
    assert kept(file).fit([0], lambda checkpoints: some_fit())
    assert "cannot be kept" in capsys.readouterr().out


def test_nothing_is_left_when_the_record_is_there(tmp_path):
    file = tmp_path / "reps=0-4.unfinished.npz"
    kept(file).fit([0], lambda checkpoints: some_fit())
    (tmp_path / ".reps=0-4.unfinished.123.npz").write_bytes(b"of a killed process")
    remove_unfinished(file)
    remove_unfinished(file)
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize(
    ("settings", "epochs"),
    [
        ({"lockstep": True}, 4),
        ({"lockstep": False}, 4),
        ({"lockstep": False, "early_stopping_patience": 1}, 6),
    ],
    ids=["lockstep", "one by one", "early stopping"],
)
def test_a_stopped_job_continues_with_the_same_bits(data, tmp_path, settings, epochs):
    request = request_of(data, repetitions=(0, 1, 2), epochs=epochs, **settings)
    whole = Trainer().run(request)
    file = tmp_path / "reps=0-2.unfinished.npz"
    stoppable = replace(request, unfinished=file, checkpoint_minutes=60.0)
    # One by one, the second training is stopped.
    looks = 2 if settings["lockstep"] else len(whole.trainings[0].history["loss"]) + 2
    with pytest.raises(StoppedError, match="the next run continues it"):
        Trainer(Stop(looks)).run(stoppable)
    with np.load(file) as arrays:
        about = json.loads(arrays["arr_0"].tobytes())
        assert len(arrays) > 1
    assert list(about["fits"]) == ([] if settings["lockstep"] else ["[0]"])
    rest = Stop(0)
    continued = Trainer(rest).run(stoppable)
    trained = sum(len(history["loss"]) for history in histories(whole))
    assert histories(continued) == histories(whole)
    assert [one.restored_epoch for one in continued.trainings] == [
        one.restored_epoch for one in whole.trainings
    ]
    # Each epoch after the stop is trained once.
    assert -rest.looks == (epochs if settings["lockstep"] else trained) - looks
    assert continued.trainings[0].seconds > 0


CALLS_BACK = """
import keras
import pathlib

def build_model(input_shape, outputs, **rest):
    model = keras.Sequential([keras.Input(input_shape), keras.layers.Dense(outputs, "softmax")])
    model.compile("sgd", "categorical_crossentropy", metrics=["categorical_accuracy"])
    return model

class Counted(keras.callbacks.Callback):
    def on_train_begin(self, logs=None):
        begun = pathlib.Path({folder!r}) / "begun"
        begun.write_text(begun.read_text() + "x")
        if begun.read_text() == "fail: xx":
            raise ValueError("no second training")

def callbacks(hyperparameters):
    return [Counted()]
"""


@pytest.mark.slow
def test_trainings_by_model_fit_that_are_finished_are_kept(data, tmp_path):
    begun, model = tmp_path / "begun", tmp_path / "net.py"
    model.write_text(CALLS_BACK.format(folder=str(tmp_path)))
    request = request_of(data, model, repetitions=(0, 1, 2), epochs=1)
    request = replace(changed(request, engine="keras"), unfinished=tmp_path / "unfinished.npz")
    begun.write_text("fail: ")
    with pytest.raises(ModelError, match="no second training"):
        Trainer().run(request)
    begun.write_text("")
    continued = Trainer().run(request)
    assert begun.read_text() == "xx"
    whole = Trainer().run(replace(request, unfinished=None))
    assert begun.read_text() == "xxxxx"
    assert histories(continued) == histories(whole)
