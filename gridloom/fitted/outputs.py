"""What the outputs of a fitted network mean."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

import numpy as np
from scipy.special import expit, softmax

from gridloom.data.preparation import TargetScale


@dataclass(frozen=True)
class OutputMeaning:
    """What a network's outputs mean (see `gridloom.networks.losses.LossTraits.meaning`).

    Attributes
    ----------
    activation
        Function that turns logits into probabilities; None if outputs are not logits.
    probabilities
        Whether outputs are probabilities, after the activation if there is one.
    threshold
        A single output above it means yes; None if it is not known.
    known
        Whether the largest of several outputs is known to belong to the likeliest class.
    """

    activation: Literal["softmax", "sigmoid"] | None
    probabilities: bool
    threshold: float | None
    known: bool

    def read(self, raw: np.ndarray, scale: TargetScale | None) -> np.ndarray:
        """Return outputs that people can read: logits as probabilities, numbers in their units.

        Parameters
        ----------
        raw
            Float32, shape (rows, outputs).
        scale
            Scale by which the targets were standardized; None if they were not.
        """
        outputs = raw
        match self.activation:
            case "softmax":
                outputs = softmax(raw, axis=1)
            case "sigmoid":
                outputs = expit(raw)
        return outputs if scale is None else scale.restored(outputs)

    def predicted_classes(self, outputs: np.ndarray) -> np.ndarray | None:
        """Return the index of each row's predicted class, shape (rows,); None if not known."""
        if outputs.shape[1] > 1:
            largest: np.ndarray = outputs.argmax(axis=1)
            return largest
        return None if self.threshold is None else (outputs[:, 0] > self.threshold).astype(int)

    def predicted_labels(self, outputs: np.ndarray) -> np.ndarray | None:
        """Return 0 or 1 for each label, shape (rows, labels); None if not known."""
        return None if self.threshold is None else (outputs > self.threshold).astype(int)

    def class_probabilities(self, outputs: np.ndarray) -> np.ndarray | None:
        """Return the probability of each class, shape (rows, classes); None if there is none."""
        if not self.probabilities:
            return None
        return np.hstack([1 - outputs, outputs]) if outputs.shape[1] == 1 else outputs
