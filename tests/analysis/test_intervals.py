"""Promises of means and their intervals: those of Student, and none without a spread."""

from __future__ import annotations

import math

import numpy as np
import pytest
from scipy import stats

from gridloom.analysis.intervals import mean_of


def test_the_interval_is_that_of_the_t_test():
    values = np.random.default_rng(0).normal(size=7)
    found = mean_of(values, level=0.9)
    expected = stats.ttest_1samp(values, 0).confidence_interval(0.9)
    assert (found.low, found.high) == pytest.approx((expected.low, expected.high))
    assert found.se == pytest.approx(stats.sem(values))


def test_one_value_has_no_interval_and_none_has_no_mean():
    one = mean_of(np.array([2.0]))
    assert (one.n, one.mean) == (1, 2.0)
    assert math.isnan(one.se) and math.isnan(one.low)
    assert math.isnan(mean_of(np.empty(0)).mean)
