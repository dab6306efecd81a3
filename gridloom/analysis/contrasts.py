"""Contrasts: the differences between configurations, one part for each set of axes."""

from __future__ import annotations

import itertools
import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

import numpy as np
import pandas as pd
from scipy.linalg import cho_solve, lapack, solve_triangular

from gridloom.analysis.observations import Observations

#: The name of the sum of the effects of three axes and more. No axis can have a name in brackets.
HIGHER = "(higher)"

#: An eigenvalue or a pivot below this, relative to the counts beside it, is rounding.
_ROUNDING = 1e-9

#: Multiplications that fitting pairs may take: about a second.
_MAX_WORK = 3e10

#: Most axes for which effects of three axes and more are listed one by one.
_MAX_LISTED = 8

#: Most effects that are named in a note.
_NAMED = 5


@dataclass(frozen=True, eq=False)
class Part:
    """What one set of axes does, beyond what its subsets do.

    Attributes
    ----------
    name
        Its axes, joined by ``:``.
    axes
        The axes.
    order
        How many axes it needs at least.
    df
        Its degrees of freedom: how many independent contrasts between configurations it has.
    values
        float64, shape (m, r) with m ≥ df, in the unit of the objective times √N: the sum of squares
        over m is the part's sum of squares in each repetition.
    """

    name: str
    axes: tuple[str, ...]
    order: int
    df: int
    values: np.ndarray


@dataclass(frozen=True, eq=False)
class Decomposition:
    """The differences between configurations, split.

    Attributes
    ----------
    parts
        By order, then in the order of the axes.
    scores
        What was split: float64, shape (N, r), of the configurations with all of their scores.
    notes
        Sentences on what was left out, and why.
    """

    parts: tuple[Part, ...]
    scores: np.ndarray
    notes: tuple[str, ...]


def decompose(observations: Observations) -> Decomposition:
    """Split the differences between configurations by the axes that make them.

    Configurations without a score in every repetition are left out. If the others are a complete
    grid, the parts are exact, orthogonal and of every order: inclusion and exclusion of cell means.
    Otherwise they are least-squares estimates (see `_incomplete`).
    """
    complete = observations.complete
    total, kept = len(complete), int(complete.sum())
    left_out = (
        f"{total - kept:,} of {total:,} configurations are left out, as a training of theirs "
        f"diverged or has no score: effects are those among the other {kept:,}."
    )
    notes = [left_out] if kept < total else []
    scores, points = observations.scores[complete], observations.points[complete]
    if kept < 2:
        return Decomposition((), scores, tuple(notes))
    codes, of_axes = _distinct_axes(points[list(observations.axes)])
    sizes = [int(code.max()) + 1 for code in codes.values()]
    if np.prod(sizes, dtype=float) == kept:
        parts, of_grid = _complete(codes, sizes, scores)
    else:
        parts, of_grid = _incomplete(codes, scores)
    return Decomposition(tuple(parts), scores, (*notes, *of_axes, *of_grid))


def _distinct_axes(points: pd.DataFrame) -> tuple[dict[str, np.ndarray], list[str]]:
    """Return each axis with its values as numbers, and sentences on axes that are left out.

    These are the ones with one value, and all but the first of those that vary together.
    """
    codes: dict[str, np.ndarray] = {}
    notes = []
    for name in points.columns.astype(str):
        # Values are numbered as they come: axes that vary together have equal numbers.
        code = pd.factorize(points[name])[0]
        twin = next((other for other, own in codes.items() if np.array_equal(own, code)), None)
        if code.max() == 0:
            notes.append(f"{name} has one value in these configurations: its effect is unknown.")
        elif twin is not None:
            notes.append(f"{name} varies together with {twin}: {twin} stands for both.")
        else:
            codes[name] = code
    return codes, notes


