"""Score predictions of other models by the loss and metrics that a network is compiled with."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import keras
import numpy as np

from gridloom.data.preparation import PreparedRows
from gridloom.engines.model_fit import numbers
from gridloom.networks.losses import loss_traits
from gridloom.networks.targets import encode_target
from gridloom.training.units import in_target_units, target_powers

_EPSILON = 1e-7

#: Prefix of the names of metrics that are measured on validation rows.
_VALIDATION = "val_"


@dataclass(frozen=True)
class KerasMetric:
    """A study's objective as its network measures it.

    Attributes
    ----------
    network
        Compiled; scoring resets its metrics, so it must have no other use.
    objective
        Such as ``val_loss``.
    classes
        Labels; None in a regression or with several labels a row.
    """

    network: keras.Model
    objective: str
    classes: list[str] | None

    def why_not(self) -> str | None:
        """Describe why it cannot score other models' predictions; None if it can."""
        loss = self.network.loss
        if not self.objective.startswith(_VALIDATION):
            return f"{self.objective} is not measured on validation rows"
        if loss_traits(loss, 1).outputs == "unknown" and self.network.loss is not None:
            return "the network's loss is one of your own: it is not known what its outputs mean"
        return None

    def __call__(self, predicted: np.ndarray, rows: PreparedRows) -> float:
        """Score predictions for the validation rows, all in one batch.

        The loss does not include penalties on the network's weights, because a baseline has none.

        Parameters
        ----------
        predicted
            As `gridloom.baselines.fits.predict` returns them.

        Returns
        -------
        float
            NaN if the objective is neither the loss nor a metric that the network is compiled with.
        """
        network, shape = self.network, rows.x_val.shape[1:]
        y = encode_target(network, shape, rows.y_val, self.classes)
        outputs = keras.ops.convert_to_tensor(self._as_outputs(predicted, y))
        network.reset_metrics()
        total = network.compute_loss(y=y, y_pred=outputs, training=False)
        penalties = sum(map(float, network.losses))
        values: dict[str, Any] = numbers(network.compute_metrics(rows.x_val, y, outputs))
        values["loss"] = float(total) - penalties
        if rows.target_scale is not None:
            powers = target_powers(network, predicted.shape[1])
            values = in_target_units(values, powers, rows.target_scale)
        return float(values.get(self.objective.removeprefix(_VALIDATION), np.nan))

    def _as_outputs(self, predicted: np.ndarray, y: np.ndarray) -> np.ndarray:
        """Return predictions in the form of outputs that the network's loss takes."""
        alone = self.classes is not None and y.ndim == 2 and y.shape[1] == 1
        outputs = predicted[:, 1:] if alone else predicted
        traits = loss_traits(self.network.loss, outputs.shape[1])
        if traits.logits:
            outputs = np.clip(outputs, _EPSILON, 1 - _EPSILON)
            together = traits.meaning(outputs.shape[1])["activation"] == "softmax"
            outputs = np.log(outputs) - (0 if together else np.log(1 - outputs))
        elif traits.outputs == "margins":
            outputs = 2 * outputs - 1
        return outputs.astype(np.float32)
