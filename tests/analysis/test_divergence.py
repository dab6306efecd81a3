"""Promises of the bound: explosions are found at any scale, ordinary losses are let be."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest

from gridloom.analysis.divergence import default_bound, divergence_shares, exploded


def history(first):
    return pd.DataFrame({"epoch": 1, "loss": first, "val_loss": np.array(first) / 2}).astype(float)


@pytest.mark.parametrize(
    ("first", "bound"),
    [
        ([0.26, 0.4, 0.5, 0.7], 1e3),  # a classification: log 2 is what a constant costs
        ([4.6e9] * 4, 1e13),  # the square of large targets
        ([0.3, 1e30, np.nan, np.nan], 1e3),  # three of four explode at once
        ([-0.9] * 4, np.inf),  # a similarity
        ([np.nan] * 4, np.inf),
    ],
)
def test_the_bound_is_a_thousand_first_losses_to_the_next_power_of_ten(first, bound):
    assert default_bound(history(first)) == pytest.approx(bound)


def test_later_epochs_and_one_point_more_do_not_move_it():
    losses = history([0.3] * 8)
    later = losses.assign(epoch=2, loss=1e9)
    assert default_bound(pd.concat([losses, later, history([0.9])])) == default_bound(losses)


def test_a_training_whose_loss_ends_above_it_has_exploded():
    runs = pd.DataFrame(
        {
            "status": ["ok", "ok", "ok", "diverged"],
            "loss": [5.0, 2e3, 0.1, np.nan],
            "val_loss": [9.0, 0.1, 2e3, 2e3],
        }
    )
    assert exploded(runs, 1e3).tolist() == [False, True, True, False]


def test_lost_trainings_are_counted_for_each_value_and_each_pair_that_the_grid_has():
    summary = pd.DataFrame(
        {
            "units": ["8", "8", "16"],
            "rate": ["0.1", "1", "0.1"],
            "n_trainings": 4,
            "n_diverged": [0, 2, 0],
            "n_missing": [1, 1, 0],
        }
    )
    shares = divergence_shares(summary, {"units": ["16", "8"], "rate": ["0.1", "1"]})
    assert shares.to_numpy().tolist() == [
        ["units", "16", "", "", 4, 0, 0, 0.0],
        ["units", "8", "", "", 8, 2, 2, 0.5],
        ["rate", "0.1", "", "", 8, 0, 1, 0.125],
        ["rate", "1", "", "", 4, 2, 1, 0.75],
        ["units", "16", "rate", "0.1", 4, 0, 0, 0.0],
        ["units", "8", "rate", "0.1", 4, 0, 1, 0.25],
        ["units", "8", "rate", "1", 4, 2, 1, 0.75],
    ]
    assert divergence_shares(summary, {}).empty
