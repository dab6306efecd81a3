"""Records: the trainings of a point and a block of repetitions, as a job writes them.

The reader checks all of a record, because a file may have been edited by hand. It refuses a record,
and names the file, unless every key is there, every number is in its range, each training occurs
once, and point, repetitions and seeds are those of its path and set-up.
"""

from __future__ import annotations

import json
import math
from collections.abc import Collection, Mapping
from dataclasses import asdict, dataclass, field, replace
from functools import lru_cache
from itertools import chain, product
from pathlib import Path
from typing import Any, NoReturn, TypeVar

import numpy as np

from gridloom.errors import RecordError
from gridloom.files import write_text
from gridloom.naming.blocks import point_of, read_block
from gridloom.naming.points import Point, read_path
from gridloom.study.seeds import STREAMS, Seeds, training_seeds

#: Increment on incompatible changes.
RECORD_FORMAT = 1


def shortest(value: float) -> float | None:
    """Return the shortest decimal number that reads as this float32; None if it is not finite."""
    return float(str(np.float32(value))) if math.isfinite(value) else None


REMEDY = "delete it and run again: it will be trained anew"

STATUSES = ("ok", "diverged")

#: Slightly above the largest float32; all metrics are computed in float32.
_MAX_METRIC = 3.4028236e38

#: Whole numbers of the tables have 64 bits.
_MAX_WHOLE = 2**63 - 1

#: Longest value that a message shows, in characters.
_MAX_SHOWN = 60

_NUMBERS = {float, int}

Kind = TypeVar("Kind")


@dataclass(frozen=True, slots=True)
class TrainingResult:
    """One training in a record.

    Attributes
    ----------
    repetition, fold
        Both counted from 0.
    seeds
        Seeds of its random streams.
    status
        ``ok`` or ``diverged``.
    restored_epoch
        Epoch whose weights the training ended with, counted from 0.
    seconds
        Its share of the job's time.
    history
        Metric → its value at the end of each epoch, None where it was not finite.
    """

    repetition: int
    fold: int
    seeds: Seeds
    status: str
    restored_epoch: int
    seconds: float
    history: dict[str, list[float | None]]


@dataclass(frozen=True, slots=True)
class Machine:
    """The machine and the packages that trainings ran with.

    None stands for what the record does not say.

    Attributes
    ----------
    host, platform, cpu, python
        Names of the machine, its system and its processor; Python's version.
    packages
        Package → version.
    onednn
        Whether TensorFlow might use oneDNN.
    threads
        Cores that one operation might use.
    gpus
        Devices that were visible; empty without a GPU.
    """

    host: str
    platform: str | None = None
    cpu: str | None = None
    python: str | None = None
    packages: dict[str, str] = field(default_factory=dict)
    onednn: bool | None = None
    threads: int | None = None
    gpus: list[str] | None = None

    @property
    def device(self) -> str:
        """Kind of what it trained on: ``CPU`` or ``GPU``."""
        return "GPU" if self.gpus else "CPU"

    @property
    def kind(self) -> dict[str, Any]:
        """What two machines have in common if they give the same bits: all but the name."""
        return asdict(replace(self, host=""))


@dataclass(frozen=True, slots=True)
class Record:
    """The trainings of a point and a block of repetitions, and how they were made.

    Attributes
    ----------
    hyperparameters
        The point.
    parameters
        Number of the network's parameters.
    trainings
        In the order of the file.
    machine
        What it trained on.
    setup
        Everything else that determines the trainings, such as seed, vary and validation.
    inputs
        Input → fingerprint of its content.
    engine
        ``lockstep``, ``one by one`` or ``keras``; None if the record does not say.
    why_not_lockstep
        Why the repetitions did not train in lockstep; None if they did, or if the record does not
        say.
    started
        When the job began, in seconds since 1970; None if the record does not say.
    built
        Fingerprint of what was trained (see `gridloom.training.adoption`); None if what was built
        does not say all, or if the record does not say.
    adopted_from
        If the trainings were adopted: set-up, point and file of the record that they were made
        for; None if they were made for this record.
    """

    hyperparameters: Point
    parameters: int
    trainings: tuple[TrainingResult, ...]
    machine: Machine
    setup: dict[str, Any]
    inputs: dict[str, str] = field(default_factory=dict)
    engine: str | None = None
    why_not_lockstep: str | None = None
    started: float | None = None
    built: str | None = None
    adopted_from: str | None = None


def write_record(path: Path, record: Record) -> None:
    """Write a record atomically; its path names its point and its repetitions."""
    content = {
        "format": RECORD_FORMAT,
        "point": point_of(path),
        "hyperparameters": record.hyperparameters,
        "parameters": record.parameters,
        "trainings": [
            {
                "repetition": training.repetition,
                "fold": training.fold,
                "seeds": asdict(training.seeds),
                "status": training.status,
                "restored_epoch": training.restored_epoch,
                "seconds": training.seconds,
                "history": training.history,
            }
            for training in record.trainings
        ],
        "environment": {
            **asdict(record.machine),
            "setup": record.setup,
            "inputs": record.inputs,
            "engine": record.engine,
            "why_not_lockstep": record.why_not_lockstep,
            "started": record.started,
            # Near the end of the file, where `built_in` looks.
            "built": record.built,
            "adopted_from": record.adopted_from,
        },
    }
    write_text(path, json.dumps(content, separators=(",", ":"), allow_nan=False) + "\n")


