"""Promises of the check before trainings: what a person reads, and that nothing trains for it."""

from __future__ import annotations

import json
import socket
import threading

import pytest

from gridloom.check.findings import Cost, Findings
from gridloom.naming.points import point_path
from gridloom.study.grid import read_grid
from gridloom.workflow.check import (
    Beside,
    Load,
    describe_beside,
    describe_check,
    describe_engines,
    describe_troubles,
    job_seconds,
)
from tests.workflow.conftest import TINY

GRID = {"units": [1, 2, 3], "rate": [0.1, 0.2], "epochs": 10}
POINTS = list(read_grid(GRID).points.values())
AXES = ["rate", "units"]


def path_of(**changes):
    return point_path({"units": 1, "rate": 0.1, "epochs": 10, **changes})


SAMPLE = (path_of(), path_of(units=2), path_of(units=3), path_of(rate=0.2))


def found(failed=None, one_by_one=None, costs=None):
    failed = failed or {}
    return Findings(
        points=SAMPLE,
        failed=failed,
        engines={
            path: "one by one" if path in (one_by_one or {}) else "lockstep"
            for path in SAMPLE
            if path not in failed
        },
        one_by_one=one_by_one or {},
        costs=costs or {},
        memory_mb=500.0 if costs else None,
    )


LOAD = Load(
    records=[f"results/points/5/{point_path(point)}/reps=0-4.json" for point in POINTS],
    jobs=len(POINTS),
    trainings=30,
    parallel=2,
    memory_mb=8000.0,
)


def test_a_failing_value_is_named_with_its_points_and_its_cause():
    cause = "model: build_model(units=2, rate=0.1) raised ValueError: no (own.py, line 3)"
    troubles = describe_troubles(found({path_of(units=2): cause}), POINTS, AXES)
    assert troubles == (
        "✗ units=2 (2 of 6 points): model: build_model raised ValueError: no (own.py, line 3)"
    )
    assert describe_troubles(found(), POINTS, AXES) is None


def test_a_value_that_the_first_point_has_is_named_by_what_the_failing_points_share():
    failed = {path_of(): "wrong", path_of(units=2): "wrong", path_of(units=3): "wrong"}
    assert describe_troubles(found(failed), POINTS, AXES) == "✗ rate=0.1 (3 of 6 points): wrong"


def test_if_no_network_can_train_the_cause_is_said_once():
    troubles = describe_troubles(found(dict.fromkeys(SAMPLE, "wrong")), POINTS, AXES)
    assert troubles == "✗ each network that was built: wrong"


def test_a_swept_value_that_all_points_left_have_is_named():
    left = [point for point in POINTS if point["rate"] == 0.2]
    built = (path_of(rate=0.2), path_of(rate=0.2, units=2), path_of(rate=0.2, units=3))
    findings = Findings(built, dict.fromkeys(built, "wrong"), {}, {}, {})
    assert describe_troubles(findings, left, AXES) == "✗ rate=0.2 (3 of 3 points): wrong"


def test_causes_that_points_share_no_value_of_name_a_point():
    failed = {path_of(units=2): "wrong", path_of(rate=0.2): "wrong"}
    assert describe_troubles(found(failed), POINTS, AXES) == "✗ rate=0.1, units=2 and 1 more: wrong"


def test_the_engine_is_said_with_the_reason_where_it_is_slow():
    assert describe_engines(found()) == [
        "lockstep: the repetitions of a point train as one computation"
    ]
    assert describe_engines(found(one_by_one={path_of(): "a layer has no twin"})) == [
        "1 of 4: one by one, because a layer has no twin",
        "3 of 4: lockstep: the repetitions of a point train as one computation",
    ]


def test_the_time_of_a_point_is_known_from_points_that_share_a_value_with_it():
    costs = {
        path_of(): Cost(1.0, 0.1, 5000),
        path_of(units=2): Cost(1.0, 0.2, 5000),
        path_of(rate=0.2): Cost(1.0, 0.3, 5000),
    }
    points = [
        {"units": units, "rate": rate, "epochs": 10} for units in (1, 2) for rate in (0.1, 0.2)
    ]
    assert list(job_seconds(costs, points)) == pytest.approx([2, 4, 3, 7])
    assert list(job_seconds(costs, [{"units": 9, "rate": 0.1, "epochs": 20}])) == [3.0]


def test_a_check_reports_networks_engine_time_memory_and_disk():
    lines = describe_check(found(costs={path_of(): Cost(1.0, 5.9, 20_000_000)}), POINTS, AXES, LOAD)
    assert lines.splitlines() == [
        "networks   4 of 6 points built: one, and one with each other value of each axis",
        "           each can train",
        "engine     lockstep: the repetitions of a point train as one computation",
        "time       about 3 minutes for 30 trainings in 6 jobs, 2 at once",
        "memory     about 500 MB a job; 2 at once: 1.0 of 8.0 GB",
        "disk       about 120 MB of records and logs",
    ]


