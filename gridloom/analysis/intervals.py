"""Means and their intervals, by Student's t."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any

import numpy as np
from scipy.special import stdtrit

#: Confidence of every interval and bound.
CONFIDENCE = 0.95


@dataclass(frozen=True)
class Mean:
    """The mean of n observations, with its spread.

    Attributes
    ----------
    n
        Observations.
    mean
        NaN if there is none.
    sd, se
        Standard deviation (``ddof=1``), and standard error sd / √n; NaN if n is below 2.
    low, high
        Ends of the interval of the true mean, by Student's t with n - 1 degrees of freedom; NaN if
        n is below 2.
    """

    n: int
    mean: float
    sd: float
    se: float
    low: float
    high: float


def mean_of(values: np.ndarray, level: float = CONFIDENCE) -> Mean:
    """Return the mean of some observations with its interval.

    Parameters
    ----------
    values
        Finite and independent of each other, shape (n,).
    level
        Confidence of the interval.
    """
    n = len(values)
    if n == 0:
        return Mean(0, *[math.nan] * 5)
    mean = float(np.mean(values))
    if n == 1:
        return Mean(1, mean, *[math.nan] * 4)
    sd = float(np.std(values, ddof=1))
    se = sd / math.sqrt(n)
    half = float(half_width(se, n, level))
    return Mean(n, mean, sd, se, mean - half, mean + half)


def half_width(se: Any, n: Any, level: float = CONFIDENCE) -> Any:
    """Return half the width of the interval of a mean; NaN for one observation.

    Parameters
    ----------
    se, n
        Standard error and number of observations; numbers, or arrays and tables of one shape.
    """
    return se * stdtrit(np.maximum(n - 1, 1), (1 + level) / 2)
