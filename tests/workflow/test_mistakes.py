"""Promises at mistakes: one clear message, nothing trained, nothing changed."""

from __future__ import annotations

import http.server
import re
import threading

import pytest

from tests.workflow.conftest import TINY


def test_a_wrong_config_stops_before_any_job_with_a_message_for_each_mistake(project):
    project.change(
        seed=-1,
        repetitons=3,
        hyperparameters={"learning_rate": [0.1, "1e-3"], "epochs": 0},
    )
    printed = project.fail()
    assert "repetitons: unknown key (did you mean 'repetitions'?)" in printed
    assert "seed: must be at least 0, found -1" in printed
    assert "hyperparameters.learning_rate[1]: YAML reads 1e-3 as text" in printed
    assert "hyperparameters.epochs" not in printed or "found 0" in printed
    assert not project.results.exists()


def test_a_hyperparameter_that_the_model_does_not_take_is_named_before_any_job(project):
    project.change(hyperparameters={"droput": 0.1})
    printed = project.fail("-n")
    assert "hyperparameters.droput: `build_model` in models/mlp.py takes no such" in printed
    assert "did you mean 'dropout'?" in printed


def test_a_whole_study_given_by_configfile_replaces_the_default(project):
    whole = {key: TINY[key] for key in ("dataset", "model", "hyperparameters")}
    project.write(whole, "other.yaml")
    done = project.run("-n", "--configfile", "other.yaml")
    assert done.returncode == 0, done.stdout + done.stderr
    # The study has the schema's five repetitions, not the two of the default study.
    assert "reps=0-4" in project.run("-n", "--configfile", "other.yaml", "--summary").stdout


def test_a_partial_file_and_the_command_line_override_the_default(project):
    project.write({"repetitions": 7}, "more.yaml")
    assert "reps=0-6" in project.run("-n", "--configfile", "more.yaml", "--summary").stdout
    assert "reps=0-2" in project.run("-n", "--summary", "--config", "repetitions=3").stdout


@pytest.fixture
def server(tmp_path):
    (tmp_path / "served").mkdir()
    (tmp_path / "served" / "page").write_text("<html>no data</html>")
    rows = "\n".join(f"{i % 9},{i % 5},{'ab'[i % 2]}" for i in range(60))
    (tmp_path / "served" / "data.csv").write_text(f"x,y,target\n{rows}\n")

    class Handler(http.server.SimpleHTTPRequestHandler):
        def __init__(self, *arguments, **options):
            super().__init__(*arguments, directory=str(tmp_path / "served"), **options)

        def log_message(self, *_):
            pass

    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler) as running:
        threading.Thread(target=running.serve_forever, daemon=True).start()
        yield f"http://127.0.0.1:{running.server_port}"
        running.shutdown()


@pytest.mark.slow
def test_data_from_a_server_trains_and_a_failed_download_is_one_message(project, server):
    for page, printed in (
        ("none.csv", "the server answered 404"),
        ("page", "is a web page, not a"),
    ):
        project.change(dataset={"source": f"{server}/{page}"}, trainer={"warm": False})
        assert printed in project.fail()
        assert list(project.results.rglob("train.parquet")) == []
        assert not (project.results / "points").exists()
    dataset = {"source": f"{server}/data.csv"}
    project.change(dataset=dataset, hyperparameters={"units": 1, "dropout": 0})
    assert project.succeed("--until", "train")["train"] == 1


def test_a_missing_local_file_is_named_before_any_job(project):
    project.change(dataset={"source": "mine.csv"})
    printed = project.fail()
    assert "mine.csv" in printed
    assert not (project.results / "points").exists()


def test_a_misspelt_objective_ends_the_run_before_any_training_with_one_sentence(untrained):
    untrained.change(objective={"metric": "val_categorical_acuracy", "mode": "max"})
    printed = untrained.fail()
    assert untrained.records() == {}
    # Only the jobs that run at that time report it, here two.
    assert re.search("^[12] of 4 records failed", printed, re.MULTILINE)
    assert (
        "× objective.metric: there is no 'val_categorical_acuracy' (did you mean "
        "'val_categorical_accuracy'?); there are loss, categorical_accuracy, val_loss, "
        "val_categorical_accuracy" in printed
    )


@pytest.mark.slow
def test_correcting_a_misspelt_objective_trains_nothing(copied):
    before = copied.records()
    copied.change(objective={"metric": "categorical_acuracy", "mode": "max"})
    printed = copied.fail()
    assert printed.count("did you mean 'val_categorical_accuracy'?") == 1
    assert copied.records() == before
    copied.change()
    assert "train" not in copied.succeed()
    assert copied.records() == before


