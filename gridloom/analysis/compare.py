"""Two set-ups of one study compared: did the change between them help, where, how sure is that."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pandas as pd
from scipy.special import stdtrit

from gridloom.analysis.adjusted import adjusted_means_of_each
from gridloom.analysis.certainty import certainty, drawn_rows, least_variance, score_step
from gridloom.analysis.intervals import CONFIDENCE, half_width
from gridloom.analysis.moderation import fit_prior
from gridloom.analysis.observations import Observations, observe
from gridloom.analysis.table import Gathered, gather
from gridloom.data.scoring import Scoring
from gridloom.errors import StudyError
from gridloom.training.objective import ObjectiveError

#: Scores of the same bits but for rounding differ by less, relatively.
_ROUNDING = 1e-5

_VALUE_COLUMNS = (
    "axis",
    "value",
    "configurations",
    "gain",
    "gain_low",
    "gain_high",
    "beyond",
    "beyond_low",
    "beyond_high",
)

#: The one value of an axis that no grid has; means over it are means over all.
_NO_AXIS = ""


@dataclass(frozen=True, eq=False)
class Pairs:
    """The scores of the configurations and repetitions that both set-ups have.

    Attributes
    ----------
    before, now
        Observations with the same points and repetitions, N and r of them. Before stands for the
        other set-up, now for today's.
    lost_before, lost_now
        Trainings of each point and repetition that diverged or have no number, int64, shape (N, r).
    trainings_before, trainings_now
        Trainings of each set-up: of other numbers if the folds changed.
    """

    before: Observations
    now: Observations
    lost_before: np.ndarray
    lost_now: np.ndarray
    trainings_before: int
    trainings_now: int

    @property
    def gains(self) -> np.ndarray:
        """How much better each score is now, shape (N, r); NaN where one of the two is not."""
        difference: np.ndarray = self.now.scores - self.before.scores
        return difference

    @property
    def complete(self) -> np.ndarray:
        """Which points have a score in every repetition of both; bool, shape (N,)."""
        whole: np.ndarray = self.before.complete & self.now.complete
        return whole


def gather_both(
    before: Sequence[Path],
    now: Sequence[Path],
    hyperparameters: Sequence[str],
    repetitions: int,
    metric: str,
    mode: str,
    diverged_above: float | None,
) -> tuple[Gathered, Gathered]:
    """Read the records of two set-ups; one bound says which trainings of both diverged.

    Parameters
    ----------
    before, now, hyperparameters, repetitions, metric, mode, diverged_above
        As for `gridloom.analysis.table.gather`.

    Raises
    ------
    GridloomError
        If records are damaged, or trainings of the other set-up did not measure the objective.
    """
    asked = (hyperparameters, repetitions, metric, mode)
    today = gather(now, *asked, diverged_above=diverged_above)
    try:
        return gather(before, *asked, diverged_above=today.bound), today
    except ObjectiveError as error:
        raise StudyError(
            f"compare: trainings of the other set-up did not measure the objective ({error}). Set "
            "`objective.metric` to one that both measured; this trains nothing"
        ) from None


def pair(
    before: pd.DataFrame,
    now: pd.DataFrame,
    axes: Mapping[str, Sequence[str]],
    metric: str,
    mode: str,
) -> Pairs:
    """Pair the trainings of two set-ups by configuration and repetition.

    Repetitions are compared over the same configurations. So where some configurations have fewer
    repetitions than others, the repetitions that fewest have are left out, then configurations
    without one of the others: as many as leave most pairs.

    Parameters
    ----------
    before, now
        Their trainings, as `gridloom.analysis.table.gather` makes the table.
    axes
        Axis → its values as texts.
    metric, mode
        The objective; ``min`` or ``max``.

    Raises
    ------
    StudyError
        If they have no configuration and repetition in common.
    """
    keys = ["point", "repetition"]
    both = now[keys].drop_duplicates().merge(before[keys].drop_duplicates())
    if both.empty:
        raise StudyError(
            "compare: the two set-ups have no repetition of a configuration in common; run "
            "`snakemake`, which trains those of today's that are missing"
        )
    # Which configurations (rows, in the order of the grid) have which repetitions.
    there = pd.crosstab(both["point"], both["repetition"]).reindex(both["point"].unique()) > 0
    counts = there.sum()
    # So few different counts that all are tried; of equal numbers of pairs, more repetitions.
    choices = [there.loc[:, counts >= count] for count in sorted(counts.unique())]
    kept = max(choices, key=lambda part: int(part.all(axis=1).sum()) * part.shape[1])
    points, repetitions = kept.index[kept.all(axis=1)].tolist(), kept.columns.tolist()
    before, now = (_only(runs, points, repetitions) for runs in (before, now))
    return Pairs(
        before=observe(before, axes, metric, mode),
        now=observe(now, axes, metric, mode),
        lost_before=_lost(before, points, repetitions, metric),
        lost_now=_lost(now, points, repetitions, metric),
        trainings_before=len(before),
        trainings_now=len(now),
    )


def _only(runs: pd.DataFrame, points: Sequence[str], repetitions: Sequence[int]) -> pd.DataFrame:
    """Return the trainings of some points and repetitions, in their order."""
    order = {point: place for place, point in enumerate(points)}
    kept = runs[runs["point"].isin(order) & runs["repetition"].isin(repetitions)]
    return kept.sort_values("point", key=lambda column: column.map(order), kind="stable")


def _lost(
    runs: pd.DataFrame, points: Sequence[str], repetitions: Sequence[int], metric: str
) -> np.ndarray:
    lost = (runs["status"] != "ok") | runs[metric].isna()
    counts = lost.groupby([runs["point"], runs["repetition"]], sort=False).sum().unstack()
    table: np.ndarray = counts.loc[list(points), list(repetitions)].to_numpy(int)
    return table


@dataclass(frozen=True)
class Gain:
    """A mean difference between two set-ups, above 0 if it is better now.

    Attributes
    ----------
    gain
        In units of the objective, whether more or less of it is better.
    se
        Standard error; NaN if it is unknown, as `low` and `high`.
    low, high
        Ends of its interval.
    """

    gain: float
    se: float
    low: float
    high: float

    @property
    def sign(self) -> int:
        """1 if it is surely better now, -1 if it is surely worse, else 0."""
        return int(self.low > 0) - int(self.high < 0)

    def within(self, margin: float) -> bool:
        """Return whether the interval lies between -margin and margin."""
        return -margin <= self.low and self.high <= margin


def gain_of(
    differences: np.ndarray,
    level: float = CONFIDENCE,
    *,
    noise: float | None = None,
    least: float = 0.0,
) -> Gain:
    """Estimate a mean difference by Student's t.

    Parameters
    ----------
    differences
        One for each block, independent of each other, shape (r,).
    level
        Confidence of the interval.
    noise
        Variance of the mean, in units of the variance of one difference; None for 1 / r.
    least
        The smallest variance above 0 that scores of a finite number of rows can show.
    """
    blocks = len(differences)
    mean = float(differences.mean())
    if blocks < 2:
        return Gain(mean, *[math.nan] * 3)
    variance = max(float(differences.var(ddof=1)), least)
    se = math.sqrt(variance * (1 / blocks if noise is None else noise))
    half = float(half_width(se, blocks, level))
    return Gain(mean, se, mean - half, mean + half)


def mean_gain(gains: np.ndarray, step: float | None = None, level: float = CONFIDENCE) -> Gain:
    """Estimate the mean gain over configurations; repetitions are blocks that they share.

    Parameters
    ----------
    gains
        float64, finite, shape (N, r).
    step
        As `gridloom.analysis.certainty.score_step` returns it.
    level
        Confidence of the interval.
    """
    points, repetitions = gains.shape
    least = least_variance(step and step / points, repetitions)
    return gain_of(gains.mean(axis=0), level, least=least)


def gains_by_point(gains: np.ndarray, step: float | None = None) -> pd.DataFrame:
    """Estimate the gain of each configuration, with intervals that all hold together.

    A gain is the mean gain of all configurations plus its distance from it. Half the width of the
    interval is the sum of those of the two, which hold together with a probability of 95 %
    (Bonferroni). That of the mean is by Student's t: its luck is shared, and more configurations
    show no more of it. Those of the distances are simultaneous by Šidák's inequality (1967); their
    variances are moderated (see `fit_prior`) but never reduced, as in
    `gridloom.analysis.ties.compare_with_best`.

    Parameters
    ----------
    gains
        float64, shape (N, r); NaN where a training is lost.
    step
        As `gridloom.analysis.certainty.score_step` returns it.

    Returns
    -------
    DataFrame
        One row a configuration: `pairs` (repetitions with a gain), `gain` (their mean), `gain_se`
        (its standard error), `gain_low`, `gain_high`. The interval is NaN where a repetition has no
        gain: the others may be lucky ones.
    """
    points, repetitions = gains.shape
    there = np.isfinite(gains)
    pairs, nan = there.sum(axis=1), np.full(points, np.nan)
    known = np.where(there, gains, 0)
    means = np.divide(known.sum(axis=1), pairs, out=nan.copy(), where=pairs > 0)
    squares = np.where(there, known - means[:, None], 0) ** 2
    variances = np.divide(squares.sum(axis=1), pairs - 1, out=nan.copy(), where=pairs > 1)
    half, whole = nan.copy(), pairs == repetitions
    if repetitions > 1 and whole.any():
        half[whole] = _half_widths(gains[whole], step)
    return pd.DataFrame(
        {
            "pairs": pairs,
            "gain": means,
            "gain_se": np.sqrt(variances / np.maximum(pairs, 1)),
            "gain_low": means - half,
            "gain_high": means + half,
        }
    )


def _half_widths(gains: np.ndarray, step: float | None) -> np.ndarray:
    """Return half the width of each configuration's interval, shape (N,)."""
    points, repetitions = gains.shape
    df, level = repetitions - 1, (1 + CONFIDENCE) / 2
    mean = mean_gain(gains, step, level)
    distances = gains - gains.mean(axis=0)
    variances = np.maximum(distances.var(axis=1, ddof=1), least_variance(step, repetitions))
    prior = fit_prior(variances, df)
    variances = np.maximum(variances, prior.moderate(variances, df))
    # All variances together have no more degrees of freedom than the distances.
    df_total = max(df, min(df + prior.df, (points - 1) * df))
    critical = stdtrit(df_total, (1 + level ** (1 / points)) / 2)
    return np.asarray(mean.high - mean.gain + critical * np.sqrt(variances / repetitions))


