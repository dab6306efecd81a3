"""The compiled fits of points' trainings: in lockstep or one by one, with graphs that are shared.

Points whose networks differ only in what a graph gets as data share one traced graph, and train in
the same lanes if they come in one job.
"""

from __future__ import annotations

import contextlib
import json
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field, replace
from itertools import islice
from typing import Any

import keras
import numpy as np

from gridloom.engines.compiled import CompiledFit
from gridloom.engines.eligibility import why_not_in_lockstep
from gridloom.engines.lockstep import Lockstep, different_masks, lanes_of, with_idle_lanes
from gridloom.engines.one_by_one import OneByOne
from gridloom.engines.types import Checkpoints, Fitted, Training
from gridloom.errors import GridloomError
from gridloom.networks.build import Network
from gridloom.networks.keras_private import GlobalState, uses_xla
from gridloom.networks.structure import structure_of
from gridloom.training.kept import Kept
from gridloom.training.opening import OpenRequest
from gridloom.training.points import MAX_LOCKSTEP_PARAMETERS, Kind, Point

#: Largest size of the rows of a training in lockstep: each lane has a copy.
MAX_LANE_BYTES = 20 * 2**20

#: Most lanes of one lockstep. More are no faster: measured with 1 to 4,096 units on one core, a
#: training takes as long with 32 as with 24, and a graph has operations for each lane.
MAX_LANES = 24

#: Most floating-point operations in a step of networks that train in lockstep. As with more
#: parameters than `MAX_LOCKSTEP_PARAMETERS`, a step keeps a core busy by itself. It is as fast
#: alone, or faster, because its weights stay in the cache. Both are sizes of the point alone, so
#: how a training is computed does not depend on how many there are.
MAX_LOCKSTEP_OPERATIONS = 4_000_000

#: Why a network's repetitions train one by one if its structure is not known.
_HIDDEN = "the model holds an object that cannot be inspected"

#: End of a message about a failed check, which should never happen.
_REPORT = "The results are right; please report this with the model file."


@dataclass(frozen=True)
class Fits:
    """The fits of a request's trainings, and how they trained.

    Attributes
    ----------
    fitted
        In the order of the record.
    engine, why_not_lockstep
        As in the record.
    trainings
        What was fitted; None if nothing is known of it before the fit.
    """

    fitted: list[Fitted]
    engine: str
    why_not_lockstep: str | None = None
    trainings: Sequence[Training] | None = None


