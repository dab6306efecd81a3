"""Metrics of a network: their names, and whether more or less is better."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import keras
import numpy as np
import tensorflow as tf

from gridloom.engines.types import REMEDY, Training
from gridloom.errors import ModelError, nearest
from gridloom.networks.error_text import describe_error
from gridloom.networks.keras_private import compile_arguments, make_variables


def metric_variables(model: keras.Model) -> list[Any]:
    """Return the variables of the loss and all metrics."""
    return [variable for metric in model.metrics for variable in metric.variables]


def make_metrics(model: keras.Model, training: Training) -> None:
    """Create the variables of loss and metrics, which must not be created inside a graph."""
    rows = training.rows
    try:
        make_variables(model.test_step, (rows.x_train[:1], rows.y_train[:1]))
    except Exception as error:
        raise ModelError(f"model: its test_step raised {describe_error(error)}") from error


def forget_batches(model: keras.Model) -> None:
    """Reset the metrics that `compile` was given as objects: other networks may share them."""
    given = compile_arguments(model)
    for metric in keras.tree.flatten([given.get(name) for name in ("metrics", "weighted_metrics")]):
        if isinstance(metric, keras.metrics.Metric):
            metric.reset_state()


def all_directions(model: keras.Model) -> dict[str, int]:
    """Return the model's metrics: 1 if less is better, -1 if more is, 0 if Keras does not say."""
    directions = directions_of(model)
    results = model.get_metrics_result()
    for name, value in results.items():
        if len(np.shape(value)):
            raise ModelError(
                f"model: the metric {name} gives {np.size(value)} numbers; choose an average, such "
                f"as average='macro', or {REMEDY}, which records each"
            )
    return {name: directions.get(name, 0) for name in results}


def directions_of(model: keras.Model) -> dict[str, int]:
    """Return, for loss and compiled metrics, 1, -1 or 0 (see `all_directions`)."""
    directions = {"loss": 1}
    for metric in compiled_metrics(model):
        direction = getattr(metric, "_direction", None)
        directions[metric.name] = {"down": 1, "up": -1}.get(str(direction), 0)
    return directions


def compiled_metrics(model: keras.Model) -> list[Any]:
    """Return the metrics named in `compile`, once the model has seen a batch."""
    return [inner for metric in model.metrics[1:] for inner in getattr(metric, "metrics", [metric])]


def improves(value: Any, min_delta: Any, best: Any) -> Any:
    """Return whether a value is below the best one by more than `min_delta`, as in Keras.

    Keras's early stopping adds in float64 and rounds to float32 to compare.

    Parameters
    ----------
    value, best
        float32, shape (R,).
    min_delta
        float64, 0 or more.
    """
    return tf.cast(tf.cast(value, tf.float64) + min_delta, tf.float32) < best


def monitored(monitor: str, names: Sequence[str], model: keras.Model) -> int:
    """Return 1 if less of a metric is better, -1 if more is.

    Parameters
    ----------
    monitor
        Name of the metric.
    names
        Names in the history.
    model
        The network, for the directions of its metrics.

    Raises
    ------
    ModelError
        If there is no such metric, or Keras does not give its direction.
    """
    return _direction(monitor, names, directions_of(model).get(monitor.removeprefix("val_"), 0))


def monitored_place(monitor: str, directions: dict[str, int]) -> tuple[int, float]:
    """Return the index of a metric in the history, and 1 if less of it is better, else -1."""
    names = [*directions, *(f"val_{name}" for name in directions)]
    direction = _direction(monitor, names, directions.get(monitor.removeprefix("val_"), 0))
    return names.index(monitor), float(direction)


def _direction(monitor: str, names: Sequence[str], direction: int) -> int:
    if monitor not in names:
        hint = nearest(monitor, names) or "; there are " + ", ".join(names)
        raise ModelError(
            f"hyperparameters.early_stopping_monitor: there is no metric {monitor!r}{hint}"
        )
    if direction == 0:
        raise ModelError(
            f"hyperparameters.early_stopping_monitor: Keras does not say whether more or less of "
            f"{monitor} is better; monitor val_loss"
        )
    return direction
