"""The model of a study: the pick fitted on all training rows, scored on the test rows."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import joblib
import keras
import numpy as np
import tensorflow as tf

from gridloom.analysis.pick import Pick
from gridloom.data.description import SplitDescription
from gridloom.data.preparation import (
    Preparation,
    PreparedRows,
    TargetScale,
    TrainingRows,
    row_weights,
    training_rows,
)
from gridloom.engines import model_fit
from gridloom.engines.types import Training
from gridloom.errors import GridloomError, ModelError
from gridloom.figures.predictions import Predictions, draw_all
from gridloom.files import atomic_path, write_text
from gridloom.fitted.card import FORMAT, Card, Measured, TargetForm
from gridloom.fitted.looks import Look, note_look, noted_looks
from gridloom.fitted.model import (
    NETWORK,
    PREPARATION,
    FittedModel,
    load_network,
    outputs_of,
    target_names,
)
from gridloom.fitted.outputs import OutputMeaning
from gridloom.fitted.readme import readme
from gridloom.fitted.scores import (
    Statistic,
    bootstrap,
    class_statistics,
    label_statistics,
    number_statistics,
)
from gridloom.identity.setup import Setup
from gridloom.networks.build import build
from gridloom.networks.error_text import describe_error
from gridloom.networks.losses import loss_traits
from gridloom.networks.model_code import read_model_code
from gridloom.networks.model_file import load_model_file, make_callbacks
from gridloom.networks.pipeline import Pipeline
from gridloom.networks.targets import encode_target
from gridloom.records import shortest
from gridloom.study.dataset import Dataset
from gridloom.study.seeds import Seeds, training_seeds
from gridloom.training.environment import environment
from gridloom.training.units import (
    check_standardizable,
    fitted_in_target_units,
    in_target_units,
    target_powers,
)

#: Name of the model card for people in the model's folder.
README = "README.md"


@dataclass(frozen=True)
class Refitted:
    """A model fitted on all training rows, and its outputs for the test rows.

    Attributes
    ----------
    model
        The fitted model.
    inputs, raw
        Prepared test rows, shape (rows, …), and the network's outputs for them, shape
        (rows, outputs); a saved network must compute the same.
    predictions
        What the model predicts for the test rows.
    """

    model: FittedModel
    inputs: np.ndarray
    raw: np.ndarray
    predictions: Predictions

    @property
    def card(self) -> Card:
        """What is recorded about the model."""
        return self.model.card


@dataclass(frozen=True)
class _Fit:
    """A network fitted on all training rows.

    Attributes
    ----------
    row_shape
        Shape of a row as the network gets it.
    powers
        See `gridloom.training.units.target_powers`.
    measured
        Loss and metrics on the training rows, in the last epoch.
    """

    network: keras.Model
    preparation: Preparation
    pipeline: Pipeline | None
    seeds: Seeds
    row_shape: tuple[Any, ...]
    powers: dict[str, int]
    batch_size: int
    measured: Measured

    @property
    def scale(self) -> TargetScale | None:
        return self.preparation.target_scale


def refit(
    pick: Pick,
    setup: Setup,
    dataset: Dataset,
    *,
    train_file: Path,
    test_file: Path,
    split_file: Path,
    model_file: Path,
) -> Refitted:
    """Fit the pick on all training rows and score it on the test rows.

    The keras engine fits it for `pick.epochs` epochs, with the random streams of repetition 0. No
    row is left for validation: nothing stops the fit early, and callbacks find no validation
    metrics.

    Parameters
    ----------
    setup
        All that determines a training besides its point and repetition.
    dataset
        As in the study; the card keeps it, so that new rows are read in the same way.

    Raises
    ------
    GridloomError
        If the model file is wrong, or the fit diverges.
    """
    description = SplitDescription.read(split_file)
    rows, test = (training_rows(file, description) for file in (train_file, test_file))
    fit = _fit(pick, setup, rows, model_file)
    inputs = fit.preparation.transform(test.features)
    target = _encoded(fit.network, fit.row_shape, test, fit.scale)
    metrics = _evaluated(fit, inputs, target)
    raw = outputs_of(fit.network, inputs, fit.pipeline, target[:1])
    _check_finite(raw)
    width = raw.shape[1]
    meaning = OutputMeaning(**loss_traits(fit.network.loss, width).meaning(width))
    predictions = _predictions(description, test.target, meaning, meaning.read(raw, fit.scale))
    units = np.arange(len(target))
    if test.groups is not None:
        _, units = np.unique(test.groups, return_inverse=True)
    card = Card(
        format=FORMAT,
        pick=pick,
        seeds=fit.seeds,
        training=fit.measured,
        test=Measured(len(target), metrics),
        standardized=[] if fit.scale is None else sorted(metrics.keys() - fit.powers.keys()),
        scores=bootstrap(_statistics(description.task, predictions), units, setup.seed),
        groups=None if test.groups is None else int(units.max()) + 1,
        outputs=meaning,
        target_form=TargetForm.of(target),
        dataset=dataset,
        split=description,
        model_file=model_file.name,
        setup=setup,
        environment=environment(),
    )
    model = FittedModel(fit.network, fit.preparation, card, fit.pipeline)
    return Refitted(model, inputs, raw, predictions)


def _fit(pick: Pick, setup: Setup, rows: TrainingRows, model_file: Path) -> _Fit:
    """Build the pick's network and fit it on all training rows."""
    point: dict[str, Any] = pick.hyperparameters
    seeds = training_seeds(setup.seed, 0, setup.vary)
    preparation = Preparation(rows.description, setup.scaling)
    x = preparation.fit_transform(rows.features)
    file = load_model_file(model_file, read_model_code(model_file, setup.model_file))
    pipeline = Pipeline.of(file, point)
    shape = x.shape[1:]
    if pipeline is not None:
        shape = pipeline.input_shape(x, rows.target, rows.outputs, rows.classes)
    network = build(file.build_model, shape, rows.outputs, point, seeds.init, file.state).model
    scale = TargetScale.of(rows.target) if setup.target == "standard" else None
    preparation.target_scale = scale
    powers: dict[str, int] = {}
    if scale is not None:
        check_standardizable(network)
        powers = target_powers(network, rows.outputs)
    y = _encoded(network, shape, rows, scale)
    weights = row_weights(rows, np.arange(len(y)), setup.class_weight)
    fitted = model_fit.fit(
        network,
        Training.of(
            network, 0, 0, seeds, PreparedRows(x, y, weights, x[:0], y[:0]), network.get_weights()
        ),
        make_callbacks(file, point),
        batch_size=point["batch_size"],
        epochs=pick.epochs,
        stopping=None,
        xla=setup.xla,
        pipeline=pipeline,
    )
    history = fitted_in_target_units(fitted, powers, scale).history
    if not np.isfinite(history["loss"]).all():
        raise ModelError(
            "the fit on all training rows diverged: its loss is not finite; take the largest "
            "learning rates out of the grid and run again"
        )
    last = {name: shortest(values[-1]) for name, values in history.items()}
    measured = Measured(len(y), last)
    return _Fit(network, preparation, pipeline, seeds, shape, powers, point["batch_size"], measured)


