"""Which figures a study wants, and the name of each.

Standard library only, because the Snakemake of every job imports this module.
"""

from __future__ import annotations

import itertools
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

#: Of a grid with more axes, only some pairs are drawn.
MAX_AXES = 12

#: So many, those with the largest effects.
LARGEST = 12


@dataclass(frozen=True)
class Wanted:
    """One heatmap.

    Attributes
    ----------
    kind
        ``mean`` over the other axes, ``best`` configuration of each cell, or ``slice``.
    metric
        What it shows.
    name
        Its file without suffix.
    rows, columns
        Axes down the side and along the bottom.
    at
        Slices: axis → the value it is held at, as the tables spell it.
    panels
        Slices: axis that has a panel for each value; None for a single heatmap.
    place
        In a grid of more than `MAX_AXES`: the place of the pair among those with the largest
        effects, from 0, which stands in for `rows` and `columns`.
    """

    kind: str
    metric: str
    name: str
    rows: str = ""
    columns: str = ""
    at: Mapping[str, str] = field(default_factory=dict)
    panels: str | None = None
    place: int | None = None


def wanted_heatmaps(
    axes: Sequence[str],
    objective: str,
    metrics: Sequence[str],
    kinds: Sequence[str],
    slices: Sequence[Mapping[str, Any]],
) -> list[Wanted]:
    """List all heatmaps of a study, those of the objective's means first.

    Parameters
    ----------
    axes
        Names of the axes.
    metrics
        Further metrics.
    kinds
        Kinds of heatmap of each pair. A pair that `slices` names has no further slice.
    slices
        Each with the keys `rows`, `columns`, `at` and `panels`, as `Wanted` has them.
    """
    found = []
    own = [{part["rows"], part["columns"]} for part in slices if part["panels"] is None]
    for metric in (objective, *metrics):
        ending = "" if metric == objective else f"_{metric}"
        for kind in kinds:
            if len(axes) > MAX_AXES:
                found += [
                    Wanted(kind, metric, f"heatmap_largest_{place + 1}_{kind}{ending}", place=place)
                    for place in range(LARGEST)
                ]
            else:
                found += [
                    Wanted(kind, metric, f"heatmap_{a}_x_{b}_{kind}{ending}", a, b)
                    for a, b in itertools.combinations(axes, 2)
                    if kind != "slice" or {a, b} not in own
                ]
        for part in slices:
            by = "" if part["panels"] is None else f"_by_{part['panels']}"
            name = f"heatmap_{part['rows']}_x_{part['columns']}{by}_slice{ending}"
            found.append(Wanted("slice", metric, name, **part))
    return found


def curve_names(axes: Sequence[str]) -> list[str]:
    """Return the names of the figures of curves, one for each axis.

    Of more than `MAX_AXES` axes, only those with the largest effects have one; a name has their
    place, from 1.
    """
    if len(axes) > MAX_AXES:
        return [f"curves_largest_{place + 1}" for place in range(LARGEST)]
    return [f"curves_{axis}" for axis in axes]


def evidence_names(axes: Sequence[str], kinds: Collection[str]) -> list[str]:
    """Return the names of the figures of the evidence; some need axes.

    Of two axes, the heatmap shows each configuration and each pair.

    Parameters
    ----------
    kinds
        Those that the study wants; ``curves`` are of the pick and of each axis.
    """
    least = {
        "ties": 0,
        "curves": 0,
        "effects": 1,
        "cost": 1,
        "stability": 1,
        "interactions": 2,
        "pairs": 3,
        "whole_grid": 3,
    }
    names = [
        kind for kind, axes_needed in least.items() if kind in kinds and len(axes) >= axes_needed
    ]
    return names + (curve_names(axes) if "curves" in kinds else [])


def lattice_names(axes: Sequence[str]) -> dict[str, tuple[str, str]]:
    """Return the name of the figure of each pair's lattice → its axes, of `MAX_AXES` axes."""
    return {f"lattice_{a}_x_{b}": (a, b) for a, b in itertools.combinations(axes[:MAX_AXES], 2)}
