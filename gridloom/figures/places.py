"""Where the values of an axis stand: side by side in cells of one size, or to scale."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np


@dataclass(frozen=True, eq=False)
class Places:
    """The places of n values; the unit is the mean length of a cell.

    Attributes
    ----------
    order
        Which value is first, second, …, int, shape (n,).
    values
        Where each value is, in that order, float64, shape (n,).
    edges
        Between which edges its cell reaches, float64, shape (n + 1,), from -0.5 to n - 0.5.
    scale
        ``linear`` or ``log`` if distances are those of the numbers, else empty.
    """

    order: np.ndarray
    values: np.ndarray
    edges: np.ndarray
    scale: str = ""

    @property
    def middles(self) -> np.ndarray:
        """The middles of the cells, shape (n,)."""
        middles: np.ndarray = (self.edges[:-1] + self.edges[1:]) / 2
        return middles

    @property
    def lengths(self) -> np.ndarray:
        """The lengths of the cells, shape (n,); 1 on average."""
        lengths: np.ndarray = np.diff(self.edges)
        return lengths

    @property
    def nearest(self) -> float:
        """The shortest distance of two values; 1 of one value."""
        return float(np.diff(self.values).min()) if len(self.values) > 1 else 1.0

    @property
    def said(self) -> str:
        """What the name of the axis says about distances."""
        return {"linear": " (to scale)", "log": " (log scale)", "": ""}[self.scale]


def side_by_side(count: int) -> Places:
    """Return places of cells of one size."""
    return Places(np.arange(count), np.arange(count, dtype=float), np.arange(count + 1) - 0.5)


def to_scale(values: Sequence[str]) -> Places:
    """Return the places of numbers, ascending, on the scale on which their steps differ less.

    That is a logarithmic one where values are spread by factors. A cell reaches half way to the
    next value, on a logarithmic scale to the geometric mean of the two.

    Parameters
    ----------
    values
        Numbers as text, all different.
    """
    numbers = np.array([float(value) for value in values])
    order = np.argsort(numbers, kind="stable")
    ascending = numbers[order]
    if len(ascending) < 2:
        return side_by_side(len(ascending))
    scale = "linear"
    if ascending[0] > 0 and _unevenness(np.log(ascending)) < _unevenness(ascending):
        ascending, scale = np.log(ascending), "log"
    half = np.diff(ascending) / 2
    edges = np.concatenate(
        [ascending[:1] - half[:1], ascending[:-1] + half, ascending[-1:] + half[-1:]]
    )
    unit = (edges[-1] - edges[0]) / len(ascending)
    places, ends = ((each - edges[0]) / unit - 0.5 for each in (ascending, edges))
    return Places(order, places, ends, scale)


def _unevenness(ascending: np.ndarray) -> float:
    """Return how much the steps between numbers differ, by their mean."""
    steps = np.diff(ascending)
    return float(steps.std() / steps.mean())


def kept(places: Sequence[float] | np.ndarray, least: float) -> list[int]:
    """Return which of some ascending places have a label, so that these are so far apart."""
    chosen: list[int] = []
    for index, place in enumerate(places):
        # Rounding must not thin out labels that fit exactly.
        if not chosen or place - places[chosen[-1]] >= least - 1e-9:
            chosen.append(index)
    return chosen
