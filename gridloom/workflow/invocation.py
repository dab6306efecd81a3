"""The invocation: what `snakemake` was told, as far as the rules depend on it.

Standard library only: each job's Snakemake reads it.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any


@dataclass(frozen=True)
class Invocation:
    """What `snakemake` was told.

    Attributes
    ----------
    snakefile
        Path of the Snakefile.
    config_files, overrides
        What ``--configfile`` and ``--config`` name.
    handed_over
        The study that another workflow hands over in ``module … config:``; None for none.
    cores
        Of this machine; None on a cluster.
    here
        Whether jobs run on this machine.
    in_job
        Whether this process runs one job of a cluster.
    """

    snakefile: str
    config_files: tuple[Path, ...] = ()
    overrides: Mapping[str, Any] = field(default_factory=dict)
    handed_over: Mapping[str, Any] | None = None
    cores: int | None = None
    here: bool = True
    in_job: bool = False

    def study_arguments(self) -> list[str]:
        """Return the arguments that name the study; none for the default one."""
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
