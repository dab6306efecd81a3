"""Adjusted means: the cells of two axes compared as if each met the others' values alike."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property

import numpy as np
import pandas as pd

#: An eigenvalue or a difference below this share of the largest is rounding.
_ROUNDING = 1e-9


@dataclass(frozen=True)
class AdjustedMeans:
    """The means of two axes' cells.

    Attributes
    ----------
    values
        float64, shape (values of rows, values of columns); NaN where there is none.
    not_estimable
        Cells that have values, but share no value of the other axes with the rest, as where all
        else failed. bool, same shape.
    adjusted_for
        The other axes whose effects were taken out; none where every cell meets their values
        alike, and the values are plain means.
    together
        The other axes that vary together with one of the two, so that their effects are part of
        it.
    """

    values: np.ndarray
    not_estimable: np.ndarray
    adjusted_for: tuple[str, ...]
    together: tuple[str, ...]


def adjusted_means(
    points: pd.DataFrame,
    values: np.ndarray,
    axes: Mapping[str, Sequence[str]],
    rows: str,
    columns: str,
) -> AdjustedMeans:
    """Estimate each cell's mean over the same mixture of the other axes' values.

    By least squares, of a model with an effect of each cell and one of each value of each other
    axis (Searle, Speed & Milliken 1980). A cell's adjusted mean is what the model expects if the
    cell met the others' values as often as the whole grid does; on a grid where every cell does,
    it is the plain mean. Where the grid ties values of another axis to those of `rows` or
    `columns` (values that vary together, hyperparameters that only some points have), a cell is
    compared over those that can occur with it.

    Parameters
    ----------
    points
        One row a point of the grid; its columns `axes` hold values as text.
    values
        What is averaged, shape (points,); NaN for points that have none.
    axes
        Axis → its values.
    rows, columns
        The two axes.
    """
    layout = _lay_out(points, axes, rows, columns)
    adjusted, apart, unlike = _adjust(layout, values[:, None])
    return AdjustedMeans(
        values=adjusted[:, 0].reshape(layout.shape),
        not_estimable=apart.reshape(layout.shape),
        adjusted_for=layout.others if unlike else (),
        together=layout.together,
    )


def adjusted_means_of_each(
    points: pd.DataFrame,
    values: np.ndarray,
    axes: Mapping[str, Sequence[str]],
    rows: str,
    columns: str,
) -> np.ndarray:
    """Return the `values` of `adjusted_means` for each of k quantities.

    What quantities with numbers at the same points have in common is worked out once.

    Parameters
    ----------
    values
        Shape (points, k).

    Returns
    -------
    np.ndarray
        float64, shape (values of rows, values of columns, k).
    """
    layout = _lay_out(points, axes, rows, columns)
    means = np.empty((layout.shape[0] * layout.shape[1], values.shape[1]))
    patterns: dict[bytes, list[int]] = {}
    for place, found in enumerate(np.isfinite(values).T):
        patterns.setdefault(found.tobytes(), []).append(place)
    for alike in patterns.values():
        means[:, alike], _, _ = _adjust(layout, values[:, alike])
    return means.reshape(*layout.shape, -1)


@dataclass(frozen=True, eq=False)
class _Layout:
    """A grid as two of its axes see it; N points.

    Attributes
    ----------
    shape
        Numbers of values of the two.
    cell
        Each point's cell, shape (N,).
    others, together
        Names of the other axes, and of those that vary together with one of the two.
    other_codes
        For each other axis: which of its values each point has, shape (N,).
    tied
        Class of cells that can be compared, shape (N,).
    """

    shape: tuple[int, int]
    cell: np.ndarray
    others: tuple[str, ...]
    together: tuple[str, ...]
    other_codes: Sequence[np.ndarray]
    tied: np.ndarray

    @cached_property
    def design(self) -> np.ndarray:
        """Which values of the others each point has; 0 or 1, shape (N, values of the others)."""
        indicators = [np.eye(codes.max() + 1)[codes] for codes in self.other_codes]
        return np.hstack([np.zeros((len(self.cell), 0)), *indicators])


def codes_of(points: pd.DataFrame, axes: Mapping[str, Sequence[str]]) -> dict[str, np.ndarray]:
    """Return for each axis which of its values each point has, from 0; int64, shape (points,).

    Parameters
    ----------
    points, axes
        See `adjusted_means`.
    """
    codes = {}
    for name, known in axes.items():
        places = {value: place for place, value in enumerate(known)}
        # A fifth of the time of a categorical of pandas.
        codes[name] = np.array([places.get(value, -1) for value in points[name].tolist()], np.intp)
    return codes


def _lay_out(
    points: pd.DataFrame, axes: Mapping[str, Sequence[str]], rows: str, columns: str
) -> _Layout:
    codes = codes_of(points, axes)
    others = [name for name in axes if name not in (rows, columns)]
    shape = (len(axes[rows]), len(axes[columns]))
    ties = {
        name: [_classes(codes[pair], codes[name]) for pair in (rows, columns)] for name in others
    }
    return _Layout(
        shape=shape,
        cell=codes[rows] * shape[1] + codes[columns],
        others=tuple(others),
        together=tuple(name for name in others if any(each.max() > 0 for each in ties[name])),
        other_codes=[codes[name] for name in others],
        tied=_crossed([each for pair_ties in ties.values() for each in pair_ties], len(points)),
    )


def _adjust(layout: _Layout, values: np.ndarray) -> tuple[np.ndarray, np.ndarray, bool]:
    """Estimate the means of k quantities that have numbers at the same points.

    Parameters
    ----------
    values
        Shape (points, k).

    Returns
    -------
    means
        float64, shape (cells, k).
    apart
        Which cells are not estimable, bool, shape (cells,).
    unlike
        Whether any mean differs from the plain one.
    """
    cell, shape, design = layout.cell, layout.shape, layout.design
    found = np.isfinite(values[:, 0])
    if not found.any():
        cells = shape[0] * shape[1]
        return np.full((cells, values.shape[1]), np.nan), np.zeros(cells, bool), False
    adjusted, count = _cell_means(cell[found], values[found], shape)
    design_mean, _ = _cell_means(cell[found], design[found], shape)
    mixture, apart = _mixtures(cell, layout.tied, layout.other_codes, design, found, shape)
    difference = np.where((count > 0)[:, None] & ~apart[:, None], mixture - design_mean, 0)
    difference[np.abs(difference) < _ROUNDING] = 0
    unlike = bool(difference.any())
    if unlike:
        # Centred within cells, so that only the few effects of the other axes must be solved for.
        within = design[found] - design_mean[cell[found]]
        residual = values[found] - adjusted[cell[found]]
        sizes, directions = np.linalg.eigh(within.T @ within)
        known = sizes > _ROUNDING * max(sizes[-1], 1.0)
        kept = directions[:, known]
        effects = kept @ (kept.T @ (within.T @ residual) / sizes[known, None])
        unknown = np.abs(difference @ directions[:, ~known]).max(axis=1, initial=0)
        apart |= unknown > _ROUNDING**0.5
        adjusted = adjusted + difference @ effects
    return np.where(apart[:, None], np.nan, adjusted), apart, unlike


def _mixtures(
    cell: np.ndarray,
    tied: np.ndarray,
    others: Sequence[np.ndarray],
    design: np.ndarray,
    found: np.ndarray,
    shape: tuple[int, int],
) -> tuple[np.ndarray, np.ndarray]:
    """Return what each cell is compared over.

    Parameters
    ----------
    cell, tied, found
        For each point: its cell, the class of cells that can be compared in this grid, whether it
        has a value.
    others
        Codes of each other axis.
    design
        Their indicators, shape (points, values of the others).

    Returns
    -------
    mixture
        Shares of the others' values, shape (cells, values of the others), NaN for none: over the
        points of the cell's class, without values that no comparable cell has a result for.
    apart
        Which cells have results, but none that a chain of shared values links to those of most
        cells of their class.
    """
    mixture = np.full((shape[0] * shape[1], design.shape[1]), np.nan)
    apart = np.zeros(len(mixture), bool)
    linked = np.full(len(cell), -1)
    linked[found] = _crossed([_classes(cell[found], each[found]) for each in others], found.sum())
    for one in np.unique(tied):
        own = tied == one
        cells, place = np.unique(cell[own & found], return_index=True)
        if not len(cells):
            continue
        groups = linked[own & found][place]
        main = np.bincount(groups).argmax()
        apart[cells[groups != main]] = True
        kept = own & found & (linked == main)
        usable = own.copy()
        for each in others:
            usable &= np.isin(each, each[kept])
        mixture[cells] = design[usable].mean(axis=0)
    return mixture, apart


def _crossed(labels: Sequence[np.ndarray], count: int) -> np.ndarray:
    """Return a number for each combination of several labels, shape (count,)."""
    combined = np.zeros(count, np.intp)
    for each in labels:
        combined = _numbered(combined * (each.max(initial=0) + 1) + each)
    return combined


def _classes(some: np.ndarray, others: np.ndarray) -> np.ndarray:
    """Return the class that each point's value of `some` belongs to, shape (points,).

    Values of two axes are of one class if a chain of points leads from one to the other; on a
    complete grid all are.
    """
    if not some.size:
        return some
    met = np.zeros((some.max() + 1, others.max() + 1), np.float32)
    met[some, others] = 1
    linked = met @ met.T > 0
    while True:
        further = linked.astype(np.float32) @ linked > 0
        if (further == linked).all():
            # A class is named by its first value.
            return _numbered(linked.argmax(axis=1)[some])
        linked = further


def _numbered(labels: np.ndarray) -> np.ndarray:
    """Return labels as numbers from 0, without gaps."""
    numbers: np.ndarray
    _, numbers = np.unique(labels, return_inverse=True)
    return numbers


def _cell_means(
    cell: np.ndarray, values: np.ndarray, shape: tuple[int, int]
) -> tuple[np.ndarray, np.ndarray]:
    """Return the mean of each column in each cell, and how many rows a cell has."""
    cells = shape[0] * shape[1]
    count = np.bincount(cell, minlength=cells)
    means = np.full((cells, values.shape[1]), np.nan)
    for place, column in enumerate(values.T):
        total = np.bincount(cell, column, minlength=cells)
        np.divide(total, count, out=means[:, place], where=count > 0)
    return means, count
