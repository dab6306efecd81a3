"""Promises of the memory estimate: it warns if trainings would not fit."""

from __future__ import annotations

from dataclasses import replace

from gridloom.data.description import SplitDescription
from gridloom.data.memory import describe_memory, machine_bytes
from gridloom.data.settings import DataSettings

GIB = 2**30
SETTINGS = DataSettings("x", None, 1, 1, trainings=5, parallel=2, mem_mb=2000)
TABLE = SplitDescription(
    rows={"train": 1_000_000},
    numeric=[*"abcdefgh"],
    incomplete=["a"],
    categorical={"i": [*"uv"], "j": [*"xyz"]},
)
IMAGES = SplitDescription(rows={"train": 60_000}, shape=[28, 28, 1])


def test_there_is_no_warning_if_the_rows_fit():
    assert describe_memory(TABLE, SETTINGS, 4 * GIB) is None
    assert describe_memory(IMAGES, SETTINGS, 5 * GIB) is None
    assert machine_bytes() > GIB // 2


def test_a_warning_gives_an_estimate_and_remedies():
    message = describe_memory(IMAGES, SETTINGS, 3 * GIB)
    assert message == (
        "! The trainings may need 2 jobs of about 2.2 GiB of memory, and there are 3.0: a job "
        "holds 60,000 rows of 784 numbers, prepared 5 times (once for each repetition and fold). "
        "Try fewer --cores, or repetitions_per_job: 1 in the study, or fewer rows."
    )
    alone = replace(SETTINGS, trainings=1, parallel=1)
    assert describe_memory(IMAGES, alone, GIB).endswith("fold). Try fewer rows.")


def test_on_a_cluster_the_limit_is_the_memory_that_a_job_requests():
    cluster = replace(SETTINGS, parallel=None)
    assert "and there are 1.9" in describe_memory(IMAGES, cluster)
    assert "resources: {train: {mem_mb: …}}" in describe_memory(IMAGES, cluster)
    assert describe_memory(IMAGES, replace(cluster, mem_mb=4000)) is None
