"""Promises at faults: a message of a few lines, finished records untouched, the rest by a rerun.

Tests that mount something need root; elsewhere they are skipped.
"""

from __future__ import annotations

import contextlib
import fcntl
import json
import os
import random
import re
import shlex
import shutil
import signal
import subprocess
import sys
import time
from collections import Counter
from pathlib import Path

import pandas as pd
import pytest

from gridloom.workers import client
from tests.cases import cases
from tests.workflow.conftest import TINY, Project, copy_of, project_in
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

NOBODY = 65534


def mount(*arguments: str) -> None:
    done = subprocess.run(["mount", *arguments], capture_output=True, text=True, check=False)
    if done.returncode:
        pytest.skip(f"mounting is not permitted here: {done.stderr.strip()}")


def unmount(folder: Path) -> None:
    subprocess.run(["umount", "--lazy", str(folder)], check=True)


@pytest.fixture
def disk(tmp_path):
    """Mount a small separate disk."""
    folder = tmp_path / "disk"
    folder.mkdir()
    mount("-t", "tmpfs", "-o", "size=24m", "none", str(folder))
    yield folder
    unmount(folder)
    shutil.rmtree(project_in(folder).temporary)


@contextlib.contextmanager
def read_only(folder: Path):
    """Make a folder read-only, even for root, who may ignore its mode."""
    mount("--bind", str(folder), str(folder))
    try:
        mount("-o", "remount,ro,bind", str(folder))
        yield
    finally:
        unmount(folder)


def fill(folder: Path) -> Path:
    """Fill a disk completely."""
    filler = folder / "filler"
    with filler.open("wb", buffering=0) as stream:
        for size in (2**20, 2**12, 1):
            with contextlib.suppress(OSError):
                while True:
                    stream.write(bytes(size))
    return filler


# -- the disk


@pytest.mark.parametrize("stage", cases(["train", "gather", "figures"], [], ["train"]))
def test_a_disk_that_fills_up_is_reported_and_a_rerun_completes(finished, disk, stage):
    project = copy_of(finished, disk)
    before = project.records()
    if stage == "train":
        path, _ = before.popitem()
        (project.results / "points" / path).unlink()
    elif stage == "gather":
        (project.results / "runs.csv").unlink()
    else:
        shutil.rmtree(project.results / "figures")
    running = project.start()
    # Every import of a job takes longer than filling the disk.
    assert wait_for(lambda: "trainings" in project.printed)
    filler = fill(disk)
    assert running.wait(timeout=120) != 0
    printed = project.printed
    assert "Traceback" not in printed
    assert "No space left on device" in printed or "the disk is full; free some space" in printed
    assert project.records() == before
    filler.unlink()
    assert project.succeed().get("train", 0) == (stage == "train")
    assert project.runs().equals(finished.runs())
    assert before.items() <= project.records().items()


@pytest.mark.slow
def test_a_full_disk_of_results_is_reported_with_the_file(finished, copied, disk):
    """Snakemake's own notes are on another disk, which is not full."""
    shutil.rmtree(copied.results)
    shutil.copytree(finished.results, disk / "results")
    copied.results.symlink_to(disk / "results")
    (copied.results / "summary.csv").unlink()
    running = copied.start()
    assert wait_for(lambda: "trainings" in copied.printed)
    filler = fill(disk)
    assert running.wait(timeout=120) != 0
    printed = copied.printed
    assert re.search(r"results/\S+: cannot be written, the disk is full; free some space", printed)
    assert "Traceback" not in printed
    filler.unlink()
    assert "train" not in copied.succeed()
    assert copied.runs().equals(finished.runs())


@pytest.mark.slow
def test_a_full_disk_ends_a_run_before_it_starts(finished, disk):
    project = copy_of(finished, disk)
    (project.results / "runs.csv").unlink()
    filler = fill(disk)
    printed = project.fail()
    assert ".snakemake: cannot be written, the disk is full; free some space" in printed
    assert len(printed.splitlines()) < 10
    filler.unlink()
    assert "train" not in project.succeed()


