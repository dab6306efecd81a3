"""Promises of points: people read one form of their name."""

from __future__ import annotations

from gridloom.naming.points import describe_point


def test_a_point_is_described_by_the_hyperparameters_that_are_asked_for():
    point = {"units": (64, 32), "name": "", "patience": None, "rate": 0.1}
    assert describe_point(point) == "units=[64, 32], name='', patience=null, rate=0.1"
    assert describe_point(point, ["rate", "depth", "units"]) == "rate=0.1, units=[64, 32]"
