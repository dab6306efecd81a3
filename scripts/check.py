"""Check the networks of a study, and estimate what it costs."""

import json
import os
import sys
import tempfile
from pathlib import Path

from gridloom.check.findings import Findings
from gridloom.errors import report_mistakes
from gridloom.naming.points import read_path
from gridloom.workers.task import Task, run_task
from gridloom.workflow.check import FUNCTION, Load, describe_check

with report_mistakes(snakemake.log[0]):
    given = json.loads(snakemake.params.arguments)
    with tempfile.TemporaryDirectory(prefix="gridloom-") as folder:
        file = Path(folder, "findings.json")
        arguments = {**given, "timed": True, "findings": str(file)}
        onednn = given["setup"]["onednn"]
        task = Task(FUNCTION, arguments, snakemake.threads, snakemake.log[0], onednn)
        run_task(task, os.environ.get("GRIDLOOM_SCOPE"))
        findings = Findings.read(file)
    load = Load(**json.loads(snakemake.params.load))
    points = [read_path(path) for path in given["points"]]
    report = describe_check(findings, points, snakemake.params.axes, load)
    if findings.failed:
        sys.exit(report)
    print(report)
