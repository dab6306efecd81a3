"""Promises of the tables: types kept, statistics as stated, diverged trainings shown and last."""

from __future__ import annotations

import re
from dataclasses import replace

import numpy as np
import pandas as pd
import pytest
from scipy import stats

from gridloom.analysis.table import (
    best_epoch,
    describe_exploded,
    describe_versions,
    gather,
    write_tables,
)
from gridloom.errors import RecordError
from gridloom.study.seeds import STREAMS, training_seeds
from gridloom.training.objective import ObjectiveError
from tests.made_records import MACHINE, SETUP, write_made_record
from tests.processor_time import in_turns


def record(folder, point, scores, first=0, machine=MACHINE, logged=(), folds=1, loss=0.5):
    """Write a record whose trainings end with these scores; None is a diverged one, NaN no score.

    With folds, a repetition's scores stand side by side.
    """
    histories = [
        {
            "loss": [0.9, None if score is None else loss],
            "val_accuracy": [0.1, None if score != score else score],
            **{name: [3.5, 4.5] for name in logged},
        }
        for score in scores
    ]
    setup = SETUP if folds == 1 else {**SETUP, "validation": {"method": "kfold", "folds": folds}}
    return write_made_record(folder, point, histories, first=first, machine=machine, setup=setup)


def tables(paths, names=("units",), repetitions=5, mode="max"):
    return gather(paths, list(names), repetitions, "val_accuracy", mode)


def test_one_row_a_training_and_one_an_epoch(tmp_path):
    paths = [record(tmp_path, {"units": units}, [0.5, 0.7]) for units in (1, 2)]
    found = tables(paths)
    assert found.runs["units"].tolist() == [1, 1, 2, 2]
    bases = [training_seeds(0, repetition, STREAMS).base for repetition in (0, 1)]
    assert found.runs["seed"].tolist() == bases * 2
    assert found.runs["val_accuracy"].tolist() == [0.5, 0.7, 0.5, 0.7]
    assert len(found.history) == 8
    assert found.history["epoch"].tolist() == [1, 2] * 4


def test_a_row_says_how_its_training_ran_and_is_empty_where_its_record_does_not(tmp_path):
    history = {"loss": [0.5], "val_accuracy": [0.5]}
    how = [{"engine": "lockstep"}, {"engine": "keras", "why_not_lockstep": "asked for"}, {}]
    paths = [
        write_made_record(tmp_path, {"units": units}, [history], **made_with)
        for units, made_with in enumerate(how)
    ]
    files = [tmp_path / name for name in ("runs.csv", "history.parquet", "summary.csv")]
    write_tables(tables(paths), *files)
    runs = pd.read_csv(files[0], keep_default_na=False)
    assert runs["engine"].tolist() == ["lockstep", "keras", ""]
    assert runs["why_not_lockstep"].tolist() == ["", "asked for", ""]
    assert list(runs)[-3:] == ["host", "engine", "why_not_lockstep"]


@pytest.mark.slow
def test_the_time_grows_in_line_with_the_trainings(tmp_path):
    def made(count):
        names = [f"metric_{place}" for place in range(20)]
        return record(tmp_path / str(count), {"units": 1}, [0.5] * count, logged=names)

    few, many = made(2000), made(16_000)
    of_few, of_many = in_turns(
        lambda: tables([few], repetitions=2000), lambda: tables([many], repetitions=16_000), turns=2
    )
    # Eight times as many take seven times as long; twenty times, if each goes over those before it.
    assert of_many < 14 * of_few


def test_what_a_callback_logs_overwrites_no_hyperparameter_and_no_other_column(tmp_path):
    paths = [
        record(tmp_path, {"units": 1}, [0.5]),
        record(tmp_path, {"units": 2}, [0.5], logged=["units", "seconds", "norm"]),
        record(tmp_path, {"units": 3}, [0.5]),
    ]
    found = tables(paths)
    assert found.runs["units"].tolist() == [1, 2, 3]
    assert found.runs["seconds"].tolist() == [0.5] * 3
    for name in ("logged_units", "logged_seconds", "norm"):
        np.testing.assert_array_equal(found.runs[name], [np.nan, 4.5, np.nan])
        np.testing.assert_array_equal(
            found.history[name], [np.nan, np.nan, 3.5, 4.5, np.nan, np.nan]
        )
        np.testing.assert_array_equal(found.summary[f"{name}_mean"], [np.nan, 4.5, np.nan])


