"""Optuna's GridSampler, with two processes that share a journal."""

import multiprocessing
import tempfile
from importlib.metadata import version
from pathlib import Path

import optuna
from optuna.storages import JournalStorage
from optuna.storages.journal import JournalFileBackend
from shared import GRID, POINTS, PROCESSES, REPETITIONS, Clock, train, warm_up


def objective(trial):
    """Return the mean score of a point's repetitions."""
    point = {name: trial.suggest_categorical(name, values) for name, values in GRID.items()}
    return sum(train(point, seed) for seed in range(REPETITIONS)) / REPETITIONS


def work(path, count):
    """Run some trials of the study."""
    optuna.logging.set_verbosity(optuna.logging.ERROR)
    study = optuna.create_study(
        study_name="grid",
        storage=JournalStorage(JournalFileBackend(path)),
        sampler=optuna.samplers.GridSampler(GRID, seed=0),
        load_if_exists=True,
        direction="maximize",
    )
    study.optimize(objective, n_trials=count)


if __name__ == "__main__":
    spawn = multiprocessing.get_context("spawn")
    with tempfile.TemporaryDirectory() as folder, spawn.Pool(PROCESSES) as pool:
        pool.map(warm_up, range(PROCESSES), chunksize=1)
        share = (str(Path(folder) / "journal"), len(POINTS) // PROCESSES)
        with Clock(version("optuna")):
            pool.starmap(work, [share] * PROCESSES, chunksize=1)
