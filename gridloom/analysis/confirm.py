"""Which configuration is the best: the sequential procedure of Kim & Nelson (2001).

All configurations get a first number of repetitions. Then repetitions go on for those that are
left, and one leaves as soon as it is surely behind another one that is left.
"""

from __future__ import annotations

import math
from collections.abc import Collection, Sequence
from dataclasses import dataclass

import numpy as np
import pandas as pd

from gridloom.analysis.observations import Observations, observe
from gridloom.analysis.pick import Pick
from gridloom.analysis.rounds import Gone, Left, Next, Plan, Round, asked_of
from gridloom.analysis.table import RESOLUTION, ranks
from gridloom.errors import StudyError
from gridloom.naming.blocks import FIRST_RESERVED
from gridloom.naming.points import describe_point, read_path
from gridloom.study.schema import Confirm

#: Probability that the choice is worse than the best by the difference or more.
ALPHA = 0.05

#: Numbers that a matrix of pairs may hold at once, to stay in the cache: 10,000 configurations have
#: 10⁸ pairs.
_MAX_NUMBERS = 2**18

#: Configurations named for a person; of more, the best ones.
_MAX_NAMED = 5

#: `Screening.by` of a configuration that no other one beat.
NOBODY = -1


@dataclass(frozen=True, eq=False)
class Screening:
    """Which of N configurations are left after R repetitions.

    Attributes
    ----------
    left
        bool, shape (N,).
    at
        Repetitions after which each one left; 0 for those that are left. int64, shape (N,).
    by
        Place of the configuration that beat it, `NOBODY` where a training diverged or has no
        number, and for those that are left. int64, shape (N,).
    last
        Repetitions after which each one that is left is decided against all others that are left;
        0 for those that are not left. int64, shape (N,).
    settled
        Whether nothing is left to decide: one configuration is left, or several with equal means.
    """

    left: np.ndarray
    at: np.ndarray
    by: np.ndarray
    last: np.ndarray
    settled: bool


def h_squared(configurations: int, first: int, alpha: float = ALPHA) -> float:
    """Return the constant h² of Kim & Nelson (2001), section 3, with c = 1.

    Their triangle of continuation for a pair ends at h²·S²/δ² repetitions.

    Parameters
    ----------
    configurations
        How many are compared.
    first
        Repetitions that the variances of the differences are taken from, 2 or more.
    alpha
        Probability of a wrong choice.
    """
    share = 2 * alpha / max(configurations - 1, 1)
    eta = (math.pow(share, -2 / (first - 1)) - 1) / 2
    return 2 * eta * (first - 1)


def screen(
    scores: np.ndarray,
    *,
    first: int,
    difference: float,
    configurations: int,
    since: int | None = None,
    alpha: float = ALPHA,
) -> Screening:
    """Find which configurations are left, one repetition after the other.

    With normal scores, the best one is left at the end with probability 1 - `alpha` if it is ahead
    of all others by `difference`. Repetitions are blocks (common random numbers), so all is about
    differences within a repetition, whose variances need not be equal.

    Whoever lacks a score leaves with that repetition: its training diverged or has no number.

    Parameters
    ----------
    scores
        float64, shape (N, R), R at least `first`; more is better.
    first
        Repetitions that the variances are taken from; later ones leave them as they are.
    difference
        Of the means, in their units, that is not worth a training: the indifference zone δ, above
        0.
    configurations
        How many the procedure began with, N or more.
    since
        Repetitions after which these N were left, as an earlier call found; None for the
        beginning. The result does not depend on where the calls divide the repetitions.
    """
    count, repetitions = scores.shape
    at, by = np.zeros(count, dtype=np.int64), np.full(count, NOBODY)
    begin = first if since is None else since + 1
    missing = ~np.isfinite(scores)
    at[missing[:, :begin].any(axis=1)] = begin
    places = np.flatnonzero(at == 0)
    constant = h_squared(configurations, first, alpha)
    triangle = _Triangle(scores[:, :first], difference, constant)
    last = triangle.ends(places)
    settled = False
    for repetition in range(begin, repetitions + 1):
        lacking = missing[places, repetition - 1]
        at[places[lacking]] = repetition
        places = places[~lacking]
        winners = triangle.beaten_by(places, scores[places, :repetition].mean(axis=1), repetition)
        beaten = winners != NOBODY
        at[places[beaten]] = repetition
        by[places[beaten]] = winners[beaten]
        if lacking.any() or beaten.any():
            places = places[~beaten]
            last = triangle.ends(places)
        if settled := len(places) < 2 or bool(repetition >= last.max()):
            break
    left = at == 0
    ends = np.zeros(count, dtype=np.int64)
    ends[places] = last
    return Screening(left, at, by, ends, settled)


