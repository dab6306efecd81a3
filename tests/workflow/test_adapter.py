"""How a study's run meets Snakemake."""

from __future__ import annotations

import asyncio
import hashlib
import subprocess
import sys
from pathlib import Path
from types import SimpleNamespace

import pytest
import yaml
from snakemake.io import IOFile, _IOFile
from snakemake.scheduling.job_scheduler import JobRateLimiter, JobScheduler
from snakemake.settings.types import MaxJobsPerTimespan

from gridloom.workflow.adapter import _hash_once, lift_rate_limit

PARAMS = """
import sys
from snakemake.persistence.file import FilePersistence
from gridloom.workflow import adapter

adapter._spare_pandas()
params = FilePersistence.__new__(FilePersistence)
text, loaded = params._serialize_param("a"), "pandas" in sys.modules
import pandas
print([text, loaded, params._serialize_param(pandas.Series([1])) == repr(pandas.Series([1]))])
"""


def test_params_are_compared_without_pandas_unless_one_may_be_a_table():
    done = subprocess.run(
        [sys.executable, "-c", PARAMS], capture_output=True, text=True, check=True
    )
    text, loaded, is_shown = eval(done.stdout)
    assert text == repr("a")
    assert not loaded
    assert not is_shown  # but hashed, as Snakemake does


@pytest.mark.parametrize("forced", [(), ("--forcerun", "train")])
def test_finished_records_have_no_job_unless_they_may_be_made_anew(finished, forced):
    planned = finished.run("--dry-run", "--debug-dag", *forced)
    assert ("candidate job train" in planned.stdout + planned.stderr) == bool(forced)


def test_a_file_is_read_again_for_its_checksum_only_once_it_has_changed(tmp_path, monkeypatch):
    monkeypatch.setattr(_IOFile, "checksum", _IOFile.checksum)
    read, digest = [], hashlib.file_digest
    monkeypatch.setattr(hashlib, "file_digest", lambda *of: read.append(of) or digest(*of))
    workflow = SimpleNamespace(iocache=SimpleNamespace(active=False))
    path = tmp_path / "table.csv"

    def checksum(text):
        if text is not None:
            path.write_text(text)
        file = IOFile(str(path))
        file.rule = SimpleNamespace(workflow=workflow)
        return asyncio.run(file.checksum(1000))

    _hash_once()
    _hash_once()  # a workflow may hold several studies
    found = [checksum(text) for text in ("a", None, None, "other")]
    expected = [hashlib.sha256(text).hexdigest() for text in (b"a", b"a", b"a", b"other")]
    assert found == [f"sha256:{text}" for text in expected]
    assert len(read) == 2


def scheduler_of(profile):
    """Return a scheduler with the limit of a profile."""
    settings = yaml.safe_load(Path(f"profiles/{profile}/config.yaml").read_text(encoding="utf-8"))
    limit = MaxJobsPerTimespan.parse_choice(settings["max-jobs-per-timespan"])
    scheduler = JobScheduler.__new__(JobScheduler)
    scheduler.job_rate_limiter = JobRateLimiter(limit)
    return scheduler


def test_jobs_on_this_machine_have_no_rate_limit_which_would_delay_the_end_of_a_run():
    here, there = scheduler_of("default"), scheduler_of("slurm")
    for each in (here, there):
        lift_rate_limit(each)
    assert "job_rate_limiter" in JobScheduler.schedule.__code__.co_names
    assert here.job_rate_limiter is None
    assert there.job_rate_limiter is not None