def gains_by_value(
    points: pd.DataFrame,
    gains: np.ndarray,
    axes: Mapping[str, Sequence[str]],
    step: float | None = None,
) -> pd.DataFrame:
    """Estimate the gain with each value of each axis, and how it differs from the other values'.

    A value's gain is a mean over the other axes, adjusted for them as in heatmaps where the grid
    is incomplete (see `gridloom.analysis.adjusted`), taken in each repetition: repetitions are
    blocks. The intervals of each column hold together for all values, by Šidák's inequality.

    Parameters
    ----------
    points
        Its columns `axes` hold values as texts, N rows.
    gains
        float64, finite, shape (N, r).
    axes
        Axis → its values as texts.
    step
        As `gridloom.analysis.certainty.score_step` returns it.

    Returns
    -------
    DataFrame
        `axis`, `value`, `configurations` (of N); `gain`, `gain_low`, `gain_high`; `beyond`,
        `beyond_low`, `beyond_high`: by how much it is more than the mean gain of the axis' other
        values. NaN where a value cannot be compared. Axes with one value are left out.
    """
    rows: list[tuple[str, str, int, np.ndarray, np.ndarray]] = []
    for axis, known in axes.items():
        counts = points[axis].value_counts()
        values = [value for value in known if value in counts.index]
        if len(values) < 2:
            continue
        means = adjusted_means_of_each(
            points.assign(**{_NO_AXIS: _NO_AXIS}),
            gains,
            {**axes, axis: values, _NO_AXIS: [_NO_AXIS]},
            axis,
            _NO_AXIS,
        )[:, 0]
        comparable = np.isfinite(means).all(axis=1)
        for place, value in enumerate(values):
            others = comparable & (np.arange(len(values)) != place)
            beyond = means[place] - (means[others].mean(axis=0) if others.any() else math.nan)
            rows.append((axis, value, int(counts[value]), means[place], beyond))
    level = CONFIDENCE ** (1 / max(len(rows), 1))
    table = []
    for axis, value, count, own, beyond in rows:
        least = least_variance(step and step / count, len(own))
        gain, more = (gain_of(means, level, least=least) for means in (own, beyond))
        table.append(
            (axis, value, count, gain.gain, gain.low, gain.high, more.gain, more.low, more.high)
        )
    return pd.DataFrame(table, columns=_VALUE_COLUMNS)


