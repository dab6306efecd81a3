"""Points that are ready to train, and networks that points of one kind share."""

from __future__ import annotations

import json
from dataclasses import dataclass, field, replace
from functools import cached_property

import keras
import numpy as np

from gridloom.engines.eligibility import why_not_in_lockstep
from gridloom.engines.one_by_one import check_expressible
from gridloom.errors import GridloomError
from gridloom.networks.blueprint import Blueprint, Blueprints
from gridloom.networks.build import Network, arguments_for
from gridloom.networks.keras_private import GlobalState
from gridloom.networks.structure import Structure, dropout_layers, structure_of
from gridloom.training.kept import Kept
from gridloom.training.opening import OpenRequest

#: Largest networks that train in lockstep, and that points share.
MAX_LOCKSTEP_PARAMETERS = 40_000


@dataclass(frozen=True)
class Kind:
    """A network, and the kind of network that one graph can serve.

    Attributes
    ----------
    model
        The network. If points share it, its learning rate and dropout rates are another point's.
    structure
        That of the point's network.
    name
        Networks of other kinds have other names. One with custom parts shares with no other point.
    """

    model: keras.Model
    structure: Structure
    name: str

    @classmethod
    def of(cls, opened: OpenRequest, model: keras.Model) -> Kind | None:
        """Return the kind of a point's network; None if it cannot be inspected.

        Raises
        ------
        ModelError
            If the compiled fit cannot train it.
        """
        check_expressible(model)
        structure = structure_of(model)
        if structure.hidden:
            return None
        own = opened.request.hyperparameters if structure.own else None
        return cls(model, structure, json.dumps([structure.digest, str(GlobalState.now()), own]))


@dataclass(frozen=True)
class Point:
    """A point that is ready to train.

    Attributes
    ----------
    opened
        Its request.
    first
        Network of the first repetition.
    shared
        The kind of its network, if it shares that with another point; else None.
    """

    opened: OpenRequest
    first: Network
    shared: Kind | None = None

    @cached_property
    def kind(self) -> Kind | None:
        """The kind of its network; None if it cannot be inspected.

        Raises
        ------
        ModelError
            If the compiled fit cannot train it.
        """
        return self.shared or Kind.of(self.opened, self.first.model)

    @classmethod
    def built(cls, opened: OpenRequest) -> Point:
        """Build a point's network.

        Raises
        ------
        ModelError
            If `build_model` fails.
        """
        return cls(opened, opened.built(opened.request.repetitions[0]))

    @cached_property
    def own_model(self) -> keras.Model:
        """The network of the first repetition; one of its own, if `first` is shared."""
        return (self if self.shared is None else Point.built(self.opened)).first.model


class SharedNetworks:
    """Networks of one model file that points share, because they are too small to build them all.

    Points share a network that trains in lockstep, if their blueprints are equal. Whether the
    learning rate and the rate of dropout are the only differences is checked with a built network,
    for each the first time that it differs.
    """

    def __init__(self) -> None:
        self._kept: Kept[_Shared] = Kept()
        self._blueprints: Blueprints | None = None
        self._refused = False

    def point(self, opened: OpenRequest) -> Point:
        """Return a point, with a network that it shares if there is one.

        Raises
        ------
        ModelError
            If `build_model` fails.
        """
        blueprint = self._blueprint(opened)
        if blueprint is None:
            return Point.built(opened)
        # The initial weights are those of the first repetition.
        seed = opened.seeds[opened.request.repetitions[0]].init
        key = json.dumps([blueprint.calls, seed])
        shared = self._kept.find(key)
        if shared is None:
            point = Point.built(opened)
            if _can_share(point, blueprint):
                assert point.kind is not None
                self._kept.put(key, _Shared(point.first, point.kind, blueprint))
                # From now on, nothing may train this network.
                point = Point(opened, point.first, point.kind)
            return point
        kind = shared.kind_of(blueprint)
        new = shared.differing(blueprint) - shared.proven
        if not new:
            return Point(opened, shared.network, kind)
        point = Point.built(opened)
        if point.kind == replace(kind, model=point.first.model) and not point.first.drew:
            shared.proven |= new
        else:
            self._refused = True
        return point

    def _blueprint(self, opened: OpenRequest) -> Blueprint | None:
        """Return the blueprint of a point's network; None if it must be built."""
        request, inputs = opened.request, opened.inputs
        alone = request.setup.engine == "keras" or not request.lockstep
        if self._refused or alone or inputs.beyond is not None:
            return None
        builder = inputs.file.build_model
        if self._blueprints is None:
            self._blueprints = Blueprints(builder)
        arguments = arguments_for(builder, request.hyperparameters)
        return self._blueprints.of(opened.row_shape, inputs.rows.outputs, arguments)


@dataclass
class _Shared:
    """A network that points share.

    Attributes
    ----------
    network, kind, blueprint
        Those of the point that built it.
    proven
        What may differ, as checked.
    """

    network: Network
    kind: Kind
    blueprint: Blueprint
    proven: set[str] = field(default_factory=set)

    def kind_of(self, blueprint: Blueprint) -> Kind:
        """Return the kind of the network of a blueprint with the same calls."""
        structure = self.kind.structure
        if blueprint.learning_rate is not None:
            structure = replace(structure, learning_rate=_float32(blueprint.learning_rate))
        if blueprint.rate is not None:
            structure = replace(structure, rates=(blueprint.rate,) * len(structure.rates))
        return replace(self.kind, structure=structure)

    def differing(self, blueprint: Blueprint) -> set[str]:
        """Return what is to be proven for a blueprint with the same calls."""
        own = self.blueprint
        same = {
            "learning rate": blueprint.learning_rate == own.learning_rate,
            "rate": blueprint.rate == own.rate,
        }
        return {"point", *(name for name, equal in same.items() if not equal)}


def _can_share(point: Point, blueprint: Blueprint) -> bool:
    """Return whether other points may share a network that was built."""
    model = point.first.model
    if point.first.drew or model.count_params() > MAX_LOCKSTEP_PARAMETERS:
        return False
    try:
        kind = point.kind
    except GridloomError:  # its own turn reports it
        return False
    if kind is None or kind.structure.own is not None or why_not_in_lockstep(model) is not None:
        return False
    rates, rate = kind.structure.rates, blueprint.rate
    learning_rate = blueprint.learning_rate
    return (
        (rate is None or {*rates} == {rate})
        and (learning_rate is None or kind.structure.learning_rate == _float32(learning_rate))
        and len(dropout_layers(model)) == len(rates)
    )


def _float32(value: float) -> float:
    """Return a number as Keras's variables hold it."""
    return float(np.float32(value))