class SharedGraphs:
    """Traced graphs and initial weights, which the next point can reuse without another number.

    They are kept for up to `gridloom.training.kept.MAX_GRAPHS` kinds of network of one model file.
    """

    def __init__(self) -> None:
        self._weights: Kept[dict[int, list[np.ndarray]]] = Kept()
        self._graphs: Kept[_Graph] = Kept()
        self._why_not: Kept[str | None] = Kept()

    def __len__(self) -> int:
        return len(self._graphs)

    def engine(
        self, opened: OpenRequest, model: keras.Model, trainings: Sequence[Training]
    ) -> tuple[str, str | None]:
        """Return the engine that trains a network, and why it is not lockstep.

        Raises
        ------
        ModelError
            If the compiled fit cannot train it.
        """
        kind = Kind.of(opened, model)
        why_not = _HIDDEN if kind is None else self._why_not_lockstep(opened, kind, trainings)
        return ("lockstep" if why_not is None else "one by one"), why_not

    def fit(
        self, point: Point, trainings: list[Training] | None, ahead: Iterable[Point] = ()
    ) -> list[tuple[Point, Fits]]:
        """Fit all trainings of a point with compiled graphs.

        Parameters
        ----------
        trainings
            From `trainings`.
        ahead
            Points that train later in the same job.

        Returns
        -------
        list
            The point with its fits, and those of `ahead` that trained in the same lanes.

        Raises
        ------
        ModelError
            If the compiled fit cannot train the network.
        """
        opened, kind = point.opened, point.kind
        if kind is None:
            return [(point, _fit_apart(opened, _HIDDEN))]
        if trainings is None:
            differing = "build_model returns another network in each repetition"
            return [(point, _fit_apart(opened, differing))]
        why_not = self._why_not_lockstep(opened, kind, trainings)
        if why_not is None:
            try:
                return self._fit_lockstep(point, trainings, ahead)
            except _TwinError:
                pass  # a point ahead may be the reason, and decides nothing for this one
            try:
                return self._fit_lockstep(point, trainings, ())
            except _TwinError:
                why_not = (
                    "in a check, a step in lockstep gave other numbers than the network's own step"
                )
                self._why_not.put(kind.name, why_not)

        def train(places: Sequence[int], checkpoints: Checkpoints | None) -> list[Fitted]:
            lanes = [trainings[place] for place in places]
            fit = self._graph([(point, lanes)], lanes, lockstep=False)
            return fit(lanes, point.own_model, **opened.settings, checkpoints=checkpoints)

        alone = [[place] for place in range(len(trainings))]
        fitted = opened.unfinished.fit_all(alone, train)
        return [(point, Fits(fitted, "one by one", why_not, trainings))]

    def _fit_lockstep(
        self, point: Point, trainings: list[Training], ahead: Iterable[Point]
    ) -> list[tuple[Point, Fits]]:
        """Fit trainings in lockstep, and points ahead in lanes that are left.

        Raises
        ------
        _TwinError
            If the twin's step differs from the network's own.
        """
        unfinished = point.opened.unfinished
        groups = _together(trainings)
        shares = [(point, trainings)]
        if len(groups) == 1 and unfinished.is_new and unfinished.checkpoint_minutes is None:
            shares += self._beside(point, trainings, ahead)

        def train(places: Sequence[int], checkpoints: Checkpoints | None) -> list[Fitted]:
            lanes = [trainings[place] for place in places]
            return self._fit_lanes([(point, lanes)], checkpoints)

        if len(shares) == 1:
            fits = Fits(unfinished.fit_all(groups, train), "lockstep", None, trainings)
            return [(point, fits)]
        fitted = iter(self._fit_lanes(shares, None))
        return [
            (one, Fits(list(islice(fitted, len(own))), "lockstep", None, own))
            for one, own in shares
        ]

    def _beside(
        self, point: Point, trainings: Sequence[Training], ahead: Iterable[Point]
    ) -> list[tuple[Point, list[Training]]]:
        """Find points that can train in the lanes that a point leaves, with their trainings."""
        found: list[tuple[Point, list[Training]]] = []
        assert point.kind is not None
        free = MAX_LANES - len(trainings)
        # Building others could change custom parts.
        if free < len(trainings) or point.kind.structure.own is not None:
            return found
        state = GlobalState.now()
        for other in ahead:
            if free < len(other.opened.parts):
                break
            same = (
                other.opened.settings == point.opened.settings
                and other.opened.unfinished.is_new
                and other.kind is not None
                and other.kind.name == point.kind.name
            )
            with contextlib.suppress(GridloomError):  # its own turn reports it
                own = self.trainings(other) if same else None
                if own and {*map(_sizes, own)} == {*map(_sizes, trainings)}:
                    found.append((other, own))
                    free -= len(own)
        state.restore()  # the twins are made of this point's network
        return found

    def trainings(self, point: Point) -> list[Training] | None:
        """Return a point's trainings.

        Returns
        -------
        list or None
            None if its network cannot be inspected, or differs between repetitions.

        Raises
        ------
        ModelError
            If the compiled fit cannot train it.
        """
        opened, kind = point.opened, point.kind
        weights = None if kind is None else self._initial_weights(opened, point.first, kind)
        if kind is None or weights is None:
            return None
        trainings = [
            opened.training(kind.model, repetition, fold, weights[opened.seeds[repetition].init])
            for repetition, fold in opened.parts
        ]
        if point.shared is None:
            return trainings
        rate, rates = kind.structure.learning_rate, kind.structure.rates
        return [replace(one, learning_rate=rate, rates=rates) for one in trainings]

    def _initial_weights(
        self, opened: OpenRequest, first: Network, kind: Kind
    ) -> dict[int, list[np.ndarray]] | None:
        """Return init seed → initial weights; None if the networks differ in more than these.

        Weights are kept for each kind of network, because they follow from the seed and the kind.
        Dropout rates belong to the kind only as zero or not, because only layers with a rate above
        0 draw a seed.
        """
        key = json.dumps([kind.name, [rate > 0 for rate in kind.structure.rates]])
        seed = opened.seeds[opened.request.repetitions[0]].init
        mine = first.model.get_weights()
        known = self._weights.get(key, dict)
        if first.drew or not _equal(mine, known.get(seed, mine)):
            known = {}  # weights depend on more than seed and kind
        known.setdefault(seed, mine)
        for repetition, streams in opened.seeds.items():
            if streams.init not in known:
                model = opened.built(repetition).model
                if structure_of(model) != kind.structure:
                    return None
                known[streams.init] = model.get_weights()
        return known

    def _why_not_lockstep(
        self, opened: OpenRequest, kind: Kind, trainings: Sequence[Training]
    ) -> str | None:
        if not opened.request.lockstep:
            return "trainer.lockstep is false"
        if max(t.rows.x_train.nbytes + t.rows.x_val.nbytes for t in trainings) > MAX_LANE_BYTES:
            return f"its rows take more than {MAX_LANE_BYTES >> 20} MB"
        parameters = kind.model.count_params()
        # Of a step's operations, a third are forward, two thirds backward.
        rows = max(len(training.rows.y_train) for training in trainings)
        operations = 6 * parameters * min(opened.settings["batch_size"], rows)
        if parameters > MAX_LOCKSTEP_PARAMETERS or operations > MAX_LOCKSTEP_OPERATIONS:
            return "a step of this network keeps a core busy by itself"
        return self._why_not.get(kind.name, lambda: why_not_in_lockstep(kind.model))

    def _fit_lanes(
        self, shares: Sequence[tuple[Point, list[Training]]], checkpoints: Checkpoints | None
    ) -> list[Fitted]:
        """Fit trainings of points of one kind in lockstep; see `_graph`."""
        (first, _), *_ = shares
        trainings = [training for _, own in shares for training in own]
        lanes = with_idle_lanes(trainings)
        fit = self._graph(shares, lanes, lockstep=True)
        model, settings = first.first.model, first.opened.settings
        return fit(lanes, model, **settings, checkpoints=checkpoints)[: len(trainings)]

    def _graph(
        self,
        shares: Sequence[tuple[Point, list[Training]]],
        lanes: list[Training],
        *,
        lockstep: bool,
    ) -> CompiledFit:
        """Return a traced graph for a kind of network; a kept one if it can be used.

        A step of the graph is compared with the network's own step when a stacked twin is traced,
        and when a graph first gets another learning rate or dropout rate.

        Parameters
        ----------
        shares
            Points of one kind, with their trainings.
        lanes
            All that train together.

        Raises
        ------
        _TwinError
            If the twin's step differs from the network's own.
        """
        (first, _), *_ = shares
        opened, kind = first.opened, first.kind
        assert kind is not None
        xla = uses_xla(kind.model, opened.request.setup.xla)
        stopping = opened.settings["stopping"] is not None
        targets = lanes[0].rows.y_train.shape[1:]
        # Only layers with a rate above 0 have a generator.
        apart = None if lockstep else [rate > 0 for rate in kind.structure.rates]
        masks = different_masks(lanes) if lockstep else None
        key = json.dumps([kind.name, apart, len(lanes), masks, targets, stopping, xla])

        def serves(fit: CompiledFit, point: Point, own: Sequence[Training]) -> bool:
            # With XLA, dropout masks differ from those of Keras's own step.
            if xla:
                return True
            others = [lane for lane in lanes if lane is not own[0]]
            ordered = [own[0], *others, *[own[0]] * (len(lanes) - 1 - len(others))]
            network = point.opened.built(own[0].repetition).model
            return fit.check_step(ordered, network, opened.settings)

        graph = self._graphs.find(key)
        if graph is None or not graph.proves(shares, serves):
            model = first.own_model  # which the graph keeps
            program = Lockstep(model, lanes) if lockstep else OneByOne(model, *lanes)
            graph = _Graph(CompiledFit(program, stopping=stopping, xla=xla), _data_of(kind))
            if lockstep and not graph.proves(shares, serves, twin=True):
                print(
                    "a step in lockstep differs from the network's own step; the repetitions train "
                    f"one by one. {_REPORT}"
                )
                raise _TwinError
            self._graphs.put(key, graph)
        return graph.fit


