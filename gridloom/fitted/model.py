"""A study's fitted model: loaded from its folder, and predicting for new rows."""

from __future__ import annotations

import json
import warnings
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

import numpy as np
import pandas as pd
import pydantic
from scipy.special import expit, softmax

from gridloom.data.description import SplitDescription
from gridloom.data.new_rows import describe_unknown, read_new_rows
from gridloom.data.rows import Features
from gridloom.errors import DataError, GridloomError, GridloomWarning, ModelError
from gridloom.study.schema import Dataset

#: Increment on incompatible changes.
FORMAT = 2

ANEW = "delete the folder and make it anew by `snakemake refit`"

#: Said where a loss does not say what outputs are.
TOLD_UNKNOWN = (
    "it is not known what the network's outputs mean to its loss, which may be one of your own: "
    "they come as scores"
)

LARGEST = ", and the class with the largest one is the predicted one"

NONE = ", and nothing is predicted; choose the threshold yourself"

#: Rows predicted at once: many are fast, images must still fit.
BATCH_ROWS = 256

#: Files of a fitted model, beside a copy of its model file.
NETWORK, PREPARATION, ABOUT = "model.keras", "preparation.joblib", "model.json"


@dataclass(frozen=True)
class FittedModel:
    """A study's fitted model: what prepares rows, the network, and what its outputs mean.

    Attributes
    ----------
    network
        A `keras.Model`, not compiled.
    preparation
        A `gridloom.data.preparation.Preparation`.
    about
        ``model.json``; see `gridloom.fitted.refit`.
    pipeline
        The model file's `input_pipeline` (see `gridloom.networks.pipeline`); None if it has none.
    """

    network: Any
    preparation: Any
    about: Mapping[str, Any]
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
        about = _read_about(folder)
        for name in (NETWORK, PREPARATION, about["model_file"]):
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
            network, pipeline = load_network(folder, about)
        except GridloomError:
            raise
        except Exception as error:
            from gridloom.networks.error_text import describe_error

            raise ModelError(
                f"{folder / NETWORK}: is damaged, or made by another Keras "
                f"({describe_error(error)}); {ANEW}"
            ) from error
        return cls(network, preparation, about, pipeline)

    @property
    def split(self) -> SplitDescription:
        """The description of the study's split."""
        return SplitDescription.from_json(self.about["split"])

    def read(self, path: Path | str) -> Features:
        """Read new rows from a file that is like the study's own.

        Raises
        ------
        DataError
            Naming the column, the row and the remedy.
        """
        dataset = Dataset.model_validate(self.about["dataset"])
        return read_new_rows(Path(path), dataset, self.split)

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
        unknown = describe_unknown(features, self.split)
        if unknown:
            warnings.warn(unknown, GridloomWarning, stacklevel=2)
        inputs = self.preparation.transform(features)
        outputs = outputs_of(self.network, inputs, self.pipeline, target_like(self.about))
        finite = np.isfinite(outputs).all(axis=1)
        if not finite.all():
            raise DataError(
                f"row {int(np.argmin(finite)) + 1}: the network gives no finite number for it; its "
                "values are too far from those of the training rows"
            )
        match self.about["outputs"]["activation"]:
            case "softmax":
                outputs = softmax(outputs, axis=1)
            case "sigmoid":
                outputs = expit(outputs)
        scale = self.preparation.target_scale
        return outputs if scale is None else scale.restored(outputs)

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
        meaning, classes = self.about["outputs"], self.about["classes"]
        threshold = meaning["threshold"]
        targets = self.about["targets"]
        largest = classes is not None and outputs.shape[1] > 1
        unknown = not meaning["known"] if largest else threshold is None
        if self.about["task"] != "regression" and unknown:
            warnings.warn(TOLD_UNKNOWN + (LARGEST if largest else NONE), GridloomWarning, 2)
        score = "probability" if meaning["probabilities"] else "score"
        if classes is not None:
            predicted = f"predicted_{targets[0]}"
            columns: dict[str, Any] = {}
            if largest:
                columns[predicted] = np.asarray(classes, dtype=object)[outputs.argmax(axis=1)]
            elif threshold is not None:
                yes = (outputs[:, 0] > threshold).astype(int)
                columns[predicted] = np.asarray(classes, dtype=object)[yes]
            if outputs.shape[1] == 1 and meaning["probabilities"]:
                outputs = np.hstack([1 - outputs, outputs])
            shown = classes[-outputs.shape[1] :]
            columns |= {f"{score}_{name}": outputs[:, place] for place, name in enumerate(shown)}
            return pd.DataFrame(columns)
        if len(targets) != outputs.shape[1]:  # an array's columns have no names
            targets = [f"{targets[0]}_{place}" for place in range(outputs.shape[1])]
        if self.about["task"] == "regression":
            return pd.DataFrame(outputs, columns=[f"predicted_{name}" for name in targets])
        columns = {}
        if threshold is not None:
            labels = (outputs > threshold).astype(int)
            columns = {f"predicted_{name}": labels[:, place] for place, name in enumerate(targets)}
        columns |= {f"{score}_{name}": outputs[:, place] for place, name in enumerate(targets)}
        return pd.DataFrame(columns)


