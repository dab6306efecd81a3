"""From a request to a record: all trainings of one point and block of repetitions."""

from __future__ import annotations

import json
import os
import platform
import socket
import time
from collections import OrderedDict
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from functools import cache
from importlib.metadata import version
from pathlib import Path
from typing import Any, Generic, TypeVar

import keras
import numpy as np
import tensorflow as tf

from gridloom.blocks import job_repetitions, point_of
from gridloom.data.preparation import (
    PreparedRows,
    TrainingRows,
    prepare,
    training_rows,
    validation_parts,
)
from gridloom.errors import ModelError
from gridloom.files import fingerprint
from gridloom.grid import Value, point_path, read_path
from gridloom.identity import Setup
from gridloom.seeds import training_seeds
from gridloom.training import keras_fit, lockstep
from gridloom.training.fit import (
    REMEDY,
    CompiledFit,
    Fitted,
    Lockstep,
    OneByOne,
    Stopping,
    Training,
    check_expressible,
)
from gridloom.training.model import (
    ModelFile,
    build,
    encode_target,
    graph_key,
    load_model_file,
    make_callbacks,
)
from gridloom.training.model_code import check_process, read_model_code
from gridloom.training.record import FORMAT, shortest

T = TypeVar("T")

#: Traced graphs kept; the oldest goes first.
MAX_GRAPHS = 32

#: Prepared rows are kept up to this size.
MAX_KEPT_BYTES = 2**30

#: Repetitions share memory in lockstep only up to this size of their stacked rows.
MAX_LOCKSTEP_BYTES = 512 * 2**20

PACKAGES = ("gridloom", "keras", "numpy", "pandas", "scikit-learn", "tensorflow")


@dataclass(frozen=True)
class Request:
    """What determines the trainings of a job, and the files it needs.

    Attributes
    ----------
    hyperparameters
        The point, early-stopping keys, `batch_size` and `epochs` among them.
    repetitions
        Which ones to train.
    seed, vary, validation, class_weight, scaling
        As in the study.
    rows_file, split_file, model_file
        ``train.parquet`` (or ``.npz``), ``split.json`` and the model file.
    setup
        All that determines a training besides its point and repetition; noted in the record.
    engine
        ``compiled`` or ``keras``.
    xla
        ``auto``, ``on`` or ``off``.
    lockstep
        Whether repetitions may train in lockstep.
    """

    hyperparameters: dict[str, Value]
    repetitions: tuple[int, ...]
    seed: int
    vary: tuple[str, ...]
    validation: dict[str, Any]
    class_weight: str | dict[str, float] | None
    scaling: str
    rows_file: Path
    split_file: Path
    model_file: Path
    setup: dict[str, Any]
    engine: str = "compiled"
    xla: str = "auto"
    lockstep: bool = True


def read_request(job: Mapping[str, Any]) -> Request:
    """Read a job as the client sends it: its settings and files.

    Raises
    ------
    ChangedError
        If this process is not what the set-up says.
    """
    setup, record = Setup.from_json(job["setup"]), Path(job["record"])
    check_process(setup)
    return Request(
        hyperparameters=read_path(point_of(record)),
        repetitions=tuple(job_repetitions(record)),
        seed=setup.seed,
        vary=setup.vary,
        validation=setup.validation,
        class_weight=setup.class_weight,
        scaling=setup.scaling,
        rows_file=Path(job["rows"]),
        split_file=Path(job["split"]),
        model_file=Path(job["model"]),
        setup=setup.as_json(),
        engine=setup.engine,
        xla=setup.xla,
        lockstep=job["lockstep"],
    )