class _DamageError(Exception):
    """What is wrong with a record."""


def read_record(path: Path) -> Record:
    """Read a record and check all of it.

    Raises
    ------
    RecordError
        Which names the file, what is wrong with it, and what to do.
    """
    try:
        return _record(path, _DECODER.decode(path.read_text(encoding="utf-8")))
    except OSError as error:
        raise RecordError(f"{path}: cannot be read ({error.strerror})") from None
    except (ValueError, RecursionError):
        raise RecordError(f"{path}: is cut short or damaged; {REMEDY}") from None
    except _DamageError as damage:
        raise RecordError(f"{path}: {damage}; {REMEDY}") from None


def _refuse_constant(name: str) -> NoReturn:
    raise _DamageError(f"holds {name}, which is no number")


#: Python's own decoder reads NaN and Infinity, which are no JSON.
_DECODER = json.JSONDecoder(parse_constant=_refuse_constant)


def _record(path: Path, content: Any) -> Record:
    if type(content) is not dict or "format" not in content:
        raise _DamageError("is not a record")
    if type(content["format"]) is not int or content["format"] != RECORD_FORMAT:
        raise _DamageError(
            f"has format {_shown(content['format'])}, this version reads {RECORD_FORMAT}"
        )
    if "point" not in content:
        raise _DamageError("is not a record")
    block = read_block(path.name)
    if block is None:
        raise _DamageError("has no record's name, such as reps=0-4.json")
    point, asked = point_of(path), _text(content, "point")
    if asked != point:
        raise _DamageError(f"holds another point, {asked[:200]}")
    hyperparameters = read_path(point)
    _check_hyperparameters(_block(content, "hyperparameters"), hyperparameters)
    environment = _block(content, "environment")
    setup = _block(environment, "setup")
    seed, vary, folds = _study_of(setup)
    given = content.get("trainings")
    if type(given) is not list:
        raise _DamageError("has no list of trainings")
    trainings = tuple(
        _training(one, f"training {place}: ", seed, vary, hyperparameters)
        for place, one in enumerate(given, 1)
    )
    _check_identities(trainings, block.repetitions, folds)
    return Record(
        hyperparameters=hyperparameters,
        parameters=_whole(content, "parameters"),
        trainings=trainings,
        machine=_machine(environment),
        setup=setup,
        inputs=_texts(environment, "inputs"),
        engine=_optional(environment, "engine", str, "text"),
        why_not_lockstep=_optional(environment, "why_not_lockstep", str, "text"),
        started=_optional(environment, "started", float, "a time"),
        built=_optional(environment, "built", str, "text"),
        adopted_from=_optional(environment, "adopted_from", str, "text"),
    )


def _machine(environment: Mapping[str, Any]) -> Machine:
    return Machine(
        host=_text(environment, "host"),
        platform=_optional(environment, "platform", str, "text"),
        cpu=_optional(environment, "cpu", str, "text"),
        python=_optional(environment, "python", str, "text"),
        packages=_texts(environment, "packages"),
        onednn=_optional(environment, "onednn", bool, "true or false"),
        threads=_optional(environment, "threads", int, "a whole number"),
        gpus=_optional(environment, "gpus", list, "a list"),
    )


def _check_hyperparameters(given: Mapping[str, Any], expected: Mapping[str, Any]) -> None:
    for name in sorted(given.keys() | expected.keys()):
        held = given.get(name)
        value = tuple(held) if type(held) is list else held
        # Texts are compared, because 1, 1.0 and True are equal.
        if name not in given or name not in expected or repr(value) != repr(expected[name]):
            folder = _shown(expected[name]) if name in expected else "nothing of it"
            found = _shown(held) if name in given else "missing"
            raise _DamageError(f"hyperparameters: {name} is {found}, its folder says {folder}")


def _study_of(setup: Mapping[str, Any]) -> tuple[int, tuple[str, ...], int]:
    """Return the seed, the random streams that vary, and the folds of each repetition."""
    vary = setup.get("vary")
    if type(vary) is not list or any(type(one) is not str or one not in STREAMS for one in vary):
        raise _unfit("vary", vary, "a list of random streams")
    validation = _block(setup, "validation")
    folds = _whole(validation, "folds") if "folds" in validation else 1
    return _whole(setup, "seed"), tuple(vary), folds


