"""Records that are adopted: what was built is what an earlier record was trained with.

A fingerprint of what was built identifies a training without the model file: the network's
structure and initial weights, and everything of the set-up but the model file. So an edit that
changes nothing for a point does not train it again. Two records of one fingerprint were made by
the same computation on the same kind of machine, and hold the same bits.

A network whose code could act beyond its configuration has no fingerprint: one with parts that are
not Keras's, one that draws random numbers itself, one of a model file that sets anything else, and
what `model.fit` trains. On a GPU there is none either, because a record does not say which GPU.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Sequence
from dataclasses import asdict, replace
from pathlib import Path

from gridloom.engines.types import Training
from gridloom.errors import RecordError
from gridloom.records import Record, read_record
from gridloom.training.points import Point
from gridloom.training.request import Request

#: Increment on changes of what the fingerprint holds.
_FORMAT = 1


def why_not_known(point: Point, trainings: Sequence[Training] | None) -> str | None:
    """Return why what was built does not say all about its trainings; None if it does.

    Parameters
    ----------
    point
        A point that the compiled fit trains.
    trainings
        From `SharedGraphs.trainings`.
    """
    if trainings is None or point.kind is None:
        return "its network cannot be inspected, or differs between repetitions"
    if point.opened.machine.gpus:
        return "a record does not say on which GPU it was trained"
    if point.opened.inputs.beyond is not None:
        return f"the model file could do more than return networks ({point.opened.inputs.beyond})"
    if point.kind.structure.own is not None:
        return f"the network has a part that is not Keras's ({point.kind.structure.own})"
    if point.first.drew:
        return "build_model draws random numbers itself"
    return None


def built_from(point: Point, trainings: Sequence[Training] | None) -> str | None:
    """Return the fingerprint of what was built; None if it does not say all (`why_not_known`).

    Parameters
    ----------
    point
        A point that the compiled fit trains.
    trainings
        From `SharedGraphs.trainings`; not changed by a fit.
    """
    if trainings is None or point.kind is None or why_not_known(point, trainings) is not None:
        return None
    opened, kind = point.opened, point.kind
    setup = opened.request.setup.as_json()
    del setup["model file"]
    settings = opened.settings
    stopping = settings["stopping"]
    known = [
        _FORMAT,
        kind.name,
        kind.structure.rates,
        kind.structure.learning_rate,
        {**settings, "stopping": None if stopping is None else asdict(stopping)},
        [[training.repetition, training.fold] for training in trainings],
        opened.request.lockstep,
        opened.inputs.content,
        setup,
        opened.machine.kind,
    ]
    total = hashlib.sha256(json.dumps(known, sort_keys=True).encode())
    hashed: set[int] = set()
    for training in trainings:  # folds of a repetition share their initial weights
        if training.seeds.init not in hashed:
            hashed.add(training.seeds.init)
            for array in training.weights:
                total.update(f"{array.dtype} {array.shape}".encode())
                total.update(array.tobytes())
    return total.hexdigest()[:32]


class Adoptable:
    """The records that a run may adopt, as its main process has listed them in a file."""

    def __init__(self) -> None:
        self._state: tuple[Path, int] | None = None
        self._records: dict[str, str] = {}

    def __len__(self) -> int:
        return len(self._records)

    def open(self, file: Path | None) -> None:
        """Read a file, again only if it changed; None stands for no records.

        Parameters
        ----------
        file
            Holds fingerprint → path of a record, as JSON.
        """
        try:
            state = None if file is None else (file, file.stat().st_mtime_ns)
            if state != self._state:
                self._records = (
                    {} if file is None else dict(json.loads(file.read_text(encoding="utf-8")))
                )
        except (OSError, TypeError, ValueError):  # it only saves time
            state, self._records = None, {}
        self._state = state

    def __contains__(self, built: str | None) -> bool:
        return built in self._records

    def take(self, built: str | None, request: Request) -> Record | None:
        """Return a record for a request, from one of the same fingerprint; None if there is none.

        Parameters
        ----------
        built
            From `built_from`.
        request
            What would be trained.
        """
        place = None if built is None else self._records.get(built)
        if place is None:
            return None
        try:
            record = read_record(Path(place))
        except RecordError as error:
            print(f"not adopted: {error}")
            return None
        if record.built != built:
            return None
        _, _, inside = place.rpartition("/points/")
        found = record.adopted_from or inside
        print(f"adopted, not trained: the same network, data and settings were trained in {found}")
        return replace(
            record,
            hyperparameters=request.hyperparameters,
            setup=request.setup.as_json(),
            adopted_from=found,
        )
