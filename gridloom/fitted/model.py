"""A study's fitted model: load it from its folder, and predict for new rows."""

from __future__ import annotations

import warnings
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from gridloom.data.new_rows import NewRows, describe_unknown, read_new_rows
from gridloom.data.rows import Features
from gridloom.errors import DataError, GridloomError, GridloomWarning, ModelError
from gridloom.fitted.card import REMEDY, Card

#: Warning about a loss that does not say what the network's outputs mean.
UNKNOWN_OUTPUTS = (
    "the loss, which may be one of your own, does not say what the network's outputs mean: they "
    "are shown as scores"
)

#: Two ends of this warning: for a score of each class, and for a single score.
LARGEST = ", and the predicted class is the one with the largest score"
NONE = ", and nothing is predicted; choose the threshold yourself"

#: Rows in a batch of predictions: large batches are fast, but images must fit into memory.
BATCH_ROWS = 256

#: Files of a fitted model, beside its card and a copy of its model file.
NETWORK, PREPARATION = "model.keras", "preparation.joblib"


@dataclass(frozen=True)
class FittedModel:
    """A study's fitted model: the preparation of rows, the network, and what its outputs mean.

    Attributes
    ----------
    network
        A `keras.Model`, not compiled.
    preparation
        A `gridloom.data.preparation.Preparation`.
    card
        What is recorded about it.
    pipeline
        The model file's `input_pipeline` (see `gridloom.networks.pipeline`); None if it has none.
    """

    network: Any
    preparation: Any
    card: Card
    pipeline: Any = None

    @classmethod
    def load(cls, folder: Path | str) -> FittedModel:
        """Load a model that ``snakemake refit`` saved.

        This runs code: the model file, and any code in the saved network and preparation.

        Raises
        ------
        ModelError
            If the folder holds no fitted model, a damaged one, or one of another version.
        """
        folder = Path(folder)
        card = Card.read(folder)
        for name in (NETWORK, PREPARATION, card.model_file):
            if not (folder / name).is_file():
                raise ModelError(f"{folder / name}: does not exist; {REMEDY}")
        # Imported late: TensorFlow takes seconds.
        import joblib

        from gridloom.data.preparation import Preparation

        try:
            preparation = joblib.load(folder / PREPARATION)
        except Exception:  # whatever a damaged pickle may raise
            preparation = None
        if not isinstance(preparation, Preparation):
            raise ModelError(f"{folder / PREPARATION}: is damaged; {REMEDY}")
        try:
            network, pipeline = load_network(folder, card)
        except GridloomError:
            raise
        except Exception as error:
            from gridloom.networks.error_text import describe_error

            raise ModelError(
                f"{folder / NETWORK}: is damaged, or another version of Keras saved it "
                f"({describe_error(error)}); {REMEDY}"
            ) from error
        return cls(network, preparation, card, pipeline)

    def read(self, path: Path | str) -> NewRows:
        """Read new rows from a file that is built like the study's data.

        Raises
        ------
        DataError
            If a value cannot be used; the message names the column, the row and the remedy.
        """
        return read_new_rows(Path(path), self.card.dataset, self.card.split)

    def outputs(self, features: Features) -> np.ndarray:
        """Return the network's outputs for each row, float32, shape (rows, outputs).

        If the loss takes logits, they are turned into probabilities. Numbers are in the units of
        the targets.

        Warns
        -----
        GridloomWarning
            If rows hold values that no training row had.

        Raises
        ------
        DataError
            If the values of a row are too far from those of the training rows to compute with.
        ModelError
            If the model file's `input_pipeline` fails, or changes the order of the rows.
        """
        unknown = describe_unknown(features, self.card.split)
        if unknown:
            warnings.warn(unknown, GridloomWarning, stacklevel=2)
        inputs = self.preparation.transform(features)
        raw = outputs_of(self.network, inputs, self.pipeline, self.card.target_form.zeros)
        finite = np.isfinite(raw).all(axis=1)
        if not finite.all():
            raise DataError(
                f"row {int(np.argmin(finite)) + 1}: the network gives no finite number for it; its "
                "values are too far from those of the training rows"
            )
        return self.card.outputs.read(raw, self.preparation.target_scale)

    def predict(self, features: Features) -> pd.DataFrame:
        """Predict for each row.

        Parameters
        ----------
        features
            As `read` returns them; `NewRows.label` puts the row's id before its prediction.

        Returns
        -------
        DataFrame
            One row for each row of `features`. For classes: ``predicted_<target>``, and
            ``probability_<class>`` for each class (``score_<class>`` if the loss does not take
            probabilities). For several labels: ``predicted_<label>``, 0 or 1, and
            ``probability_<label>`` for each label. For numbers: ``predicted_<target>`` for each
            target. There is no ``predicted_…`` if it is not known which scores mean yes.

        Warns
        -----
        GridloomWarning
            If rows hold values that no training row had, or if the loss does not say what the
            outputs mean.
        """
        outputs = self.outputs(features)
        classes = self.card.split.classes
        if classes is not None:
            return self._classes(outputs, classes)
        names = target_names(self.card.split.targets, outputs.shape[1])
        if self.card.split.task == "regression":
            return pd.DataFrame(outputs, columns=[f"predicted_{name}" for name in names])
        return self._labels(outputs, names)

    def _classes(self, outputs: np.ndarray, classes: list[str]) -> pd.DataFrame:
        """Return the predicted class and the score of each class."""
        meaning = self.card.outputs
        predicted = meaning.predicted_classes(outputs)
        if predicted is None:
            warnings.warn(UNKNOWN_OUTPUTS + NONE, GridloomWarning, stacklevel=3)
        elif outputs.shape[1] > 1 and not meaning.known:
            warnings.warn(UNKNOWN_OUTPUTS + LARGEST, GridloomWarning, stacklevel=3)
        columns: dict[str, Any] = {}
        if predicted is not None:
            labels = np.asarray(classes, dtype=object)
            columns[f"predicted_{self.card.split.targets[0]}"] = labels[predicted]
        probabilities = meaning.class_probabilities(outputs)
        shown = outputs if probabilities is None else probabilities
        named = classes[-shown.shape[1] :]  # a single score belongs to the second class
        return pd.DataFrame(columns | self._scores(shown, named))

    def _labels(self, outputs: np.ndarray, names: list[str]) -> pd.DataFrame:
        """Return 0 or 1 and the score of each label."""
        predicted = self.card.outputs.predicted_labels(outputs)
        columns: dict[str, Any] = {}
        if predicted is None:
            warnings.warn(UNKNOWN_OUTPUTS + NONE, GridloomWarning, stacklevel=3)
        else:
            columns = {f"predicted_{name}": predicted[:, i] for i, name in enumerate(names)}
        return pd.DataFrame(columns | self._scores(outputs, names))

    def _scores(self, scores: np.ndarray, names: list[str]) -> dict[str, np.ndarray]:
        """Name the columns of probabilities, or of scores that are not probabilities."""
        kind = "probability" if self.card.outputs.probabilities else "score"
        return {f"{kind}_{name}": scores[:, place] for place, name in enumerate(names)}