def test_the_summary_is_mean_t_interval_and_quantiles_over_repetitions(tmp_path):
    scores = [0.5, 0.7, 0.9, 0.8]
    (row,) = tables([record(tmp_path, {"units": 1}, scores)]).summary.to_dict("records")
    assert row["n"] == 4
    assert row["val_accuracy_mean"] == pytest.approx(np.mean(scores))
    assert row["val_accuracy_sd"] == pytest.approx(np.std(scores, ddof=1))
    low, high = stats.t.interval(0.95, 3, np.mean(scores), stats.sem(scores))
    assert row["val_accuracy_ci_low"] == pytest.approx(low)
    assert row["val_accuracy_ci_high"] == pytest.approx(high)
    assert (row["val_accuracy_median"], row["val_accuracy_min"], row["val_accuracy_max"]) == (
        pytest.approx(0.75),
        0.5,
        0.9,
    )


def test_one_repetition_has_no_interval(tmp_path):
    (row,) = tables([record(tmp_path, {"units": 1}, [0.5])]).summary.to_dict("records")
    assert row["val_accuracy_mean"] == 0.5
    assert np.isnan(row["val_accuracy_ci_low"])


def test_blocks_of_a_point_are_one_row_and_later_repetitions_may_be_left_out(tmp_path):
    paths = [
        record(tmp_path, {"units": 1}, [0.5, 0.5]),
        record(tmp_path, {"units": 1}, [0.9, 0.9], first=2),
    ]
    assert tables(paths).summary["n"].tolist() == [4]
    assert tables(paths, repetitions=3).summary["val_accuracy_mean"].tolist() == [
        pytest.approx(1.9 / 3)
    ]


def test_diverged_trainings_are_counted_left_out_and_ranked_last(tmp_path):
    paths = [
        record(tmp_path, {"units": 1}, [0.99, None]),
        record(tmp_path, {"units": 2}, [None, None]),
        record(tmp_path, {"units": 3}, [0.4, 0.6]),
        record(tmp_path, {"units": 4}, [0.6, 0.8]),
    ]
    found = tables(paths)
    summary = found.summary.set_index("units")
    assert summary["n_diverged"].to_dict() == {1: 1, 2: 2, 3: 0, 4: 0}
    assert summary["rank"].to_dict() == {4: 1, 3: 2, 1: 3, 2: 4}
    assert summary.loc[1, "val_accuracy_mean"] == 0.99
    assert np.isnan(summary.loc[2, "val_accuracy_mean"])
    assert found.runs["status"].tolist()[:2] == ["ok", "diverged"]


def test_folds_of_a_repetition_are_one_observation(tmp_path):
    # The folds differ: about 0.165 and 0.185 in each of 20 repetitions.
    first = 0.165 + np.linspace(-0.005, 0.005, 20)
    scores = np.stack([first, first[::-1] + 0.02], axis=1)
    paths = [record(tmp_path, {"units": 1}, scores.ravel().tolist(), folds=2)]
    (row,) = tables(paths, repetitions=20).summary.to_dict("records")
    means = scores.mean(axis=1)
    assert (row["n"], row["n_trainings"], row["val_accuracy_n"]) == (20, 40, 20)
    assert row["val_accuracy_mean"] == pytest.approx(0.175)
    assert row["val_accuracy_sd"] == pytest.approx(np.std(means, ddof=1), abs=1e-9)
    assert row["val_accuracy_se"] == pytest.approx(np.std(means, ddof=1) / np.sqrt(20), abs=1e-9)
    assert row["val_accuracy_max"] == pytest.approx(means.max())


def test_two_repetitions_of_five_folds_have_the_interval_of_two(tmp_path):
    scores = [0.5, 0.6, 0.7, 0.6, 0.5, 0.5, 0.6, 0.8, 0.6, 0.5]
    paths = [record(tmp_path, {"units": 1}, scores, folds=5)]
    (row,) = tables(paths).summary.to_dict("records")
    low, high = stats.t.interval(0.95, 1, 0.59, stats.sem([0.58, 0.6]))
    assert (row["val_accuracy_ci_low"], row["val_accuracy_ci_high"]) == pytest.approx((low, high))


