"""Studies of thousands of configurations, from a cold start to their tables, on 2 cores.

    python bench/large_study.py [10000 50000]

Each configuration of the network of the seed study trains twice, for 3 epochs, with
`points_per_job: auto`. Sizes differ in the number of learning rates. A bare Snakefile runs before
and after: it has as many jobs and outputs, and only touches them. Then both run with nothing to do.
"""

from __future__ import annotations

import os
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from statistics import fmean
from typing import Any

import pandas as pd
import yaml
from common import fresh_project, report, snakemake, trained
from scale import BARE_MANY, measured

CORES = 2
REPETITIONS = 2

#: 200 configurations: 20 networks and batch sizes, 10 dropout rates.
AXES = {
    "units": [8, 16, 32, 64, 128],
    "activation": ["linear", "relu"],
    "batch_size": [16, 32],
    "dropout": [0, 0.05, 0.1, 0.15, 0.2, 0.25, 0.3, 0.4, 0.5, 0.6],
}


def write_study(folder: Path, points: int) -> None:
    """Write the study of so many configurations."""
    file = folder / "config" / "config.yaml"
    study = yaml.safe_load(file.read_text())
    rates = {"logspace": [0.001, 1, points // 200]}
    study["hyperparameters"] = {**AXES, "learning_rate": rates, "epochs": 3}
    study.update(repetitions=REPETITIONS, points_per_job="auto", max_points=points)
    file.write_text(yaml.safe_dump(study, sort_keys=False))


def files_below(folder: Path) -> Iterator[os.stat_result]:
    """Yield the state of each file below a folder."""
    for place, _, names in os.walk(folder):
        yield from (Path(place, name).stat() for name in names)


def bare_seconds(points: int, jobs: int) -> tuple[float, float]:
    """Run the bare Snakefile, and again with nothing to do; return the seconds of both."""
    with fresh_project() as folder:
        (folder / "Bare").write_text(BARE_MANY.format(a=points // 200, b=200, jobs=jobs))
        first, again = (measured(folder, "-s", "Bare", "--quiet", "all")[0] for _ in range(2))
        return first, again


def study(points: int) -> dict[str, Any]:
    """Run a study; return its times, memory and files."""
    with fresh_project() as folder:
        write_study(folder, points)
        _, printed = snakemake(folder, "-n", cores=CORES)
        jobs = trained(printed)
        bare, bare_nothing = bare_seconds(points, jobs)
        results = folder / "results"
        started = time.time()
        seconds, megabytes = measured(folder, "--until", "gather")
        runs = pd.read_csv(results / "runs.csv")
        if len(runs) != points * REPETITIONS:
            sys.exit("not all points trained")
        records = [file.stat().st_mtime - started for file in results.glob("points/**/*.json")]
        files = list(files_below(folder))
        nothing, _ = measured(folder, "--until", "gather")
        bare = fmean([bare, bare_seconds(points, jobs)[0]])
    return {
        "points": points,
        "jobs": jobs,
        "seconds": seconds,
        "to_first_record": min(records),
        "to_last_record": max(records),
        "training_core_seconds": float(runs["seconds"].sum()),
        "bare_seconds": bare,
        "overhead": seconds / (bare + float(runs["seconds"].sum()) / CORES),
        "nothing_to_do": nothing,
        "bare_nothing_to_do": bare_nothing,
        "main_mb": megabytes,
        "files": len(files),
        "disk_mb": sum(file.st_blocks for file in files) * 512 / 1e6,
    }


def main() -> None:
    """Run a study of each size."""
    report(Path(__file__).stem, [study(int(points)) for points in sys.argv[1:] or [10_000]])


if __name__ == "__main__":
    main()
