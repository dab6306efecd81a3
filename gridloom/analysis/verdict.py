"""The verdict: what a study says, in a few sentences for people."""

from __future__ import annotations

import itertools
import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import NamedTuple

import pandas as pd

from gridloom.analysis.effects import Effects, Share, effects
from gridloom.analysis.intervals import CONFIDENCE
from gridloom.analysis.matched import may_be_left_alone
from gridloom.analysis.next import End, describe_end, describe_price, ends
from gridloom.analysis.observations import Observations
from gridloom.analysis.pick import Pick
from gridloom.naming.points import describe_point, read_path

#: Axes are named as those that explain the differences if their share is at least this.
MOST = 0.5

#: Most axes that are named together.
MAX_NAMED = 3

#: If an interaction has at least this share, its axes are worth tuning together.
MATTERS = 0.05


@dataclass(frozen=True, eq=False)
class Evidence:
    """What a verdict rests on.

    Attributes
    ----------
    name
        Name of the study.
    axes
        Axis → its values as texts.
    summary
        One row a configuration, as in ``summary.csv``.
    pick
        By `snakemake confirm` if it is done, else by the study.
    effects
        Effects of the axes.
    left_alone
        Axes that surely do not matter near the best.
    ends
        Axes whose best value is at the end of its list.
    trainings, seconds
        Trainings of each configuration; mean seconds of a training.
    baselines, verified
        Sentences about the simple models, and about `snakemake verify`; None for none.
    """

    name: str
    axes: Mapping[str, Sequence[str]]
    summary: pd.DataFrame
    pick: Pick
    effects: Effects
    left_alone: Sequence[str]
    ends: Sequence[End]
    trainings: int
    seconds: float
    baselines: str | None = None
    verified: str | None = None


def weigh(
    name: str,
    observations: Observations,
    summary: pd.DataFrame,
    pick: Pick,
    *,
    numbers: Mapping[str, Sequence[int | float]],
    trainings: int,
    seconds: float,
    baselines: str | None = None,
    verified: str | None = None,
) -> Evidence:
    """Gather the evidence of a study.

    Parameters
    ----------
    observations, summary
        Observations and summary of the study, with its configurations in the same order.
    numbers
        Axis of numbers → its values.

    The others are attributes of `Evidence`.
    """
    near = (summary["tied_with_best"] & observations.complete).to_numpy()
    (chosen,) = observations.points[observations.points["point"] == pick.point].index
    values = {axis: str(observations.points.at[chosen, axis]) for axis in observations.axes}
    left_alone = (
        may_be_left_alone(observations, near, values, pick.close_enough, level=CONFIDENCE)
        if pick.close_enough
        else []
    )
    return Evidence(
        name=name,
        axes=observations.axes,
        summary=summary,
        pick=pick,
        effects=effects(observations),
        left_alone=left_alone,
        ends=ends(observations, near, numbers),
        trainings=trainings,
        seconds=seconds,
        baselines=baselines,
        verified=verified,
    )


def describe_verdict(evidence: Evidence) -> str:
    """Return the verdict as Markdown: a heading and one list item a sentence."""
    pick = evidence.pick
    sentences = [
        _describe_pick(evidence),
        f"Why this one: {pick.rule}.",
        _describe_regret(pick),
        _describe_ties(pick),
        _describe_top(evidence),
        evidence.verified,
        evidence.baselines,
        _describe_effects(evidence),
        _describe_left_alone(evidence),
        _describe_lost(evidence.axes, evidence.summary),
        *_describe_next(evidence),
    ]
    items = [f"- {sentence}" for sentence in sentences if sentence]
    return "\n".join([f"# {evidence.name}: the verdict", "", *items]) + "\n"


def describe_nothing(name: str, why: str, axes: Iterable[str], summary: pd.DataFrame) -> str:
    """Return the verdict on a study that has nothing to choose, as Markdown."""
    items = [f"- There is no configuration to take: {why}.", f"- {_describe_lost(axes, summary)}"]
    return "\n".join([f"# {name}: the verdict", "", *items]) + "\n"


