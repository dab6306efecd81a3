"""The whole seed study, from cold start to figures, compared with the plain loop in the same run.

    python bench/seed_study.py

The plain loop trains a sample that covers every batch size and dropout (see plain_loop.py). Half of
it runs before the study and half after, so that drift of the machine favours neither. The overhead
is the study's wall time, divided by the sum of two times: the wall time of the same DAG with jobs
that do nothing, and the pure training time divided by the number of cores.
"""

from __future__ import annotations

import json
import sys
from pathlib import Path
from statistics import fmean

import pandas as pd
from common import ROOT, fresh_project, report, snakemake, timed, trained

CORES = 2
TRAININGS = 216 * 5


def plain_seconds() -> list[float]:
    """Time the sample of plain trainings once."""
    loop = str(ROOT / "bench" / "plain_loop.py")
    _, printed = timed([sys.executable, loop], ROOT)
    rows = next(line for line in printed.splitlines() if line.startswith("[{"))
    return [row["seconds"] for row in json.loads(rows)]


def study() -> tuple[float, float]:
    """Run the study; return its wall seconds and the total seconds of its trainings."""
    with fresh_project() as folder:
        wall, printed = snakemake(folder, cores=CORES)
        if trained(printed) != TRAININGS // 5:
            sys.exit("not all points trained")
        runs = pd.read_csv(folder / "results" / "runs.csv")
        figures = list((folder / "results" / "figures").glob("*.png"))
        if len(runs) != TRAININGS or len(figures) < 10:
            sys.exit("results are missing")
        return wall, float(runs["seconds"].sum())


#: End of a client that only writes the record's file; no host is started for it.
IDLE_CLIENT = """
def start_host(*given):
    pass

if __name__ == "__main__":
    with open(sys.argv[4], "w") as record:
        record.write("{}")
"""


def idle_study() -> float:
    """Run the same DAG with a client that only makes the record's file."""
    with fresh_project() as folder:
        client = folder / "gridloom" / "workers" / "client.py"
        functions, main, _ = client.read_text().partition('\n\nif __name__ == "__main__":\n')
        assert main
        client.write_text(functions + IDLE_CLIENT)
        wall, _ = snakemake(folder, "--until", "train", cores=CORES)
        return wall


def main() -> None:
    """Measure loop, study and idle DAG alternately, and report."""
    plain = plain_seconds()
    walls = [study() for _ in range(2)]
    plain += plain_seconds()
    idle = idle_study()
    loop = fmean(plain) * TRAININGS
    rows = [
        {
            "run": place + 1,
            "wall_seconds": wall,
            "plain_loop_seconds": loop,
            "ratio": loop / wall,
            "training_core_seconds": pure,
            "idle_dag_seconds": idle,
            "overhead": wall / (idle + pure / CORES),
        }
        for place, (wall, pure) in enumerate(walls)
    ]
    report(Path(__file__).stem, rows)


if __name__ == "__main__":
    main()
