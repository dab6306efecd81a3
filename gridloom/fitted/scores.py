"""Scores of predictions, each with a bootstrap interval over the rows.

A score is a function of how often each row counts. If each row counts once, it gives the score
itself; the counts of a resample give its bootstrap replicate. So a matrix product scores many
resamples at once.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass

import numpy as np

#: Number of resamples: by chance, the ends of a 95 % interval move by a few hundredths of its
#: width.
RESAMPLES = 2000

#: Number of counts in memory at once.
_CELLS = 2**22

#: Distance of probabilities from 0 and 1: the logarithm of 0 would be infinite. Scikit-learn uses
#: the same for 32 bits.
_EPSILON = float(np.finfo(np.float32).eps)

#: Takes how often each row counts, float64, shape (resamples, rows); returns the score of each
#: resample, shape (resamples,), NaN where it is not defined.
Statistic = Callable[[np.ndarray], np.ndarray]


@dataclass(frozen=True)
class Score:
    """A score of predictions.

    Attributes
    ----------
    name
        In words.
    value
        None if it is not defined, such as the ROC AUC of rows of one class.
    low, high
        Ends of the 95 % interval; None where there is none.
    """

    name: str
    value: float | None
    low: float | None
    high: float | None

    def __str__(self) -> str:
        if self.value is None:
            return f"{self.name} not defined"
        interval = "" if self.low is None else f" ({self.low:.4g} to {self.high:.4g})"
        return f"{self.name} {self.value:.4g}{interval}"


def bootstrap(statistics: Mapping[str, Statistic], units: np.ndarray, seed: int) -> list[Score]:
    """Score predictions, with 95 % percentile intervals (Efron & Tibshirani 1993, section 13.3).

    The intervals are about new rows of the same kind for this one fitted model. They do not say
    how much another fit would differ. A resample in which a score is not defined is left out of
    the interval of that score.

    Parameters
    ----------
    statistics
        Name of a score → function that computes it.
    units
        Number of the unit that each row belongs to, from 0, shape (rows,). A unit is a row, or a
        group of dependent rows. Each resample draws as many units as there are, with replacement.
    seed
        Seed of the draws.

    Returns
    -------
    list of Score
        Without intervals if there is one unit only.
    """
    once = np.ones((1, len(units)))
    values = {name: float(statistic(once)[0]) for name, statistic in statistics.items()}
    replicates: dict[str, list[np.ndarray]] = {name: [] for name in statistics}
    if units.max() > 0:
        for counts in _resampled(units, np.random.default_rng(seed)):
            for name, statistic in statistics.items():
                replicates[name].append(statistic(counts))
    return [_score(name, value, replicates[name]) for name, value in values.items()]


def _resampled(units: np.ndarray, generator: np.random.Generator) -> Iterator[np.ndarray]:
    """Yield how often each row counts in some of the resamples, shape (resamples, rows)."""
    count = int(units.max()) + 1
    at_once = max(_CELLS // len(units), 1)
    for start in range(0, RESAMPLES, at_once):
        size = min(at_once, RESAMPLES - start)
        drawn = generator.integers(count, size=(size, count))
        cells = (drawn + count * np.arange(size)[:, None]).ravel()
        counts = np.bincount(cells, minlength=size * count).reshape(size, count)
        yield counts[:, units].astype(np.float64)


def _score(name: str, value: float, replicates: Sequence[np.ndarray]) -> Score:
    known = np.concatenate(replicates) if replicates else np.empty(0)
    known = known[np.isfinite(known)]
    if not np.isfinite(value):
        return Score(name, None, None, None)
    if not known.size:
        return Score(name, value, None, None)
    low, high = np.quantile(known, (0.025, 0.975))
    return Score(name, value, float(low), float(high))


def class_statistics(
    target: np.ndarray, predicted: np.ndarray | None, probabilities: np.ndarray | None
) -> dict[str, Statistic]:
    """Return the scores of predicted classes, as scikit-learn defines them.

    With more than two classes, the ROC AUC is the mean over classes of each against all others
    (without classes that no row or every row has), and the Brier score is the sum over classes,
    from 0 to 2.

    Parameters
    ----------
    target, predicted
        Indices of classes, shape (rows,); `predicted` None if no class is predicted.
    probabilities
        Shape (rows, classes); None if the outputs are not probabilities.
    """
    statistics: dict[str, Statistic] = {}
    if predicted is not None:
        statistics["accuracy"] = mean_of(target == predicted)
        statistics["balanced accuracy"] = balanced_accuracy(target, predicted)
    if probabilities is not None:
        classes = probabilities.shape[1]
        shares = probabilities / probabilities.sum(axis=1, keepdims=True)
        hot = np.eye(classes)[target]
        squares = ((shares - hot) ** 2).sum(axis=1)
        compared = [1] if classes == 2 else np.unique(target).tolist()
        areas = [roc_auc(target == one, probabilities[:, one]) for one in compared]
        own = shares[np.arange(len(target)), target]
        statistics["ROC AUC"] = _mean_over(areas)
        statistics["log loss"] = mean_of(-np.log(np.clip(own, _EPSILON, 1 - _EPSILON)))
        statistics["Brier score"] = mean_of(squares / 2 if classes == 2 else squares)
    return statistics


def label_statistics(
    target: np.ndarray, predicted: np.ndarray | None, probabilities: np.ndarray | None
) -> dict[str, Statistic]:
    """Return the scores of several labels a row: the mean over labels of each two-class score.

    Parameters
    ----------
    target, predicted, probabilities
        True labels, predicted labels, and probabilities that a label is 1, shape (rows, labels).
    """
    labels = target.astype(np.int64)
    each = [
        class_statistics(
            label,
            None if predicted is None else predicted[:, place],
            None
            if probabilities is None
            else np.stack([1 - probabilities[:, place], probabilities[:, place]], axis=1),
        )
        for place, label in enumerate(labels.T)
    ]
    means = {name: _mean_over([one[name] for one in each]) for name in each[0]}
    if predicted is None:
        return means
    return {"all labels right": mean_of((labels == predicted).all(axis=1)), **means}


def number_statistics(
    target: np.ndarray, predicted: np.ndarray, names: Sequence[str]
) -> dict[str, Statistic]:
    """Return the scores of predicted numbers, for each target.

    Parameters
    ----------
    target, predicted
        In the target's units, shape (rows, targets).
    names
        Names of the targets.
    """
    statistics: dict[str, Statistic] = {}
    error = predicted.astype(np.float64) - target
    for place, name in enumerate(names):
        of = f" of {name}" if len(names) > 1 else ""
        square = mean_of(error[:, place] ** 2)
        statistics[f"mean absolute error{of}"] = mean_of(np.abs(error[:, place]))
        statistics[f"root mean squared error{of}"] = _root(square)
        statistics[f"R2{of}"] = _explained(square, target[:, place].astype(np.float64))
    return statistics


def mean_of(values: np.ndarray) -> Statistic:
    """Return the mean over rows of a number that each row has, shape (rows,)."""
    numbers = values.astype(np.float64)
    return lambda counts: counts @ numbers / counts.sum(axis=1)


def balanced_accuracy(target: np.ndarray, predicted: np.ndarray) -> Statistic:
    """Return the mean, over the classes that the rows have, of the share predicted right."""
    members = (target[:, None] == np.unique(target)).astype(np.float64)
    right = members * (target == predicted)[:, None]

    def statistic(counts: np.ndarray) -> np.ndarray:
        with np.errstate(invalid="ignore"):
            shares = (counts @ right) / (counts @ members)
        mean: np.ndarray = np.nanmean(shares, axis=1)
        return mean

    return statistic


def roc_auc(positive: np.ndarray, score: np.ndarray) -> Statistic:
    """Return the chance that a positive row scores above a negative one, ties counting half.

    Parameters
    ----------
    positive
        bool, shape (rows,).
    score
        Shape (rows,).
    """
    order = np.argsort(score, kind="stable")
    yes = positive[order].astype(np.float64)
    ranked = score[order]
    starts = np.flatnonzero(np.r_[True, ranked[1:] != ranked[:-1]])

    def statistic(counts: np.ndarray) -> np.ndarray:
        ordered = counts[:, order]
        ups = np.add.reduceat(ordered * yes, starts, axis=1)
        downs = np.add.reduceat(ordered * (1 - yes), starts, axis=1)
        below = np.cumsum(downs, axis=1) - downs / 2
        with np.errstate(invalid="ignore"):
            area: np.ndarray = (ups * below).sum(axis=1) / (ups.sum(axis=1) * downs.sum(axis=1))
        return area

    return statistic


def _mean_over(statistics: Sequence[Statistic]) -> Statistic:
    """Return the mean of several scores."""
    return lambda counts: np.mean([statistic(counts) for statistic in statistics], axis=0)


def _root(statistic: Statistic) -> Statistic:
    return lambda counts: np.sqrt(statistic(counts))


def _explained(square: Statistic, target: np.ndarray) -> Statistic:
    """Return R², the share of the target's variance that predictions with this error explain."""
    # Without centring, a target far from 0 would leave no digits in the variance.
    centred = target - target.mean()
    mean, mean_square = mean_of(centred), mean_of(centred**2)

    def statistic(counts: np.ndarray) -> np.ndarray:
        variance = mean_square(counts) - mean(counts) ** 2
        varying = np.where(variance > 0, variance, np.nan)
        explained: np.ndarray = 1 - square(counts) / varying
        return explained

    return statistic
