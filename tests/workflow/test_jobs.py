"""Promises of jobs of several points: the same bits, nothing lost, each point by itself."""

from __future__ import annotations

import json
import os
import re
import shlex
import signal
from pathlib import Path

import pytest

from gridloom.errors import StorageError
from gridloom.naming.blocks import log_of
from gridloom.workers import client
from gridloom.workflow import jobs
from tests.cases import cases
from tests.workflow.conftest import TINY
from tests.workflow.processes import host_and_workers, processes_of, wait_for, wait_for_client

SETUP = "0123456789abcdef"


def records(count: int) -> list[str]:
    return [f"results/points/{SETUP}/units={n}/reps=0-1.json" for n in range(count)]


def histories(project) -> dict[str, list]:
    return {
        path: [training["history"] for training in json.loads(text)["trainings"]]
        for path, text in project.records().items()
    }


def stored(project) -> list[Path]:
    return list((project.results / "store").glob("*.json"))


def test_records_are_cut_into_even_groups_in_order():
    groups = jobs.cut(records(10), 4)
    assert [len(group.records) for group in groups] == [4, 4, 2]
    assert [record for group in groups for record in group.records] == records(10)
    assert jobs.cut([], 4) == []
    assert jobs.cut(records(10), 4) == groups
    assert len({group.rule for group in groups}) == 3
    assert all(jobs.is_training(group.rule) for group in groups)
    assert not jobs.is_training("train_and_more")


@pytest.mark.parametrize(
    ("count", "seconds", "here", "slots", "size"),
    [
        (10_000, None, True, 2, 60),  # as long as nothing is measured, at 5 ms a training
        (10_000, 0.015, True, 2, 20),  # 0.6 s a job
        (10_000, 1.0, True, 2, 1),
        (40, 0.001, True, 2, 15),  # no job is shorter than its start
        (40, 0.005, True, 2, 5),  # four jobs a core
        (216, None, False, 100, 3),
        (140, None, False, 100, 2),
        (216, None, False, 8, 27),
        (216, 0.05, False, 100, 100),
        (10_000, 0.05, False, 8, 1250),
        (10_000, 3600.0, False, 100, 1),
        (0, None, True, 2, 1),
    ],
)
def test_jobs_are_long_enough_to_be_worth_their_start(count, seconds, here, slots, size):
    """Of two trainings each."""
    assert jobs.worthwhile_size(count, 2, seconds, here=here, slots=slots) == size


def test_the_pace_is_the_mean_of_readable_records(tmp_path):
    paths = [str(tmp_path / f"{n}.json") for n in range(3)]
    Path(paths[0]).write_text('{"trainings": [{"seconds": 1}, {"seconds": 2}]}')
    Path(paths[1]).write_text('{"trainings": [{"seconds": 6}]}')
    Path(paths[2]).write_text("{")
    assert jobs.training_seconds(paths) == 3
    assert jobs.training_seconds(paths[2:]) is None