def test_a_read_only_folder_ends_a_run_before_it_starts(copied, finished):
    before = copied.records()
    with read_only(copied.results):
        assert copied.succeed() == {}  # all is there
        copied.change(hyperparameters={"units": [1, 4, 8]})
        assert "Write-protected output files" in copied.fail()
    copied.change(results="elsewhere")
    (copied.folder / "elsewhere").mkdir()
    with read_only(copied.folder / "elsewhere"):
        printed = copied.fail()
        assert "elsewhere: cannot be written (Read-only file system); make its folder" in printed
        assert list((copied.folder / "elsewhere").iterdir()) == []
    copied.change()
    with read_only(copied.folder):
        printed = copied.fail()
        assert ".snakemake: cannot be written (Read-only file system); make its folder" in printed
        assert len(printed.splitlines()) < 10
    assert copied.records() == before
    assert copied.succeed() == {}


# -- the records


@pytest.mark.slow
def test_damaged_records_are_trained_again_or_named_with_the_remedy(copied, finished):
    truncated, emptied, other_version, other_point = (
        copied.results / "points" / path for path in sorted(copied.records())
    )
    text = other_version.read_text()
    other_point.write_text(text)
    other_version.write_text(text.replace('"format":1', '"format":99'))
    truncated.write_text(truncated.read_text()[:700])
    emptied.write_text("")
    done = copied.run()
    printed = done.stdout + done.stderr
    assert done.returncode != 0
    assert "Traceback" not in printed
    # A truncated record has no content to lose; the others may be someone's work.
    whole = finished.records()
    for path in (truncated, emptied):
        trained = json.loads(path.read_text())["trainings"]
        known = json.loads(whole[str(path.relative_to(copied.results / "points"))])["trainings"]
        assert [run["history"] for run in trained] == [run["history"] for run in known]
    remedy = "delete it and run again: it will be trained anew"
    named = [line for line in printed.splitlines() if line.endswith(remedy)]
    assert len(named) == 2
    assert "has format 99, this version reads 1" in named[0]
    assert "holds another point, activation=relu" in named[1]
    for line in named:
        (copied.folder / line.partition(": ")[0]).unlink()
    assert copied.succeed()["train"] == 2
    assert copied.runs().equals(finished.runs())


# -- the clock


@pytest.mark.slow
def test_a_clock_set_back_trains_nothing_again_and_is_reported(copied, finished):
    """Files that were written before have times in the future."""
    before = copied.records()
    tomorrow = time.time() + 86400
    dice = random.Random(3)
    files = [path for path in copied.folder.rglob("*") if path.is_file()]
    ours = [path for path in files if ".snakemake" not in path.parts]
    for path in ours:
        os.utime(path, (tomorrow, tomorrow + dice.uniform(-3600, 3600)))
    assert "train" not in copied.succeed()
    # Snakemake makes no table that would be older than its inputs.
    (copied.results / "runs.csv").unlink()
    printed = copied.fail()
    assert "has older modification time" in printed
    assert "could indicate a clock skew problem" in printed
    assert copied.records() == before
    for path in filter(Path.exists, ours):
        path.touch()
    assert "train" not in copied.succeed()
    assert copied.records() == before
    assert copied.runs().equals(finished.runs())


# -- the person


@pytest.mark.slow
def test_a_second_snakemake_is_refused_and_ctrl_c_ends_the_first(untrained):
    make_endless(untrained)
    running = untrained.start()
    try:
        assert wait_for(lambda: training(untrained))
        printed = untrained.fail()
        assert "Directory cannot be locked" in printed
        assert "removed with the --unlock argument" in printed
        os.killpg(running.pid, signal.SIGINT)
        assert running.wait(timeout=120) != 0
    finally:
        running.kill()
    printed = untrained.printed
    assert "Traceback" not in printed
    assert "1 of 1 records were interrupted; nothing to keep yet." in printed
    assert wait_for(lambda: not processes_of(untrained))
    assert left_behind(untrained) == []
    assert untrained.records() == {}
    make_endless(untrained, epochs=2)
    assert untrained.succeed("--until", "train")["train"] == 1  # no lock is left


