"""Losses and metrics of stacked rows: those that treat each row by itself."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import Any

import tensorflow as tf
from keras import losses, metrics

from gridloom.networks.structure import from_keras

#: Losses that reduce the last axis only.
ROWWISE_LOSSES = {
    "binary_crossentropy",
    "binary_focal_crossentropy",
    "categorical_crossentropy",
    "categorical_focal_crossentropy",
    "categorical_hinge",
    "cosine_similarity",
    "hinge",
    "huber",
    "kl_divergence",
    "log_cosh",
    "mean_absolute_error",
    "mean_absolute_percentage_error",
    "mean_squared_error",
    "mean_squared_logarithmic_error",
    "poisson",
    "sparse_categorical_crossentropy",
    "squared_hinge",
}

#: Metrics that give the same from all rows at once as batch by batch. Those of a cross-entropy are
#: none: Keras takes them from what went into a softmax or sigmoid, which an epoch does not keep.
ROWWISE_METRICS = {
    getattr(metrics, name)
    for name in (
        "AUC",
        "Accuracy",
        "BinaryAccuracy",
        "BinaryIoU",
        "CategoricalAccuracy",
        "CategoricalHinge",
        "CosineSimilarity",
        "F1Score",
        "FBetaScore",
        "FalseNegatives",
        "FalsePositives",
        "Hinge",
        "KLDivergence",
        "LogCoshError",
        "MeanAbsoluteError",
        "MeanAbsolutePercentageError",
        "MeanSquaredError",
        "MeanSquaredLogarithmicError",
        "Poisson",
        "Precision",
        "PrecisionAtRecall",
        "R2Score",
        "Recall",
        "RecallAtPrecision",
        "RootMeanSquaredError",
        "SensitivityAtSpecificity",
        "SparseCategoricalAccuracy",
        "SparseTopKCategoricalAccuracy",
        "SpecificityAtSensitivity",
        "SquaredHinge",
        "TopKCategoricalAccuracy",
        "TrueNegatives",
        "TruePositives",
    )
}


def measures_rows(metric: Any) -> bool:
    """Tell whether a metric is taken over rows, however these are cut into batches."""
    if metric is None or metric in ("accuracy", "acc"):
        return True
    if isinstance(metric, str):
        try:
            metric = metrics.get(metric)
        except ValueError:  # Keras says it better, when it makes the metric
            return False
    # A loss or a function as a metric is averaged over batches, whatever their size.
    return (
        type(metric) in ROWWISE_METRICS
        and not any(name in vars(metric) for name in _METHODS)
        and getattr(metric, "_fn_kwargs", {}).get("axis", -1) == -1
    )


#: Methods that a person may replace on one object.
_METHODS = ("call", "__call__", "update_state", "result", "reset_state")


def row_loss(loss: Any) -> Callable[[Any, Any], Any] | None:
    """Return the loss of each row as a function, or None if rows may mix.

    The function takes targets and outputs of shape (R, rows, …) and gives (R, rows).
    """
    if isinstance(loss, str):
        loss = losses.get(loss)
    function: Any = loss
    options: dict[str, Any] = {}
    if isinstance(loss, losses.Loss):
        if loss.reduction not in ("sum_over_batch_size", "mean") or loss.dtype != "float32":
            return None
        if not from_keras(type(loss)) or any(name in vars(loss) for name in _METHODS):
            return None
        function, options = getattr(loss, "fn", None), getattr(loss, "_fn_kwargs", {})
    named = getattr(function, "__name__", None)
    if not from_keras(function) or named not in ROWWISE_LOSSES:
        return None
    # Without rows of an ignored class, a batch's mean is over fewer rows.
    if options.get("axis", -1) != -1 or options.get("ignore_class") is not None:
        return None
    return rowwise(loss.call if isinstance(loss, losses.Loss) else loss)


def rowwise(function: Callable[[Any, Any], Any]) -> Callable[[Any, Any], Any]:
    """Let a loss or metric that takes (rows, …) take (R, rows, …); it gives (R, values)."""

    def stacked(targets: Any, outputs: Any) -> Any:
        flat = tf.reshape(outputs, (-1, outputs.shape[-1]))
        logits = getattr(outputs, "_keras_logits", None)
        if logits is not None:
            # Keras takes the loss from what went into a softmax or sigmoid, kept on its output.
            flat._keras_logits = tf.reshape(logits, (-1, logits.shape[-1]))
        values = function(tf.reshape(targets, (-1, *targets.shape[2:])), flat)
        return tf.reshape(values, (outputs.shape[0], -1))

    return stacked


def measure(metric: Any, targets: Any, outputs: Any) -> Any:
    """Evaluate a metric on all rows of each repetition.

    Parameters
    ----------
    metric
        One of `ROWWISE_METRICS`, its variables made.
    targets, outputs
        Shape (R, rows, …).

    Returns
    -------
    float32, shape (R,)
    """
    if isinstance(metric, metrics.MeanMetricWrapper) and metric.dtype == "float32":
        rows = rowwise(partial(metric._fn, **metric._fn_kwargs))(targets, outputs)
        return tf.reduce_mean(tf.cast(rows, tf.float32), axis=1)
    pairs = zip(tf.unstack(targets), tf.unstack(outputs), strict=True)
    return tf.stack([_evaluate(metric, *pair) for pair in pairs])


def _evaluate(metric: Any, targets: Any, outputs: Any) -> Any:
    metric.reset_state()
    metric.update_state(targets, outputs)
    return tf.cast(metric.result(), tf.float32)
