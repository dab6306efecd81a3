"""Promises of the study: what a config means, and one clear sentence for each mistake."""

from __future__ import annotations

from pathlib import Path

import pytest
import yaml

from gridloom.errors import StudyError
from gridloom.study.loading import check_study, load_study
from gridloom.study.schema import schema_text

ROOT = Path(__file__).parents[2]

MINIMAL = {
    "dataset": {"source": "builtin:iris"},
    "model": "models/mlp.py",
    "hyperparameters": {"units": [1, 2], "epochs": 2, "batch_size": 32},
}


def problems(**changes):
    with pytest.raises(StudyError) as caught:
        check_study({**MINIMAL, **changes})
    return caught.value.problems


def write(path, content):
    path.write_text(content if isinstance(content, str) else yaml.safe_dump(content))
    return path


def test_the_default_study_is_the_article_s():
    study = load_study(ROOT / "config" / "config.yaml")
    assert len(study.grid.points) == 216
    assert study.repetitions == 5
    assert study.class_weight == "balanced"
    assert {point["epochs"] for point in study.grid.points.values()} == {25}


@pytest.mark.parametrize("values", [[1, "1"], [None, "null"], [[1, 2], "[1, 2]"]])
def test_values_that_the_tables_cannot_tell_apart_are_refused(values):
    (problem,) = problems(hyperparameters={**MINIMAL["hyperparameters"], "x": values})
    assert problem.startswith("hyperparameters.x: ")
    assert "look alike in the tables" in problem


def test_the_schema_for_editors_is_current():
    assert (ROOT / "config" / "study.schema.json").read_text() == schema_text(), (
        "write it anew: python -m gridloom.study.schema > config/study.schema.json"
    )


def test_every_key_of_the_schema_has_a_description():
    import json

    schema = json.loads(schema_text())
    blocks = [schema, *schema["$defs"].values()]
    assert [
        key
        for block in blocks
        for key, value in block.get("properties", {}).items()
        if not {"description", "$ref"} & value.keys()
    ] == []


def test_a_file_with_hyperparameters_replaces_the_default_whole(tmp_path):
    default = write(tmp_path / "default.yaml", {**MINIMAL, "seed": 7, "class_weight": "balanced"})
    whole = write(tmp_path / "whole.yaml", MINIMAL)
    study = load_study(default, [whole])
    assert study.seed == 0
    assert study.class_weight is None


def test_text_inside_command_line_settings_gets_its_type(tmp_path):
    default = write(tmp_path / "default.yaml", MINIMAL)
    given = {"trainer": {"warm": "false"}, "hyperparameters": {"units": ["8", "16"]}}
    study = load_study(default, overrides=given)
    assert study.trainer.warm is False
    assert study.grid.axes["units"] == [8, 16]


def test_a_file_without_hyperparameters_overrides_the_default(tmp_path):
    default = write(tmp_path / "default.yaml", {**MINIMAL, "seed": 7})
    partial = write(tmp_path / "partial.yaml", {"split": {"test": 0.3}})
    study = load_study(default, [partial], {"repetitions": 2})
    assert (study.seed, study.split.test, study.repetitions) == (7, 0.3, 2)


