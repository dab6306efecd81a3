"""From a request to everything that is needed to train it: rows, seeds, model file, settings."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from threading import Event
from typing import Any

import keras
import numpy as np

from gridloom.data.description import SplitDescription
from gridloom.data.preparation import (
    PreparedRows,
    prepare,
    training_rows,
    validation_parts,
)
from gridloom.engines.types import REMEDY, Checkpoints, FitSettings, Fitted, Stopping, Training
from gridloom.errors import ModelError
from gridloom.files import fingerprint
from gridloom.identity.setup import Setup
from gridloom.networks.build import Network, build
from gridloom.networks.model_code import ModelCode, read_model_code
from gridloom.networks.model_file import ModelFile, load_model_file
from gridloom.networks.pipeline import Pipeline
from gridloom.networks.plain_code import acts_beyond
from gridloom.networks.targets import encode_target
from gridloom.records import Machine
from gridloom.study.contract import CALLBACKS, PIPELINE
from gridloom.study.seeds import Seeds, training_seeds
from gridloom.training.environment import environment
from gridloom.training.kept import Kept
from gridloom.training.request import Request
from gridloom.training.unfinished import Unfinished


class Inputs:
    """The rows and the model file that requests share, and the prepared rows of each repetition.

    Parameters
    ----------
    request
        Names the files.

    Attributes
    ----------
    rows
        The study's training rows.
    content
        Fingerprint of their file.
    file
        The model file.
    beyond
        Where the model file, or one that this process ran before, could act beyond its networks
        (see `acts_beyond`); None if nowhere.

    Raises
    ------
    GridloomError
        If the data or the model file is wrong, or the model file is not that of the set-up.
    """

    def __init__(self, request: Request) -> None:
        self._state = _state(request)  # before the content, so that a later change is noticed
        self.rows = training_rows(request.rows_file, SplitDescription.read(request.split_file))
        self.content = fingerprint([request.rows_file])
        self.file = load_model_file(request.model_file, self._state[0])
        self.beyond = _first_acting(self._state[0])
        self._prepared: Kept[list[PreparedRows]] = Kept(
            lambda parts: sum(part.x_train.nbytes + part.x_val.nbytes for part in parts)
        )

    def serve(self, request: Request) -> bool:
        """Return whether they are those of a request, and have not changed."""
        return self._state == _state(request)

    def prepared(self, setup: Setup, seed: int) -> list[PreparedRows]:
        """Return the rows of each fold, prepared; `seed` is that of the validation stream."""
        key = json.dumps(
            [setup.validation, setup.class_weight, setup.scaling, setup.target, seed],
            sort_keys=True,
        )
        return self._prepared.get(
            key,
            lambda: [
                prepare(self.rows, fit, held, setup.class_weight, setup.scaling, setup.target)
                for fit, held in validation_parts(self.rows, setup.validation, seed)
            ],
        )


#: Fingerprint of the first model file of this process that could act beyond its networks, and where
#: it does so.
_acted: tuple[str, str] | None = None


def _first_acting(code: ModelCode) -> str | None:
    """Return where a model file could act beyond its networks, or else one before it could."""
    global _acted
    own = acts_beyond(code)
    if own is not None:
        if _acted is None:
            _acted = (code.fingerprint, f"{code.path.name}, which this process ran before, {own}")
        return own
    return None if _acted is None else _acted[1]


def needs_new_process(request: Request) -> bool:
    """Return whether another model file could have changed what this one builds in this process."""
    return _acted is not None and _acted[0] != request.setup.model_file


def _state(request: Request) -> tuple[ModelCode, list[tuple[str, int, int]]]:
    """Return the code of the model file, and what shows a change of the other files."""
    return read_model_code(request.model_file, request.setup.model_file), [
        (str(file.absolute()), status.st_mtime_ns, status.st_size)
        for file in (request.split_file, request.rows_file)
        for status in [file.stat()]
    ]


@dataclass(frozen=True)
class OpenRequest:
    """A request with everything that is needed to train it.

    Attributes
    ----------
    request
        The request.
    inputs
        Its files.
    seeds
        Repetition → seeds of its streams.
    parts
        (repetition, fold) → its prepared rows, in the order of the record.
    settings
        The point's settings of a fit.
    pipeline
        The model file's pipeline for the point; None if it has none.
    row_shape
        Shape of a row as the network gets it.
    machine
        What trains it.
    unfinished
        Fits that an earlier run of the job finished; new ones are added.
    """

    request: Request
    inputs: Inputs
    seeds: dict[int, Seeds]
    parts: dict[tuple[int, int], PreparedRows]
    settings: FitSettings
    pipeline: Pipeline | None
    row_shape: tuple[Any, ...]
    machine: Machine
    unfinished: Unfinished

    def built(self, repetition: int) -> Network:
        """Build the point's network, with the initial weights of a repetition."""
        file, outputs = self.inputs.file, self.inputs.rows.outputs
        point, seed = self.request.hyperparameters, self.seeds[repetition].init
        return build(file.build_model, self.row_shape, outputs, point, seed, file.state)

    def training(
        self, model: keras.Model, repetition: int, fold: int, weights: list[np.ndarray]
    ) -> Training:
        """Return a training, with targets in the form that a network takes.

        Parameters
        ----------
        model
            The network.
        weights
            Its initial weights.
        """
        part, classes = self.parts[repetition, fold], self.inputs.rows.classes
        y_train, y_val = (
            encode_target(model, self.row_shape, target, classes)
            for target in (part.y_train, part.y_val)
        )
        rows = replace(part, y_train=y_train, y_val=y_val)
        return Training.of(model, repetition, fold, self.seeds[repetition], rows, weights)

    def fit_each(
        self, fit: Callable[[keras.Model, Training, Checkpoints | None], list[Fitted]]
    ) -> list[Fitted]:
        """Fit each training by itself, with a network of its own."""
        order = list(self.parts)

        def train(places: Sequence[int], checkpoints: Checkpoints | None) -> list[Fitted]:
            repetition, fold = order[places[0]]
            model = self.built(repetition).model
            training = self.training(model, repetition, fold, model.get_weights())
            return fit(model, training, checkpoints)

        return self.unfinished.fit_all([[place] for place in range(len(order))], train)


