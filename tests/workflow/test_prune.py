"""Promises of pruning: used records stay, and nothing but records and logs is removed."""

from __future__ import annotations

from pathlib import Path

from gridloom.workers.client import store_of
from gridloom.workflow.prune import describe_unused, remove_records, unused_records


def make(results, *names):
    for name in names:
        for path in (results / "points" / name, results / "logs" / "points" / name):
            path = path.with_suffix(".log") if "logs" in path.parts else path
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text("0123456789")


def test_unused_records_are_listed_with_their_size(tmp_path):
    make(tmp_path, "units=1/reps=0-4.json", "units=2/reps=0-4.json", "units=2/reps=5-6.json")
    (tmp_path / "points" / "units=1" / "reps=mine.json").write_text("a person's own")
    units = tmp_path / "points" / "units=1"
    for kept in (
        units / "reps=0-4.unfinished.npz",
        units.with_name("units=3") / "reps=0-4.unfinished.npz",
    ):
        kept.parent.mkdir(exist_ok=True)
        kept.write_text("01234")
    used = [f"{tmp_path}/points/units=1/reps=0-4.json", f"{tmp_path}/points/units=3/reps=0-4.json"]
    # The job of units=1 is finished, that of units=3 is not.
    assert unused_records(tmp_path, used) == {
        tmp_path / "points" / "units=1" / "reps=0-4.unfinished.npz": 5,
        tmp_path / "points" / "units=2" / "reps=0-4.json": 10,
        tmp_path / "points" / "units=2" / "reps=5-6.json": 10,
    }


def test_only_records_logs_and_empty_folders_are_removed(tmp_path):
    make(tmp_path, "units=1/reps=0-4.json", "units=2/reps=0-4.json", "units=2/reps=5-6.json")
    remove_records(tmp_path, [tmp_path / "points" / "units=2" / "reps=5-6.json"])
    assert (tmp_path / "points" / "units=2" / "reps=0-4.json").exists()
    assert not (tmp_path / "logs" / "points" / "units=2" / "reps=5-6.log").exists()
    remove_records(tmp_path, [tmp_path / "points" / "units=2" / "reps=0-4.json"])
    assert sorted(path.name for path in (tmp_path / "points").iterdir()) == ["units=1"]
    assert sorted(path.name for path in (tmp_path / "logs" / "points").iterdir()) == ["units=1"]


def test_the_log_of_an_unfinished_job_goes_with_it_unless_its_record_is_there(tmp_path):
    make(tmp_path, "units=1/reps=0-4.json", "units=2/reps=0-4.json")
    begun = [tmp_path / "points" / f"units={n}" / "reps=0-4.unfinished.npz" for n in (1, 2)]
    for file in begun:
        file.write_text("01234")
    (tmp_path / "points" / "units=2" / "reps=0-4.json").unlink()
    remove_records(tmp_path, begun)
    assert (tmp_path / "logs" / "points" / "units=1" / "reps=0-4.log").exists()
    assert not (tmp_path / "logs" / "points" / "units=2").exists()


def test_the_list_names_count_size_and_how_to_remove(tmp_path):
    unused = {tmp_path / f"units={n}" / "reps=0-4.json": 40_000 for n in range(25)}
    printed = describe_unused(unused, removed=False)
    assert printed.startswith("25 records, 1.0 MB, which the study does not use:")
    assert "and 5 more" in printed
    assert "snakemake prune_remove" in printed
    assert describe_unused(unused, removed=True).startswith("Removed 25 records")
    unfinished = {tmp_path / "units=1" / "reps=0-4.unfinished.npz": 5}
    printed = describe_unused({**unused, **unfinished}, removed=False)
    assert printed.startswith("25 records and 1 unfinished job, 1.0 MB")
    assert "every record" in describe_unused({}, removed=False)


def test_what_the_store_has_of_other_grids_is_pruned(tmp_path):
    used, other = (f"{tmp_path}/points/units={n}/reps=0-4.json" for n in (1, 2))
    (tmp_path / "store").mkdir()
    for record in (used, other):
        Path(store_of(record)).write_text("0123456789")
    unused = unused_records(tmp_path, [used])
    assert unused == {Path(store_of(other)): 10}
    assert describe_unused(unused, removed=False).startswith("1 stored record, 0.0 kB")
    remove_records(tmp_path, unused)
    assert [str(file) for file in (tmp_path / "store").iterdir()] == [store_of(used)]
