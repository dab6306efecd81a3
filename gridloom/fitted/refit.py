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
import tensorflow as tf

from gridloom.analysis.selection import RULE, Choice
from gridloom.data.description import SplitDescription
from gridloom.data.preparation import (
    Preparation,
    PreparedRows,
    row_weights,
    target_scale,
    training_rows,
)
from gridloom.engines import model_fit
from gridloom.engines.types import Training
from gridloom.errors import GridloomError, ModelError
from gridloom.files import atomic_path, write_text
from gridloom.fitted.model import (
    ABOUT,
    FORMAT,
    NETWORK,
    PREPARATION,
    load_network,
    outputs_of,
    target_like,
)
from gridloom.identity.setup import Setup
from gridloom.naming.points import read_path
from gridloom.naming.values import table_value
from gridloom.networks.build import build
from gridloom.networks.error_text import describe_error
from gridloom.networks.losses import loss_traits
from gridloom.networks.model_code import read_model_code
from gridloom.networks.model_file import load_model_file, make_callbacks
from gridloom.networks.pipeline import Pipeline
from gridloom.networks.targets import encode_target
from gridloom.records import shortest
from gridloom.study.seeds import training_seeds
from gridloom.training.environment import environment
from gridloom.training.units import (
    check_standardizable,
    fitted_in_target_units,
    in_target_units,
    target_powers,
)


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
    setup: Setup,
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
        All that determines a training besides its point and repetition.
    dataset
        As in the study; noted, so that new rows can be read likewise.

    Returns
    -------
    Refitted
        `about` holds the point, why it was chosen, `epochs`, `seeds`, what the loss and metrics
        are on the training rows (of the last epoch, with dropout and weights) and on the test rows
        (without), which of these are in units of the standardized target (`standardized`; all
        others are in the target's), and what a prediction needs: task, classes, targets, how
        outputs are meant.

    Raises
    ------
    GridloomError
        If the model file is wrong, or the fit diverges.
    """
    description = SplitDescription.read(split_file)
    rows = training_rows(train_file, description)
    test = training_rows(test_file, description)
    preparation = Preparation(description, setup.scaling)
    x = preparation.fit_transform(rows.features)
    x_test = preparation.transform(test.features)
    point: dict[str, Any] = read_path(choice.point)
    seeds = training_seeds(setup.seed, 0, setup.vary)
    file = load_model_file(model_file, read_model_code(model_file, setup.model_file))
    pipeline = Pipeline.of(file, point)
    shape = x.shape[1:]
    if pipeline is not None:
        shape = pipeline.input_shape(x, rows.target, rows.outputs, rows.classes)
    network = build(file.build_model, shape, rows.outputs, point, seeds.init, file.state).model
    y = encode_target(network, shape, rows.target, rows.classes)
    y_test = encode_target(network, shape, test.target, rows.classes)
    scale = target_scale(rows.target, setup.target)
    powers: dict[str, int] = {}
    if scale is not None:
        check_standardizable(network)
        powers = target_powers(network, rows.outputs)
        y, y_test = scale.standardized(y), scale.standardized(y_test)
        preparation.target_scale = scale
    weights = row_weights(rows, np.arange(len(y)), setup.class_weight)
    fit = model_fit.fit(
        network,
        Training(0, 0, seeds, PreparedRows(x, y, weights, x[:0], y[:0]), network.get_weights()),
        make_callbacks(file, point),
        batch_size=point["batch_size"],
        epochs=choice.epochs,
        stopping=None,
        xla=setup.xla,
        pipeline=pipeline,
    )
    fitted = fitted_in_target_units(fit, powers, scale)
    if not np.isfinite(fitted.history["loss"]).all():
        raise ModelError(
            "the fit on all training rows diverged: its loss is not finite; take the largest "
            "learning rates out of the grid and run again"
        )
    scores = model_fit.numbers(_scored(network, x_test, y_test, point["batch_size"], pipeline))
    if scale is not None:
        scores = in_target_units(scores, powers, scale)
    outputs = outputs_of(network, x_test, pipeline, y_test[:1])
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
            "n_missing": choice.n_missing,
            "tied": choice.tied,
            "rule": RULE if choice.tied > 1 else None,
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
            **{name: shortest(value) for name, value in scores.items()},
        },
        "standardized": [] if scale is None else sorted(scores.keys() - powers.keys()),
        "task": description.task,
        "targets": description.targets,
        "classes": rows.classes,
        "outputs": loss_traits(network.loss, outputs.shape[1]).meaning(outputs.shape[1]),
        "target_form": {"shape": list(y_test.shape[1:]), "dtype": y_test.dtype.name},
        "dataset": dict(dataset),
        "split": description.as_json(),
        "model_file": model_file.name,
        "setup": setup.as_json(),
        "environment": environment(),
    }
    return Refitted(network, preparation, about, x_test, outputs)


def _scored(
    network: keras.Model,
    x: np.ndarray,
    y: np.ndarray,
    batch_size: int,
    pipeline: Pipeline | None,
) -> dict[str, Any]:
    """Return the loss and metrics of a network on rows."""
    how = {"return_dict": True, "verbose": 0}
    scores: dict[str, Any]
    if pipeline is None:
        scores = network.evaluate(x, y, batch_size=batch_size, **how)
        return scores
    try:
        scores = network.evaluate(pipeline.held(x, y, batch_size), **how)
    except tf.errors.OpError as error:
        raise pipeline.explained(error) from error
    return scores


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
        fitted = read_model_code(model_file, refitted.about["setup"]["model file"])
        for name, content in fitted.copies.items():
            with atomic_path(folder / name) as beside:
                beside.write_bytes(content)
        about = json.dumps(refitted.about, indent=2, ensure_ascii=False, allow_nan=False)
        write_text(folder / ABOUT, about + "\n")
        network, pipeline = load_network(folder, refitted.about)
        loaded = outputs_of(network, refitted.inputs, pipeline, target_like(refitted.about))
    except GridloomError:
        raise
    except Exception as error:
        raise ModelError(
            "model: Keras cannot save and load this network: "
            f"{describe_error(error, model_file)}; a class of your own needs `get_config`, with "
            "all arguments of its constructor"
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
        (f"{name} {value:.4g}" if value is not None else f"{name} not finite")
        + " (of the standardized target)" * (name in about["standardized"])
        for name, value in test.items()
        if name != "rows"
    )
    left_out = [
        f"{chosen[f'n_{name}']} {told}"
        for name, told in (("diverged", "diverged"), ("missing", f"have no {chosen['metric']}"))
        if chosen[f"n_{name}"]
    ]
    without = f"; of its trainings, {' and '.join(left_out)}" if left_out else ""
    best = "the best mean"
    if chosen["rule"]:
        best += f", shared by {chosen['tied']} points and chosen among them by {chosen['rule']}"
    return "\n".join(
        [
            f"chosen      {knobs}",
            f"because     {chosen['metric']} {chosen['mean']:.4g}{error}, {best}; over "
            f"{chosen['n']} repetition{'s' * (chosen['n'] != 1)}{without}",
            f"fitted      for {about['epochs']} epochs on all {fitted['rows']:,} training rows",
            f"test        {measured} on {test['rows']:,} rows",
        ]
    )
