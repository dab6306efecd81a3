"""Baselines beside the pick: whether a network beats the simplest models."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pandas as pd

from gridloom.analysis.cells import read_csv
from gridloom.analysis.intervals import mean_of


@dataclass(frozen=True)
class BaselineSummary:
    """A baseline over its repetitions, and what the pick gains over it.

    Attributes
    ----------
    baseline
        Its name in the study.
    n
        Repetitions that have a score.
    mean, sd, se
        Mean, standard deviation (``ddof=1``) and standard error of the objective over these; NaN
        where there are too few.
    gain, gain_low, gain_high
        How much better the pick is (above 0: the pick is better, whether more or less of the
        objective is), the mean of the differences within the repetitions that both have, and its
        95 % interval by Student's t. About more seeds and draws of validation rows out of *these*
        rows, not about new rows. NaN where there are fewer than two such repetitions.
    note
        What is to be known of it, such as why there is no score; may be empty.
    """

    baseline: str
    n: int
    mean: float
    sd: float
    se: float
    gain: float
    gain_low: float
    gain_high: float
    note: str


def summarize_baselines(
    table: pd.DataFrame, metric: str, mode: str, pick: Mapping[int, float]
) -> list[BaselineSummary]:
    """Summarize each baseline and compare the pick with it.

    Parameters
    ----------
    table
        As `gridloom.baselines.measure.measure_baselines` makes it, or as read from
        ``baselines.csv``.
    metric, mode
        The objective; ``min`` or ``max``.
    pick
        Repetition → the objective of the pick; NaN where it diverged. If these are reserved
        repetitions, `gain` is unbiased; if they chose the pick, it flatters the pick.
    """
    sign = -1 if mode == "min" else 1
    return [
        _summary(str(name), rows, metric, sign, pick)
        for name, rows in table.groupby("baseline", sort=False)
    ]


def read_baselines(
    files: Iterable[Path], metric: str, mode: str, pick: Mapping[int, float]
) -> list[BaselineSummary]:
    """Summarize the baselines in ``baselines.csv``; `files` is empty if the study has none."""
    return [
        summary
        for file in files
        for summary in summarize_baselines(read_csv(file, {}), metric, mode, pick)
    ]


def describe_baselines(
    summaries: Sequence[BaselineSummary], mode: str, *, reserved: bool
) -> str | None:
    """Return a sentence or two about the baselines; None if there are none.

    Parameters
    ----------
    mode
        ``min`` or ``max``.
    reserved
        Whether the pick is compared on reserved repetitions, not on those that chose it.
    """
    measured = [summary for summary in summaries if summary.n]
    if not measured:
        return f"Simple models: {summaries[0].note}." if summaries else None
    best = (min if mode == "min" else max)(measured, key=lambda summary: summary.mean)
    means = ", ".join(f"{summary.baseline} {summary.mean:.4g}" for summary in measured)
    models = f"Simple models on the same rows have these means: {means}."
    if np.isnan(best.gain_low):
        return f"{models} It takes two repetitions of the pick and of a model to compare them."
    shown = "is better" if best.gain_low > 0 else "is not shown to be better"
    return (
        f"{models} The pick {shown} than the best of them, {best.baseline}: it gains "
        f"{best.gain:.3g} ({best.gain_low:.3g} to {best.gain_high:.3g}, 95 %, over more seeds on "
        "these rows). "
        + (
            "The repetitions compared chose nothing."
            if reserved
            else "The repetitions that chose the pick flatter it."
        )
    )


def _summary(
    name: str, rows: pd.DataFrame, metric: str, sign: int, pick: Mapping[int, float]
) -> BaselineSummary:
    scored = rows.dropna(subset=[metric])
    scores = scored[metric].to_numpy(float)
    own = mean_of(scores)
    picked = np.array([pick.get(int(one), np.nan) for one in scored["repetition"]], float)
    differences = sign * (picked - scores)
    gain = mean_of(differences[np.isfinite(differences)])
    notes = [note for note in rows["note"].dropna().unique() if note]
    return BaselineSummary(
        baseline=name,
        n=own.n,
        mean=own.mean,
        sd=own.sd,
        se=own.se,
        gain=gain.mean,
        gain_low=gain.low,
        gain_high=gain.high,
        note="; ".join(notes),
    )