def test_later_files_override_earlier_ones_and_the_command_line_overrides_all(tmp_path):
    default = write(tmp_path / "default.yaml", MINIMAL)
    whole = write(tmp_path / "whole.yaml", {**MINIMAL, "seed": 1})
    partial = write(tmp_path / "partial.yaml", {"seed": 2})
    assert load_study(default, [whole, partial]).seed == 2
    assert load_study(default, [partial, whole]).seed == 1
    assert load_study(default, [whole, partial], {"seed": 3}).seed == 3


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"nmae": "x"}, "nmae: unknown key (did you mean 'name'?)"),
        ({"dataset": {"source": "x", "targt": "y"}}, "dataset.targt: unknown key (did you mean"),
        ({"dataset": {}}, "dataset.source: missing; builtin:NAME"),
        ({"dataset": "iris"}, "dataset: must be a block of `key: value` lines, found 'iris'"),
        ({"dataset": {"source": "x", "sha256": "abc"}}, "must be 64 hexadecimal digits"),
        ({"seed": -1}, "seed: must be at least 0, found -1"),
        ({"seed": "one"}, "seed: must be a whole number, found 'one'"),
        ({"repetitions": 2.5}, "repetitions: must be a whole number, found 2.5"),
        ({"repetitions": 0}, "repetitions: must be at least 1, found 0"),
        ({"split": {"test": 1}}, "split.test: must be below 1, found 1"),
        ({"split": {"stratify": "yes"}}, "split.stratify: must be true or false, found 'yes'"),
        ({"validation": {"method": "kfolds"}}, "(did you mean 'kfold'?)"),
        ({"validation": {"method": "kfold", "folds": 1}}, "folds: must be at least 2, found 1"),
        ({"vary": ["inti"]}, "'inti' is not one of init, shuffle, dropout, validation (did you"),
        ({"vary": "init"}, "vary: must be a list, found 'init'; write ['init']"),
        ({"objective": {"mode": "maximum"}}, "objective.mode: 'maximum' is not one of min, max"),
        (
            {"objective": {"metric": "val_accuracy"}},
            "objective.mode: is min, but more of val_accuracy is better; set it to max",
        ),
        (
            {"objective": {"metric": "val_loss", "mode": "max"}},
            "objective.mode: is max, but less of val_loss is better; set it to min",
        ),
        ({"resources": {"trian": {}}}, "(did you mean 'train'?)"),
        ({"resources": {"train": {"gpus": 1}}}, "train.gpus: unknown key (did you mean 'gpu'?)"),
        ({"resources": {"train": {"gpu": -1}}}, "resources.train.gpu: must be at least 0"),
        ({"figures": {"formats": ["jpg"]}}, "'jpg' is not one of png, svg, pdf"),
        ({"figures": {"formats": []}}, "figures.formats"),
        ({"figures": {"dpi": 10}}, "figures.dpi: must be at least 50, found 10"),
        ({"trainer": {"wram": False}}, "trainer.wram: unknown key (did you mean 'warm'?)"),
        ({"model": None}, "model: must be text, found nothing"),
        (
            {"objective": {"metric:val_accuracy": None, "mode": "max"}},
            "objective.metric:val_accuracy: write a space after the colon",
        ),
        ({"results": ""}, "results"),
        ({"class_weight": {"a": "x"}}, "must be a number, found 'x'"),
        ({"hyperparameters": {"units": 1}}, "hyperparameters.epochs: missing"),
        (
            {"hyperparameters": {"epochs": 0, "batch_size": 1}},
            "epochs: must be a whole number above 0, found 0",
        ),
        (
            {"hyperparameters": {"epochs": 1, "batch_size": [1.5]}},
            "batch_size: must be a whole number above 0, found 1.5",
        ),
        (
            {"hyperparameters": {"epochs": 1, "batch_size": 1, "seed": 3}},
            "hyperparameters.seed: the tables use this name",
        ),
        (
            {"hyperparameters": {"epochs": 1, "batch_size": 1, "early_stopping_patient": 3}},
            "(did you mean 'early_stopping_patience'?)",
        ),
        (
            {"hyperparameters": {"epochs": 1, "batch_size": 1, "early_stopping_patience": 0}},
            "early_stopping_patience: must be a whole number above 0 or null, found 0",
        ),
        (
            {"hyperparameters": {"epochs": 1, "batch_size": 1, "early_stopping_min_delta": -1}},
            "early_stopping_min_delta: must be 0 or more",
        ),
        (
            {"hyperparameters": {"epochs": 1, "batch_size": 1, "early_stopping_monitor": 2}},
            "early_stopping_monitor: must be a metric's name",
        ),
        (
            {"figures": {"slices": [{"rows": "unit", "columns": "epochs"}]}},
            "figures.slices[0].rows: 'unit' is not a hyperparameter here (did you mean 'units'?)",
        ),
        (
            {"pick": {"cost": ["unit"]}},
            "pick.cost[0]: 'unit' is no hyperparameter here (did you mean 'units'?)",
        ),
        (
            {"pick": {"cost": ["parameters", "parameters"]}},
            "pick.cost[1]: parameters is there already; remove one",
        ),
        (
            {
                "hyperparameters": {"epochs": 1, "batch_size": 1, "kind": ["a", "b"]},
                "pick": {"cost": ["parameters", "kind"]},
            },
            "pick.cost[1]: kind must be a number at every point, found 'a'",
        ),
        (
            {"figures": {"slices": [{"rows": "units", "columns": "units"}]}},
            "rows and columns are both 'units'",
        ),
        (
            {"figures": {"slices": [{"rows": "epochs", "columns": "x", "at": {"units": 9}}]}},
            "figures.slices[0].at.units: 9 is not among its values 1, 2",
        ),
        (
            {"dataset": {"source": "x", "task": "regression"}, "class_weight": "balanced"},
            "class_weight: a regression task has no classes",
        ),
        (
            {
                "dataset": {"source": "x", "task": "regression"},
                "split": {"stratify": True},
            },
            "split.stratify: a regression task has no classes",
        ),
    ],
)
def test_each_mistake_is_named_with_its_place_and_remedy(changes, message):
    assert any(message in problem for problem in problems(**changes))


