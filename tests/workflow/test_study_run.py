"""Promises of what the rules ask for: folders, records, figures and resources of a study."""

from __future__ import annotations

import json
import os
from pathlib import Path

import pytest
import yaml

from gridloom.errors import GridloomError, StudyError
from gridloom.figures.wanted import LARGEST, MAX_AXES, curve_names
from gridloom.workflow.invocation import Invocation
from gridloom.workflow.jobs import Group
from gridloom.workflow.study_run import StudyRun, require_submission
from tests.made_requests import ROOT
from tests.workflow.conftest import TINY


@pytest.fixture
def run_of(tmp_path, monkeypatch):
    """Open a study of a folder, as a run of `snakemake` does."""
    monkeypatch.chdir(tmp_path)
    Path("config").mkdir()
    Path("models").symlink_to(ROOT / "models")

    def opened(study=None, **invocation):
        Path("config/config.yaml").write_text(yaml.safe_dump({**TINY, **(study or {})}))
        return StudyRun.open(Invocation("Snakefile", **invocation), {})

    return opened


def finish(record: str, text: str = "{}\n") -> None:
    Path(record).parent.mkdir(parents=True, exist_ok=True)
    Path(record).write_text(text)


def test_each_point_needs_a_record_in_the_folder_of_the_set_up(run_of):
    run = run_of()
    assert len(run.coverage.needed) == len(run.study.grid.points) == 4
    folder = f"results/points/{run.identity.setup.name}"
    assert run.coverage.needed[0].startswith(f"{folder}/activation=relu/")
    assert all(record.endswith("/reps=0-1.json") for record in run.coverage.needed)
    assert run.trainings == 8


def test_the_study_in_the_report_has_no_secrets_and_only_what_it_sets(run_of):
    run = run_of({"dataset": {"source": "https://example.org/rows.csv?key=secret"}})
    secret = {"dataset": {"source": "https://example.org/rows.csv?key=secret"}}
    told = run_of(overrides=secret, config_files=(Path("config/config.yaml").absolute(),))
    assert told.shown_arguments[:2] == ["--configfile", "config/config.yaml"]
    assert "example.org" in told.shown_arguments[-1]
    assert "secret" not in told.shown_arguments[-1]
    text = run.study_text
    assert "example.org" in text
    assert "secret" not in text
    assert "limits" not in text


def test_reading_a_study_writes_nothing(run_of):
    run_of().coverage.missing()
    assert sorted(path.name for path in Path().iterdir()) == ["config", "models"]


def test_missing_records_include_truncated_ones(run_of):
    first, second, *others = run_of().coverage.needed
    finish(first)
    finish(second, '{"format"')
    run = run_of()
    assert run.coverage.existing == [first]
    assert run.coverage.missing() == [second, *others]
    assert run.coverage.cut_short == {second}
    # They are targets only if tables exist, which would hide that records are missing.
    assert run.lost_records() == []
    finish("results/runs.csv")
    assert run.lost_records() == [second, *others]


def test_a_study_is_compared_with_the_set_up_that_a_run_used_last(run_of):
    folders = []
    for seed in range(3):
        run = run_of({"seed": seed})
        finish(run.coverage.needed[0])
        folders.append(Path(run.coverage.folder))
        os.utime(folders[-1], (seed, seed))
    assert run.comparison() == [f"{run.results}/compare/{folders[1].name}/compare.md"]
    (there,) = run.records_with(folders[0].name)
    assert there.startswith(f"{folders[0]}/activation=relu/")
    run_of({"seed": 0, "trainer": {"warm": False}}).start([])
    assert run.comparison() == [f"{run.results}/compare/{folders[0].name}/compare.md"]
    asked = run_of({"seed": 2, "compare": folders[1].name[:6]})
    assert asked.comparison() == [f"{run.results}/compare/{folders[1].name}/compare.md"]
    assert "compare" not in asked.study_text


def test_more_repetitions_need_only_a_record_of_the_new_ones(run_of):
    for record in run_of().coverage.needed:
        finish(record)
    run = run_of({"repetitions": 5})
    assert len(run.coverage.missing()) == 4
    assert all(record.endswith("/reps=2-4.json") for record in run.coverage.missing())


