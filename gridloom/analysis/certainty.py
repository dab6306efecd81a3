"""How sure the table of points is: what to expect of each, which may be the best, and regret."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import pandas as pd

from gridloom.analysis.expected import expected_scores
from gridloom.analysis.observations import Observations, observe
from gridloom.analysis.table import RESOLUTION
from gridloom.analysis.ties import compare_with_best
from gridloom.data.scoring import Scoring

#: With more rows than this, any score times the rows looks whole in numbers of 32 bits.
_MOST_ROWS = 100_000

#: Distance between the quartiles of a normal distribution, in standard deviations.
_NORMAL_QUARTILES = 1.349


@dataclass(frozen=True, eq=False)
class Certainty:
    """How sure the scores of the points are.

    Attributes
    ----------
    table
        One row a point, in the order of the grid. In units of the objective: `expected` (see
        `expected_scores`), `regret_high` (see `compare_with_best`; over more seeds on these rows),
        `regret_high_new_rows` (over new rows too), NaN where nothing can be said;
        `tied_with_best`, bool.
    notes
        A sentence for each thing that cannot be said.
    """

    table: pd.DataFrame
    notes: list[str]


def certainty(runs: pd.DataFrame, metric: str, mode: str, scoring: Scoring | None) -> Certainty:
    """Estimate how sure the comparison of the points is.

    Points with a training that diverged, or has no number, are not compared.

    Parameters
    ----------
    runs
        As `gridloom.analysis.table.gather` makes it, or as read from ``runs.csv``.
    metric, mode
        The objective; ``min`` or ``max``.
    scoring
        The rows that trainings fit on and are scored on; None if they are no longer known.
    """
    observations = observe(runs, {}, metric, mode)
    complete = observations.complete
    scores = observations.scores[complete]
    points, repetitions = scores.shape
    table = pd.DataFrame(
        {
            "expected": np.nan,
            "tied_with_best": complete,
            "regret_high": np.nan,
            "regret_high_new_rows": np.nan,
        },
        index=observations.points.index,
    )
    notes = []
    if points < len(complete):
        notes.append(
            f"{len(complete) - points:,} of {len(complete):,} configurations have a training that "
            "diverged, has no number or is missing: they are not compared with the best."
        )
    if points == 0:
        return Certainty(table, notes)
    if points == 1 or repetitions == 1:
        table.loc[complete, "expected"] = observations.sign * scores.mean(axis=1)
    if points == 1:
        notes.append("There is only one configuration to compare: it has no regret.")
        return Certainty(table, notes)
    step = score_step(runs, metric, scoring)
    if repetitions == 1:
        notes.append(
            "One repetition cannot separate luck from merit: every configuration counts as tied "
            "with the best, and regret_high is empty. Set `repetitions` to 2 or more."
        )
    else:
        compared = compare_with_best(
            scores, None, least_variance(step, repetitions), _perfect(scores, mode)
        )
        table.loc[complete, "expected"] = observations.sign * expected_scores(scores)
        table.loc[complete, "tied_with_best"] = compared.tied
        table.loc[complete, "regret_high"] = compared.regret_high
    drawn = drawn_rows(runs, metric, mode, scoring)
    if isinstance(drawn, str):
        notes.append(f"regret_high_new_rows is empty: {drawn}")
    else:
        assert scoring is not None
        blocks = drawn.scores.shape[1]
        step = None if step is None else 1 / scoring.validated
        table.loc[complete, "regret_high_new_rows"] = compare_with_best(
            drawn.scores[complete],
            1 / blocks + scoring.validated / scoring.fitted,
            least_variance(step, blocks),
            _perfect(drawn.scores[complete], mode),
        ).regret_high
    return Certainty(table, notes)


def with_certainty(summary: pd.DataFrame, found: Certainty) -> pd.DataFrame:
    """Return the table of points with the columns of `Certainty.table` before `rank`."""
    place = summary.columns.get_loc("rank")
    return pd.concat([summary.iloc[:, :place], found.table, summary.iloc[:, place:]], axis=1)


def drawn_rows(
    runs: pd.DataFrame, metric: str, mode: str, scoring: Scoring | None
) -> Observations | str:
    """Return the scores on each draw of validation rows, or why they show nothing about new rows.

    A block is a draw: one fold of one repetition. If all repetitions validate on the same rows, it
    is one fold, and a score is the mean over the repetitions.
    """
    if scoring is None:
        return "the description of the rows (split.json) is gone."
    if scoring.ordered:
        return "rows have an order in time, and later ones may differ from all these."
    first = runs["repetition"] * scoring.folds if scoring.redrawn else 0
    drawn = observe(runs.assign(repetition=first + runs["fold"]), {}, metric, mode)
    if drawn.scores.shape[1] > 1:
        return drawn
    if scoring.redrawn:
        return "there is only one draw of validation rows; set `repetitions` to 2 or more."
    return "all repetitions validate on the same rows; add validation to `vary`, or use kfold."


def _perfect(scores: np.ndarray, mode: str) -> float | None:
    """Return the score that none can pass; None if there is no such limit.

    ASSUME: it is 0 where less is better and no score is below, as with losses and errors; 1 where
    more is better and no score is above, as with accuracies, AUC and R².

    Parameters
    ----------
    scores
        Oriented so that more is better.
    """
    limit = 0.0 if mode == "min" else 1.0
    return limit if scores.max() <= limit else None


def least_variance(step: float | None, blocks: int) -> float:
    """Return the least variance above 0 that `blocks` scores show which are multiples of a step."""
    return 0.0 if step is None else step**2 / blocks


def score_step(runs: pd.DataFrame, metric: str, scoring: Scoring | None) -> float | None:
    """Return what one validation row more or less changes in a repetition's score.

    Parameters
    ----------
    runs, metric, scoring
        As `certainty` takes them.

    Returns
    -------
    float or None
        None if the scores are no shares of the validation rows (as accuracies are).
    """
    scores = runs.loc[runs["status"] == "ok", metric].dropna().to_numpy(float)
    if scoring is None or scoring.validated > _MOST_ROWS or not len(scores):
        return None
    if scores.min() < 0 or scores.max() > 1:
        return None
    # Folds differ by one row at most.
    sizes = np.arange(scoring.validated, scoring.validated + (2 if scoring.folds > 1 else 1))
    counts = np.multiply.outer(sizes, scores)
    whole = np.abs(counts - counts.round()) <= RESOLUTION * np.maximum(1, np.abs(counts))
    return 1 / scoring.scored if whole.any(axis=0).all() else None


def default_close_enough(
    runs: pd.DataFrame, metric: str, mode: str, scoring: Scoring | None
) -> float | None:
    """Return the difference of scores that is not worth a thought.

    Half of what one validation row changes; where scores are no shares of rows, a tenth of the
    standard deviation between the points' means, as a normal distribution with their quartiles
    has it: a few points that fail do not widen it.

    Parameters
    ----------
    runs, metric, mode, scoring
        As `certainty` takes them.

    Returns
    -------
    float or None
        None if there are no two points to compare.
    """
    observations = observe(runs, {}, metric, mode)
    means = observations.scores[observations.complete].mean(axis=1)
    if len(means) < 2:
        return None
    step = score_step(runs, metric, scoring)
    if step is not None:
        return step / 2
    low, high = np.quantile(means, [0.25, 0.75])
    return float((high - low) / _NORMAL_QUARTILES / 10)