class _Triangle:
    """The continuation regions of all pairs.

    Parameters
    ----------
    scores
        Of the first repetitions, shape (N, first).
    difference
        The indifference zone δ.
    constant
        The h² of the procedure.
    """

    def __init__(self, scores: np.ndarray, difference: float, constant: float) -> None:
        first = scores.shape[1]
        self.difference = difference
        self.constant = constant
        # ASSUME: equal differences do not show that all are equal. Where scores come in steps, such
        # as of one validation row, the variance is at least that of one difference a step off.
        self.floor = step(scores) ** 2 / first
        # Of their squares, the sum is the variance (`ddof=1`).
        self.centred = (scores - scores.mean(axis=1, keepdims=True)) / math.sqrt(first - 1)

    def _ends(self, some: np.ndarray, others: np.ndarray) -> np.ndarray:
        """Return h²·S²/δ² of pairs, in repetitions; shape (some, others), 0 for a point itself."""
        scale = self.constant / self.difference**2
        mine, theirs = self.centred[some], self.centred[others]
        ends: np.ndarray = mine @ theirs.T
        ends *= -2 * scale
        ends += (scale * (mine**2).sum(axis=1))[:, None]
        ends += scale * (theirs**2).sum(axis=1)
        np.maximum(ends, scale * self.floor, out=ends)
        ends[some[:, None] == others] = 0
        return ends

    def _parts(self, places: np.ndarray) -> list[np.ndarray]:
        """Divide places so that a part's pairs with all of them fit into memory."""
        size = max(_MAX_NUMBERS // max(len(places), 1), 1)
        return [places[start : start + size] for start in range(0, len(places), size)]

    def ends(self, places: np.ndarray) -> np.ndarray:
        """Return the repetitions after which each place is decided against all others."""
        parts = [self._ends(part, places).max(axis=1) for part in self._parts(places)]
        ends = np.floor(np.concatenate(parts or [np.zeros(0)])) + 1
        # No study has so many repetitions; larger numbers would overflow.
        known: np.ndarray = np.minimum(ends, FIRST_RESERVED).astype(np.int64)
        return known

    def all_ends(self, places: np.ndarray) -> np.ndarray:
        """Return h²·S²/δ² of all pairs of places; float32, shape (places, places)."""
        parts = [self._ends(part, places).astype(np.float32) for part in self._parts(places)]
        return np.concatenate(parts)

    def beaten_by(self, places: np.ndarray, means: np.ndarray, repetition: int) -> np.ndarray:
        """Return for each place the one that beats it by the most, or `NOBODY`.

        Parameters
        ----------
        means
            Over all repetitions so far, of each place.
        """
        winners = np.full(len(places), NOBODY)
        # Numbers of 32 bits: smaller differences of means are none.
        ahead = means - RESOLUTION * np.abs(means)
        start = 0
        for part in self._parts(places):
            margin = self._ends(part, places)
            margin -= repetition
            np.maximum(margin, 0, out=margin)
            margin *= -self.difference / (2 * repetition)
            margin += ahead
            margin -= means[start : start + len(part), None]
            best = margin.argmax(axis=1)
            beaten = margin[np.arange(len(part)), best] > 0
            winners[start : start + len(part)][beaten] = places[best[beaten]]
            start += len(part)
        return winners


def most_further(
    scores: np.ndarray,
    *,
    first: int,
    difference: float,
    configurations: int,
    done: int,
    alpha: float = ALPHA,
) -> int:
    """Return the most repetitions, of all configurations together, until all is decided.

    If one configuration surely beats another, the other one has left. So m configurations are left
    after R repetitions only if m of them are each undecided against m - 1 others or more.

    Parameters
    ----------
    scores
        float64, shape (N, R), finite: the variances of their differences stand for those of the
        first repetitions.
    first, difference, configurations, alpha
        See `screen`.
    done
        Repetitions that all N have.
    """
    if len(scores) < 2:
        return 0
    triangle = _Triangle(scores, difference, h_squared(configurations, first, alpha))
    ends = triangle.all_ends(np.arange(len(scores)))
    # In column m - 2: until when a configuration has m - 1 undecided partners.
    ends = -np.sort(-ends, axis=1)[:, :-1]
    until = np.diagonal(-np.sort(-ends, axis=0), offset=-1)
    # The last one that is left trains as long as the last but one.
    return int(np.maximum(np.floor(np.append(until, until[0])) + 1 - done, 0).sum())


def step(scores: np.ndarray) -> float:
    """Return the smallest difference of any two scores; 0 if all are equal."""
    values = np.unique(scores[np.isfinite(scores)])
    apart = np.diff(values)
    apart = apart[apart > RESOLUTION * np.abs(values[1:])]
    return float(apart.min()) if len(apart) else 0.0


def make_plan(
    runs: pd.DataFrame,
    best: Pick,
    confirm: Confirm,
    *,
    own: int,
    folds: int,
    diverged_above: float,
) -> Plan:
    """Settle what a confirmation compares by.

    Parameters
    ----------
    runs
        Of the study, as `gridloom.analysis.table.gather` makes them.
    best
        What the study itself chose.
    own
        The study's own repetitions. They are the first ones here: all configurations have them,
        and nothing was left out by them. If they are more than `confirm.first_repetitions`, all of
        them count: variances from more repetitions end the procedure sooner.
    folds
        Trainings of each repetition.
    diverged_above
        The loss above which a finite training counts as diverged.

    Raises
    ------
    StudyError
        If there is nothing to compare, no difference to compare by, or too little to spend.
    """
    configurations = runs["point"].nunique()
    if configurations < 2:
        raise StudyError(
            "the study has one configuration, so there is nothing to confirm; `snakemake verify` "
            "scores it on new seeds"
        )
    difference = confirm.difference or best.close_enough
    if not difference:
        raise StudyError(
            "confirm.difference: cannot be worked out from this study's scores; give the "
            "difference of the objective that is not worth a training"
        )
    plan = Plan(
        difference=difference,
        first=max(confirm.first_repetitions, own),
        own=own,
        configurations=configurations,
        alpha=ALPHA,
        diverged_above=diverged_above,
        asked=asked_of(confirm),
    )
    trainings, seconds = first_cost(runs, plan, folds)
    spared = "raise it, or lower confirm.first_repetitions"
    if confirm.max_trainings is not None and trainings > confirm.max_trainings:
        raise StudyError(
            f"confirm.max_trainings: is {confirm.max_trainings:,}, but the first {plan.first} "
            f"repetitions of all configurations need {trainings:,} further trainings; {spared}"
        )
    if confirm.max_hours is not None and seconds > confirm.max_hours * 3600:
        raise StudyError(
            f"confirm.max_hours: is {confirm.max_hours:g}, but the first {plan.first} repetitions "
            f"of all configurations take about {seconds / 3600:.2g} hours; {spared}"
        )
    return plan


def first_cost(runs: pd.DataFrame, plan: Plan, folds: int) -> tuple[int, float]:
    """Return the trainings and seconds that the first repetitions need beyond the study's own."""
    further = plan.first - plan.own
    return (
        further * plan.configurations * folds,
        further * float(_seconds_per_repetition(runs, folds).sum()),
    )


def _seconds_per_repetition(runs: pd.DataFrame, folds: int) -> pd.Series:
    """Return the mean seconds of a repetition of each point."""
    return runs.groupby("point", sort=False)["seconds"].mean() * folds


def hold_round(
    runs: pd.DataFrame,
    plan: Plan,
    previous: Round | None,
    *,
    metric: str,
    mode: str,
    folds: int,
) -> Round:
    """Find which configurations are left after a round.

    Parameters
    ----------
    runs
        All repetitions of the configurations that were left before, and of no other.
    previous
        The round before; None for the first one.
    metric, mode
        The objective.
    folds
        Trainings of each repetition.

    Raises
    ------
    StudyError
        If none is left: in each one, a training diverged.
    """
    observed = observe(runs, {}, metric, mode)
    repetitions = len(observed.repetitions)
    screened = screen(
        observed.scores,
        first=plan.first,
        difference=plan.difference,
        configurations=plan.configurations,
        since=previous.repetitions if previous else None,
        alpha=plan.alpha,
    )
    paths = observed.points["point"]
    if not screened.left.any():
        raise StudyError(
            f"after {repetitions} repetitions, each configuration has a training that diverged or "
            f"has no {metric}, so none can be confirmed; try smaller learning rates"
        )
    left = _left(runs, observed, screened, metric)
    new = runs[runs["repetition"] >= (previous.repetitions if previous else plan.own)]
    pace = _seconds_per_repetition(runs, folds)
    return Round(
        number=previous.number + 1 if previous else 0,
        repetitions=repetitions,
        left=left,
        gone={
            paths[place]: Gone(
                at=int(screened.at[place]),
                by=None if screened.by[place] == NOBODY else paths[screened.by[place]],
            )
            for place in np.flatnonzero(~screened.left)
        },
        settled=screened.settled,
        last=int(screened.last.max()),
        trainings=len(new) + (previous.trainings if previous else 0),
        seconds=float(new["seconds"].sum()) + (previous.seconds if previous else 0.0),
        seconds_per_repetition=float(pace[list(left)].sum()),
        most_trainings=0
        if screened.settled
        else folds
        * most_further(
            observed.scores[screened.left][:, : plan.first],
            first=plan.first,
            difference=plan.difference,
            configurations=plan.configurations,
            done=repetitions,
            alpha=plan.alpha,
        ),
    )


def _left(
    runs: pd.DataFrame, observed: Observations, screened: Screening, metric: str
) -> dict[str, Left]:
    """Describe those that are left, the best mean first, of equal means the smallest network."""
    places = np.flatnonzero(screened.left)
    scores = observed.scores[places]
    paths = observed.points["point"].iloc[places].tolist()
    of_point = runs[runs["point"].isin(paths)].groupby("point", sort=False)
    parameters = of_point["parameters"].first()[paths].to_numpy()
    epochs = of_point["restored_epoch"].median()[paths].to_numpy()
    mean = scores.mean(axis=1)
    se = scores.std(axis=1, ddof=1) / math.sqrt(scores.shape[1])
    order = np.lexsort((parameters, ranks(-mean, np.zeros(len(mean), dtype=bool))))
    return {
        paths[place]: Left(
            mean=float(observed.sign * mean[place]),
            se=float(se[place]),
            epochs=int(epochs[place]),
            parameters=int(parameters[place]),
        )
        for place in order
    }


def conclude(plan: Plan, last: Round, end: Next, best: Pick, points: Sequence[str]) -> Pick:
    """Choose among what is left after the last round: the first one of `Round.left`.

    Parameters
    ----------
    end
        What ended the rounds.
    best
        What the study itself chose.
    points
        Paths of all points, in the order of the grid.
    """
    point, chosen = next(iter(last.left.items()))
    difference = f"{plan.difference:.3g}"
    if last.settled:
        rule = (
            f"at least {1 - plan.alpha:.0%} sure to be less than {difference} behind the best: "
            f"{end.because} after {last.repetitions} repetitions, by the procedure of Kim & Nelson"
        )
    else:
        rule = (
            f"the best mean of {len(last.left)} configurations that are left; {end.because}, so "
            f"it is not shown that it is less than {difference} behind the best"
        )
    return Pick(
        point=point,
        index=points.index(point),
        hyperparameters=read_path(point),
        metric=best.metric,
        mode=best.mode,
        by="confirm",
        rule=rule,
        mean=chosen.mean,
        se=chosen.se,
        n=last.repetitions,
        n_diverged=0,
        n_missing=0,
        expected=chosen.mean,
        close_enough=plan.difference,
        regret_high=plan.difference if last.settled else None,
        regret_high_new_rows=None,
        shown_close=last.settled,
        tied=len(last.left),
        configurations=plan.configurations,
        top_point=best.top_point,
        top_mean=best.top_mean,
        epochs=chosen.epochs,
        parameters=chosen.parameters,
    )


def table_of_rounds(rounds: Sequence[Round]) -> pd.DataFrame:
    """Return one row a round.

    Returns
    -------
    DataFrame
        `round`, `repetitions` (in all, of each that was left before), `before` and `left`
        (configurations), `diverged` and `beaten` in it, `trainings` and `seconds` of it,
        `trainings_total` and `hours_total` so far, beyond the study's own repetitions.
    """
    rows = []
    for place, one in enumerate(rounds):
        diverged = sum(gone.by is None for gone in one.gone.values())
        earlier = rounds[place - 1] if place else None
        rows.append(
            {
                "round": one.number,
                "repetitions": one.repetitions,
                "before": len(one.left) + len(one.gone),
                "left": len(one.left),
                "diverged": diverged,
                "beaten": len(one.gone) - diverged,
                "trainings": one.trainings - (earlier.trainings if earlier else 0),
                "seconds": round(one.seconds - (earlier.seconds if earlier else 0.0), 3),
                "trainings_total": one.trainings,
                "hours_total": round(one.seconds / 3600, 5),
            }
        )
    return pd.DataFrame(rows)


def describe_confirmation(
    plan: Plan, runs: pd.DataFrame, confirm: Confirm, *, metric: str, mode: str, folds: int
) -> str:
    """Say what is compared, by what, and the most that it can cost.

    The most after the first repetitions is estimated from the study's own, if these are 2 or more.
    """
    trainings, seconds = first_cost(runs, plan, folds)
    lines = [
        f"confirm     {plan.configurations:,} configurations; a difference of {plan.difference:.3g}"
        f" in {metric} is not worth a training",
        f"first       {plan.first} repetitions of each, {plan.own} are the study's own: "
        f"{trainings:,} further trainings, {_describe_time(seconds)}",
    ]
    observed = observe(runs[runs["repetition"] < plan.own], {}, metric, mode)
    scores = observed.scores[observed.complete]
    if scores.shape[1] < 2 or len(scores) < 2:
        lines.append("then        the cost is known after the first repetitions only")
    else:
        most = folds * most_further(
            scores,
            first=plan.first,
            difference=plan.difference,
            configurations=plan.configurations,
            done=plan.first,
            alpha=plan.alpha,
        )
        pace = float(runs["seconds"].mean())
        lines.append(
            f"then        at most about {most:,} more, {_describe_time(most * pace)}, if scores "
            "vary as in the study's own repetitions; mostly it is far less"
        )
    for name, unit in (("max_trainings", "trainings"), ("max_hours", "hours of training")):
        limit = getattr(confirm, name)
        if limit is not None:
            lines.append(f"limit       {limit:,g} {unit}, by confirm.{name}")
    return "\n".join(lines)


def describe_round(last: Round, axes: Collection[str]) -> str:
    """Say who is left after a round, and what it cost so far.

    Parameters
    ----------
    axes
        Hyperparameters to show.
    """
    diverged = sum(gone.by is None for gone in last.gone.values())
    lines = [
        f"round {last.number:<5} {last.repetitions} repetitions: {len(last.left):,} left, "
        f"{len(last.gone) - diverged:,} beaten, {diverged:,} diverged or without a number; "
        f"{last.trainings:,} further trainings so far, {_describe_time(last.seconds)}; at most "
        f"{last.most_trainings:,} more settle it"
    ]
    for point, left in list(last.left.items())[:_MAX_NAMED]:
        lines.append(
            f"            {left.mean:.5g} ± {left.se:.2g}  {describe_point(read_path(point), axes)}"
        )
    if len(last.left) > _MAX_NAMED:
        lines.append(f"            and {len(last.left) - _MAX_NAMED:,} more")
    return "\n".join(lines)


def describe_conclusion(chosen: Pick, last: Round, axes: Collection[str]) -> str:
    """Say what was chosen, by what, and what it cost."""
    return "\n".join(
        [
            f"confirmed   {describe_point(read_path(chosen.point), axes)}"
            if chosen.shown_close
            else f"not settled {describe_point(read_path(chosen.point), axes)}",
            f"because     {chosen.rule}",
            f"score       {chosen.metric} {chosen.mean:.5g} (standard error {chosen.se:.2g}) over "
            f"{chosen.n} repetitions, which chose it; `snakemake verify` scores it on new seeds",
            f"cost        {last.trainings:,} further trainings, {_describe_time(last.seconds)}",
        ]
    )


def _describe_time(seconds: float) -> str:
    return (
        f"{seconds:,.0f} s of training"
        if seconds < 7200
        else f"{seconds / 3600:,.1f} h of training"
    )