def _describe_pick(evidence: Evidence) -> str:
    pick = evidence.pick
    error = "" if pick.se is None else f", standard error {pick.se:.2g}"
    repetitions = f"{pick.n} repetition{'s' * (pick.n != 1)}"
    values = describe_point(pick.hyperparameters, evidence.axes) or "the only configuration"
    return (
        f"**Take {values}** ({pick.parameters:,} parameters): {pick.metric} {pick.mean:.4g} over "
        f"{repetitions}{error}. Expect {pick.expected:.4g} when you train it again."
    )


def _describe_regret(pick: Pick) -> str:
    if pick.regret_high is None:
        return f"How much worse than the best it may be is unknown{_why_unknown(pick)}."
    new = (
        ""
        if not pick.regret_high_new_rows
        else f" For new rows, the bound is {pick.regret_high_new_rows:.2g}, and more repetitions "
        "alone do not make it small."
    )
    if pick.close_enough is None:
        wanted = ""
    elif pick.shown_close:
        wanted = f" That is close enough ({pick.close_enough:.2g})."
    else:
        wanted = f" That is not yet close enough ({pick.close_enough:.2g})."
    return (
        f"It is at most {pick.regret_high:.2g} worse than the best configuration, with 95 % "
        f"confidence, if you train on these rows with other seeds.{wanted}{new}"
    )


def _why_unknown(pick: Pick) -> str:
    if pick.by == "confirm":
        return ", because the confirmation ended before it was settled"
    if pick.configurations == 1:
        return ", because there is one configuration"
    if pick.n == 1:
        return ", because one repetition cannot separate luck from merit"
    return ", because too few configurations have a score in every repetition"


def _describe_ties(pick: Pick) -> str | None:
    if pick.tied is None or pick.configurations == 1:
        return None
    if pick.tied <= 1:
        if pick.by == "study" and pick.regret_high == 0:
            return f"It is surely the best of {pick.configurations:,} configurations."
        return None
    return (
        f"{pick.tied:,} of {pick.configurations:,} configurations cannot be told apart from the "
        "best. Which of them has the best mean is luck."
    )


def _describe_top(evidence: Evidence) -> str | None:
    """Say what becomes of the best mean, where it is not the pick's."""
    pick, summary = evidence.pick, evidence.summary
    tops = summary[summary["rank"] == 1]
    if pick.point in set(tops["point"]) or tops["expected"].isna().any():
        return None
    top = tops.sort_values("parameters", kind="stable").iloc[0]
    values = describe_point(read_path(str(top["point"])), evidence.axes)
    return (
        f"The best mean of the study, {top[f'{pick.metric}_mean']:.4g}, is that of {values}; "
        f"expect {top['expected']:.4g} when you train it again."
    )


def _describe_effects(evidence: Evidence) -> str | None:
    """Say which few axes explain most of the differences, and whether they act together."""
    effects = evidence.effects
    found = most_explained(effects)
    if found is None:
        return " ".join([*_describe_largest(effects), *effects.notes]) or None
    axes, share = found
    names = _joined(axes)
    together = strongest_interaction(effects, axes)
    if len(axes) == 1:
        what = names
        advice = ""
    else:
        what = f"{names} with their interaction{'s' * (len(axes) > 2)}"
        advice = (
            f" Tune {_joined(together)} together." if together else " Each can be tuned by itself."
        )
    percent = _percent(min(share.share, 1.0))
    if not math.isnan(share.low):
        percent += f" (95 % interval {_percent(share.low)} to {_percent(share.high)})"
    lost = " ".join(note for note in effects.notes if "diverged" in note)
    explains = "explain" if len(axes) > 1 else "explains"
    return (
        f"{what} {explains} {percent} of the differences between configurations.{advice} {lost}"
    ).rstrip()


def _describe_largest(effects: Effects) -> list[str]:
    """Say which effect is the largest, if there is more than one and shares are known."""
    names = {":".join(own) for own in effects.axes}
    table = effects.table
    shares = {
        name: float(share)
        for name, share in zip(table["effect"], table["share"], strict=True)
        if name in names and not math.isnan(share)
    }
    if len(shares) < 2:
        return []
    largest = max(shares, key=lambda name: shares[name])
    return [
        f"The largest effect, {largest}, explains {_percent(min(shares[largest], 1.0))} of the "
        "differences between configurations."
    ]


