"""Promises of the equivalence test."""

from __future__ import annotations

import numpy as np
import pytest
from scipy.stats import ttest_1samp

from gridloom.analysis.equivalence import LEVEL, equivalence


def test_it_is_two_one_sided_t_tests():
    differences = np.random.default_rng(0).normal(0.2, 1, 12)
    found = equivalence(differences, margin=0.9)
    above = ttest_1samp(differences, -0.9, alternative="greater").pvalue
    below = ttest_1samp(differences, 0.9, alternative="less").pvalue
    assert found.p == pytest.approx(max(above, below))
    interval = ttest_1samp(differences, 0).confidence_interval(1 - 2 * LEVEL)
    assert (found.low, found.high) == pytest.approx((interval.low, interval.high))


@pytest.mark.parametrize("mean", [1.0, -1.0])
def test_differences_at_the_margin_are_called_equivalent_in_one_case_of_twenty(mean):
    draws = np.random.default_rng(1).normal(mean, 0.5, (4000, 6))
    shown = np.mean([equivalence(row, margin=1.0).shown for row in draws])
    assert shown == pytest.approx(LEVEL, abs=0.01)


def test_a_difference_that_is_not_significant_shows_no_equivalence():
    differences = np.array([-3.0, 2.0, 4.0, -2.0])
    assert ttest_1samp(differences, 0).pvalue > 0.5
    assert not equivalence(differences, margin=1.0).shown


@pytest.mark.parametrize(("difference", "shown"), [(0.0, True), (0.4, True), (-0.5, False)])
def test_equal_differences_are_judged_without_a_test(difference, shown):
    assert equivalence(np.full(3, difference), margin=0.5).shown is shown
