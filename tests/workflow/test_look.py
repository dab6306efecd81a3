"""Promises of plan, prune and partial: a look at a study that trains nothing."""

from __future__ import annotations

import pandas as pd
import pytest


def look(project, *arguments):
    done = project.run(*arguments)
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


def test_the_plan_of_a_new_study_lists_its_trainings_and_trains_nothing(untrained):
    lines = look(untrained, "plan").splitlines()
    assert lines[0].split() == ["points", "4", "dropout", "(2)", "×", "units", "(2)"]
    assert lines[3].split()[:3] == ["to", "train", "8"]
    assert lines[4].startswith("time       not known")
    assert untrained.records() == {}


def test_the_plan_lists_what_is_new_with_command_line_settings(copied):
    copied.change(hyperparameters={"units": [1, 4, 8]})
    plan = look(copied, "plan", "--config", "repetitions=3", 'trainer={"warm": false}')
    assert "new: units = 8, 2 points" in plan
    assert "new: repetition 3 of 4 points" in plan
    assert "time       about" in plan
    assert "also runs  gather, " in plan
    copied.change()
    assert "Nothing is left to do." in look(copied, "plan")


def test_the_plan_says_why_finished_points_train_again(copied):
    with (copied.folder / "models" / "mlp.py").open("a") as file:
        file.write("EDITED = True\n")
    plan = look(copied, "plan")
    assert "again: changed model file; 4 records kept in case the change is undone" in plan
    assert "may be adopted: 4 records, not trained again where network, data" in plan
    assert "time       about" in plan


def test_the_plan_names_a_column_that_is_not_there(project):
    rows = "".join(f"{i},{'xy'[i % 2]}\n" for i in range(40))
    (project.folder / "mine.csv").write_text(f"a,target\n{rows}")
    project.change(dataset={"source": "mine.csv", "target": "taget"})
    assert "there is no column 'taget' (did you mean 'target'?)" in project.fail("plan")
    project.change(dataset={"source": "mine.csv"})
    assert look(project, "plan").startswith("points")
    assert project.records() == {}


@pytest.mark.slow
def test_looks_remove_no_record_and_only_truncated_ones_train_again(copied, finished):
    points = copied.results / "points"
    cut, bare, windows, other = (points / path for path in sorted(copied.records()))
    cut.write_text(cut.read_text()[:300])
    bare.write_text(bare.read_text().rstrip())
    windows.write_bytes(windows.read_bytes().rstrip() + b"\r\n")
    before = {path: path.read_bytes() for path in (cut, bare, windows, other)}
    plan = look(copied, "plan")
    assert "again: 1 record, because cut short" in plan
    assert "also runs  gather, " in plan
    assert copied.succeed("-n")["train"] == 1
    look(copied, "partial")
    assert len(pd.read_csv(copied.results / "partial" / "runs.csv")) == 6
    assert "made from 6 of 8 trainings" in (copied.results / "partial/report.html").read_text()
    assert {path: path.read_bytes() for path in before} == before
    assert copied.succeed()["train"] == 1
    assert cut.read_bytes().endswith(b"}\n")
    assert {path: path.read_bytes() for path in (bare, windows, other)} == {
        path: before[path] for path in (bare, windows, other)
    }
    assert copied.runs().equals(finished.runs())


def test_prune_lists_unused_records_and_prune_remove_removes_them(copied):
    assert "uses every record" in look(copied, "prune")
    before = copied.records()
    copied.change(hyperparameters={"units": [4]})
    assert "2 records" in look(copied, "prune")
    assert copied.records() == before
    assert "Removed 2 records" in look(copied, "prune_remove")
    assert {path for path in before if "units=4/" in path} == set(copied.records())
    ran = copied.succeed()
    assert ran["gather"] == ran["heatmaps"] == 1
    assert "train" not in ran


@pytest.mark.slow
def test_figures_of_an_earlier_grid_go_with_the_first_run_of_the_new_one(copied):
    figures = copied.results / "figures"
    before = copied.records()
    first = {file.name for file in figures.iterdir()}
    assert first == {"heatmap_units_x_dropout_mean.png", "ties.png"}
    evidence = {"ties.png", "curves.png"}
    of_axes = {"curves_dropout.png", "effects.png", "cost.png", "stability.png"}
    drawn = {"figures": {"formats": ["png"], "dpi": 60}}
    copied.change(**drawn, hyperparameters={"units": [4]})
    look(copied, "plan")
    assert {file.name for file in figures.iterdir()} == first
    done = copied.run()
    assert "Removed figures of an earlier grid from results/figures: 1" in done.stdout + done.stderr
    assert {file.name for file in figures.iterdir()} == {"line_dropout.png", *evidence, *of_axes}
    copied.change(**drawn, hyperparameters={"units": [4], "dropout": 0.3})
    assert "one configuration, so there is nothing to compare" in copied.run().stderr
    assert {file.name for file in figures.iterdir()} == {"no_figure.txt", *evidence}
    copied.change(figures={**drawn["figures"], "heatmaps": ["mean"], "evidence": []})
    copied.succeed()
    assert {file.name for file in figures.iterdir()} == {"heatmap_units_x_dropout_mean.png"}
    assert copied.records() == before


def test_lattice_draws_the_grid_before_anything_is_trained(untrained):
    assert untrained.succeed("lattice") == {"lattice": 1}
    figures = untrained.results / "figures"
    assert [file.name for file in figures.iterdir()] == ["lattice_units_x_dropout.png"]
    assert untrained.records() == {}


@pytest.mark.slow
def test_partial_makes_marked_tables_and_figures_from_finished_records(copied):
    copied.change(hyperparameters={"units": [1, 4, 8]})
    assert copied.succeed("partial") == {
        "gather_partial": 1,
        "analyse_partial": 1,
        "verdict_partial": 1,
        "report_partial": 1,
        "heatmaps_partial": 1,
        "figures_partial": 1,
        "partial": 1,
    }
    partial = copied.results / "partial"
    for table, rows in (("runs.csv", 8), ("summary.csv", 4)):
        content = pd.read_csv(partial / table)
        assert set(content["partial"]) == {"8 of 12 trainings"}
        assert len(content) == rows
    assert len(pd.read_parquet(partial / "history.parquet")) == 16
    for name in ("heatmap_units_x_dropout_mean.png", "ties.png"):
        assert (partial / "figures" / name).exists()
    assert len(copied.records()) == 4
    # When more records exist, the tables show more.
    copied.succeed("--until", "train")
    copied.succeed("partial")
    assert set(pd.read_csv(partial / "runs.csv")["partial"]) == {"12 of 12 trainings"}


def test_partial_takes_no_record_of_another_set_up(copied):
    before = copied.records()
    copied.change(seed=5)
    assert "no training of this study is finished yet" in copied.fail("partial")
    assert copied.records() == before


def test_partial_without_records_says_so(untrained):
    assert "no training of this study is finished yet" in untrained.fail("partial")