def target_names(targets: list[str], outputs: int) -> list[str]:
    """Return a name for each target of a row; columns of an array are numbered from 0."""
    if len(targets) == outputs:
        return targets
    return [f"{targets[0]}_{place}" for place in range(outputs)]


def outputs_of(network: Any, inputs: np.ndarray, pipeline: Any, like: np.ndarray) -> np.ndarray:
    """Return a network's outputs for prepared rows, float32, shape (rows, outputs).

    Parameters
    ----------
    pipeline
        The model file's `input_pipeline`, which the rows pass first; None if it has none.
    like
        A target in the form that targets had in the fit, shape (1, …).
    """
    if pipeline is not None:
        raw = pipeline.predict(network, inputs, like, BATCH_ROWS)
    else:
        raw = network.predict(inputs, batch_size=BATCH_ROWS, verbose=0)
    outputs: np.ndarray = np.asarray(raw, np.float32)
    return outputs


def load_network(folder: Path, card: Card) -> tuple[Any, Any]:
    """Load the network of a fitted model and its `input_pipeline`, if it has one.

    This runs the model file first.

    Raises
    ------
    Exception
        Whatever Keras raises.
    """
    import keras

    from gridloom.networks.model_file import load_model_file
    from gridloom.networks.pipeline import Pipeline

    file = load_model_file(folder / card.model_file)
    network = keras.saving.load_model(
        folder / NETWORK, custom_objects=file.names, compile=False, safe_mode=False
    )
    return network, Pipeline.of(file, card.hyperparameters)
