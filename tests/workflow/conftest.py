"""A project in a temporary folder, and the real `snakemake` command in it."""

from __future__ import annotations

import contextlib
import fcntl
import os
import shutil
import signal
import subprocess
import sys
from pathlib import Path

import pandas as pd
import pytest
import yaml
from common import PARTS  # of bench

from tests.workflow.forked_python import run_snakemake

ROOT = Path(__file__).parent.parent.parent

TINY = {
    "name": "tiny",
    "repetitions": 2,
    "dataset": {"source": "builtin:breast_cancer"},
    "model": "models/mlp.py",
    "hyperparameters": {
        "units": [1, 4],
        "dropout": [0, 0.3],
        "activation": "relu",
        "learning_rate": 0.1,
        "batch_size": 64,
        "epochs": 2,
    },
    "class_weight": "balanced",
    "objective": {"metric": "val_categorical_accuracy", "mode": "max"},
    "baselines": [],
    "figures": {"formats": ["png"], "dpi": 60, "heatmaps": ["mean"], "evidence": ["ties"]},
}


class Project:
    """A copy of the project with a tiny study."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        for part in PARTS:
            # Compiled code is copied, but not files that another process is writing.
            shutil.copytree(ROOT / part, folder / part, ignore=shutil.ignore_patterns("*.pyc.*"))
        shutil.copy(ROOT / "Snakefile", folder)
        self.results = folder / "results"
        self.write(TINY)

    def write(self, study: dict, name: str = "config/config.yaml") -> Path:
        """Write a study file."""
        path = self.folder / name
        path.parent.mkdir(exist_ok=True)
        path.write_text(yaml.safe_dump(study, sort_keys=False))
        return path

    def change(self, **changes) -> None:
        """Lay changes over the tiny study, `hyperparameters` key by key."""
        knobs = {**TINY["hyperparameters"], **changes.pop("hyperparameters", {})}
        self.write({**TINY, **changes, "hyperparameters": knobs})

    def environment(self) -> dict[str, str]:
        """Return an environment in which Python finds this copy's library first."""
        kept = {name: value for name, value in os.environ.items() if "XDIST" not in name}
        return {**kept, "PYTHONPATH": str(self.folder), "TMPDIR": str(self.temporary)}

    @property
    def temporary(self) -> Path:
        """A temporary folder of this project's own, short enough for a socket's path."""
        path = Path("/tmp") / f"glt-{abs(hash(str(self.folder))) % 10**10}"
        path.mkdir(exist_ok=True)
        return path

    def command(self, *arguments: str, cores: int = 2) -> list[str]:
        """Return the command line of a run."""
        return [
            str(Path(sys.executable).parent / "snakemake"),
            "--cores",
            str(cores),
            *arguments,
        ]

    def run(self, *arguments: str, cores: int = 1) -> subprocess.CompletedProcess:
        """Run `snakemake` to its end, it and what it starts in forks (see `forked_python`).

        One core is the default because each further worker traces the graphs again, and tests run
        side by side.
        """
        _, *line = self.command(*arguments, cores=cores)
        return run_snakemake(line, self.folder, self.environment())

    def python(self, *arguments: str) -> subprocess.CompletedProcess:
        """Run a Python program in this project to its end."""
        return self.run_command([sys.executable, *arguments])

    def run_command(self, command: list[str]) -> subprocess.CompletedProcess:
        """Run a command in this project to its end, as a shell does."""
        return subprocess.run(
            command,
            cwd=self.folder,
            env=self.environment(),
            capture_output=True,
            text=True,
            timeout=300,
            check=False,
        )

    def start(self, *arguments: str, cores: int = 2) -> subprocess.Popen:
        """Start `snakemake` in a process group of its own, as a shell does; see `printed`."""
        with self.out.open("w") as out:
            return subprocess.Popen(
                self.command(*arguments, cores=cores),
                cwd=self.folder,
                env=self.environment(),
                stdout=out,
                stderr=out,
                start_new_session=True,
                # A parent in the background or under nohup ignores Ctrl-C; do not inherit that.
                preexec_fn=lambda: signal.signal(signal.SIGINT, signal.SIG_DFL),
            )

    @property
    def out(self) -> Path:
        """Where a started `snakemake` prints to: not beside the study, whose disk may be full."""
        return self.temporary / "snakemake.out"

    @property
    def printed(self) -> str:
        """Return what the `snakemake` started last has printed so far."""
        return self.out.read_text()

    def succeed(self, *arguments: str, cores: int = 1) -> dict[str, int]:
        """Run `snakemake`, expect success, and return how many jobs of each rule ran."""
        done = self.run(*arguments, cores=cores)
        assert done.returncode == 0, done.stdout + done.stderr
        return jobs(done.stdout + done.stderr)

    def fail(self, *arguments: str) -> str:
        """Run `snakemake`, expect failure, and return what it printed."""
        done = self.run(*arguments)
        printed = done.stdout + done.stderr
        assert done.returncode != 0, printed
        assert "Traceback" not in printed, printed
        return printed

    @property
    def data(self) -> Path:
        """Return the folder of the data that was brought last."""
        folders = [path.parent for path in (self.results / "data").rglob("raw.json")]
        return max(folders, key=lambda folder: folder.stat().st_mtime)

    def records(self) -> dict[str, str]:
        """Return path → content of all records, of every set-up."""
        points, found = self.results / "points", {}
        for path in points.rglob("reps=*.json"):
            with contextlib.suppress(FileNotFoundError):  # Snakemake has just deleted it
                found[str(path.relative_to(points))] = path.read_text()
        return found

    def runs(self) -> pd.DataFrame:
        """Return runs.csv without its columns of time and place."""
        return comparable(self.results / "runs.csv")


