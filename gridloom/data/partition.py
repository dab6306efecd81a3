"""Which rows are held out: for the test set, for validation, for each of k folds.

One way for all: equal shares of the classes where rows are exchangeable, whole groups where rows
belong together, the last rows where they have an order in time.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from sklearn.model_selection import (
    GroupKFold,
    GroupShuffleSplit,
    KFold,
    StratifiedGroupKFold,
    StratifiedKFold,
    TimeSeriesSplit,
    train_test_split,
)


@dataclass(frozen=True)
class Traits:
    """What rules a partition of rows.

    Attributes
    ----------
    labels
        Classes whose shares stay equal, shape (rows,); None for none.
    groups
        Rows of one group stay together, shape (rows,); None for none.
    ordered
        Whether rows stand in the order of time: held-out rows then come after those kept.
    names
        What messages call the labels, if these are indices.
    """

    labels: np.ndarray | None
    groups: np.ndarray | None = None
    ordered: bool = False
    names: Sequence[str] | None = None

    def name(self, label: Any) -> str:
        """Return what messages call a label."""
        return repr(str(label if self.names is None else self.names[label]))


def hold_out(
    count: int, fraction: float, seed: int, traits: Traits
) -> tuple[np.ndarray, np.ndarray]:
    """Hold out a fraction of `count` rows (of the groups, where there are any).

    Returns
    -------
    (kept, held)
        Row indices in ascending order.

    Raises
    ------
    ValueError
        If a part, or a class in it, would be empty.
    """
    places = np.arange(count)
    if traits.ordered:
        held = max(1, round(fraction * count))
        if held >= count:
            raise ValueError("no row is left to fit on")
        return _fits_all_classes((places[:-held], places[-held:]), traits)
    if traits.groups is not None:
        groups = len(np.unique(traits.groups))
        if groups < 2:
            raise ValueError("all rows are of one group")
        if traits.labels is None:
            shuffled = GroupShuffleSplit(1, test_size=fraction, random_state=seed)
            kept, held_out = next(shuffled.split(places, groups=traits.groups))
        else:
            # ASSUME: one of about 1 / fraction folds is near enough to the fraction asked for;
            # scikit-learn balances classes among groups for folds only.
            folds = min(max(2, round(1 / fraction)), groups)
            splitter = StratifiedGroupKFold(folds, shuffle=True, random_state=seed)
            kept, held_out = next(splitter.split(places, traits.labels, traits.groups))
    else:
        if traits.labels is not None:
            _has_room(traits, math.ceil(fraction * count))
        kept, held_out = train_test_split(
            places, test_size=fraction, random_state=seed, stratify=traits.labels
        )
    return _fits_all_classes((np.sort(kept), np.sort(held_out)), traits)


def fold_rows(
    count: int, folds: int, seed: int, traits: Traits
) -> list[tuple[np.ndarray, np.ndarray]]:
    """Cut `count` rows into folds; each is held out once.

    With an order in time, fold i is held out from a fit on all rows before it (scikit-learn's
    `TimeSeriesSplit`), and no seed plays a part.

    Returns
    -------
    list of (kept, held)
        Row indices in ascending order, one pair a fold.

    Raises
    ------
    ValueError
        If there are too few rows, groups, or rows of a class.
    """
    places = np.arange(count)
    if traits.ordered:
        if count <= folds:
            raise ValueError(f"{count} rows are too few for {folds} folds")
        splits = list(TimeSeriesSplit(folds).split(places))
        return [_fits_all_classes(parts, traits) for parts in splits]
    if traits.labels is not None:
        label, rows = _rarest(traits)
        if rows < folds:
            raise ValueError(
                f"class {label} has {rows} rows to cut into {folds} folds; ask for {rows} folds at "
                "most, or leave the class out"
            )
    if traits.groups is not None:
        if len(np.unique(traits.groups)) < folds:
            raise ValueError("there are fewer groups than folds; ask for fewer folds")
        grouped = GroupKFold if traits.labels is None else StratifiedGroupKFold
        splitter = grouped(folds, shuffle=True, random_state=seed)
    else:
        plain = KFold if traits.labels is None else StratifiedKFold
        splitter = plain(folds, shuffle=True, random_state=seed)
    splits = list(splitter.split(places, traits.labels, traits.groups))
    return [_fits_all_classes(parts, traits) for parts in splits]


def _rarest(traits: Traits) -> tuple[str, int]:
    """Return the class with the fewest rows, and how many these are."""
    assert traits.labels is not None
    labels, counts = np.unique(traits.labels, return_counts=True)
    place = int(counts.argmin())
    return traits.name(labels[place]), int(counts[place])


def _has_room(traits: Traits, held: int) -> None:
    label, rows = _rarest(traits)
    if rows < 2:
        raise ValueError(f"class {label} has one row only; leave it out, or add rows")
    assert traits.labels is not None
    classes = len(np.unique(traits.labels))
    if held < classes:
        raise ValueError(
            f"{held} rows to hold out are too few for {classes} classes; hold out a larger part"
        )


def _fits_all_classes(
    parts: tuple[np.ndarray, np.ndarray], traits: Traits
) -> tuple[np.ndarray, np.ndarray]:
    """Return the parts if the rows to fit on hold every class: a network would never learn it."""
    if traits.labels is not None:
        lacking = np.setdiff1d(traits.labels, traits.labels[parts[0]])
        if len(lacking):
            where = "in one group only" if traits.groups is not None else "in late rows only"
            raise ValueError(
                f"class {traits.name(lacking[0])} is not among the rows to fit on: it is {where}"
            )
    return parts
