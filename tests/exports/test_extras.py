"""Promises of an export whose packages are not installed."""

from __future__ import annotations

import re
import shutil
import tomllib
from importlib.util import find_spec

import pytest

from gridloom.errors import GridloomError
from gridloom.exports.extras import require_extra
from tests.workflow.conftest import ROOT


@pytest.mark.slow
@pytest.mark.skipif(find_spec("optuna") is not None, reason="Optuna is installed")
def test_an_export_without_its_packages_says_how_to_install_them(copied):
    sentence = (
        "export_optuna needs optuna, which is not installed; run "
        "`python3 -m uv sync --inexact --extra optuna`"
    )
    assert sentence in copied.fail("export_optuna")
    assert not (copied.results / "export").exists()
    # Before anything trains.
    shutil.rmtree(copied.results / "points")
    assert sentence in copied.fail("export_optuna")
    assert copied.records() == {}


@pytest.mark.skipif(find_spec("mlflow") is not None, reason="MLflow is installed")
def test_packages_that_are_missing_are_named():
    with pytest.raises(GridloomError, match=r"^export_mlflow needs .*mlflow.*--extra mlflow`$"):
        require_extra("export_mlflow")
    require_extra("train")


def test_the_guide_names_the_version_of_mlflow_that_is_installed():
    locked = tomllib.loads((ROOT / "uv.lock").read_text())["package"]
    (version,) = (one["version"] for one in locked if one["name"] == "mlflow-skinny")
    guide = (ROOT / "docs" / "exports.md").read_text()
    assert re.findall(r"mlflow==(\S+)", guide) == [version]
