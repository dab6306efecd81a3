"""Promises of the warm workers: same numbers, nothing lost, nothing left behind."""

from __future__ import annotations

import json
import os
import signal
import socket
import subprocess
import sys
from pathlib import Path

import pytest

from tests.opened_scope import open_for, settings_with
from tests.processor_time import of_children_in_turns
from tests.workflow.conftest import TINY, processes_with
from tests.workflow.processes import (
    host_and_workers,
    left_behind,
    make_endless,
    make_long,
    processes_of,
    training,
    wait_for,
    wait_for_client,
)


def test_a_killed_worker_fails_only_its_job_with_the_cause(untrained):
    make_endless(untrained)
    running = untrained.start()
    assert wait_for(lambda: training(untrained))
    (worker,) = host_and_workers(untrained)[1]
    os.kill(worker, signal.SIGKILL)
    assert running.wait(timeout=120) != 0
    printed = untrained.printed
    assert "the worker that trained this point was ended by signal 9 (SIGKILL" in printed
    assert untrained.records() == {}
    make_endless(untrained, epochs=2)
    assert untrained.succeed("--until", "train")["train"] == 1


# SIGKILL: tests/workflow/test_reruns.py, with the rerun after it.
@pytest.mark.parametrize(
    "number",
    [
        pytest.param(signal.SIGTERM, marks=pytest.mark.nightly),
        pytest.param(signal.SIGINT, marks=pytest.mark.slow),
    ],
)
def test_workers_end_with_snakemake_and_leave_nothing(untrained, number):
    make_long(untrained)
    running = untrained.start()
    assert wait_for(lambda: len(untrained.records()) > 2)
    os.kill(running.pid, number)
    running.wait(timeout=300)  # at SIGTERM, it waits for the trainings that are running
    assert wait_for(lambda: not processes_of(untrained)), processes_of(untrained)
    assert wait_for(lambda: not left_behind(untrained)), left_behind(untrained)


@pytest.mark.slow
def test_a_client_that_dies_stops_its_training(untrained):
    make_endless(untrained)
    running = untrained.start()
    try:
        assert wait_for(lambda: training(untrained))
        (client,) = wait_for_client(untrained)
        os.kill(client, signal.SIGTERM)  # a shell in the background has SIGINT ignored
        assert wait_for(lambda: not host_and_workers(untrained)[1]), "it trains on"
        assert running.wait(timeout=120) != 0
        assert wait_for(lambda: not processes_of(untrained))
    finally:
        running.kill()
        running.wait()


HANGS = """
import subprocess
import keras

def build_model(input_shape, outputs, units):
    if units == 2:
        subprocess.Popen(["sleep", "SECONDS"])
        while True:
            pass
    model = keras.Sequential([keras.Input(input_shape), keras.layers.Dense(outputs, "softmax")])
    model.compile("sgd", "categorical_crossentropy", metrics=["categorical_accuracy"])
    return model
"""


# Without a warm worker, each training imports TensorFlow first.
@pytest.mark.parametrize(
    ("warm", "minutes"),
    [
        pytest.param(True, "0.4", marks=pytest.mark.slow),
        pytest.param(False, "0.7", marks=pytest.mark.nightly),
    ],
)
def test_a_training_that_hangs_is_ended_at_its_longest_run_time_and_the_others_go_on(
    untrained, warm, minutes
):
    # Snakemake's own resource is a whole number of minutes, at least 1.
    rules = untrained.folder / "rules" / "train.smk"
    text = rules.read_text()
    assert "{resources.runtime}" in text
    rules.write_text(text.replace("{resources.runtime}", minutes))
    seconds = str(86421 + warm)  # the other case may run at the same time
    (untrained.folder / "models" / "hangs.py").write_text(HANGS.replace("SECONDS", seconds))
    knobs = {"units": [1, 2, 3], "batch_size": 64, "epochs": 1}
    study = {"model": "models/hangs.py", "trainer": {"warm": warm}, "hyperparameters": knobs}
    untrained.write({**TINY, **study})
    output = untrained.fail()
    assert "1 of 3 records failed; what was trained is kept" in output
    assert f"1 × this training did not end within {minutes} minutes and was ended; if" in output
    assert len(untrained.records()) == 2
    # The host ends with Snakemake, and with it the check that hangs.
    assert wait_for(lambda: processes_with(Path(seconds)) == [])


