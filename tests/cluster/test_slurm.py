"""Promises of profiles/slurm, tested with a real SLURM."""

from __future__ import annotations

import json
import re
import signal

import pandas as pd
import pytest
import yaml

from gridloom.analysis.pick import Pick
from gridloom.identity.setup import Setup
from tests.workflow.test_interruptions import keep_short_trainings

pytestmark = pytest.mark.slow

#: What a run makes of new trainings.
TABLES = {"gather": 1, "analyse": 1, "verdict": 1, "heatmaps": 1, "figures": 1, "report": 1}

#: Opens Snakemake's note of a training's end.
TRAINED = re.compile(r"Finished jobid: \d+ \(Rule: train\)")


def as_here(study, finished, count: int = 4) -> bool:
    """Return whether a study's trainings, so many, have the same numbers as on this machine."""
    here, there = finished.runs(), study.runs()
    keys = ["units", "dropout", "repetition"]
    same = there[keys].merge(here, how="left", on=keys)
    known = there["units"].isin(here["units"])
    return len(there) == count and there[known].equals(same[there.columns][known])


def test_trainings_get_their_gpus_in_an_array_and_after_being_cancelled(study, finished):
    study.plan({1: "hold", 4: "hold"}, resources={"train": {"gpu": 1}})
    study.start("--slurm-array-jobs", "train", "--set-resources", "train:gpu_model=fake")
    study.cluster.wait_for(lambda: study.marks() == [1, 4], 120)
    assert study.devices() == ["0", "1"]
    first, second = study.cluster.running()
    assert first.partition("_")[0] == second.partition("_")[0]
    asked = study.cluster.call("scontrol", "show", "job", first)
    assert "TresPerJob=gres:gpu:fake:1" in asked
    assert "TimeLimit=01:00:00" in asked
    study.cluster.call("scancel", second)
    study.go()
    assert study.finish() == {"train": 2, **TABLES}
    assert len(study.marks()) == 3
    assert set(study.devices()) == {"0", "1"}
    assert as_here(study, finished)


def test_the_profile_trains_many_points_in_one_job_and_a_requeued_one_keeps_them(study, finished):
    faults = {2: "none", 1: "none", 3: "hold", 4: "none"}
    study.plan(faults)
    # With checkpoints, no network is built before its turn. A first point shows the pace.
    points = {"model": "models/marked.py", "trainer": {"checkpoint_minutes": 60}}
    study.change(**points, hyperparameters={"units": 2, "dropout": 0})
    study.start("--until", "train")
    assert study.finish() == {"train": 1}
    study.change(**points, hyperparameters={"units": list(faults), "dropout": 0})
    study.start()
    study.cluster.wait_for(lambda: study.marks() == [1, 2, 3], 120)
    (job,) = study.cluster.running()
    asked = study.cluster.call("scontrol", "show", "job", job)
    assert "TimeLimit=02:01:00" in asked
    assert "MinMemoryNode=2000M" in asked
    kept = study.records()
    assert len(kept) == 2
    study.cluster.call("scontrol", "requeue", job)
    study.cluster.wait_for(lambda: study.marks() == [1, 2, 3, 3], 120)
    assert study.records() == kept
    study.go()
    assert study.finish() == {"train": 1, **TABLES}
    assert study.marks() == [1, 2, 3, 3, 4]
    assert as_here(study, finished, 8)
    assert kept.items() <= study.records().items()
    assert not list((study.results / "store").glob("*"))


