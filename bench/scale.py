"""Large grids: planning 1,000 to 50,000 points, compared with a bare rule with as many targets.

    python bench/scale.py

Measures seconds and peak memory of `snakemake -n` (up to 10,000 points the median of three runs,
alternating with the bare rule), with one point a job and with `points_per_job: auto`, which is
compared with as many bare rules of as many outputs. Then measures the seconds of gathering as many
generated records, and of drawing two heatmaps of as many points: one of 10 x 10 cells, one with a
cell for each point.
"""

from __future__ import annotations

import os
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from statistics import median

import numpy as np
import yaml
from common import fresh_project, report, snakemake, trained

BARE = """
points = [f"activation=relu/batch_size=32/dropout=0.3/epochs=25/learning_rate={{a}}/units={{b}}"
          for a in range({a}) for b in range({b})]
rule all:
    input: expand("results/points/{{p}}/reps=0-4.json", p=points)
rule train:
    output: "results/points/{{p}}/reps=0-4.json"
    log: "results/logs/{{p}}.log"
    shell: "touch {{output}}"
"""

#: The same points as rules made in a loop, each with as many outputs as one of ours.
BARE_MANY = """
points = [f"activation=relu/batch_size=32/dropout=0.3/epochs=25/learning_rate={{a}}/units={{b}}"
          for a in range({a}) for b in range({b})]
records = expand("results/points/{{p}}/reps=0-4.json", p=points)
size = -(-len(records) // {jobs})
rule all:
    input: records
for start in range(0, len(records), size):
    rule:
        name: f"train_{{start}}"
        output: records[start : start + size]
        log: f"results/logs/{{start}}.log"
        shell: "touch {{output}}"
"""

MEASURE = """
import resource, subprocess, sys, time
started = time.perf_counter()
code = subprocess.run(sys.argv[1:], stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL).returncode
used = resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss / 1024
print(code, time.perf_counter() - started, used)
"""


def measured(folder: Path, *arguments: str) -> tuple[float, float]:
    """Run `snakemake` on 2 cores; return its seconds, and the megabytes of its largest process."""
    program = str(Path(sys.executable).parent / "snakemake")
    done = subprocess.run(
        [sys.executable, "-c", MEASURE, program, "--cores", "2", *arguments],
        cwd=folder,
        env={**os.environ, "PYTHONPATH": str(folder), "TF_CPP_MIN_LOG_LEVEL": "3"},
        capture_output=True,
        text=True,
        check=True,
    )
    code, seconds, megabytes = done.stdout.split()
    if code != "0":
        sys.exit(f"snakemake {' '.join(arguments)} failed")
    return float(seconds), float(megabytes)


def plan(folder: Path, snakefile: str, *arguments: str) -> tuple[float, float]:
    """Time a dry run; return seconds and peak megabytes."""
    return measured(folder, "-s", snakefile, "-n", "--quiet", "all", *arguments)


def gather_seconds(count: int, folder: Path) -> float:
    """Time gathering as many generated records of 5 trainings and 25 epochs."""
    sys.path.insert(0, str(folder))
    from gridloom.analysis.table import gather
    from gridloom.naming.points import point_path
    from gridloom.records import Machine, Record, TrainingResult, write_record
    from gridloom.study.seeds import STREAMS, training_seeds

    setup = {"seed": 0, "vary": list(STREAMS), "validation": {"method": "holdout", "fraction": 0.2}}
    history = {name: [0.123456] * 25 for name in ("loss", "acc", "val_loss", "val_acc")}
    streams = [training_seeds(0, repetition, STREAMS) for repetition in range(5)]
    paths = []
    for number in range(count):
        point = {"batch_size": 32, "units": number}
        path = folder / "made" / "points" / "5" / point_path(point) / "reps=0-4.json"
        trainings = tuple(
            TrainingResult(repetition, 0, seeds, "ok", 24, 0.1, history)
            for repetition, seeds in enumerate(streams)
        )
        record = Record(point, 100, trainings, Machine("here"), setup)
        write_record(path, record)
        paths.append(path)
    started = time.perf_counter()
    gather(paths, ["batch_size", "units"], 5, "val_acc", "max")
    return time.perf_counter() - started


