"""Expected scores: what to expect of a point if it is trained again."""

from __future__ import annotations

import numpy as np

from gridloom.analysis.moderation import fit_prior

#: Number of values, from the least to the best mean, at which the distribution of true scores is
#: estimated.
_VALUES = 301

_ROUNDS = 200

#: Largest distance of a point's expected score from its mean, in standard errors.
_FURTHEST = 3


def expected_scores(scores: np.ndarray) -> np.ndarray:
    """Estimate each point's true mean, shrunk towards those of the other points.

    The mean with the best luck looks best, so that the best mean is too good. Empirical Bayes: a
    point's mean is normal around its true mean; how the true means are distributed is estimated
    from all points by maximum likelihood, without a form given (Kiefer & Wolfowitz 1956; Jiang &
    Zhang 2009; by the EM algorithm at quantiles of the means). The expected score is the posterior
    mean. It stays within 3 standard errors of the point's mean (Efron & Morris 1972: limited
    translation), so that one point far from all others is not drawn to them.

    The noise is that of points within blocks: what all points share in a block moves none before
    the others. Its variances are moderated (see `fit_prior`).

    Parameters
    ----------
    scores
        float64, shape (N, r), finite; a column is a block. N and r at least 2.

    Returns
    -------
    np.ndarray
        Shape (N,).
    """
    points, blocks = scores.shape
    means = scores.mean(axis=1)
    residuals = scores - scores.mean(axis=0)
    residuals -= residuals.mean(axis=1, keepdims=True)
    # Subtracting the means of the blocks removes one of N parts of the noise.
    variances = (residuals**2).sum(axis=1) / (blocks - 1) * points / (points - 1)
    moderated = fit_prior(variances, blocks - 1).moderate(variances, blocks - 1)
    errors = np.sqrt(moderated / blocks)
    noisy = errors > 0
    if not noisy.any():
        return np.asarray(means)
    values = np.quantile(means, np.linspace(0, 1, _VALUES))
    posterior = means.copy()
    posterior[noisy] = _posterior_means(means[noisy], errors[noisy], values)
    furthest = _FURTHEST * errors
    return np.asarray(np.clip(posterior, means - furthest, means + furthest))


def _posterior_means(means: np.ndarray, errors: np.ndarray, values: np.ndarray) -> np.ndarray:
    """Return the posterior means under the most likely distribution over `values`.

    Parameters
    ----------
    means, errors
        Mean and standard error of each point, shape (n,).
    values
        Shape (values,).
    """
    exponents = -0.5 * ((means[:, None] - values) / errors[:, None]) ** 2
    likelihood = np.exp(exponents - exponents.max(axis=1, keepdims=True))
    weights = np.full(len(values), 1 / len(values))
    for _ in range(_ROUNDS):
        weights *= (1 / (likelihood @ weights)) @ likelihood / len(means)
    joint = likelihood * weights
    shrunk: np.ndarray = joint @ values / joint.sum(axis=1)
    return shrunk
