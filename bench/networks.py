"""Four kinds of network against plain `model.fit` in two processes, at equal work.

    python bench/networks.py [cnn lstm gru dense]

Each kind is a study of 4 configurations with 3 repetitions, from a cold start to the last record,
on 2 cores. The plain loop shares the same 12 trainings between two processes, which start cold.
Loop and study alternate. The ratio of processor seconds also holds on a machine that is shared.
"""

from __future__ import annotations

import ctypes
import os
import resource
import subprocess
import sys
import time
from pathlib import Path
from statistics import fmean
from typing import Any

import numpy as np
import yaml
from common import fresh_project, report, snakemake

CORES = 2
RUNS = 2
REPETITIONS = 3
RATES = (0.0003, 0.001, 0.003, 0.01)

#: Shape of a row, rows, batch size, epochs.
WORK: dict[str, tuple[tuple[int, ...], int, int, int]] = {
    "cnn": ((28, 28, 1), 5_000, 64, 5),
    "lstm": ((24, 8), 5_000, 32, 5),
    "gru": ((24, 8), 5_000, 32, 5),
    "dense": ((100,), 50_000, 64, 5),
}

MODEL = """
import keras
from keras import layers

BODIES = {
    "cnn": lambda: [
        layers.Conv2D(16, 3, activation="relu"),
        layers.MaxPooling2D(),
        layers.Conv2D(32, 3, activation="relu"),
        layers.MaxPooling2D(),
        layers.Flatten(),
        layers.Dense(64, activation="relu"),
    ],
    "lstm": lambda: [layers.LSTM(32)],
    "gru": lambda: [layers.GRU(32)],
    "dense": lambda: [
        layers.Dense(64, activation="relu"),
        layers.Dropout(0.2),
        layers.Dense(64, activation="relu"),
    ],
}


def build_model(input_shape, outputs, *, kind: str, learning_rate: float):
    model = keras.Sequential(
        [keras.Input(input_shape), *BODIES[kind](), layers.Dense(outputs, activation="softmax")]
    )
    model.compile(
        keras.optimizers.Adam(learning_rate),
        "categorical_crossentropy",
        metrics=["categorical_accuracy"],
    )
    return model
"""

PLAIN = """
import sys

import keras
import numpy as np
from model import build_model

rows, kind, rates, repetitions, batch, epochs, validation = sys.argv[1:]
arrays = np.load(rows)
x, y = arrays["x"], arrays["y"]
repetitions, batch, epochs, held = *map(int, (repetitions, batch, epochs)), float(validation)
held = round(held * len(x))
for rate in map(float, rates.split(",")):
    for seed in range(repetitions):
        keras.backend.clear_session()
        keras.utils.set_random_seed(seed)
        order = np.random.default_rng(seed).permutation(len(x))
        fit, val = order[held:], order[:held]
        scaled = (x - x[fit].mean(0)) / x[fit].std(0)
        targets = keras.utils.to_categorical(y)
        build_model(x.shape[1:], targets.shape[1], kind=kind, learning_rate=rate).fit(
            scaled[fit], targets[fit], validation_data=(scaled[val], targets[val]),
            batch_size=batch, epochs=epochs, verbose=0,
        )
"""


def make_rows(kind: str, file: Path) -> None:
    """Draw rows of two classes that a network can learn."""
    shape, rows, _, _ = WORK[kind]
    generator = np.random.default_rng(0)
    x = generator.normal(size=(rows, *shape)).astype(np.float32)
    direction = generator.normal(size=int(np.prod(shape)))
    np.savez(file, x=x, y=(x.reshape(rows, -1) @ direction > 0).astype(np.int64))


def measured(run: Any) -> tuple[float, float]:
    """Return the wall and processor seconds of all processes that a function starts.

    The workers of a study outlive their Snakemake for a moment, and become this process's children.
    """
    before, started = resource.getrusage(resource.RUSAGE_CHILDREN), time.perf_counter()
    run()
    wall = time.perf_counter() - started
    while True:
        try:
            os.wait()
        except ChildProcessError:
            break
    after = resource.getrusage(resource.RUSAGE_CHILDREN)
    return wall, after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime


def plain(kind: str, folder: Path) -> None:
    """Train by `model.fit`, half of the learning rates in each of two processes."""
    _, _, batch, epochs = WORK[kind]
    (folder / "plain.py").write_text(PLAIN)
    halves = [range(place, len(RATES), CORES) for place in range(CORES)]
    processes = [
        subprocess.Popen(
            [sys.executable, "plain.py", "rows.npz", kind]
            + [",".join(str(RATES[place]) for place in half)]
            + [str(number) for number in (REPETITIONS, batch, epochs, 0.2)],
            cwd=folder,
            env={**os.environ, "TF_CPP_MIN_LOG_LEVEL": "3"},
        )
        for half in halves
    ]
    statuses = [process.wait() for process in processes]
    if any(statuses):
        sys.exit("the plain loop failed")


def study(kind: str) -> tuple[float, float]:
    """Run a study to its records in a fresh project; return wall and processor seconds."""
    _, _, batch, epochs = WORK[kind]
    with fresh_project() as folder:
        make_rows(kind, folder / "rows.npz")
        (folder / "model.py").write_text(MODEL)
        content = {
            "repetitions": REPETITIONS,
            "dataset": {"source": "rows.npz", "task": "classification"},
            # As many rows train as in the plain loop, but for one of each class.
            "split": {"test": 2 / WORK[kind][1]},
            "validation": {"method": "holdout", "fraction": 0.2},
            "model": "model.py",
            "hyperparameters": {
                "kind": kind,
                "learning_rate": list(RATES),
                "batch_size": batch,
                "epochs": epochs,
            },
        }
        (folder / "config" / "config.yaml").write_text(yaml.safe_dump(content))
        spent = measured(lambda: snakemake(folder, "--until", "train", cores=CORES))
        if len(list(folder.glob("results/points/**/reps=*.json"))) != len(RATES):
            sys.exit("not all points trained")
        return spent


def compare(kind: str) -> dict[str, Any]:
    """Run loop and study alternately; return means and the ratios of each pair."""
    pairs = []
    for _ in range(RUNS):
        with fresh_project() as folder:
            make_rows(kind, folder / "rows.npz")
            (folder / "model.py").write_text(MODEL)
            loop = measured(lambda folder=folder: plain(kind, folder))
        pairs.append((loop, study(kind)))
    return {
        "network": kind,
        "plain_wall_seconds": fmean(loop[0] for loop, _ in pairs),
        "study_wall_seconds": fmean(own[0] for _, own in pairs),
        "wall_ratio": fmean(loop[0] / own[0] for loop, own in pairs),
        "plain_cpu_seconds": fmean(loop[1] for loop, _ in pairs),
        "study_cpu_seconds": fmean(own[1] for _, own in pairs),
        "cpu_ratio": fmean(loop[1] / own[1] for loop, own in pairs),
    }


def main() -> None:
    """Compare the networks that are named, or all."""
    if sys.platform == "linux":
        ctypes.CDLL(None).prctl(36, 1)  # PR_SET_CHILD_SUBREAPER, for `measured`
    report(Path(__file__).stem, [compare(kind) for kind in sys.argv[1:] or WORK])


if __name__ == "__main__":
    main()
