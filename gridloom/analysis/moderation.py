"""Moderated variances: each is estimated from few repetitions, and steadied by all others."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from scipy.special import chdtri, fdtri

#: The prior is fitted to these quantiles of the variances, so that a tenth may be outliers.
_MIDDLE, _UPPER = 0.5, 0.9

_DEGREES = np.geomspace(0.5, 1000, 200)


@dataclass(frozen=True)
class Prior:
    """How true variances are distributed: scaled inverse chi-squared.

    Attributes
    ----------
    variance
        Its scale.
    df
        Its degrees of freedom: how many observations it is worth. Infinite if the sample variances
        differ no more than their own noise makes them; 0 if nothing is known.
    """

    variance: float
    df: float

    def moderate(self, variances: np.ndarray, df: int) -> np.ndarray:
        """Return the means of prior and sample variance, weighed by their degrees of freedom.

        Parameters
        ----------
        variances
            Sample variances, of any shape.
        df
            Degrees of freedom of each.
        """
        weight = df / (df + self.df)
        return weight * variances + (1 - weight) * self.variance


def fit_prior(variances: np.ndarray, df: int) -> Prior:
    """Estimate how true variances are distributed, from a sample variance of each.

    The empirical Bayes model of Smyth (2004): sample variances over the prior one follow an F
    distribution with `df` and the prior's degrees of freedom. The prior is the one whose F
    distribution has the median and the 90 % quantile of the sample. Smyth takes moments; quantiles
    are used here so that a few very noisy points do not move the prior (as in Phipson et al. 2016).

    Parameters
    ----------
    variances
        Sample variances, in an array of any shape; at least one.
    df
        Degrees of freedom of each, at least 1.
    """
    middle, upper = np.quantile(variances, [_MIDDLE, _UPPER])
    if middle == 0 or variances.size == 1:
        return Prior(0.0, 0.0)
    spreads = fdtri(df, _DEGREES, _UPPER) / fdtri(df, _DEGREES, _MIDDLE)
    # `chdtri` takes the probability of the upper tail.
    chi_squared = chdtri(df, 1 - np.array([_MIDDLE, _UPPER])) / df
    if upper / middle <= chi_squared[1] / chi_squared[0]:
        return Prior(float(middle / chi_squared[0]), np.inf)
    # `interp` needs rising values, and the spread falls with the degrees of freedom.
    prior_df = float(np.interp(-upper / middle, -spreads, _DEGREES))
    return Prior(float(middle / fdtri(df, prior_df, _MIDDLE)), prior_df)