LOGS = """\"\"\"A network whose callback logs a metric of its own.\"\"\"
import keras


class Norm(keras.callbacks.Callback):
    def on_epoch_end(self, epoch, logs=None):
        logs["norm"] = 1.0


def callbacks(hyperparameters):
    return [Norm()]


def build_model(input_shape, outputs, **knobs):
    model = keras.Sequential([keras.Input(input_shape), keras.layers.Dense(outputs)])
    model.compile("sgd", "mse")
    return model
"""


@pytest.mark.slow
def test_an_objective_logged_by_callbacks_is_checked_after_training(untrained):
    (untrained.folder / "models" / "own.py").write_text(LOGS)
    study = {"model": "models/own.py", "trainer": {"engine": "keras"}, "repetitions": 1}
    knobs = {"units": 1, "dropout": 0, "epochs": 1}
    untrained.change(**study, objective={"metric": "nrom"}, hyperparameters=knobs)
    assert "there is no 'nrom' (did you mean 'norm'?)" in untrained.fail()
    assert len(untrained.records()) == 1
    untrained.change(**study, objective={"metric": "norm"}, hyperparameters=knobs)
    assert "train" not in untrained.succeed()


def test_another_keras_backend_is_refused_before_any_job(project, tmp_path, monkeypatch):
    monkeypatch.setenv("KERAS_BACKEND", "jax")
    printed = project.fail()
    assert "KERAS_BACKEND is 'jax', but Gridloom trains on tensorflow only; unset it" in printed
    assert len(printed.splitlines()) < 5
    monkeypatch.delenv("KERAS_BACKEND")
    monkeypatch.setenv("KERAS_HOME", str(tmp_path))
    (tmp_path / "keras.json").write_text('{"backend": "torch"}')
    assert "keras.json: backend is 'torch', but Gridloom trains on" in project.fail("-n")
    assert not project.results.exists()


PAGES = '''"""A network whose loss raises pages of arrays."""
import keras
import numpy as np


def loss(y_true, y_pred):
    raise TypeError(f"no loss of {np.array2string(np.arange(90_000), threshold=10**6)} (mine)")


def build_model(input_shape, outputs, *, units):
    """Build it."""
    model = keras.Sequential([keras.Input(input_shape), keras.layers.Dense(outputs)])
    model.compile("sgd", loss)
    return model
'''


def test_an_unexpected_error_leaves_a_readable_log(untrained):
    (untrained.folder / "models" / "own.py").write_text(PAGES)
    knobs = {"units": 1, "batch_size": 64, "epochs": 1}
    untrained.write({**TINY, "model": "models/own.py", "hyperparameters": knobs})
    printed = untrained.fail()
    assert "1 of 1 records failed; nothing is trained yet." in printed
    assert "shows what is finished" not in printed
    assert len(printed) < 10_000
    (log,) = (untrained.results / "logs" / "points").rglob("*.log")
    logged = log.read_text()
    assert "models/own.py" in logged
    assert "TypeError: no loss of [    0" in logged
    assert "(mine)" in logged
    assert len(logged) < 20_000


FAILS = '''"""A network that fails for three units, and twice for two."""
from pathlib import Path

import keras


def build_model(input_shape, outputs, *, units):
    """Build it."""
    tried = Path("tried")
    if units == 3:
        raise ValueError("three is not wanted")
    # The check beside the run may be the first, the second or neither.
    if units == 2 and (not tried.exists() or tried.stat().st_size < 2):
        with tried.open("a") as noted:
            noted.write("x")
        raise ValueError("two is not wanted yet")
    model = keras.Sequential([keras.Input(input_shape), keras.layers.Dense(outputs)])
    model.compile("sgd", "mse", metrics=["categorical_accuracy"])
    return model
'''


def test_a_point_is_retried_as_often_as_asked_fails_alone_and_stands_in_the_closing_summary(
    untrained,
):
    (untrained.folder / "models" / "own.py").write_text(FAILS)
    knobs = {"units": [1, 2, 3, 4], "batch_size": 64, "epochs": 1}
    study = {"model": "models/own.py", "points_per_job": 1, "hyperparameters": knobs}
    untrained.write({**TINY, **study})
    # A limit of jobs does not make this machine a cluster, where each attempt gets more time.
    printed = untrained.fail("--retries", "2", "--jobs", "2", "--printshellcmds")
    asked = re.findall(r'GRIDLOOM_CLIENT" 1 0 (\d+) \S+/units=3/', printed)
    assert asked == ["1440"] * 3
    assert (untrained.folder / "tried").read_text() == "xx"
    assert len(untrained.records()) == 3
    (setup,) = (untrained.results / "points").iterdir()
    record = f"results/points/{setup.name}/batch_size=64/epochs=1/units=3/reps=0-1.json"
    assert record.removeprefix("results/points/") not in untrained.records()
    _, closing = printed.split("1 of 4 records failed")
    assert "1 × model: build_model raised ValueError: three is not wanted (" in closing
    assert "two is not wanted yet" not in closing
    assert f"retry  snakemake --cores all {record}" in printed
