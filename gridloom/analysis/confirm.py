"""The confirmation: further repetitions, in rounds, until it is settled which one is the best.

All configurations get a first number of repetitions. Then those that are left get more, and a
configuration leaves as soon as it is surely behind another one (see `gridloom.analysis.screening`).
"""

from __future__ import annotations

import math
from collections.abc import Collection, Sequence

import numpy as np
import pandas as pd

from gridloom.analysis.observations import Observations, observe
from gridloom.analysis.pick import Pick
from gridloom.analysis.rounds import Gone, Left, Next, Plan, Round, asked_of
from gridloom.analysis.screening import ALPHA, NOBODY, Screening, most_further, screen
from gridloom.analysis.table import ranks
from gridloom.errors import StudyError
from gridloom.naming.points import describe_point, read_path
from gridloom.study.schema import Confirm

#: Most configurations that are named, the best ones first.
_MAX_NAMED = 5


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
        Trainings of the study, as `gridloom.analysis.table.gather` makes them.
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
            f"at least {100 * (1 - plan.alpha):.0f} % sure to be less than {difference} behind the "
            f"best: {end.because} after {last.repetitions} repetitions, by the procedure of Kim & "
            "Nelson"
        )
    else:
        rule = (
            f"the best mean of {len(last.left)} configurations that are left; {end.because}, so "
            f"it is not shown that it is less than {difference} behind the best"
        )
    return Pick(
        point=point,
        index=points.index(point),
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
            f"confirmed   {describe_point(chosen.hyperparameters, axes)}"
            if chosen.shown_close
            else f"not settled {describe_point(chosen.hyperparameters, axes)}",
            f"because     {chosen.rule}",
            f"score       {chosen.metric} {chosen.mean:.5g} (standard error {chosen.se:.2g}) over "
            f"{chosen.n} repetitions, which chose it; `snakemake verify` scores it on new seeds",
            f"cost        {last.trainings:,} further trainings, {_describe_time(last.seconds)}",
            "look        `snakemake confirm_figure` draws who was left after each round",
        ]
    )


def _describe_time(seconds: float) -> str:
    return (
        f"{seconds:,.0f} s of training"
        if seconds < 7200
        else f"{seconds / 3600:,.1f} h of training"
    )
