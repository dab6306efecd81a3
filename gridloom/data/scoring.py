"""How many rows a training fits on and is scored on."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from gridloom.data.description import SplitDescription


@dataclass(frozen=True)
class Scoring:
    """How many rows a training fits on and is scored on.

    Attributes
    ----------
    fitted, validated
        Rows of one training; where folds differ by a row, or rows belong to groups, about so many.
    folds
        Trainings of a repetition; 1 for a held-out part.
    redrawn
        Whether each repetition draws its validation rows anew.
    ordered
        Whether rows have an order in time, so that validation rows are later than those fitted.
    """

    fitted: int
    validated: int
    folds: int
    redrawn: bool
    ordered: bool

    @property
    def scored(self) -> int:
        """Rows that score a repetition: with folds, all."""
        return self.validated if self.folds == 1 else self.fitted + self.validated

    @classmethod
    def read(cls, split: Path, validation: Mapping[str, Any], redrawn: bool) -> Scoring | None:
        """Count the rows of a study.

        Parameters
        ----------
        split
            Its ``split.json``.
        validation
            The ``method``, and the ``fraction`` or number of ``folds``.
        redrawn
            Whether the stream of the validation rows varies with the repetition.

        Returns
        -------
        Scoring or None
            None if the file is gone, as finished trainings outlive their data.
        """
        if not split.exists():
            return None
        description = SplitDescription.read(split)
        count, ordered = description.rows["train"], description.ordered
        if validation["method"] == "kfold":
            folds = validation["folds"]
            validated = count // folds
        else:
            folds, part = 1, validation["fraction"] * count
            validated = max(1, round(part)) if ordered else math.ceil(part)
        return cls(count - validated, validated, folds, redrawn, ordered)