@pytest.mark.slow
def test_a_path_of_odd_characters_and_a_read_only_home_are_fine(tmp_path, finished):
    project = Project(tmp_path / "ein 'Pfad' mit \"Größe\" & $HOME {x} *")
    results = "Ergebnisse 'für' \"alle\" & mich"
    project.change(results=results)
    project.results = project.folder / results
    kept = project.environment()
    for name in ("KERAS_HOME", "MPLCONFIGDIR"):
        kept.pop(name, None)
    # Snakemake needs a cache, whose folder this variable sets.
    closed = {**kept, "HOME": "/proc", "XDG_CACHE_HOME": str(tmp_path / "cache")}
    done = subprocess.run(
        project.command(),
        cwd=project.folder,
        env=closed,
        capture_output=True,
        text=True,
        check=False,
    )
    shutil.rmtree(project.temporary, ignore_errors=True)
    assert done.returncode == 0, done.stderr
    assert project.runs().equals(finished.runs())
    assert (project.results / "figures" / "heatmap_units_x_dropout_mean.png").exists()


# -- points that fail or diverge


@pytest.mark.slow
def test_points_that_diverge_are_shown_last_even_if_all_do(copied):
    heat = {"formats": ["png"], "dpi": 60, "slices": [{"rows": "units", "columns": "dropout"}]}
    copied.change(hyperparameters={"learning_rate": [0.1, 1.0e30]}, figures=heat)
    assert copied.succeed()["train"] == 4
    assert Counter(copied.runs()["status"]) == {"ok": 8, "diverged": 8}
    summary = pd.read_csv(copied.results / "summary.csv")
    wild = summary[summary["learning_rate"] == 1e30]
    assert set(wild["n_diverged"]) == {2}
    assert set(wild["rank"]) == {5}
    copied.change(hyperparameters={"learning_rate": 1.0e30}, figures=heat)
    assert "train" not in copied.succeed()
    assert set(copied.runs()["status"]) == {"diverged"}
    assert set(pd.read_csv(copied.results / "summary.csv")["rank"]) == {1}
    copied.succeed("partial")
    for folder in ("figures", "partial/figures"):
        for name in ("heatmap_units_x_dropout_mean.png", "heatmap_units_x_dropout_slice.png"):
            assert (copied.results / folder / name).stat().st_size > 1000


FAILS = '''"""A network that fails for odd numbers of units."""

from pathlib import Path

import keras


def build_model(input_shape, outputs, *, units, note):
    """Build it."""
    if units % 2:
        with Path("tried.txt").open("a") as tried:
            tried.write(f"{units}\\n")
        raise ValueError(f"{'too odd' if units < 6 else 'far too odd'}")
    model = keras.Sequential([keras.Input(input_shape), keras.layers.Dense(outputs)])
    model.compile("sgd", "mse", metrics=["categorical_accuracy"])
    return model
'''


@pytest.mark.slow
def test_failing_points_are_retried_and_reported_by_cause(project):
    (project.folder / "models" / "own.py").write_text(FAILS)
    knobs = {"units": list(range(12)), "note": "it's, 100 %", "batch_size": 64, "epochs": 1}
    study = {**TINY, "model": "models/own.py", "results": "its results", "hyperparameters": knobs}
    project.write(study, "my study.yaml")
    project.results = project.folder / "its results"
    printed = project.fail("--retries", "1", "--configfile", "my study.yaml")
    assert len(project.records()) == 6
    tried = Counter((project.folder / "tried.txt").read_text().split())
    # Twice by its job, once by the check.
    assert tried == {str(units): 3 for units in (1, 3, 5, 7, 9, 11)}
    before = tried.total()
    assert "6 of 12 records failed; what was trained is kept" in printed
    assert len(re.findall(r"^3 × .*raised ValueError: (far )?too odd", printed, re.MULTILINE)) == 2
    # Each command, pasted into a shell, retries its point of this study.
    command = re.search(r"^  retry  (.*units=1/.*)$", printed, re.MULTILINE)[1]
    again = subprocess.run(
        ["bash", "-c", command.replace("snakemake", shlex.quote(project.command()[0]), 1)],
        cwd=project.folder,
        env=project.environment(),
        capture_output=True,
        text=True,
        check=False,
    )
    assert "1 of 12 records failed" in again.stderr, again.stderr
    assert (project.folder / "tried.txt").read_text().split()[before:] == ["1"]
    assert len(project.records()) == 6