def heatmap_seconds(rows: int, columns: int, points: int) -> float:
    """Time drawing one heatmap of rows x columns cells from so many points, 5 trainings each."""
    import pandas as pd

    from gridloom.figures.heatmaps import colour_scale, draw
    from gridloom.figures.numbers import StudyNumbers, mean_heatmap
    from gridloom.figures.style import save

    axes = {"a": [str(n) for n in range(rows)], "b": [str(n) for n in range(columns)]}
    place = np.arange(points)
    cells = {"a": place % rows, "b": place // rows % columns}
    table = pd.DataFrame(cells).astype(str).assign(point=place.astype(str))
    counts = {"n": 5, "n_trainings": 5, "n_diverged": 0, "n_missing": 0, "parameters": 1}
    summary = table.assign(**counts, acc_mean=np.sin(place), acc_se=0.01, rank=place + 1)
    trainings = place.repeat(5)
    runs = pd.DataFrame(
        {
            "point": trainings.astype(str),
            "repetition": np.tile(np.arange(5), points),
            "status": "ok",
            "acc": np.sin(trainings),
        }
    )
    started = time.perf_counter()
    study = StudyNumbers(summary, runs, axes, "acc", "max", None, {})
    heatmap = mean_heatmap(study, study.objective, "a", "b")
    figure = draw([heatmap], colour_scale([heatmap], "max"), study.words("t", study.objective))
    with tempfile.TemporaryDirectory() as folder:
        save(figure, Path(folder, "heatmap.png"), 200)
    return time.perf_counter() - started


def main() -> None:
    """Plan each size, alternating with a bare rule, then gather and draw."""
    rows = []
    for a, b, pairs in ((25, 40, 3), (100, 100, 3), (250, 200, 1)):
        with fresh_project() as folder:
            study = yaml.safe_load((folder / "config" / "config.yaml").read_text())
            study["hyperparameters"] = {
                "activation": "relu",
                "dropout": 0.3,
                "batch_size": 32,
                "epochs": 25,
                "learning_rate": {"linspace": [0.01, 0.5, a]},
                "units": {"range": [1, b + 1, 1]},
            }
            study["max_points"] = a * b
            study["figures"] = {"heatmaps": ["mean"]}
            (folder / "config" / "config.yaml").write_text(yaml.safe_dump(study))
            (folder / "Bare").write_text(BARE.format(a=a, b=b))
            plans = [(plan(folder, "Bare"), plan(folder, "Snakefile")) for _ in range(pairs)]
            ratio = median(ours[0] / bare[0] for bare, ours in plans)
            bare, bare_mb, ours, ours_mb = np.median([[*a, *b] for a, b in plans], axis=0)
            many = ("Snakefile", "--config", "points_per_job=auto")
            _, printed = snakemake(folder, "-n", "--config", "points_per_job=auto")
            jobs = trained(printed)
            (folder / "Bare").write_text(BARE_MANY.format(a=a, b=b, jobs=jobs))
            both = [(plan(folder, "Bare"), plan(folder, *many)) for _ in range(pairs)]
            many_ratio = median(ours[0] / bare[0] for bare, ours in both)
            many_bare, _, many_ours, many_mb = np.median([[*a, *b] for a, b in both], axis=0)
            rows.append(
                {
                    "points": a * b,
                    "plan_seconds": ours,
                    "bare_seconds": bare,
                    "ratio": ratio,
                    "plan_mb": ours_mb,
                    "bare_mb": bare_mb,
                    "auto_jobs": jobs,
                    "auto_plan_seconds": many_ours,
                    "auto_bare_seconds": many_bare,
                    "auto_ratio": many_ratio,
                    "auto_plan_mb": many_mb,
                    "gather_seconds": gather_seconds(a * b, folder),
                    "100_cells_seconds": heatmap_seconds(10, 10, a * b),
                    "all_cells_seconds": heatmap_seconds(a, b, a * b),
                }
            )
    report(Path(__file__).stem, rows)


if __name__ == "__main__":
    main()
