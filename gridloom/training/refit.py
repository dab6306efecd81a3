"""The model of a study: the chosen point fitted on all training rows, scored on the test rows."""

from __future__ import annotations

import json
import math
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import joblib
import keras
import numpy as np

from gridloom.analysis.selection import Choice
from gridloom.data.preparation import Preparation, PreparedRows, row_weights, training_rows
from gridloom.errors import GridloomError, ModelError
from gridloom.files import atomic_path, write_text
from gridloom.grid import read_path, table_value
from gridloom.predict import ABOUT, FORMAT, NETWORK, PREPARATION, FittedModel
from gridloom.seeds import training_seeds
from gridloom.training import keras_fit
from gridloom.training.fit import Training
from gridloom.training.model import (
    build,
    encode_target,
    load_model_file,
    loss_name,
    make_callbacks,
    told,
)
from gridloom.training.model_code import read_model_code
from gridloom.training.record import shortest
from gridloom.training.run import environment


@dataclass(frozen=True)
class Refitted:
    """A fitted network, what prepares its inputs, and what is to be known of both.

    Attributes
    ----------
    network, preparation
        Both fitted on all training rows.
    about
        ``model.json``; see `refit`.
    inputs, outputs
        Prepared test rows, shape (rows, …), and what the network gives for them, shape
        (rows, outputs), to compare a saved network by.
    """

    network: keras.Model
    preparation: Preparation
    about: dict[str, Any]
    inputs: np.ndarray
    outputs: np.ndarray


def refit(
    choice: Choice,
    setup: Mapping[str, Any],
    dataset: Mapping[str, Any],
    *,
    train_file: Path,
    test_file: Path,
    split_file: Path,
    model_file: Path,
) -> Refitted:
    """Fit a point on all training rows and score it on the test rows.

    The fit is that of the keras engine, with the random streams of repetition 0, for
    `choice.epochs` epochs: no row is left to validate, so nothing can stop it early, and
    callbacks that watch validation find none.

    Parameters
    ----------
    choice
        The point, and for how many epochs.
    setup
        What determines a training besides its point and repetition.
    dataset
        As in the study; noted, so that new rows can be read likewise.

    Returns
    -------
    Refitted
        `about` holds the point, why it was chosen, `epochs`, `seeds`, what the loss and metrics
        are on the training rows (of the last epoch, with dropout and weights) and on the test rows
        (without), and what a prediction needs: task, classes, targets, how outputs are meant.

    Raises
    ------
    GridloomError
        If the model file is wrong, or the fit diverges.
    """
    description = json.loads(split_file.read_text(encoding="utf-8"))
    rows = training_rows(train_file, description)
    test = training_rows(test_file, description)
    preparation = Preparation(description, setup["scaling"])
    x = preparation.fit_transform(rows.features)
    x_test = preparation.transform(test.features)
    shape = x.shape[1:]
    point: dict[str, Any] = read_path(choice.point)
    seeds = training_seeds(setup["seed"], 0, setup["vary"])
    file = load_model_file(model_file, read_model_code(model_file, setup.get("model file")))
    network = build(file.build_model, shape, rows.outputs, point, seeds.init, seed_tensorflow=True)
    y = encode_target(network, shape, rows.target, rows.classes)
    weights = row_weights(rows, np.arange(len(y)), setup["class_weight"])
    fitted = keras_fit.fit(
        network,
        Training(0, 0, seeds, PreparedRows(x, y, weights, x[:0], y[:0]), network.get_weights()),
        make_callbacks(file, point),
        batch_size=point["batch_size"],
        epochs=choice.epochs,
        stopping=None,
        xla=setup["xla"],
    )
    if not np.isfinite(fitted.history["loss"]).all():
        raise ModelError(
            "the fit on all training rows diverged: its loss is not finite; take the largest "
            "learning rates out of the grid and run again"
        )
    scored = network.evaluate(
        x_test,
        encode_target(network, shape, test.target, rows.classes),
        batch_size=point["batch_size"],
        return_dict=True,
        verbose=0,
    )
    outputs = network.predict(x_test, verbose=0)
    about = {
        "format": FORMAT,
        "point": choice.point,
        "hyperparameters": point,
        "chosen": {
            "metric": choice.metric,
            "mean": choice.mean,
            "se": None if math.isnan(choice.se) else choice.se,
            "n": choice.n,
            "n_diverged": choice.n_diverged,
        },
        "epochs": choice.epochs,
        "seeds": asdict(seeds),
        "parameters": network.count_params(),
        "training": {
            "rows": len(y),
            **{name: shortest(values[-1]) for name, values in fitted.history.items()},
        },
        "test": {
            "rows": len(x_test),
            **{name: shortest(value) for name, value in keras_fit.numbers(scored).items()},
        },
        "task": description["task"],
        "targets": description["targets"],
        "classes": rows.classes,
        "outputs": _meaning(network.loss, outputs.shape[1], rows.classes),
        "dataset": dict(dataset),
        "split": description,
        "model_file": model_file.name,
        "setup": dict(setup),
        "environment": environment(),
    }
    return Refitted(network, preparation, about, x_test, outputs)


