"""From a request to a record: all trainings of one point and block of repetitions."""

from __future__ import annotations

import contextlib
import threading
import time
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, replace

import keras

from gridloom.engines import model_fit
from gridloom.engines.monitoring import all_directions, make_metrics, monitored, monitored_place
from gridloom.engines.types import Checkpoints, Fitted, Training
from gridloom.errors import GridloomError, ModelError
from gridloom.networks.model_code import check_process
from gridloom.networks.model_file import make_callbacks
from gridloom.networks.targets import encode_target
from gridloom.records import Record, TrainingResult, shortest
from gridloom.study.seeds import Seeds
from gridloom.training.adoption import Adoptable, built_from, why_not_known
from gridloom.training.objective import check_objective, measured_names
from gridloom.training.opening import Inputs, OpenRequest, open_request
from gridloom.training.points import MAX_LOCKSTEP_PARAMETERS, Point, SharedNetworks
from gridloom.training.request import Request
from gridloom.training.sharing import Fits, SharedGraphs
from gridloom.training.units import check_standardizable, fitted_in_target_units, target_powers


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


#: Most requests that a trainer has opened ahead: those that it hears of at once.
MAX_AHEAD = 64


class Trainer:
    """Trains points one after another, and keeps what the next point can reuse.

    It keeps the rows and the model file until they change, and what was made of them: see `Inputs`
    and `SharedGraphs`. Reusing them changes no number.

    Parameters
    ----------
    stop
        When it is set, a training that keeps checkpoints ends after its epoch.
    """

    def __init__(self, stop: threading.Event | None = None) -> None:
        self.stop = stop or threading.Event()
        self._inputs: Inputs | None = None
        self.graphs = SharedGraphs()
        self._networks = SharedNetworks()
        self._measured: str | None = None
        self._adoptable = Adoptable()
        #: Requests of the job that were opened ahead; records that wait to be asked for.
        self._ahead: dict[str, Point | None] = {}
        self._waiting: dict[str, Record] = {}

    def run(self, request: Request, ahead: Iterable[Request] = ()) -> Record:
        """Train a point's repetitions and return the record, or adopt an earlier one.

        Parameters
        ----------
        ahead
            Requests that follow in the same job. Some may train in the same lanes; then their
            records wait until they are asked for.

        Raises
        ------
        GridloomError
            If the data or the model file is wrong, or this process does not match the set-up.
        StoppedError
            If `stop` was set.
        """
        started, clock = time.time(), time.perf_counter()
        setup = request.setup
        inputs, key = self._inputs_of(request), repr(request)
        self._ahead.pop(key, None)
        waiting = self._waiting.pop(key, None)
        if waiting is not None:
            return waiting
        opened = open_request(request, inputs, self.stop)
        point = self._networks.point(opened)
        self._check_objective(opened)
        _check_units(point)
        if setup.engine == "keras":
            trained = [(point, _fit_by_keras(opened))]
        else:
            trainings = self.graphs.trainings(point)
            adopted = self._adopted(point, trainings)
            if adopted is not None:
                return adopted
            ahead_opened = self._opened_ahead(ahead, inputs)
            trained = self.graphs.fit(point, trainings, ahead_opened)
        seconds = opened.unfinished.seconds_before + time.perf_counter() - clock
        seconds /= sum(len(fits.fitted) for _, fits in trained)
        record, *others = (_record(one, fits, seconds, started) for one, fits in trained)
        for (one, _), other in zip(trained[1:], others, strict=True):
            self._waiting[repr(one.opened.request)] = other
        return record

    def _adopted(self, point: Point, trainings: Sequence[Training] | None) -> Record | None:
        """Return the record that a point adopts; None if it is to be trained."""
        request = point.opened.request
        self._adoptable.open(request.adoptable)
        if not self._adoptable:
            return None
        why_not = why_not_known(point, trainings)
        if why_not is not None:
            print(f"trained, not adopted: {why_not}")
            return None
        return self._adoptable.take(built_from(point, trainings), request)

    def _opened_ahead(self, ahead: Iterable[Request], inputs: Inputs) -> Iterator[Point]:
        """Open requests that follow and are not trained yet, without those that cannot share."""
        for request in ahead:
            key = repr(request)
            if key in self._waiting:
                continue
            if key not in self._ahead:
                if len(self._ahead) >= MAX_AHEAD:
                    del self._ahead[next(iter(self._ahead))]
                self._ahead[key] = None
                # Its own turn reports what is wrong.
                with contextlib.suppress(GridloomError):
                    opened = open_request(request, inputs, self.stop)
                    point = self._networks.point(opened)
                    _check_units(point)
                    # Others that are built later could change a custom network, and large ones
                    # would fill the memory.
                    small = point.first.model.count_params() <= MAX_LOCKSTEP_PARAMETERS
                    if small and point.kind is not None and point.kind.structure.own is None:
                        self._ahead[key] = point
            found = self._ahead[key]
            if found is not None and not self._adopts(found):
                yield found

    def _adopts(self, point: Point) -> bool:
        """Return whether a point ahead will adopt a record in its turn."""
        if not self._adoptable:
            return False
        with contextlib.suppress(GridloomError):  # its own turn reports it
            return built_from(point, self.graphs.trainings(point)) in self._adoptable
        return False

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
        opened = self._open(replace(request, repetitions=(repetition,)))
        model = opened.built(repetition).model
        if setup.target == "standard":
            check_standardizable(model)
        trainings = [opened.training(model, *place, []) for place in opened.parts]
        stopping = opened.settings["stopping"]
        engine, why_not = "keras", None
        if setup.engine == "keras":
            names = None if opened.inputs.file.callbacks else _measured(opened, model)
            if stopping is not None and names is not None:
                monitored(stopping.monitor, names, model)
        else:
            trainings *= len(request.repetitions)
            engine, why_not = self.graphs.engine(opened, model, trainings)
            make_metrics(model, trainings[0])
            directions = all_directions(model)
            names = [*directions, *(f"val_{name}" for name in directions)]
            if stopping is not None:
                monitored_place(stopping.monitor, directions)
        if request.objective and names is not None:
            check_objective(request.objective, names)
        return Inspection(engine, why_not)

    def _open(self, request: Request) -> OpenRequest:
        """Read what a request needs, and check that it fits the set-up."""
        return open_request(request, self._inputs_of(request), self.stop)

    def _inputs_of(self, request: Request) -> Inputs:
        """Return the files of a request, read again only if they changed."""
        check_process(request.setup)
        if self._inputs is None or not self._inputs.serve(request):
            # Drop what there is first: both might not fit into memory.
            self._inputs, self._measured = None, None
            self.graphs, self._networks = SharedGraphs(), SharedNetworks()
            self._ahead, self._waiting = {}, {}
            self._inputs = Inputs(request)
        return self._inputs

    def _check_objective(self, opened: OpenRequest) -> None:
        """Check, once for each model file, that its networks measure the objective."""
        request = opened.request
        objective = request.objective
        if not objective or objective == self._measured or opened.inputs.file.callbacks:
            return
        # This uses another network, so that the one that trains is not changed.
        names = _measured(opened, opened.built(request.repetitions[0]).model)
        if names is not None:
            check_objective(objective, names)
        self._measured = objective


