"""The invocation: the arguments and settings of `snakemake` that the rules depend on.

Standard library only, because each job's Snakemake imports this module.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any


@dataclass(frozen=True)
class Invocation:
    """The arguments and settings of `snakemake` that the rules depend on.

    Attributes
    ----------
    snakefile
        Path of the Snakefile.
    config_files, overrides
        From ``--configfile`` and ``--config``.
    handed_over
        The study that another workflow passes in ``module … config:``; None for none.
    cores
        Cores to use on this machine; None on a cluster.
    jobs
        From ``--jobs``: most jobs at once; None for no limit.
    is_here
        Returns whether jobs run on this machine. Snakemake decides this after it has read the
        Snakefile, so ask as late as possible.
    in_job
        Whether this process runs a single job of a cluster.
    contained
        Whether jobs run in a container.
    """

    snakefile: str
    config_files: tuple[Path, ...] = ()
    overrides: Mapping[str, Any] = field(default_factory=dict)
    handed_over: Mapping[str, Any] | None = None
    cores: int | None = None
    jobs: int | None = None
    is_here: Callable[[], bool] = lambda: True
    in_job: bool = False
    contained: bool = False

    def study_arguments(self) -> list[str]:
        """Return the arguments that name the study; none for the default study."""
        arguments = []
        if self.config_files:
            arguments += ["--configfile", *map(str, self.config_files)]
        if self.overrides:
            given = [f"{key}={json.dumps(value)}" for key, value in self.overrides.items()]
            arguments += ["--config", *given]
        return arguments

    def same_study(self) -> list[str]:
        """Return the arguments with which another `snakemake` reads the same study."""
        return ["--snakefile", self.snakefile, *self.study_arguments()]