def open_request(request: Request, inputs: Inputs, stop: Event) -> OpenRequest:
    """Prepare a request's rows and settings.

    Parameters
    ----------
    inputs
        The request's files.
    stop
        When it is set, a training that keeps checkpoints ends after its epoch.

    Raises
    ------
    DataError
        If a repetition's rows cannot be divided or prepared.
    ModelError
        If the model file defines what the engine does not call, or its pipeline fails.
    """
    setup, rows, file = request.setup, inputs.rows, inputs.file
    seeds = {
        repetition: training_seeds(setup.seed, repetition, setup.vary)
        for repetition in request.repetitions
    }
    parts = {
        (repetition, fold): part
        for repetition, streams in seeds.items()
        for fold, part in enumerate(inputs.prepared(setup, streams.validation))
    }
    if setup.engine != "keras":
        _check_compiled(file)
    pipeline = Pipeline.of(file, request.hyperparameters)
    first = next(iter(parts.values()))
    shape = first.x_train.shape[1:]
    if pipeline is not None:
        shape = pipeline.input_shape(first.x_train, first.y_train, rows.outputs, rows.classes)
    machine = Machine(**environment())
    # What an earlier run trained counts on this kind of machine only. Its path says the rest.
    identity = {"rows": inputs.content, "lockstep": request.lockstep, "machine": machine.kind}
    return OpenRequest(
        request,
        inputs,
        seeds,
        parts,
        _settings(request.hyperparameters),
        pipeline,
        shape,
        machine,
        Unfinished(request.unfinished, identity, request.checkpoint_minutes, stop),
    )


def _check_compiled(file: ModelFile) -> None:
    """Refuse functions of a model file that only `model.fit` calls."""
    for name, defined in ((CALLBACKS, file.callbacks), (PIPELINE, file.pipeline)):
        if defined is not None:
            raise ModelError(
                f"model: {file.path} defines `{name}`, which only model.fit calls; {REMEDY}"
            )


def _settings(point: Mapping[str, Any]) -> FitSettings:
    stopping = None
    if point.get("early_stopping_patience") is not None:
        stopping = Stopping(
            patience=point["early_stopping_patience"],
            min_delta=float(point.get("early_stopping_min_delta", 0)),
            monitor=point.get("early_stopping_monitor", "val_loss"),
        )
    return {"batch_size": point["batch_size"], "epochs": point["epochs"], "stopping": stopping}
