"""The objective: whether a network measures it, checked before it trains if possible."""

from __future__ import annotations

from collections.abc import Collection
from typing import Any

from gridloom.errors import GridloomError, nearest

#: Methods of a model that determine what `model.fit` logs.
_LOGGING = ("fit", "train_step", "test_step", "compute_metrics", "get_metrics_result")


class ObjectiveError(GridloomError):
    """No training of the study can be ranked, because the objective is not measured."""


def check_objective(objective: str, names: Collection[str]) -> None:
    """Check that the objective is measured.

    Parameters
    ----------
    objective
        As in the study.
    names
        Metrics that a network measures, on training and validation rows.

    Raises
    ------
    ObjectiveError
        Which lists all names and suggests the nearest. It suggests no training metric that is also
        measured on validation rows, because that would rank by rows that the network has seen.
    """
    if objective in names:
        return
    offered = [name for name in names if f"val_{name}" not in names]
    hint = nearest(objective, offered) or nearest(f"val_{objective}", offered)
    raise ObjectiveError(
        f"objective.metric: there is no {objective!r}{hint}; there are {', '.join(names)}"
    )


def measured_names(model: Any, x: Any, y: Any, *, by_keras: bool) -> list[str] | None:
    """Return the metrics that a training will measure; None if only the training shows them.

    Parameters
    ----------
    model
        A compiled network, which cannot be used afterwards: metrics create their variables here.
    x, y
        Prepared inputs, and targets in the form that the loss takes, of some rows.
    by_keras
        Whether `model.fit` trains, which logs what the model's own methods return.
    """
    if by_keras and not all(
        str(getattr(getattr(model, name), "__module__", "")).startswith("keras.")
        for name in _LOGGING
    ):
        return None
    # Importing TensorFlow takes seconds.
    import tensorflow as tf

    from gridloom.engines.model_fit import numbers

    try:
        model.test_step((tf.constant(x), tf.constant(y)))
    except Exception:
        return None  # the fit raises and reports the same error
    names = list(numbers(model.get_metrics_result()))
    return [*names, *(f"val_{name}" for name in names)]