def wait_for_socket(project):
    return wait_for(lambda: list(project.temporary.glob("gridloom-*/*t*.sock")))


@pytest.mark.slow
def test_the_folder_of_the_workers_is_closed_to_others(untrained):
    make_long(untrained)
    running = untrained.start()
    try:
        assert wait_for_socket(untrained)
        (folder,) = untrained.temporary.glob("gridloom-*")
        assert folder.stat().st_mode & 0o777 == 0o700
        assert all(len(bytes(path)) <= 107 for path in folder.glob("*.sock"))
    finally:
        running.kill()
        running.wait()
        wait_for(lambda: not processes_of(untrained))


def test_a_folder_open_to_others_is_refused(tmp_path):
    from gridloom.workers import client

    folder = tmp_path / "open"
    folder.mkdir(mode=0o755)
    folder.chmod(0o755)
    with pytest.raises(SystemExit, match="open to others; remove it"):
        client.private_folder(str(folder))


@pytest.fixture
def trained_at_once(tmp_path, monkeypatch):
    """Run a client with a worker that answers at once; return what it printed."""
    folder, results, settings = tmp_path / "s", tmp_path / "results", settings_with()
    open_for(folder, tmp_path / "other", settings, monkeypatch)
    command = open_for(folder, results, settings, monkeypatch)
    record = results / "points" / settings.setup.name / "units=1" / "reps=0-1.json"
    command += ["1", "0", "60", str(record), *(str(tmp_path / name) for name in "bcd")]
    server = socket.socket(socket.AF_UNIX)
    server.bind(str(folder / "1t0g-0.sock"))
    server.listen()
    server.settimeout(90)  # a client that fails never connects

    def run(*options):
        process = subprocess.Popen(
            [command[0], *options, *command[1:]], stderr=subprocess.PIPE, text=True
        )
        connection, _ = server.accept()
        with connection, connection.makefile() as lines:
            job = json.loads(lines.readline())
            connection.sendall(b'{"error": null}\n')
        _, printed = process.communicate()
        assert (process.returncode, job["record"]) == (0, str(record))
        return printed

    yield run
    server.close()


def test_a_client_costs_little_more_than_python_itself(trained_at_once):
    python = [sys.executable, "-S", "-E", "-P", "-c", "pass"]
    of_client, of_nothing = of_children_in_turns(
        trained_at_once, lambda: subprocess.run(python, check=True), turns=10
    )
    assert of_client < 2 * of_nothing


def test_a_client_of_a_warm_worker_imports_nothing_large(trained_at_once):
    printed = trained_at_once("-X", "importtime")
    imported = {line.rpartition("|")[2].strip() for line in printed.splitlines()}
    assert "_socket" in imported
    assert imported.isdisjoint({"enum", "json", "re", "selectors", "signal", "socket", "typing"})


@pytest.mark.slow
def test_a_missing_gpu_is_reported_with_the_setting(untrained):
    untrained.change(resources={"train": {"gpu": 1}}, hyperparameters={"units": 1, "dropout": 0})
    done = untrained.run()
    assert done.returncode != 0
    assert (
        "resources.train.gpu: asks for 1 GPU, but this machine shows 0" in done.stdout + done.stderr
    )


SEES = """
import json, os
import keras

def build_model(input_shape, outputs, units, learning_rate):
    line = json.dumps([os.environ["CUDA_VISIBLE_DEVICES"], os.getpid()]) + "\\n"
    with open(os.environ["SEEN"], "a") as seen:
        seen.write(line)
    model = keras.Sequential([keras.Input(input_shape), keras.layers.Dense(outputs, "softmax")])
    model.compile("sgd", "categorical_crossentropy", metrics=["categorical_accuracy"])
    return model
"""


