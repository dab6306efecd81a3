"""The whole seed study, from a cold start, beside the plain loop and a JAX program in the same run.

    python bench/seed_study.py

The plain loop trains a sample that covers every batch size and dropout (see plain_loop.py). All
runs come twice, the second time in the opposite order, so that drift of the machine favours none.
The JAX program (see jax_program.py) runs in an environment of its own. The study runs with one
configuration a job, and with `points_per_job: auto`.

Two times of the study are told apart: that to its records, tables and heatmaps of means, which the
ratios use, and that of the whole. The overhead is the first, divided by the sum of two times: the
wall time of the same DAG with jobs that do nothing, and the pure training time divided by the
number of cores.
"""

from __future__ import annotations

import json
import sys
import tempfile
import time
from collections import defaultdict
from dataclasses import dataclass
from pathlib import Path
from statistics import fmean

import pandas as pd
from common import ROOT, build_environment, fresh_project, report, snakemake, timed

CORES = 2
TRAININGS = 216 * 5


@dataclass(frozen=True)
class Study:
    """What a run of the study took, in seconds.

    Attributes
    ----------
    first
        From the start to records, tables and heatmaps of means.
    whole
        From the start to the end.
    trainings
        Sum of the shares of all trainings in their jobs' time.
    """

    first: float
    whole: float
    trainings: float


def plain_seconds() -> float:
    """Time the sample of plain trainings once; return the seconds of as many as the study has."""
    loop = str(ROOT / "bench" / "plain_loop.py")
    _, printed = timed([sys.executable, loop], ROOT)
    rows = next(line for line in printed.splitlines() if line.startswith("[{"))
    return fmean(row["seconds"] for row in json.loads(rows)) * TRAININGS


def jax_seconds(python: str, threads: int) -> float:
    """Time the JAX program from the start of its process to its table."""
    program = str(ROOT / "bench" / "jax_program.py")
    with tempfile.TemporaryDirectory() as folder:
        seconds, _ = timed([python, program, folder, str(threads)], Path(folder))
        if len(pd.read_csv(Path(folder, "means.csv"))) != TRAININGS // 5:
            sys.exit("not all points trained")
    return seconds


def study(points_per_job: int | str) -> Study:
    """Run the study in a fresh project."""
    with fresh_project() as folder:
        started = time.time()
        whole, _ = snakemake(folder, "--config", f"points_per_job={points_per_job}", cores=CORES)
        results = folder / "results"
        runs = pd.read_csv(results / "runs.csv")
        heatmaps = list(results.glob("figures/heatmap_*_mean.png"))
        if len(runs) != TRAININGS or len(heatmaps) < 10:
            sys.exit("results are missing")
        first = max(file.stat().st_mtime for file in [results / "summary.csv", *heatmaps])
        return Study(first - started, whole, float(runs["seconds"].sum()))


IDLE_MAIN = """if __name__ == "__main__":
    with open(sys.argv[4], "w") as record:
        record.write("{}")
"""


def idle_study() -> float:
    """Run the same DAG with a client that only makes the record's file."""
    with fresh_project() as folder:
        client = folder / "gridloom" / "workers" / "client.py"
        head, main, _ = client.read_text().partition('if __name__ == "__main__":')
        if not main:
            sys.exit("the client cannot be replaced")
        client.write_text(head + IDLE_MAIN)
        # Without a host: it would import TensorFlow.
        arguments = ("--until", "train", "--config", "trainer={warm: false}")
        return snakemake(folder, *arguments, cores=CORES)[0]


def main() -> None:
    """Measure all, and report."""
    firsts: dict[str, list[float]] = defaultdict(list)
    studies: dict[str, list[Study]] = defaultdict(list)
    with tempfile.TemporaryDirectory(prefix="gridloom-jax-") as folder:
        python = build_environment(Path(folder) / "venv", ["jax", "scikit-learn"])
        measures = {
            "plain loop": plain_seconds,
            "JAX, one thread": lambda: jax_seconds(python, 1),
            "JAX, two threads": lambda: jax_seconds(python, CORES),
            "one point a job": lambda: study(1),
            "auto": lambda: study("auto"),
        }
        for what in [*measures, *reversed(measures)]:
            measured = measures[what]()
            print(what, measured, flush=True)
            if isinstance(measured, Study):
                studies[what].append(measured)
                measured = measured.first
            firsts[what].append(measured)
    idle = idle_study()
    mean = {what: fmean(seconds) for what, seconds in firsts.items()}
    rows = [
        {
            "what": what,
            "first_seconds": seconds,
            "whole_seconds": fmean(one.whole for one in studies[what]) if what in studies else "",
            "plain_over_first": mean["plain loop"] / seconds,
            "jax_over_first": mean["JAX, one thread"] / seconds,
            "jax_two_threads_over_first": mean["JAX, two threads"] / seconds,
        }
        for what, seconds in mean.items()
    ]
    report(Path(__file__).stem, rows)
    single = studies["one point a job"]
    pure = fmean(one.trainings for one in single) / CORES
    overhead = mean["one point a job"] / (idle + pure)
    print(f"same DAG doing nothing {idle:.1f} s, training {pure:.1f} s, overhead {overhead:.2f}")


if __name__ == "__main__":
    main()
