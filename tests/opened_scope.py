"""The folder of a run's workers, opened for a study as a run opens it."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

import pytest

from gridloom.workers.job import TrainingSettings
from gridloom.workers.scope import open_scope
from tests.made_requests import ROOT, setup_for

MODEL = ROOT / "models" / "mlp.py"

#: What a run sets for its jobs.
VARIABLES = ("GRIDLOOM_SCOPE", "GRIDLOOM_PYTHON", "GRIDLOOM_CLIENT", "PATH", "PYTHONPATH")


def settings_with(**changes: Any) -> TrainingSettings:
    """Return the settings of a study, some of them changed."""
    default = {
        "setup": setup_for(MODEL),
        "objective": "val_loss",
        "model": str(MODEL),
        "gpu_limit": None,
        "warm": True,
        "lockstep": True,
        "checkpoint_minutes": None,
        "recycle_trainings": 50,
        "recycle_mb": 3000,
    }
    return TrainingSettings(**{**default, **changes})


def open_for(
    folder: Path, results: Path, settings: TrainingSettings, monkeypatch: pytest.MonkeyPatch
) -> list[str]:
    """Open a folder until a test ends; return how a job starts a client, without arguments."""
    for variable in VARIABLES:
        monkeypatch.setenv(variable, os.environ.get(variable, ""))
    folder.mkdir(mode=0o700, exist_ok=True)
    open_scope(folder, str(results), settings)
    return [os.environ["GRIDLOOM_PYTHON"], "-S", "-E", "-P", os.environ["GRIDLOOM_CLIENT"]]
