"""Promises of a verification: differences are described, reserved repetitions are scored."""

from __future__ import annotations

import math
from dataclasses import replace

import numpy as np
import pandas as pd
import pytest

from gridloom.analysis.observations import Observations
from gridloom.analysis.verify import (
    Verified,
    compare,
    describe_briefly,
    describe_verified,
    observe_reserved,
    score,
    verify,
)
from gridloom.errors import StudyError
from gridloom.records import Machine
from tests.made_picks import BEST
from tests.made_records import write_made_record

POINT = {"units": 1, "epochs": 2}


def history(*losses):
    return {"loss": list(losses)}


def observed(*scores: float, sign: int = 1) -> Observations:
    return Observations(
        points=pd.DataFrame({"point": [BEST.point]}),
        axes={},
        repetitions=np.arange(len(scores)),
        scores=sign * np.array([scores]),
        sign=sign,
    )


def verified(*pairs, scores=(0.9, 0.8), baselines=None):
    """Return a verification of `BEST`."""
    if baselines is None:
        baselines = pd.DataFrame(columns=["baseline", "repetition", "val_score", "note"])
    return verify(BEST, "5", pairs, observed(*scores), baselines)


def test_equal_records_are_the_same_bit_for_bit(tmp_path):
    pair = [
        write_made_record(tmp_path / name, POINT, [history(0.5, 0.25), history(0.5, None)])
        for name in ("then", "now")
    ]
    found = verified(pair)
    repeated = found.repeated
    assert (repeated.trainings, repeated.identical, repeated.largest_difference) == (2, 2, 0)
    text = describe_verified(found, BEST)
    assert "2 trainings in a new process: the same, bit for bit" in text


def test_what_differs_is_described_with_machine_and_packages(tmp_path):
    old = Machine("here", cpu="old", packages={"keras": "3", "tensorflow": "2"})
    new = Machine("here", cpu="new", packages={"keras": "4", "tensorflow": "2"})
    then = write_made_record(tmp_path / "then", POINT, [history(0.5, 0.25)], machine=old)
    now = write_made_record(tmp_path / "now", POINT, [history(0.5, 0.375)], machine=new)
    found = verified((then, now))
    assert (found.repeated.identical, found.repeated.largest_difference) == (0, 0.125)
    text = describe_verified(found, BEST)
    assert "1 differ, by 0.125 at most" in text
    assert "cpu was old and is new" in text
    assert "packages was keras 3 and is keras 4" in text


def test_a_training_that_diverged_once_only_differs_without_bound(tmp_path):
    then = write_made_record(tmp_path / "then", POINT, [history(0.5, 0.25)])
    now = write_made_record(tmp_path / "now", POINT, [history(0.5, None)])
    assert math.isinf(compare([(then, now)]).largest_difference)


@pytest.mark.parametrize("sign", [1, -1])
def test_the_score_is_a_mean_in_its_own_unit_with_students_interval(sign):
    found = score(observed(1.0, 2.0, 3.0, sign=sign))
    assert (found.mean, found.n) == (2.0, 3)
    assert found.se == pytest.approx(1 / math.sqrt(3))
    assert found.high == pytest.approx(2 + 4.302653 / math.sqrt(3))
    assert found.low == pytest.approx(2 - 4.302653 / math.sqrt(3))


@pytest.mark.parametrize(
    ("scores", "message"),
    [
        ([math.nan] * 3, "none of 3 reserved repetitions has a val_score"),
        ([1.0, math.nan], "no interval, as only one has a number"),
        ([1.0, 2.0, math.nan], "1 of 3 reserved repetitions diverged"),
    ],
)
def test_reserved_repetitions_without_a_number_are_described(scores, message):
    found = verified(scores=scores)
    assert message in describe_verified(found, BEST)
    assert found.reserved.n == np.isfinite(scores).sum()


def test_what_is_written_is_read_again(tmp_path):
    old = Machine("here", cpu="old", packages={"keras": "3"})
    then = write_made_record(tmp_path / "then", POINT, [history(0.5, 0.25)], machine=old)
    now = write_made_record(tmp_path / "now", POINT, [history(0.5, None)])
    dummy = pd.DataFrame(
        {"baseline": ["dummy"], "repetition": [0], "val_score": [0.5], "note": [""]}
    )
    found = verified((then, now), scores=(0.9,), baselines=dummy)
    found.write(tmp_path / "verify.yaml")
    again = Verified.read(tmp_path / "verify.yaml")
    assert str(again) == str(found)  # NaN is not equal to itself
    assert math.isinf(again.repeated.largest_difference)
    assert math.isnan(again.baselines[0].gain_low)
    assert "baselines   Simple models on the same rows" in describe_verified(again, BEST)


@pytest.mark.parametrize("text", ["", "[]", "point: units=1", "repeated: 3", "{"])
def test_a_file_that_is_no_verification_is_named(tmp_path, text):
    (tmp_path / "verify.yaml").write_text(text)
    with pytest.raises(StudyError, match=r"verify\.yaml holds no verification; delete it and run"):
        Verified.read(tmp_path / "verify.yaml")


def test_a_verification_is_about_one_point_and_set_up():
    found = verified()
    assert found.is_about(BEST, "5")
    assert not found.is_about(BEST, "6")
    assert not found.is_about(replace(BEST, point="units=9"), "5")


def test_the_verdict_has_the_score_and_whether_trainings_repeat(tmp_path):
    then = write_made_record(tmp_path / "then", POINT, [history(0.5, 0.25)])
    assert describe_briefly(verified((then, then), scores=(0.9, 0.8, 0.85))) == (
        "Over 3 repetitions that chose nothing, it scored 0.85 (95 % interval 0.7258 to 0.9742). "
        "Its trainings repeat bit for bit."
    )


def test_reserved_repetitions_are_read_to_the_last(tmp_path):
    records = [
        write_made_record(tmp_path, POINT, [{"loss": [0.1], "val_score": [score]}], first=first)
        for first, score in ((1000, 0.9), (1001, 0.7))
    ]
    found = observe_reserved(records, BEST, math.inf)
    assert found.scores.tolist() == [[0.9, 0.7]]
