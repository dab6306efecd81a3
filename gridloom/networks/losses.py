"""The form of targets that a loss takes, and the meaning of outputs under it.

Both follow from the class and function of the loss, never from its name:
`SparseCategoricalCrossentropy(name="ce")` is sparse, and a user's ``my_crossentropy`` may take
logits.
"""

from __future__ import annotations

import functools
import sys
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Literal

import keras

from gridloom.errors import ModelError

Outputs = Literal["classes", "labels", "values", "margins", "scores", "unknown"]

#: Function of Keras → meaning of outputs: probabilities of exclusive classes (softmax), or of each
#: label (sigmoid); values near 0 and 1; margins around 0; scores whose order alone has a meaning.
_OUTPUTS: dict[str, Outputs] = {
    "categorical_crossentropy": "classes",
    "categorical_focal_crossentropy": "classes",
    "categorical_generalized_cross_entropy": "classes",
    "sparse_categorical_crossentropy": "classes",
    "binary_crossentropy": "labels",
    "binary_focal_crossentropy": "labels",
    "hinge": "margins",
    "squared_hinge": "margins",
    "categorical_hinge": "scores",
    "cosine_similarity": "scores",
    "dice": "values",
    "huber": "values",
    "kl_divergence": "values",
    "log_cosh": "values",
    "mean_absolute_error": "values",
    "mean_absolute_percentage_error": "values",
    "mean_squared_error": "values",
    "mean_squared_logarithmic_error": "values",
    "poisson": "values",
    "tversky": "values",
}

#: Functions of Keras that take the index of the class.
_SPARSE = ("sparse_categorical_crossentropy", "categorical_generalized_cross_entropy")


@dataclass(frozen=True)
class LossTraits:
    """The form of targets that a loss takes, and the meaning of outputs under it.

    Attributes
    ----------
    sparse
        Whether it takes classes as indices instead of one-hot.
    outputs
        See `_OUTPUTS`; ``unknown`` for a user's own loss.
    logits
        Whether it takes logits instead of probabilities.
    """

    sparse: bool
    outputs: Outputs
    logits: bool = False

    def meaning(self, width: int) -> dict[str, Any]:
        """Describe how to read outputs.

        Parameters
        ----------
        width
            Number of outputs for a row.

        Returns
        -------
        dict
            `activation`: ``softmax`` or ``sigmoid``, which turns logits into probabilities, or
            None. `probabilities`: whether outputs are then probabilities. `threshold`: value above
            which a single output means yes; None if unknown. `known`: whether the largest output is
            known to be that of the likeliest class.
        """
        probabilities = self.outputs in ("classes", "labels")
        together = self.outputs == "classes" and width > 1
        return {
            "activation": ("softmax" if together else "sigmoid") if self.logits else None,
            "probabilities": probabilities,
            "threshold": 0.5
            if probabilities or self.outputs == "values"
            else {"margins": 0.0}.get(self.outputs),
            "known": self.outputs != "unknown",
        }


def loss_traits(loss: Any, width: int) -> LossTraits:
    """Return the traits of the loss that `compile` got.

    A user's own loss is assumed to take the index of the class if the name of its function or class
    begins with ``sparse``; the meaning of outputs is unknown.

    Parameters
    ----------
    loss
        A name in any spelling that Keras accepts, a function, a `keras.losses.Loss`, a
        `functools.partial` of these, or a list or dictionary of one of them; None if layers add
        the loss.
    width
        Number of outputs for a row.

    Raises
    ------
    ModelError
        If Keras knows no loss of this name.
    """
    if isinstance(loss, list | tuple) and len(loss) == 1:
        return loss_traits(loss[0], width)
    if isinstance(loss, Mapping) and len(loss) == 1:
        return loss_traits(next(iter(loss.values())), width)
    if isinstance(loss, str):
        if loss.lower() in ("crossentropy", "ce"):  # Keras chooses the function by the shapes
            return LossTraits(False, "labels" if width == 1 else "classes")
        try:
            loss = keras.losses.get(loss)
        except ValueError as error:
            raise ModelError(f"model: {error}") from None
    function, settings = _function(loss)
    name = getattr(function, "__name__", type(function).__name__)
    if not _is_keras(function):
        return LossTraits(name.lower().startswith("sparse"), "unknown")
    logits = bool(settings.get("from_logits"))
    return LossTraits(name in _SPARSE, _OUTPUTS.get(name, "unknown"), logits)


def _function(loss: Any) -> tuple[Any, dict[str, Any]]:
    """Return the function that a loss computes, and its settings.

    A user's own loss object is returned itself.
    """
    wrapper: Any = keras.losses.MeanSquaredError.__mro__[1]  # Keras has no public name for it
    if isinstance(loss, functools.partial) and not loss.args:
        function, settings = _function(loss.func)
        return function, {**settings, **loss.keywords}
    own = type(loss)
    if isinstance(loss, wrapper) and own.call is wrapper.call and own.__call__ is wrapper.__call__:
        function, settings = _function(loss.fn)
        return function, {**settings, **loss._fn_kwargs}
    return loss, {}


def _is_keras(function: Any) -> bool:
    module, name = getattr(function, "__module__", ""), getattr(function, "__name__", "")
    return module.startswith("keras.") and vars(sys.modules[module]).get(name) is function
