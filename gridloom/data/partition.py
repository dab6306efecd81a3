"""Which rows are held out: for the test set, for validation, for each of k folds.

All three use the same rules: equal shares of the classes if rows are exchangeable, whole groups if
rows belong together, the last rows if they have an order in time.
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
    """Properties of rows that a partition respects.

    Attributes
    ----------
    labels
        Class of each row, shape (rows,), to keep the classes' shares equal; None not to.
    groups
        Group of each row, shape (rows,); rows of one group stay together. None without groups.
    ordered
        Whether rows are in the order of time, so that held-out rows come after those kept.
    names
        Names of the classes for messages, if labels are indices.
    """

    labels: np.ndarray | None
    groups: np.ndarray | None = None
    ordered: bool = False
    names: Sequence[str] | None = None

    def name(self, label: Any) -> str:
        """Return the name of a label for messages."""
        return repr(str(label if self.names is None else self.names[label]))


def hold_out(
    count: int, fraction: float, seed: int, traits: Traits
) -> tuple[np.ndarray, np.ndarray]:
    """Hold out a fraction of `count` rows, or of the groups if there are any.

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
            # ASSUME: one of about 1 / fraction folds is close enough to the fraction.
            # scikit-learn balances classes among groups only for folds.
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
    """Cut `count` rows into folds, each of which is held out once.

    With an order in time, each fold is held out from a fit on all rows before it (scikit-learn's
    `TimeSeriesSplit`), and the seed has no effect.

    Returns
    -------
    list of (kept, held)
        Row indices in ascending order, one pair for each fold.

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
                f"class {label} has only {rows} rows for {folds} folds; set at most {rows} folds, "
                "or leave the class out"
            )
    if traits.groups is not None:
        if len(np.unique(traits.groups)) < folds:
            raise ValueError("there are fewer groups than folds; set fewer folds")
        grouped = GroupKFold if traits.labels is None else StratifiedGroupKFold
        splitter = grouped(folds, shuffle=True, random_state=seed)
    else:
        plain = KFold if traits.labels is None else StratifiedKFold
        splitter = plain(folds, shuffle=True, random_state=seed)
    splits = list(splitter.split(places, traits.labels, traits.groups))
    return [_fits_all_classes(parts, traits) for parts in splits]


def _rarest(traits: Traits) -> tuple[str, int]:
    """Return the class with the fewest rows, and the number of its rows."""
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
    """Return the parts if every class is among the rows to fit on; a network must see it there."""
    if traits.labels is not None:
        lacking = np.setdiff1d(traits.labels, traits.labels[parts[0]])
        if len(lacking):
            where = "in one group only" if traits.groups is not None else "in late rows only"
            raise ValueError(
                f"class {traits.name(lacking[0])} is not among the rows to fit on: it is {where}"
            )
    return parts
