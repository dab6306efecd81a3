"""Promises of Gridloom as a module of another workflow, as docs/module.md has it."""

from __future__ import annotations

import re

import pandas as pd
import pytest
import yaml

from gridloom.errors import StudyError
from gridloom.study.loading import handed_study
from tests.workflow.conftest import ROOT, TINY, jobs

ONE = {**TINY, "repetitions": 1, "hyperparameters": {**TINY["hyperparameters"], "units": [1]}}


@pytest.fixture
def outer(project):
    """Make the project a module of the workflow that docs/module.md shows."""
    inner = project.folder / "workflows" / "gridloom"
    inner.mkdir(parents=True)
    for part in project.folder.iterdir():
        if part.name not in ("workflows", "models", "config"):
            part.rename(inner / part.name)
    environment = project.environment
    project.environment = lambda: {**environment(), "PYTHONPATH": str(inner)}
    project.write(ONE, "study.yaml")
    text = (ROOT / "docs" / "module.md").read_text()
    (project.folder / "Snakefile").write_text(
        next(iter(re.findall(r"```snakemake\n(.*?)```", text, flags=re.DOTALL)))
    )
    command = next(iter(re.findall(r"```sh\nsnakemake (.*?) --cores all\n```", text)))
    project.profile = command.split()
    return project


@pytest.mark.slow
def test_a_workflow_keeps_its_target_and_changes_the_module_s_study_by_the_command_line(outer):
    given = ("--config", "repetitions=2", "points_per_job=2", 'trainer={"lockstep": false}')
    ran = outer.succeed(*outer.profile, *given)
    assert (ran["choice"], sum("_train_" in rule for rule in ran)) == (1, 1)
    assert list((outer.results / "store").iterdir()) == []
    # Of the study, it only makes what it uses.
    assert "study_report" not in ran
    chosen = yaml.safe_load((outer.folder / "paper" / "choice.yaml").read_text())
    assert (chosen["n"], chosen["configurations"]) == (2, 2)
    assert set(pd.read_csv(outer.results / "runs.csv")["engine"]) == {"one by one"}
    # Without a target of its own, the whole study is made.
    snakefile = outer.folder / "Snakefile"
    rules = snakefile.read_text().partition("module gridloom:")
    snakefile.write_text('configfile: "study.yaml"\n' + "".join(rules[1:]))
    left = outer.run("-n", *outer.profile, *given)
    assert "study_report" in jobs(left.stdout + left.stderr)


def test_only_values_of_the_command_line_are_read_as_numbers():
    """Snakemake has merged them into the config, where they are text."""
    settings = {
        "dataset": {"source": "builtin:iris"},
        "model": "models/mlp.py",
        "hyperparameters": {"batch_size": 8, "epochs": 1, "mode": ["1", "2"]},
        "trainer": {"recycle_mb": "900"},
        "repetitions": 3,
    }
    overrides = {"trainer": {"recycle_mb": "900"}, "repetitions": 3}
    for given in (overrides, {"first": overrides}):
        study = handed_study(settings, given)
        assert study.trainer.recycle_mb == 900
        assert study.grid.axes["mode"] == ["1", "2"]


def test_a_module_without_a_study_is_told_what_it_needs():
    with pytest.raises(StudyError, match="set its `config:` to one"):
        handed_study({}, {})