def _measured(opened: OpenRequest, model: keras.Model) -> list[str] | None:
    """Return what a network will measure; see `measured_names`."""
    part = next(iter(opened.parts.values()))
    x = part.x_train[:1]
    y = encode_target(model, opened.row_shape, part.y_train[:1], opened.inputs.rows.classes)
    if opened.pipeline is not None:
        x, y = opened.pipeline.first_row(x, y)
    return measured_names(model, x, y, by_keras=opened.request.setup.engine == "keras")


def _fit_by_keras(opened: OpenRequest) -> Fits:
    """Fit each training by `model.fit`, each with its own network."""
    xla, pipeline = opened.request.setup.xla, opened.pipeline

    def fit(
        model: keras.Model, training: Training, checkpoints: Checkpoints | None
    ) -> list[Fitted]:
        del checkpoints  # `check_study` refuses them: callbacks may have a state of their own
        callbacks = make_callbacks(opened.inputs.file, opened.request.hyperparameters)
        how = opened.settings
        return [model_fit.fit(model, training, callbacks, **how, xla=xla, pipeline=pipeline)]

    return Fits(opened.fit_each(fit), "keras")


def _check_units(point: Point) -> None:
    """Refuse a network that cannot predict the targets in the units that the study asks for."""
    if point.opened.request.setup.target == "standard":
        check_standardizable(point.first.model)


def _record(point: Point, fits: Fits, seconds: float, started: float) -> Record:
    """Return the record of a point.

    Parameters
    ----------
    seconds
        Of each training.
    started
        When the first of those beside it began, in seconds since 1970.
    """
    opened, model = point.opened, point.first.model
    setup = opened.request.setup
    powers = {}
    if setup.target == "standard":
        powers = target_powers(model, opened.inputs.rows.outputs)
    return Record(
        hyperparameters=opened.request.hyperparameters,
        parameters=model.count_params(),
        trainings=tuple(
            _training_result(
                repetition,
                fold,
                opened.seeds[repetition],
                fitted_in_target_units(fit, powers, part.target_scale),
                seconds,
            )
            for ((repetition, fold), part), fit in zip(
                opened.parts.items(), fits.fitted, strict=True
            )
        ),
        machine=opened.machine,
        setup=setup.as_json(),
        inputs={"training rows": opened.inputs.content},
        engine=fits.engine,
        why_not_lockstep=fits.why_not_lockstep,
        started=round(started, 3),
        built=None if fits.trainings is None else built_from(point, fits.trainings),
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
