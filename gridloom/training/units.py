"""Units of a regression: networks train on standardized targets, records use the target's units."""

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

#: Function or class of a loss or metric of one target → power of the target's standard deviation
#: that converts it to the target's units. All others stay in units of the standardized target.
_POWERS: dict[Any, int] = {
    keras.losses.mean_squared_error: 2,
    keras.losses.mean_absolute_error: 1,
    keras.metrics.RootMeanSquaredError: 1,
    keras.metrics.R2Score: 0,
}

#: Losses and metrics for numbers of 0 or more.
_NEVER_BELOW_0 = {
    keras.losses.binary_crossentropy,
    keras.losses.binary_focal_crossentropy,
    keras.losses.categorical_crossentropy,
    keras.losses.kl_divergence,
    keras.losses.mean_absolute_percentage_error,
    keras.losses.mean_squared_logarithmic_error,
    keras.losses.poisson,
}

#: Activations whose outputs are 0 or more.
_GIVE_NONE_BELOW_0 = {
    keras.activations.exponential,
    keras.activations.hard_sigmoid,
    keras.activations.relu,
    keras.activations.relu6,
    keras.activations.sigmoid,
    keras.activations.softmax,
    keras.activations.softplus,
}

#: Names whose meaning depends on the form of the targets; none is for regressions.
_BY_TARGET = ("acc", "accuracy", "ce", "crossentropy")

REMEDY = "set `preparation: {target: none}`"


def check_standardizable(model: keras.Model) -> None:
    """Refuse networks that cannot predict standardized targets, which are negative for many rows.

    Raises
    ------
    ModelError
        Which names the loss, metric or activation, and what to set.
    """
    for name, measure in _measures(model).items():
        if measure in _NEVER_BELOW_0:
            kind = "loss" if name == "loss" else "metric"
            raise ModelError(
                f"model: its {kind} {measure.__name__} is for targets of 0 or more, but a "
                f"regression's targets are standardized; {REMEDY}"
            )
    last = _last_activation(model)
    if last in _GIVE_NONE_BELOW_0:
        raise ModelError(
            f"model: its outputs, after {last.__name__}, are never below 0, but the targets of a "
            f"regression are standardized; end with Dense(outputs), or {REMEDY}"
        )


def target_powers(model: keras.Model, targets: int) -> dict[str, int]:
    """Return which losses and metrics of a model can be converted to the target's units, and how.

    Parameters
    ----------
    model
        Compiled.
    targets
        Number of targets. Losses and metrics of several targets are means over standardized
        targets, and are not converted.

    Returns
    -------
    dict
        Name in the history, without ``val_`` → power of the target's standard deviation. A loss
        includes its penalties, so these are converted as well.
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
    """Convert values of the history, or of one evaluation, to the target's units where possible.

    Parameters
    ----------
    values
        Name → float32 array or number.
    powers
        From `target_powers`.
    scale
        Scale of the one target.
    """
    deviation = float(scale.deviation[0])
    with np.errstate(over="ignore"):  # values beyond float32 become infinite, so diverged
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
    """Return name in the history → what Keras computes under it; empty if a step is custom.

    The value is Keras's function or class if there is one, else the object.
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
    """Return the object that Keras finds for a name, an object or a class; None if none."""
    try:
        return get(given)
    except ValueError:
        return None  # the fit raises and reports the same error


def _measure(found: Any) -> Any:
    """Return the function that a loss or metric wraps, else its class."""
    if type(found) is keras.metrics.R2Score and found.class_aggregation != "uniform_average":
        return found  # it weights several targets by their variances
    measure = isinstance(found, keras.losses.Loss | keras.metrics.Metric)
    if not measure or not type(found).__module__.startswith("keras."):
        return found
    return getattr(found, "fn", None) or getattr(found, "_fn", None) or type(found)


def _last_activation(model: keras.Model) -> Any:
    """Return the activation that produces a network's outputs; None if unknown."""
    outputs = getattr(model, "outputs", None)
    if not outputs:
        return None  # a subclassed model, whose layers may be in any order
    last = outputs[0]._keras_history.operation
    return (
        keras.activations.relu
        if isinstance(last, keras.layers.ReLU)
        else getattr(last, "activation", None)
    )
