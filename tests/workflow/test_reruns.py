"""Promises of a rerun: a change trains exactly what is new."""

from __future__ import annotations

import os
import shutil
import signal
import time
from dataclasses import replace

import pandas as pd
import pytest

from gridloom.records import read_record, write_record
from tests.cases import cases
from tests.workflow.conftest import TINY
from tests.workflow.processes import left_behind, processes_of, wait_for

OPTIMIZERS = '''"""A network whose optimizer is swept."""
import keras

def build_model(input_shape, outputs, *, units, optimizer, momentum=None):
    """Build it."""
    model = keras.Sequential(
        [
            keras.Input(input_shape),
            keras.layers.Dense(units),
            keras.layers.Dense(outputs, activation="softmax"),
        ]
    )
    knobs = {} if momentum is None else {"momentum": float(momentum)}
    chosen = {"sgd": keras.optimizers.SGD, "adam": keras.optimizers.Adam}[optimizer](**knobs)
    model.compile(chosen, "categorical_crossentropy", metrics=["categorical_accuracy"])
    return model
'''


def trained_by(project, **changes) -> set[str]:
    """Change the study, run it, and return the records that are new or changed."""
    before = project.records()
    project.change(**changes)
    project.succeed()
    return {path for path, text in project.records().items() if before.get(path) != text}


ANSWER = {"analyse": 1, "verdict": 1, "heatmaps": 1, "figures": 1, "report": 1}

TABLES = {"gather": 1, **ANSWER}


def test_adding_values_or_repetitions_trains_only_these_and_removing_them_nothing(copied):
    """The scalar learning rate becomes a list that contains it."""
    more = {"units": [1, 4, 8], "learning_rate": [0.1, 0.2]}
    added = trained_by(copied, hyperparameters=more, repetitions=4)
    known = {path for path in added if path.endswith("reps=2-3.json")}
    assert {path.rpartition("/")[0] for path in known} == {
        path.rpartition("/")[0] for path in copied.records() if path.endswith("reps=0-1.json")
    }
    assert len(known) == 4
    new = added - known
    assert len(new) == 8
    assert all(path.endswith("reps=0-3.json") for path in new)
    assert all("units=8/" in path or "learning_rate=0.2/" in path for path in new)
    assert len(copied.runs()) == 4 * 12
    assert left_behind(copied) == []
    assert trained_by(copied) == set()
    assert len(copied.runs()) == 2 * 4
    copied.change(hyperparameters={"units": [8, 1, 4]}, repetitions=4)
    assert "train" not in copied.succeed("-n")


@pytest.mark.parametrize(
    ("changes", "expected"),
    [
        ({}, {}),
        ({"hyperparameters": {"units": [1, 4, 8]}}, {"train": 2, **TABLES}),
        ({"hyperparameters": {"units": [1]}}, TABLES),
        ({"hyperparameters": {"units": [4, 1]}}, ANSWER),
        ({"hyperparameters": {"epochs": 3}}, {"train": 4, **TABLES}),
        ({"repetitions": 3}, {"train": 4, **TABLES}),
        ({"repetitions": 1}, TABLES),
        ({"objective": {"metric": "val_loss", "mode": "min"}}, TABLES),
        ({"figures": {**TINY["figures"], "dpi": 61}}, {"heatmaps": 1, "figures": 1}),
        (
            {"figures": {**TINY["figures"], "heatmaps": ["mean", "best"]}},
            {"heatmaps": 1, "further_heatmaps": 1, "figures": 1},
        ),
        ({"resources": {"train": {"threads": 2, "mem_mb": 123, "runtime": 5}}}, {}),
        ({"trainer": {"warm": False, "lockstep": False}}, {}),
        ({"repetitions_per_job": 1}, {}),
        ({"points_per_job": 3}, {}),
        ({"points_per_job": 3, "hyperparameters": {"units": [1, 4, 8]}}, {"train": 1, **TABLES}),
        ({"points_per_job": 3, "hyperparameters": {"epochs": 3}}, {"train": 2, **TABLES}),
        ({"points_per_job": 3, "repetitions": 3}, {"train": 2, **TABLES}),
        ({"points_per_job": 3, "repetitions": 1}, TABLES),
        ({"points_per_job": "auto"}, {}),
        (
            # Four jobs for the one core, as the pace of this set-up is not known.
            {"points_per_job": "auto", "seed": 1, "hyperparameters": {"units": list(range(1, 17))}},
            {"train": 4, **TABLES},
        ),
    ],
    ids=str,
)
def test_a_change_runs_just_the_jobs_that_use_it(copied, changes, expected):
    copied.change(**changes)
    assert copied.succeed("-n") == expected


