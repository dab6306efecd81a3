"""Units of a regression: networks train on standardized targets, people read their own."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import replace
from typing import Any

import keras
import numpy as np

from gridloom.data.preparation import TargetScale
from gridloom.engines.types import Fitted
from gridloom.errors import ModelError
from gridloom.networks.keras_private import compile_arguments

#: What a loss or metric of one target is multiplied by: the target's standard deviation to this
#: power. By function and class, as a name may be anything. All others are in units of the
#: standardized target.
_POWERS: dict[Any, int] = {
    keras.losses.mean_squared_error: 2,
    keras.losses.mean_absolute_error: 1,
    keras.metrics.RootMeanSquaredError: 1,
    keras.metrics.R2Score: 0,
}

#: Losses and metrics of numbers that are not below 0, or of parts of them.
_NEVER_BELOW_0 = {
    keras.losses.binary_crossentropy,
    keras.losses.binary_focal_crossentropy,
    keras.losses.categorical_crossentropy,
    keras.losses.kl_divergence,
    keras.losses.mean_absolute_percentage_error,
    keras.losses.mean_squared_logarithmic_error,
    keras.losses.poisson,
}

#: Activations that give no number below 0.
_GIVE_NONE_BELOW_0 = {
    keras.activations.exponential,
    keras.activations.hard_sigmoid,
    keras.activations.relu,
    keras.activations.relu6,
    keras.activations.sigmoid,
    keras.activations.softmax,
    keras.activations.softplus,
}

#: Names that stand for one thing or another, by the form of the targets; none is a regression's.
_BY_TARGET = ("acc", "accuracy", "ce", "crossentropy")

REMEDY = "set `preparation: {target: none}`"


def check_standardizable(model: keras.Model) -> None:
    """Refuse networks that cannot predict standardized targets, of which half are below 0.

    Raises
    ------
    ModelError
        Naming the loss, metric or activation, and what to set.
    """
    for name, measure in _measures(model).items():
        if measure in _NEVER_BELOW_0:
            kind = "loss" if name == "loss" else "metric"
            raise ModelError(
                f"model: its {kind} {measure.__name__} is for targets that are not below 0, and a "
                f"regression's are standardized; {REMEDY}"
            )
    last = _last_activation(model)
    if last in _GIVE_NONE_BELOW_0:
        raise ModelError(
            f"model: its outputs, after {last.__name__}, are never below 0, and a regression's "
            f"targets are standardized; end with Dense(outputs), or {REMEDY}"
        )


def target_powers(model: keras.Model, targets: int) -> dict[str, int]:
    """Return which of a model's numbers can be given in the target's units, and how.

    Parameters
    ----------
    model
        Compiled.
    targets
        How many numbers it predicts. Losses and metrics of several are means over targets, each
        in units of its own standard deviation, and stay so.

    Returns
    -------
    dict
        Name in the history, without ``val_`` → power of the target's standard deviation. A loss
        holds its penalties, so that these are multiplied as well.
    """
    powers = {
        name: _POWERS[measure] for name, measure in _measures(model).items() if measure in _POWERS
    }
    if targets > 1:
        return {name: power for name, power in powers.items() if power == 0}
    return powers


def in_target_units(
    values: Mapping[str, Any], powers: Mapping[str, int], scale: TargetScale
) -> dict[str, Any]:
    """Return values of the history, or of one evaluation, in the target's units where they can be.

    Parameters
    ----------
    values
        Name → float32 array or number.
    powers
        As `target_powers` gives them.
    """
    deviation = float(scale.deviation[0])
    with np.errstate(over="ignore"):  # what float32 does not hold has diverged
        return {
            name: np.float32(np.asarray(value) * deviation**power)
            if (power := powers.get(name.removeprefix("val_"), 0))
            else value
            for name, value in values.items()
        }


def fitted_in_target_units(
    fitted: Fitted, powers: Mapping[str, int], scale: TargetScale | None
) -> Fitted:
    """Return a fit with its history in the target's units (see `in_target_units`)."""
    if scale is None:
        return fitted
    return replace(fitted, history=in_target_units(fitted.history, powers, scale))


def _measures(model: keras.Model) -> dict[str, Any]:
    """Return name in the history → what Keras computes under it, for steps of Keras's own.

    A function or class of Keras's where there is one, else the object.
    """
    if not all(
        str(getattr(getattr(model, step), "__module__", "")).startswith("keras.")
        for step in ("train_step", "test_step", "compute_loss", "compute_metrics")
    ):
        return {}
    config = compile_arguments(model)
    losses = keras.tree.flatten(model.loss)
    measures = {}
    if len(losses) == 1 and str(losses[0]).lower() not in _BY_TARGET:
        measures["loss"] = _measure(_found(keras.losses.get, losses[0]))
    for given in keras.tree.flatten([config.get("metrics"), config.get("weighted_metrics")]):
        if given is None or str(given).lower() in _BY_TARGET:
            continue
        metric = _found(keras.metrics.get, given)
        name = given if isinstance(given, str) else getattr(metric, "name", None)
        measures[str(name or getattr(metric, "__name__", ""))] = _measure(metric)
    return measures


def _found(get: Callable[[Any], Any], given: Any) -> Any:
    """Return what Keras finds by a name, an object or a class."""
    try:
        return get(given)
    except ValueError:
        return None  # the fit meets the same error, and tells it


def _measure(found: Any) -> Any:
    """Return the function that a loss or metric wraps, or the class of one that counts."""
    if type(found) is keras.metrics.R2Score and found.class_aggregation != "uniform_average":
        return found  # weighs several targets by their variances
    measure = isinstance(found, keras.losses.Loss | keras.metrics.Metric)
    if not measure or not type(found).__module__.startswith("keras."):
        return found
    return getattr(found, "fn", None) or getattr(found, "_fn", None) or type(found)


def _last_activation(model: keras.Model) -> Any:
    """Return what a network's outputs come from, if it is an activation and the network tells."""
    outputs = getattr(model, "outputs", None)
    if not outputs:
        return None  # a class of a person's own, whose layers stand in any order
    last = outputs[0]._keras_history.operation
    return (
        keras.activations.relu
        if isinstance(last, keras.layers.ReLU)
        else getattr(last, "activation", None)
    )