def _encoded(
    network: keras.Model,
    row_shape: tuple[Any, ...],
    rows: TrainingRows,
    scale: TargetScale | None,
) -> np.ndarray:
    """Return targets in the form that the network's loss takes."""
    encoded = encode_target(network, row_shape, rows.target, rows.classes)
    return encoded if scale is None else scale.standardized(encoded)


def _evaluated(fit: _Fit, x: np.ndarray, y: np.ndarray) -> dict[str, float | None]:
    """Return the loss and metrics of the network on other rows."""
    how = {"return_dict": True, "verbose": 0}
    if fit.pipeline is None:
        values = fit.network.evaluate(x, y, batch_size=fit.batch_size, **how)
    else:
        try:
            values = fit.network.evaluate(fit.pipeline.held(x, y, fit.batch_size), **how)
        except tf.errors.OpError as error:
            raise fit.pipeline.explained(error) from error
    numbers: dict[str, Any] = model_fit.numbers(values)
    if fit.scale is not None:
        numbers = in_target_units(numbers, fit.powers, fit.scale)
    return {name: shortest(value) for name, value in numbers.items()}


def _check_finite(raw: np.ndarray) -> None:
    """Refuse a network that gives no finite number for a test row."""
    lost = int((~np.isfinite(raw)).any(axis=1).sum())
    if lost:
        raise ModelError(
            f"the fitted network gives no finite number for {lost:,} of {len(raw):,} test rows; "
            "take the largest learning rates out of the grid and run again"
        )


