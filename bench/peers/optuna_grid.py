"""Optuna's GridSampler, two processes on one journal."""

import multiprocessing
import tempfile
from importlib.metadata import version
from pathlib import Path

import optuna
from optuna.storages import JournalStorage
from optuna.storages.journal import JournalFileBackend
from shared import GRID, POINTS, PROCESSES, REPETITIONS, Clock, train


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
    with tempfile.TemporaryDirectory() as folder, Clock(version("optuna")):
        path = str(Path(folder) / "journal")
        share = len(POINTS) // PROCESSES
        spawn = multiprocessing.get_context("spawn")
        workers = [spawn.Process(target=work, args=(path, share)) for _ in range(PROCESSES)]
        for worker in workers:
            worker.start()
        for worker in workers:
            worker.join()