def test_order_and_spelling_train_nothing(copied):
    knobs = {
        "epochs": 2,
        "units": [4, 1.0],
        "dropout": {"linspace": [0.0, 0.3, 2]},
        "activation": ["relu"],
    }
    copied.write({**TINY, "hyperparameters": {**knobs, **_rest(knobs)}})
    assert "train" not in copied.succeed("-n")


def _rest(knobs):
    return {key: value for key, value in TINY["hyperparameters"].items() if key not in knobs}


@pytest.mark.slow
def test_settings_that_no_training_depends_on_train_nothing(copied):
    changed = trained_by(
        copied,
        objective={"metric": "val_loss", "mode": "min"},
        figures={"formats": ["svg"], "dpi": 90},
        resources={"train": {"threads": 1, "mem_mb": 1234}},
        trainer={"warm": False},
    )
    assert changed == set()
    assert (copied.results / "figures" / "heatmap_units_x_dropout_mean.svg").exists()


@pytest.mark.parametrize(
    "changes",
    [
        {"split": {"seed": 1}},
        {"seed": 1},
        {"vary": ["init"]},
        {"class_weight": None},
        {"validation": {"fraction": 0.3}},
    ],
)
def test_a_change_of_the_set_up_trains_everything(copied, changes):
    copied.change(**changes)
    assert copied.succeed("-n")["train"] == 4


@pytest.mark.parametrize(
    "file",
    cases(
        ["models/mlp.py", "gridloom/engines/compiled.py", "gridloom/data/tables.py"],
        ["models/mlp.py"],
        ["gridloom/engines/compiled.py", "gridloom/data/tables.py"],
    ),
)
def test_an_edit_of_code_trains_everything_but_a_touch_or_comment_nothing(copied, file):
    path = copied.folder / file
    text = path.read_text()
    later = time.time() + 5
    os.utime(path, (later, later))
    assert copied.succeed() == {}
    path.write_text(text + "\n# an edit that changes no number\n")
    os.utime(path, (later, later))
    assert copied.succeed("-n") == {}
    path.write_text(text + "\nEDITED = True\n")
    assert copied.succeed("-n")["train"] == 4
    path.write_text(text)
    assert copied.succeed("-n") == {}


@pytest.mark.slow
def test_undoing_an_edit_that_made_trainings_fail_trains_nothing(copied):
    path = copied.folder / "models" / "mlp.py"
    text, before = path.read_text(), copied.records()
    path.write_text(text.replace("keras.Sequential", "keras.Sequentail"))
    assert "4 of 4 records failed" in copied.fail()
    assert copied.records() == before
    path.write_text(text)
    assert copied.succeed() == {}
    # An edit that trains is another set-up; the records of both are kept and used.
    path.write_text(text + "\nEDITED = True\n")
    assert copied.succeed()["train"] == 4
    # It builds the same networks, so their trainings are adopted.
    new = [copied.results / "points" / name for name in copied.records().keys() - before.keys()]
    adopted = {read_record(record).adopted_from for record in new}
    assert (len(new), adopted) == (4, before.keys())
    path.write_text(text)
    assert copied.succeed() == TABLES
    assert before.items() < copied.records().items()


@pytest.mark.slow
def test_lost_rows_are_made_again_and_only_new_points_train(copied):
    before = copied.records()
    shutil.rmtree(copied.results / "data")
    assert copied.succeed("-n") == {}
    assert "train" not in copied.succeed("-n", "refit")
    copied.change(hyperparameters={"units": [1, 4, 8]})
    plan = copied.run("plan", "-q").stdout
    assert "finished    8" in plan
    assert "to train    4  in 2 jobs" in plan
    made = copied.succeed()
    assert made == {"download": 1, "split": 1, "train": 2, **TABLES}
    assert before.items() < copied.records().items()
    assert copied.succeed("-n") == {}


@pytest.mark.slow
def test_a_deleted_or_truncated_record_is_trained_again(copied):
    first, second, *_ = sorted((copied.results / "points").rglob("*.json"))
    expected = copied.runs()
    first.unlink()
    second.write_text(second.read_text()[:100])
    assert copied.succeed()["train"] == 2
    assert copied.runs().equals(expected)


