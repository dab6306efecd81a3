"""Equivalence of two ways to get the same numbers, by their paired differences."""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
from scipy.stats import t as student

#: Significance of each of the two one-sided tests.
LEVEL = 0.05


@dataclass(frozen=True)
class Equivalence:
    """Two one-sided t-tests (TOST) of paired differences against a margin.

    Attributes
    ----------
    margin
        Differences of the mean within ±margin count as none.
    n
        How many pairs.
    mean
        Mean of the differences.
    low, high
        Ends of the interval of the mean with confidence 1 - 2 · `LEVEL`: the tests reject if it
        lies within ±margin.
    p
        The larger p-value of the two tests.
    """

    margin: float
    n: int
    mean: float
    low: float
    high: float
    p: float

    @property
    def shown(self) -> bool:
        """Whether the mean difference is shown to lie within the margin."""
        return self.p <= LEVEL


def equivalence(differences: np.ndarray, margin: float) -> Equivalence:
    """Test whether the mean of paired differences lies within a margin.

    The null hypotheses are mean ≤ -margin and mean ≥ margin; a difference that is merely not
    significant shows nothing (Schuirmann 1987, J. Pharmacokinet. Biopharm. 15, 657-680).

    Parameters
    ----------
    differences
        Finite and independent of each other, shape (n,) with n ≥ 2.
    margin
        Above 0, in their unit.
    """
    n, mean = len(differences), float(differences.mean())
    error = float(differences.std(ddof=1)) / math.sqrt(n)
    if error == 0:
        return Equivalence(margin, n, mean, mean, mean, p=float(abs(mean) >= margin))
    half = error * float(student.ppf(1 - LEVEL, n - 1))
    # The test against the nearer end has the larger p-value.
    p = float(student.sf((margin - abs(mean)) / error, n - 1))
    return Equivalence(margin, n, mean, mean - half, mean + half, p)
