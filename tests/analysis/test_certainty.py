"""Promises of the columns that say how sure the table of points is."""

from __future__ import annotations

import math

import numpy as np
import pandas as pd
import pytest

from gridloom.analysis.certainty import (
    certainty,
    default_close_enough,
    score_step,
    with_certainty,
)
from gridloom.data.description import SplitDescription
from gridloom.data.scoring import Scoring

HOLDOUT = Scoring(fitted=80, validated=20, folds=1, redrawn=True, ordered=False)
FOLDS = Scoring(fitted=80, validated=20, folds=5, redrawn=True, ordered=False)


def runs_of(scores, status="ok"):
    """Return the trainings of scores of shape (points, repetitions, folds)."""
    scores = np.asarray(scores, float)
    scores = scores[..., None] if scores.ndim == 2 else scores
    points, repetitions, folds = np.indices(scores.shape).reshape(3, -1)
    return pd.DataFrame(
        {
            "point": [f"units={place}" for place in points],
            "repetition": repetitions,
            "fold": folds,
            "status": status,
            "score": scores.ravel(),
        }
    )


def drawn(points=4, repetitions=5, folds=1, seed=0):
    """Return shares of 20 rows."""
    generator = np.random.default_rng(seed)
    shares = np.linspace(0.6, 0.9, points)[:, None, None]
    return generator.binomial(20, shares, (points, repetitions, folds)) / 20


def test_regret_is_in_units_of_the_objective_whichever_way_is_better():
    scores = np.random.default_rng(0).normal(size=(4, 5)) + np.arange(4)[:, None]
    most = certainty(runs_of(scores), "score", "max", HOLDOUT).table
    least = certainty(runs_of(-scores), "score", "min", HOLDOUT).table
    pd.testing.assert_frame_equal(most, least.assign(expected=-least["expected"]))
    assert most["regret_high"].iloc[0] > most["regret_high"].iloc[3] >= 0
    assert most["tied_with_best"].iloc[3]


def test_points_with_a_lost_training_are_not_compared_and_a_sentence_says_so():
    runs = runs_of(drawn())
    runs.loc[0, "status"] = "diverged"
    runs.loc[7, "score"] = math.nan
    found = certainty(runs, "score", "max", HOLDOUT)
    assert found.table["regret_high"].isna().tolist() == [True, True, False, False]
    assert found.table["expected"].isna().tolist() == [True, True, False, False]
    assert found.table["tied_with_best"].iloc[:2].tolist() == [False, False]
    assert found.notes[0].startswith("2 of 4 configurations have a training that diverged")
    without = certainty(runs_of(drawn()[2:]), "score", "max", HOLDOUT)
    pd.testing.assert_frame_equal(found.table[2:].reset_index(drop=True), without.table)


@pytest.mark.parametrize(
    ("scores", "status", "note"),
    [
        (drawn(repetitions=1), "ok", "One repetition cannot separate luck from merit"),
        (drawn(points=1), "ok", "only one configuration"),
        (drawn(), "diverged", "4 of 4 configurations"),
    ],
)
def test_what_cannot_be_said_is_a_sentence(scores, status, note):
    found = certainty(runs_of(scores, status), "score", "max", HOLDOUT)
    assert note in " ".join(found.notes)
    assert found.table["regret_high"].isna().all()
    assert found.table["regret_high_new_rows"].isna().all()
    if status == "ok":
        assert found.table["tied_with_best"].all()
        assert found.table["expected"].to_numpy() == pytest.approx(scores.mean(axis=(1, 2)))


def test_no_number_of_repetitions_makes_new_rows_certain():
    def regret(repetitions):
        scores = np.random.default_rng(0).normal(size=(3, repetitions)) - [[0], [1], [1]]
        return certainty(runs_of(scores), "score", "max", HOLDOUT).table.iloc[1]

    few, many = regret(10), regret(4000)
    assert many["regret_high"] == pytest.approx(1, abs=0.15)
    # About 1 + 2 * sqrt(2) * sqrt(20 / 80).
    assert 2 < many["regret_high_new_rows"] < few["regret_high_new_rows"]


