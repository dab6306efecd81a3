"""Promises of the style: plain names, and long ones that can still be told apart."""

from __future__ import annotations

import pytest

from gridloom.figures.style import readable, readable_axis, short_names


@pytest.mark.parametrize(
    ("metric", "name"),
    [
        ("val_categorical_accuracy", "validation accuracy"),
        ("loss", "training loss"),
        ("val_mae", "validation mean absolute error"),
        ("val_my_own_score", "validation my own score"),
        ("seconds", "seconds a training"),
        ("val_loss_sd", "sd of cross-entropy over repetitions"),
        ("val_loss", "cross-entropy"),
    ],
)
def test_metrics_have_plain_names_or_those_of_the_study(metric, name):
    assert readable(metric, {"val_loss": "cross-entropy"}) == name


def test_hyperparameters_have_plain_names_or_those_of_the_study():
    assert readable_axis("learning_rate", {}) == "learning rate"
    assert readable_axis("learning_rate", {"learning_rate": "step size"}) == "step size"


def test_long_names_are_cut_only_where_they_stay_different():
    same_ends = [f"a network of the size {n} and so on" for n in (1, 2)]
    assert short_names(same_ends) == same_ends
    assert short_names(["x" * 30 + "1", "2"]) == ["x" * 10 + "…" + "x" * 9 + "1", "2"]