@pytest.mark.slow
def test_each_training_sees_one_device_and_devices_are_shared_evenly(untrained, monkeypatch):
    """Declared devices stand in for real ones; TensorFlow then falls back to the CPU."""
    (untrained.folder / "models" / "sees.py").write_text(SEES)
    seen = untrained.folder / "seen.txt"
    monkeypatch.setenv("SEEN", str(seen))
    monkeypatch.setenv("CUDA_VISIBLE_DEVICES", "3,5")
    study = {
        **TINY,
        "model": "models/sees.py",
        "resources": {"train": {"gpu": 1}},
        "hyperparameters": {
            "units": list(range(8)),
            "learning_rate": 0.1,
            "batch_size": 32,
            "epochs": 2,
        },
    }
    untrained.write(study)
    untrained.succeed("--until", "train", "--resources", "gpu=4", cores=4)
    found = [json.loads(line) for line in seen.read_text().splitlines()]
    # The check beside the trainings uses no device.
    lines = [(device, worker) for device, worker in found if device != "-1"]
    workers = {worker: device for device, worker in lines}
    assert set(workers.values()) == {"3", "5"}
    assert len({(device, worker) for device, worker in lines}) == len(workers)
    shares = [list(workers.values()).count(device) for device in ("3", "5")]
    assert max(shares) <= 2


@pytest.mark.slow
def test_a_training_without_a_gpu_sees_none(untrained, monkeypatch):
    (untrained.folder / "models" / "sees.py").write_text(SEES)
    seen = untrained.folder / "seen.txt"
    monkeypatch.setenv("SEEN", str(seen))
    monkeypatch.setenv("CUDA_VISIBLE_DEVICES", "3,5")
    untrained.write(
        {
            **TINY,
            "model": "models/sees.py",
            "hyperparameters": {"units": 1, "learning_rate": 0.1, "batch_size": 32, "epochs": 1},
        }
    )
    untrained.succeed("--until", "train")
    assert {json.loads(line)[0] for line in seen.read_text().splitlines()} == {"-1"}


@pytest.mark.slow
def test_workers_restarted_after_each_job_give_the_same_numbers(untrained, finished):
    untrained.change(trainer={"recycle_trainings": 1})
    untrained.succeed("--until", "gather")
    assert untrained.runs().equals(finished.runs())


@pytest.mark.slow
def test_folds_count_as_trainings_until_a_worker_is_restarted(untrained, monkeypatch):
    (untrained.folder / "models" / "sees.py").write_text(SEES)
    seen = untrained.folder / "seen.txt"
    monkeypatch.setenv("SEEN", str(seen))
    knobs = {"units": [1, 2], "learning_rate": 0.1, "batch_size": 64, "epochs": 1}
    changes = {
        "model": "models/sees.py",
        "repetitions": 1,
        "validation": {"method": "kfold", "folds": 5},
        "trainer": {"recycle_trainings": 5},
        "hyperparameters": knobs,
    }
    untrained.write({**TINY, **changes})
    untrained.succeed("--until", "gather", cores=1)
    # Two workers, and the check beside them.
    assert len({json.loads(line)[1] for line in seen.read_text().splitlines()}) == 3
    runs = untrained.runs()
    assert len(runs) == 10
    assert set(runs["engine"]) <= {"lockstep", "one by one"}


@pytest.mark.parametrize("warm", [True, pytest.param(False, marks=pytest.mark.slow)])
def test_a_worker_with_another_keras_backend_says_so_and_trains_nothing(
    tmp_path, monkeypatch, warm
):
    """As on a cluster's node, whose home folder or environment may differ."""
    folder, settings = tmp_path / "s", settings_with(warm=warm)
    command = open_for(folder, tmp_path / "results", settings, monkeypatch)
    record = tmp_path / "results" / "points" / settings.setup.name / "units=1" / "reps=0-1.json"
    files = [str(record), *(str(tmp_path / name) for name in ("log", "rows", "split"))]
    (tmp_path / "log").write_text("error: of an earlier run\n")  # is no longer the cause
    monkeypatch.delenv("PYTHONPATH")  # the worker finds the library of the client
    done = subprocess.run(
        [*command, "1", "0", "60", *files],
        env={**os.environ, "KERAS_BACKEND": "jax"},
        cwd=tmp_path,
        capture_output=True,
        check=False,
        timeout=120,
    )
    for path in folder.iterdir():
        path.unlink()
    folder.rmdir()  # the host ends with it
    assert done.returncode == 1
    (line,) = (tmp_path / "log").read_text().splitlines()
    assert line.endswith("unset it, or set it to tensorflow")
    assert "KERAS_BACKEND is 'jax'" in line
