"""The extras of the exports, in a folder of their own, and programs that run with them."""

from __future__ import annotations

import fcntl
import json
import os
import shutil
import subprocess
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest

from tests.workflow.conftest import ROOT, Project, copied, copy_of, finished

__all__ = ["copied", "finished"]


class ExportProject(Project):
    """A finished project whose `snakemake` finds the extras."""

    extras: Path

    def environment(self) -> dict[str, str]:
        """Return an environment whose Python finds this copy's library, and the extras last."""
        return with_extras(super().environment(), self.extras)

    def export(self, name: str) -> Path:
        """Return the file of an export."""
        return self.results / "export" / f"{name}.db"


def with_extras(environment: dict[str, str], extras: Path) -> dict[str, str]:
    """Return an environment whose Python finds the extras, too."""
    found = [environment.get("PYTHONPATH", ""), str(extras)]
    return {**environment, "PYTHONPATH": os.pathsep.join(filter(None, found))}


@pytest.fixture(scope="session")
def shared(tmp_path_factory, worker_id) -> Path:
    """Make a folder that all test processes share."""
    base = tmp_path_factory.getbasetemp()
    folder = (base if worker_id == "master" else base.parent) / "exports"
    folder.mkdir(exist_ok=True)
    return folder


@contextmanager
def locked(file: Path) -> Iterator[None]:
    """Keep other test processes out while the block makes a file that they all use."""
    with file.with_suffix(".lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        yield


@pytest.fixture(scope="session")
def extras(shared) -> Path:
    """Install what the extras add, with the versions of uv.lock.

    No part of the environment of the other tests: MLflow brings 20 packages for one rule, and its
    import takes 5 s and changes Python's logging.
    """
    packages = shared / "packages"
    with locked(packages):
        if not packages.exists():
            _install(["optuna", "mlflow"], packages)
    return packages


def _install(names: list[str], folder: Path) -> None:
    # `uv run` sets a variable with the path of uv.
    uv = os.environ.get("UV") or shutil.which("uv")
    assert uv, "there is no uv"

    def pinned(*options: str) -> list[str]:
        command = [uv, "export", "--frozen", "--quiet", "--no-hashes", "--no-emit-project"]
        line = [*command, "--no-annotate", "--no-header", "--no-dev", *options]
        return subprocess.run(
            line, cwd=ROOT, check=True, capture_output=True, text=True
        ).stdout.splitlines()

    needed = set(pinned(*(f"--extra={name}" for name in names))) - set(pinned())
    requirements = folder.with_name("requirements.txt")
    requirements.write_text("\n".join(sorted(needed)))
    beside = folder.with_name("installing")
    shutil.rmtree(beside, ignore_errors=True)  # of an installation that failed
    command = [uv, "pip", "install", "--quiet", "--no-deps", "--python", sys.executable]
    subprocess.run([*command, "--target", str(beside), "-r", str(requirements)], check=True)
    beside.rename(folder)


@pytest.fixture
def exporting(finished, extras, tmp_path) -> Iterator[ExportProject]:
    """Copy the finished project, for a `snakemake` that finds the extras."""
    made = copy_of(finished, tmp_path / "study", ExportProject)
    made.extras = extras
    yield made
    shutil.rmtree(made.temporary, ignore_errors=True)


@pytest.fixture(scope="session")
def run_reader(extras) -> Callable[..., Any]:
    """Return a function that runs a module of these tests with the extras, and what it prints."""

    def run(module: str, *arguments: object) -> Any:
        done = subprocess.run(
            [sys.executable, "-m", f"tests.exports.{module}", *map(str, arguments)],
            cwd=ROOT,
            env=with_extras({**os.environ, "PYTHONPATH": str(ROOT)}, extras),
            stdout=subprocess.PIPE,
            text=True,
            check=True,
            timeout=300,
        )
        return json.loads(done.stdout)

    return run


@pytest.fixture(scope="session")
def read_cases(run_reader, shared) -> Callable[[str], Any]:
    """Return a function that exports the made results, and returns what a module reads."""

    def read(module: str) -> Any:
        found = shared / f"{module}.json"
        with locked(found):
            if not found.exists():
                folder = shared / module
                folder.mkdir(exist_ok=True)
                found.write_text(json.dumps(run_reader(module, "cases", folder)))
        return json.loads(found.read_text())

    return read
