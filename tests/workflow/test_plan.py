"""Promises of the plan: it says what a run will train, why, and how long it takes."""

from __future__ import annotations

from gridloom.naming.blocks import Block
from gridloom.records import Machine
from gridloom.workflow.plan import (
    Job,
    Pace,
    describe_other_versions,
    describe_plan,
    describe_rules,
    list_jobs,
    measured_pace,
    other_records,
    rules_to_run,
)
from gridloom.workflow.setups import find_earlier
from tests.made_records import SETUP, write_made_record

HEAD = "output_file\tdate\trule\tlog-file(s)\tstatus\tplan"


def jobs(*described, epochs=10):
    """Make jobs from (units, rate, first, last, reason)."""
    return [
        Job(
            f"results/points/5/epochs={epochs}/rate={rate}/units={units}/reps={first}-{last}.json",
            {"epochs": epochs, "rate": rate, "units": units},
            Block(first, last),
            reason,
        )
        for units, rate, first, last, reason in described
    ]


def describe(jobs, repetitions=2, folds=1, parallel=2, pace=None, others=(), earlier=None):
    return describe_plan(
        jobs,
        count=sum(job.reason is not None for job in jobs),
        repetitions=repetitions,
        folds=folds,
        parallel=parallel,
        pace=pace,
        others=others,
        earlier=earlier,
    ).splitlines()


def test_each_record_is_a_job_with_a_typed_point_and_the_reason_to_train_it():
    folder = "results/points/5/a=%31"
    there, missing, cut = (f"{folder}/units={n}/reps=0-4.json" for n in (8, 9, 10))
    found = list_jobs([there, missing, cut], [there], {cut})
    assert [(job.point, job.block, job.reason) for job in found] == [
        ({"a": "1", "units": 8}, Block(0, 4), None),
        ({"a": "1", "units": 9}, Block(0, 4), "missing"),
        ({"a": "1", "units": 10}, Block(0, 4), "cut short"),
    ]


def test_the_other_rules_that_would_run_are_read_from_the_summary_of_snakemake():
    text = "\n".join(
        [
            HEAD,
            "results/runs.csv\t-\tgather\tlog\tmissing\tupdate pending",
            "results/summary.csv\t-\tgather\tlog\tmissing\tupdate pending",
            "results/points/5/units=9/reps=5-6.json\t-\ttrain\tlog\tmissing\tupdate pending",
            "results/data/raw.csv\tnow\tdownload\tlog\tok\tno update",
            "-\t-\tall\t\tmissing\tupdate pending",
        ]
    )
    assert rules_to_run(text) == ["gather"]
    assert describe_rules(jobs((1, 0.1, 0, 1, None)), ["split", "gather"]) == (
        "also runs  split, gather"
    )
    assert describe_rules(jobs((1, 0.1, 0, 1, None)), []) == "Nothing is left to do."
    assert describe_rules(jobs((1, 0.1, 0, 1, "missing")), []) is None


def test_a_new_study_is_counted_without_an_estimate_of_its_time():
    lines = describe(jobs((1, 0.1, 0, 1, "missing"), (2, 0.1, 0, 1, "missing")))
    assert lines == [
        "points     2  units (2)",
        "trainings  4  2 points × 2 repetitions",
        "finished   0",
        "to train   4  in 2 jobs",
        "time       not known: no training is finished yet; `snakemake check` measures it",
    ]


def test_new_values_are_listed_by_axis():
    lines = describe(
        jobs(
            (1, 0.1, 0, 1, None),
            (2, 0.1, 0, 1, None),
            (1, 0.2, 0, 1, "missing"),
            (2, 0.2, 0, 1, "missing"),
        )
    )
    assert "  new: rate = 0.2, 2 points" in lines
    assert not any("units =" in line for line in lines)


def test_new_repetitions_are_listed():
    lines = describe(
        jobs((1, 0.1, 0, 1, None), (1, 0.1, 2, 4, "missing"), (2, 0.1, 0, 4, None)), repetitions=5
    )
    assert "  new: repetitions 3 to 5 of 1 point" in lines
    assert lines[2].split() == ["finished", "7"]


def test_a_missing_combination_of_known_values_is_listed_as_missing():
    lines = describe(jobs((1, 0.1, 0, 1, None), (2, 0.2, 0, 1, None), (1, 0.2, 0, 1, "missing")))
    assert "  missing: 1 point whose values are all known" in lines