def test_resources_come_from_the_study_and_those_of_refit_from_train(run_of):
    run = run_of({"resources": {"train": {"mem_mb": 7000}, "gather": {"threads": 2}}})
    assert run.resource("train", "mem_mb") == run.resource("refit", "mem_mb") == 7000
    assert (run.resource("gather", "threads"), run.resource("train", "threads")) == (2, 1)


def test_a_training_may_take_a_day_here_and_an_hour_on_a_cluster_unless_the_study_says(run_of):
    given = {"resources": {"train": {"runtime": 5}}}
    for here, minutes in ((True, 24 * 60), (False, 60)):
        where = {"is_here": lambda here=here: here}
        assert run_of(**where).resource("train", "runtime") == minutes
        assert run_of(given, **where).resource("train", "runtime") == 5


def test_jobs_at_once_follow_from_cores_and_limit_of_jobs_except_on_a_cluster(run_of):
    two = {"resources": {"train": {"threads": 2}}}
    assert run_of(two, cores=5).jobs_at_once() == 2
    assert run_of(two, cores=1).jobs_at_once() == 1
    assert run_of(cores=4, jobs=3).jobs_at_once() == 3
    assert run_of(cores=2, jobs=3).jobs_at_once() == 2
    assert run_of(cores=4, jobs=3, is_here=lambda: False).jobs_at_once() is None


def test_jobs_of_several_records_make_what_is_missing_and_is_not_asked_for_by_itself(run_of):
    first, second, third, fourth = run_of().coverage.needed
    finish(second)
    run = run_of({"points_per_job": 3})
    run.groups = run.group(alone=[])
    assert [group.records for group in run.groups] == [(first, third, fourth)]
    assert (run.count_jobs([first, fourth]), run.count_jobs([second, third])) == (1, 2)
    assert [group.records for group in run.group(alone=[third])] == [(first, fourth)]
    # A job of one is a job of the rule `train`.
    assert run_of({"points_per_job": 3}).group(alone=[first, third]) == []
    assert run_of({"points_per_job": 1}).group(alone=[]) == []
    assert run_of().group(alone=[]) == []
    elsewhere = run_of(jobs=3, is_here=lambda: False)
    assert [len(group.records) for group in elsewhere.group(alone=[])] == []
    finish(second, '{"trainings": [{"seconds": 0.1}]}\n')
    elsewhere = run_of(jobs=3, is_here=lambda: False)
    assert [len(group.records) for group in elsewhere.group(alone=[])] == [3]


def test_a_job_of_several_records_asks_a_cluster_for_time_as_their_pace_says(run_of):
    def minutes(attempt=1, count=3, **resources):
        train = {"resources": {"train": resources}} if resources else {}
        run = run_of(train, is_here=lambda: False)
        one = run.resource("train", "runtime") * attempt
        return run.minutes(Group.of(run.coverage.needed[-1:] * count), one, attempt)

    assert (minutes(), minutes(2), minutes(count=100)) == (180, 360, 24 * 60)
    assert minutes(count=100, runtime=3000) == 3000
    finish(run_of().coverage.needed[0], '{"trainings": [{"seconds": 45}]}\n')
    # Two trainings each.
    assert (minutes(), minutes(2), minutes(runtime=5)) == (129, 258, 19)


def test_there_are_heatmaps_of_each_pair_and_of_each_swept_slice(run_of):
    slices = [{"rows": "units", "columns": "dropout"}, {"rows": "units", "columns": "epochs"}]
    run = run_of({"figures": {"formats": ["png", "svg"], "slices": slices}})
    first, further = run.first_figures("figures"), run.further_figures("figures")
    pair = "figures/heatmap_units_x_dropout"
    assert first == [f"figures/heatmap_dropout_x_units_mean.{end}" for end in ("png", "svg")]
    best = [f"figures/heatmap_dropout_x_units_best.{end}" for end in ("png", "svg")]
    assert further == [*best, f"{pair}_slice.png", f"{pair}_slice.svg"]
    assert set(first + further) < set(run.all_figures("figures"))
    assert run.lattice_figures("f") == [
        f"f/lattice_dropout_x_units.{end}" for end in ("png", "svg")
    ]