def _read_about(folder: Path) -> dict[str, Any]:
    """Read ``model.json``."""
    path = folder / ABOUT
    try:
        about = json.loads(path.read_text(encoding="utf-8"))
    except OSError as error:
        raise ModelError(
            f"{path}: cannot be read ({error.strerror}); `snakemake refit` makes it"
        ) from None
    except ValueError:
        raise ModelError(f"{path}: is damaged; {ANEW}") from None
    if isinstance(about, dict) and "format" in about and about["format"] != FORMAT:
        raise ModelError(
            f"{folder}: has format {about['format']}, this version reads {FORMAT}; {ANEW}"
        )
    try:
        _About.model_validate(about)
    except pydantic.ValidationError:
        raise ModelError(f"{path}: is damaged; {ANEW}") from None
    return dict(about)


class _Outputs(pydantic.BaseModel):
    activation: Literal["softmax", "sigmoid"] | None
    probabilities: bool
    threshold: float | None
    known: bool


class _TargetForm(pydantic.BaseModel):
    shape: list[int]
    dtype: Literal["float32", "int32"]


class _Split(pydantic.BaseModel):
    reading: dict[str, str]
    numeric: list[str]
    incomplete: list[str]
    categorical: dict[str, list[str]]
    shape: list[int] | None
    columns: list[str]


class _About(pydantic.BaseModel):
    """What a prediction needs of ``model.json``."""

    format: int
    model_file: str
    task: str
    targets: list[str]
    classes: list[str] | None
    outputs: _Outputs
    dataset: Dataset
    split: _Split
    hyperparameters: dict[str, Any]
    target_form: _TargetForm = _TargetForm(shape=[], dtype="float32")


def target_like(about: Mapping[str, Any]) -> np.ndarray:
    """Return zeros in the form that a row's target had in the fit, shape (1, …)."""
    form = _About.model_validate(about).target_form
    zeros: np.ndarray = np.zeros((1, *form.shape), form.dtype)
    return zeros


def outputs_of(network: Any, inputs: np.ndarray, pipeline: Any, like: np.ndarray) -> np.ndarray:
    """Return what a network gives for prepared rows, float32, shape (rows, outputs).

    Parameters
    ----------
    pipeline
        What the rows go through before; None for nothing.
    like
        From `target_like`.
    """
    if pipeline is not None:
        raw = pipeline.predict(network, inputs, like, BATCH_ROWS)
    else:
        raw = network.predict(inputs, batch_size=BATCH_ROWS, verbose=0)
    outputs: np.ndarray = np.asarray(raw, np.float32)
    return outputs


def load_network(folder: Path, about: Mapping[str, Any]) -> tuple[Any, Any]:
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

    file = load_model_file(folder / about["model_file"])
    network = keras.saving.load_model(
        folder / NETWORK, custom_objects=file.names, compile=False, safe_mode=False
    )
    return network, Pipeline.of(file, about["hyperparameters"])
