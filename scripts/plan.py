"""Say what a run would train, why, and how long it would take."""

import json
import subprocess
import sys
from pathlib import Path

from gridloom.errors import report_mistakes
from gridloom.identity.setup import package_versions
from gridloom.workflow.adoption import adoptable_records, count_fitting
from gridloom.workflow.plan import (
    describe_other_versions,
    describe_plan,
    describe_rules,
    list_jobs,
    measured_pace,
    other_records,
    rules_to_run,
)
from gridloom.workflow.setups import find_earlier

with report_mistakes(snakemake.log[0]):
    asked = snakemake.params
    jobs = list_jobs(asked.records, asked.finished, asked.cut_short)
    finished = [Path(record) for record in asked.finished]
    others = other_records(Path(asked.points, asked.name), jobs)
    setup = json.loads(asked.setup)
    earlier = find_earlier(Path(asked.points), asked.name, setup)
    missing = [(job.point, job.block) for job in jobs if job.reason is not None]
    adoptable = adoptable_records(asked.points, asked.name, setup, asked.records)
    plan = describe_plan(
        jobs,
        count=asked.jobs,
        repetitions=asked.repetitions,
        folds=asked.folds,
        parallel=asked.parallel,
        pace=measured_pace(finished or [*others] or (earlier.records if earlier else [])),
        others=list(others.values()),
        earlier=earlier,
        versions=describe_other_versions(finished, package_versions()),
        adoptable=count_fitting(missing, adoptable.values()),
    )
    # At once: the summary takes half a minute for 10,000 points.
    print(plan, flush=True)
    # Only Snakemake knows what else it would run; its summary says so without running anything.
    summary = subprocess.run(
        [sys.executable, "-m", "snakemake", "--summary", *asked.arguments],
        capture_output=True,
        text=True,
        check=False,
    )
    if summary.returncode:
        sys.exit(summary.stderr)
    if line := describe_rules(jobs, rules_to_run(summary.stdout)):
        print(line)
