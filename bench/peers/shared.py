"""The sub-grid, the data and the training, which are the same for every tool."""

import itertools
import json
import time

import keras
import numpy as np
from mlp import build_model
from sklearn.datasets import load_breast_cancer
from sklearn.model_selection import train_test_split
from sklearn.preprocessing import StandardScaler
from sklearn.utils.class_weight import compute_class_weight

PROCESSES = 2
REPETITIONS = 2
EPOCHS = 25
GRID = {"batch_size": [4, 16, 32], "dropout": [0.0, 0.3]}
FIXED = {"units": 32, "activation": "relu", "learning_rate": 0.1}
POINTS = [dict(zip(GRID, values, strict=True)) for values in itertools.product(*GRID.values())]
TRAININGS = len(POINTS) * REPETITIONS


def rows():
    """Return the training rows of the study."""
    x, y = load_breast_cancer(return_X_y=True)
    return train_test_split(x, y, test_size=0.2, stratify=y, random_state=0)[::2]


def train(point, seed):
    """Train one point once; return its validation accuracy."""
    x, y = rows()
    x_fit, x_val, y_fit, y_val = train_test_split(
        x, y, test_size=0.2, stratify=y, random_state=seed
    )
    scaler = StandardScaler().fit(x_fit)
    weights = compute_class_weight("balanced", classes=np.unique(y_fit), y=y_fit)
    keras.backend.clear_session()
    keras.utils.set_random_seed(seed)
    model = build_model(x.shape[1:], 2, dropout=point["dropout"], **FIXED)
    history = model.fit(
        scaler.transform(x_fit),
        keras.utils.to_categorical(y_fit),
        validation_data=(scaler.transform(x_val), keras.utils.to_categorical(y_val)),
        batch_size=point["batch_size"],
        epochs=EPOCHS,
        class_weight=dict(enumerate(weights)),
        verbose=0,
    )
    return float(history.history["val_categorical_accuracy"][-1])


def warm_up(_=None):
    """Import TensorFlow and train once, so that no start-up is counted."""
    train(POINTS[-1], 0)


class Clock:
    """Measures the time of a `with` block and prints it."""

    def __init__(self, version):
        self.version = version

    def __enter__(self):
        self.started = time.perf_counter()

    def __exit__(self, kind, *_):
        if kind is not None:
            return
        seconds = time.perf_counter() - self.started
        measured = {"seconds": seconds, "trainings": TRAININGS, "version": self.version}
        print(json.dumps(measured), flush=True)