@pytest.mark.nightly
def test_an_edit_of_the_model_file_before_its_jobs_start_mislabels_nothing(study, finished):
    study.plan({1: "none", 4: "none"})
    node = f"nodename={study.cluster.host}"
    study.cluster.call("scontrol", "update", node, "state=drain", "reason=test")
    try:
        planned = study.start("--retries", "0")
        study.cluster.wait_for(lambda: waiting(study) == 2, 120)
        model = study.folder / "models" / "marked.py"
        old = model.read_text()
        model.write_text(
            old.replace("learning_rate=learning_rate", "learning_rate=learning_rate / 2")
        )
    finally:
        study.cluster.call("scontrol", "update", node, "state=resume")
    study.cluster.wait_for(lambda: planned.poll() is not None, 300)
    assert planned.returncode != 0
    printed = study.printed
    assert "changed after this run was planned; run `snakemake` again" in printed, printed
    assert "Traceback" not in printed
    assert study.marks() == []
    assert study.records() == {}
    study.start()
    assert study.finish() == {"train": 2, **TABLES}
    (setup,) = {path.split("/")[0] for path in study.records()}
    assert len(study.marks()) == len(study.records()) == 2
    for record in study.records().values():
        noted = json.loads(record)["environment"]["setup"]
        assert Setup.from_json(noted).name == setup
    assert not as_here(study, finished)
    # The old version is another set-up, for which nothing was trained.
    model.write_text(old)
    study.start()
    assert study.finish() == {"train": 2, **TABLES}
    assert len({path.split("/")[0] for path in study.records()}) == 2
    assert as_here(study, finished)


def waiting(study) -> int:
    """Count the jobs that wait in the queue."""
    return list(study.cluster.jobs().values()).count("PENDING")


@pytest.mark.nightly
def test_trainings_over_their_memory_or_time_are_trained_again_with_more(study, finished):
    study.plan(
        {1: "eat", 4: "sleep"},
        resources={"train": {"mem_mb": 1400, "runtime": 1}},
    )
    study.start()
    study.finish(300)
    assert study.marks() == [1, 1, 4, 4]
    kept = [path.read_text() for path in (study.results / "logs" / "slurm").rglob("*.log")]
    # SLURM and the client have the same limit; either may be the first.
    timed_out = "TIMEOUT" in study.cluster.jobs().values()
    assert timed_out or "did not end within 1 minutes" in study.printed, study.printed
    assert any("exceeded memory limit" in text for text in kept)
    asked = [study.cluster.call("scontrol", "show", "job", job) for job in study.cluster.jobs()]
    assert any("MinMemoryNode=2800M" in text for text in asked)
    assert as_here(study, finished)


@pytest.mark.nightly
def test_neither_a_lost_node_nor_a_restarted_controller_costs_a_training(study, finished):
    study.plan({1: "hold", 4: "hold"})
    study.start()
    study.cluster.wait_for(lambda: study.marks() == [1, 4], 120)
    node = f"nodename={study.cluster.host}"
    study.cluster.call("scontrol", "update", node, "state=down", "reason=test")
    study.cluster.wait_for(lambda: not study.cluster.running())
    study.cluster.call("scontrol", "update", node, "state=resume")
    study.cluster.wait_for(lambda: len(study.marks()) == 4, 120)
    study.cluster.stop("slurmctld")
    study.go()
    study.cluster.start("slurmctld")
    study.finish()
    assert study.marks() == [1, 1, 4, 4]
    assert as_here(study, finished)


@pytest.mark.parametrize(
    "ended_by", [pytest.param(signal.SIGINT, marks=pytest.mark.nightly), signal.SIGKILL]
)
def test_a_restarted_snakemake_trains_nothing_finished_twice(study, finished, ended_by):
    study.plan({1: "none", 4: "hold"})
    before = len(TRAINED.findall(study.noted()))
    first = study.start()
    study.cluster.wait_for(lambda: len(TRAINED.findall(study.noted())) > before, 120)
    study.cluster.wait_for(lambda: study.marks() == [1, 4])
    done = study.records()
    assert len(done) == 1
    first.send_signal(ended_by)
    first.wait(60)
    study.go()
    # Ctrl-C cancels running jobs; a killed Snakemake leaves them running, so wait for them.
    study.cluster.wait_for(lambda: not study.cluster.call("squeue", "--noheader"), 60)
    if ended_by == signal.SIGKILL:
        assert len(study.records()) == 2
        study.succeed("--unlock")
    study.start()
    study.finish()
    assert done.items() <= study.records().items()
    # Jobs cancelled by Ctrl-C train again; jobs of a killed Snakemake have ended by themselves.
    assert study.marks() == ([1, 4, 4] if ended_by == signal.SIGINT else [1, 4])
    assert as_here(study, finished)