def _meaning(loss: Any, width: int, classes: list[str] | None) -> dict[str, Any]:
    """Say how a network's outputs, so many a row, are to be read, as its loss reads them."""
    kind = type(loss) if isinstance(loss, keras.losses.Loss) else loss
    known = isinstance(loss, str) or getattr(kind, "__module__", "").startswith("keras.")
    config = loss.get_config() if isinstance(loss, keras.losses.Loss) else {}
    name = loss_name(loss)
    activation = None
    if config.get("from_logits"):
        together = classes is not None and width > 1
        activation = "softmax" if together and not name.startswith("binary") else "sigmoid"
    return {
        "activation": activation,
        "probabilities": known and "crossentropy" in name,
        "threshold": 0.0 if name in ("hinge", "squared_hinge") else 0.5,
    }


def save(refitted: Refitted, model_file: Path, folder: Path) -> None:
    """Write a fitted model to a folder, and see that it loads and computes the same.

    Raises
    ------
    ModelError
        If Keras cannot save the network, or load it.
    """
    try:
        with atomic_path(folder / NETWORK) as beside:
            refitted.network.save(beside)
        with atomic_path(folder / PREPARATION) as beside:
            joblib.dump(refitted.preparation, beside)
        fitted = read_model_code(model_file, refitted.about["setup"].get("model file"))
        for name, content in fitted.copies.items():
            with atomic_path(folder / name) as beside:
                beside.write_bytes(content)
        about = json.dumps(refitted.about, indent=2, ensure_ascii=False, allow_nan=False)
        write_text(folder / ABOUT, about + "\n")
        loaded = FittedModel.load(folder).network.predict(refitted.inputs, verbose=0)
    except GridloomError:
        raise
    except Exception as error:
        raise ModelError(
            f"model: Keras cannot save and load this network: {told(error, model_file)}; a class "
            "of your own needs `get_config`, with all arguments of its constructor"
        ) from error
    if not np.allclose(loaded, refitted.outputs, 1e-4, 1e-5):
        raise ModelError(
            "model: saved and loaded, this network computes something else; give its layers a "
            "`get_config` that holds all their settings, and their weights by `add_weight`"
        )


def tell(about: Mapping[str, Any]) -> str:
    """Say what was chosen, why, and what it scored, in a few lines."""
    chosen, fitted, test = about["chosen"], about["training"], about["test"]
    point = about["hyperparameters"]
    error = "" if chosen["se"] is None else f" (standard error {chosen['se']:.3g})"
    knobs = ", ".join(
        f"{name} {table_value(point, name)}" for name, value in point.items() if value is not None
    )
    measured = ", ".join(
        f"{name} {value:.4g}" if value is not None else f"{name} not finite"
        for name, value in test.items()
        if name != "rows"
    )
    diverged = f", and {chosen['n_diverged']} that diverged" if chosen["n_diverged"] else ""
    return "\n".join(
        [
            f"chosen      {knobs}",
            f"because     {chosen['metric']} {chosen['mean']:.4g}{error}, the best mean; over "
            f"{chosen['n']} trainings{diverged}",
            f"fitted      for {about['epochs']} epochs on all {fitted['rows']:,} training rows",
            f"test        {measured} on {test['rows']:,} rows",
        ]
    )
