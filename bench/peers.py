"""Other tools on a sub-grid of the seed study, at two processes, against Gridloom's whole study.

    python bench/peers.py

Builds a separate environment for each tool (optional; several minutes and gigabytes). Each
tool trains the same 6 points with 2 repetitions: the same data, network, 25 epochs, class weights
and validation after each epoch. The seconds of a training are measured in warm processes (Ray Tune
starts its own). Multiplied by 1,080, they are compared with the wall time of Gridloom's whole
study, start-up included, in the same run.
"""

from __future__ import annotations

import json
import os
import sys
import tempfile
from pathlib import Path

from common import ROOT, build_environment, report, timed
from seed_study import TRAININGS, study

#: What all tools need.
BASE = ["tensorflow", "scikit-learn", "pandas"]

TOOLS = {
    "GridSearchCV + SciKeras": ("grid_search_cv", ["scikeras==0.13.0", "scikit-learn<1.6"]),
    "KerasTuner": ("keras_tuner_grid", ["keras-tuner"]),
    "Optuna": ("optuna_grid", ["optuna"]),
    "Ray Tune": ("ray_tune_grid", ["ray[tune]"]),
}


def main() -> None:
    """Measure Gridloom, each tool, and Gridloom again."""
    walls = [study(1).whole]
    rows = []
    chosen = sys.argv[1:] or list(TOOLS)
    for name in chosen:
        script, packages = TOOLS[name]
        with tempfile.TemporaryDirectory(prefix="gridloom-peer-") as folder:
            python = build_environment(Path(folder) / "venv", [*BASE, *packages])
            environment = {"PYTHONPATH": f"{ROOT / 'bench' / 'peers'}{os.pathsep}{ROOT / 'models'}"}
            program = [python, str(ROOT / "bench" / "peers" / f"{script}.py")]
            _, printed = timed(program, Path(folder), **environment)
            line = next(x for x in printed.splitlines() if x.startswith('{"seconds"'))
            measured = json.loads(line)
            rows.append({"tool": name, **measured})
            print(rows[-1], flush=True)
    walls.append(study(1).whole)
    wall = sum(walls) / len(walls)
    table = [
        {
            "tool": row["tool"],
            "version": row["version"],
            "trainings": row["trainings"],
            "seconds_a_training": row["seconds"] / row["trainings"],
            "whole_study_seconds": row["seconds"] / row["trainings"] * TRAININGS,
            "gridloom_seconds": wall,
            "ratio": row["seconds"] / row["trainings"] * TRAININGS / wall,
        }
        for row in rows
    ]
    report(Path(__file__).stem, table)


if __name__ == "__main__":
    main()