def test_a_score_that_is_not_a_number_is_counted_left_out_and_ranked_with_the_diverged(tmp_path):
    nan = float("nan")
    paths = [
        record(tmp_path, {"units": 1}, [0.99, 0.99, nan]),
        record(tmp_path, {"units": 2}, [0.5, 0.7, 0.9]),
        record(tmp_path, {"units": 3}, [nan, nan, nan]),
        record(tmp_path, {"units": 4}, [0.98, None, 0.98]),
    ]
    summary = tables(paths).summary.set_index("units")
    assert summary["n_missing"].to_dict() == {1: 1, 2: 0, 3: 3, 4: 0}
    assert summary["n"].to_dict() == {1: 2, 2: 3, 3: 0, 4: 2}
    assert summary.loc[1, ["val_accuracy_n", "loss_n"]].tolist() == [2, 3]
    assert summary.loc[1, "val_accuracy_mean"] == 0.99
    assert summary["rank"].to_dict() == {2: 1, 1: 2, 4: 3, 3: 4}


def test_equal_means_share_a_rank(tmp_path):
    # 0.1 + 0.2 differs from 0.3 in the last bit.
    scores = {1: [0.9, 0.6], 2: [0.1, 0.2, 0.3], 3: [0.2] * 3, 4: [0.75], 5: [0.7], 6: [0.75, 0.75]}
    paths = [record(tmp_path, {"units": units}, given) for units, given in scores.items()]
    assert tables(paths).summary["rank"].tolist() == [1, 5, 5, 1, 4, 1]


def test_a_training_that_ends_with_a_huge_loss_is_a_diverged_one(tmp_path):
    paths = [
        record(tmp_path, {"units": 1}, [0.5, 0.7]),
        record(tmp_path, {"units": 2}, [0.99, 0.99], loss=4e35),
        record(tmp_path, {"units": 3}, [0.4, 0.4], loss=90.0),
    ]
    found = tables(paths)
    assert found.runs["status"].tolist() == ["ok", "ok", "diverged", "diverged", "ok", "ok"]
    assert found.summary["rank"].tolist() == [1, 3, 2]
    assert "2 trainings end with a finite loss above 1,000, far above" in describe_exploded(found)
    asked = gather(paths, ["units"], 5, "val_accuracy", "max", diverged_above=50)
    assert asked.runs["status"].tolist()[-2:] == ["diverged", "diverged"]
    never = gather(paths, ["units"], 5, "val_accuracy", "max", diverged_above=float("inf"))
    assert set(never.runs["status"]) == {"ok"}
    assert describe_exploded(never) is None


def test_an_interval_of_an_accuracy_ends_at_1_and_that_of_a_loss_does_not(tmp_path):
    paths = [
        record(tmp_path, {"units": 1}, [1.0, 0.9], loss=0.9, logged=["norm"]),
        record(tmp_path, {"units": 1}, [1.0, 0.99], first=2, loss=0.1, logged=["norm"]),
    ]
    (row,) = tables(paths).summary.to_dict("records")
    assert row["val_accuracy_ci_high"] == 1
    assert row["val_accuracy_ci_low"] < 0.95
    assert row["loss_ci_high"] > 1
    assert row["norm_ci_high"] == 4.5


def test_less_is_better_when_the_study_says_so(tmp_path):
    paths = [record(tmp_path, {"units": units}, [score]) for units, score in ((1, 0.9), (2, 0.1))]
    assert tables(paths, mode="min").summary["rank"].tolist() == [2, 1]


def test_values_keep_their_types_and_missing_ones_stay_empty(tmp_path):
    paths = [
        record(tmp_path, {"dropout": 0, "layers": [64, 32], "momentum": None}, [0.5]),
        record(tmp_path, {"dropout": 0.3, "layers": [64]}, [0.5]),
    ]
    found = tables(paths, ("dropout", "layers", "momentum"))
    files = [tmp_path / name for name in ("runs.csv", "history.parquet", "summary.csv")]
    write_tables(found, *files)
    lines = files[0].read_text().splitlines()
    assert ',0,"[64, 32]",null,' in lines[1]
    assert re.search(r",0\.3,\[64\],,0,0,\d+,ok,", lines[2])
    assert pd.read_parquet(files[1])["epoch"].tolist() == [1, 2, 1, 2]


