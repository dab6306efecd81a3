"""Promises of the examples: they run as written."""

from __future__ import annotations

import json
import shutil

import pandas as pd
import pytest

from tests.cases import cases
from tests.workflow.conftest import ROOT

EXAMPLES = sorted(path.stem for path in (ROOT / "config" / "examples").glob("*.yaml"))


@pytest.mark.parametrize("name", cases(EXAMPLES, [], ["digits", "iris", "rentals"]))
def test_every_example_runs_with_the_command_in_its_first_lines(project, name):
    shutil.copytree(ROOT / "config", project.folder / "config", dirs_exist_ok=True)
    file = f"config/examples/{name}.yaml"
    text = (project.folder / file).read_text()
    assert f"snakemake --cores all --configfile {file}\n" in text
    figures = 'figures={"formats": ["png"], "dpi": 60, "heatmaps": ["mean"], "evidence": ["ties"]}'
    fewer = ["repetitions=2", figures, 'hyperparameters={"epochs": 1}']
    if name == "iris":  # its epochs go with the batch size
        fewer.pop()
    project.succeed("--configfile", file, "--config", *fewer)
    folder = project.folder / "results" / name
    runs = pd.read_csv(folder / "runs.csv")
    # After the single epoch here, a rate of 1 may still give large losses.
    assert (runs["status"] == "ok").mean() > 0.8
    assert list(folder.glob("figures/*.png"))
    if name == "iris":
        assert sorted(set(runs["fold"])) == [0, 1, 2]
    if name == "optimizers":
        assert runs[runs["optimizer"] != "sgd"]["momentum"].isna().all()
    if name == "rentals":
        split = json.loads(next(folder.glob("data/*/split.json")).read_text())
        assert split["incomplete"] == ["area_m2", "built"]
        assert list(split["categorical"]) == ["district", "lift", "heating"]
