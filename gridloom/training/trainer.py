"""From a request to a record: all trainings of one point and block of repetitions."""

from __future__ import annotations

import json
import threading
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass, field, replace
from functools import cached_property, partial
from pathlib import Path
from typing import Any

import keras
import numpy as np
import tensorflow as tf

from gridloom.data.description import SplitDescription
from gridloom.data.preparation import (
    PreparedRows,
    TrainingRows,
    prepare,
    training_rows,
    validation_parts,
)
from gridloom.engines import model_fit
from gridloom.engines.compiled import CompiledFit
from gridloom.engines.eligibility import why_not_in_lockstep
from gridloom.engines.lockstep import Lockstep
from gridloom.engines.monitoring import all_directions, make_metrics, monitored, monitored_place
from gridloom.engines.one_by_one import OneByOne, check_expressible
from gridloom.engines.program import Program
from gridloom.engines.types import REMEDY, Checkpoints, Fitted, Stopping, Training
from gridloom.errors import ModelError
from gridloom.files import fingerprint
from gridloom.identity.setup import Setup
from gridloom.networks.build import Network, build
from gridloom.networks.keras_private import GlobalState
from gridloom.networks.model_code import check_process, read_model_code
from gridloom.networks.model_file import ModelFile, load_model_file, make_callbacks
from gridloom.networks.pipeline import Pipeline
from gridloom.networks.structure import Structure, structure_of
from gridloom.networks.targets import encode_target
from gridloom.records import Machine, Record, TrainingResult, shortest
from gridloom.study.contract import CALLBACKS, PIPELINE
from gridloom.study.seeds import Seeds, training_seeds
from gridloom.training.environment import environment
from gridloom.training.kept import Kept
from gridloom.training.objective import check_objective, measured_names
from gridloom.training.request import Request
from gridloom.training.unfinished import Unfinished
from gridloom.training.units import check_standardizable, fitted_in_target_units, target_powers

#: Largest size of the stacked rows of repetitions in lockstep.
MAX_LOCKSTEP_BYTES = 512 * 2**20

#: Most trainings in one lockstep; a graph has operations for each, so it grows with their number.
MAX_LANES = 32


@dataclass(frozen=True)
class _Fits:
    """The fits of a job's trainings, and how they trained: at most `lanes` of them together."""

    fitted: list[Fitted]
    engine: str
    why_not_lockstep: str | None = None
    lanes: int = 1


@dataclass(frozen=True)
class Inspection:
    """The result of building and checking a point's network without training it.

    Attributes
    ----------
    engine
        ``lockstep``, ``one by one`` or ``keras``. ASSUME: `build_model` returns one network for all
        repetitions; only training them shows otherwise.
    why_not_lockstep
        Why compiled repetitions train one by one; None if they do not.
    """

    engine: str
    why_not_lockstep: str | None


@dataclass(frozen=True)
class _Job:
    """A request with everything that is needed to train it.

    Attributes
    ----------
    request
        The request.
    rows
        The study's training rows.
    content
        Fingerprint of their file.
    parts
        Repetition → prepared rows of each fold.
    seeds
        Repetition → seeds of its streams.
    file
        The model file.
    machine
        What trains it.
    unfinished
        Fits that an earlier run of the job finished; new ones are added.
    """

    request: Request
    rows: TrainingRows
    content: str
    parts: dict[int, list[PreparedRows]]
    seeds: dict[int, Seeds]
    file: ModelFile
    machine: Machine
    unfinished: Unfinished

    @property
    def point(self) -> dict[str, Any]:
        return self.request.hyperparameters

    @cached_property
    def pipeline(self) -> Pipeline | None:
        return Pipeline.of(self.file, self.point)

    @cached_property
    def row_shape(self) -> tuple[Any, ...]:
        (first, *_) = self.parts.values()
        x, target = first[0].x_train, first[0].y_train
        if self.pipeline is None:
            return x.shape[1:]
        return self.pipeline.input_shape(x, target, self.rows.outputs, self.rows.classes)

    def built(self, seed: int) -> Network:
        """Build the point's network, with initial weights drawn from `seed`."""
        file = self.file
        shape, outputs = self.row_shape, self.rows.outputs
        return build(file.build_model, shape, outputs, self.point, seed, file.state)

    def first_built(self) -> Network:
        """Build the network of the first repetition."""
        return self.built(self.seeds[self.request.repetitions[0]].init)

    def trainings(
        self, model: keras.Model, repetition: int, weights: list[np.ndarray]
    ) -> list[Training]:
        """Return a repetition's trainings, one for each fold, with targets for this model."""
        streams, shape, classes = self.seeds[repetition], self.row_shape, self.rows.classes
        return [
            Training(
                repetition,
                fold,
                streams,
                replace(
                    part,
                    y_train=encode_target(model, shape, part.y_train, classes),
                    y_val=encode_target(model, shape, part.y_val, classes),
                ),
                weights,
            )
            for fold, part in enumerate(self.parts[repetition])
        ]


