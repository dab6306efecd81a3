"""Promises of identity: what can change a number changes the name, and nothing else does."""

from __future__ import annotations

import json
from dataclasses import fields, replace
from pathlib import Path

import numpy as np
import pytest

from gridloom.errors import StudyError
from gridloom.identity.digests import Digests
from gridloom.identity.identify import (
    NOT_COUNTED,
    ROWS,
    TRAINING,
    library_fingerprint,
    library_modules,
    local_digests,
    rows_name,
    setup_of,
)
from gridloom.identity.setup import Setup, model_fingerprint, package_versions
from gridloom.study.loading import check_study

MODEL = "import keras\n\ndef build_model(input_shape, outputs, units):\n    return keras.Model()\n"

STUDY = {
    "dataset": {"source": "mine.csv"},
    "model": "net.py",
    "hyperparameters": {"units": [1, 2], "batch_size": 8, "epochs": 1},
}


#: Shared, so that the library is read once; files that a test has just written are always read.
KNOWN = Digests()


@pytest.fixture(autouse=True)
def folder(tmp_path, monkeypatch):
    """Work in a folder with data, a model file, and Keras's default settings."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("KERAS_HOME", str(tmp_path / "keras"))
    (tmp_path / "mine.csv").write_text("x,target\n1,a\n")
    (tmp_path / "net.py").write_text(MODEL)
    return tmp_path


def overlaid(changes) -> dict:
    study = dict(STUDY)
    for key, value in changes.items():
        study[key] = {**STUDY.get(key, {}), **value} if isinstance(value, dict) else value
    return study


def rows_of(**changes) -> str:
    study = check_study(overlaid(changes))
    return rows_name(study, local_digests(study.dataset, KNOWN), KNOWN, Path("sources.json"))


def setup(variables=None, **changes) -> Setup:
    given = {"KERAS_HOME": "keras", **(variables or {})}
    return setup_of(check_study(overlaid(changes)), "rows", KNOWN, given)


def test_a_set_up_keeps_its_name_when_written_and_read():
    first = setup()
    again = Setup.from_json(json.loads(json.dumps(first.as_json())))
    assert again == first
    assert again.name == first.name


def test_every_part_of_a_set_up_changes_its_name():
    first = setup()
    others = {replace(first, **{field.name: "another"}).name for field in fields(Setup)}
    assert len(others | {first.name}) == len(fields(Setup)) + 1


@pytest.mark.parametrize(
    "changes",
    [
        {"seed": 1},
        {"vary": ["init"]},
        {"validation": {"fraction": 0.3}},
        {"validation": {"method": "kfold"}},
        {"class_weight": "balanced"},
        {"preparation": {"scaling": "minmax"}},
        {"trainer": {"engine": "keras"}},
        {"trainer": {"onednn": False}},
        {"trainer": {"xla": "on"}},
        {"environment": "strict"},
    ],
    ids=str,
)
def test_settings_that_determine_a_training_change_the_set_up(changes):
    assert setup(**changes).name != setup().name


@pytest.mark.parametrize(
    "changes",
    [
        {"repetitions": 9},
        {"hyperparameters": {"units": [4]}},
        {"vary": ["validation", "shuffle", "init", "dropout"]},
        {"objective": {"metric": "val_auc", "mode": "max"}},
        {"trainer": {"warm": False, "lockstep": False}},
        {"resources": {"train": {"threads": 2, "gpu": 1}}},
    ],
    ids=str,
)
def test_settings_that_determine_no_training_do_not_change_the_set_up(changes):
    assert setup(**changes).name == setup().name


def test_a_strict_set_up_contains_versions_and_the_kind_of_device():
    strict = setup(environment="strict")
    assert strict.environment["packages"] == package_versions()
    on_gpus = setup(environment="strict", resources={"train": {"gpu": 1}})
    assert (strict.environment["device"], on_gpus.environment["device"]) == ("cpu", "gpu")


# --- rows


def test_rows_are_named_by_the_content_of_a_local_file_not_by_its_path(folder):
    before = rows_of()
    (folder / "mine.csv").rename(folder / "other.csv")
    assert rows_of(dataset={"source": "other.csv"}) == before
    (folder / "other.csv").write_text("x,target\n2,a\n")
    assert rows_of(dataset={"source": "other.csv"}) != before


def test_the_right_sum_changes_nothing_and_a_wrong_one_is_refused():
    right = Digests().content("mine.csv")
    assert rows_of(dataset={"sha256": right}) == rows_of()
    with pytest.raises(StudyError, match=f"mine.csv has SHA-256 {right}, the study asks for 000"):
        rows_of(dataset={"sha256": "0" * 64})


def test_settings_of_a_split_that_have_no_effect_do_not_count(folder):
    """Settings without effect because of the data; the study refuses all others."""
    rows = {name: np.zeros((2, 1)) for name in ("x_train", "y_train", "x_test", "y_test")}
    np.savez(folder / "both.npz", **rows)
    given = {"dataset": {"source": "both.npz"}}
    assert rows_of(**given, split={"seed": 7}) == rows_of(**given)


@pytest.mark.parametrize(
    "changes",
    [
        {"split": {"seed": 1}},
        {"split": {"test": 0.3}},
        {"split": {"stratify": False}},
        {"dataset": {"drop": ["x"]}},
        {"dataset": {"format": "tsv"}},
        {"dataset": {"source": "builtin:iris"}},
    ],
    ids=str,
)
def test_settings_that_determine_the_rows_count(changes):
    assert rows_of(**changes) != rows_of()


# --- the model file


def test_comments_docstrings_and_the_name_of_a_model_file_do_not_count(folder):
    before = setup().name
    (folder / "net.py").write_text('"""A network."""\n' + MODEL + "# the end\n")
    assert setup().name == before
    (folder / "net.py").rename(folder / "other.py")
    assert setup(model="other.py").name == before
    (folder / "other.py").write_text(MODEL + "x = 1\n")
    assert setup(model="other.py").name != before


def test_modules_beside_the_model_file_or_in_the_working_folder_count(folder):
    models = folder / "models"
    models.mkdir()
    (models / "net.py").write_text(
        "import blocks\nfrom shared.parts import x\nimport gridloom.grid"
    )
    (models / "blocks.py").write_text("import deeper")
    (models / "deeper.py").write_text("size = 1")
    (folder / "shared").mkdir()
    (folder / "shared" / "parts.py").write_text("x = 1")
    found = [model_fingerprint(models / "net.py", Digests().source)]
    assert set(found[0][1]) == {"blocks", "deeper", "shared", "shared.parts"}
    for file in (models / "deeper.py", folder / "shared" / "parts.py"):
        file.write_text(file.read_text().replace("1", "2"))
        found.append(model_fingerprint(models / "net.py", Digests().source))
    assert len({name for name, _ in found}) == 3


# --- the library


def test_every_module_left_out_is_imported_by_a_training_and_has_a_reason():
    training = library_modules([TRAINING], KNOWN.source)
    assert NOT_COUNTED.keys() <= training.keys()
    assert all(NOT_COUNTED.values())


@pytest.mark.parametrize(
    "module",
    [
        "naming.values",
        "naming.blocks",
        "study.contract",
        "files",
        "engines.compiled",
    ],
)
def test_modules_that_can_change_a_number_count(module, monkeypatch):
    name = f"gridloom.{module}"
    before = library_fingerprint([TRAINING], KNOWN)
    monkeypatch.setitem(NOT_COUNTED, name, "for this test")
    assert library_fingerprint([TRAINING], KNOWN) != before


def test_the_code_that_makes_the_rows_counts():
    assert {"gridloom.data.tables", "gridloom.data.arrays", "gridloom.study.dataset"} <= set(
        library_modules(ROWS, KNOWN.source)
    )


def test_settings_of_what_comes_after_a_training_do_not_count():
    counted = {*library_modules([TRAINING], KNOWN.source), *library_modules(ROWS, KNOWN.source)}
    later = ("study.schema", "analysis", "figures", "report", "workflow", "fitted")
    assert not [
        name for name in counted if name.startswith(tuple(f"gridloom.{one}" for one in later))
    ]


# --- Keras's own settings


def keras_json(folder, content) -> Path:
    (folder / "keras").mkdir(exist_ok=True)
    path = folder / "keras" / "keras.json"
    path.write_text(content if isinstance(content, str) else json.dumps(content))
    return path


def test_keras_settings_and_variables_that_change_numbers_count(folder):
    before = setup().name
    keras_json(folder, {"floatx": "float16"})
    assert setup().libraries["floatx"] == "float16"
    assert setup().name != before
    keras_json(folder, "no JSON, which Keras passes over")
    assert setup().name == before
    assert setup({"TF_XLA_FLAGS": "--tf_xla_auto_jit=2"}).name != before
    assert setup({"KERAS_MAX_EPOCHS": "2"}).name != before


@pytest.mark.parametrize(
    ("content", "message"),
    [
        ({"floatx": "float8"}, "keras.json: floatx is 'float8', must be float16, float32, float64"),
        ({"epsilon": 1}, "keras.json: epsilon is 1, must be such as 1e-07"),
        ([], "keras.json: must hold settings of Keras in braces"),
    ],
    ids=str,
)
def test_bad_keras_settings_are_refused_before_any_job(folder, content, message):
    keras_json(folder, content)
    with pytest.raises(StudyError, match=message):
        setup()
