"""Promises of `snakemake export_optuna`, read by Optuna and by optuna-dashboard."""

from __future__ import annotations

import json
import socket
import subprocess
import time
import urllib.request

import pandas as pd
import pytest

from tests.exports.made_results import MADE, ODD_METRIC, ODD_NAME
from tests.workflow.conftest import TINY, jobs

pytestmark = pytest.mark.slow

SAID = (
    "results/export/optuna.db: 4 trials, of which 0 failed; look at them with `optuna-dashboard "
    "sqlite:///results/export/optuna.db`\n"
)


@pytest.fixture(scope="module")
def cases(read_cases):
    """Return case → what Optuna finds in the export of made results."""
    return read_cases("read_optuna")


def trials(case):
    return {json.dumps(trial["params"]): trial for trial in case["trials"]}


def test_a_finished_study_opens_in_optuna_and_its_dashboard(exporting, run_reader):
    done = exporting.run("export_optuna")
    assert done.returncode == 0, done.stdout + done.stderr
    assert jobs(done.stderr) == {"export_optuna": 1}
    assert SAID in done.stdout
    file = exporting.export("optuna")
    once = file.read_bytes()
    assert exporting.succeed("export_optuna") == {}
    assert exporting.succeed("export_optuna", "--forcerun", "export_optuna") == {"export_optuna": 1}
    assert file.read_bytes() == once
    assert [path.name for path in file.parent.iterdir()] == ["optuna.db"]

    metric = TINY["objective"]["metric"]
    found = run_reader("read_optuna", file)
    summary = pd.read_csv(exporting.results / "summary.csv")
    assert found["name"] == TINY["name"]
    assert found["direction"] == "MAXIMIZE"
    assert found["metrics"] == [metric]
    assert [trial["params"] for trial in found["trials"]] == [
        {"units": row["units"], "dropout": row["dropout"]} for row in summary.to_dict("records")
    ]
    assert [trial["value"] for trial in found["trials"]] == list(summary[f"{metric}_mean"])
    history = pd.read_parquet(exporting.results / "history.parquet")
    first = history[history["point"] == summary["point"][0]].groupby("epoch")[metric].mean()
    assert list(found["trials"][0]["curve"].values()) == pytest.approx(list(first))
    for name in ("learning_rate", "activation", "batch_size", "epochs"):
        assert found["trials"][0]["attributes"][name] == TINY["hyperparameters"][name]

    with dashboard(exporting) as address:
        shown = json.loads(fetch(f"{address}/api/studies/1"))
    assert [trial["state"] for trial in shown["trials"]] == ["Complete"] * 4
    assert [trial["values"] for trial in shown["trials"]] == [
        [trial["value"]] for trial in found["trials"]
    ]


class dashboard:  # noqa: N801
    """The command that the export names, while the block runs; its address."""

    def __init__(self, project):
        self.project = project

    def __enter__(self):
        with socket.socket() as free:
            free.bind(("127.0.0.1", 0))
            port = free.getsockname()[1]
        self.process = subprocess.Popen(
            [
                *(str(self.project.extras / "bin" / "optuna-dashboard"), "--port", str(port)),
                "sqlite:///results/export/optuna.db",
            ],
            cwd=self.project.folder,
            env=self.project.environment(),
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
        )
        return f"http://127.0.0.1:{port}"

    def __exit__(self, *error):
        self.process.kill()
        self.process.wait()


def fetch(address):
    """Read a page of a server that may still be starting."""
    for _ in range(600):
        try:
            with urllib.request.urlopen(address) as page:
                return page.read()
        except OSError:
            time.sleep(0.1)
    raise TimeoutError(address)


def test_axes_are_whole_numbers_numbers_or_categories(cases):
    whole, number = (
        cases["plain"]["trials"][0]["distributions"][name] for name in ("units", "rate")
    )
    assert whole == ["IntDistribution", {"low": 1, "high": 8, "log": False, "step": 1}]
    assert number == ["FloatDistribution", {"low": 0.01, "high": 1, "log": True, "step": None}]
    odd = cases["odd"]["trials"][0]["distributions"]
    assert {name: own[1]["choices"] for name, own in odd.items()} == {
        "layers": ["[64, 32]", "[]"],
        "penalty": [None, "l2/é %", ""],
        "flag": ["True", "1"],
        "size": [1, 2**60],
        "mixed": [None, 0.5],
    }


def test_every_odd_value_comes_back(cases):
    found = trials(cases["odd"])
    assert len(found) == len(cases["odd"]["trials"]) == 12
    assert {trial["params"]["size"] for trial in found.values()} == {1, 2**60}
    assert cases["odd"]["name"] == ODD_NAME
    assert cases["odd"]["metrics"] == [ODD_METRIC]
    assert cases["odd"]["direction"] == "MINIMIZE"


def test_a_configuration_with_a_training_that_diverged_has_failed(cases):
    (lost,) = (trial for trial in cases["plain"]["trials"] if trial["state"] == "FAIL")
    assert lost["params"] == {"units": 8, "rate": 1}
    assert lost["value"] is None
    assert lost["attributes"]["n_diverged"] == 1
    assert lost["attributes"]["val_score by repetition"] == pytest.approx([0.58, None, 0.78])
    assert {trial["state"] for trial in cases["diverged"]["trials"]} == {"FAIL"}
    assert "trial taken by the study" not in cases["diverged"]["attributes"]


def test_a_trial_says_what_its_mean_does_not(cases):
    study = cases["plain"]
    taken = study["trials"][study["attributes"]["trial taken by the study"]]
    assert taken["attributes"]["taken by the study"]
    assert taken["value"] == pytest.approx(0.68)
    assert taken["curve"] == pytest.approx({"1": 0.68 / 3, "2": 0.68 * 2 / 3, "3": 0.68})
    expected = {"standard error": 0.1 / 3**0.5, "rank": 1, "n": 3, "seconds_mean": 0.5}
    for name, value in expected.items():
        assert taken["attributes"][name] == pytest.approx(value)
    assert taken["attributes"]["epochs"] == 3  # fixed
    assert (taken["seconds"], taken["ended"]) == (1.5, MADE.timestamp())
    assert study["attributes"]["class_weight"] is None
    assert "standard error" not in cases["once"]["trials"][0]["attributes"]


def test_an_axis_that_is_absent_is_no_parameter(cases):
    assert [trial["params"] for trial in cases["conditional"]["trials"]] == [
        {"kind": "sgd", "momentum": 0},
        {"kind": "sgd", "momentum": 0.9},
        {"kind": "adam"},
    ]
    assert cases["alone"]["trials"][0]["params"] == {}


def test_an_export_says_what_it_holds_and_is_the_same_twice(cases):
    assert cases["plain"]["said"] == "6 trials, of which 1 failed"
    assert cases["plain"]["twice_the_same"]
