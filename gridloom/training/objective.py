"""The objective: whether a network measures it, told before it trains where that can be known."""

from __future__ import annotations

from collections.abc import Collection
from typing import TYPE_CHECKING, Any

from gridloom.errors import GridloomError, nearest

if TYPE_CHECKING:  # scikit-learn takes a second, and the tables check objectives too
    from gridloom.data.preparation import PreparedRows

#: Methods of a model that decide what `model.fit` logs.
_LOGGING = ("fit", "train_step", "test_step", "compute_metrics", "get_metrics_result")


class ObjectiveError(GridloomError):
    """No training of the study can be ranked: the objective is not measured."""


def check_objective(objective: str, names: Collection[str]) -> None:
    """See that the objective is measured.

    Parameters
    ----------
    objective
        As in the study.
    names
        What a network measures, training and validation.

    Raises
    ------
    ObjectiveError
        With all names, and the nearest one, but never a metric of the training rows that is
        measured on the validation rows as well: it would rank by what the network has seen.
    """
    if objective in names:
        return
    offered = [name for name in names if f"val_{name}" not in names]
    hint = nearest(objective, offered) or nearest(f"val_{objective}", offered)
    raise ObjectiveError(
        f"objective.metric: there is no {objective!r}{hint}; there are {', '.join(names)}"
    )


def measured_names(model: Any, rows: PreparedRows, *, by_keras: bool) -> list[str] | None:
    """Return what a training will measure; None if only the training can tell.

    Parameters
    ----------
    model
        A compiled network of no other use: metrics make their variables here.
    rows
        Of which one is measured, targets in the form that the loss takes.
    by_keras
        Whether `model.fit` trains, which logs whatever the model's own methods return.
    """
    if by_keras and not all(
        str(getattr(getattr(model, name), "__module__", "")).startswith("keras.")
        for name in _LOGGING
    ):
        return None
    # TensorFlow takes seconds.
    import tensorflow as tf

    from gridloom.engines.model_fit import numbers

    try:
        model.test_step((tf.constant(rows.x_train[:1]), tf.constant(rows.y_train[:1])))
    except Exception:
        return None  # the fit meets the same error, and tells it
    names = list(numbers(model.get_metrics_result()))
    return [*names, *(f"val_{name}" for name in names)]
