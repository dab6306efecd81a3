"""Promises of adoption in a run: an edit that builds the same networks trains nothing again."""

from __future__ import annotations

import json

import pytest

from gridloom.naming.blocks import Block
from gridloom.records import read_record
from gridloom.workflow.adoption import (
    adoptable_file,
    adoptable_records,
    count_fitting,
    is_adopted,
    note_adoptable,
)
from tests.made_records import SETUP, write_made_record

TODAY = {**SETUP, "model file": "now", "data": "rows"}

CURVES = [{"loss": [0.5]}]


def made(folder, setup, units, **changes):
    """Write a record of a set-up; `built` is a letter."""
    letter = changes.pop("built", None)
    before = {**TODAY, **changes}
    built = None if letter is None else letter * 32
    path = write_made_record(folder, {"units": units}, CURVES, setup=before, built=built)
    moved = folder / "points" / setup / path.relative_to(folder / "points" / "5")
    moved.parent.mkdir(parents=True, exist_ok=True)
    return path.rename(moved)


def test_records_are_adoptable_that_the_study_does_not_use_and_that_differ_in_the_model_file(
    tmp_path,
):
    used = made(tmp_path, "5a", 1, built="a")
    unused = made(tmp_path, "5a", 2, built="b")
    earlier = made(tmp_path, "5b", 1, built="c", **{"model file": "before"})
    made(tmp_path, "5b", 2, **{"model file": "before"})
    cut = made(tmp_path, "5b", 3, built="d", **{"model file": "before"})
    cut.write_text(cut.read_text()[:-3])
    made(tmp_path, "5c", 1, built="e", data="others")
    damaged = made(tmp_path, "5d", 1, built="f", **{"model file": "before"})
    damaged.write_text("{")
    beside = made(tmp_path, "5d", 2, built="0", **{"model file": "before"})
    for copy in ("5b", "5b/backup/units=9", "5b/units=9/old"):
        (tmp_path / "points" / copy).mkdir(parents=True, exist_ok=True)
        (tmp_path / "points" / copy / earlier.name).write_text(earlier.read_text())
    points = str(tmp_path / "points")
    assert adoptable_records(points, "5a", TODAY, [str(used)]) == {
        "b" * 32: str(unused),
        "c" * 32: str(earlier),
        "0" * 32: str(beside),
    }
    assert adoptable_records(str(tmp_path / "none"), "5a", TODAY, []) == {}


def test_a_list_without_records_is_removed(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    file = adoptable_file("results")
    assert file != adoptable_file("others")
    note_adoptable(file, {"a": "b"})
    assert json.loads(file.read_text()) == {"a": "b"}
    note_adoptable(file, {})
    assert not file.exists()
    note_adoptable(file, {})


def test_missing_records_fit_by_repetitions_and_the_hyperparameters_that_both_have():
    earlier = ["r/points/5b/units=1/reps=0-4.json", "r/points/5b/units=2/reps=0-4.json"]
    block = Block(0, 4)
    new = [({"depth": 1, "units": units}, block) for units in (1, 2, 3)]
    assert count_fitting(new, earlier) == 2
    assert count_fitting([({"units": 1}, Block(0, 3)), ({"units": 1.0}, block)], earlier) == 0
    assert count_fitting(new, []) == 0


@pytest.mark.nightly
def test_an_edit_trains_only_the_networks_that_it_changes(copied):
    """A default of the model file becomes a hyperparameter, and another branch changes.

    `test_reruns` has an edit that changes no network, in a run of one point a job.
    """
    before = copied.records()
    file = copied.folder / "models" / "mlp.py"
    text = file.read_text()
    edited = text.replace("units: int", "depth: int = 1,\n    units: int")
    file.write_text(edited.replace("Dense(units, ", "Dense(units if depth < 2 else 1, "))
    copied.change(
        hyperparameters={"depth": 1, "units": [1, 4, 8]}, points_per_job=3, trainer={"warm": False}
    )
    done = copied.run("--until", "train")
    assert "Finished in" in done.stderr, done.stderr
    assert "12 trainings, 8 of them adopted." in done.stderr
    points = copied.results / "points"
    assert len(copied.records()) == 10
    new = [points / path for path in copied.records().keys() - before.keys()]
    adopted = {path for path in new if is_adopted(str(path))}
    histories = {path: read_record(path).trainings[0].history for path in new}
    assert len(new) == 6
    assert {path for path in new if "units=8" not in str(path)} == adopted
    for path in adopted:
        record = read_record(path)
        source = read_record(points / record.adopted_from)
        assert record.trainings == source.trainings
        log = copied.results / "logs" / path.relative_to(copied.results).with_suffix(".log")
        assert f"were trained in {record.adopted_from}" in log.read_text()
    assert copied.run("--until", "train", "--forcerun", "train").returncode == 0
    assert len(copied.records()) == 10
    assert not any(is_adopted(str(path)) for path in new)
    assert {path: read_record(path).trainings[0].history for path in new} == histories
