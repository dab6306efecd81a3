"""What the outputs of a fitted network mean."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

import numpy as np
from scipy.special import expit, softmax

from gridloom.data.preparation import TargetScale


@dataclass(frozen=True)
class OutputMeaning:
    """How a network's outputs are to be read (see `gridloom.networks.losses.LossTraits.meaning`).

    Attributes
    ----------
    activation
        What makes probabilities of logits; None if outputs are none.
    probabilities
        Whether outputs are probabilities then.
    threshold
        Above it, a single output means yes; None if that is not known.
    known
        Whether the largest of several outputs is known to be that of the likeliest class.
    """

    activation: Literal["softmax", "sigmoid"] | None
    probabilities: bool
    threshold: float | None
    known: bool

    def read(self, raw: np.ndarray, scale: TargetScale | None) -> np.ndarray:
        """Return outputs as people read them: logits as probabilities, numbers in their units.

        Parameters
        ----------
        raw
            Float32, shape (rows, outputs).
        scale
            What the targets were standardized by; None if they were not.
        """
        outputs = raw
        match self.activation:
            case "softmax":
                outputs = softmax(raw, axis=1)
            case "sigmoid":
                outputs = expit(raw)
        return outputs if scale is None else scale.restored(outputs)

    def predicted_classes(self, outputs: np.ndarray) -> np.ndarray | None:
        """Return the index of each row's class, shape (rows,); None if that is not known."""
        if outputs.shape[1] > 1:
            largest: np.ndarray = outputs.argmax(axis=1)
            return largest
        return None if self.threshold is None else (outputs[:, 0] > self.threshold).astype(int)

    def predicted_labels(self, outputs: np.ndarray) -> np.ndarray | None:
        """Return 0 or 1 for each label, shape (rows, labels); None if that is not known."""
        return None if self.threshold is None else (outputs > self.threshold).astype(int)

    def class_probabilities(self, outputs: np.ndarray) -> np.ndarray | None:
        """Return the probability of each class, shape (rows, classes); None if there is none."""
        if not self.probabilities:
            return None
        return np.hstack([1 - outputs, outputs]) if outputs.shape[1] == 1 else outputs
