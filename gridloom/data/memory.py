"""An estimate, before anything trains, of whether the trainings' rows fit into memory."""

from __future__ import annotations

import math
import os
from contextlib import suppress
from pathlib import Path

from gridloom.data.description import SplitDescription
from gridloom.data.settings import DataSettings

#: TensorFlow with a small network, measured.
BASE_BYTES = 800 * 2**20

#: Rows of repetitions that train in lockstep are copied side by side up to this size.
STACKED_BYTES = 512 * 2**20


def describe_memory(
    description: SplitDescription, settings: DataSettings, there: int | None = None
) -> str | None:
    """Return a warning if the trainings of a study may not fit into memory; else None.

    A job holds the training rows once as they are read (8 bytes a number) and once prepared (4
    bytes a number) for each of its repetitions and folds. ASSUME: a batch and a network's
    activations are small in comparison.

    Parameters
    ----------
    description
        ``split.json``.
    settings
        Jobs and trainings at once, and the memory of a job on a cluster.
    there
        Available bytes; None for the machine's memory, or the memory of a job on a cluster.
    """
    rows, inputs = description.rows["train"], _inputs(description)
    prepared = 4 * rows * inputs * settings.trainings
    stacked = prepared if prepared <= STACKED_BYTES else prepared // settings.trainings
    job = BASE_BYTES + 8 * rows * inputs + prepared + stacked
    jobs = settings.parallel or 1
    if there is None:
        there = settings.mem_mb * 10**6 if settings.parallel is None else machine_bytes()
    if job * jobs <= there:
        return None
    many = f"{jobs} jobs of about {job / 2**30:.1f}" if jobs > 1 else f"about {job / 2**30:.1f}"
    remedies = ["fewer --cores"] * (jobs > 1)
    remedies += ["repetitions_per_job: 1 in the study"] * (settings.trainings > 1)
    remedies += ["resources: {train: {mem_mb: …}}"] * (settings.parallel is None)
    return (
        f"! The trainings may need {many} GiB of memory, and there are {there / 2**30:.1f}: a job "
        f"holds {rows:,} rows of {inputs:,} numbers, prepared {settings.trainings} times (once for "
        f"each repetition and fold). Try {', or '.join([*remedies, 'fewer rows'])}."
    )


def _inputs(description: SplitDescription) -> int:
    """Return how many numbers a row has as the input of a network."""
    if description.shape is not None:
        return math.prod(description.shape)
    categories = sum(map(len, description.categorical.values()))
    return len(description.numeric) + len(description.incomplete) + categories


def machine_bytes() -> int:
    """Return the memory of this machine, or of the container if it has less."""
    found = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")
    with suppress(OSError, ValueError):  # no such control group, or no limit ("max")
        found = min(found, int(Path("/sys/fs/cgroup/memory.max").read_text()))
    return found