def test_one_repetition_of_folds_says_something_about_new_rows():
    found = certainty(runs_of(drawn(repetitions=1, folds=5)), "score", "max", FOLDS)
    assert found.table["regret_high"].isna().all()
    assert found.table["regret_high_new_rows"].notna().all()


@pytest.mark.parametrize(
    ("scoring", "note"),
    [
        (None, "split.json"),
        (Scoring(80, 20, 1, redrawn=False, ordered=False), "validate on the same rows"),
        (Scoring(80, 20, 1, redrawn=False, ordered=True), "an order in time"),
    ],
)
def test_where_rows_are_not_drawn_anew_nothing_is_said_of_new_ones(scoring, note):
    found = certainty(runs_of(drawn()), "score", "max", scoring)
    assert found.table["regret_high_new_rows"].isna().all()
    assert found.table["regret_high"].notna().all()
    assert note in found.notes[0]


def test_folds_that_stay_the_same_are_no_further_draws_of_rows():
    scores = drawn(repetitions=6, folds=5)
    fixed = Scoring(80, 20, 5, redrawn=False, ordered=False)
    repeated = certainty(runs_of(scores), "score", "max", fixed).table
    averaged = certainty(runs_of(scores.mean(axis=1, keepdims=True)), "score", "max", fixed).table
    assert repeated["regret_high_new_rows"].to_numpy() == pytest.approx(
        averaged["regret_high_new_rows"].to_numpy(), rel=0.2
    )


def test_shares_of_the_validation_rows_are_recognized_by_their_values():
    assert score_step(runs_of(drawn().astype(np.float32)), "score", HOLDOUT) == 1 / 20
    assert score_step(runs_of(drawn(folds=5)), "score", FOLDS) == 1 / 100
    assert score_step(runs_of(drawn() + 0.01), "score", HOLDOUT) is None
    assert score_step(runs_of(drawn()), "score", None) is None
    folds_of_21_rows = runs_of(np.array([[[1 / 20, 20 / 21]]]))
    assert score_step(folds_of_21_rows, "score", Scoring(81, 20, 5, True, False)) == 1 / 101


def test_close_enough_is_half_a_row_or_a_tenth_of_the_deviation_between_points():
    assert default_close_enough(runs_of(drawn()), "score", "max", HOLDOUT) == 1 / 40
    means = np.random.default_rng(0).normal(0, 3, (4000, 1))
    means[:40] -= 1e6
    close = default_close_enough(runs_of(means), "score", "max", HOLDOUT)
    assert close == pytest.approx(0.3, rel=0.05)
    assert default_close_enough(runs_of(drawn(points=1)), "score", "max", HOLDOUT) is None


def test_the_columns_stand_before_the_rank():
    summary = pd.DataFrame({"point": ["units=0", "units=1"], "rank": [1, 2], "partial": "2 of 4"})
    table = with_certainty(summary, certainty(runs_of(drawn(2)), "score", "max", HOLDOUT))
    assert list(table)[1:] == [
        "expected",
        "tied_with_best",
        "regret_high",
        "regret_high_new_rows",
        "rank",
        "partial",
    ]


@pytest.mark.parametrize(
    ("validation", "ordered", "rows"),
    [
        ({"method": "holdout", "fraction": 0.2}, False, (364, 91, 1)),
        ({"method": "holdout", "fraction": 0.3}, False, (318, 137, 1)),
        ({"method": "holdout", "fraction": 0.3}, True, (319, 136, 1)),
        ({"method": "kfold", "folds": 4}, False, (342, 113, 4)),
    ],
)
def test_rows_are_counted_as_partitions_cut_them(tmp_path, validation, ordered, rows):
    path = tmp_path / "split.json"
    assert Scoring.read(path, validation, redrawn=True) is None
    SplitDescription(rows={"train": 455, "test": 114}, ordered=ordered).write(path)
    found = Scoring.read(path, validation, redrawn=True)
    assert (found.fitted, found.validated, found.folds) == rows


def test_large_scores_are_no_shares_of_rows():
    scores = np.random.default_rng(0).normal(6000, 500, size=(4, 5))
    assert score_step(runs_of(scores), "score", Scoring(220, 220, 1, True, False)) is None
