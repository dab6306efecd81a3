"""Promises of a model's code: exactly the fingerprinted code runs, module by module."""

from __future__ import annotations

import sys
from dataclasses import replace
from pathlib import Path

import keras
import pytest

from gridloom.errors import ChangedError, ModelError
from gridloom.identity.identify import library_settings
from gridloom.identity.setup import Setup, model_fingerprint, package_versions
from gridloom.identity.source_code import read_source
from gridloom.networks.model_code import _unload, check_process, read_model_code
from gridloom.training.trainer import Trainer
from tests.made_requests import histories, request_of

FILES = {
    "net.py": "import blocks\nfrom parts import dense\nfrom parts.more import more\n"
    "def sizes():\n    import late\n    return [blocks.size, dense.size, more, late.size]\n",
    "blocks.py": "size = 1\n",
    "late.py": "size = 1\n",
    "parts/__init__.py": "from . import dense\n",
    "parts/dense.py": "from .more import more\nsize = more\n",
    "parts/more.py": "more = 1\n",
}


@pytest.fixture(autouse=True)
def leave_nothing():
    yield
    _unload()


@pytest.fixture
def net(tmp_path):
    return written(tmp_path / "models")


def written(folder: Path, files=FILES) -> Path:
    for name, text in files.items():
        path = folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)
    return folder / "net.py"


def sizes(path: Path) -> list[int]:
    return read_model_code(path).run("a_model").sizes()


@pytest.mark.parametrize("file", ["blocks.py", "late.py", "parts/more.py"])
def test_a_warm_process_runs_the_new_version_of_any_module(net, file):
    before = sizes(net)
    assert before == [1, 1, 1, 1]
    path = net.parent / file
    path.write_text(path.read_text().replace("= 1", "= 22"))
    after = sizes(net)
    expected = {"blocks.py": [22, 1, 1, 1], "late.py": [1, 1, 1, 22]}
    assert after == expected.get(file, [1, 22, 22, 1])


def test_a_changed_file_is_named_and_accepted_again_when_restored(net):
    planned = fingerprint(net)
    assert read_model_code(net, planned).fingerprint == planned
    blocks = net.parent / "blocks.py"
    blocks.write_text("size = 2\n")
    for _ in range(2):
        with pytest.raises(
            ChangedError, match=r"blocks.py changed while the study was running; run"
        ):
            read_model_code(net, planned)
    blocks.write_text("# a comment\nsize = 1\n")
    assert read_model_code(net, planned).fingerprint == planned
    blocks.unlink()
    with pytest.raises(ChangedError, match="changed while the study was running"):
        read_model_code(net, planned)
    net.write_text("def sizes(")
    with pytest.raises(ModelError, match=r"net.py, line 1: not valid Python"):
        read_model_code(net, planned)
    net.unlink()
    with pytest.raises(ModelError, match=r"net.py cannot be read \(No such file"):
        read_model_code(net, planned)


def fingerprint(path: Path) -> str:
    return model_fingerprint(path, lambda file: read_source(file.read_bytes(), file))[0]


def test_unchanged_files_are_not_read_again(net, monkeypatch):
    code = read_model_code(net)
    monkeypatch.setattr(Path, "read_bytes", lambda path: pytest.fail(f"reads {path}"))
    assert read_model_code(net, code.fingerprint) is code


def test_the_code_that_was_read_runs_even_if_the_files_changed(net):
    code = read_model_code(net)
    for file in FILES:
        (net.parent / file).write_text("an edit in the middle")
    assert code.run("a_model").sizes() == [1, 1, 1, 1]


def test_two_models_may_have_modules_of_the_same_name(net, tmp_path):
    other = written(tmp_path / "other", {**FILES, "blocks.py": "size = 3\n"})
    assert [sizes(one)[0] for one in (net, other, net)] == [1, 3, 1]