class Trainer:
    """Trains points one after another, and keeps what the next point can reuse.

    It keeps the rows and the model file (until they change), the prepared rows of each repetition,
    and for up to `MAX_GRAPHS` kinds of network the traced graphs and initial weights. Reusing them
    changes no number.

    Parameters
    ----------
    stop
        When it is set, a training that keeps checkpoints ends after its epoch.
    """

    def __init__(self, stop: threading.Event | None = None) -> None:
        self.stop = stop or threading.Event()
        self._files: dict[str, tuple[tuple[Any, ...], Any]] = {}
        self._prepared: Kept[list[PreparedRows]] = Kept(
            lambda parts: sum(part.x_train.nbytes + part.x_val.nbytes for part in parts)
        )
        self._weights: Kept[dict[int, list[np.ndarray]]] = Kept()
        self._graphs: Kept[_Graph] = Kept()
        self._why_not: Kept[str | None] = Kept()
        self._measured: str | None = None

    def run(self, request: Request) -> Record:
        """Train a point's repetitions and return the record.

        Raises
        ------
        GridloomError
            If the data or the model file is wrong, or this process does not match the set-up.
        StoppedError
            If `stop` was set.
        """
        started, clock = time.time(), time.perf_counter()
        setup = request.setup
        job = self._open(request)
        network = job.first_built()
        self._check_objective(job)
        powers = {}
        if setup.target == "standard":
            check_standardizable(network.model)
            powers = target_powers(network.model, job.rows.outputs)
        parameters = network.model.count_params()
        fits = self._fit_by_keras(job) if setup.engine == "keras" else self._fit(job, network)
        order = [
            (repetition, fold, part.target_scale)
            for repetition, parts in job.parts.items()
            for fold, part in enumerate(parts)
        ]
        seconds = (job.unfinished.seconds_before + time.perf_counter() - clock) / len(order)
        return Record(
            hyperparameters=job.point,
            parameters=parameters,
            trainings=tuple(
                _training_result(
                    repetition,
                    fold,
                    job.seeds[repetition],
                    fitted_in_target_units(fit, powers, scale),
                    seconds,
                )
                for (repetition, fold, scale), fit in zip(order, fits.fitted, strict=True)
            ),
            machine=job.machine,
            setup=setup.as_json(),
            inputs={"training rows": job.content},
            engine=fits.engine,
            why_not_lockstep=fits.why_not_lockstep,
            lanes=fits.lanes,
            started=round(started, 3),
        )

    def inspect(self, request: Request) -> Inspection:
        """Build a point's network and check it as `run` does, but train nothing.

        Raises
        ------
        ObjectiveError
            If the network does not measure the objective.
        GridloomError
            If the data, the model file or the network is wrong.
        """
        setup = request.setup
        repetition, *_ = request.repetitions
        # The rows of one repetition are enough, and take less memory.
        job = self._open(replace(request, repetitions=(repetition,)))
        model = job.first_built().model
        if setup.target == "standard":
            check_standardizable(model)
        trainings = job.trainings(model, repetition, [])
        stopping = _stopping(job.point)
        engine, why_not = "keras", None
        if setup.engine == "keras":
            names = None if job.file.callbacks else _measured(job, model)
            if stopping is not None and names is not None:
                monitored(stopping.monitor, names, model)
        else:
            engine, why_not = self._engine(job, model, trainings * len(request.repetitions))
            make_metrics(model, trainings[0])
            directions = all_directions(model)
            names = [*directions, *(f"val_{name}" for name in directions)]
            if stopping is not None:
                monitored_place(stopping.monitor, directions)
        if request.objective and names is not None:
            check_objective(request.objective, names)
        return Inspection(engine, why_not)

    def _engine(
        self, job: _Job, model: keras.Model, trainings: Sequence[Training]
    ) -> tuple[str, str | None]:
        """Return the engine that trains a compiled network, and why it is not lockstep."""
        check_expressible(model)
        structure = structure_of(model)
        if structure.hidden:
            return "one by one", _HIDDEN
        state = str(GlobalState.now())
        why_not = self._why_not_lockstep(job, model, trainings, _kind(job, structure, state))
        return ("lockstep", None) if why_not is None else ("one by one", why_not)

    def _open(self, request: Request) -> _Job:
        """Read what a request needs, and check that it matches the set-up."""
        setup = request.setup
        check_process(setup)
        description = self._read("split", request.split_file, SplitDescription.read)
        rows, content = self._read(
            "rows",
            request.rows_file,
            lambda path: (training_rows(path, description), fingerprint([path])),
        )
        seeds = {
            repetition: training_seeds(setup.seed, repetition, setup.vary)
            for repetition in request.repetitions
        }
        parts = {
            repetition: self._prepare(setup, rows, streams.validation)
            for repetition, streams in seeds.items()
        }
        code = read_model_code(request.model_file, setup.model_file)
        file: ModelFile = self._read(
            "model",
            request.model_file,
            lambda path: load_model_file(path, code),
            code.imported_files,
        )
        if setup.engine != "keras":
            _check_compiled(file)
        machine = Machine(**environment())
        unfinished = self._unfinished(request, content, machine)
        return _Job(request, rows, content, parts, seeds, file, machine, unfinished)

    def _unfinished(self, request: Request, content: str, machine: Machine) -> Unfinished:
        """Return what an earlier run of a job trained, on this kind of machine."""
        identity = {
            "point": request.hyperparameters,
            "repetitions": request.repetitions,
            "rows": content,
            "lockstep": request.lockstep,
            "setup": request.setup.as_json(),
            "machine": asdict(replace(machine, host="")),
        }
        return Unfinished(request.unfinished, identity, request.checkpoint_minutes, self.stop)

    def _check_objective(self, job: _Job) -> None:
        """Check, once for each model file, that its networks measure the objective."""
        objective = job.request.objective
        if not objective or objective == self._measured or job.file.callbacks:
            return
        # This uses another network, so that the one that trains is not changed.
        names = _measured(job, job.first_built().model)
        if names is not None:
            check_objective(objective, names)
        self._measured = objective

    @property
    def graphs(self) -> int:
        """Number of traced graphs that are kept."""
        return len(self._graphs)

    def _read(
        self, name: str, path: Path, read: Callable[[Path], Any], more: Sequence[Path] = ()
    ) -> Any:
        """Read a file, again only if it or one of the files in `more` changed."""
        stamp = tuple(
            (str(file.absolute()), status.st_mtime_ns, status.st_size)
            for file in (path, *more)
            for status in [file.stat()]
        )
        known = self._files.get(name)
        if known is None or known[0] != stamp:
            for kept in (self._prepared, self._weights, self._graphs, self._why_not):
                kept.clear()
            self._measured = None
            known = self._files[name] = (stamp, read(path))
        return known[1]

    def _prepare(self, setup: Setup, rows: TrainingRows, seed: int) -> list[PreparedRows]:
        key = json.dumps(
            [setup.validation, setup.class_weight, setup.scaling, setup.target, seed],
            sort_keys=True,
        )
        return self._prepared.get(
            key,
            lambda: [
                prepare(rows, fit, held, setup.class_weight, setup.scaling, setup.target)
                for fit, held in validation_parts(rows, setup.validation, seed)
            ],
        )

    def _fit_by_keras(self, job: _Job) -> _Fits:
        """Fit each training by `model.fit`, each with its own network."""
        settings = {
            **_settings(job.point),
            "xla": job.request.setup.xla,
            "pipeline": job.pipeline,
        }

        def fit(repetition: int, fold: int, checkpoints: Checkpoints | None) -> list[Fitted]:
            del checkpoints  # `check_study` refuses them: callbacks may have a state of their own
            model = job.built(job.seeds[repetition].init).model
            training = job.trainings(model, repetition, model.get_weights())[fold]
            callbacks = make_callbacks(job.file, job.point)
            return [model_fit.fit(model, training, callbacks, **settings)]

        return _Fits(_each(job, fit), "keras")

    def _fit(self, job: _Job, first: Network) -> _Fits:
        """Fit all trainings with compiled graphs.

        Parameters
        ----------
        job
            The trainings.
        first
            Network of the first repetition.
        """
        check_expressible(first.model)
        structure = structure_of(first.model)
        if structure.hidden:
            return self._fit_apart(job, _HIDDEN)
        state = str(GlobalState.now())
        weights = self._initial_weights(job, first, structure, state)
        if weights is None:
            return self._fit_apart(job, "build_model returns another network in each repetition")
        trainings = [
            training
            for repetition, streams in job.seeds.items()
            for training in job.trainings(first.model, repetition, weights[streams.init])
        ]
        return self._fit_alike(job, first.model, trainings, structure, state)

    def _initial_weights(
        self, job: _Job, first: Network, structure: Structure, state: str
    ) -> dict[int, list[np.ndarray]] | None:
        """Return init seed → initial weights; None if the networks differ in more than these.

        Weights are kept for each kind of network, because they follow from the seed and the kind.
        Dropout rates belong to the kind only as zero or not, because only layers with a rate above
        0 draw a seed.
        """
        key = json.dumps(
            [structure.digest, state, [rate > 0 for rate in structure.rates], _own(job, structure)]
        )
        seed = job.seeds[job.request.repetitions[0]].init
        mine = first.model.get_weights()
        known = self._weights.get(key, dict)
        if first.drew or not _equal(mine, known.get(seed, mine)):
            known = {}  # weights depend on more than seed and kind
        known.setdefault(seed, mine)
        for other in (streams.init for streams in job.seeds.values()):
            if other not in known:
                network = job.built(other)
                if structure_of(network.model) != structure:
                    return None
                known[other] = network.model.get_weights()
        return known

    def _fit_apart(self, job: _Job, why_not: str) -> _Fits:
        """Fit each training with its own graph, for networks that are not proven equal."""
        settings = _settings(job.point)

        def fit(repetition: int, fold: int, checkpoints: Checkpoints | None) -> list[Fitted]:
            model = job.built(job.seeds[repetition].init).model
            training = job.trainings(model, repetition, model.get_weights())[fold]
            stopping = settings["stopping"] is not None
            program = OneByOne(model, training)
            compiled = CompiledFit(program, stopping=stopping, xla=self._xla(job, model))
            return compiled([training], model, **settings, checkpoints=checkpoints)

        return _Fits(_each(job, fit), "one by one", why_not)

    def _fit_alike(
        self,
        job: _Job,
        model: keras.Model,
        trainings: Sequence[Training],
        structure: Structure,
        state: str,
    ) -> _Fits:
        """Fit trainings of one network, in lockstep if model and memory allow it."""
        kind = _kind(job, structure, state)
        why_not = self._why_not_lockstep(job, model, trainings, kind)
        if why_not is None:
            groups = _together(trainings)
            sharing = _Sharing(model, structure, kind, Lockstep)
            try:
                fitted = self._fit_groups(job, trainings, groups, sharing)
                return _Fits(fitted, "lockstep", lanes=max(map(len, groups)))
            except _TwinError:
                why_not = (
                    "in a check, a step in lockstep gave other numbers than the network's own step"
                )
                self._why_not.put(kind, why_not)
        kind += json.dumps(structure.rates)
        sharing = _Sharing(model, structure, kind, lambda model, lanes: OneByOne(model, *lanes))
        alone = [[place] for place in range(len(trainings))]
        return _Fits(self._fit_groups(job, trainings, alone, sharing), "one by one", why_not)

    def _why_not_lockstep(
        self, job: _Job, model: keras.Model, trainings: Sequence[Training], kind: str
    ) -> str | None:
        if not job.request.lockstep:
            return "trainer.lockstep is false"
        if sum(t.rows.x_train.nbytes + t.rows.x_val.nbytes for t in trainings) > MAX_LOCKSTEP_BYTES:
            return f"the stacked rows take more than {MAX_LOCKSTEP_BYTES >> 20} MB"
        return self._why_not.get(kind, lambda: why_not_in_lockstep(model))

    def _fit_groups(
        self,
        job: _Job,
        trainings: Sequence[Training],
        groups: Sequence[Sequence[int]],
        sharing: _Sharing,
    ) -> list[Fitted]:
        """Fit groups of trainings, each group by one graph.

        Parameters
        ----------
        groups
            Indices into `trainings`.

        Raises
        ------
        _TwinError
            If a step of a stacked twin differs from the network's own.
        """
        fitted: dict[int, Fitted] = {}
        for places in groups:
            lanes = [trainings[place] for place in places]
            fits = job.unfinished.fit(places, partial(self._fit_lanes, job, lanes, sharing))
            fitted |= zip(places, fits, strict=True)
        return [fitted[place] for place in range(len(trainings))]

    def _fit_lanes(
        self,
        job: _Job,
        lanes: Sequence[Training],
        sharing: _Sharing,
        checkpoints: Checkpoints | None,
    ) -> list[Fitted]:
        fit = self._shared(job, lanes, sharing)
        return fit(lanes, sharing.model, **_settings(job.point), checkpoints=checkpoints)

    def _shared(self, job: _Job, lanes: Sequence[Training], sharing: _Sharing) -> CompiledFit:
        """Return a traced graph for a kind of network; a kept one if it can be used.

        A step of the graph is compared with the network's own step when a stacked twin is traced,
        and when a kept graph first gets another learning rate or dropout rate.

        Raises
        ------
        _TwinError
            If the twin's step differs from the network's own.
        """
        structure, xla = sharing.structure, self._xla(job, sharing.model)
        targets = lanes[0].rows.y_train.shape[1:]
        key = json.dumps([sharing.kind, len(lanes), targets, _stopping(job.point) is not None, xla])
        settings = _settings(job.point)
        settings.pop("epochs")
        data = {
            "learning rate": structure.learning_rate,
            **{f"rate {place}": rate for place, rate in enumerate(structure.rates)},
            **{f"rate {place} is 0": rate == 0 for place, rate in enumerate(structure.rates)},
        }

        def serves(fit: CompiledFit) -> bool:
            # With XLA, dropout masks differ from those of Keras's own step.
            own = job.built(lanes[0].seeds.init).model
            return xla or fit.check_step(lanes, own, **settings)

        graph = self._graphs.find(key)
        if graph is not None:
            new = {name for name in data if data[name] != graph.data[name]} - graph.proven
            if not new or serves(graph.fit):
                graph.proven |= new
                return graph.fit
            changed = ", ".join(sorted(new))
            print(f"a kept graph fails with another {changed}; a new one is traced. {_REPORT}")
        program = sharing.make(sharing.model, lanes)
        fit = CompiledFit(program, stopping=settings["stopping"] is not None, xla=xla)
        if isinstance(program, Lockstep) and not serves(fit):
            print(
                "a step in lockstep differs from the network's own step; the repetitions train one "
                f"by one. {_REPORT}"
            )
            raise _TwinError
        self._graphs.put(key, _Graph(fit, data))
        return fit

    def _xla(self, job: _Job, model: keras.Model) -> bool:
        # A model compiled with jit_compile=True asks for XLA itself.
        return job.request.setup.xla == "on" or (
            job.request.setup.xla == "auto"
            and (bool(tf.config.list_logical_devices("GPU")) or bool(model.jit_compile))
        )


