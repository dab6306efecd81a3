"""Promises of cv_results: what scikit-learn's own table would hold."""

from __future__ import annotations

import ast

import numpy as np
import pandas as pd
import pytest
from sklearn.base import BaseEstimator
from sklearn.model_selection import GridSearchCV

from gridloom.analysis.cells import read_csv, write_csv
from gridloom.analysis.cv_results import cv_results
from gridloom.naming.points import point_path, read_path
from gridloom.naming.values import canonical
from tests.processor_time import in_turns

#: A name that only some points have, a list, a text, whole numbers beside others.
GRID = [
    {"rate": [0, 0.5], "layers": [[4], [4, 2]], "kind": ["a"], "units": [1, 2]},
    {"rate": [1], "layers": [[4]], "kind": ["b"]},
]

SPLITS = 4  # two repetitions of two folds


class Scored(BaseEstimator):
    """An estimator whose score follows from its settings and the split."""

    def __init__(self, rate=0, layers=None, kind="", units=0):
        self.rate, self.layers, self.kind, self.units = rate, layers, kind, units

    def fit(self, x):
        return self

    def score(self, x):
        if self.rate == 0.5 and self.layers == [4] and self.units == 1:
            return np.nan
        # Two points have the same mean, and each split another score.
        return -float(self.rate + len(self.layers) + (self.kind == "b") + x[0] ** 2 / 7)


def results_of(runs: pd.DataFrame, metric: str, mode: str) -> pd.DataFrame:
    return cv_results(runs, {path: read_path(path) for path in set(runs["point"])}, metric, mode)


@pytest.fixture(scope="module")
def search():
    places = np.arange(SPLITS)
    parts = [(places, [place]) for place in places]
    with pytest.warns(UserWarning, match="non-finite"):
        return GridSearchCV(Scored(), GRID, cv=parts, refit=False).fit(places)


@pytest.fixture(scope="module")
def runs(search):
    """Return the table of trainings of a study that trained what scikit-learn's search did."""
    theirs = search.cv_results_
    return pd.DataFrame(
        {
            "point": point_path({name: canonical(value) for name, value in params.items()}),
            "repetition": split // 2,
            "fold": split % 2,
            # A diverged training may have a finite number, which does not count.
            "status": "diverged"
            if np.isnan(score := theirs[f"split{split}_test_score"][row])
            else "ok",
            "val_loss": 1e9 if np.isnan(score) else -score,
            "seconds": 1.0 + split,
        }
        for row, params in enumerate(theirs["params"])
        for split in range(SPLITS)
    )


def test_names_types_and_values_are_those_of_scikit_learn(search, runs):
    theirs = pd.DataFrame(search.cv_results_)
    ours = results_of(runs, "val_loss", "min")
    assert [ast.literal_eval(text) for text in ours["params"]] == list(search.cv_results_["params"])
    lacking = set(theirs) - set(ours)
    assert lacking == {"mean_score_time", "std_score_time"}
    measured = ["params", "mean_fit_time", "std_fit_time"]
    pd.testing.assert_frame_equal(
        ours.drop(columns=measured),
        theirs.drop(columns=[*measured, *lacking]),
        check_like=True,
    )
    assert ours["mean_fit_time"].eq(2.5).all()
    assert ours["std_fit_time"].to_numpy() == pytest.approx(np.sqrt(1.25))


def test_the_file_is_read_back_as_it_was_made(tmp_path, runs):
    ours = results_of(runs, "val_loss", "min")
    write_csv(ours, tmp_path / "cv_results.csv")
    read = read_csv(tmp_path / "cv_results.csv", {})
    assert read["params"].tolist() == ours["params"].tolist()
    scores = ours.filter(like="_test_score")
    np.testing.assert_array_equal(read[scores.columns], scores)


def test_more_is_better_where_the_study_says_so(runs):
    ours = results_of(runs, "val_loss", "max")
    largest = runs[runs["status"] == "ok"].groupby("point")["val_loss"].mean().max()
    assert ours["mean_test_score"].max() == largest
    assert ours["rank_test_score"][ours["mean_test_score"].idxmax()] == 1


def test_a_study_whose_trainings_all_diverged_has_a_table_too(runs):
    ours = results_of(runs.assign(status="diverged"), "val_loss", "min")
    assert ours["mean_test_score"].isna().all()
    assert ours["rank_test_score"].eq(1).all()


def test_a_training_that_is_not_there_is_a_score_that_is_no_number(runs):
    ours = results_of(runs.iloc[:-1], "val_loss", "min")
    last = ours.iloc[-1]
    assert np.isnan(last["split3_test_score"])
    assert np.isnan(last["mean_test_score"])
    assert last["mean_fit_time"] == 2.0


def test_the_time_grows_in_line_with_the_points():
    points = [
        point_path({"rate": rate, "units": units}) for rate in range(100) for units in range(100)
    ]
    runs = pd.DataFrame(
        {
            "point": np.repeat(points, 5),
            "repetition": np.tile(np.arange(5), len(points)),
            "fold": 0,
            "status": "ok",
            "val_loss": np.random.default_rng(0).random(5 * len(points)),
            "seconds": 1.0,
        }
    )
    few, many = in_turns(
        lambda: results_of(runs[: len(runs) // 4], "val_loss", "min"),
        lambda: results_of(runs, "val_loss", "min"),
    )
    assert many < 8 * few  # 4 in line, 16 if each meets each other