def test_a_job_elsewhere_reads_its_records_from_the_frozen_file(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    first, second = jobs.cut(records(4), 2)
    jobs.freeze([first, second])
    words = ["snakemake", "--allowed-rules", first.rule, "train"]
    assert jobs.frozen(words) == [first]
    assert jobs.frozen(["other_" + second.rule]) == [second]
    # A list is removed when its records are there.
    for record in first.records:
        Path(record).parent.mkdir(parents=True)
        Path(record).write_text("{}\n")
    jobs.freeze([])
    assert jobs.frozen([second.rule]) == [second]
    with pytest.raises(StorageError, match="is gone"):
        jobs.frozen([first.rule])


def test_client_and_library_name_the_log_of_a_record_alike(tmp_path):
    (record,) = records(1)
    assert client.log_of(record) == str(log_of(Path("results"), Path(record)))


def test_the_store_gives_back_only_whole_records_and_only_where_they_are_missing(
    tmp_path, monkeypatch
):
    monkeypatch.chdir(tmp_path)
    missing, there, damaged = records(3)
    Path("results/store").mkdir(parents=True)
    for record in (missing, there, damaged):
        Path(client.store_of(record)).write_text('{"kept": 1}\n')
    Path(client.store_of(damaged)).write_text('{"kept"')
    Path(there).parent.mkdir(parents=True)
    Path(there).write_text('{"own": 1}\n')
    jobs.begin_with_store("results")
    assert not Path(client.store_of(there)).exists()
    assert Path(client.store_of(missing)).exists()
    jobs.empty_store("results", records(3))
    assert Path(missing).read_text() == '{"kept": 1}\n'
    assert Path(there).read_text() == '{"own": 1}\n'
    assert not Path(damaged).exists()
    assert not Path(client.store_of(missing)).exists()


@pytest.mark.parametrize("size", [3])
def test_jobs_of_several_points_give_the_same_bits_and_train_only_what_is_new(
    untrained, finished, size
):
    untrained.change(points_per_job=size)
    assert untrained.succeed()["train"] == -(-4 // size)
    assert histories(untrained) == histories(finished)
    assert untrained.runs().equals(finished.runs())
    assert stored(untrained) == []
    assert untrained.succeed("-n") == {}
    untrained.change()
    assert "train" not in untrained.succeed("-n")
    # Beside a run, which may have to give this record back, a command leaves the store alone.
    *_, record = sorted((untrained.results / "points").rglob("*.json"))
    left = Path(client.store_of(str(record)))
    left.parent.mkdir()
    left.write_bytes(record.read_bytes())
    # New repetitions, a new value, a lost record and a truncated one: jobs of just these.
    untrained.change(points_per_job=size, repetitions=3)
    assert f"to train    4  in {-(-4 // size)} job" in untrained.run("plan", "--nolock").stdout
    assert stored(untrained) == [left]
    untrained.change(points_per_job=size, hyperparameters={"units": [1, 4, 8]})
    first, second, *_ = sorted((untrained.results / "points").rglob("*.json"))
    first.unlink()
    second.write_text(second.read_text()[:100])
    kept = untrained.records()
    assert untrained.succeed("--until", "train")["train"] == -(-4 // size)
    changed = {path for path, text in untrained.records().items() if kept.get(path) != text}
    assert len(changed) == 4
    assert stored(untrained) == []
    assert histories(finished).items() <= histories(untrained).items()


def test_a_run_time_of_the_command_line_is_that_of_each_point(project):
    project.change(points_per_job=4)
    elsewhere = ("-n", "--jobs", "1", "--quiet", "host")
    given = ("--set-resources", "train:runtime=attempt * 9", "train:mem_mb=3000")
    (asked,) = re.findall("resources: .* record_runtime=.*", project.run(*elsewhere, *given).stdout)
    assert {"mem_mb=3000", "runtime=36", "record_runtime=9"} <= set(re.split(", |: ", asked))


FAILS = '''"""A network that fails, or ends its process, for some numbers of units."""

import os
import signal
import keras


def build_model(input_shape, outputs, *, units):
    """Build it."""
    if units == 3:
        raise ValueError("too odd")
    if units == 5:
        os.kill(os.getpid(), signal.SIGKILL)
    model = keras.Sequential([keras.Input(input_shape), keras.layers.Dense(outputs)])
    model.compile("sgd", "mse", metrics=["categorical_accuracy"])
    return model
'''


@pytest.mark.parametrize("warm", cases([True, False], [], [True]))
def test_a_point_that_fails_costs_the_others_of_its_job_nothing(untrained, warm):
    (untrained.folder / "models" / "own.py").write_text(FAILS)
    knobs = {"units": [1, 2, 3, 4, 5, 6], "batch_size": 64, "epochs": 1}
    study = {**TINY, "model": "models/own.py", "hyperparameters": knobs, "points_per_job": 6}
    untrained.write({**study, "trainer": {"warm": warm}})
    printed = untrained.fail("--retries", "1")
    assert {path.split("units=")[1][0] for path in untrained.records()} == set("1246")
    assert "2 of 6 records failed; what was trained is kept" in printed
    assert "1 × model: build_model raised ValueError: too odd" in printed
    assert "that trained this point was ended by signal 9 (SIGKILL" in printed
    assert "might be corrupted" not in printed
    assert stored(untrained) == []
    (log,) = (untrained.results / "logs" / "jobs").iterdir()
    assert log.read_text().startswith("error: 2 of 6 records failed, and the others are kept; ")
    # The command trains this point only.
    kept = untrained.records()
    command = re.search(r"^  retry  snakemake (.*units=3/.*)$", printed, re.MULTILINE)[1]
    path = untrained.folder / "models" / "own.py"
    again = untrained.run(*shlex.split(command))
    assert "1 of 6 records failed" in again.stderr, again.stderr
    assert untrained.records() == kept
    path.write_text(FAILS.replace("units == ", "units > 99 and units == "))
    assert untrained.succeed()["train"] == 1


def long(project, warm=True):
    """Give the project a job of twelve points that takes some seconds."""
    project.change(
        repetitions=1,
        points_per_job=12,
        trainer={"warm": warm},
        hyperparameters={"units": list(range(1, 13)), "dropout": 0, "batch_size": 4, "epochs": 40},
    )


@pytest.mark.parametrize(
    "victim", cases(["client", "worker", "snakemake", "Ctrl-C"], [], ["worker", "Ctrl-C"])
)
def test_a_job_that_is_killed_keeps_what_it_has_trained(untrained, victim):
    long(untrained)
    running = untrained.start("--until", "train")
    assert wait_for(lambda: len(untrained.records()) >= 3)
    kept = untrained.records()
    if victim == "snakemake":
        running.kill()
    elif victim == "Ctrl-C":
        os.killpg(running.pid, signal.SIGINT)
    else:
        found = wait_for_client(untrained) if victim == "client" else host_and_workers(untrained)[1]
        os.kill(found[0], signal.SIGKILL)
    status = running.wait(timeout=120)
    # Another worker goes on with the record: one that trains beside it may have ended the first.
    assert (status == 0) == (victim == "worker")
    assert "Traceback" not in untrained.printed
    assert wait_for(lambda: not processes_of(untrained))
    if victim == "snakemake":
        untrained.run("--unlock")
    else:
        assert stored(untrained) == []
    assert kept.items() <= untrained.records().items()
    if victim == "worker":
        assert len(untrained.records()) == 12
    untrained.succeed("--until", "train")
    assert kept.items() <= untrained.records().items()
    assert len(untrained.records()) == 12
    assert stored(untrained) == []
    # A record that is lost now trains anew, with the same numbers.
    before = histories(untrained)
    lost = sorted(kept)[0]
    (untrained.results / "points" / lost).unlink()
    untrained.succeed("--until", "train")
    assert untrained.records()[lost] != kept[lost]
    assert histories(untrained) == before


#: Cannot take its note at the first end of a job, as on a disk that is full for a moment. It copies
#: what the store has then, and counts it at each later note.
NOT_NOTED = """
import shutil
from snakemake.persistence.file import FilePersistence

note, failed = FilePersistence._write_record, set()


def note_later(self, key, record):
    if "train" in record.rule:
        store = Path(RESULTS, "store")
        if record.rule not in failed:
            failed.add(record.rule)
            shutil.copytree(store, "kept", dirs_exist_ok=True)
            raise OSError(28, "No space left on device")
        Path("left.txt").write_text(f"{len(list(store.iterdir()))} at {record.rule}")
    note(self, key, record)


FilePersistence._write_record = note_later
"""


def test_records_stay_in_the_store_until_snakemake_has_noted_the_end_of_their_job(untrained):
    """Of jobs of one record and of several."""
    untrained.change(points_per_job=2, hyperparameters={"units": [1, 4, 8], "dropout": 0})
    with (untrained.folder / "Snakefile").open("a") as snakefile:
        snakefile.write(NOT_NOTED)
    assert untrained.succeed("--until", "train", "--retries", "1")["train"] == 2
    kept = {file.name: file.read_text() for file in (untrained.folder / "kept").iterdir()}
    points = untrained.results / "points"
    assert len(kept) == 3
    assert kept == {
        Path(client.store_of(f"{points}/{path}")).name: text
        for path, text in untrained.records().items()
    }
    left = (untrained.folder / "left.txt").read_text()
    assert left == "1 at train" or left.startswith("2 at train_")
    assert stored(untrained) == []


@pytest.mark.slow
def test_an_attempt_that_is_repeated_takes_over_what_is_trained(untrained):
    long(untrained)
    running = untrained.start("--until", "train", "--retries", "1")
    assert wait_for(lambda: len(untrained.records()) >= 3)
    kept = untrained.records()
    (found,) = wait_for_client(untrained)
    os.kill(found, signal.SIGKILL)
    assert running.wait(timeout=120) == 0, untrained.printed
    assert kept.items() <= untrained.records().items()
    assert len(untrained.records()) == 12
    assert "12 of 12 trainings" in untrained.printed


# tests/workers/test_client.py shows the same with a worker that answers at once.
@pytest.mark.nightly
def test_a_misspelt_objective_ends_a_job_after_its_first_point(untrained):
    knobs = {"units": list(range(1, 31)), "dropout": 0}
    objective = {"metric": "val_categorical_acuracy", "mode": "max"}
    untrained.change(points_per_job=15, objective=objective, hyperparameters=knobs)
    printed = untrained.fail()
    assert re.search("^1 of 30 records failed; nothing is trained yet", printed, re.MULTILINE)
    assert "× objective.metric: there is no 'val_categorical_acuracy' (did you mean" in printed
    assert untrained.records() == {}
    assert stored(untrained) == []