def test_a_long_axis_is_said_to_be_checked_in_part():
    points = list(read_grid({"units": {"range": [1, 99, 1]}, "epochs": 1}).points.values())
    assert f"of units, 12 of {len(points)} values" in describe_check(found(), points, AXES, LOAD)


def test_beside_a_run_nothing_is_said_if_all_is_as_it_should_be():
    assert describe_beside(found(), POINTS, AXES) == ""
    said = describe_beside(found({path_of(units=2): "wrong"}), POINTS, AXES)
    assert said.splitlines() == [
        "The check found configurations that cannot train; the others train:",
        "✗ units=2 (2 of 6 points): wrong",
    ]


@pytest.mark.parametrize("error", [None, "the check failed"])
def test_beside_a_run_the_check_begins_when_rows_and_host_are_there(tmp_path, error):
    reported: list[tuple[str, bool]] = []
    done = threading.Event()

    def report(message: str, can_train: bool) -> None:
        reported.append((message, can_train))
        done.set()

    rows = {"rows_file": str(tmp_path / "train"), "split_file": str(tmp_path / "split.json")}
    given = {**rows, "points": list(SAMPLE), "setup": {"onednn": True}}
    beside = Beside(given, AXES, tmp_path, report)
    listener = socket.socket(socket.AF_UNIX)
    listener.bind(str(tmp_path / "host.sock"))
    listener.listen()
    listener.settimeout(0.3)
    with pytest.raises(TimeoutError):  # the rows are not there yet
        listener.accept()
    for file in rows.values():
        open(file, "w").close()
    listener.settimeout(90)
    connection, _ = listener.accept()
    with connection:
        asked = json.loads(connection.makefile().readline())["task"]
        assert asked["arguments"]["timed"] is False
        assert asked["nice"] > 0
        found({path_of(units=2): "wrong"}).write(tmp_path / "check.json")
        connection.sendall(json.dumps({"error": error}).encode() + b"\n")
        assert done.wait(90)
    listener.close()
    beside.end()
    # If the check itself fails, nothing is known.
    ((message, can_train),) = reported
    assert can_train == (error is None)
    assert ("units=2" in message) == (error is None)


ROWS = "".join(f"{i},{i % 7},{'xy'[i % 2]}\n" for i in range(60))


def test_all_misspelt_columns_come_at_once_before_anything_trains(project):
    (project.folder / "mine.csv").write_text(f"id,a,target\n{ROWS}")
    wrong = {"source": "mine.csv", "target": "taget", "drop": ["idd"], "weight": "b"}
    project.change(dataset=wrong)
    printed = project.fail("plan")
    for said in (
        "- dataset.target: there is no column 'taget' (did you mean 'target'?)",
        "- dataset.weight: there is no column 'b'; the columns are 'id', 'a', 'target'",
        "- dataset.drop: there is no column 'idd' (did you mean 'id'?)",
    ):
        assert said in printed
    assert project.records() == {}


FAILS = '''"""A network that fails for three units."""
import keras


def build_model(input_shape, outputs, *, units):
    """Build it."""
    if units == 3:
        raise ValueError("three is not wanted")
    model = keras.Sequential([keras.Input(input_shape), keras.layers.Dense(outputs)])
    model.compile("sgd", "mse", metrics=["categorical_accuracy"])
    return model
'''


def test_a_check_names_a_value_that_cannot_train_and_trains_nothing(untrained):
    (untrained.folder / "models" / "own.py").write_text(FAILS)
    knobs = {"units": [1, 2, 3], "batch_size": [16, 64], "epochs": 1}
    untrained.write({**TINY, "model": "models/own.py", "hyperparameters": knobs})
    printed = untrained.fail("check")
    assert (
        "✗ units=3 (2 of 6 points): model: build_model raised ValueError: three is not wanted"
        in printed
    )
    assert "networks   4 of 6 points built" in printed
    assert untrained.records() == {}
    untrained.change(hyperparameters={"units": [1, 2]})
    assert "time       about" in untrained.run("check").stdout
    assert untrained.records() == {}


def test_a_check_of_a_finished_study_retrains_nothing(copied):
    before = copied.records()
    done = copied.run("check")
    assert done.returncode == 0, done.stdout + done.stderr
    assert "each can train" in done.stdout
    assert "nothing is left to train" in done.stdout
    assert "train" not in copied.succeed()
    assert copied.records() == before


@pytest.mark.slow
def test_a_run_names_a_value_that_cannot_train_while_the_others_train(untrained):
    (untrained.folder / "models" / "own.py").write_text(FAILS)
    knobs = {"units": [3, 2, 1], "batch_size": [1, 2, 4], "epochs": 400}
    untrained.write({**TINY, "model": "models/own.py", "hyperparameters": knobs})
    # Also with a limit of jobs, workers of this machine are warm, and one of them checks.
    printed = untrained.fail("--jobs", "2")
    assert "The check found configurations that cannot train; the others train:" in printed
    assert "✗ units=3 (3 of 9 points): model: build_model raised ValueError: three" in printed
    assert len(untrained.records()) == 6
