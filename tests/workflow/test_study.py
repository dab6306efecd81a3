"""Promises of a whole run: all results are made, nothing runs twice, numbers repeat."""

from __future__ import annotations

import json
from bisect import bisect_left

import pandas as pd
import pytest

from gridloom.errors import StudyError
from gridloom.study.loading import check_study
from tests.workflow.conftest import TINY, jobs


def test_a_run_leaves_records_tables_and_heatmaps(finished):
    assert jobs(finished.output) == {
        "download": 1,
        "split": 1,
        "train": 4,
        "gather": 1,
        "analyse": 1,
        "heatmaps": 1,
        "figures": 1,
        "report": 1,
        "verdict": 1,
    }
    records = finished.records()
    assert len(records) == 4
    for path, text in records.items():
        assert path.endswith("reps=0-1.json")
        record = json.loads(text)
        assert [training["repetition"] for training in record["trainings"]] == [0, 1]
        history = record["trainings"][0]["history"]
        assert set(history) == {
            "loss",
            "categorical_accuracy",
            "val_loss",
            "val_categorical_accuracy",
        }
        assert all(len(values) == 2 for values in history.values())
        assert record["parameters"] > 0
        assert record["environment"]["packages"]["tensorflow"]
        assert record["environment"]["engine"] == "lockstep"
        assert set(record["trainings"][0]["seeds"]) == {
            "base",
            "init",
            "shuffle",
            "dropout",
            "validation",
        }
    runs = pd.read_csv(finished.results / "runs.csv")
    assert len(runs) == 8
    assert set(TINY["hyperparameters"]) < set(runs.columns)
    summary = pd.read_csv(finished.results / "summary.csv")
    means = summary["val_categorical_accuracy_mean"].round(6)
    assert summary["rank"].tolist() == means.rank(method="min", ascending=False).tolist()
    assert len(pd.read_parquet(finished.results / "history.parquet")) == 16
    assert {path.stem for path in (finished.results / "figures").iterdir()} == {
        "heatmap_units_x_dropout_mean",
        "ties",
    }


def test_test_rows_are_in_no_training(finished):
    train = pd.read_parquet(finished.data / "train.parquet")
    test = pd.read_parquet(finished.data / "test.parquet")
    assert (len(train), len(test)) == (455, 114)
    assert pd.concat([train, test]).duplicated().sum() == 0


def test_nothing_is_left_to_do_after_a_run(copied):
    done = copied.run()
    assert done.returncode == 0
    assert "Nothing to be done" in done.stdout + done.stderr


def test_a_dry_run_trains_nothing_and_counts_the_jobs(project):
    done = project.run("-n")
    assert done.returncode == 0, done.stdout + done.stderr
    assert jobs(done.stdout + done.stderr)["train"] == 4
    assert not project.results.exists()


@pytest.mark.slow
def test_a_repeated_study_gives_the_same_numbers_warm_or_cold(finished, untrained):
    """Only half of the grid is trained cold, because each cold job imports TensorFlow."""
    untrained.change(trainer={"warm": False}, hyperparameters={"units": 4})
    untrained.succeed("--until", "gather", cores=1)
    warm, cold = finished.runs(), untrained.runs()
    half = warm[warm["units"] == "4"].reset_index(drop=True)
    assert len(cold) == 4
    assert cold[half.columns].equals(half)
    warm, cold = (
        # These depend on all points.
        pd.read_csv(one.results / "summary.csv").drop(
            columns=[
                "seconds_mean",
                "rank",
                "expected",
                "tied_with_best",
                "regret_high",
                "regret_high_new_rows",
            ]
        )
        for one in (finished, untrained)
    )
    warm, cold = (
        table[table["units"] == 4].sort_values("dropout").reset_index(drop=True)
        for table in (warm, cold)
    )
    assert len(cold) == 2
    assert cold[warm.columns].equals(warm)


@pytest.mark.slow
def test_early_stopping_ends_at_the_best_epoch(untrained):
    untrained.change(
        hyperparameters={
            "units": 4,
            "dropout": 0,
            "learning_rate": 0.5,
            "epochs": 40,
            "early_stopping_patience": 3,
        }
    )
    untrained.succeed("--until", "gather")
    runs = pd.read_csv(untrained.results / "runs.csv")
    history = pd.read_parquet(untrained.results / "history.parquet")
    assert (runs["epochs_run"] < 40).any()
    for _, run in runs.iterrows():
        curve = history[history["repetition"] == run["repetition"]]["val_loss"]
        assert len(curve) == run["epochs_run"]
        assert run["val_loss"] == curve.min()


ODD = '''"""A network that takes anything."""
import keras


def build_model(input_shape, outputs, *, z_layers, **others):
    """Build it."""
    hidden = [keras.layers.Dense(units) for units in z_layers]
    model = keras.Sequential([keras.Input(input_shape), *hidden, keras.layers.Dense(outputs)])
    model.compile("sgd", "mse", metrics=["categorical_accuracy"])
    return model
'''


@pytest.mark.slow
def test_braces_repeats_and_very_long_paths_are_fine(untrained, monkeypatch):
    """Snakemake replaces braces, and refuses names that end in twenty repeats."""
    (untrained.folder / "models" / "odd.py").write_text(ODD)
    monkeypatch.chdir(untrained.folder)

    def study(length):
        full, rest = divmod(length, 240)
        texts = {f"t{place:02}": "x" * 240 for place in range(full)} | {"u": "x" * rest}
        knobs = {"batch_size": 64, "epochs": 1, "note": ["{wild}", "b"], "z_layers": [[2] * 24]}
        changes = {"name": "Study {z}", "model": "models/odd.py", "repetitions": 1}
        return {**TINY, **changes, "hyperparameters": knobs | texts}

    def refused(length):
        try:
            check_study(study(length))
        except StudyError as error:
            return "use shorter values" in str(error)
        return False

    longest = bisect_left(range(6000), True, key=refused) - 1
    untrained.write(study(longest))
    assert untrained.succeed()["train"] == 2
    assert set(untrained.runs()["note"]) == {"{wild}", "b"}
    assert untrained.succeed() == {}
    untrained.write(study(longest + 1))
    assert "the system allows 4,095; use shorter values" in untrained.fail("-n")