# -- other users

AS_SOMEONE_ELSE = """
import json, os, socket, sys
folder = sys.argv[1]
names = os.listdir(folder)
os.setgroups([]); os.setgid(65534); os.setuid(65534)
refused = {}
def attempt(name, action):
    try:
        action()
        refused[name] = False
    except PermissionError:
        refused[name] = True
attempt("list", lambda: os.listdir(folder))
attempt("add", lambda: open(folder + "/mine", "w"))
for name in names:
    path = folder + "/" + name
    if name.endswith(".sock"):
        attempt("connect " + name, lambda: socket.socket(socket.AF_UNIX).connect(path))
    attempt("read " + name, lambda: open(path))
    attempt("remove " + name, lambda: os.unlink(path))
print(json.dumps(refused))
"""

as_root = pytest.mark.skipif(os.getuid() != 0, reason="only root can become another user")


@as_root
@pytest.mark.slow
def test_no_other_user_can_reach_the_workers(untrained):
    make_endless(untrained)
    running = untrained.start()
    try:
        assert wait_for(lambda: training(untrained))
        untrained.temporary.chmod(0o1777)  # as /tmp is
        (folder,) = left_behind(untrained)
        asked = subprocess.run(
            [sys.executable, "-c", AS_SOMEONE_ELSE, str(folder)],
            capture_output=True,
            text=True,
            check=True,
        )
    finally:
        os.killpg(running.pid, signal.SIGINT)
        running.wait(timeout=120)
    refused = json.loads(asked.stdout)
    assert {"list", "add", "connect host.sock", "connect 1t0g-0.sock"} <= refused.keys()
    assert [name for name, so in refused.items() if not so] == []
    assert wait_for(lambda: not processes_of(untrained))


@as_root
@pytest.mark.slow
def test_folders_of_other_processes_disturb_no_run_and_stay(untrained):
    """Folders of other users, and those of a live Snakemake, must stay."""
    untrained.temporary.chmod(0o1777)  # as /tmp is
    theirs = untrained.temporary / "gridloom-0-planted"
    live, left = (untrained.temporary / f"gridloom-0-{name}" for name in ("live", "left"))
    for folder in (theirs, live, left):
        folder.mkdir(mode=0o700)
        (folder / "snakemake.lock").touch(mode=0o600)
    os.chown(theirs, NOBODY, NOBODY)
    with (live / "snakemake.lock").open() as held:
        fcntl.flock(held, fcntl.LOCK_EX)
        untrained.succeed()
    assert {path.name for path in left_behind(untrained)} == {theirs.name, live.name}


# -- everything at once


def noted(project: Project) -> dict[str, str]:
    """Return the complete records; the store keeps those that Snakemake deletes."""
    return {path: text for path, text in project.records().items() if text.endswith("}\n")}


