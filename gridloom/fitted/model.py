"""A study's fitted model: loaded from its folder, and predicting for new rows."""

from __future__ import annotations

import warnings
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from gridloom.data.new_rows import describe_unknown, read_new_rows
from gridloom.data.rows import Features
from gridloom.errors import DataError, GridloomError, GridloomWarning, ModelError
from gridloom.fitted.card import ANEW, Card

#: Said where a loss does not say what outputs are.
TOLD_UNKNOWN = (
    "it is not known what the network's outputs mean to its loss, which may be one of your own: "
    "they come as scores"
)

LARGEST = ", and the class with the largest one is the predicted one"

NONE = ", and nothing is predicted; choose the threshold yourself"

#: Rows predicted at once: many are fast, images must still fit.
BATCH_ROWS = 256

#: Files of a fitted model, beside its card and a copy of its model file.
NETWORK, PREPARATION = "model.keras", "preparation.joblib"


@dataclass(frozen=True)
class FittedModel:
    """A study's fitted model: what prepares rows, the network, and what its outputs mean.

    Attributes
    ----------
    network
        A `keras.Model`, not compiled.
    preparation
        A `gridloom.data.preparation.Preparation`.
    card
        What is to be known of it.
    pipeline
        The model file's `input_pipeline` (see `gridloom.networks.pipeline`); None if it has none.
    """

    network: Any
    preparation: Any
    card: Card
    pipeline: Any = None

    @classmethod
    def load(cls, folder: Path | str) -> FittedModel:
        """Load what ``snakemake refit`` made.

        This runs code: the model file, and whatever the two saved files ask for.

        Raises
        ------
        ModelError
            If the folder holds no fitted model, a damaged one, or one of another version.
        """
        folder = Path(folder)
        card = Card.read(folder)
        for name in (NETWORK, PREPARATION, card.model_file):
            if not (folder / name).is_file():
                raise ModelError(f"{folder / name}: is not there; {ANEW}")
        # Not before it is needed: TensorFlow takes seconds.
        import joblib

        from gridloom.data.preparation import Preparation

        try:
            preparation = joblib.load(folder / PREPARATION)
        except Exception:  # whatever a damaged pickle may raise
            preparation = None
        if not isinstance(preparation, Preparation):
            raise ModelError(f"{folder / PREPARATION}: is damaged; {ANEW}")
        try:
            network, pipeline = load_network(folder, card)
        except GridloomError:
            raise
        except Exception as error:
            from gridloom.networks.error_text import describe_error

            raise ModelError(
                f"{folder / NETWORK}: is damaged, or made by another Keras "
                f"({describe_error(error)}); {ANEW}"
            ) from error
        return cls(network, preparation, card, pipeline)

    def read(self, path: Path | str) -> Features:
        """Read new rows from a file that is like the study's own.

        Raises
        ------
        DataError
            Naming the column, the row and the remedy.
        """
        return read_new_rows(Path(path), self.card.dataset, self.card.split)

    def outputs(self, features: Features) -> np.ndarray:
        """Return what the network gives for each row, float32, shape (rows, outputs).

        Logits, which the loss took for what they are, come as probabilities; numbers come in the
        units of the targets.

        Warns
        -----
        GridloomWarning
            If rows hold what no training row had.

        Raises
        ------
        DataError
            If a row cannot be computed with.
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
            As `read` returns them.

        Returns
        -------
        DataFrame
            A row for each row. For classes ``predicted_<target>`` and, for each class,
            ``probability_<class>`` (``score_<class>`` if the loss is none of probabilities); for
            several labels ``predicted_<label>``, 0 or 1, and ``probability_<label>`` for each; for
            numbers ``predicted_<target>`` for each. Without ``predicted_…`` if it is not known
            which scores mean yes.

        Warns
        -----
        GridloomWarning
            If rows hold what no training row had, or if it is not known what outputs mean to the
            loss.
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
            warnings.warn(TOLD_UNKNOWN + NONE, GridloomWarning, stacklevel=3)
        elif outputs.shape[1] > 1 and not meaning.known:
            warnings.warn(TOLD_UNKNOWN + LARGEST, GridloomWarning, stacklevel=3)
        columns: dict[str, Any] = {}
        if predicted is not None:
            labels = np.asarray(classes, dtype=object)
            columns[f"predicted_{self.card.split.targets[0]}"] = labels[predicted]
        probabilities = meaning.class_probabilities(outputs)
        shown = outputs if probabilities is None else probabilities
        named = classes[-shown.shape[1] :]  # one score is that of the second class
        return pd.DataFrame(columns | self._scores(shown, named))

    def _labels(self, outputs: np.ndarray, names: list[str]) -> pd.DataFrame:
        """Return 0 or 1 and the score of each label."""
        predicted = self.card.outputs.predicted_labels(outputs)
        columns: dict[str, Any] = {}
        if predicted is None:
            warnings.warn(TOLD_UNKNOWN + NONE, GridloomWarning, stacklevel=3)
        else:
            columns = {f"predicted_{name}": predicted[:, i] for i, name in enumerate(names)}
        return pd.DataFrame(columns | self._scores(outputs, names))

    def _scores(self, scores: np.ndarray, names: list[str]) -> dict[str, np.ndarray]:
        """Name the columns of probabilities, or of scores that are none."""
        kind = "probability" if self.card.outputs.probabilities else "score"
        return {f"{kind}_{name}": scores[:, place] for place, name in enumerate(names)}


def target_names(targets: list[str], outputs: int) -> list[str]:
    """Name each of a row's targets; the columns of an array have no names but their places."""
    if len(targets) == outputs:
        return targets
    return [f"{targets[0]}_{place}" for place in range(outputs)]


def outputs_of(network: Any, inputs: np.ndarray, pipeline: Any, like: np.ndarray) -> np.ndarray:
    """Return what a network gives for prepared rows, float32, shape (rows, outputs).

    Parameters
    ----------
    pipeline
        What the rows go through before; None for nothing.
    like
        A target in the form that it had in the fit, shape (1, …).
    """
    if pipeline is not None:
        raw = pipeline.predict(network, inputs, like, BATCH_ROWS)
    else:
        raw = network.predict(inputs, batch_size=BATCH_ROWS, verbose=0)
    outputs: np.ndarray = np.asarray(raw, np.float32)
    return outputs


def load_network(folder: Path, card: Card) -> tuple[Any, Any]:
    """Load the network of a fitted model and its `input_pipeline`, if it has one.

    The model file runs before.

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
