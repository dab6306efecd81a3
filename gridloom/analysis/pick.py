"""The pick: the configuration that a study chooses, and how sure that choice is.

Nothing heavy is imported here: Snakemake's own process reads a pick.
"""

from __future__ import annotations

import math
from collections.abc import Collection
from dataclasses import asdict, dataclass, fields
from pathlib import Path
from typing import Literal

import yaml

from gridloom.errors import StudyError
from gridloom.files import write_text
from gridloom.naming.points import Point, read_path


class NothingToChooseError(StudyError):
    """Raised if no training of a study has a finite loss and objective."""


@dataclass(frozen=True)
class Pick:
    """The configuration that a study chooses.

    All scores are in units of the objective. What cannot be said is None: one repetition has no
    standard error, a study of one configuration no regret.

    Attributes
    ----------
    point
        Its path.
    index
        Its place in the grid, from 0: the row of ``summary.csv`` and ``cv_results.csv``.
    metric, mode
        The objective.
    by
        What chose it: the study's own repetitions, or those of `snakemake confirm`.
    rule
        Why it was chosen, in one sentence.
    mean, se, n
        Mean and standard error of the objective over its n repetitions.
    n_diverged, n_missing
        Its trainings that diverged, or have no number.
    expected
        What to expect on training it again: the mean, shrunk towards what its effects say.
    close_enough
        How much worse than the best a choice may be.
    regret_high
        It is at most so much worse than the best configuration, over more seeds on these rows
        (95 %, for all configurations together).
    regret_high_new_rows
        The same over new rows.
    shown_close
        Whether `regret_high` is at most `close_enough`.
    tied, configurations
        How many configurations cannot be told apart from the best, of how many.
    top_point, top_mean
        The configuration with the best mean, which luck may have chosen.
    epochs
        The median, over its trainings, of the epoch whose weights were kept.
    parameters
        Number of its network's parameters.
    """

    point: str
    index: int
    metric: str
    mode: Literal["min", "max"]
    by: Literal["study", "confirm"]
    rule: str
    mean: float
    se: float | None
    n: int
    n_diverged: int
    n_missing: int
    expected: float
    close_enough: float | None
    regret_high: float | None
    regret_high_new_rows: float | None
    shown_close: bool
    tied: int | None
    configurations: int
    top_point: str
    top_mean: float
    epochs: int
    parameters: int

    @property
    def hyperparameters(self) -> Point:
        """Its values."""
        return read_path(self.point)

    @classmethod
    def read(cls, path: Path) -> Pick:
        """Read what `write` wrote.

        Raises
        ------
        NothingToChooseError
            If the study has none, with what `write_nothing` wrote.
        StudyError
            If it is no pick.
        """
        try:
            written = yaml.safe_load(path.read_text(encoding="utf-8"))
            if written["point"] is None:
                raise NothingToChooseError(written["rule"])
            return cls(**{field.name: written[field.name] for field in fields(cls)})
        except (KeyError, TypeError, ValueError, yaml.YAMLError) as error:
            raise StudyError(f"{path} holds no pick; delete it and run `snakemake`") from error

    def write(self, path: Path) -> None:
        """Write it as YAML, atomically, with what scikit-learn calls it first.

        ``best_params_``, ``best_score_`` (``mean``, negated where less is better) and
        ``best_index_``; then its hyperparameters and each attribute.
        """
        values = {
            name: None if isinstance(value, float) and not math.isfinite(value) else value
            for name, value in asdict(self).items()
        }
        params = {
            name: list(value) if isinstance(value, tuple) else value
            for name, value in self.hyperparameters.items()
        }
        sklearn = {
            "best_params_": params,
            "best_score_": -self.mean if self.mode == "min" else self.mean,
            "best_index_": self.index,
        }
        text = yaml.safe_dump(
            {**sklearn, "hyperparameters": dict(params), **values},
            sort_keys=False,
            allow_unicode=True,
            width=100,
        )
        write_text(path, text)


def read_pick(best: Path, confirmed: Path | None, points: Collection[str]) -> Pick:
    """Read the confirmed pick if it is one of some points, else the study's own.

    Parameters
    ----------
    best
        The study's own pick.
    confirmed
        The pick of `snakemake confirm`; None if there is none.
    points
        Paths of points; a part of the study may lack the confirmed one.

    Raises
    ------
    NothingToChooseError
        If the study has no pick.
    StudyError
        If a file holds no pick.
    """
    own = Pick.read(best)
    if confirmed is None:
        return own
    chosen = Pick.read(confirmed)
    return chosen if chosen.point in points else own


def write_nothing(path: Path, why: str) -> None:
    """Write that a study has no pick, atomically; whoever reads it gets the reason."""
    write_text(path, yaml.safe_dump({"point": None, "rule": why}, allow_unicode=True, width=100))
