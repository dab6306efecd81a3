"""Say what a run would train, why, and how long it would take."""

import json
import subprocess
import sys
from pathlib import Path

from gridloom.errors import report_mistakes
from gridloom.identity.setup import package_versions
from gridloom.workflow.plan import (
    describe_other_versions,
    describe_plan,
    find_earlier,
    measured_pace,
    read_summary,
)

with report_mistakes(snakemake.log[0]):
    # Only Snakemake knows what it would rerun; its summary says so without running anything.
    asked = subprocess.run(
        [sys.executable, "-m", "snakemake", "--summary", *snakemake.params.arguments],
        capture_output=True,
        text=True,
        check=False,
    )
    if asked.returncode:
        sys.exit(asked.stderr)
    jobs, others = read_summary(asked.stdout, snakemake.params.finished)
    there = [path for path in (Path(job.path) for job in jobs) if path.exists()]
    setup = json.loads(snakemake.params.setup)
    earlier = find_earlier(Path(snakemake.params.points), snakemake.params.name, setup)
    print(
        describe_plan(
            jobs,
            others,
            repetitions=snakemake.params.repetitions,
            folds=snakemake.params.folds,
            parallel=snakemake.params.parallel,
            pace=measured_pace(there or (earlier.records if earlier else [])),
            earlier=earlier,
            versions=describe_other_versions(there, package_versions()),
        )
    )
