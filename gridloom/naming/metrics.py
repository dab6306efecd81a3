"""Metrics of Keras: whether more or less of each is better."""

from __future__ import annotations

from typing import Literal

Mode = Literal["min", "max"]

_MORE_IS_BETTER = {
    "acc",
    "accuracy",
    "auc",
    "binary_accuracy",
    "categorical_accuracy",
    "f1_score",
    "precision",
    "r2_score",
    "recall",
    "sparse_categorical_accuracy",
    "sparse_top_k_categorical_accuracy",
    "top_k_categorical_accuracy",
}

_LESS_IS_BETTER = {
    "binary_crossentropy",
    "categorical_crossentropy",
    "loss",
    "mae",
    "mape",
    "mean_absolute_error",
    "mean_absolute_percentage_error",
    "mean_squared_error",
    "mean_squared_logarithmic_error",
    "mse",
    "root_mean_squared_error",
    "sparse_categorical_crossentropy",
}


def better_end(metric: str) -> Mode | None:
    """Return ``max`` if more of a metric is better, ``min`` if less is; None for unknown metrics.

    Its name may begin with ``val_``.
    """
    name = metric.removeprefix("val_")
    if name in _MORE_IS_BETTER:
        return "max"
    return "min" if name in _LESS_IS_BETTER else None