class _TwinError(Exception):
    """A step of a stacked twin differs from the network's own."""


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

    def proves(
        self,
        shares: Sequence[tuple[Point, list[Training]]],
        serves: Callable[[CompiledFit, Point, Sequence[Training]], bool],
        *,
        twin: bool = False,
    ) -> bool:
        """Return whether it serves points, after a check of each input that has a new value.

        Parameters
        ----------
        shares
            The points, with their trainings.
        serves
            Compares a step of the graph with that of a point's network.
        twin
            Whether to check also if no input has a new value.
        """

        # A check is costly. One of the point that differs most may prove all inputs at once; but
        # one with a rate of 0 proves nothing of the masks of others.
        def zeros(point: Point) -> int:
            assert point.kind is not None
            return point.kind.structure.rates.count(0)

        for point, own in sorted(
            shares, key=lambda share: (zeros(share[0]), -len(self._new_in(share[0])))
        ):
            new = self._new_in(point)
            if (new or twin) and not serves(self.fit, point, own):
                if new and not twin:
                    changed = ", ".join(sorted(new))
                    print(
                        f"a kept graph fails with another {changed}; a new one is traced. {_REPORT}"
                    )
                return False
            twin = False
            self.proven |= new
        return True

    def _new_in(self, point: Point) -> set[str]:
        """Return the inputs of which a point has a value that is not proven to be data."""
        assert point.kind is not None
        data = _data_of(point.kind)
        return {name for name in data if data[name] != self.data[name]} - self.proven