@dataclass(frozen=True)
class Best:
    """The configuration with the best mean in one of the set-ups.

    Attributes
    ----------
    point
        Its path.
    before, now
        Its means in both, in units of the objective; NaN where trainings of it are lost.
    expected
        What to expect of it when it is trained again with the set-up in which it is the best.
    """

    point: str
    before: float
    now: float
    expected: float


@dataclass(frozen=True, eq=False)
class Compared:
    """Two set-ups of one study, compared.

    Attributes
    ----------
    pairs
        What is compared.
    by_point, by_value
        See `gains_by_point` and `gains_by_value`; the first has also the columns of the point, its
        means (`before`, `now`, over its pairs) and lost trainings (`lost_before`, `lost_now`).
    overall
        Mean gain over the complete configurations; None if there are none.
    new_rows
        The same over new training and validation rows, or why nothing is known of them.
    is_near
        Which of the complete configurations may be the best in either set-up.
    near
        Mean gain over these; None if they are all or none.
    lost
        By how much the share of lost trainings is less now; None if none is lost in either.
    best_before, best_now
        The best configurations; None if there are none.
    same
        Whether all scores of both are the same up to rounding.
    """

    pairs: Pairs
    by_point: pd.DataFrame
    by_value: pd.DataFrame
    overall: Gain | None
    new_rows: Gain | str
    is_near: np.ndarray
    near: Gain | None
    lost: Gain | None
    best_before: Best | None
    best_now: Best | None
    same: bool


