"""Promises of a verification: what differs is told, and the score rests on reserved repetitions."""

from __future__ import annotations

import math
from dataclasses import replace

import numpy as np
import pandas as pd
import pytest
import yaml

from gridloom.analysis.baselines import BaselineSummary
from gridloom.analysis.observations import Observations
from gridloom.analysis.verify import (
    compare,
    describe_noted,
    describe_verified,
    noted_baselines,
    read_verified,
    score,
    write_verified,
)
from gridloom.records import Machine
from tests.made_picks import BEST
from tests.made_records import write_made_record

POINT = {"units": 1, "epochs": 2}


def history(*losses):
    return {"loss": list(losses)}


def observed(*scores: float, sign: int = 1) -> Observations:
    return Observations(
        points=pd.DataFrame({"point": ["units=1"]}),
        axes={},
        repetitions=np.arange(len(scores)),
        scores=sign * np.array([scores]),
        sign=sign,
    )


def test_equal_records_are_the_same_bit_for_bit(tmp_path):
    pair = [
        write_made_record(tmp_path / name, POINT, [history(0.5, 0.25), history(0.5, None)])
        for name in ("then", "now")
    ]
    found = compare([tuple(pair)])
    assert (found.trainings, found.identical, found.largest_difference) == (2, 2, 0)
    assert "2 trainings in a new process: the same, bit for bit" in describe_verified(
        BEST, found, score(observed(0.9, 0.8))
    )


def test_what_differs_is_told_with_machine_and_packages(tmp_path):
    old = Machine("here", cpu="old", packages={"keras": "3", "tensorflow": "2"})
    new = Machine("here", cpu="new", packages={"keras": "4", "tensorflow": "2"})
    then = write_made_record(tmp_path / "then", POINT, [history(0.5, 0.25)], machine=old)
    now = write_made_record(tmp_path / "now", POINT, [history(0.5, 0.375)], machine=new)
    found = compare([(then, now)])
    assert (found.identical, found.largest_difference) == (0, 0.125)
    told = describe_verified(BEST, found, score(observed(0.9, 0.8)))
    assert "1 differ, by 0.125 at most" in told
    assert "cpu was old and is new" in told
    assert "packages was keras 3 and is keras 4" in told


def test_a_training_that_diverged_once_only_differs_without_bound(tmp_path):
    then = write_made_record(tmp_path / "then", POINT, [history(0.5, 0.25)])
    now = write_made_record(tmp_path / "now", POINT, [history(0.5, None)])
    found = compare([(then, now)])
    assert math.isinf(found.largest_difference)
    write_verified(tmp_path / "verify.yaml", BEST, "5", found, score(observed(0.9)), [])
    assert yaml.safe_load((tmp_path / "verify.yaml").read_text())["repeated"]["identical"] == 0


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
def test_reserved_repetitions_without_a_number_are_told(tmp_path, scores, message):
    then = write_made_record(tmp_path / "then", POINT, [history(0.5, 0.25)])
    found = score(observed(*scores))
    repeated = compare([(then, then)])
    assert message in describe_verified(BEST, repeated, found)
    write_verified(tmp_path / "verify.yaml", BEST, "5", repeated, found, [])
    written = yaml.safe_load((tmp_path / "verify.yaml").read_text())
    assert written["reserved"]["n"] == np.isfinite(scores).sum()


def test_what_was_written_is_read_for_this_point_and_set_up_only(tmp_path):
    file = tmp_path / "verify.yaml"
    then = write_made_record(tmp_path / "then", POINT, [history(0.5, 0.25)])
    dummy = BaselineSummary("dummy", 1, 0.5, math.nan, math.nan, 0.4, math.nan, math.nan, "")
    reserved = score(observed(0.9, 0.8, 0.85))
    write_verified(file, BEST, "5", compare([(then, then)]), reserved, [dummy])
    assert read_verified(file, BEST, "6") is None
    assert read_verified(file, replace(BEST, point="units=9"), "5") is None
    content = read_verified(file, BEST, "5")
    assert content is not None
    assert str(noted_baselines(content)) == str([dummy])
    assert describe_noted(content) == (
        "Over 3 repetitions that chose nothing, it scored 0.85 (95 % interval 0.7258 to 0.9742). "
        "Its trainings repeat bit for bit."
    )
