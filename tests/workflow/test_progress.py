"""Promises of what a run shows while it trains."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from gridloom.naming.blocks import point_of
from gridloom.workers.client import INTERRUPTED
from gridloom.workflow.progress import (
    MAX_ALIKE,
    Outlook,
    Progress,
    describe_duration,
    describe_failure,
    describe_line,
    describe_outlook,
    describe_pace,
    describe_panel,
    describe_score,
)


def record_of(folder: Path, units: int) -> str:
    return f"{folder}/points/0123456789abcdef/epochs=2/units={units}/reps=0-1.json"


def outlook_of(pending, existing=(), **changes) -> Outlook:
    known = {
        "study": "tiny",
        "axes": ("units",),
        "metric": "val_loss",
        "mode": "min",
        "repetitions": 2,
        "folds": 1,
        "here": True,
        "jobs": len(pending),
    }
    return Outlook(**{**known, **changes}, pending=tuple(pending), existing=tuple(existing))


def write(record: str, scores, status="ok") -> None:
    """Write what `Progress` reads of a record: a score for each (repetition, fold)."""
    trainings = [
        {
            "repetition": repetition,
            "fold": fold,
            "status": status,
            "restored_epoch": 1,
            "history": {"val_loss": [9.0, score]},
        }
        for (repetition, fold), score in scores.items()
    ]
    Path(record).parent.mkdir(parents=True, exist_ok=True)
    Path(record).write_text(json.dumps({"trainings": trainings}))


def read_all(progress: Progress) -> Progress:
    progress.read(lambda: False)
    return progress


def test_time_left_follows_the_pace_and_counts_down_between_jobs(tmp_path):
    records = [record_of(tmp_path, units) for units in range(4)]
    progress = Progress(outlook_of(records[1:], records[:1]))
    assert (progress.done, progress.total, progress.seconds_left(0)) == (2, 8, None)
    progress.begin([records[1]], now=100)
    progress.finish(records[1], now=110)
    assert progress.pace() == pytest.approx(0.2)
    assert [progress.seconds_left(now) for now in (110, 115, 999)] == pytest.approx([20, 15, 0])
    progress.begin([records[2]], now=110)
    progress.fail(records[2], "broken", now=110)
    assert progress.seconds_left(110) == pytest.approx(10)
    assert not progress.settled
    progress.begin([records[3]], now=110)
    progress.finish(records[3], now=120)
    assert progress.settled
    assert (progress.done, progress.running) == (6, {})


def test_a_job_that_is_tried_again_has_not_failed(tmp_path):
    record = record_of(tmp_path, 1)
    progress = Progress(outlook_of([record]))
    progress.begin([record], now=0)
    progress.fail(record, "preempted", now=1)
    progress.begin([record], now=2)
    assert not progress.failed
    assert not progress.settled


def test_the_best_point_has_its_mean_over_folds_and_its_error_over_repetitions(tmp_path):
    good, bad = record_of(tmp_path, 1), record_of(tmp_path, 2)
    write(good, {(0, 0): 1.0, (0, 1): 3.0, (1, 0): 4.0, (1, 1): 4.0, (2, 0): -99.0, (2, 1): -99.0})
    write(bad, {(0, 0): 8.0, (0, 1): 8.0, (1, 0): 8.0, (1, 1): 8.0})
    progress = read_all(Progress(outlook_of([], [bad, good], folds=2)))
    best = progress.best()
    # The third repetition is not of the study. Means 2 and 4: sd √2, over √2.
    assert (best.point, best.mean, best.error) == (point_of(good), 3.0, pytest.approx(1.0))
    assert read_all(Progress(outlook_of([], [bad, good], mode="max"))).best().point == point_of(bad)
    assert read_all(Progress(outlook_of([], [good], repetitions=1))).best().error is None


def test_a_point_with_a_diverged_training_is_never_best(tmp_path):
    first, second = record_of(tmp_path, 1), record_of(tmp_path, 1).replace("reps=0-1", "reps=2-3")
    write(first, {(0, 0): 1.0, (1, 0): 1.0})
    write(second, {(2, 0): 1.0, (3, 0): 1.0}, status="diverged")
    progress = Progress(outlook_of([second], [first], repetitions=4))
    assert read_all(progress).best() is not None
    progress.begin([second], now=0)
    progress.finish(second, now=1)
    assert read_all(progress).best() is None
    assert progress.diverged == 2


@pytest.mark.parametrize("text", ["{}", "[]", "{", '{"trainings": [{}]}', '{"trainings": [0]}'])
def test_a_damaged_record_is_left_to_the_tables(tmp_path, text):
    record = record_of(tmp_path, 1)
    write(record, {})
    Path(record).write_text(text)
    assert read_all(Progress(outlook_of([], [record]))).best() is None


def test_repetitions_beyond_the_study_count_when_a_round_of_them_begins(tmp_path):
    record = record_of(tmp_path, 1)
    further = record.replace("reps=0-1", "reps=2-4")
    progress = Progress(outlook_of([], [record]))
    progress.begin([further], now=0)
    assert (progress.done, progress.total, progress.settled) == (2, 5, False)
    write(further, {(2, 0): 1.0, (3, 0): 1.0, (4, 0): 1.0})
    progress.finish(further, now=1)
    assert (progress.done, progress.total, progress.settled) == (5, 5, True)
    assert read_all(progress).best() is None


def failing(count, causes, tmp_path, **changes) -> tuple[Progress, list[str]]:
    records = [record_of(tmp_path, units) for units in range(count + 2)]
    progress = Progress(outlook_of(records, **changes))
    for now, record in enumerate(records[:count]):
        progress.begin([record], now)
        progress.fail(record, causes[now % len(causes)], now)
    return progress, records


def test_a_run_is_hopeless_when_many_jobs_fail_with_one_cause_and_nothing_trains(tmp_path):
    assert not failing(MAX_ALIKE - 1, ["broken"], tmp_path)[0].hopeless
    assert not failing(MAX_ALIKE, ["broken", "other"], tmp_path)[0].hopeless
    progress, records = failing(MAX_ALIKE, ["broken"], tmp_path)
    assert progress.hopeless
    progress.finish(records[-1], now=99)
    assert not progress.hopeless


def test_a_run_is_not_hopeless_while_an_earlier_job_still_trains(tmp_path):
    records = [record_of(tmp_path, units) for units in range(MAX_ALIKE + 1)]
    progress = Progress(outlook_of(records))
    for record in records:
        progress.begin([record], now=0)
    for record in records[1:]:
        progress.fail(record, "broken", now=1)
    assert not progress.hopeless
    progress.fail(records[0], "broken", now=2)
    assert progress.hopeless


def test_the_records_of_a_job_are_counted_one_by_one(tmp_path):
    records = [record_of(tmp_path, units) for units in range(4)]
    progress = Progress(outlook_of(records))
    progress.begin(records, now=0)
    ended: dict[str, str] = {}
    assert progress.advance(ended.get, now=1) == {}
    assert progress.running == {records[0]: 0}
    ended.update({records[0]: "", records[1]: "broken"})
    assert progress.advance(ended.get, now=2) == {records[1]: "broken"}
    assert (progress.done, progress.running) == (2, {records[2]: 2})
    # Only what is not finished trains again.
    progress.fail(records[2], "killed", now=3)
    progress.begin(records, now=4)
    assert (progress.failed, progress.running) == ({}, {records[1]: 4})
    ended.update(dict.fromkeys(records, ""))
    progress.advance(ended.get, now=5)
    assert (progress.done, progress.running, progress.settled) == (8, {}, True)


def test_an_interrupted_job_has_not_failed(tmp_path):
    progress, records = failing(MAX_ALIKE, [INTERRUPTED], tmp_path)
    assert not progress.hopeless
    assert describe_panel(progress, now=99)[-1].text == "0 diverged, 0 failed, 20 interrupted"
    said = describe_failure(progress.outlook, records[3], INTERRUPTED, "log")
    assert said == "interrupted: units=3; nothing to keep yet"


def test_panel_and_line_name_points_by_what_is_swept(tmp_path):
    records = [record_of(tmp_path, units) for units in range(6)]
    for record in records:
        write(record, {(0, 0): 0.50, (1, 0): 0.52})
    progress = Progress(outlook_of(records))
    for record in records[:5]:
        progress.begin([record], now=0)
    progress.finish(records[0], now=2)
    progress.fail(records[1], "broken", now=2)
    panel = [(row.label, row.text) for row in describe_panel(read_all(progress), now=3)]
    assert panel == [
        ("", "1.0 trainings/s, 3 s so far, about 7 s left"),
        ("best so far", "val_loss 0.510 ± 0.010"),
        ("", "units=0"),
        ("trains now", "3 s: units=2"),
        ("", "3 s: units=3"),
        ("", "and 1 more"),
        ("", "0 diverged, 2 failed"),
    ]
    assert describe_line(progress, now=3) == (
        "2 of 12 trainings (16 %), 1.0 trainings/s, 3 s so far, about 7 s left; "
        "best so far 0.510 ± 0.010 (units=0); 0 diverged, 2 failed"
    )


def test_the_panel_describes_a_single_configuration_and_submitted_jobs(tmp_path):
    record = record_of(tmp_path, 1)
    progress = Progress(outlook_of([record], axes=(), here=False))
    progress.begin([record], now=0)
    assert [(row.label, row.text) for row in describe_panel(progress, now=1)] == [
        ("", "time left: known when the first training is finished"),
        ("submitted", "1 s: the only configuration"),
        ("", "0 diverged, 0 failed"),
    ]
    assert describe_outlook(progress.outlook) == "tiny: 2 trainings in 1 job"
    assert describe_outlook(outlook_of([], [record])) == "tiny: 2 trainings, all finished"


@pytest.mark.parametrize(
    ("mean", "error", "text"),
    [
        (0.98237, 0.00266, "0.9824 ± 0.0027"),
        (1234.5, 61.0, "1234 ± 61"),
        (0.5, 0.0, "0.5 ± 0"),
        (0.98237, None, "0.9824"),
        (123456.0, 4567.0, "1.235e+05 ± 4.6e+03"),
        (2e-12, 1e-13, "2e-12 ± 1e-13"),
    ],
)
def test_a_score_has_two_digits_of_its_error(mean, error, text):
    assert describe_score(mean, error) == text


def test_pace_and_time_have_a_unit_that_fits():
    assert [describe_pace(pace) for pace in (62, 0.25, 0.01, 1e-4)] == [
        "62 trainings/s",
        "15 trainings/minute",
        "36 trainings/hour",
        "0.4 trainings/hour",
    ]
    assert [describe_duration(s) for s in (0.2, 119, 120, 7200, 2e5)] == [
        "1 s",
        "119 s",
        "2 minutes",
        "2 hours",
        "2 days",
    ]


def test_a_run_goes_on_if_the_check_built_a_network_that_can_train(tmp_path):
    records = [record_of(tmp_path, units) for units in range(MAX_ALIKE)]

    def failed(**changes) -> Progress:
        progress = Progress(outlook_of(records, **changes))
        for place, record in enumerate(records):
            progress.begin([record], place)
            progress.fail(record, "too wide", place)
        return progress

    assert failed().hopeless
    checked = failed(checked=True)
    assert not checked.hopeless  # until it is known
    checked.can_train = True
    assert not checked.hopeless
    checked.can_train = False
    assert checked.hopeless


def test_the_epoch_of_a_long_training_is_shown(tmp_path):
    records = [record_of(tmp_path, units) for units in range(3)]
    progress = Progress(outlook_of(records))
    for record in records:
        progress.begin([record], 0)
    progress.finish(records[2], 1)
    noted = {"finished": 2, "epochs": 1500}
    for place, repetition in enumerate((None, 1, None)):
        content = {"record": records[place], **noted, "repetition": repetition}
        (tmp_path / f"1t0g-{place}.epoch").write_text(json.dumps(content))
    (tmp_path / "1t0g-9.epoch").write_text("{")
    progress.read_epochs(tmp_path)
    rows = [row.text for row in describe_panel(progress, 60)]
    assert rows[-5:-1] == [
        "60 s: units=0",
        "  epoch 3 of 1,500",
        "60 s: units=1",
        "  repetition 2, epoch 3 of 1,500",
    ]
    assert "units=0 in epoch 3 of 1,500" in describe_line(progress, 60)
    # The worker of a job that has ended shows nothing.
    assert len(progress.epochs) == 2
