"""Promises of `snakemake export_mlflow`, read by MLflow's own client."""

from __future__ import annotations

import pandas as pd
import pytest

from tests.exports.made_results import MADE, ODD_NAME
from tests.workflow.conftest import TINY, jobs

pytestmark = pytest.mark.slow

SAID = "results/export/mlflow.db: 4 runs, of which 0 failed, with 8 trainings; look at them with `"

PARENT = "mlflow.parentRunId"


@pytest.fixture(scope="module")
def cases(read_cases):
    """Return case → what MLflow finds in the export of made results."""
    return read_cases("read_mlflow")


def configurations(case):
    """Return id → run, of those that are within no other."""
    return {key: run for key, run in case["runs"].items() if PARENT not in run["tags"]}


def trainings(case, configuration):
    """List the runs within the run of a configuration, by name."""
    runs = [run for run in case["runs"].values() if run["tags"].get(PARENT) == configuration]
    return sorted(runs, key=lambda run: run["name"])


def test_a_finished_study_opens_in_mlflow(exporting, run_reader):
    done = exporting.run("export_mlflow")
    assert done.returncode == 0, done.stdout + done.stderr
    assert jobs(done.stderr) == {"export_mlflow": 1}
    assert SAID in done.stdout
    assert exporting.succeed("export_mlflow") == {}
    file = exporting.export("mlflow")
    assert [path.name for path in file.parent.iterdir()] == ["mlflow.db"]

    metric = TINY["objective"]["metric"]
    found = run_reader("read_mlflow", file)
    assert found["name"] == TINY["name"]
    parents = configurations(found)
    rows = pd.read_csv(exporting.results / "summary.csv").set_index("point").to_dict("index")
    assert {run["tags"]["point"] for run in parents.values()} == set(rows)
    runs = pd.read_csv(exporting.results / "runs.csv").set_index(["point", "repetition"])
    history = pd.read_parquet(exporting.results / "history.parquet")
    for key, run in parents.items():
        point = run["tags"]["point"]
        assert run["metrics"][f"{metric}_mean"] == rows[point][f"{metric}_mean"]
        assert run["metrics"]["rank"] == rows[point]["rank"]
        assert run["params"]["units"] == str(rows[point]["units"])
        assert run["params"]["activation"] == "relu"
        assert run["status"] == "FINISHED"
        children = trainings(found, key)
        assert [child["name"] for child in children] == ["repetition 0", "repetition 1"]
        for repetition, child in enumerate(children):
            row = runs.loc[(point, repetition)]
            assert child["metrics"][f"{metric}_final"] == row[metric]
            assert child["params"]["seed"] == str(row["seed"])
            own = history[(history["point"] == point) & (history["repetition"] == repetition)]
            for name in (metric, "loss", "val_loss"):
                assert child["curves"][name] == [
                    [epoch, value] for epoch, value in zip(own["epoch"], own[name], strict=True)
                ]
    # The set-up by the name of its folder.
    (setup,) = (exporting.results / "points").iterdir()
    assert found["tags"]["set-up"] == setup.name
    assert {run["tags"]["set-up"] for run in found["runs"].values()} == {setup.name}


def test_what_diverged_has_failed(cases):
    runs = configurations(cases["plain"])
    ((key, lost),) = ((key, run) for key, run in runs.items() if run["status"] == "FAILED")
    assert (lost["name"], lost["metrics"]["n_diverged"]) == ("units=8, rate=1", 1)
    states = [(run["status"], run["tags"]["status"]) for run in trainings(cases["plain"], key)]
    assert states == [("FINISHED", "ok"), ("FAILED", "diverged"), ("FINISHED", "ok")]
    # The epochs before it diverged.
    assert trainings(cases["plain"], key)[1]["curves"]["loss"] == [[1, 1], [2, 1]]
    assert {run["status"] for run in cases["diverged"]["runs"].values()} == {"FAILED"}


def test_every_odd_value_comes_back(cases):
    runs = configurations(cases["odd"]).values()
    assert len({tuple(run["params"].items()) for run in runs}) == len(runs) == 12
    assert {run["params"]["layers"] for run in runs} == {"[64, 32]", "[]"}
    assert {run["params"]["penalty"] for run in runs} == {"null", "l2/é %", ""}
    assert {run["params"]["size"] for run in runs} == {"1", str(2**60)}
    assert cases["odd"]["name"] == ODD_NAME


def test_metrics_have_names_that_mlflow_takes(cases):
    for run in cases["odd"]["runs"].values():
        key = "_mean" if PARENT not in run["tags"] else "_final"
        assert run["metrics"][f"val_f1_5 _é___x_{key}"] in (0.5, pytest.approx(0.55), 0.6)


def test_a_configuration_says_what_the_study_found(cases):
    (taken,) = (
        run
        for run in configurations(cases["plain"]).values()
        if run["tags"]["taken by the study"] == "true"
    )
    assert taken["tags"]["tied_with_best"] == "true"
    assert taken["curves"]["val_score"] == [
        [1, pytest.approx(0.68 / 3)],
        [2, pytest.approx(0.68 * 2 / 3)],
        [3, pytest.approx(0.68)],
    ]
    assert taken["metrics"]["val_score_se"] == pytest.approx(0.1 / 3**0.5)
    end = round(MADE.timestamp() * 1000)
    assert (taken["start"], taken["end"]) == (end - 1500, end)
    assert cases["plain"]["made"] == end
    for run in configurations(cases["diverged"]).values():
        assert run["tags"]["taken by the study"] == "false"


def test_an_axis_that_is_absent_is_no_parameter(cases):
    fit = {"batch_size": "4", "epochs": "3"}
    params = [run["params"] for run in configurations(cases["conditional"]).values()]
    assert sorted(params, key=len) == [
        {"kind": "adam", **fit},
        *({"kind": "sgd", "momentum": momentum, **fit} for momentum in moments(params)),
    ]
    assert sorted(moments(params)) == ["0", "0.9"]


def moments(params):
    return [one["momentum"] for one in params if "momentum" in one]


def test_folds_are_runs_of_their_own(cases):
    for key in configurations(cases["folds"]):
        names = [run["name"] for run in trainings(cases["folds"], key)]
        assert names == [f"repetition {r}, fold {fold}" for r in (0, 1) for fold in (0, 1)]


def test_an_export_says_what_it_holds_and_is_the_same_twice(cases):
    assert cases["plain"]["said"] == "6 runs, of which 1 failed, with 18 trainings"
    assert cases["plain"]["twice_the_same"]
