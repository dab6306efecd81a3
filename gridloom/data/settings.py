"""Settings that the data jobs get through the environment: full addresses, limits, sizes of jobs.

They are not parameters of rules, for two reasons. Snakemake's notes would contain the secrets of an
address, and a change of any setting would download the data again, although no row depends on it.
Standard library only, because each job's Snakemake imports this module.
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
    """Settings on which no row depends.

    Attributes
    ----------
    source, test_source
        As in the study, with secrets.
    size, seconds
        See `gridloom.data.sources.Limits`.
    trainings
        Repetitions times folds that one job of `train` prepares rows for.
    parallel
        Jobs of `train` that run at once on this machine; None on a cluster.
    mem_mb
        Memory that a job of `train` requests.
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
    """Pass settings to the jobs that this process starts.

    Parameters
    ----------
    rows
        Folder of the study's rows, which identifies the study: a workflow may hold several.
    """
    others = json.loads(os.environ.get(_VARIABLE, "{}"))
    os.environ[_VARIABLE] = json.dumps({**others, rows: asdict(settings)})


def handed_over(file: str) -> DataSettings:
    """Return the settings that were handed over to this job.

    Parameters
    ----------
    file
        An output of the job, in the folder of the study's rows.
    """
    return DataSettings(**json.loads(os.environ[_VARIABLE])[str(Path(file).parent)])
