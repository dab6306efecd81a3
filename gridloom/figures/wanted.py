"""Which heatmaps a study wants, and the name of each.

Standard library only, because the Snakemake of every job imports this module.
"""

from __future__ import annotations

import itertools
from collections.abc import Mapping, Sequence
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
