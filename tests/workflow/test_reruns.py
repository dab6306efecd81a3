"""Promises of a rerun: a change trains exactly what is new."""

from __future__ import annotations

import os
import time

import pytest

from tests.workflow.conftest import TINY


def trained_by(project, **changes) -> set[str]:
    """Change the study, run it, and return the records that are new or were made anew."""
    before = project.records()
    project.change(**changes)
    project.succeed()
    return {path for path, text in project.records().items() if before.get(path) != text}


def test_a_value_added_trains_only_its_points_and_removed_or_put_back_none(copied):
    added = trained_by(copied, hyperparameters={"units": [1, 4, 8]})
    assert len(added) == 2
    assert all("units=8/" in path for path in added)
    assert trained_by(copied) == set()
    assert trained_by(copied, hyperparameters={"units": [8, 1, 4]}) == set()


def test_a_scalar_turned_into_a_list_trains_only_the_new_values(copied):
    added = trained_by(copied, hyperparameters={"learning_rate": [0.1, 0.2]})
    assert len(added) == 4
    assert all("learning_rate=0.2/" in path for path in added)
    assert trained_by(copied) == set()


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


def test_more_repetitions_train_only_the_new_ones_and_fewer_none(copied):
    added = trained_by(copied, repetitions=4)
    assert {path.rpartition("/")[2] for path in added} == {"reps=2-3.json"}
    assert len(added) == 4
    assert trained_by(copied) == set()
    assert len(copied.runs()) == 8


def test_settings_that_no_training_depends_on_train_nothing(copied):
    changed = trained_by(
        copied,
        objective={"metric": "val_loss", "mode": "min"},
        figures={"formats": ["svg"], "dpi": 90},
        resources={"train": {"threads": 1, "mem_mb": 1234}},
        trainer={"warm": False, "recycle_mb": 123},
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
def test_what_determines_a_training_trains_all_anew(copied, changes):
    copied.change(**changes)
    assert copied.succeed("-n")["train"] == 4


@pytest.mark.parametrize("file", ["models/mlp.py", "gridloom/training/fit.py"])
def test_an_edit_of_model_or_training_code_trains_all_and_a_touch_none(copied, file):
    path = copied.folder / file
    text = path.read_text()
    later = time.time() + 5
    os.utime(path, (later, later))
    assert copied.succeed() == {}
    path.write_text(text + "\n# an edit\n")
    os.utime(path, (later, later))
    assert copied.succeed("-n")["train"] == 4
    path.write_text(text)
    assert copied.succeed() == {}


def test_a_record_that_was_deleted_or_cut_short_is_trained_again(copied):
    first, second, *_ = sorted((copied.results / "points").rglob("*.json"))
    expected = copied.runs()
    first.unlink()
    second.write_text(second.read_text()[:100])
    assert copied.succeed()["train"] == 2
    assert copied.runs().equals(expected)


def test_a_comment_in_the_study_does_nothing(copied):
    path = copied.folder / "config" / "config.yaml"
    path.write_text("# a comment\n" + path.read_text())
    done = copied.run()
    assert "Nothing to be done" in done.stdout + done.stderr


def test_a_run_that_was_interrupted_goes_on_where_it_was(project):
    project.succeed("--until", "split")
    wanted = "results/points/activation=relu/batch_size=64/dropout=0/epochs=2/learning_rate=0.1/"
    project.succeed(wanted + "units=1/reps=0-1.json")
    assert project.succeed()["train"] == 3