def test_a_copy_of_all_files_runs_in_another_folder(net, tmp_path, monkeypatch):
    for name, content in read_model_code(net).copies.items():
        path = tmp_path / "copy" / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(content)
    copied = read_model_code(tmp_path / "copy" / "net.py")
    assert copied.fingerprint == read_model_code(net).fingerprint
    assert copied.run("a_model").sizes() == [1, 1, 1, 1]


def test_a_module_with_the_name_of_a_loaded_one_is_refused(tmp_path):
    path = written(tmp_path, {"net.py": "import numpy", "numpy.py": "x = 1"})
    with pytest.raises(ModelError, match=r"numpy.py has the name of another module, .* rename it"):
        read_model_code(path).run("a_model")
    assert sys.modules["numpy"].ndarray


def test_a_dynamic_import_does_not_find_the_models_modules(tmp_path):
    """Such a module could not be fingerprinted, so it must not run."""
    text = "import importlib\nhidden = importlib.import_module('hidden')"
    path = written(tmp_path, {"net.py": text, "hidden.py": ""})
    with pytest.raises(ModuleNotFoundError, match="hidden"):
        read_model_code(path).run("a_model")


def test_keras_settings_of_a_model_file_do_not_affect_the_next_one(tmp_path):
    text = 'import keras\nkeras.config.set_floatx("float64")\nkeras.config.set_epsilon(0.1)\n'
    text += 'keras.config.set_dtype_policy("mixed_float16")\n'
    sets = written(tmp_path / "a", {"net.py": text})
    other = written(tmp_path / "b", {"net.py": "import keras\nx = keras.config.dtype_policy()"})
    read_model_code(sets).run("a_model")
    assert keras.config.floatx() == "float64"
    module = read_model_code(other).run("a_model")
    assert (module.x.name, keras.config.floatx()) == ("float32", "float32")
    assert keras.config.epsilon() == pytest.approx(1e-7)


SETUP = Setup(
    *("rows", "model", "code"),
    **{"seed": 0, "vary": (), "validation": {}, "class_weight": None, "scaling": "none"},
    **{"target": "none", "engine": "compiled", "onednn": True, "xla": "auto"},
    libraries={"floatx": "float32", "epsilon": 1e-7, "image_data_format": "channels_last"},
)


def test_settings_read_without_keras_equal_those_of_keras(tmp_path):
    assert library_settings({"KERAS_HOME": str(tmp_path)}) == SETUP.libraries
    check_process(SETUP)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"libraries": {**SETUP.libraries, "floatx": "float16"}}, "'floatx': 'float16'"),
        (
            {"environment": {"packages": {"keras": "3.0"}}},
            "environment is strict, .* make them agree",
        ),
    ],
    ids=str,
)
def test_a_process_that_differs_from_the_set_up_is_refused(change, message):
    check_process(replace(SETUP, environment={"packages": package_versions()}))
    with pytest.raises(ChangedError, match=message):
        check_process(replace(SETUP, **change))


NET = """
import keras
from blocks import START

def build_model(input_shape, outputs, **rest):
    model = keras.Sequential([
        keras.Input(input_shape),
        keras.layers.Dense(outputs, "softmax", kernel_initializer=START),
    ])
    model.compile("sgd", "categorical_crossentropy", metrics=["categorical_accuracy"])
    return model
"""


def test_a_trainer_trains_the_new_version_of_an_imported_module(data, tmp_path):
    path = written(tmp_path, {"net.py": NET, "blocks.py": 'START = "zeros"\n'})
    shared = Trainer()
    first = histories(shared.run(request_of(data, path)))
    (tmp_path / "blocks.py").write_text('START = "ones"\n')
    second = histories(shared.run(request_of(data, path)))
    assert second != first
    assert second == histories(Trainer().run(request_of(data, path)))
    asked = request_of(data, path)
    wanted = replace(asked, setup=replace(asked.setup, model_file="of another version"))
    with pytest.raises(ChangedError, match="changed while the study was running"):
        shared.run(wanted)