def test_a_changed_set_up_is_named_and_earlier_records_are_counted(tmp_path):
    setup = {**SETUP, "model file": "a", "data": "x"}
    assert find_earlier(tmp_path / "points", "new", setup) is None
    points = tmp_path / "points"
    before = {**setup, "model file": "b", "seed": 1}
    path = write_made_record(tmp_path, {"units": 1}, [{"loss": [0.5]}], setup=before)
    earlier = find_earlier(points, "new", setup)
    assert (earlier.records, earlier.changed) == ([path], ["seed (1 → 0)", "model file"])
    expected = "  again: changed seed (1 → 0), model file; 1 record kept in case"
    lines = describe(jobs((1, 0.1, 0, 1, "missing")), earlier=earlier)
    assert any(line.startswith(expected) for line in lines)
    # The new set-up may already have some of its records.
    lines = describe(
        jobs((1, 0.1, 0, 1, None), (2, 0.2, 0, 1, None), (1, 0.2, 0, 1, "missing")), earlier=earlier
    )
    assert any(line.startswith(expected) for line in lines)


def test_a_value_that_was_exchanged_is_shown_with_the_records_that_are_kept(tmp_path):
    for units in (1, 2):
        write_made_record(tmp_path, {"epochs": 25, "units": units}, [{"loss": [0.5]}])
    wanted = [f"results/points/5/epochs=10/units={n}/reps=0-0.json" for n in (1, 2)]
    needed = list_jobs(wanted, [], [])
    kept = other_records(tmp_path / "points" / "5", needed)
    (tmp_path / "points" / "5" / "reps=0-1.json").touch()  # no record
    assert list(other_records(tmp_path / "points" / "5", needed)) == list(kept)
    assert describe(needed, others=list(kept.values()))[4:6] == [
        "  new: epochs = 10, 2 points",
        "  kept: 2 records with epochs = 25, in case the change is undone",
    ]


def test_of_a_longer_block_only_the_studys_repetitions_count():
    lines = describe(jobs((1, 0.1, 0, 9, None)), repetitions=3)
    assert lines[1].split()[:2] == ["trainings", "3"]
    assert lines[2].split() == ["finished", "3"]


def test_the_time_grows_with_epochs_and_folds_and_shrinks_with_cores():
    pending = jobs((1, 0.1, 0, 1, "missing"), epochs=100)
    pace = Pace(epoch_seconds=1.0, trainings=7)
    source = "at the mean pace of 7 finished trainings"
    assert describe(pending, pace=pace)[-1] == (
        f"time       about 100 s with 2 trainings at once, {source}"
    )
    assert (
        "about 10 minutes with 1 training" in describe(pending, folds=3, parallel=1, pace=pace)[-1]
    )
    assert describe(pending, parallel=None, pace=pace)[-1] == (
        f"time       3 minutes of training in all, {source}"
    )


def test_many_new_values_are_cut_short():
    lines = describe(jobs((0, 0.1, 0, 1, None), *((u, 0.1, 0, 1, "missing") for u in range(1, 40))))
    assert len([line for line in lines if "new:" in line]) == 12
    assert any("and 27 more" in line for line in lines)


def test_the_pace_is_the_mean_over_all_epochs_of_readable_records(tmp_path):
    assert measured_pace([]) is None
    paths = []
    for units, seconds, epochs in ((1, 1.0, 10), (2, 5.0, 20)):
        history = {"loss": [0.0] * epochs}
        paths.append(write_made_record(tmp_path, {"units": units}, [history], seconds=seconds))
    broken = tmp_path / "broken.json"
    broken.write_text("{")
    assert measured_pace([*paths, broken]) == Pace(6 / 30, 2)


def test_records_of_other_versions_are_reported(tmp_path):
    machine = Machine("here", packages={"keras": "3.0", "numpy": "2.0"})
    path = write_made_record(tmp_path, {"units": 1}, [{"loss": [0.0]}], machine=machine)
    assert describe_other_versions([path], {"keras": "3.0"}) is None
    line = describe_other_versions([path], {"keras": "3.1", "numpy": "2.0"})
    assert line.startswith("of 1 record, 1 with keras 3.0, unlike today; they are used, unless")
    assert f"versions   {line}" in describe_plan(
        jobs((1, 0.1, 0, 1, None)),
        **{"count": 0, "repetitions": 2, "folds": 1, "parallel": 1, "pace": None, "versions": line},
    )
