"""Promises of opened results: the tables with types, the pick, figures, and nothing written."""

from __future__ import annotations

import os
import re
import subprocess
import sys

import pytest

import gridloom
from gridloom.errors import StudyError
from gridloom.report.description import Description
from gridloom.study.schema import Study
from tests.made_requests import ROOT
from tests.report.made_page import AXES, write_page


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    """Make a folder of results, with its description."""
    folder = tmp_path_factory.mktemp("results")
    write_page(folder, labels={"rate": "learning rate"})
    describe(folder)
    return folder


def describe(folder, axes=AXES):
    study = Study.model_validate(
        {
            "name": "Made <study>",
            "results": str(folder),
            "repetitions": 3,
            "dataset": {"source": "builtin:iris"},
            "model": "models/mlp.py",
            "hyperparameters": {**axes, "batch_size": 4, "epochs": 4},
            "objective": {"metric": "val_score", "mode": "max"},
        }
    )
    Description(study, folder / "confirm" / "best.yaml").write(folder / "study.json")


@pytest.fixture
def results(folder):
    return gridloom.open(folder)


def test_importing_gridloom_imports_nothing_large(folder):
    code = (
        "import sys, gridloom; assert 'pandas' not in sys.modules; "
        f"gridloom.open({str(folder)!r}).summary; "
        "print([name for name in ('tensorflow', 'keras', 'snakemake', 'matplotlib') "
        "if name in sys.modules])"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout == "[]\n"
    assert gridloom.__version__[0].isdigit()
    with pytest.raises(AttributeError, match="no attribute 'opne'"):
        gridloom.opne  # noqa: B018


def test_tables_have_the_types_of_the_study(results):
    assert results.axes == {"units": [1, 8, 64], "rate": [0.1, 1.5], "activation": ["relu", "tanh"]}
    assert results.summary["units"].dtype.kind == "i"
    assert results.summary["rate"].dtype.kind == "f"
    assert set(results.runs["activation"]) == {"relu", "tanh"}
    assert len(results.runs) == 36
    assert len(results.history) > 36
    assert {"effect", "share"} <= set(results.effects)


def test_the_pick_and_what_is_tied_with_it(results):
    assert results.best.point in set(results.tied["point"])
    assert results.tied["rank"].is_monotonic_increasing
    assert results.tied["tied_with_best"].all()
    assert results.metric == "val_score"
    assert results.mode == "max"
    assert results.partial is None


def test_a_confirmed_pick_comes_first(results, folder):
    own = results.best
    confirmed = folder / "confirm" / "best.yaml"
    confirmed.parent.mkdir()
    other = results.tied["point"].iloc[-1]
    text = (folder / "best.yaml").read_text().replace(own.point, other)
    confirmed.write_text(text.replace("by: study", "by: confirm"))
    assert results.best.by == "confirm"
    assert results.best.point == other
    confirmed.unlink()
    confirmed.parent.rmdir()
    assert results.best == own


def test_a_notebook_in_another_folder_finds_the_confirmed_pick(folder, tmp_path, monkeypatch):
    confirmed = folder / "confirm" / "best.yaml"
    confirmed.parent.mkdir()
    text = (folder / "best.yaml").read_text()
    confirmed.write_text(text.replace("by: study", "by: confirm"))
    monkeypatch.chdir(folder.parent)
    Description.read(folder / "study.json").write(folder / "study.json")
    monkeypatch.chdir(tmp_path)
    assert gridloom.open(os.path.relpath(folder)).best.by == "confirm"
    confirmed.unlink()
    confirmed.parent.rmdir()


def test_figures_are_drawn_of_any_pair_and_axis(results):
    texts = [
        text.get_text()
        for text in results.heatmap("units", "rate").findobj()
        if hasattr(text, "get_text")
    ]
    assert any("mean over" in text for text in texts)
    held = results.heatmap("units", "rate", kind="slice", at={"activation": "tanh"})
    assert any("tanh" in part.get_text() for part in held.findobj() if hasattr(part, "get_text"))
    results.heatmap("rate", "units", metric="diverged", kind="best")
    assert len(results.curves().axes) >= 2
    results.curves("units")
    assert "val_score_sd" in results.metrics


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda results: results.heatmap("unit", "rate"), "no axis 'unit' (did you mean 'units'?)"),
        (lambda results: results.heatmap("rate", "rate"), "name two axes"),
        (
            lambda results: results.heatmap("units", "rate", kind="slice", at={"activation": "x"}),
            "activation has no value x; it has relu, tanh",
        ),
        (
            lambda results: results.heatmap("units", "rate", metric="val_scor"),
            "there is no metric 'val_scor' (did you mean 'val_score'?)",
        ),
        (lambda results: results.heatmap("units", "rate", kind="median"), "kind is 'median'"),
        (lambda results: results.heatmap("units", "rate", at={"activation": "relu"}), "a slice"),
        (lambda results: results.curves("rates"), "no axis 'rates'"),
    ],
)
def test_a_mistake_is_one_sentence(results, call, message):
    with pytest.raises(StudyError) as error:
        call(results)
    assert message in str(error.value)


def test_a_folder_without_results_and_a_damaged_file_are_named(tmp_path):
    with pytest.raises(StudyError, match=r"study\.json does not exist: `snakemake` and"):
        gridloom.open(tmp_path)
    (tmp_path / "study.json").write_text("{")
    with pytest.raises(StudyError, match=r"study\.json is damaged"):
        gridloom.open(tmp_path)
    with pytest.raises(StudyError, match=r"study\.json does not exist"):
        gridloom.open(tmp_path / "study.json")
    describe(tmp_path)
    with pytest.raises(StudyError, match=r"summary\.csv does not exist; run `snakemake`"):
        gridloom.open(tmp_path).summary  # noqa: B018


def test_a_notebook_shows_the_verdict_and_the_best(results):
    shown = results._repr_html_()
    assert "<h3>Made &lt;study&gt;</h3>" in shown
    assert shown.count("<tr>") == 6
    assert "Take units=8" in shown
    assert repr(results) == "<gridloom.Results 'Made <study>': 12 configurations, val_score>"


def test_a_study_in_which_all_diverged_has_tables_but_no_pick(tmp_path):
    write_page(tmp_path, AXES, lambda point, repetition: None)
    describe(tmp_path)
    lost = gridloom.open(tmp_path)
    assert lost.summary["n_diverged"].sum() == 36
    with pytest.raises(StudyError):
        lost.best  # noqa: B018
    lost.heatmap("units", "rate")
    lost.curves()
    assert "<table>" in lost._repr_html_()


def test_opening_changes_nothing(results, folder):
    before = {path: path.read_bytes() for path in folder.rglob("*") if path.is_file()}
    _ = results.summary, results.runs, results.best, results.heatmap("units", "rate")
    assert {path: path.read_bytes() for path in folder.rglob("*") if path.is_file()} == before


def test_the_lines_of_the_guide_run(tmp_path, monkeypatch):
    axes = {"units": [1, 8], "learning_rate": [0.1, 1.5], "dropout": [0, 0.3]}
    folder = tmp_path / "results"
    write_page(folder, axes, lambda point, r: point["units"] / 9 + point["dropout"] + r / 99)
    describe(folder, axes)
    monkeypatch.chdir(tmp_path)
    guide = (ROOT / "docs" / "notebook.md").read_text()
    names = {}
    for block in re.findall(r"```python\n(.*?)```", guide, re.DOTALL):
        exec(block, names)
    assert (tmp_path / "heatmap.pdf").stat().st_size > 1000
    for name in re.findall(r"`study\.(\w+)", guide):
        assert hasattr(gridloom.Results, name)