def _complete(
    codes: Mapping[str, np.ndarray], sizes: Sequence[int], scores: np.ndarray
) -> tuple[list[Part], list[str]]:
    """Split a complete grid, axis by axis, into means over the axis and deviations from them."""
    table = np.empty_like(scores)
    table[np.ravel_multi_index(tuple(codes.values()), sizes)] = scores
    # The axes of a part are numbers here, so that parts sort in the order of the axes.
    split: dict[tuple[int, ...], np.ndarray] = {(): table.reshape(*sizes, -1)}
    for place in range(len(sizes)):
        halves: dict[tuple[int, ...], np.ndarray] = {}
        for axes, cells in split.items():
            halves[axes] = cells.mean(axis=place, keepdims=True)
            halves[*axes, place] = cells - halves[axes]
        split = halves
    names = tuple(codes)
    parts = []
    for axes in sorted(split, key=lambda axes: (len(axes), axes))[1:]:
        own = tuple(names[place] for place in axes)
        cells = split[axes].reshape(-1, scores.shape[1])
        values = cells * np.sqrt(len(scores) / len(cells))
        df = math.prod(sizes[place] - 1 for place in axes)
        parts.append(Part(":".join(own), own, len(own), df, values))
    if len(names) <= _MAX_LISTED:
        return parts, []
    low = [part for part in parts if part.order < 3]
    note = f"More than {_MAX_LISTED} axes: effects of three and more are given as a sum only."
    return [*low, *(replace(part, axes=names) for part in higher(parts))], [note]


def higher(parts: Sequence[Part]) -> list[Part]:
    """Return the sum of the effects of three axes and more, if there are any, without axes."""
    chosen = [part for part in parts if part.order > 2]
    if not chosen or chosen[-1].name == HIGHER:
        return []
    values = np.vstack([part.values for part in chosen])
    return [Part(HIGHER, (), 3, sum(part.df for part in chosen), values)]


def _incomplete(
    codes: Mapping[str, np.ndarray], scores: np.ndarray
) -> tuple[list[Part], list[str]]:
    """Split an incomplete grid by least squares, as far as pairs; describe what that leaves out.

    Sums of squares are of type II: each effect is adjusted for all that do not contain it. An
    effect contains another if its cells subdivide the other's: the momentum that only some
    optimizers have contains the optimizer. What the model leaves over is one more part. Pairs stay
    in it if fitting them takes too long, or if an axis could not be separated from them.
    """
    names = tuple(codes)
    for order in range(_feasible_order(codes), 0, -1):
        terms = _terms(codes, order)
        contrasts, rest, rest_df = _type_two(terms, scores)
        if all(len(contrasts[term]) for term in terms if len(term.axes) == 1):
            break
    parts = [
        Part(term.name, term.axes, len(term.axes), len(contrasts[term]), contrasts[term])
        for term in terms
        if len(contrasts[term])
    ]
    name = ":".join(names) if order == len(names) - 1 else HIGHER
    if rest_df:
        parts.append(Part(name, names, order + 1, rest_df, rest))
    return parts, [
        "The grid is not complete: effects of up to "
        f"{order} {'axes' if order > 1 else 'axis'} are least-squares estimates, each adjusted for "
        f"the others (type II)" + (f"; `{name}` is what they leave over." if rest_df else "."),
        *(
            f"{term.name} subdivides {', '.join(sorted(term.within - {term.name}))}: its effect is "
            "what it adds."
            for term in terms
            if len(term.axes) == 1 and len(term.within) > 1
        ),
        *_describe_aliased([term.name for term in terms if not len(contrasts[term])]),
    ]


def _feasible_order(codes: Mapping[str, np.ndarray]) -> int:
    """Return how many axes the effects of a model have at most: 2, or 1 if pairs are too many."""
    sizes = [int(code.max()) for code in codes.values()]
    pairs = [first * second for first, second in itertools.combinations(sizes, 2)]
    work = (len(sizes) + len(pairs)) * (sum(sizes) + sum(pairs)) ** 3
    return 2 if len(sizes) > 2 and work <= _MAX_WORK else 1


def _describe_aliased(names: Sequence[str]) -> list[str]:
    """Name the effects that cannot be separated from others."""
    more = f" and {len(names) - _NAMED:,} more" if len(names) > _NAMED else ""
    listed = ", ".join(names[:_NAMED])
    if not names:
        return []
    return [f"These configurations cannot separate from other effects: {listed}{more}."]


