"""Promises of the reader: what a job wrote is read, and a damaged record is refused by name."""

from __future__ import annotations

import json
import tempfile
from pathlib import Path

import pytest
from hypothesis import assume, given
from hypothesis import strategies as st

from gridloom.errors import RecordError
from gridloom.naming.points import point_path
from gridloom.records import REMEDY, Machine, read_record, write_record
from gridloom.workflow.plan import Pace, measured_pace
from gridloom.workflow.setups import find_earlier
from tests.made_records import SETUP, write_made_record
from tests.made_values import values

POINT = {"batch_size": 16, "dropout": 0.3, "epochs": 3, "layers": [64, 32], "rate": 1}
CURVES = {"loss": [0.9, 0.7, 0.5], "val_loss": [1.0, 0.8, 0.6]}


def made(folder, **options):
    return write_made_record(folder, POINT, [CURVES, CURVES], **options)


def change(path, **changes):
    """Edit a record by hand; a key such as `trainings__1__fold` is one of a training."""
    content = json.loads(path.read_text())
    for key, value in changes.items():
        part = content
        *keys, last = (int(word) if word.isdigit() else word for word in key.split("__"))
        for word in keys:
            part = part[word]
        if value is GONE:
            del part[last]
        else:
            part[last] = value
    path.write_text(json.dumps(content))


GONE = object()


def test_a_record_is_read_completely(tmp_path):
    path = made(tmp_path, engine="one by one", why_not_lockstep="layer PReLU", restored_epoch=1)
    record = read_record(path)
    assert record.hyperparameters == {**POINT, "layers": (64, 32)}
    assert [(one.repetition, one.fold) for one in record.trainings] == [(0, 0), (1, 0)]
    assert record.trainings[1].history == CURVES
    assert record.trainings[1].restored_epoch == 1
    assert (record.engine, record.why_not_lockstep) == ("one by one", "layer PReLU")
    assert (read_record(made(tmp_path)).engine, record.machine.host) == (None, "here")


def test_a_record_that_was_read_is_written_byte_for_byte(tmp_path):
    machine = Machine("here", "Linux", "a cpu", "3.11.7", {"keras": "3"}, False, 2, ["0"])
    path = made(tmp_path, machine=machine, engine="lockstep", started=1.5)
    written = path.read_bytes()
    write_record(path, read_record(path))
    assert path.read_bytes() == written


def test_folds_and_later_repetitions_are_read(tmp_path):
    setup = {**SETUP, "seed": 7, "vary": ["init"], "validation": {"method": "kfold", "folds": 2}}
    path = write_made_record(tmp_path, POINT, [CURVES] * 4, first=3, setup=setup)
    found = [(one.repetition, one.fold) for one in read_record(path).trainings]
    assert found == [(3, 0), (3, 1), (4, 0), (4, 1)]


@given(st.dictionaries(st.sampled_from("abc"), values, min_size=1))
def test_every_point_is_read_with_the_types_of_its_values(point):
    assume(all(len(part) < 250 for part in point_path(point).split("/")))
    with tempfile.TemporaryDirectory() as folder:
        record = read_record(write_made_record(Path(folder), point, [CURVES]))
    assert repr(record.hyperparameters) == repr(dict(sorted(point.items())))