def processes_with(word: Path) -> list[int]:
    """List the processes with a path in their command line."""
    found = []
    for entry in Path("/proc").iterdir():
        if not entry.name.isdigit() or int(entry.name) == os.getpid():
            continue
        try:
            words = (entry / "cmdline").read_text()
            state = (entry / "stat").read_text().rpartition(")")[2].split()[0]
        except OSError:
            continue
        if state != "Z" and str(word) in words:
            found.append(int(entry.name))
    return found


def comparable(path: Path) -> pd.DataFrame:
    """Read runs.csv as text, without its columns of time and place."""
    return pd.read_csv(path, dtype=str).drop(columns=["seconds", "host"])


def jobs(output: str) -> dict[str, int]:
    """Read the table of jobs that Snakemake prints before it starts."""
    counts = {}
    lines = output.splitlines()
    if "Job stats:" in lines:
        for line in lines[lines.index("Job stats:") + 3 :]:
            if not line.strip():
                break
            rule, count = line.split()
            counts[rule] = int(count)
        counts.pop("total")
        counts.pop("all", None)
    return counts


@pytest.fixture
def project(tmp_path):
    made = Project(tmp_path / "study")
    yield made
    shutil.rmtree(made.temporary, ignore_errors=True)


@pytest.fixture(scope="session")
def finished(tmp_path_factory, worker_id):
    """Run the tiny study once for all test processes; copy the project before changing it.

    This run is as a person starts it: nothing in it is a fork.
    """
    base = tmp_path_factory.getbasetemp()
    shared = (base if worker_id == "master" else base.parent) / "finished"
    shared.mkdir(exist_ok=True)
    output, folder = shared / "output.txt", shared / "study"
    with (shared / "lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        if not output.exists():
            shutil.rmtree(folder, ignore_errors=True)  # of a run that failed
            made = Project(folder)
            done = made.run_command(made.command())
            shutil.rmtree(made.temporary, ignore_errors=True)
            assert done.returncode == 0, done.stdout + done.stderr
            output.write_text(done.stdout + done.stderr)
        made = project_in(folder)
        made.output = output.read_text()
    yield made
    shutil.rmtree(made.temporary, ignore_errors=True)


@pytest.fixture
def copied(finished, tmp_path):
    """Copy the finished project, times and Snakemake's notes included."""
    made = copy_of(finished, tmp_path / "study")
    yield made
    shutil.rmtree(made.temporary, ignore_errors=True)


@pytest.fixture
def untrained(finished, tmp_path):
    """Copy the finished project with its data, but without trainings."""
    made = untrained_copy_of(finished, tmp_path / "study")
    yield made
    shutil.rmtree(made.temporary, ignore_errors=True)


def project_in(folder: Path, kind: type[Project] = Project) -> Project:
    """Return the project that a folder holds."""
    made = object.__new__(kind)
    made.folder, made.results = folder, folder / "results"
    return made


def copy_of(finished: Project, folder: Path, kind: type[Project] = Project) -> Project:
    """Copy a project into a folder."""
    shutil.copytree(finished.folder, folder, symlinks=True, dirs_exist_ok=True)
    return project_in(folder, kind)


def untrained_copy_of(finished: Project, folder: Path, kind: type[Project] = Project) -> Project:
    """Copy a project with its data, but without trainings and results."""
    made = copy_of(finished, folder, kind)
    for part in made.results.iterdir():
        if part.is_file():
            part.unlink()
        elif part.name != "data":
            shutil.rmtree(part)
    return made
