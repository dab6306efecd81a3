"""Predict for new rows with a study's fitted model.

``python -m gridloom.predict results/model new.csv`` prints a CSV with a line for each row of
``new.csv``, in its order; ``--output FILE`` writes it instead.
"""

from __future__ import annotations

import argparse
import json
import os
import signal
import sys
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from scipy.special import expit, softmax

from gridloom.data.new_rows import read_new_rows, tell_unknown
from gridloom.data.rows import Features
from gridloom.errors import GridloomError, ModelError
from gridloom.files import atomic_path
from gridloom.study import Dataset

#: Raised when a model of this version cannot be read as the one before.
FORMAT = 1

ANEW = "delete the folder and make it anew by `snakemake refit`"

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
        ``model.json``; see `gridloom.training.refit`.
    """

    network: Any
    preparation: Any
    about: Mapping[str, Any]

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
        try:
            about = json.loads((folder / ABOUT).read_text(encoding="utf-8"))
        except OSError as error:
            raise ModelError(
                f"{folder / ABOUT}: cannot be read ({error.strerror}); `snakemake refit` makes it"
            ) from None
        except ValueError:
            raise ModelError(f"{folder / ABOUT}: is damaged; {ANEW}") from None
        if about.get("format") != FORMAT:
            raise ModelError(
                f"{folder}: has format {about.get('format')}, this version reads {FORMAT}; {ANEW}"
            )
        for name in (NETWORK, PREPARATION, about["model_file"]):
            if not (folder / name).is_file():
                raise ModelError(f"{folder / name}: is not there; {ANEW}")
        # Not before it is needed: TensorFlow takes seconds.
        import joblib
        import keras

        from gridloom.training.model import load_model_file

        names = load_model_file(folder / about["model_file"]).names
        network = keras.saving.load_model(
            folder / NETWORK, custom_objects=names, compile=False, safe_mode=False
        )
        return cls(network, joblib.load(folder / PREPARATION), about)

    def read(self, path: Path | str) -> Features:
        """Read new rows from a file that is like the study's own.

        Raises
        ------
        DataError
            Naming the column, the row and the remedy.
        """
        dataset = Dataset.model_validate(self.about["dataset"])
        return read_new_rows(Path(path), dataset, self.about["split"])

    def outputs(self, features: Features) -> np.ndarray:
        """Return what the network gives for each row, float32, shape (rows, outputs).

        Logits, which the loss took for what they are, come as probabilities; numbers come in the
        units of the targets.
        """
        inputs = self.preparation.transform(features)
        raw = self.network.predict(inputs, batch_size=BATCH_ROWS, verbose=0)
        outputs: np.ndarray = np.asarray(raw, np.float32)
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
            numbers ``predicted_<target>`` for each.
        """
        outputs = self.outputs(features)
        meaning, classes = self.about["outputs"], self.about["classes"]
        score = "probability" if meaning["probabilities"] else "score"
        targets = self.about["targets"]
        if classes is not None:
            if outputs.shape[1] == 1:
                codes = (outputs[:, 0] > meaning["threshold"]).astype(int)
                if meaning["probabilities"]:
                    outputs = np.hstack([1 - outputs, outputs])
            else:
                codes = outputs.argmax(axis=1)
            shown = classes[-outputs.shape[1] :]
            return pd.DataFrame(
                {f"predicted_{targets[0]}": np.asarray(classes, dtype=object)[codes]}
                | {f"{score}_{name}": outputs[:, place] for place, name in enumerate(shown)}
            )
        if len(targets) != outputs.shape[1]:  # an array's columns have no names
            targets = [f"{targets[0]}_{place}" for place in range(outputs.shape[1])]
        if self.about["task"] == "regression":
            return pd.DataFrame(outputs, columns=[f"predicted_{name}" for name in targets])
        labels = (outputs > meaning["threshold"]).astype(int)
        return pd.DataFrame(
            {f"predicted_{name}": labels[:, place] for place, name in enumerate(targets)}
            | {f"{score}_{name}": outputs[:, place] for place, name in enumerate(targets)}
        )


def main(arguments: list[str]) -> None:
    """Read new rows, predict, and print or write the table."""
    parser = argparse.ArgumentParser(
        prog="python -m gridloom.predict",
        description="Predict for new rows with the model that `snakemake refit` made.",
    )
    parser.add_argument("model", type=Path, help="folder of the model, such as results/model")
    parser.add_argument("rows", type=Path, help="CSV, TSV, Parquet or NPZ file like the study's")
    parser.add_argument("--output", type=Path, help="CSV file to write; else it is printed")
    asked = parser.parse_args(arguments)

    from gridloom.training.process import loading, output_to, set_devices, set_libraries

    set_libraries()
    with loading(), output_to(os.devnull):  # what TensorFlow tells of itself
        set_devices(os.cpu_count() or 1, [])
    try:
        model = FittedModel.load(asked.model)
        features = model.read(asked.rows)
        unknown = tell_unknown(features, model.about["split"])
        if unknown:
            print(unknown, file=sys.stderr)
        predictions = model.predict(features)
        if asked.output is None:
            predictions.to_csv(sys.stdout, index=False)
        else:
            with atomic_path(asked.output) as beside:
                predictions.to_csv(beside, index=False)
    except GridloomError as error:
        sys.exit(str(error))


if __name__ == "__main__":
    signal.signal(signal.SIGPIPE, signal.SIG_DFL)  # `| head` ends it in peace
    main(sys.argv[1:])