def test_the_study_says_which_heatmaps_are_drawn_and_of_what(run_of):
    slices = [{"rows": "units", "columns": "dropout", "panels": "epochs"}]
    figures = {"formats": ["png"], "heatmaps": [], "metrics": ["val_loss"], "slices": slices}
    # An axis with one value has no panels.
    names = ["heatmap_units_x_dropout_slice", "heatmap_units_x_dropout_slice_val_loss"]
    run = run_of({"figures": figures})
    assert run.first_figures("") == []
    assert run.further_figures("") == [f"/{name}.png" for name in names]


def test_one_axis_has_a_line_and_none_a_sentence(run_of):
    fixed = {**TINY["hyperparameters"], "dropout": 0}
    run = run_of({"hyperparameters": fixed})
    assert run.first_figures("figures") == ["figures/line_units.png"]
    assert run.further_figures("figures") == run.lattice_figures("figures") == []
    run = run_of({"hyperparameters": {**fixed, "units": 1}})
    assert run.first_figures("figures") == ["figures/no_figure.txt"]


def test_axes_that_are_swept_are_drawn_to_scale(run_of):
    assert run_of().to_scale == []
    wanted = {"figures": {"to_scale": ["units", "dropout", "learning_rate"]}}
    assert run_of(wanted).to_scale == ["units", "dropout"]


def test_a_point_has_a_text_for_each_axis_and_none_for_what_it_lacks(run_of):
    example = yaml.safe_load((ROOT / "config" / "examples" / "optimizers.yaml").read_text())
    run = run_of(example)
    axes = run.study.grid.texts
    rows = run.values_of_points()
    assert len(rows) == len(run.study.grid.points)
    for known, used in zip(axes.values(), zip(*rows, strict=True), strict=True):
        assert set(known) == set(used)
    assert any("" in known for known in axes.values())


def test_figures_of_the_evidence_are_those_that_the_axes_allow(run_of):
    def names(**hyperparameters):
        chosen = {**TINY["hyperparameters"], **hyperparameters}
        study = {"hyperparameters": chosen, "figures": {"formats": ["png"]}}
        return set(run_of(study).evidence_figures("f"))

    none = {"f/ties.png", "f/curves.png"}
    one = none | {"f/effects.png", "f/cost.png", "f/stability.png", "f/curves_units.png"}
    assert names(units=1, dropout=0) == none
    assert names(dropout=0) == one
    two = one | {"f/curves_dropout.png", "f/interactions.png"}
    assert names() == two
    three = {"f/curves_batch_size.png", "f/pairs.png", "f/whole_grid.png"}
    assert names(batch_size=[4, 8]) == two | three


def test_of_very_many_axes_those_with_the_largest_effects_have_curves():
    assert curve_names(["a", "b"]) == ["curves_a", "curves_b"]
    names = curve_names([f"axis_{place}" for place in range(MAX_AXES + 1)])
    assert names == [f"curves_largest_{place + 1}" for place in range(LARGEST)]


def test_figures_of_the_model_are_those_of_its_task(run_of):
    assert run_of().model_figures("model") == [
        "model/confusion.png",
        "model/roc.png",
        "model/calibration.png",
    ]
    regression = {"dataset": {"source": "builtin:diabetes", "task": "regression"}}
    figures = run_of({**regression, "class_weight": None}).model_figures("model")
    assert figures == ["model/predicted.png", "model/residuals.png"]


def test_the_pick_is_that_of_confirm_once_there_is_one(run_of):
    assert run_of().confirmed is None
    best = f"{run_of().confirm_folder}/best.yaml"
    finish(best)
    assert run_of().confirmed == best


def test_a_study_without_baselines_asks_for_no_table_of_them(run_of):
    assert run_of({"baselines": []}).baselines == []
    assert run_of({"baselines": ["dummy"]}).baselines == ["results/baselines.csv"]


