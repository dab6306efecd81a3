"""Promises of the contract check: wrong model files stop a study before any job."""

from __future__ import annotations

import pytest

from gridloom.errors import StudyError
from gridloom.study.contract import check_model_file

NAMES = [frozenset({"units", "dropout"})]


def check(tmp_path, text, names=NAMES, engine="compiled"):
    path = tmp_path / "net.py"
    path.write_text(text)
    check_model_file(path, names, engine)


@pytest.mark.parametrize(
    "text",
    [
        "def build_model(input_shape, outputs, units, dropout): ...",
        "def build_model(input_shape, outputs, *, units, dropout=0, depth=1): ...",
        "def build_model(input_shape, outputs, **anything): ...",
    ],
)
def test_a_signature_that_takes_the_hyperparameters_passes(tmp_path, text):
    check(tmp_path, text)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("def make(): ...", "has no function `build_model(input_shape, outputs, …)`"),
        ("def build_model(units, dropout): ...", "must take `input_shape`, `outputs` first"),
        ("def build_model(: ...", "line 1: not valid Python"),
        (
            "def build_model(input_shape, outputs, unit, dropout): ...",
            "hyperparameters.units: `build_model` in",
        ),
        (
            "def build_model(input_shape, outputs, unit, dropout): ...",
            "(did you mean 'unit'?)",
        ),
        (
            "def build_model(input_shape, outputs, units, dropout, depth): ...",
            "hyperparameters.depth: missing; `build_model`",
        ),
    ],
)
def test_each_mistake_is_named(tmp_path, text, message):
    with pytest.raises(StudyError) as caught:
        check(tmp_path, text)
    assert message in str(caught.value)


def test_a_missing_file_is_named(tmp_path):
    with pytest.raises(StudyError, match=r"none\.py cannot be read"):
        check_model_file(tmp_path / "none.py", NAMES)


def test_every_kind_of_point_is_checked(tmp_path):
    with pytest.raises(StudyError, match="takes no such hyperparameter"):
        check(
            tmp_path,
            "def build_model(input_shape, outputs, *, optimizer): ...",
            [frozenset({"optimizer"}), frozenset({"optimizer", "momentum"})],
        )


BUILDS = "def build_model(input_shape, outputs, units, dropout): ...\n"


@pytest.mark.parametrize(
    "text",
    [
        "def callbacks(hyperparameters): return []",
        "callbacks = lambda point: []",
        "def input_pipeline(rows, training, hyperparameters): return rows",
        "input_pipeline = lambda rows, training, point: rows",
        "from shared import callbacks, custom_objects",
        "custom_objects = {'loss': max}",
        "custom_objects: dict = dict(loss=max)",
    ],
)
def test_callbacks_and_custom_objects_of_the_keras_engine_pass(tmp_path, text):
    check(tmp_path, BUILDS + text, engine="keras")


@pytest.mark.parametrize(
    "text", ["def callbacks(hyperparameters): ...", "from shared import callbacks"]
)
def test_callbacks_with_the_compiled_engine_are_refused_with_the_remedy(tmp_path, text):
    with pytest.raises(StudyError, match=r"defines `callbacks`.*set `trainer: {engine: keras}`"):
        check(tmp_path, BUILDS + text)


def test_a_pipeline_with_the_compiled_engine_is_refused_with_the_remedy(tmp_path):
    text = "def input_pipeline(rows, training, hyperparameters): return rows"
    with pytest.raises(StudyError, match=r"defines `input_pipeline`.*`trainer: {engine: keras}`"):
        check(tmp_path, BUILDS + text)


@pytest.mark.parametrize("given", ["", "rows", "a, b", "a, b, c, d", "a, b, *, c", "*rest"])
def test_a_pipeline_takes_exactly_three_arguments(tmp_path, given):
    with pytest.raises(StudyError) as caught:
        check(tmp_path, f"{BUILDS}def input_pipeline({given}): ...", engine="keras")
    assert "must take exactly three arguments: a tf.data.Dataset" in str(caught.value)
    assert f"it is `input_pipeline({given})`" in str(caught.value)


@pytest.mark.parametrize("given", ["", "a, b", "a, b=1", "*, a", "a, *rest", "**rest"])
def test_callbacks_take_exactly_the_hyperparameters(tmp_path, given):
    with pytest.raises(StudyError) as caught:
        check(tmp_path, f"{BUILDS}def callbacks({given}): ...", engine="keras")
    assert "must take exactly one argument" in str(caught.value)
    assert f"it is `callbacks({given})`" in str(caught.value)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("custom_objects = [max]", "`custom_objects` is not a dict"),
        ("def custom_objects(): ...", "`custom_objects` is not a dict"),
        ("callbacks = [1]", "`callbacks` is not a function"),
        (
            "input_pipeline = [1]",
            "`input_pipeline` is not a function; write `def input_pipeline(rows",
        ),
    ],
)
def test_callbacks_and_custom_objects_of_a_wrong_kind_are_named(tmp_path, text, message):
    with pytest.raises(StudyError) as caught:
        check(tmp_path, BUILDS + text, engine="keras")
    assert message in str(caught.value)
