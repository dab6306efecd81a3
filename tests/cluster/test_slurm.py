"""Promises of profiles/slurm, kept by a real SLURM."""

from __future__ import annotations

import pytest

pytestmark = pytest.mark.xdist_group("cluster")


def test_a_study_gives_on_the_cluster_the_numbers_that_it_gives_here(study, finished):
    study.start()
    ran = study.finish()
    assert ran["train"] == 4
    assert study.runs().equals(finished.runs())
