"""How a study's run meets Snakemake."""

from __future__ import annotations

import subprocess
import sys

import pytest

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