def _training(
    given: Any, where: str, seed: int, vary: tuple[str, ...], hyperparameters: Point
) -> TrainingResult:
    if type(given) is not dict:
        raise _DamageError(f"{where}is {_shown(given)}, not a training")
    repetition = _whole(given, "repetition", where)
    seeds, expected = _seeds(seed, repetition, vary)
    if given.get("seeds") != expected:
        raise _DamageError(f"{where}seeds are others than the study's seed {seed} gives")
    history = _history(given, where)
    epochs = len(history["loss"])
    asked = hyperparameters.get("epochs", epochs)
    if not isinstance(asked, int) or epochs > asked:
        raise _DamageError(f"{where}history has {epochs} epochs, of {_shown(asked)} asked for")
    restored = _whole(given, "restored_epoch", where)
    if restored >= epochs:
        raise _DamageError(
            f"{where}restored_epoch is {_shown(restored)}, counted from 0 of {epochs}"
        )
    seconds: Any = given.get("seconds")
    if type(seconds) not in _NUMBERS or not 0 <= seconds <= _MAX_WHOLE:
        raise _unfit(f"{where}seconds", seconds, "a time")
    return TrainingResult(
        repetition=repetition,
        fold=_whole(given, "fold", where),
        seeds=seeds,
        status=_status(given, history, where),
        restored_epoch=restored,
        seconds=float(seconds),
        history=history,
    )


@lru_cache(maxsize=4096)
def _seeds(seed: int, repetition: int, vary: tuple[str, ...]) -> tuple[Seeds, dict[str, int]]:
    seeds = training_seeds(seed, repetition, vary)
    return seeds, asdict(seeds)


def _history(training: Mapping[str, Any], where: str) -> dict[str, list[float | None]]:
    history = training.get("history")
    if type(history) is not dict or type(history.get("loss")) is not list or not history["loss"]:
        raise _DamageError(f"{where}history has no list of the loss")
    epochs = len(history["loss"])
    for name, values in history.items():
        if type(values) is not list or len(values) != epochs:
            raise _DamageError(
                f"{where}history.{name} is no list of {epochs} numbers, as the loss is"
            )
    # All values at once: a record has hundreds.
    if not _are_metrics(list(chain.from_iterable(history.values()))):
        name = next(name for name, values in history.items() if not _are_metrics(values))
        raise _DamageError(
            f"{where}history.{name[:_MAX_SHOWN]} holds what is no finite 32-bit number"
        )
    return history


def _are_metrics(values: list[Any]) -> bool:
    kinds = set(map(type, values))
    if type(None) in kinds:
        kinds.remove(type(None))
        values = [value for value in values if value is not None]
    if not kinds <= _NUMBERS:
        return False
    return not values or (min(values) >= -_MAX_METRIC and max(values) <= _MAX_METRIC)


def _status(
    training: Mapping[str, Any], history: Mapping[str, list[float | None]], where: str
) -> str:
    status = training.get("status")
    if status not in STATUSES:
        raise _DamageError(f"{where}status is {_shown(status)}, not one of {', '.join(STATUSES)}")
    if status == "ok" and None in history["loss"]:
        raise _DamageError(f"{where}status is ok, but its loss is not finite")
    if status == "diverged" and not any(None in values for values in history.values()):
        raise _DamageError(f"{where}status is diverged, but all of its history is finite")
    return str(status)


def _check_identities(
    trainings: Collection[TrainingResult], repetitions: range, folds: int
) -> None:
    found = [(training.repetition, training.fold) for training in trainings]
    if {repetition for repetition, _ in found} != set(repetitions):
        raise _DamageError("holds other repetitions than its name says")
    if len(set(found)) < len(found):
        repetition, fold = next(one for one in found if found.count(one) > 1)
        raise _DamageError(f"holds repetition {repetition}, fold {fold} twice")
    if set(found) != set(product(repetitions, range(folds))):
        raise _DamageError(f"holds other folds than the {folds} of its set-up in each repetition")


def _whole(block: Mapping[str, Any], key: str, where: str = "") -> int:
    value = block.get(key)
    if type(value) is not int or not 0 <= value <= _MAX_WHOLE:
        raise _unfit(f"{where}{key}", value, "a whole number from 0")
    return value


def _text(block: Mapping[str, Any], key: str) -> str:
    value = block.get(key)
    if type(value) is not str:
        raise _unfit(key, value, "text")
    return value


def _optional(block: Mapping[str, Any], key: str, kind: type[Kind], wanted: str) -> Kind | None:
    value = block.get(key)
    if value is not None and type(value) is not kind:
        raise _unfit(key, value, wanted)
    return value


def _block(block: Mapping[str, Any], key: str) -> dict[str, Any]:
    value = block.get(key)
    if type(value) is not dict:
        raise _unfit(key, value, "a block of keys")
    return value


def _texts(block: Mapping[str, Any], key: str) -> dict[str, str]:
    values = _block(block, key)
    if any(type(value) is not str for value in values.values()):
        raise _DamageError(f"{key} holds {_shown(values)}, not texts")
    return values


def _unfit(key: str, value: Any, wanted: str) -> _DamageError:
    return _DamageError(f"{key} is {_shown(value)}" + f", not {wanted}" * (value is not None))


def _shown(value: Any) -> str:
    if value is None:
        return "missing"
    if isinstance(value, float) and math.isinf(value):
        return "beyond all numbers"
    text = repr(value)
    return text if len(text) <= _MAX_SHOWN else f"{text[:_MAX_SHOWN]}…"
