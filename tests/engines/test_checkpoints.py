"""Promises of checkpoints: a fit that another process continues has the same bits."""

from __future__ import annotations

import keras
import numpy as np
import pytest

from gridloom.engines.compiled import CompiledFit
from gridloom.engines.lockstep import Lockstep
from gridloom.engines.one_by_one import OneByOne
from gridloom.engines.types import Stopping
from gridloom.errors import StoppedError
from tests.made_networks import BATCH, EPOCHS, mlp, trainings_of


class UntilEpoch:
    """Keeps the state after an epoch and ends the fit there; gives a state that it begins with."""

    def __init__(self, last: int | None = None, state: list[np.ndarray] | None = None) -> None:
        self.last = last
        self.state = state
        self.offers = 0

    def find(self):
        return self.state

    def offer(self, state):
        self.offers += 1
        if self.offers == self.last:
            self.state = state()
            raise StoppedError("here")


def fitted(kind, builder, stopping, checkpoints=None):
    """Fit two trainings by a new graph, as a new process does."""
    trainings, model = trainings_of(builder, 2)
    if kind is OneByOne:
        trainings = trainings[1:]
    program = Lockstep(model, trainings) if kind is Lockstep else OneByOne(model, *trainings)
    fit = CompiledFit(program, stopping=stopping is not None, xla=False)
    fits = fit(
        trainings,
        model,
        batch_size=BATCH,
        epochs=EPOCHS,
        stopping=stopping,
        checkpoints=checkpoints,
    )
    return fits, [program.weights_of(place) for place in range(len(trainings))]


#: Nothing improves so much: the first epoch stays the best, and the last one is not trained.
STOPPING = Stopping(patience=EPOCHS - 2, min_delta=10.0, monitor="val_loss")

#: Optimizers with momentum, a count of steps, and averages that replace the weights in the end.
OPTIMIZERS = {
    "Adam": lambda: keras.optimizers.Adam(0.05),
    "averages": lambda: keras.optimizers.SGD(0.1, momentum=0.9, use_ema=True),
}


@pytest.mark.parametrize(
    ("kind", "optimizer", "stopping"),
    [
        (Lockstep, "Adam", None),
        (Lockstep, "Adam", STOPPING),
        (OneByOne, "Adam", STOPPING),
        (OneByOne, "averages", None),
    ],
)
def test_a_fit_that_another_process_continues_has_the_same_bits(kind, optimizer, stopping):
    builder = mlp(OPTIMIZERS[optimizer])
    whole, weights = fitted(kind, builder, stopping)
    first = UntilEpoch(2)
    with pytest.raises(StoppedError):
        fitted(kind, builder, stopping, first)
    rest = UntilEpoch(state=first.state)
    continued, same_weights = fitted(kind, builder, stopping, rest)
    assert rest.offers == max(len(fit.history["loss"]) for fit in whole) - 2 > 0
    for one, other in zip(whole, continued, strict=True):
        assert one.restored_epoch == other.restored_epoch
        for name, values in one.history.items():
            assert np.array_equal(values, other.history[name]), name
    for mine, theirs in zip(weights, same_weights, strict=True):
        assert all(map(np.array_equal, mine, theirs))
