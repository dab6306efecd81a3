"""A real SLURM for these tests, and a project whose `snakemake` knows the SLURM plugin."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import tomllib
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.cluster.slurm import Cluster, missing
from tests.workflow.conftest import ROOT, Project, finished, jobs, project

__all__ = ["finished", "project"]

#: With it, a machine without SLURM fails these tests instead of skipping them.
REQUIRED = "GRIDLOOM_TEST_CLUSTER"


class ClusterProject(Project):
    """A project whose `snakemake` sends its trainings to a cluster."""

    cluster: Cluster
    started: list[subprocess.Popen]

    def environment(self) -> dict[str, str]:
        """Return an environment in which SLURM's commands find the cluster."""
        local = super().environment()
        path = os.pathsep.join([local["PYTHONPATH"], str(self.cluster.plugin)])
        return {**local, **self.cluster.environment(), "PYTHONPATH": path}

    def command(self, *arguments: str, cores: int = 2) -> list[str]:
        """Return the command line of a run by the profile, polling as often as a test wants."""
        return [
            str(Path(sys.executable).parent / "snakemake"),
            "--workflow-profile",
            "profiles/slurm",
            "--slurm-init-seconds-before-status-checks",
            "2",
            "--max-status-checks-per-second",
            "10",
            *arguments,
        ]

    def start(self, *arguments: str) -> subprocess.Popen:
        """Start `snakemake`; what it prints is in `told`."""
        with (self.folder / "snakemake.out").open("a") as out:
            self.started.append(
                subprocess.Popen(
                    self.command(*arguments),
                    cwd=self.folder,
                    env=self.environment(),
                    stdout=out,
                    stderr=out,
                )
            )
        return self.started[-1]

    @property
    def told(self) -> str:
        """Return what the started `snakemake`s printed so far."""
        return (self.folder / "snakemake.out").read_text()

    def finish(self, seconds: float = 100) -> dict[str, int]:
        """Wait for the `snakemake` started last; expect success; return how many jobs it planned."""
        self.cluster.wait_for(lambda: self.started[-1].poll() is not None, seconds)
        assert self.started[-1].returncode == 0, self.told + self.cluster.logs()
        return jobs(self.told.rpartition("Building DAG of jobs")[2])


@pytest.fixture(scope="session")
def cluster() -> Iterator[Cluster]:
    lacking = missing()
    if lacking:
        reason = f"no SLURM on this machine: there is no {', no '.join(lacking)}"
        if os.environ.get(REQUIRED):
            pytest.fail(f"{REQUIRED} is set, but {reason}")
        pytest.skip(reason)
    with Cluster() as running:
        install_plugin(running.plugin)
        yield running


def install_plugin(folder: Path) -> None:
    """Install the extra `slurm` into a folder, as uv.lock has it.

    A folder of its own on Python's path, for the plugin calls SLURM's commands at every start of a
    Snakemake that sees it, and all that it needs besides is installed already.
    """
    locked = tomllib.loads((ROOT / "uv.lock").read_text())["package"]
    plugins = [
        f"{package['name']}=={package['version']}"
        for package in locked
        if package["name"].startswith("snakemake-executor-plugin-")
    ]
    # `uv run` tells where uv is.
    uv = os.environ.get("UV") or shutil.which("uv")
    assert uv, "there is no uv"
    command = [uv, "pip", "install", "--quiet", "--no-deps", "--python", sys.executable]
    subprocess.run([*command, "--target", str(folder), *plugins], check=True)


@pytest.fixture
def study(cluster, project) -> Iterator[ClusterProject]:
    """Put the tiny study on the cluster; end what it left there."""
    project.__class__ = ClusterProject
    project.cluster, project.started = cluster, []
    yield project
    for snakemake in project.started:
        snakemake.kill()
        snakemake.wait()
    cluster.clear()
