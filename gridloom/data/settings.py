"""What jobs of the data are told by the environment: addresses as they are, limits, sizes of jobs.

As a rule's params, the secrets of an address would stand in Snakemake's notes, and a change of any
of these would bring the data anew though no row depends on it. Standard library only: each job's
Snakemake imports it.
"""

from __future__ import annotations

import json
import os
from dataclasses import asdict, dataclass
from pathlib import Path

from gridloom.data.sources import Limits

_VARIABLE = "GRIDLOOM_DATA"


@dataclass(frozen=True)
class DataSettings:
    """What decides about no row.

    Attributes
    ----------
    source, test_source
        As in the study.
    size, seconds
        See `gridloom.data.sources.Limits`.
    trainings
        Repetitions times folds that one job of `train` prepares rows for.
    parallel
        Jobs of `train` that run together here; None on a cluster.
    mem_mb
        What a job of `train` asks for.
    """

    source: str
    test_source: str | None
    size: int
    seconds: float
    trainings: int
    parallel: int | None
    mem_mb: int

    @property
    def limits(self) -> Limits:
        """The limits of size and time."""
        return Limits(self.size, self.seconds)


def hand_over(rows: str, settings: DataSettings) -> None:
    """Tell the jobs that this process starts; one workflow may hold several studies.

    Parameters
    ----------
    rows
        Folder of the study's rows.
    """
    told = json.loads(os.environ.get(_VARIABLE, "{}"))
    os.environ[_VARIABLE] = json.dumps({**told, rows: asdict(settings)})


def handed_over(file: str) -> DataSettings:
    """Return what this job was told.

    Parameters
    ----------
    file
        One of those that it makes, in the folder of the study's rows.
    """
    return DataSettings(**json.loads(os.environ[_VARIABLE])[str(Path(file).parent)])
