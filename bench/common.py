"""Parts that the benchmarks share: fresh projects, times of processes, tables and JSON."""

from __future__ import annotations

import json
import os
import platform
import shutil
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from importlib.metadata import version
from pathlib import Path
from typing import Any

ROOT = Path(__file__).parent.parent
RESULTS = ROOT / "bench" / "results"

#: Folders that a run of `snakemake` needs, besides the Snakefile and a study.
PARTS = (
    "gridloom",
    "models",
    "profiles",
    "rules",
    "scripts",
    "snakemake_logger_plugin_gridloom",
)


@contextmanager
def fresh_project() -> Iterator[Path]:
    """Yield a copy of the project in which nothing has run yet."""
    with tempfile.TemporaryDirectory(prefix="gridloom-bench-") as folder:
        ignored = shutil.ignore_patterns("__pycache__")
        for part in (*PARTS, "config"):
            shutil.copytree(ROOT / part, Path(folder) / part, ignore=ignored)
        shutil.copy(ROOT / "Snakefile", folder)
        yield Path(folder)


def timed(command: Sequence[str], folder: Path, **environment: str) -> tuple[float, str]:
    """Run a command to its end; return its wall seconds and its output."""
    started = time.perf_counter()
    done = subprocess.run(
        command,
        cwd=folder,
        env={**os.environ, "PYTHONPATH": str(folder), "TF_CPP_MIN_LOG_LEVEL": "3", **environment},
        capture_output=True,
        text=True,
        check=False,
    )
    seconds = time.perf_counter() - started
    if done.returncode:
        sys.exit(f"{' '.join(command)} failed:\n{(done.stdout + done.stderr)[-2000:]}")
    return seconds, done.stdout + done.stderr


def snakemake(folder: Path, *arguments: str, cores: int = 2) -> tuple[float, str]:
    """Run `snakemake` in a project."""
    program = str(Path(sys.executable).parent / "snakemake")
    return timed([program, "--cores", str(cores), *arguments], folder)


def trained(output: str) -> int:
    """Return how many train jobs Snakemake announced."""
    for line in output.splitlines():
        words = line.split()
        if len(words) == 2 and words[0] == "train" and words[1].isdigit():
            return int(words[1])
    return 0


def build_environment(folder: Path, packages: Sequence[str]) -> str:
    """Make an environment with some packages; return its Python."""
    probe = [sys.executable, "-m", "uv", "--version"]
    has_uv = subprocess.run(probe, capture_output=True, check=False).returncode == 0
    uv = [sys.executable, "-m", "uv"] if has_uv else ["uv"]
    subprocess.run([*uv, "venv", "--quiet", "--python", sys.executable, str(folder)], check=True)
    python = str(folder / "bin" / "python")
    install = [*uv, "pip", "install", "--quiet", "--compile-bytecode", "--python", python]
    subprocess.run([*install, *packages], check=True)
    return python


def machine() -> dict[str, Any]:
    """Describe the machine and the packages."""
    model = "unknown"
    cpuinfo = Path("/proc/cpuinfo")
    if cpuinfo.exists():
        names = [x for x in cpuinfo.read_text().splitlines() if x.startswith("model name")]
        model = names[0].partition(":")[2].strip() if names else model
    packages = ("snakemake", "tensorflow", "keras", "numpy")
    return {
        "cpu": model,
        "cores": os.cpu_count(),
        "python": platform.python_version(),
        **{package: version(package) for package in packages},
    }


def report(name: str, rows: Sequence[Mapping[str, Any]]) -> None:
    """Print rows as a table and write them, with the machine, as JSON."""
    columns = list(rows[0])
    cells = [columns, *([_cell(row[column]) for column in columns] for row in rows)]
    widths = [max(len(row[place]) for row in cells) for place in range(len(columns))]
    for row in cells:
        print("  ".join(text.ljust(width) for text, width in zip(row, widths, strict=True)))
    RESULTS.mkdir(exist_ok=True)
    content = {"benchmark": name, "machine": machine(), "rows": list(rows)}
    (RESULTS / f"{name}.json").write_text(json.dumps(content, indent=2) + "\n")


def _cell(value: Any) -> str:
    return f"{value:.2f}" if isinstance(value, float) else str(value)