#: Why a network's repetitions train one by one if its structure is not known.
_HIDDEN = "the model holds an object that cannot be inspected"

#: End of a message about a failed check, which should never happen.
_REPORT = "The results are right; please report this with the model file."


class _TwinError(Exception):
    """A step of a stacked twin differs from the network's own."""


@dataclass(frozen=True)
class _Sharing:
    """A network whose graph may be that of another point.

    Attributes
    ----------
    model, structure
        The network.
    kind
        Networks of other kinds have other graphs.
    make
        Makes the program of a new graph for some trainings.
    """

    model: keras.Model
    structure: Structure
    kind: str
    make: Callable[[keras.Model, Sequence[Training]], Program]


@dataclass
class _Graph:
    """A traced graph that may be used for other networks.

    Attributes
    ----------
    fit
        The graph.
    data
        Input of the graph → its value in the network from which the graph was traced.
    proven
        Inputs that were checked with another value.
    """

    fit: CompiledFit
    data: dict[str, Any]
    proven: set[str] = field(default_factory=set)


def _each(job: _Job, fit: Callable[[int, int, Checkpoints | None], list[Fitted]]) -> list[Fitted]:
    """Fit each fold of each repetition by itself."""
    ordered = [
        (repetition, fold) for repetition in job.parts for fold in range(len(job.parts[repetition]))
    ]
    fitted = []
    for place, (repetition, fold) in enumerate(ordered):
        fitted += job.unfinished.fit([place], partial(fit, repetition, fold))
    return fitted