@dataclass(frozen=True)
class _Term:
    """An effect of a model: its axes, and all axes that are constant within its cells."""

    axes: tuple[str, ...]
    within: frozenset[str]

    @property
    def name(self) -> str:
        return ":".join(self.axes)


def _terms(codes: Mapping[str, np.ndarray], order: int) -> dict[_Term, np.ndarray]:
    """Return the different effects of up to `order` axes, with their columns, shape (N, p)."""
    indicators = {name: np.eye(code.max() + 1)[code][:, 1:] for name, code in codes.items()}
    terms: dict[frozenset[str], tuple[_Term, np.ndarray]] = {}
    sets = (itertools.combinations(codes, size) for size in range(1, order + 1))
    for axes in itertools.chain.from_iterable(sets):
        numbers = np.ravel_multi_index(
            [codes[name] for name in axes], [codes[name].max() + 1 for name in axes]
        )
        _, first, cell = np.unique(numbers, return_index=True, return_inverse=True)
        within = frozenset(
            name for name, code in codes.items() if (code[first][cell] == code).all()
        )
        columns = indicators[axes[0]]
        for name in axes[1:]:
            columns = (columns[:, :, None] * indicators[name][:, None, :]).reshape(len(cell), -1)
        # The first set that makes these groups of points is the smallest.
        terms.setdefault(within, (_Term(axes, within), columns[:, columns.any(axis=0)]))
    return dict(terms.values())


def _type_two(
    terms: Mapping[_Term, np.ndarray], scores: np.ndarray
) -> tuple[dict[_Term, np.ndarray], np.ndarray, int]:
    """Fit a model by least squares.

    Returns
    -------
    contrasts
        Orthonormal contrasts of each term, adjusted for all terms that do not contain it, shape
        (df, r).
    rest, rest_df
        What the model leaves over, shape (N, r), and its degrees of freedom.
    """
    design = np.hstack([np.ones((len(scores), 1)), *terms.values()])
    owner = np.repeat(np.arange(-1, len(terms)), [1, *(c.shape[1] for c in terms.values())])
    centred = scores - scores.mean(axis=0)
    gram, moments = design.T @ design, design.T @ centred
    contrasts = {}
    for place, term in enumerate(terms):
        containing = [other for other, each in enumerate(terms) if term.within <= each.within]
        others = np.flatnonzero(~np.isin(owner, containing))
        contrasts[term] = _contrasts(gram, moments, others, np.flatnonzero(owner == place))
    basis, factor = _independent(gram, np.arange(len(gram)))
    coefficients = cho_solve((factor, True), moments[basis])
    return contrasts, centred - design[:, basis] @ coefficients, len(scores) - len(basis)


def _contrasts(
    gram: np.ndarray, moments: np.ndarray, others: np.ndarray, own: np.ndarray
) -> np.ndarray:
    """Return orthonormal contrasts of some columns, adjusted for others, shape (df, r).

    Parameters
    ----------
    gram, moments
        Products of the columns with each other, shape (p, p), and with the scores, shape (p, r).
    others, own
        Numbers of the columns.
    """
    if not len(own):  # a pair whose cells other effects already determine
        return np.empty((0, moments.shape[1]))
    basis, factor = _independent(gram, others)
    shared = solve_triangular(factor, gram[np.ix_(basis, own)], lower=True)
    explained = solve_triangular(factor, moments[basis], lower=True)
    remaining = gram[np.ix_(own, own)] - shared.T @ shared
    sizes, directions = np.linalg.eigh(remaining)
    kept = sizes > _ROUNDING * gram[own, own].max()
    adjusted = moments[own] - shared.T @ explained
    contrasts: np.ndarray = (directions[:, kept] / np.sqrt(sizes[kept])).T @ adjusted
    return contrasts


def _independent(gram: np.ndarray, columns: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Return the most columns that are independent, and the Cholesky factor of their products."""
    products = gram[np.ix_(columns, columns)]
    factor, pivots, rank, _ = lapack.dpstrf(products, lower=1, tol=_ROUNDING * products.max())
    chosen: np.ndarray = columns[pivots[:rank] - 1]
    return chosen, np.tril(factor[:rank, :rank])
