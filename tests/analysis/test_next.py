"""Promises of what to try next: only ends that are surely the best, and values that make sense."""

from __future__ import annotations

import itertools

import numpy as np
import pandas as pd
import pytest
import yaml

from gridloom.analysis.matched import matched_differences
from gridloom.analysis.next import beyond, ends, write_next
from gridloom.analysis.observations import Observations

AXES = {"units": ["1", "32", "64"], "dropout": ["0", "0.3", "0.6"], "activation": ["relu", "tanh"]}
NUMBERS = {"units": [1, 32, 64], "dropout": [0, 0.3, 0.6]}


def observed(slope, repetitions=5, noise=0.01, seed=0):
    """Return observations whose score rises with the units by `slope` a value."""
    points = pd.DataFrame(list(itertools.product(*AXES.values())), columns=list(AXES))
    points.insert(0, "point", [str(place) for place in range(len(points))])
    generator = np.random.default_rng(seed)
    shared = generator.normal(0, 0.1, repetitions)
    own = generator.normal(0, noise, (len(points), repetitions))
    true = slope * points["units"].map(AXES["units"].index).to_numpy()
    return Observations(points, AXES, np.arange(repetitions), true[:, None] + shared + own, 1)


def everything(observations):
    return np.ones(len(observations.points), bool)


def test_the_best_value_at_the_end_of_its_list_gets_a_value_beyond_it():
    observations = observed(slope=0.1)
    (end,) = ends(observations, everything(observations), NUMBERS)
    assert (end.axis, end.best, end.neighbour) == ("units", 64, 32)
    assert end.better.low < 0.1 < end.better.high
    assert end.values == [1, 32, 64, 96]
    assert end.configurations == 6


def test_the_lower_end_of_a_list_counts_too():
    observations = observed(slope=-0.1)
    # No whole number between 0 and 1 could be added.
    assert ends(observations, everything(observations), NUMBERS) == []
    (end,) = ends(observations, everything(observations), {"units": [0.5, 32, 64]})
    assert (end.best, end.added) == (0.5, 0.0078)


def test_without_an_effect_few_studies_claim_an_end():
    claims = sum(
        bool(ends(observed(0, seed=seed), np.ones(18, bool), NUMBERS)) for seed in range(200)
    )
    # 95 % for all ends together: 10 expected, sd 3.1.
    assert claims <= 20


def test_pairs_that_diverged_or_are_far_from_the_best_are_not_compared():
    observations = observed(slope=0.1)
    observations.scores[0, 2] = np.nan
    near = everything(observations)
    assert matched_differences(observations, "units", "32", "1", near).shape == (5, 5)
    near[:] = False
    near[1] = True
    assert matched_differences(observations, "units", "32", "1", near).shape == (1, 5)


def test_one_repetition_or_no_pair_claims_no_end():
    once = observed(slope=0.1, repetitions=1)
    assert ends(once, everything(once), NUMBERS) == []
    apart = observed(slope=0.1)
    apart.scores[::2] = np.nan  # all of one activation, and the other alternates
    assert ends(apart, ~everything(apart), NUMBERS) == []


@pytest.mark.parametrize(
    ("values", "expected"),
    [
        ([16, 32, 64], 128),
        ([1, 32, 64], 96),
        ([64, 32], 16),
        ([0.001, 0.01, 0.1], 1.0),
        ([1.0, 0.1, 0.01], 0.001),
        ([0, 0.3, 0.6], 0.9),
        ([0.6, 0.3, 0], None),
        ([32, 16, 4], 1),
        ([2, 1], None),
        ([-4, -3], -2),
    ],
)
def test_a_list_goes_on_by_its_own_steps_and_never_crosses_zero(values, expected):
    assert beyond(values) == expected


def test_the_file_is_yaml_to_paste_with_reason_and_price(tmp_path):
    observations = observed(slope=0.1)
    found = ends(observations, everything(observations), NUMBERS)
    write_next(found, trainings=5, seconds=0.1, path=tmp_path / "next.yaml")
    text = (tmp_path / "next.yaml").read_text()
    assert yaml.safe_load(text) == {"hyperparameters": {"units": [1, 32, 64, 96]}}
    assert "better than 32 by" in text
    assert "6 configurations, 30 trainings, about 3 s of one core" in text


def test_nothing_to_add_is_said(tmp_path):
    write_next([], trainings=5, seconds=0.1, path=tmp_path / "next.yaml")
    text = (tmp_path / "next.yaml").read_text()
    assert yaml.safe_load(text) == {"hyperparameters": {}}
    assert "No axis of numbers" in text