def _data_of(kind: Kind) -> dict[str, Any]:
    """Return the inputs of a graph that come from a network, by name."""
    rates = kind.structure.rates
    return {
        "learning rate": kind.structure.learning_rate,
        **{f"rate {place}": rate for place, rate in enumerate(rates)},
        **{f"rate {place} is 0": rate == 0 for place, rate in enumerate(rates)},
    }


def _fit_apart(opened: OpenRequest, why_not: str) -> Fits:
    """Fit each training with its own graph, for networks that are not proven equal."""

    def fit(
        model: keras.Model, training: Training, checkpoints: Checkpoints | None
    ) -> list[Fitted]:
        program, stopping = OneByOne(model, training), opened.settings["stopping"] is not None
        xla = uses_xla(model, opened.request.setup.xla)
        compiled = CompiledFit(program, stopping=stopping, xla=xla)
        return compiled([training], model, **opened.settings, checkpoints=checkpoints)

    return Fits(opened.fit_each(fit), "one by one", why_not)


def _together(trainings: Sequence[Training]) -> list[list[int]]:
    """Group trainings to stack, as indices: equal numbers of rows, at most `MAX_LANES` in a group.

    Folds may differ by one row.
    """
    alike: dict[tuple[int, int], list[int]] = {}
    for place, training in enumerate(trainings):
        alike.setdefault(_sizes(training), []).append(place)
    groups = []
    for places in alike.values():
        count = -(-len(places) // MAX_LANES)
        length = lanes_of(-(-len(places) // count))  # nearly equal groups, without idle lanes
        groups += [places[start : start + length] for start in range(0, len(places), length)]
    return groups


def _sizes(training: Training) -> tuple[int, int]:
    return len(training.rows.y_train), len(training.rows.y_val)


def _equal(some: Sequence[np.ndarray], others: Sequence[np.ndarray]) -> bool:
    return len(some) == len(others) and all(map(np.array_equal, some, others))