def most_explained(effects: Effects) -> tuple[tuple[str, ...], Share] | None:
    """Return the fewest axes that explain `MOST` of the differences, and their share.

    If several sets of as many axes do, it is the one with the largest share. None if no set of
    `MAX_NAMED` axes does, if only all axes together do, or if no share is known.
    """
    names = list(dict.fromkeys(axis for axes in effects.axes for axis in axes))
    for count in range(1, min(MAX_NAMED, len(names) - 1) + 1):
        shares = {axes: effects.share_of(axes) for axes in itertools.combinations(names, count)}
        known = {axes: share for axes, share in shares.items() if share.share >= MOST}
        if known:
            return max(known.items(), key=lambda item: item[1].share)
    return None


def strongest_interaction(effects: Effects, axes: Sequence[str]) -> tuple[str, ...] | None:
    """Return which of some axes interact most; None if none explains as much as `MATTERS`."""
    shown = effects.table[effects.table["p"] < 1 - CONFIDENCE]
    share_of = dict(zip(shown["effect"], shown["share"], strict=True))
    inside = [own for own in effects.axes if len(own) > 1 and set(own) <= set(axes)]
    shares = {own: share_of[":".join(own)] for own in inside if ":".join(own) in share_of}
    strongest = max(shares, key=lambda own: shares[own], default=None)
    return strongest if strongest and shares[strongest] >= MATTERS else None


def _describe_left_alone(evidence: Evidence) -> str | None:
    axes = evidence.left_alone
    if not axes:
        return None
    return (
        f"Near the best, {_joined(axes)} surely make{'s' * (len(axes) == 1)} no difference worth "
        f"{evidence.pick.close_enough:.2g}: leave {'them' if len(axes) > 1 else 'it'} alone."
    )


def _describe_lost(axes: Iterable[str], summary: pd.DataFrame) -> str | None:
    """Say how many trainings diverged, and at which value most of them did."""
    lost = summary["n_diverged"] + summary["n_missing"]
    if not lost.sum():
        return None
    total = int(summary["n_trainings"].sum())
    described = f"{int(lost.sum()):,} of {total:,} trainings diverged or have no number"
    worst = _worst_value(axes, lost, summary)
    if worst is None:
        return f"{described}."
    return (
        f"{described}; {_percent(worst.of_lost)} of them at {worst.axis}={worst.value}, where "
        f"{_percent(worst.share)} are lost."
    )


class _Worst(NamedTuple):
    """A value of an axis: which share of its trainings is lost, which share of all lost it has."""

    axis: str
    value: str
    share: float
    of_lost: float


def _worst_value(axes: Iterable[str], lost: pd.Series, summary: pd.DataFrame) -> _Worst | None:
    """Return the value that loses most of its trainings, if `MOST` of all lost ones are there."""
    found = []
    for axis in axes:
        of_value = lost.groupby(summary[axis]).sum()
        shares = of_value / summary["n_trainings"].groupby(summary[axis]).sum()
        found += [
            _Worst(axis, str(value), float(shares[value]), float(of_value[value] / lost.sum()))
            for value in of_value.index
            if value != ""  # configurations without the axis
        ]
    most = [worst for worst in found if worst.of_lost > MOST]
    return max(most, key=lambda worst: worst.share, default=None)


def _describe_next(evidence: Evidence) -> list[str]:
    """Say which values and which command to try next."""
    pick = evidence.pick
    sentences = [
        f"Next, add {end.axis}={end.added:g} (`next.yaml` has the list): {describe_end(end)} "
        f"It makes {describe_price(end.configurations, evidence.trainings, evidence.seconds)}"
        for end in evidence.ends
    ]
    if pick.by == "study" and not pick.shown_close and pick.regret_high is not None:
        sentences.append("`snakemake confirm` trains more where it decides which is the best.")
    elif evidence.verified is None:
        sentences.append("`snakemake verify` scores the choice on seeds that chose nothing.")
    return sentences


def _joined(names: Sequence[str]) -> str:
    return " and ".join([", ".join(names[:-1]), names[-1]] if len(names) > 1 else names)


def _percent(share: float) -> str:
    return f"{100 * share:.0f} %"
