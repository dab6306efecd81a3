"""Promises of the choice of an earlier set-up: the one used last, or the one that is asked for."""

from __future__ import annotations

import os

import pytest

from gridloom.errors import StudyError
from gridloom.workflow.setups import choose_setup, describe_changes, find_earlier
from tests.made_records import SETUP, write_made_record

TODAY = {**SETUP, "model file": "now"}


@pytest.fixture
def points(tmp_path):
    """Make three set-ups; `5a` was used last, then `5b`, then `6`."""
    points = tmp_path / "points"
    for age, name in enumerate(("5a", "5b", "6")):
        before = {**TODAY, "model file": name, "seed": age}
        write_made_record(tmp_path, {"units": age}, [{"loss": [0.5]}], setup=before)
        (points / "5").rename(points / name)
        when = (points / name).stat().st_mtime - 3 * 3600 * (age + 1)
        os.utime(points / name, (when, when))
    return points


def choose(points, asked=None, shares=lambda folder: True):
    return choose_setup(points, "7c", TODAY, asked, shares).name


def test_the_set_up_used_last_is_taken_that_shares_configurations(points):
    assert choose(points) == "5a"
    assert choose(points, shares=lambda folder: folder.name != "5a") == "5b"
    os.utime(points / "6")
    assert choose(points) == "6"
    assert find_earlier(points, "7c", TODAY).changed == ["seed (2 → 0)", "model file"]


def test_a_set_up_is_asked_for_by_its_beginning_or_its_folder(points):
    assert choose(points, "5b") == "5b"
    assert choose(points, "6") == "6"
    assert choose(points, f"{points}/5b/") == "5b"


@pytest.mark.parametrize(
    ("asked", "why"),
    [
        ("5", "'5': 2 set-ups begin with it; there are:"),
        ("9", "'9': no other set-up begins with it; there are:"),
        ("7", "'7': is the set-up of the study itself; there are:"),
    ],
)
def test_a_beginning_that_fits_not_just_one_is_answered_by_a_list(points, asked, why):
    with pytest.raises(StudyError) as raised:
        choose(points, asked)
    assert why in str(raised.value)
    assert "5b: used 6 hours ago, 1 record; differs in seed (1 → 0), model file" in str(
        raised.value
    )


def test_without_shared_configurations_the_set_ups_are_listed(points):
    (points / "6" / "units=2" / "reps=0-0.json").write_text("{")
    with pytest.raises(StudyError, match="no other set-up has finished trainings of") as raised:
        choose(points, shares=lambda folder: False)
    assert "6: no readable record" in str(raised.value)
    with pytest.raises(StudyError, match="set-up 5b does not have finished trainings of"):
        choose(points, "5b", lambda folder: False)


def test_a_study_with_one_set_up_says_how_to_get_another(tmp_path):
    (tmp_path / "points" / "7c").mkdir(parents=True)
    with pytest.raises(StudyError, match=r"all trainings belong to one set-up. Edit the model"):
        choose(tmp_path / "points")


def test_values_that_changed_are_shown_alike_whatever_the_order_of_their_keys():
    before = {"validation": {"fraction": 0.2, "method": "holdout"}, "vary": ["init"], "data": "a"}
    now = {"validation": {"method": "kfold", "folds": 5}, "vary": ["init", "shuffle"], "data": "b"}
    assert describe_changes(before, now) == [
        "validation (holdout 0.2 → kfold 5)",
        "vary (init → init shuffle)",
        "data",
    ]