def compare(
    before: pd.DataFrame,
    now: pd.DataFrame,
    axes: Mapping[str, Sequence[str]],
    metric: str,
    mode: str,
    scoring: Scoring | None,
    *,
    same_rows: bool,
) -> Compared:
    """Compare two set-ups of one study.

    Parameters
    ----------
    before, now, axes, metric, mode
        As for `pair`.
    scoring
        The rows that today's trainings fit on and are scored on; None if they are no longer known.
    same_rows
        Whether both set-ups are scored on the same rows.

    Raises
    ------
    StudyError
        See `pair`.
    """
    pairs = pair(before, now, axes, metric, mode)
    points, complete = pairs.now.points, pairs.complete
    count = int(complete.sum())
    numbers = pairs.now.repetitions.tolist()
    kept = [_only(runs, points["point"].tolist(), numbers) for runs in (before, now)]
    step = score_step(kept[1], metric, scoring)
    gains = pairs.gains[complete]
    known = [certainty(runs, metric, mode, scoring).table for runs in kept]
    near = (known[0]["tied_with_best"] | known[1]["tied_with_best"]).to_numpy()[complete]
    new_rows: Gain | str = "the two set-ups are not scored on the same rows."
    if same_rows and count:
        new_rows = _over_new_rows(kept, complete, metric, mode, scoring, step)
    return Compared(
        pairs=pairs,
        by_point=_by_point(pairs, step),
        by_value=gains_by_value(points[complete], gains, axes, step),
        overall=mean_gain(gains, step) if count else None,
        new_rows=new_rows,
        is_near=near,
        near=mean_gain(gains[near], step) if 0 < near.sum() < count else None,
        lost=_fewer_lost(pairs),
        best_before=_best(pairs, pairs.before, known[0]["expected"].to_numpy()),
        best_now=_best(pairs, pairs.now, known[1]["expected"].to_numpy()),
        same=_same(pairs),
    )


