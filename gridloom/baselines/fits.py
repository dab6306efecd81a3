"""Simple models of scikit-learn, fitted on the rows that a training fits on."""

from __future__ import annotations

import warnings
from dataclasses import dataclass
from typing import Any

import numpy as np
from sklearn.dummy import DummyClassifier, DummyRegressor
from sklearn.ensemble import HistGradientBoostingClassifier, HistGradientBoostingRegressor
from sklearn.exceptions import ConvergenceWarning
from sklearn.linear_model import LogisticRegression, Ridge

from gridloom.data.preparation import PreparedRows
from gridloom.study.schema import Baseline

#: Most values (rows x columns) that all models of a baseline together fit on: 10 s of boosting.
_MAX_VALUES = 20_000_000

#: Fewest rows that this limit leaves a model, however wide they are.
_FEWEST_ROWS = 200

#: Most trees that boosting grows in all, and in one model; with few rows, a tree takes 2 ms.
_MAX_TREES, _MAX_ROUNDS = 5_000, 100

#: Bins of a column for boosting: the most that scikit-learn takes.
_BINS = 255


@dataclass(frozen=True)
class Work:
    """What the fits of a baseline have in common.

    Attributes
    ----------
    classes
        Number of classes; 0 for labels of 0 or 1; None for numbers.
    models
        Number of models that a baseline fits in all. Each fold of each repetition has one for each
        class (if there are more than two), label or target.
    seed
        Seed for the random part of a large table's rows, and for boosting.
    """

    classes: int | None
    models: int
    seed: int

    @property
    def rounds(self) -> int:
        """Rounds of boosting: fewer than usual if there are very many models."""
        return int(np.clip(_MAX_TREES // self.models, 1, _MAX_ROUNDS))

    def rows_to_fit(self, rows: PreparedRows) -> np.ndarray:
        """Return ascending indices of the rows to fit on: all rows, or a random part of them."""
        count = len(rows.x_train)
        columns = max(rows.x_train[0].size, 1)
        most = max(_MAX_VALUES // (columns * self.models), _FEWEST_ROWS)
        if count <= most:
            return np.arange(count)
        chosen: np.ndarray = np.sort(np.random.default_rng(self.seed).permutation(count)[:most])
        return chosen

    def note(self, baseline: Baseline, rows: PreparedRows) -> str:
        """Describe how the limits cut a baseline's fits; an empty text if they do not."""
        taken, count = len(self.rows_to_fit(rows)), len(rows.x_train)
        notes = [f"fitted on a random {taken:,} of {count:,} rows"] if taken < count else []
        if baseline == "boosting" and self.rounds < _MAX_ROUNDS:
            notes.append(f"{self.rounds} rounds of boosting instead of {_MAX_ROUNDS}")
        return "; ".join(notes)


def predict(baseline: Baseline, rows: PreparedRows, work: Work) -> np.ndarray:
    """Fit a baseline and predict for the validation rows.

    Linear models get standardized columns, so that their penalty treats all columns alike. Rows
    have the same weights as in the fit of a network. The dummy ignores weights, because it predicts
    the commonest class.

    Returns
    -------
    array
        Float64. For classes, the probability of each, shape (rows, classes). For labels, the
        probability that each is 1, shape (rows, labels). For numbers, the predicted numbers, shape
        (rows, targets).
    """
    chosen = work.rows_to_fit(rows)
    scaled = _binned if baseline == "boosting" else _standardized
    x, x_val = scaled(_flat(rows.x_train)[chosen], _flat(rows.x_val))
    y, weights = rows.y_train[chosen], rows.weights[chosen]
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", ConvergenceWarning)  # near enough for a baseline
        if work.classes:
            return _class_probabilities(baseline, x, y, weights, x_val, work.classes, work)
        if work.classes is None:
            columns = [
                _fitted(_regressor(baseline, work), x, column, weights).predict(x_val)
                for column in y.T
            ]
        else:
            columns = [
                _class_probabilities(baseline, x, column, weights, x_val, 2, work)[:, 1]
                for column in y.T.astype(int)
            ]
    return np.stack(columns, axis=1)


def _class_probabilities(
    baseline: Baseline,
    x: np.ndarray,
    y: np.ndarray,
    weights: np.ndarray,
    x_val: np.ndarray,
    classes: int,
    work: Work,
) -> np.ndarray:
    """Return the probability of each class; 0 for a class that no row to fit on has."""
    known = np.unique(y)
    # Scikit-learn refuses to fit a classifier on a single class.
    model = _fitted(_classifier(baseline if len(known) > 1 else "dummy", work), x, y, weights)
    probabilities = np.zeros((len(x_val), classes))
    probabilities[:, known] = model.predict_proba(x_val)
    return probabilities


def _fitted(model: Any, x: np.ndarray, y: np.ndarray, weights: np.ndarray) -> Any:
    if isinstance(model, DummyClassifier | DummyRegressor):
        return model.fit(x, y)
    return model.fit(x, y, sample_weight=weights)


def _classifier(baseline: Baseline, work: Work) -> Any:
    match baseline:
        case "dummy":
            return DummyClassifier(strategy="prior")
        case "linear":
            return LogisticRegression(max_iter=200)
        case "boosting":
            return HistGradientBoostingClassifier(max_iter=work.rounds, random_state=work.seed)


def _regressor(baseline: Baseline, work: Work) -> Any:
    match baseline:
        case "dummy":
            return DummyRegressor()
        case "linear":
            return Ridge()
        case "boosting":
            return HistGradientBoostingRegressor(max_iter=work.rounds, random_state=work.seed)


def _flat(x: np.ndarray) -> np.ndarray:
    return x.reshape(len(x), -1)


def _standardized(x: np.ndarray, other: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Return both arrays with mean 0 and deviation 1 in each column of the first one."""
    mean, deviation = x.mean(axis=0, dtype=np.float64), x.std(axis=0, dtype=np.float64)
    deviation[deviation == 0] = 1
    return (x - mean) / deviation, (other - mean) / deviation


def _binned(x: np.ndarray, other: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Return the bins of both arrays' values; quantiles of the first array are the edges.

    Trees can use bins in place of values. If rows have weights, scikit-learn would compute weighted
    quantiles, which takes 1.7 s for 364 rows of 30 columns; the rest of the fit takes 0.1 s.
    """
    edges = np.quantile(x, np.linspace(0, 1, _BINS + 1)[1:-1], axis=0)

    def binned(values: np.ndarray) -> np.ndarray:
        columns = zip(edges.T, values.T, strict=True)
        bins = [np.searchsorted(edge, column, "right") for edge, column in columns]
        return np.stack(bins, axis=1).astype(np.float32)

    return binned(x), binned(other)