def test_all_mistakes_are_reported_at_once():
    found = problems(seed=-1, nmae="x", hyperparameters={"units": "1e-3"})
    assert len(found) == 3, found


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("a: 1\na: 2\n", "line 2: the key 'a' is given twice"),
        ("a: [1\n", "not valid YAML"),
        ("a:\n\t- 1\n", "line 2"),
        ("- 1\n- 2\n", "must hold `key: value` lines, found a list"),
        ("!!python/object/apply:os.system ['true']\n", "not valid YAML"),
        ("? {a: 1}\n: 2\n", "not valid YAML"),
    ],
)
def test_a_file_that_is_not_a_study_is_named_with_its_line(tmp_path, text, message):
    path = write(tmp_path / "bad.yaml", text)
    with pytest.raises(StudyError) as caught:
        load_study(path)
    assert message in str(caught.value)
    assert str(path) in str(caught.value)


def test_a_missing_or_unreadable_file_is_named(tmp_path):
    with pytest.raises(StudyError, match=r"nowhere\.yaml: cannot be read"):
        load_study(tmp_path / "nowhere.yaml")
    latin = tmp_path / "latin.yaml"
    latin.write_bytes("name: Jäger\n".encode("latin-1"))
    with pytest.raises(StudyError, match="is not UTF-8 text"):
        load_study(latin)


FIT = {"epochs": 2, "batch_size": 9}
PATIENT = {"units": 1, "epochs": 2, "batch_size": 32, "early_stopping_min_delta": 0.1}
GIVEN = {"source": "builtin:iris", "test_source": "builtin:iris"}


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        (
            {"validation": {"method": "kfold", "fraction": 0.3}},
            "validation.fraction: has no effect",
        ),
        ({"validation": {"folds": 3}}, "validation.folds: has no effect, holdout has a fraction"),
        (
            {"dataset": GIVEN, "split": {"seed": 1}},
            "split.seed: has no effect, dataset.test_so",
        ),
        ({"dataset": GIVEN, "split": {"test": 0.3}}, "split.test: has no effect, dataset.test_sou"),
        (
            {"split": {"column": "part", "stratify": False}},
            "split.stratify: has no effect, split",
        ),
        ({"split": {"test_value": "held"}}, "split.test_value: has no effect, there is no split.c"),
        (
            {"dataset": {"source": "builtin:iris", "order": "x"}, "split": {"seed": 1}},
            "split.seed: has no effect, the test rows are the latest",
        ),
        (
            {"trainer": {"engine": "keras", "checkpoint_minutes": 9}},
            "trainer.checkpoint_minutes: has no effect, callbacks and model.fit have a state",
        ),
        ({"trainer": {"warm": False, "recycle_mb": 9}}, "recycle_mb: has no effect, no worker"),
        ({"hyperparameters": PATIENT}, "min_delta: has no effect without early_stopping_patience"),
        (
            {"hyperparameters": {**PATIENT, "early_stopping_patience": None}},
            "min_delta: has no effect without early_stopping_patience",
        ),
    ],
)
def test_an_option_without_effect_is_named(changes, message):
    assert any(message in problem for problem in problems(**changes))


@pytest.mark.parametrize(
    "changes",
    [
        # The default value is accepted, because a file laid over a study cannot remove a key.
        {"validation": {"method": "kfold", "fraction": 0.2}},
        {"dataset": GIVEN, "split": {"seed": 0, "test": 0.2}},
        {"split": {"column": "part", "test_value": "held"}},
        {"hyperparameters": {**PATIENT, "early_stopping_patience": [None, 3]}},
    ],
)
def test_an_option_with_some_effect_or_at_its_default_is_accepted(changes):
    check_study({**MINIMAL, **changes})


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"dataset": {"source": "my {x}.csv"}}, "dataset.source: Snakemake takes no path with {"),
        ({"model": "models/{m}.py"}, "model: Snakemake takes no path with { or }; rename models"),
        ({"results": "r" * 300}, "results: a name in this path is longer than 255 bytes"),
        (
            {"hyperparameters": {**FIT, "a" * 120: [1, 2], "b" * 120: [1, 2]}},
            "would have a file name of 270 bytes, and file systems allow 255; use shorter names",
        ),
        (
            {"hyperparameters": {**FIT, "ö" * 100: "x" * 100}},
            "makes a folder name of 301 bytes, and file systems allow 255",
        ),
        (
            {"hyperparameters": {**FIT, **{f"t{n}": "x" * 200 for n in range(20)}}},
            "bytes, and the system allows 4,095; use shorter values",
        ),
    ],
)
def test_a_name_that_cannot_be_a_file_is_reported(changes, message):
    assert any(message in problem for problem in problems(**changes)), problems(**changes)