def _fewer_lost(pairs: Pairs) -> Gain | None:
    """Estimate by how much the share of lost trainings is less now; None if none is lost."""
    if not pairs.lost_before.any() and not pairs.lost_now.any():
        return None
    repetitions = pairs.lost_now.shape[1]
    one_before, one_now = repetitions / pairs.trainings_before, repetitions / pairs.trainings_now
    fewer = pairs.lost_before.sum(axis=0) * one_before - pairs.lost_now.sum(axis=0) * one_now
    return gain_of(fewer, least=least_variance(min(one_before, one_now), repetitions))


def _over_new_rows(
    kept: Sequence[pd.DataFrame],
    complete: np.ndarray,
    metric: str,
    mode: str,
    scoring: Scoring | None,
    step: float | None,
) -> Gain | str:
    """Estimate the mean gain over new rows (Nadeau & Bengio 2003), or say why it is unknown."""
    draws = [drawn_rows(runs, metric, mode, scoring) for runs in kept]
    before, now = draws
    if isinstance(before, str) or isinstance(now, str):
        return before if isinstance(before, str) else str(now)
    assert scoring is not None
    gains = (now.scores - before.scores)[complete]
    points, blocks = gains.shape
    return gain_of(
        gains.mean(axis=0),
        noise=1 / blocks + scoring.validated / scoring.fitted,
        least=least_variance(None if step is None else 1 / scoring.validated / points, blocks),
    )


def _by_point(pairs: Pairs, step: float | None) -> pd.DataFrame:
    there = np.isfinite(pairs.gains)
    found = gains_by_point(pairs.gains, step)
    means = {
        name: pairs.now.sign
        * np.divide(
            np.where(there, observed.scores, 0).sum(axis=1),
            found["pairs"],
            out=np.full(len(found), np.nan),
            where=found["pairs"] > 0,
        )
        for name, observed in (("before", pairs.before), ("now", pairs.now))
    }
    return pd.concat(
        [
            pairs.now.points,
            found[["pairs"]].assign(**means),
            found.drop(columns="pairs"),
            pd.DataFrame(
                {
                    "lost_before": pairs.lost_before.sum(axis=1),
                    "lost_now": pairs.lost_now.sum(axis=1),
                }
            ),
        ],
        axis=1,
    )


def _best(pairs: Pairs, of: Observations, expected: np.ndarray) -> Best | None:
    """Return the configuration with the best mean in a set-up; the first one of equal ones."""
    if not of.complete.any():
        return None
    place = int(np.argmax(np.where(of.complete, of.scores.mean(axis=1), -np.inf)))
    before, now = (float(one.sign * one.scores[place].mean()) for one in (pairs.before, pairs.now))
    return Best(str(of.points["point"].iloc[place]), before, now, float(expected[place]))


def _same(pairs: Pairs) -> bool:
    """Return whether all scores are the same up to rounding, and the same trainings are lost."""
    before, now = pairs.before.scores, pairs.now.scores
    return bool(np.allclose(before, now, rtol=_ROUNDING, atol=0, equal_nan=True))
