"""Promises of a partition: classes balanced, groups whole, time in order."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from gridloom.data.partition import Traits, fold_rows, hold_out

LABELS = np.array([0] * 30 + [1] * 10)
HALVES = LABELS[::-1]
GROUPS = np.array([f"g{i // 4}" for i in range(40)])


@given(st.integers(10, 80), st.floats(0.1, 0.6), st.integers(0, 2**31 - 1), st.sampled_from("pgo"))
def test_every_row_is_on_one_side_and_both_sides_are_in_order(count, fraction, seed, kind):
    groups = np.arange(count) // 3 if kind == "g" else None
    kept, held = hold_out(count, fraction, seed, Traits(None, groups, kind == "o"))
    assert sorted([*kept, *held]) == list(range(count))
    assert list(kept) == sorted(kept)
    assert len(held)
    assert len(kept)
    if groups is not None:
        assert not set(groups[kept]) & set(groups[held])
    if kind == "o":
        assert max(kept) < min(held)


def test_classes_keep_their_shares():
    _, held = hold_out(40, 0.2, 3, Traits(LABELS))
    assert np.bincount(LABELS[held]).tolist() == [6, 2]


def test_groups_of_classes_stay_whole_and_balanced():
    for seed in range(5):
        kept, held = hold_out(40, 0.2, seed, Traits(np.arange(40) % 2, GROUPS))
        assert not set(GROUPS[kept]) & set(GROUPS[held])
        assert len(held) == 8
        assert np.bincount(held % 2).tolist() == [4, 4]


@pytest.mark.parametrize(
    "traits",
    [Traits(None), Traits(LABELS), Traits(None, GROUPS), Traits(np.arange(40) % 2, GROUPS)],
)
def test_folds_hold_every_row_out_once(traits):
    parts = fold_rows(40, 4, 3, traits)
    assert sorted(np.concatenate([held for _, held in parts])) == list(range(40))
    for kept, held in parts:
        assert not set(kept) & set(held)
        if traits.groups is not None:
            assert not set(GROUPS[kept]) & set(GROUPS[held])


def test_folds_of_ordered_rows_look_back_only():
    parts = fold_rows(40, 4, 3, Traits(np.arange(40) % 2, ordered=True))
    assert len(parts) == 4
    assert all(max(kept) < min(held) for kept, held in parts)
    assert parts[-1][1][-1] == 39


@pytest.mark.parametrize("traits", [Traits(LABELS), Traits(None, GROUPS)])
def test_the_seed_and_nothing_else_decides(traits):
    one, again, other = (fold_rows(40, 4, seed, traits)[0][1] for seed in (3, 3, 4))
    assert list(one) == list(again)
    assert list(one) != list(other)


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda: hold_out(4, 0.2, 0, Traits(None, np.array([*"aaaa"]))), "all rows are of one gro"),
        (lambda: hold_out(1, 0.9, 0, Traits(None, ordered=True)), "no row is left to fit on"),
        (
            lambda: fold_rows(40, 11, 0, Traits(LABELS, names=["no", "yes"])),
            "class 'yes' has only 10 rows for 11 folds; set at most 10 folds",
        ),
        (lambda: hold_out(5, 0.4, 0, Traits(np.array([0, 0, 0, 0, 1]))), "class '1' has one row"),
        (lambda: hold_out(40, 0.02, 0, Traits(LABELS)), "1 rows to hold out are too few for 2"),
        (
            lambda: hold_out(40, 0.5, 0, Traits(LABELS[::-1], ordered=False, groups=HALVES)),
            "is not among the rows to fit on: it is in one group only",
        ),
        (
            lambda: hold_out(40, 0.25, 0, Traits(LABELS, ordered=True)),
            "class '1' is not among the rows to fit on: it is in late rows only",
        ),
        (lambda: fold_rows(40, 11, 0, Traits(None, GROUPS)), "fewer groups than folds"),
    ],
)
def test_too_few_rows_are_refused(make, message):
    with pytest.raises(ValueError, match=message):
        make()
