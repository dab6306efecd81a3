"""Losses and metrics that can be computed on stacked rows, because they do not mix rows."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import Any

import tensorflow as tf
from keras import losses, metrics

from gridloom.networks.structure import from_keras

#: Losses that reduce only the last axis.
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

#: Metrics with the same value from all rows at once as batch by batch. Cross-entropy metrics are
#: not among them: Keras computes them from the inputs of a softmax or sigmoid, which are not kept.
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
    """Return whether a metric does not depend on how rows are cut into batches."""
    if metric is None or metric in ("accuracy", "acc"):
        return True
    if isinstance(metric, str):
        try:
            metric = metrics.get(metric)
        except ValueError:  # Keras reports an unknown name when it makes the metric
            return False
    # A loss or a function as a metric is averaged over batches, regardless of their size.
    return (
        type(metric) in ROWWISE_METRICS
        and not any(name in vars(metric) for name in _METHODS)
        and getattr(metric, "_fn_kwargs", {}).get("axis", -1) == -1
    )


#: Methods that a user may replace on a single object.
_METHODS = ("call", "__call__", "update_state", "result", "reset_state")


def row_loss(loss: Any) -> Callable[[Any, Any], Any] | None:
    """Return a function for the loss of each row, or None if the loss may mix rows.

    The function takes targets and outputs of shape (R, rows, …) and returns (R, rows).
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
    # With an ignored class, the mean of a batch is over fewer rows.
    if options.get("axis", -1) != -1 or options.get("ignore_class") is not None:
        return None
    return rowwise(loss.call if isinstance(loss, losses.Loss) else loss)


def rowwise(function: Callable[[Any, Any], Any]) -> Callable[[Any, Any], Any]:
    """Wrap a loss or metric of (rows, …) so that it takes (R, rows, …) and returns (R, values)."""

    def stacked(targets: Any, outputs: Any) -> Any:
        flat = tf.reshape(outputs, (-1, outputs.shape[-1]))
        logits = getattr(outputs, "_keras_logits", None)
        if logits is not None:
            # Keras computes the loss from the inputs of a softmax or sigmoid, kept on its output.
            flat._keras_logits = tf.reshape(logits, (-1, logits.shape[-1]))
        values = function(tf.reshape(targets, (-1, *targets.shape[2:])), flat)
        return tf.reshape(values, (outputs.shape[0], -1))

    return stacked


def measure(metric: Any, targets: Any, outputs: Any) -> Any:
    """Evaluate a metric on all rows of each repetition.

    Parameters
    ----------
    metric
        One of `ROWWISE_METRICS`, with its variables created.
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