def test_a_rule_depends_on_its_script_and_the_modules_it_imports(run_of):
    files = {Path(file).name for file in run_of().code(ROOT / "scripts" / "heatmaps.py")}
    assert {"heatmaps.py", "style.py", "adjusted.py", "errors.py"} <= files
    assert not {"trainer.py", "plan.py"} & files


def test_a_study_passed_by_another_workflow_replaces_the_file(run_of):
    assert run_of(handed_over={**TINY, "results": "elsewhere"}).results == "elsewhere"
    with pytest.raises(StudyError, match="repetitions: must be at least 1"):
        run_of(handed_over={**TINY, "repetitions": 0})


def test_the_study_arguments_name_the_same_study(run_of):
    Path("more.yaml").write_text("repetitions: 3\n")
    overrides = {"seed": 4, "trainer": {"warm": False}}
    run = run_of(config_files=(Path("more.yaml"),), overrides=overrides)
    assert (run.study.repetitions, run.study.seed, run.study.trainer.warm) == (3, 4, False)
    arguments = run.invocation.same_study()
    assert arguments[:2] == ["--snakefile", "Snakefile"]
    assert arguments[2:4] == ["--configfile", "more.yaml"]
    given = dict(one.split("=", 1) for one in arguments[5:])
    assert {key: json.loads(value) for key, value in given.items()} == overrides


def test_further_records_follow_the_studys_own_also_where_these_are_not_there_yet(run_of):
    run = run_of()
    point = next(iter(run.study.grid.points))
    names = [record.rpartition("/")[2] for record in run.coverage.further([point], 10)]
    assert names == ["reps=0-1.json", "reps=2-9.json"]


def test_prune_keeps_further_records_while_there_is_a_confirmation_and_reserved_ones_always(run_of):
    run = run_of()
    point = next(iter(run.study.grid.points))
    folder = f"{run.coverage.folder}/{point}"
    for block in ("0-1", "2-9", "20-29", "1000000-1000019"):
        finish(f"{folder}/reps={block}.json")
    reserved = f"{folder}/reps=1000000-1000019.json"
    assert set(run_of().used_records()) == {*run.coverage.needed, reserved}
    finish(run.plan_file)
    assert set(run_of().used_records()) == {
        *run.coverage.needed,
        reserved,
        f"{folder}/reps=2-9.json",
    }


def test_a_failed_record_of_a_round_is_reported_with_the_target_that_asks_for_it(run_of):
    for record in run_of().coverage.needed:
        finish(record)
    run = run_of()
    failed = run.coverage.further(run.study.grid.points, 10)[1]
    log = Path(failed.replace("results/", "results/logs/", 1)).with_suffix(".log")
    log.parent.mkdir(parents=True)
    log.write_text("error: too wide\n")
    text = run.describe_failed(0, ["confirm"])
    assert "1 of 8 records" in text
    assert "`snakemake confirm` retries" in text


@pytest.mark.parametrize(
    "changes",
    [{"seed": 1}, {"objective": {"metric": "val_loss", "mode": "min"}}, {"units": [1, 8]}],
    ids=str,
)
def test_another_set_up_objective_or_grid_has_a_confirmation_of_its_own(run_of, changes):
    knobs = {**TINY["hyperparameters"], "units": [1, 4]}
    if "units" in changes:
        changes = {"hyperparameters": {**knobs, **changes}}
    same = {"hyperparameters": {**knobs, "units": [4, 1]}, "repetitions": 9}
    assert run_of(same).confirm_folder == run_of().confirm_folder
    assert run_of(changes).confirm_folder != run_of().confirm_folder


def test_a_machine_without_slurm_is_told_before_any_job_is_submitted(tmp_path, monkeypatch):
    monkeypatch.setenv("PATH", str(tmp_path))
    require_submission("local")
    with pytest.raises(GridloomError, match="there is no `sbatch` on this machine"):
        require_submission("slurm")
    (tmp_path / "sbatch").touch(0o755)
    require_submission("slurm")
