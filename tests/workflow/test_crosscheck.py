"""Promises of `snakemake crosscheck`, by the real command."""

from __future__ import annotations

import pandas as pd


def test_a_finished_study_agrees_with_grid_search_cv(copied):
    few = ("--config", 'crosscheck={"points": 2, "repetitions": 1}')
    assert copied.succeed("crosscheck", *few) == {"crosscheck": 1}
    compared = pd.read_csv(copied.results / "crosscheck.csv")
    assert len(compared) == 2
    assert compared["difference"].abs().max() < 1e-5
    report = (copied.results / "crosscheck.md").read_text()
    assert "2 of 4 configurations, 1 repetition each" in report
    assert "**Both ways agree.**" in report
    assert copied.succeed("crosscheck", *few) == {}