def unfinished(study) -> list:
    """List the files of unfinished jobs."""
    return list((study.results / "points").rglob("*.unfinished.npz"))


@pytest.mark.parametrize(
    ("how", "trainer", "ending", "kept"),
    [
        pytest.param(*("cancelled", {}, "", "1 trainings are finished"), marks=pytest.mark.nightly),
        # It has ten seconds for the end of its epoch.
        (
            "preempted",
            {"checkpoint_minutes": 60},
            "; the next run continues it",
            "1 trainings are finished, and another has a checkpoint",
        ),
    ],
)
def test_a_job_that_slurm_ends_keeps_what_it_trained(study, how, trainer, ending, kept):
    keep_short_trainings(study)
    knobs = {"units": 4, "dropout": 0.3, "batch_size": 1, "epochs": 60}
    trainer = {"lockstep": False, **trainer}
    study.change(repetitions=2, trainer=trainer, hyperparameters=knobs)
    study.start("--until", "train")
    study.cluster.wait_for(lambda: unfinished(study), 120)
    (job,) = study.cluster.running()
    if how == "cancelled":
        study.cluster.call("scancel", job)
    else:
        urgent = ["--partition=urgent", "--exclusive", "--output=/dev/null", "--wrap=true"]
        study.cluster.call("sbatch", *urgent)
    (log,) = (study.results / "logs" / "points").rglob("*.log")
    study.cluster.wait_for(lambda: f"error: was interrupted{ending}\n" in log.read_text(), 120)
    study.finish()
    assert f"continues an earlier run: {kept}\n" in log.read_text()
    assert unfinished(study) == []


def test_one_allocation_trains_a_study_and_continues_after_preemption_or_time_out(study, finished):
    study.plan({1: "none", 4: "hold"})
    script = ["--cpus-per-task=2", "--mem=4G", "profiles/slurm/one-allocation.sbatch"]
    job = study.submit(*script)
    study.cluster.wait_for(lambda: study.marks() == [1, 4] and len(study.records()) == 1, 120)
    study.cluster.call("scontrol", "requeue", job)
    study.cluster.wait_for(lambda: study.marks() == [1, 4, 4], 120)
    # SLURM sends this signal two minutes before the end, only to the script.
    study.cluster.call("scancel", "--signal=INT", "--batch", job)
    study.cluster.wait_for(lambda: ended(study, job), 60)
    assert len(study.records()) == 1
    study.go()
    job = study.submit(*script)
    study.cluster.wait_for(lambda: ended(study, job), 120)
    assert study.cluster.jobs()[job] == "COMPLETED", study.script_output(job)
    assert study.marks() == [1, 4, 4, 4]
    assert as_here(study, finished)


@pytest.mark.nightly
def test_confirm_and_verify_train_on_the_cluster(study):
    confirm = {"first_repetitions": 3, "repetitions_per_round": 2, "max_trainings": 6}
    study.plan({1: "none", 4: "none"}, confirm={**confirm, "difference": 0.02})
    study.start("confirm")
    # The study's own repetitions, then the third of each point, then a round of two more.
    assert study.finish(300)["train"] == 2
    (folder,) = (study.results / "confirm").iterdir()
    rounds = pd.read_csv(folder / "rounds.csv")
    assert list(rounds["repetitions"]) == [3, 5]
    assert list(rounds["trainings_total"]) == [2, 6]
    assert len(study.marks()) == 6
    confirmed = Pick.read(folder / "best.yaml")
    study.start("verify")
    study.finish(300)
    (file,) = (study.results / "verify").rglob("verify.yaml")
    verified = yaml.safe_load(file.read_text())
    assert verified["point"] == confirmed.point
    assert verified["reserved"]["repetitions"] == 20
    assert "trainings in a new process: the same, bit for bit" in study.printed
    # One is for the reserved repetitions, and one for the repetitions that chose the pick.
    assert len(study.marks()) == 8


def ended(study, job) -> bool:
    """Return whether SLURM is done with a job."""
    return study.cluster.jobs()[job] not in ("PENDING", "CONFIGURING", "RUNNING", "COMPLETING")
