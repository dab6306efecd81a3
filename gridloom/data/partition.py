"""Which rows are held out: for the test set, for validation, for each of k folds.

One way for all: equal shares of the classes where rows are exchangeable, whole groups where rows
belong together, the last rows where they have an order in time.
"""

from __future__ import annotations

from dataclasses import dataclass

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
    """

    labels: np.ndarray | None
    groups: np.ndarray | None = None
    ordered: bool = False


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
        return places[:-held], places[-held:]
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
        kept, held_out = train_test_split(
            places, test_size=fraction, random_state=seed, stratify=traits.labels
        )
    return np.sort(kept), np.sort(held_out)


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
        return list(TimeSeriesSplit(folds).split(places))
    if traits.labels is not None and _rarest(traits.labels) < folds:
        raise ValueError("a class has fewer training rows than there are folds")
    if traits.groups is not None:
        if len(np.unique(traits.groups)) < folds:
            raise ValueError("there are fewer groups than folds")
        grouped = GroupKFold if traits.labels is None else StratifiedGroupKFold
        splitter = grouped(folds, shuffle=True, random_state=seed)
    else:
        plain = KFold if traits.labels is None else StratifiedKFold
        splitter = plain(folds, shuffle=True, random_state=seed)
    return list(splitter.split(places, traits.labels, traits.groups))


def _rarest(labels: np.ndarray) -> int:
    return int(np.unique(labels, return_counts=True)[1].min())
