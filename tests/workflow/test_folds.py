"""Promises of folds: rows of any number, cut by class, group or time, train with each engine."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest

from tests.cases import cases

ROWS = 30

#: Which rows validate → settings of the study. 24 training rows: 7 and 10 do not divide them.
STUDIES = {
    "2 folds of classes": {"validation": {"method": "kfold", "folds": 2}},
    "10 folds of classes": {"validation": {"method": "kfold", "folds": 10}},
    "as many folds as rows": {
        "dataset": {"target": "y", "drop": ["class", "patient"], "task": "regression"},
        "validation": {"method": "kfold", "folds": 24},
        "objective": {"metric": "val_loss", "mode": "min"},
        "model": "models/line.py",
        "class_weight": None,
    },
    "folds in the order of time": {
        "dataset": {"target": "class", "drop": ["patient"], "order": "y"},
        "validation": {"method": "kfold", "folds": 4},
    },
    "folds of uneven groups": {
        "dataset": {"target": "class", "drop": ["y"], "group": "patient"},
        "validation": {"method": "kfold", "folds": 3},
    },
    "one part of uneven groups": {
        "dataset": {"target": "class", "drop": ["y"], "group": "patient"},
        "validation": {"method": "holdout", "fraction": 0.3},
    },
}

LINE = """
import keras

def build_model(input_shape, outputs, *, units, **rest):
    model = keras.Sequential([keras.Input(input_shape), keras.layers.Dense(outputs)])
    model.compile("sgd", "mse")
    return model
"""


def study_of(project, **settings):
    generator = np.random.default_rng(0)
    table = pd.DataFrame(generator.normal(size=(ROWS, 3)).round(3), columns=list("abc"))
    table["y"] = np.arange(ROWS) + 0.5
    table["class"] = np.where(np.arange(ROWS) % 2, "odd", "even")
    table["patient"] = np.repeat(list("pqrstu"), [2, 3, 4, 6, 7, 8])
    table.to_csv(project.folder / "mine.csv", index=False)
    (project.folder / "models" / "line.py").write_text(LINE)
    dataset = {"target": "class", "drop": ["y", "patient"], **settings.pop("dataset", {})}
    project.change(
        dataset={"source": "mine.csv", **dataset},
        split={} if {"order", "group"} & dataset.keys() else {"test": 0.2},
        repetitions_per_job=1,
        hyperparameters={"units": [2, 3], "dropout": 0.3, "batch_size": 4},
        **settings,
    )


QUICK = ["as many folds as rows"]

SLOW = ["10 folds of classes", "folds of uneven groups"]


@pytest.mark.parametrize("name", cases(STUDIES, QUICK, SLOW))
def test_folds_train_warm_and_every_fold_is_in_the_table(project, name):
    study_of(project, **STUDIES[name])
    assert project.succeed("--until", "gather")["train"] == 4
    runs = project.runs()
    folds = STUDIES[name]["validation"].get("folds", 1)
    assert len(runs) == 2 * 2 * folds
    for _, point in runs.groupby(["units", "repetition"]):
        assert sorted(point["fold"].astype(int)) == list(range(folds))
        assert point["val_loss"].nunique() == folds  # each has rows of its own
    assert set(runs["engine"]) == {"lockstep"}
    assert runs["val_loss"].notna().all()


@pytest.mark.slow
def test_folds_give_the_same_numbers_with_each_engine(project):
    numbers = {}
    for engine in ("compiled", "keras"):
        study_of(project, **STUDIES["folds of uneven groups"], trainer={"engine": engine})
        assert project.succeed("--until", "gather")["train"] == 4
        numbers[engine] = project.runs()
    assert set(numbers["keras"]["engine"]) == {"keras"}
    for name in ("loss", "val_loss", "val_categorical_accuracy"):
        one, other = (runs[name].astype(float) for runs in numbers.values())
        np.testing.assert_allclose(one, other, rtol=0, atol=1e-5)
