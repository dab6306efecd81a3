"""The crosscheck: train a sample of the study again, by scikit-learn's `GridSearchCV`.

`GridSearchCV` chooses the rows, clones the estimator, scores and averages; the estimator trains by
plain `model.fit`. Engines, records and tables play no part. Both ways share what defines a
training: the rows, their preparation, the model file and the random seeds.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import keras
import numpy as np
import pandas as pd
import tensorflow as tf
from sklearn.base import BaseEstimator
from sklearn.model_selection import GridSearchCV

from gridloom.analysis.equivalence import LEVEL, equivalence
from gridloom.analysis.observations import Observations
from gridloom.data.description import SplitDescription
from gridloom.data.preparation import TrainingRows, prepare, training_rows, validation_parts
from gridloom.engines.model_fit import numbers
from gridloom.errors import ModelError, StudyError, nearest
from gridloom.identity.setup import Setup
from gridloom.naming.points import describe_point, read_path
from gridloom.networks.build import build
from gridloom.networks.error_text import describe_error
from gridloom.networks.generators import generator_seed, seed_states
from gridloom.networks.keras_private import uses_xla
from gridloom.networks.model_code import check_process, read_model_code
from gridloom.networks.model_file import ModelFile, load_model_file, make_callbacks
from gridloom.networks.targets import encode_target
from gridloom.records import shortest
from gridloom.study.contract import PIPELINE
from gridloom.study.seeds import Seeds, row_orders, training_seeds
from gridloom.training.units import in_target_units, target_powers

#: Largest difference by rounding between two fits on the same batches; relative for scores above 1.
ROUNDING = 1e-5


@dataclass(frozen=True)
class TrainedOn:
    """What all trainings of a study share.

    Attributes
    ----------
    setup
        All that determines a training besides its point and repetition.
    rows
        Training rows of the split.
    file
        The model file.
    """

    setup: Setup
    rows: TrainingRows
    file: ModelFile

    @classmethod
    def read(
        cls, setup: Setup, *, rows_file: Path, split_file: Path, model_file: Path
    ) -> TrainedOn:
        """Read the files of a study.

        Raises
        ------
        GridloomError
            If they do not match the set-up, or the model file has an `input_pipeline`.
        """
        check_process(setup)
        rows = training_rows(rows_file, SplitDescription.read(split_file))
        file = load_model_file(model_file, read_model_code(model_file, setup.model_file))
        if file.pipeline is not None:
            raise ModelError(
                f"crosscheck: {model_file} has an `{PIPELINE}`, which GridSearchCV cannot call; "
                "but such a study already trains by plain model.fit"
            )
        return cls(setup, rows, file)


class PlainFit(BaseEstimator):  # type: ignore[misc]
    """An estimator that trains a point's network by plain `model.fit`.

    Its X are indices of rows, so that `GridSearchCV` chooses the rows to fit on and to validate.

    Parameters
    ----------
    trained_on
        What the trainings of the study share.
    seeds
        Seeds of the repetition.
    metric, mode
        The objective; ``min`` or ``max``.
    point
        The hyperparameters.
    """

    def __init__(
        self,
        trained_on: TrainedOn,
        seeds: Seeds,
        metric: str,
        mode: str,
        point: Mapping[str, Any] | None = None,
    ) -> None:
        self.trained_on = trained_on
        self.seeds = seeds
        self.metric = metric
        self.mode = mode
        self.point = point

    def __sklearn_clone__(self) -> PlainFit:
        """Return an unfitted copy with the same rows; scikit-learn's own clone would copy them."""
        return PlainFit(**self.get_params(deep=False))

    def fit(self, places: np.ndarray) -> PlainFit:
        """Train on rows, and validate on the rows that the repetition holds out with them.

        Parameters
        ----------
        places
            Indices of the rows, int64, shape (rows,).

        Raises
        ------
        ModelError
            If `model.fit` raises.
        """
        assert self.point is not None  # scikit-learn sets it
        setup, rows, file = self.trained_on.setup, self.trained_on.rows, self.trained_on.file
        (self.held_,) = (
            held
            for fit, held in validation_parts(rows, setup.validation, self.seeds.validation)
            if np.array_equal(fit, places)
        )
        prepared = prepare(
            rows, places, self.held_, setup.class_weight, setup.scaling, setup.target
        )
        shape = prepared.x_train.shape[1:]
        network = build(
            file.build_model, shape, rows.outputs, self.point, self.seeds.init, file.state
        ).model
        network.jit_compile = uses_xla(network, setup.xla)
        y = encode_target(network, shape, prepared.y_train, rows.classes)
        y_held = encode_target(network, shape, prepared.y_val, rows.classes)
        keras.utils.set_random_seed(self.seeds.dropout)
        for place, state in enumerate(seed_states(network)):
            state.assign([generator_seed(self.seeds.dropout, place), 0])
        batch_size, epochs = self.point["batch_size"], self.point["epochs"]
        orders = row_orders(self.seeds.shuffle, epochs, len(y))
        callbacks = [*make_callbacks(file, self.point), *_early_stopping(self.point)]
        try:
            network.fit(
                _batches((prepared.x_train, y, prepared.weights), orders, batch_size),
                steps_per_epoch=-(-len(y) // batch_size),
                epochs=epochs,
                shuffle=False,
                validation_data=(prepared.x_val, y_held),
                validation_batch_size=batch_size,
                callbacks=callbacks,
                verbose=0,
            )
            measured = numbers(
                network.evaluate(
                    prepared.x_val, y_held, batch_size=batch_size, return_dict=True, verbose=0
                )
            )
        except Exception as error:
            cause = describe_error(error, file.path)
            raise ModelError(f"crosscheck: model.fit raised {cause}") from error
        if prepared.target_scale is not None:
            powers = target_powers(network, rows.outputs)
            measured = in_target_units(measured, powers, prepared.target_scale)
        # Rounded as in a record.
        self.measured_ = {f"val_{name}": shortest(value) for name, value in measured.items()}
        return self

    def score(self, places: np.ndarray) -> float:
        """Return the objective on the held-out rows, negated where less is better.

        Parameters
        ----------
        places
            Indices of the rows that validated, int64, shape (rows,).

        Raises
        ------
        StudyError
            If `evaluate` does not measure the objective.
        """
        assert np.array_equal(places, self.held_)
        if self.metric not in self.measured_:
            raise StudyError(
                f"objective.metric: GridSearchCV scores networks on held-out rows, and `evaluate` "
                f"gives no {self.metric!r}{nearest(self.metric, self.measured_)}; there are "
                f"{', '.join(self.measured_)}"
            )
        measured = self.measured_[self.metric]
        return math.nan if measured is None else measured * (-1 if self.mode == "min" else 1)


def _batches(arrays: Sequence[np.ndarray], orders: np.ndarray, batch_size: int) -> tf.data.Dataset:
    """Return the batches of all epochs, one after another, each epoch's rows in its own order."""
    tensors = [tf.constant(array) for array in arrays]
    places = tf.data.Dataset.from_tensor_slices(orders).flat_map(
        lambda order: tf.data.Dataset.from_tensor_slices(order).batch(batch_size)
    )
    return places.map(lambda batch: tuple(tf.gather(tensor, batch) for tensor in tensors))


def _early_stopping(point: Mapping[str, Any]) -> list[keras.callbacks.Callback]:
    if point.get("early_stopping_patience") is None:
        return []
    return [
        keras.callbacks.EarlyStopping(
            monitor=point.get("early_stopping_monitor", "val_loss"),
            min_delta=point.get("early_stopping_min_delta", 0),
            patience=point["early_stopping_patience"],
            restore_best_weights=True,
        )
    ]


def sample(observations: Observations, count: int) -> np.ndarray:
    """Choose points that are spread over the grid; the choice is not random.

    It begins with the first point of the grid. The distance of two points is the number of axes in
    which they differ. Each next point is the one whose nearest chosen point is farthest away
    (farthest-first traversal, Gonzalez 1985). The larger sum of distances breaks ties, then the
    order of the grid.

    Parameters
    ----------
    count
        Number of points; all points if there are fewer.

    Returns
    -------
    int64 array
        Rows of `observations.points`, ascending. Only points with a score in every repetition.

    Raises
    ------
    StudyError
        If there is no such point.
    """
    offered = np.flatnonzero(observations.complete)
    if not len(offered):
        raise StudyError(
            "crosscheck: every configuration has a training that diverged or has no score, so "
            "there is nothing to compare; try smaller learning rates"
        )
    values = observations.points.loc[offered, list(observations.axes)].to_numpy()
    chosen = [0]
    distances = (values != values[0]).sum(axis=1)[:, None]
    while len(chosen) < min(count, len(offered)):
        nearest_one, total = distances.min(axis=1), distances.sum(axis=1)
        # A stable sort keeps the order of the grid.
        farthest = int(np.lexsort((-total, -nearest_one))[0])
        chosen.append(farthest)
        to_it = (values != values[farthest]).sum(axis=1)
        distances = np.column_stack([distances, to_it])
    return np.sort(offered[chosen])


def crosscheck(
    observations: Observations,
    trained_on: TrainedOn,
    metric: str,
    *,
    points: int,
    repetitions: int,
) -> pd.DataFrame:
    """Train a sample of points by `GridSearchCV`, one search a repetition.

    Parameters
    ----------
    observations
        Scores of the study.
    metric
        The objective.
    points, repetitions
        Largest number of points, and of their first repetitions, to train.

    Returns
    -------
    DataFrame
        One row for each point and repetition: `point`, `repetition`, `record` and `grid_search_cv`
        (the objective, mean over the folds, in its unit), `difference` (`grid_search_cv` minus
        `record`).

    Raises
    ------
    GridloomError
        If no point can be compared, or the network does not train.
    """
    setup, rows = trained_on.setup, trained_on.rows
    chosen = sample(observations, points)
    paths = observations.points["point"].to_numpy()[chosen]
    tables = []
    for column, repetition in enumerate(observations.repetitions[:repetitions].tolist()):
        seeds = training_seeds(setup.seed, repetition, setup.vary)
        mode = "max" if observations.sign > 0 else "min"
        search = GridSearchCV(
            PlainFit(trained_on, seeds, metric, mode),
            {"point": [read_path(path) for path in paths]},
            cv=validation_parts(rows, setup.validation, seeds.validation),
            refit=False,
            error_score="raise",
        ).fit(np.arange(len(rows.target)))
        scores = {
            "record": observations.scores[chosen, column],
            "grid_search_cv": search.cv_results_["mean_test_score"],
        }
        table = pd.DataFrame({"point": paths, "repetition": repetition})
        tables.append(
            table.assign(**{name: observations.sign * score for name, score in scores.items()})
        )
    compared = pd.concat(tables, ignore_index=True)
    compared["difference"] = compared["grid_search_cv"] - compared["record"]
    return compared


def report(compared: pd.DataFrame, metric: str, margin: float | None, configurations: int) -> str:
    """Describe in Markdown whether both ways agree, and how closely single scores do.

    Parameters
    ----------
    compared
        From `crosscheck`.
    metric
        The objective.
    margin
        A mean difference within ±margin counts as none; None if the study gives no margin.
    configurations
        Number of configurations in the study.
    """
    points = compared.groupby("point", sort=False)
    return "\n".join(
        [
            "# Crosscheck: the records against scikit-learn's GridSearchCV",
            "",
            f"{points.ngroups:,} of {configurations:,} configurations, "
            f"{_counted(compared['repetition'].nunique(), 'repetition')} each, were trained a "
            "second time by plain `model.fit` inside of `GridSearchCV`, on the same rows and with "
            "the same random seeds.",
            "",
            _verdict(points["difference"].mean().to_numpy(), metric, margin),
            "",
            _rounding(compared, metric),
            "",
            f"| configuration | {metric} of the records | of GridSearchCV | largest difference |",
            "| --- | --- | --- | --- |",
            *(
                f"| {describe_point(read_path(str(path)))} | {rows['record'].mean():.6g} | "
                f"{rows['grid_search_cv'].mean():.6g} | {rows['difference'].abs().max():.2g} |"
                for path, rows in points
            ),
            "",
        ]
    )


def _verdict(differences: np.ndarray, metric: str, margin: float | None) -> str:
    """Describe the result of the equivalence test.

    Parameters
    ----------
    differences
        Difference of each point, mean over its repetitions, shape (points,).
    """
    unfit = None
    if not np.isfinite(differences).all():
        unfit = "a training by `GridSearchCV` has no finite score, but its record has one"
    elif len(differences) < 2:
        unfit = "the test needs two configurations or more"
    elif margin is None:
        unfit = "the study gives no margin; set `pick.close_enough`"
    if unfit is not None:
        return f"**Agreement is not tested**: {unfit}."
    assert margin is not None
    found = equivalence(differences, margin)
    verdict = "Both ways agree" if found.shown else "Agreement is not shown"
    tests = (
        f"two one-sided t-tests over {found.n} configurations give p = {found.p:.2g}, and p ≤ "
        f"{LEVEL:g} shows that the difference is within the margin"
        if found.low < found.high
        else f"all {found.n} configurations have the same difference, so there is nothing to test"
    )
    return (
        f"**{verdict}.** The mean difference in {metric}, GridSearchCV minus records, is "
        f"{found.mean:.2g} ({100 * (1 - 2 * LEVEL):.0f} % interval {found.low:.2g} to "
        f"{found.high:.2g}). The margin is ±{margin:.3g}, the study's `close_enough`: a smaller "
        f"difference changes no choice. Here, {tests}."
    )


def _rounding(compared: pd.DataFrame, metric: str) -> str:
    """Describe how many single scores agree up to rounding, as fits on the same batches should."""
    difference = compared["difference"].abs()
    same = difference <= ROUNDING * compared["record"].abs().clip(lower=1)
    agreement = (
        f"Fits on the same batches should differ by rounding only: {same.sum():,} of "
        f"{_counted(len(same), 'score')} agree to {ROUNDING:g}."
    )
    if same.all():
        return agreement
    return (
        f"{agreement} The largest difference of the others is {difference.max():.2g}. Rounding may "
        "tip a validation row that lies between two classes, and large learning rates amplify it."
    )


def _counted(count: int, name: str) -> str:
    return f"{count:,} {name}{'s' * (count != 1)}"