@pytest.mark.slow
@pytest.mark.parametrize(
    ("size", "faults"),
    [
        ("auto", 7),
        pytest.param("auto", 25, marks=pytest.mark.nightly),
        pytest.param(1, 25, marks=pytest.mark.nightly),
    ],
)
def test_random_faults_lose_nothing_and_change_nothing(disk, size, faults):
    """Each run has several soft faults and ends with a hard one, until there were enough."""
    project = Project(disk)
    make_long(project, points=30, epochs=60, points_per_job=size)
    project.succeed()
    every = list(project.records())
    total = len(every)
    expected, tables = project.runs(), pd.read_csv(project.results / "summary.csv")
    shutil.rmtree(project.results)
    dice = random.Random(11)
    happened: Counter[str] = Counter()
    kept: dict[str, str] = {}
    lost: list[str] = []

    def damage(kind: str) -> None:
        path = dice.choice(sorted(kept))
        del kept[path]
        record = project.results / "points" / path
        with contextlib.suppress(FileNotFoundError):  # only the store has it
            if kind == "deleted":
                record.unlink()
            else:
                size = dice.randrange(1, 400) if kind == "truncated" else 0
                record.write_text(record.read_text()[:size])

    def look() -> None:
        """Miss what was noted before and is no more, or was trained again."""
        stored = {}
        for path in every:
            with contextlib.suppress(FileNotFoundError):
                record = f"{project.results}/points/{path}"
                stored[path] = Path(client.store_of(record)).read_text()
        now = {**stored, **project.records()}
        lost.extend(
            f"{path} {'is gone' if path not in now else 'was trained again'} after {happened}"
            for path, text in kept.items()
            if now.get(path) != text
        )
        kept.update(noted(project))

    def soft(kind: str) -> bool:
        if kind in ("truncated", "emptied", "deleted"):
            damage(kind)
        elif kind == "disk full":
            filler = fill(disk)
            time.sleep(dice.uniform(0.1, 0.5))
            filler.unlink()
        else:
            victims = wait_for_client(project) if kind == "client" else host_and_workers(project)[1]
            if not victims:
                return False
            with contextlib.suppress(ProcessLookupError):
                os.kill(dice.choice(victims), signal.SIGKILL)
        return True

    def least(kinds: list[str]) -> str:
        """Choose a kind that happened least: how many faults a run meets depends on its speed."""
        return min(dice.sample(kinds, len(kinds)), key=lambda kind: happened[kind])

    def missing() -> int:
        """Count the records that a run would train."""
        return total - sum(text.endswith("}\n") for text in project.records().values())

    while sum(happened.values()) < faults or len(+happened) < 5:
        while missing() < total // 3 and len(kept) >= 5:  # else there is nothing left to disturb
            kind = least(["truncated", "emptied", "deleted"])
            damage(kind)
            happened[kind] += 1
        without_victim: set[str] = set()
        running = project.start("--retries", "2")
        count = len(project.records())
        wait_for(lambda n=count, r=running: len(project.records()) > n or r.poll() is not None)
        for _ in range(dice.randint(9, 15)):
            time.sleep(dice.uniform(0, 0.3))
            look()
            if running.poll() is not None:
                break
            kinds = {"worker", "client", "disk full"} - without_victim
            if len(kept) >= 5:
                kinds |= {"truncated", "emptied", "deleted"}
            kind = least(sorted(kinds))
            if soft(kind):
                happened[kind] += 1
            else:
                without_victim.add(kind)
        hard = least(["snakemake", "host", "interrupt", "all"])
        if running.poll() is None:
            happened[hard] += 1
            if hard == "snakemake":
                running.kill()
            elif hard == "interrupt":
                os.killpg(running.pid, signal.SIGINT)
            else:
                hosts, workers = host_and_workers(project)
                for process in hosts if hard == "host" else [running.pid, *hosts, *workers]:
                    with contextlib.suppress(ProcessLookupError):
                        os.kill(process, signal.SIGKILL)
                if hard == "host":
                    time.sleep(0.5)
                    os.killpg(running.pid, signal.SIGINT)
        running.wait(timeout=120)
        assert "Traceback" not in project.printed
        # A host checks on Snakemake only after it has imported TensorFlow.
        assert wait_for(lambda: not processes_of(project), 60), happened
        look()
        if (project.folder / ".snakemake" / "locks").exists():
            project.run("--unlock")
    print(dict(happened))
    assert len([kind for kind, times in happened.items() if times]) >= 5
    project.succeed()
    look()
    assert lost == []
    assert project.runs().equals(expected)
    summary = pd.read_csv(project.results / "summary.csv")
    assert summary.drop(columns="seconds_mean").equals(tables.drop(columns="seconds_mean"))
    assert left_behind(project) == []
