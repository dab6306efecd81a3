"""KerasTuner's GridSearch, which has no workers on one machine: two halves run side by side."""

import multiprocessing
import tempfile
from importlib.metadata import version

import keras_tuner
from shared import GRID, PROCESSES, REPETITIONS, Clock, train, warm_up


class Search(keras_tuner.GridSearch):
    """Trains each trial once for each repetition of the study."""

    def run_trial(self, trial, *_, **__):
        """Return the scores of a trial's repetitions."""
        point = trial.hyperparameters.values
        return [{"score": train(point, seed)} for seed in range(REPETITIONS)]


def half(share):
    """Search one half of the grid."""
    space = keras_tuner.HyperParameters()
    for name, values in {**GRID, "dropout": [GRID["dropout"][share]]}.items():
        space.Choice(name, values)
    objective = keras_tuner.Objective("score", "max")
    with tempfile.TemporaryDirectory() as folder:
        search = Search(hyperparameters=space, objective=objective, directory=folder)
        search.search()


if __name__ == "__main__":
    with multiprocessing.get_context("spawn").Pool(PROCESSES) as pool:
        pool.map(warm_up, range(PROCESSES), chunksize=1)
        with Clock(version("keras-tuner")):
            pool.map(half, range(PROCESSES), chunksize=1)
