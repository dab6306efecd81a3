"""Promises of the examples and of the guide to your own study: they run as written."""

from __future__ import annotations

import json
import re
import shlex
import shutil

import pandas as pd
import pytest

from tests.cases import cases
from tests.workflow.conftest import ROOT

EXAMPLES = sorted(path.stem for path in (ROOT / "config" / "examples").glob("*.yaml"))


@pytest.mark.parametrize("name", cases(EXAMPLES, []))
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


@pytest.mark.slow
def test_the_guide_to_your_own_study_works_as_written(project):
    shutil.copytree(ROOT / "config", project.folder / "config", dirs_exist_ok=True)
    text = (ROOT / "docs" / "your-own-study.md").read_text()
    blocks = re.findall(r"```(\w+)\n(.*?)```", text, flags=re.DOTALL)
    names = re.findall(r"Save this as `([^`]+)`", text)
    commands = 0
    for kind, content in blocks:
        if kind == "sh":
            program, *arguments = shlex.split(content)
            if program == "cp":
                shutil.copy(*(project.folder / argument for argument in arguments))
            elif program == "python":
                done = project.python(*arguments)
                assert done.returncode == 0, done.stderr
            else:
                assert program == "snakemake"
                arguments = [a for a in arguments if a not in ("--cores", "all", "1")]
                project.succeed(*arguments)
            commands += 1
        else:
            (project.folder / names.pop(0)).write_text(content)
    assert commands == 6
    assert len(pd.read_csv(project.results / "mine" / "runs.csv")) == 60
    assert len(list((project.results / "mine" / "figures").glob("heatmap_*_mean.png"))) == 3
    predictions = pd.read_csv(project.folder / "predictions.csv")
    table = pd.read_csv(project.folder / "mine.csv")
    assert predictions["listing"].tolist() == table["listing"].tolist()
    assert (predictions["predicted_let"] == table["let"]).mean() > 0.7
    for target in ("refit", "all"):  # neither asks for anything that is there
        assert project.succeed(target, "--configfile", "mine.yaml") == {}
