"""The cost of reruns: nothing to do, one value added, one figure changed.

    python bench/reruns.py

Prints the seconds and the number of trainings: 0, exactly the new points, 0. The last column is the
time divided by that of a bare Snakemake rule with as many finished targets and nothing to do.
"""

from __future__ import annotations

import tempfile
from pathlib import Path

import yaml
from common import fresh_project, report, snakemake, trained

BARE = """
rule all:
    input: expand("results/{p}.json", p=range(216))
rule train:
    output: "results/{p}.json"
    shell: "touch {output}"
"""


def bare_seconds() -> float:
    """Time a bare workflow of 216 targets that has nothing to do."""
    with tempfile.TemporaryDirectory() as folder:
        (Path(folder) / "Snakefile").write_text(BARE)
        snakemake(Path(folder), "--quiet", "all")
        return min(snakemake(Path(folder))[0] for _ in range(3))


def main() -> None:
    """Run the seed study once, then change one thing at a time."""
    bare = bare_seconds()
    rows = []

    def row(what: str, expected: int, seconds: float, printed: str) -> None:
        count = trained(printed)
        rows.append(
            {
                "change": what,
                "seconds": seconds,
                "points_trained": count,
                "expected": expected,
                "over_bare": seconds / bare,
            }
        )

    with fresh_project() as folder:
        config = folder / "config" / "config.yaml"
        study = yaml.safe_load(config.read_text())
        row("first run", 216, *snakemake(folder))
        row("nothing", 0, *snakemake(folder))
        study["figures"]["dpi"] = 100
        config.write_text(yaml.safe_dump(study, sort_keys=False))
        row("a figure", 0, *snakemake(folder))
        study["hyperparameters"]["units"].append(128)
        config.write_text(yaml.safe_dump(study, sort_keys=False))
        row("a value added", 72, *snakemake(folder))
        study["hyperparameters"]["units"].remove(128)
        config.write_text(yaml.safe_dump(study, sort_keys=False))
        row("the value removed", 0, *snakemake(folder))
    report(Path(__file__).stem, rows)


if __name__ == "__main__":
    main()
