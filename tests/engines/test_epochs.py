"""Promises of the running fit: another thread reads the epoch that it is in."""

from __future__ import annotations

import threading

import pytest

from gridloom.engines import model_fit
from gridloom.engines.epochs import last_fit
from tests.made_networks import BATCH, EPOCHS, fit_one, fit_together, mlp, trainings_of


@pytest.mark.slow
def test_the_epoch_of_a_compiled_fit_is_known_while_its_graph_runs():
    epochs = 20_000
    trainings, model = trainings_of(mlp(), 1)
    seen: set[int] = set()
    ended = threading.Event()

    def watch() -> None:
        while not ended.wait(0.01):
            fit = last_fit()
            if fit is not None and fit.epochs == epochs:
                seen.add(fit.finished())

    watcher = threading.Thread(target=watch)
    watcher.start()
    fit_one(mlp(), trainings[0], model, epochs=epochs)
    ended.set()
    watcher.join()
    assert len([count for count in seen if 0 < count < epochs]) > 2
    assert last_fit().as_json() == {"finished": epochs, "epochs": epochs, "repetition": 0}


def test_a_lockstep_has_no_repetition_of_its_own():
    trainings, model = trainings_of(mlp(), 3)
    fit_together(trainings, model)
    assert last_fit().as_json() == {"finished": EPOCHS, "epochs": EPOCHS, "repetition": None}


def test_the_epoch_of_a_fit_by_keras_is_known():
    trainings, model = trainings_of(mlp(), 2)
    model_fit.fit(model, trainings[1], [], batch_size=BATCH, epochs=3, stopping=None)
    assert last_fit().as_json() == {"finished": 3, "epochs": 3, "repetition": 1}


@pytest.mark.slow
def test_with_xla_the_epoch_is_not_known():
    trainings, model = trainings_of(mlp(), 1)
    fit_one(mlp(), trainings[0], model, xla=True)
    assert last_fit() is None