class Trainer:
    """Trains points, one after another; keeps what the next one may share.

    Kept are the rows and the model file (until they change), the prepared rows of each repetition,
    and for up to `MAX_GRAPHS` kinds of network the traced graphs and initial weights. None of it
    changes a number.
    """

    def __init__(self) -> None:
        self._files: dict[str, tuple[tuple[Any, ...], Any]] = {}
        self._prepared: _Kept[list[PreparedRows]] = _Kept(
            lambda parts: sum(part.x_train.nbytes + part.x_val.nbytes for part in parts)
        )
        self._weights: _Kept[dict[int, list[np.ndarray]]] = _Kept()
        self._graphs: _Kept[CompiledFit] = _Kept()
        self._seed_tensorflow = self._checked = False

    def run(self, request: Request) -> dict[str, Any]:
        """Train a point's repetitions and return the record.

        Raises
        ------
        GridloomError
            If the data or the model file is wrong.
        """
        started, clock = time.time(), time.perf_counter()
        description = self._read("split", request.split_file, _read_json)
        rows, content = self._read(
            "rows",
            request.rows_file,
            lambda path: (training_rows(path, description), fingerprint([path])),
        )
        seeds = {
            repetition: training_seeds(request.seed, repetition, request.vary)
            for repetition in request.repetitions
        }
        parts = {
            repetition: self._prepare(request, rows, streams.validation)
            for repetition, streams in seeds.items()
        }
        shape = parts[request.repetitions[0]][0].x_train.shape[1:]
        point: dict[str, Any] = request.hyperparameters
        code = read_model_code(request.model_file, request.setup.get("model file"))
        file: ModelFile = self._read(
            "model",
            request.model_file,
            lambda path: load_model_file(path, code),
            code.imported_files,
        )

        def built(seed: int) -> keras.Model:
            return build(
                file.build_model,
                shape,
                rows.outputs,
                point,
                seed,
                seed_tensorflow=self._seed_tensorflow,
            )

        first = seeds[request.repetitions[0]].init
        model = built(first)
        stacked = lockstep.why_not(model) is None
        # Whether there is dropout decides what initializers draw; the rate itself does not.
        weights_key = graph_key(model, point, bool)
        key = graph_key(model, point, (lambda rate: "data") if stacked else float)
        known = self._weights.get(weights_key, dict).get(first)
        if known is not None and not _equal(model.get_weights(), known):
            # It sets weights that its configuration does not tell of: share nothing.
            weights_key += json.dumps(point, sort_keys=True)
            key += weights_key
        weights = self._weights.get(weights_key, dict)
        if not self._checked:
            self._checked = True
            if not _equal(model.get_weights(), built(first).get_weights()):
                # This model file draws from generators that only a full seeding resets.
                self._seed_tensorflow = True
                model = built(first)
        weights.setdefault(first, model.get_weights())
        trainings = []
        for repetition, streams in seeds.items():
            if streams.init not in weights:
                weights[streams.init] = built(streams.init).get_weights()
            for fold, prepared in enumerate(parts[repetition]):
                encoded = replace(
                    prepared,
                    y_train=encode_target(model, shape, prepared.y_train, rows.classes),
                    y_val=encode_target(model, shape, prepared.y_val, rows.classes),
                )
                trainings.append(
                    Training(repetition, fold, streams, encoded, weights[streams.init])
                )
        if request.engine == "keras":
            engine = "keras"
            fitted = [
                keras_fit.fit(
                    built(training.seeds.init),
                    training,
                    make_callbacks(file, point),
                    batch_size=point["batch_size"],
                    epochs=point["epochs"],
                    stopping=_stopping(point),
                    xla=request.xla,
                )
                for training in trainings
            ]
        elif file.callbacks is not None:
            raise ModelError(
                f"model: {file.path} defines `callbacks`, which only model.fit calls; {REMEDY}"
            )
        else:
            fitted, engine = self._fit(request, key, model, trainings, stacked)
        seconds = (time.perf_counter() - clock) / len(trainings)
        return {
            "format": FORMAT,
            "point": point_path(point),
            "hyperparameters": point,
            "parameters": model.count_params(),
            "trainings": [
                _training_record(training, fit, seconds)
                for training, fit in zip(trainings, fitted, strict=True)
            ],
            "environment": {
                **environment(),
                "setup": request.setup,
                "inputs": {"training rows": content},
                "engine": engine,
                "started": round(started, 3),
            },
        }

    @property
    def graphs(self) -> int:
        """How many traced graphs are kept."""
        return len(self._graphs)

    def _read(
        self, name: str, path: Path, read: Callable[[Path], Any], more: Sequence[Path] = ()
    ) -> Any:
        """Read a file, once until it or one of those that come with it changes."""
        stamp = tuple(
            (str(file.absolute()), status.st_mtime_ns, status.st_size)
            for file in (path, *more)
            for status in [file.stat()]
        )
        known = self._files.get(name)
        if known is None or known[0] != stamp:
            for kept in (self._prepared, self._weights, self._graphs):
                kept.clear()
            self._seed_tensorflow = self._checked = False
            known = self._files[name] = (stamp, read(path))
        return known[1]

    def _prepare(self, request: Request, rows: TrainingRows, seed: int) -> list[PreparedRows]:
        key = json.dumps(
            [request.validation, request.class_weight, request.scaling, seed], sort_keys=True
        )
        return self._prepared.get(
            key,
            lambda: [
                prepare(rows, fit, held, request.class_weight, request.scaling)
                for fit, held in validation_parts(rows, request.validation, seed)
            ],
        )

    def _fit(
        self,
        request: Request,
        key: str,
        model: keras.Model,
        trainings: Sequence[Training],
        stacked: bool,
    ) -> tuple[list[Fitted], str]:
        """Fit all trainings, in lockstep where model and memory allow it."""
        check_expressible(model)
        point: dict[str, Any] = request.hyperparameters
        stopping = _stopping(point)
        # A model compiled with jit_compile=True asks for XLA itself.
        xla = request.xla == "on" or (
            request.xla == "auto"
            and (bool(tf.config.list_logical_devices("GPU")) or bool(model.jit_compile))
        )
        size = sum(t.rows.x_train.nbytes + t.rows.x_val.nbytes for t in trainings)
        together = stacked and request.lockstep and size <= MAX_LOCKSTEP_BYTES
        # Only equal numbers of rows stack, and the folds of k may differ by one.
        batches: dict[tuple[int, ...], list[int]] = {}
        for place, training in enumerate(trainings):
            alike = (len(training.rows.y_train), len(training.rows.y_val))
            batches.setdefault(alike if together else (place,), []).append(place)
        fitted: dict[int, Fitted] = {}
        for places in batches.values():
            batch = [trainings[place] for place in places]

            def traced(batch: list[Training] = batch) -> CompiledFit:
                program = Lockstep(model, batch) if stacked else OneByOne(model, batch[0])
                return CompiledFit(program, stopping=stopping is not None, xla=xla)

            graph_id = f"{key} {len(batch)} {stopping is not None} {xla}"
            results = self._graphs.get(graph_id, traced)(
                batch,
                model,
                batch_size=point["batch_size"],
                epochs=point["epochs"],
                stopping=stopping,
            )
            fitted.update(zip(places, results, strict=True))
        engine = "lockstep" if together else "one by one"
        return [fitted[place] for place in range(len(trainings))], engine