def _together(trainings: Sequence[Training]) -> list[list[int]]:
    """Group trainings to stack, as indices: equal numbers of rows, at most `MAX_LANES` in a group.

    Folds may differ by one row.
    """
    alike: dict[tuple[int, int], list[int]] = {}
    for place, training in enumerate(trainings):
        sizes = (len(training.rows.y_train), len(training.rows.y_val))
        alike.setdefault(sizes, []).append(place)
    return [part for group in alike.values() for part in _chunks(group, MAX_LANES)]


def _chunks(places: list[int], most: int) -> list[list[int]]:
    """Cut a list into parts of nearly equal length, at most `most`."""
    count = -(-len(places) // most)
    length = -(-len(places) // count)
    return [places[start : start + length] for start in range(0, len(places), length)]


def _own(job: _Job, structure: Structure) -> dict[str, Any] | None:
    """Return the point if the network has custom parts, so that it shares with no other point."""
    return job.point if structure.own else None


def _kind(job: _Job, structure: Structure, state: str) -> str:
    """Name the networks that one graph can serve, in a global state of Keras."""
    return json.dumps([structure.digest, state, _own(job, structure)])


def _measured(job: _Job, model: keras.Model) -> list[str] | None:
    """Return what a network will measure; see `measured_names`."""
    (training, *_) = job.trainings(model, job.request.repetitions[0], [])
    rows = training.rows
    if job.pipeline is not None:
        x, y = job.pipeline.first_row(rows.x_train, rows.y_train)
        rows = replace(rows, x_train=x, y_train=y)
    return measured_names(model, rows, by_keras=job.request.setup.engine == "keras")


def _equal(some: Sequence[np.ndarray], others: Sequence[np.ndarray]) -> bool:
    return len(some) == len(others) and all(map(np.array_equal, some, others))


def _check_compiled(file: ModelFile) -> None:
    """Refuse functions of a model file that only `model.fit` calls."""
    for name, defined in ((CALLBACKS, file.callbacks), (PIPELINE, file.pipeline)):
        if defined is not None:
            raise ModelError(
                f"model: {file.path} defines `{name}`, which only model.fit calls; {REMEDY}"
            )


def _settings(point: Mapping[str, Any]) -> dict[str, Any]:
    """Return a point's arguments for a fit."""
    return {
        "batch_size": point["batch_size"],
        "epochs": point["epochs"],
        "stopping": _stopping(point),
    }


def _stopping(point: Mapping[str, Any]) -> Stopping | None:
    """Return the early stopping that a point asks for."""
    if point.get("early_stopping_patience") is None:
        return None
    return Stopping(
        patience=point["early_stopping_patience"],
        min_delta=float(point.get("early_stopping_min_delta", 0)),
        monitor=point.get("early_stopping_monitor", "val_loss"),
    )


def _training_result(
    repetition: int, fold: int, seeds: Seeds, fitted: Fitted, seconds: float
) -> TrainingResult:
    history = {
        name: [shortest(value) for value in values] for name, values in fitted.history.items()
    }
    if "loss" not in history:
        raise ModelError(
            f"model: its train_step returns no 'loss' (but {', '.join(history)}); return one"
        )
    losses = [*history["loss"], history.get("val_loss", history["loss"])[fitted.restored_epoch]]
    finite = all(value is not None for value in losses)
    return TrainingResult(
        repetition=repetition,
        fold=fold,
        seeds=seeds,
        status="ok" if finite else "diverged",
        restored_epoch=fitted.restored_epoch,
        seconds=round(seconds, 6),
        history=history,
    )
