"""The seed study through SLURM, compared with the same cores without it, in the same run.

    python bench/cluster.py

Starts the one-node SLURM of the tests, whose needs tests/cluster/slurm.py lists, and runs the study
by profiles/slurm, from a cold start to its tables. The node has two cores, and four times as many
jobs may be in the queue, as docs/cluster.md advises. Before and after, the study runs on two cores
without SLURM.
"""

from __future__ import annotations

import os
import sys
import tempfile
from pathlib import Path
from statistics import fmean

import pandas as pd
from common import ROOT, fresh_project, report, timed, trained

sys.path.insert(0, str(ROOT))
from tests.cluster.conftest import install_plugin
from tests.cluster.slurm import Cluster, missing

CORES = 2
SLURM = ("--workflow-profile", "profiles/slurm", "--jobs", str(4 * CORES))


def run(*arguments: str, **environment: str) -> tuple[float, int]:
    """Run the study to its tables in a fresh project; return its wall seconds and its jobs."""
    program = str(Path(sys.executable).parent / "snakemake")
    with fresh_project() as folder:
        plugin = environment.pop("plugin", "")
        environment["PYTHONPATH"] = os.pathsep.join(filter(None, [str(folder), plugin]))
        command = [program, *arguments, "--until", "gather"]
        seconds, printed = timed(command, folder, **environment)
        if len(pd.read_csv(folder / "results" / "runs.csv")) != 216 * 5:
            sys.exit("not all points trained")
        return seconds, trained(printed)


def main() -> None:
    """Run the study without SLURM, through it, and without it again."""
    lacking = missing()
    if lacking:
        sys.exit(f"no SLURM on this machine: there is no {', no '.join(lacking)}")
    ways = {
        "one point a job": ("--cores", str(CORES)),
        "auto": ("--cores", str(CORES), "--config", "points_per_job=auto"),
    }
    before = {way: run(*arguments) for way, arguments in ways.items()}
    with tempfile.TemporaryDirectory() as plugin, Cluster(CORES) as cluster:
        install_plugin(Path(plugin))
        through = run(*SLURM, plugin=plugin, **cluster.environment())
    after = {way: run(*arguments) for way, arguments in ways.items()}
    rows = [
        {
            "where": way,
            "jobs": jobs,
            "seconds": fmean([seconds, after[way][0]]),
            "slurm_over_it": through[0] / fmean([seconds, after[way][0]]),
        }
        for way, (seconds, jobs) in before.items()
    ]
    slurm = {"where": "SLURM", "jobs": through[1], "seconds": through[0], "slurm_over_it": 1.0}
    report(Path(__file__).stem, [slurm, *rows])


if __name__ == "__main__":
    main()