class _Kept(Generic[T]):
    """The `MAX_GRAPHS` things used last, made at first use.

    Parameters
    ----------
    size
        Bytes of a thing; all kept but the newest have no more than `MAX_KEPT_BYTES`.
    """

    def __init__(self, size: Callable[[T], int] = lambda thing: 0) -> None:
        self._things: OrderedDict[str, T] = OrderedDict()
        self._size = size

    def get(self, key: str, make: Callable[[], T]) -> T:
        if key in self._things:
            self._things.move_to_end(key)
        else:
            self._things[key] = make()
            while len(self._things) > MAX_GRAPHS or (
                len(self._things) > 1
                and sum(map(self._size, self._things.values())) > MAX_KEPT_BYTES
            ):
                self._things.popitem(last=False)
        return self._things[key]

    def clear(self) -> None:
        self._things.clear()

    def __len__(self) -> int:
        return len(self._things)


def _equal(some: Sequence[np.ndarray], others: Sequence[np.ndarray]) -> bool:
    return len(some) == len(others) and all(map(np.array_equal, some, others))


def _read_json(path: Path) -> Any:
    return json.loads(path.read_text(encoding="utf-8"))


def _stopping(point: Mapping[str, Any]) -> Stopping | None:
    """Return the early stopping that a point asks for."""
    if point.get("early_stopping_patience") is None:
        return None
    return Stopping(
        patience=point["early_stopping_patience"],
        min_delta=float(point.get("early_stopping_min_delta", 0)),
        monitor=point.get("early_stopping_monitor", "val_loss"),
    )


def _training_record(training: Training, fitted: Fitted, seconds: float) -> dict[str, Any]:
    history = {
        name: [shortest(value) for value in values] for name, values in fitted.history.items()
    }
    if "loss" not in history:
        raise ModelError(
            f"model: its train_step gives no 'loss' (but {', '.join(history)}); return one"
        )
    losses = [*history["loss"], history.get("val_loss", history["loss"])[fitted.restored_epoch]]
    finite = all(value is not None for value in losses)
    return {
        "repetition": training.repetition,
        "fold": training.fold,
        "seeds": asdict(training.seeds),
        "status": "ok" if finite else "diverged",
        "restored_epoch": fitted.restored_epoch,
        "seconds": round(seconds, 6),
        "history": history,
    }


def environment() -> dict[str, Any]:
    """Describe the machine and the packages that a training ran with."""
    devices = tf.config.list_physical_devices("GPU")
    return {
        "host": socket.gethostname(),
        "platform": platform.platform(),
        "python": platform.python_version(),
        "packages": _versions(),
        "threads": tf.config.threading.get_intra_op_parallelism_threads(),
        "gpus": [os.environ.get("CUDA_VISIBLE_DEVICES", "all")] if devices else [],
    }


@cache
def _versions() -> dict[str, str]:
    return {package: version(package) for package in PACKAGES}
