"""A real SLURM, and a project whose `snakemake` has the SLURM plugin."""

from __future__ import annotations

import contextlib
import os
import shutil
import signal
import subprocess
import sys
import tomllib
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.cluster.slurm import Cluster, missing
from tests.workflow.conftest import (
    ROOT,
    Project,
    finished,
    jobs,
    processes_with,
    untrained_copy_of,
)

__all__ = ["finished"]

#: With it, a machine without SLURM fails these tests instead of skipping them.
REQUIRED = "GRIDLOOM_TEST_CLUSTER"

#: A network that leaves a mark for each process that trains it, and does what a test asks of
#: those with so many units: `hold` waits for the file `go`, `sleep` outlasts its minute,
#: `eat` fills memory; the last two in the first attempt only.
MODEL = """
import os, time
from pathlib import Path
from models import mlp

FAULTS = {faults}

def build_model(input_shape, outputs, *, units, activation, dropout, learning_rate):
    mark = Path("marks", f"{{units}}-{{os.getpid()}}")
    if not mark.exists():
        first = not list(mark.parent.glob(f"{{units}}-*"))
        mark.write_text(os.environ["CUDA_VISIBLE_DEVICES"])
        match FAULTS.get(units), first:
            case "hold", _:
                while not Path("go").exists():
                    time.sleep(0.1)
            case "sleep", True:
                time.sleep(300)
            case "eat", True:
                eaten = b"x" * 1_500_000_000
                time.sleep(300)
    return mlp.build_model(
        input_shape,
        outputs,
        units=units,
        activation=activation,
        dropout=dropout,
        learning_rate=learning_rate,
    )
"""


class ClusterProject(Project):
    """A project whose `snakemake` sends its trainings to a cluster."""

    cluster: Cluster
    started: list[subprocess.Popen]

    def plan(self, faults: dict[int, str], **changes) -> None:
        """Write a study of one point for each number of units, with what befalls it."""
        (self.folder / "marks").mkdir()
        (self.folder / "models" / "marked.py").write_text(MODEL.format(faults=faults))
        knobs = {"units": list(faults), "dropout": 0}
        self.change(model="models/marked.py", hyperparameters=knobs, **changes)

    def marks(self) -> list[int]:
        """List the number of units of each process that trained."""
        return sorted(int(path.name.split("-")[0]) for path in (self.folder / "marks").iterdir())

    def devices(self) -> list[str]:
        """List the GPUs that the processes saw."""
        return sorted(path.read_text() for path in (self.folder / "marks").iterdir())

    def submit(self, *arguments: str) -> str:
        """Submit a script with `sbatch`, from an activated environment; return the job's id."""
        environment = self.environment()
        path = os.pathsep.join([str(Path(sys.executable).parent), environment["PATH"]])
        return subprocess.run(
            ["sbatch", "--parsable", *arguments],
            cwd=self.folder,
            env={**environment, "PATH": path},
            stdout=subprocess.PIPE,
            text=True,
            check=True,
        ).stdout.strip()

    def go(self) -> None:
        """Let those go on that hold."""
        (self.folder / "go").touch()

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

    def run(self, *arguments: str, cores: int = 2) -> subprocess.CompletedProcess:
        """Run `snakemake` to its end, with the plugin that its own environment names."""
        return self.run_command(self.command(*arguments, cores=cores))

    def start(self, *arguments: str) -> subprocess.Popen:
        """Start `snakemake`, to be ended with the test; see `printed`."""
        self.started.append(super().start(*arguments))
        return self.started[-1]

    def noted(self) -> str:
        """Return what Snakemake notes of this study's jobs as they end."""
        return "".join(log.read_text() for log in (self.folder / ".snakemake/log").glob("*.log"))

    def script_output(self, job: str) -> str:
        """Return what a submitted script printed."""
        return (self.folder / f"gridloom-{job}.log").read_text()

    def finish(self, seconds: float = 180) -> dict[str, int]:
        """Wait for the `snakemake` started last to succeed; return how many jobs it planned."""
        self.cluster.wait_for(lambda: self.started[-1].poll() is not None, seconds)
        assert self.started[-1].returncode == 0, self.printed + self.cluster.logs()
        return jobs(self.printed)


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
    """Install the extra `slurm` into a folder, with the versions of uv.lock.

    A folder of its own on Python's path, for the plugin calls SLURM's commands at every start of a
    Snakemake that sees it, and all that it needs besides is installed already.
    """
    locked = tomllib.loads((ROOT / "uv.lock").read_text())["package"]
    plugins = [
        f"{package['name']}=={package['version']}"
        for package in locked
        if package["name"].startswith("snakemake-executor-plugin-")
    ]
    # `uv run` sets a variable with the path of uv.
    uv = os.environ.get("UV") or shutil.which("uv")
    assert uv, "there is no uv"
    command = [uv, "pip", "install", "--quiet", "--no-deps", "--python", sys.executable]
    subprocess.run([*command, "--target", str(folder), *plugins], check=True)


@pytest.fixture
def study(cluster, finished, tmp_path) -> Iterator[ClusterProject]:
    """Copy an untrained project with its data to the cluster; end its jobs afterwards."""
    made = untrained_copy_of(finished, tmp_path / "study", ClusterProject)
    made.cluster, made.started = cluster, []
    yield made
    for snakemake in made.started:
        snakemake.kill()
        snakemake.wait()
    cluster.clear()
    for orphan in processes_with(made.folder):  # of a node that was lost, nobody else ends them
        with contextlib.suppress(ProcessLookupError):
            os.kill(orphan, signal.SIGKILL)
    shutil.rmtree(made.temporary, ignore_errors=True)