@pytest.mark.parametrize(
    ("values", "mode", "epoch"),
    [
        ([0.1, 0.5, 0.5], "max", 2),
        ([0.3, 0.1, 0.2], "min", 2),
        ([None, 0.4, None], "min", 2),
        ([None], "max", 0),
    ],
)
def test_the_best_epoch_is_the_first_of_the_best(values, mode, epoch):
    assert best_epoch(values, mode) == epoch


def test_an_objective_that_was_not_measured_is_named_with_the_near_match(tmp_path):
    path = record(tmp_path, {"units": 1}, [0.5])
    with pytest.raises(ObjectiveError, match=r"did you mean 'val_accuracy'\?"):
        gather([path], ["units"], 5, "val_acuracy", "max")


@pytest.mark.parametrize(
    ("content", "message"),
    [
        ('{"format": 1', "is cut short or damaged; delete it"),
        ("[]", "is not a record"),
        ('{"format": 1}', "is not a record"),
        ('{"format": 99}', "has format 99"),
        ("\x00\x00", "is cut short or damaged"),
    ],
)
def test_a_damaged_record_is_named(tmp_path, content, message):
    path = record(tmp_path, {"units": 1}, [0.5])
    path.write_text(content)
    with pytest.raises(RecordError) as caught:
        tables([path])
    assert message in str(caught.value)
    assert str(path) in str(caught.value)


def test_a_record_of_another_point_or_version_is_named(tmp_path):
    path = record(tmp_path, {"units": 1}, [0.5])
    other = tmp_path / "points" / "5" / "units=2" / path.name
    other.parent.mkdir()
    other.write_text(path.read_text())
    with pytest.raises(RecordError, match="holds another point, units=1"):
        tables([other])
    path.write_text(path.read_text().replace('"format":1', '"format":99'))
    with pytest.raises(RecordError, match="has format 99, this version reads 1"):
        tables([path])


def test_mixed_package_versions_are_reported_and_equal_ones_are_not(tmp_path):
    paths = [
        record(
            tmp_path,
            {"units": units},
            [0.5],
            machine=replace(MACHINE, packages={**MACHINE.packages, "keras": keras}),
        )
        for units, keras in ((1, "3"), (2, "3"), (3, "4"))
    ]
    text = describe_versions(tables(paths).versions)
    assert "2 records with keras 3" in text
    assert "1 records with keras 4" in text
    assert "tensorflow" not in text
    assert describe_versions(tables(paths[:2]).versions) is None


def test_records_of_another_kind_of_device_are_reported(tmp_path):
    paths = [
        record(tmp_path, {"units": units}, [0.5], machine=replace(MACHINE, gpus=gpus))
        for units, gpus in ((1, ["0"]), (2, []))
    ]
    text = describe_versions(tables(paths).versions)
    assert "1 records with device GPU" in text
    assert "1 records with device CPU" in text


def test_a_record_whose_point_only_ends_alike_is_named(tmp_path):
    path = record(tmp_path, {"units": 1}, [0.5])
    other = tmp_path / "points" / "5" / "depth=2" / "units=1" / path.name
    other.parent.mkdir(parents=True)
    other.write_text(path.read_text())
    with pytest.raises(RecordError, match="holds another point, units=1"):
        tables([other])


def test_a_record_of_other_repetitions_is_named(tmp_path):
    path = record(tmp_path, {"units": 1}, [0.5, 0.6], first=2)
    other = path.with_name("reps=0-1.json")
    path.rename(other)
    with pytest.raises(RecordError, match="holds other repetitions than its name says"):
        tables([other])


def test_all_damaged_records_are_named_at_once_the_first_on_the_screen(tmp_path):
    paths = [record(tmp_path, {"units": units}, [0.5]) for units in range(9)]
    for path in paths[1:]:
        path.write_text("")
    with pytest.raises(RecordError) as caught:
        tables(paths)
    assert str(caught.value).count("delete it") == 5
    assert "and 3 more; see the log" in str(caught.value)
    assert all(str(path) in caught.value.in_full for path in paths[1:])
