"""Promises of confirm and verify: rounds that train what is left, nothing twice, and survive."""

from __future__ import annotations

import re
import shutil
import signal

import pandas as pd
import pytest
import yaml

from tests.workflow.processes import processes_of, wait_for

#: A difference so large that the rounds are few, and so small that there are some.
CONFIRM = {"first_repetitions": 4, "repetitions_per_round": 6, "difference": 0.1}


def settings(**changes):
    return {"confirm": {**CONFIRM, **changes}}


def blocks(project) -> dict[str, list[tuple[int, int]]]:
    """Return the blocks of repetitions of each point."""
    found: dict[str, list[tuple[int, int]]] = {}
    for path in project.records():
        point, first, last = re.fullmatch(r"(.+)/reps=(\d+)-(\d+)\.json", path).groups()
        found.setdefault(point, []).append((int(first), int(last)))
    return {point: sorted(parts) for point, parts in found.items()}


def repetitions(project) -> list[tuple[str, int]]:
    """List every repetition of every point, to find those that were trained twice."""
    return [
        (point, repetition)
        for point, parts in blocks(project).items()
        for first, last in parts
        for repetition in range(first, last + 1)
    ]


def folder(project):
    (found,) = (project.results / "confirm").iterdir()
    return found


@pytest.mark.slow
def test_rounds_train_what_is_left_and_end_in_a_pick_that_verify_takes(copied):
    tables = copied.runs()
    copied.change(**settings())
    assert copied.succeed("-n", "confirm") == {"confirm_plan": 1, "confirm": 1}
    done = copied.run("confirm")
    assert done.returncode == 0, done.stdout + done.stderr
    assert "4 repetitions of each, 2 are the study's own: 8 further trainings" in done.stdout
    assert "confirmed   " in done.stdout
    rounds = pd.read_csv(folder(copied) / "rounds.csv")
    assert rounds["before"].iloc[0] == 4
    assert (rounds["before"].iloc[1:].to_numpy() == rounds["left"].iloc[:-1].to_numpy()).all()
    trained = repetitions(copied)
    assert len(trained) == len(set(trained)) == 8 + rounds["trainings_total"].iloc[-1]
    best = yaml.safe_load((folder(copied) / "best.yaml").read_text())
    assert best["by"] == "confirm"
    longest = max(blocks(copied).values(), key=lambda parts: parts[-1])
    assert longest[-1][1] + 1 == best["n"] == rounds["repetitions"].iloc[-1]
    assert copied.succeed("confirm_figure") == {"confirm_figure": 1}
    assert (folder(copied) / "rounds.png").exists()
    # The study's own tables are as they were; verdict and figures take the confirmed pick.
    assert copied.succeed() == {"verdict": 1, "heatmaps": 1, "figures": 1, "report": 1}
    assert copied.runs().equals(tables)
    assert copied.succeed("confirm") == {}
    assert "uses every record" in copied.run("prune").stdout
    done = copied.run("verify")
    assert done.returncode == 0, done.stdout + done.stderr
    assert f"{best['n']} trainings in a new process: the same, bit for bit" in done.stderr
    (file,) = (copied.results / "verify").rglob("verify.yaml")
    verified = yaml.safe_load(file.read_text())
    assert verified["point"] == best["point"]
    assert verified["reserved"]["repetitions"] == 20
    assert any((1_000_000, 1_000_019) in parts for parts in blocks(copied).values())
    assert "uses every record" in copied.run("prune").stdout
    assert copied.runs().equals(tables)
    assert copied.succeed("verify") == {}


@pytest.mark.slow
def test_limits_end_it_and_taken_away_it_goes_on_without_training_twice(copied):
    copied.change(**settings(max_trainings=8, difference=0.001))
    done = copied.run("confirm")
    assert done.returncode == 0, done.stdout + done.stderr
    assert "not settled" in done.stdout
    assert "confirm.max_trainings is reached" in done.stdout
    before = copied.records()
    assert len(repetitions(copied)) == 8 + 8
    copied.change(**settings(max_trainings=16, difference=0.5))
    done = copied.run("confirm")
    assert "The plan is kept although confirm.difference was 0.001 and is 0.5" in done.stdout
    assert before.items() < copied.records().items()
    trained = repetitions(copied)
    assert len(trained) == len(set(trained)) <= 8 + 16


@pytest.mark.slow
def test_a_changed_grid_meets_no_stale_confirmation_and_more_repetitions_use_its_records(copied):
    copied.change(**settings(max_trainings=8))
    assert copied.succeed("confirm")["confirm"] == 1
    copied.change(repetitions=4)
    assert "train" not in copied.succeed("-n")
    copied.change(**settings(), hyperparameters={"units": [1, 4, 8]})
    assert copied.succeed("--until", "analyse")["train"] == 2
    assert copied.succeed("-n", "confirm")["confirm_plan"] == 1
    # Nothing keeps the further records of the former grid now.
    assert "4 records" in copied.run("prune").stdout


def test_a_limit_below_the_first_repetitions_is_one_sentence(copied):
    copied.change(**settings(max_trainings=7))
    assert "the first 4 repetitions of all configurations need 8" in copied.fail("confirm")


@pytest.mark.slow
def test_killed_half_way_it_goes_on_and_trains_nothing_twice(copied):
    knobs = {"first_repetitions": 4, "repetitions_per_round": 4, "difference": 1e-4}
    copied.change(confirm={**knobs, "max_trainings": 40}, trainer={"lockstep": False})
    running = copied.start("confirm", cores=1)
    assert wait_for(lambda: len(copied.records()) >= 10 or running.poll() is not None, 120)
    running.send_signal(signal.SIGKILL)
    running.wait()
    assert wait_for(lambda: not processes_of(copied)), processes_of(copied)
    before = copied.records()
    assert copied.run("--unlock").returncode == 0
    assert copied.succeed("confirm")["confirm"] == 1
    assert before.items() < copied.records().items()
    trained = repetitions(copied)
    assert len(trained) == len(set(trained)) <= 8 + 40


@pytest.mark.slow
def test_lost_rows_are_made_again_and_no_further_record_with_them(copied):
    copied.change(**settings(max_trainings=8, difference=0.001))
    assert copied.succeed("confirm")["confirm"] == 1
    before = copied.records()
    shutil.rmtree(copied.results / "data")
    copied.change(**settings(max_trainings=16, difference=0.001))
    copied.succeed("confirm")
    assert before.items() < copied.records().items()
