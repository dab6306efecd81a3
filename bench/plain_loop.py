"""The plain loop of the seed article: `model.fit` for each configuration, one by one.

Trains a sample of the seed study's points and prints the seconds of each training as JSON. The
sample contains every combination of batch size and dropout, because these determine the time; the
values of the other axes alternate.
"""

from __future__ import annotations

import itertools
import json
import sys
import time
from pathlib import Path

import keras
import numpy as np
from sklearn.datasets import load_breast_cancer
from sklearn.model_selection import train_test_split
from sklearn.preprocessing import StandardScaler
from sklearn.utils.class_weight import compute_class_weight

sys.path.insert(0, str(Path(__file__).parent.parent / "models"))
from mlp import build_model

AXES = {
    "units": [1, 32, 64],
    "activation": ["linear", "relu"],
    "learning_rate": [0.01, 0.1, 0.5, 1.0],
}


def sample() -> list[dict]:
    """List the points of the sample."""
    turns = zip(*(itertools.cycle(values) for values in AXES.values()), strict=True)
    pairs = itertools.product([4, 16, 32], [0.0, 0.3, 0.6])
    return [
        {"batch_size": batch, "dropout": dropout, **dict(zip(AXES, next(turns), strict=True))}
        for batch, dropout in pairs
    ]


def main() -> None:
    """Train the sample and print the seconds of each training."""
    x, y = load_breast_cancer(return_X_y=True)
    x, _, y, _ = train_test_split(x, y, test_size=0.2, stratify=y, random_state=0)
    seconds = []
    for seed, point in enumerate(sample()):
        started = time.perf_counter()
        keras.backend.clear_session()
        keras.utils.set_random_seed(seed)
        x_fit, x_val, y_fit, y_val = train_test_split(
            x, y, test_size=0.2, stratify=y, random_state=seed
        )
        scaler = StandardScaler().fit(x_fit)
        weights = compute_class_weight("balanced", classes=np.unique(y_fit), y=y_fit)
        knobs = {name: value for name, value in point.items() if name != "batch_size"}
        model = build_model(x.shape[1:], 2, **knobs)
        model.fit(
            scaler.transform(x_fit),
            keras.utils.to_categorical(y_fit),
            validation_data=(scaler.transform(x_val), keras.utils.to_categorical(y_val)),
            batch_size=point["batch_size"],
            epochs=25,
            class_weight=dict(enumerate(weights)),
            verbose=0,
        )
        seconds.append({**point, "seconds": time.perf_counter() - started})
    print(json.dumps(seconds))


if __name__ == "__main__":
    main()