@pytest.mark.parametrize(
    ("file", "expected"),
    [
        ("scripts/heatmaps.py", {"heatmaps": 1}),
        ("gridloom/figures/style.py", {"heatmaps": 1, "figures": 1, "report": 1}),
        ("gridloom/figures/ties.py", {"figures": 1}),
        ("gridloom/report/page/report.js", {"report": 1}),
        ("scripts/gather.py", TABLES),
        ("gridloom/analysis/table.py", TABLES),
    ],
)
def test_an_edit_of_a_script_reruns_only_its_rules(copied, file, expected):
    path = copied.folder / file
    path.write_text(path.read_text() + "\n# an edit\n")
    assert copied.succeed("-n") == expected


@pytest.mark.slow
def test_only_an_edit_of_the_data_trains_again_not_a_touch_or_mistyped_setting(project):
    rows = [f"{i % 9},{i % 5},{'ab'[i % 2]}" for i in range(60)]
    data = project.folder / "mine.csv"
    data.write_text("\n".join(["x,y,target", *rows]))
    own = {"source": "mine.csv"}
    project.change(dataset=own, hyperparameters={"units": 1})
    assert project.succeed("--until", "gather")["train"] == 2
    project.change(dataset={**own, "drop": ["z"]}, hyperparameters={"units": [1, 2]})
    assert "dataset.drop: there is no column 'z'" in project.fail()
    later = time.time() + 5
    os.utime(data, (later, later))
    assert trained_by(project, dataset=own, hyperparameters={"units": [1, 2]}) == {
        path for path in project.records() if "units=2/" in path
    }
    data.write_text("\n".join(["x,y,target", *rows[:-1], "8,8,a"]))
    assert project.succeed("-n")["train"] == 4


def test_records_of_other_versions_are_reported_when_mixed(copied):
    path = sorted((copied.results / "points").rglob("*.json"))[0]
    record = read_record(path)
    packages = {**record.machine.packages, "keras": "3.0.0"}
    write_record(path, replace(record, machine=replace(record.machine, packages=packages)))
    done = copied.run()
    assert done.returncode == 0
    assert "1 records with keras 3.0.0" in done.stderr
    assert "3 records with keras" in done.stderr


@pytest.mark.slow
def test_a_conditional_hyperparameter_is_missing_where_it_is_not_given(untrained):
    (untrained.folder / "models" / "own.py").write_text(OPTIMIZERS)
    sgd = {"optimizer": "sgd", "momentum": [0, 0.9]}
    grid = {"grids": [sgd, {"optimizer": "adam"}], "units": [1, 2], "batch_size": 64, "epochs": 1}
    untrained.write({**TINY, "model": "models/own.py", "hyperparameters": grid})
    assert untrained.succeed()["train"] == 6
    runs = pd.read_csv(untrained.results / "runs.csv")
    assert runs[runs["optimizer"] == "adam"]["momentum"].isna().all()
    assert set(runs[runs["optimizer"] == "sgd"]["momentum"]) == {0, 0.9}
    assert "train" not in untrained.succeed("--forcerun", "gather")


def test_a_comment_in_the_study_does_nothing(copied):
    path = copied.folder / "config" / "config.yaml"
    path.write_text("# a comment\n" + path.read_text())
    done = copied.run()
    assert "Nothing to be done" in done.stdout + done.stderr


@pytest.mark.slow
def test_a_run_that_was_killed_half_way_leaves_nothing_and_goes_on_where_it_was(untrained):
    untrained.change(hyperparameters={"units": list(range(1, 13)), "epochs": 20})
    running = untrained.start(cores=1)
    assert wait_for(lambda: len(untrained.records()) >= 5 or running.poll() is not None, 120)
    running.send_signal(signal.SIGKILL)
    running.wait()
    assert wait_for(lambda: not processes_of(untrained)), processes_of(untrained)
    assert wait_for(lambda: not left_behind(untrained)), left_behind(untrained)
    assert untrained.run("--unlock").returncode == 0
    finished = untrained.records()
    assert 5 <= len(finished) < 24
    assert untrained.succeed("--until", "gather")["train"] == 24 - len(finished)
    assert finished.items() <= untrained.records().items()


def test_touched_files_are_not_reported_as_trainings(copied):
    before = copied.records()
    done = copied.run("--touch", "--forceall")
    assert done.returncode == 0, done.stderr
    assert "nothing was trained or made" in done.stderr
    assert "new" not in done.stderr
    assert copied.records() == before
    assert copied.succeed("-n") == {}