@pytest.mark.parametrize("end", ["", "\r\n", "\n\n"])
def test_another_end_of_the_file_is_accepted(tmp_path, end):
    path = made(tmp_path)
    path.write_bytes(path.read_bytes().rstrip() + end.encode())
    assert read_record(path).parameters == 12


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"format": True}, "has format True, this version reads 1"),
        ({"parameters": GONE}, "parameters is missing; "),
        ({"parameters": 10**30}, "parameters is 1000000000000000000000000000000, not a whole"),
        ({"trainings": GONE}, "has no list of trainings"),
        ({"trainings": []}, "holds other repetitions than its name says"),
        ({"trainings__0": 5}, "training 1: is 5, not a training"),
        ({"trainings__1__repetition": 0}, "training 2: seeds are others than the study's seed 0"),
        ({"trainings__1__repetition": 10**400}, "training 2: repetition is 1000"),
        ({"trainings__1__fold": 1}, "holds other folds than the 1 of its set-up"),
        ({"trainings__1__fold": GONE}, "training 2: fold is missing"),
        ({"trainings__0__seeds__init": 5}, "seeds are others than the study's seed 0 gives"),
        ({"trainings__0__seeds": GONE}, "seeds are others than the study's seed 0 gives"),
        ({"environment__setup__seed": 1}, "seeds are others than the study's seed 1 gives"),
        ({"environment__setup__vary": []}, "seeds are others than the study's seed 0 gives"),
        ({"environment__setup__vary": ["lunch"]}, "vary is ['lunch'], not a list of random"),
        ({"environment__setup": GONE}, "setup is missing; "),
        ({"environment": []}, "environment is [], not a block of keys"),
        ({"environment__host": 5}, "host is 5, not text"),
        ({"environment__packages": {"keras": 3}}, "packages holds {'keras': 3}, not texts"),
        ({"environment__engine": 3}, "engine is 3, not text"),
        ({"environment__gpus": "0"}, "gpus is '0', not a list"),
        ({"trainings__0__status": "fine"}, "status is 'fine', not one of ok, diverged"),
        ({"trainings__0__status": "diverged"}, "is diverged, but all of its history is finite"),
        ({"trainings__0__history__loss": [None] * 3}, "is ok, but its loss is not finite"),
        ({"trainings__0__restored_epoch": 99}, "restored_epoch is 99, counted from 0 of 3"),
        ({"trainings__0__restored_epoch": -1}, "restored_epoch is -1, not a whole number from 0"),
        ({"trainings__0__restored_epoch": True}, "restored_epoch is True, not a whole number"),
        ({"trainings__0__seconds": float("nan")}, "holds NaN, which is no number"),
        ({"trainings__0__seconds": float("-inf")}, "holds -Infinity, which is no number"),
        ({"trainings__0__seconds": 10**400}, "seconds is 1000"),
        ({"trainings__0__seconds": -1}, "seconds is -1, not a time"),
        ({"trainings__0__history": {}}, "history has no list of the loss"),
        ({"trainings__0__history__loss": [0.5]}, "history.val_loss is no list of 1 numbers"),
        ({"trainings__0__history__val_loss": 3}, "history.val_loss is no list of 3 numbers"),
        (
            {"trainings__0__history__val_loss": ["a"] * 3},
            "history.val_loss holds what is no",
        ),
        ({"trainings__0__history__val_loss": [1, 2, True]}, "history.val_loss holds what is no"),
        ({"trainings__0__history__val_loss": [1, 2, 10**400]}, "history.val_loss holds what is no"),
        ({"trainings__0__history__val_loss": [1, 2, 1e39]}, "history.val_loss holds what is no"),
        (
            {"trainings__0__history": {"loss": [0.5] * 4}},
            "training 1: history has 4 epochs, of 3 asked for",
        ),
        ({"hyperparameters__dropout": 0.6}, "dropout is 0.6, its folder says 0.3"),
        ({"hyperparameters__rate": True}, "rate is True, its folder says 1"),
        ({"hyperparameters__layers": [64]}, "layers is [64], its folder says (64, 32)"),
        ({"hyperparameters__units": 5}, "units is 5, its folder says nothing of it"),
        ({"hyperparameters__dropout": GONE}, "dropout is missing, its folder says 0.3"),
        ({"point": 5}, "point is 5, not text"),
    ],
)
def test_a_record_edited_by_hand_is_refused_by_name(tmp_path, changes, message):
    path = made(tmp_path)
    change(path, **changes)
    with pytest.raises(RecordError) as caught:
        read_record(path)
    assert str(caught.value).startswith(f"{path}: ")
    assert message in str(caught.value)
    assert str(caught.value).endswith(REMEDY)
    assert len(str(caught.value)) < len(str(path)) + 200


def test_a_repeated_training_is_refused(tmp_path):
    path = made(tmp_path)
    trainings = json.loads(path.read_text())["trainings"]
    change(path, trainings=[*trainings, trainings[1]])
    with pytest.raises(RecordError, match="holds repetition 1, fold 0 twice"):
        read_record(path)


@pytest.mark.parametrize("content", ["", "{", "[" * 100_000, '{"a": 1e999', "\ufeff{}", "9" * 5000])
def test_invalid_json_is_refused_without_a_traceback(tmp_path, content):
    path = made(tmp_path)
    path.write_text(content)
    with pytest.raises(RecordError, match=r"is cut short or damaged|is not a record"):
        read_record(path)


def test_huge_numbers_and_invalid_text_are_refused(tmp_path):
    path = made(tmp_path)
    path.write_text(path.read_text().replace('"seconds":0.5', '"seconds":1e999', 1))
    with pytest.raises(RecordError, match="seconds is beyond all numbers, not a time"):
        read_record(path)
    path.write_bytes(b"\xff\xfe")
    with pytest.raises(RecordError, match="is cut short or damaged"):
        read_record(path)


def test_the_plan_ignores_damaged_records(tmp_path):
    good = write_made_record(tmp_path, {"epochs": 3}, [CURVES], seconds=6.0)
    bad = write_made_record(tmp_path, {"epochs": 4}, [CURVES], seconds=60.0)
    change(bad, trainings__0__restored_epoch=99)
    assert measured_pace([good, bad]) == Pace(2.0, 1)
    assert find_earlier(tmp_path / "points", "new", {**SETUP, "seed": 1}).changed == [
        "seed (0 → 1)"
    ]