def _predictions(
    split: SplitDescription, target: np.ndarray, meaning: OutputMeaning, outputs: np.ndarray
) -> Predictions:
    """Return the predictions for rows.

    Parameters
    ----------
    target
        As in `gridloom.data.preparation.TrainingRows`.
    outputs
        As `OutputMeaning.read` returns them, shape (rows, outputs).
    """
    if split.classes is not None:
        predicted = meaning.predicted_classes(outputs)
        probabilities = meaning.class_probabilities(outputs)
        return Predictions(target, predicted, probabilities, split.classes)
    names = target_names(split.targets, outputs.shape[1])
    if split.task == "regression":
        return Predictions(target, outputs, None, names)
    probabilities = outputs if meaning.probabilities else None
    return Predictions(target, meaning.predicted_labels(outputs), probabilities, names)


def _statistics(task: str, made: Predictions) -> dict[str, Statistic]:
    """Return the scores that a task has."""
    match task:
        case "classification":
            return class_statistics(made.target, made.predicted, made.probabilities)
        case "multilabel":
            return label_statistics(made.target, made.predicted, made.probabilities)
    assert made.predicted is not None
    return number_statistics(made.target, made.predicted, made.names)


def publish(
    refitted: Refitted,
    model_file: Path,
    folder: Path,
    *,
    looks_file: Path,
    figures: Sequence[Path],
    title: str,
    dpi: int,
) -> list[Look]:
    """Record the look at the test rows; then save the model, its figures and its README.

    Parameters
    ----------
    looks_file
        File of all looks.
    figures
        Files to draw, in `folder`.
    title
        Title of the study.

    Returns
    -------
    list of Look
        All looks at these test rows; the last one is this model's.
    """
    look = look_of(refitted.card)
    note_look(look, looks_file)
    save(refitted, model_file, folder)
    draw_all(refitted.predictions, figures, title=title, dpi=dpi)
    looks = noted_looks(looks_file, look.rows)
    shown = [file for file in figures if file.suffix == figures[0].suffix]
    text = readme(refitted.card, looks, title=title, folder=folder, figures=shown)
    write_text(folder / README, text)
    return looks


def look_of(card: Card) -> Look:
    """Return the look at the test rows that gave a card its scores."""
    return Look(
        when=datetime.now(UTC).isoformat(timespec="seconds"),
        rows=card.split.test_sha256,
        point=card.pick.point,
        setup=card.setup.name,
        scores={**card.test.metrics, **{score.name: score.value for score in card.scores}},
    )


def save(refitted: Refitted, model_file: Path, folder: Path) -> None:
    """Write a fitted model to a folder, and check that it loads and computes the same.

    Raises
    ------
    ModelError
        If Keras cannot save or load the network, or if the loaded one computes something else.
    """
    model, card = refitted.model, refitted.card
    try:
        with atomic_path(folder / NETWORK) as beside:
            model.network.save(beside)
        with atomic_path(folder / PREPARATION) as beside:
            joblib.dump(model.preparation, beside)
        for name, content in read_model_code(model_file, card.setup.model_file).copies.items():
            with atomic_path(folder / name) as beside:
                beside.write_bytes(content)
        card.write(folder)
        network, pipeline = load_network(folder, card)
        loaded = outputs_of(network, refitted.inputs, pipeline, card.target_form.zeros)
    except GridloomError:
        raise
    except Exception as error:
        raise ModelError(
            "model: Keras cannot save and load this network: "
            f"{describe_error(error, model_file)}; a class of your own needs a `get_config` that "
            "returns all arguments of its constructor"
        ) from error
    if not np.allclose(loaded, refitted.raw, 1e-4, 1e-5):
        raise ModelError(
            "model: this network computes something else after Keras saved and loaded it; its "
            "layers need a `get_config` that returns all their settings, and must create their "
            "weights by `add_weight`"
        )
