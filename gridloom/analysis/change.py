"""A change between two set-ups, and what it did, in a few sentences for people."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from gridloom.analysis.compare import Best, Compared, Gain
from gridloom.errors import StudyError
from gridloom.naming.points import describe_point, read_path
from gridloom.study.seeds import STREAMS

#: Most axes, and most values of each, that a sentence is about.
_MAX_AXES, _MAX_VALUES = 4, 6

_HELPED, _HARMED = "On average, the change helped", "On average, the change did harm"
_NOT_SHOWN = "It is not shown whether the change helped or did harm"
_NEGLIGIBLE = "The change makes no difference that matters"


@dataclass(frozen=True)
class Change:
    """What differs between two set-ups.

    Attributes
    ----------
    setup
        Name of the other set-up.
    parts
        The parts that differ, in words.
    paired
        Whether both have the same seeds in each repetition.
    same_rows
        Whether both are scored on the same rows.
    """

    setup: str
    parts: Sequence[str]
    paired: bool
    same_rows: bool


def read_change(
    name: str, before: Mapping[str, Any], now: Mapping[str, Any], parts: Sequence[str]
) -> Change:
    """Return what differs between two set-ups, if repetitions can show its effect.

    Repetitions with other seeds are independent of each other, and so are their differences. But a
    stream that stays the same in all repetitions, and is another one in the other set-up, makes a
    difference that no repetition shows to be luck.

    Parameters
    ----------
    name
        Name of the other set-up.
    before, now
        Content of the other set-up, and of today's.
    parts
        The parts that differ, in words.

    Raises
    ------
    StudyError
        If there is such a stream.
    """
    same_seed = before["seed"] == now["seed"]
    fixed = [
        stream
        for stream in STREAMS
        if not (stream in before["vary"] and stream in now["vary"])
        and not (same_seed and stream not in before["vary"] and stream not in now["vary"])
    ]
    if fixed:
        raise StudyError(
            f"compare: set-up {name} differs in {', '.join(parts)}. So the two differ in the luck "
            f"of {', '.join(fixed)}, which is the same in all repetitions of one of them: no "
            "repetition can tell it from what the change does. Take the former `seed` and `vary`, "
            "or compare with another set-up: `--config compare=<name of its folder in "
            "results/points>`"
        )
    return Change(
        setup=name,
        parts=parts,
        paired=same_seed,
        same_rows=all(before[key] == now[key] for key in ("data", "seed", "validation")),
    )


def describe_compared(
    compared: Compared,
    change: Change,
    *,
    title: str,
    metric: str,
    close_enough: float | None,
    folder: str,
) -> str:
    """Describe in Markdown what a change did, how sure that is, and where.

    Parameters
    ----------
    title
        Of the study.
    metric
        The objective.
    close_enough
        A difference that is not worth a thought; None if it is not known.
    folder
        Where tables and figure are.
    """
    pairs = compared.pairs
    points, repetitions = pairs.gains.shape
    what = ", ".join(change.parts) or "nothing that is known"
    paired = "paired by seed" if change.paired else "with other seeds"
    sentences = [
        *_describe_overall(compared, metric, close_enough),
        *_describe_lost(compared),
        *_describe_near(compared),
        *_describe_where(compared, repetitions),
        *_describe_points(compared),
        *_describe_best(compared),
        *_describe_limits(change, metric),
    ]
    return "\n".join(
        [
            f"# {title}: before and after a change",
            "",
            f"Changed since set-up {change.setup}: {what}. Both have {_counted(points)} and "
            f"{_counted(repetitions, 'repetition')} of each, {paired}.",
            "",
            *(f"- {sentence}" for sentence in sentences),
            "",
            f"In {folder}: each configuration (compare.csv), each value of each hyperparameter "
            "(values.csv), both as a picture (gains).",
            "",
        ]
    )


def _describe_overall(compared: Compared, metric: str, close_enough: float | None) -> list[str]:
    """Describe what the change did on average."""
    overall, pairs = compared.overall, compared.pairs
    points, complete = len(pairs.gains), int(pairs.complete.sum())
    if compared.same:
        return [
            f"**The change made no difference.** All {pairs.now.scores.size:,} scores are the same "
            "up to rounding."
        ]
    if overall is None:
        return [
            "**Nothing can be said.** Every configuration has a training that diverged, or has no "
            "number, in one of the two set-ups."
        ]
    before, now = (
        float(one.sign * one.scores[pairs.complete].mean()) for one in (pairs.before, pairs.now)
    )
    over = (
        _counted(points)
        if complete == points
        else f"{complete:,} of {points:,} configurations (the others lost a training in one of the "
        "two)"
    )
    means = f"{metric} is {now:.4g} now and was {before:.4g}, the mean over {over}"
    if math.isnan(overall.low):
        return [
            f"**One repetition cannot tell the change from luck.** {means}. Set `repetitions` to 2 "
            "or more."
        ]
    verdict = {1: _HELPED, -1: _HARMED, 0: _NOT_SHOWN}[overall.sign]
    if close_enough is not None and overall.within(close_enough):
        verdict = f"{verdict}, but less than matters" if overall.sign else _NEGLIGIBLE
    if compared.lost is not None and compared.lost.sign:
        joined = "and" if compared.lost.sign == overall.sign else "but"
        verdict += f", {joined} {_fewer(compared.lost)} trainings are lost"
    sentence = f"**{verdict}.** {means}: {_amount(overall, ', over more seeds on these rows')}."
    new_rows = compared.new_rows
    if isinstance(new_rows, str):
        sentence += f" Of new rows, nothing is known: {new_rows}" * abs(overall.sign)
    elif overall.sign:
        sure = "For new rows, too" if new_rows.sign else "For new rows, this is not sure"
        sentence += f" {sure}: {_amount(new_rows)}."
    if verdict.startswith(_NOT_SHOWN):
        sentence += " More repetitions, of both set-ups, would show smaller differences."
    return [sentence]


def _describe_near(compared: Compared) -> list[str]:
    near = compared.near
    if near is None or math.isnan(near.low):
        return []
    count = int(compared.is_near.sum())
    return [
        f"Among the {count:,} configurations that may be the best, before or now, it is "
        f"{_amount(near)}{_luck(near)}."
    ]


def _describe_where(compared: Compared, repetitions: int) -> list[str]:
    """Describe with which values the change does something else than with others."""
    table = compared.by_value
    if repetitions < 2 or table.empty or compared.same:
        return []
    sure = (table["beyond_low"] > 0) | (table["beyond_high"] < 0)
    if not sure.any():
        return ["What it does is not shown to depend on any hyperparameter."]
    largest = table["beyond"].abs()[sure].groupby(table["axis"], sort=False).max()
    sentences = []
    for axis in largest.sort_values(ascending=False, kind="stable").index[:_MAX_AXES]:
        own = table["axis"] == axis
        told = table[own if own.sum() <= _MAX_VALUES else own & sure].head(_MAX_VALUES)
        parts = [
            f"at {value or 'none'}, {_amount(Gain(gain, math.nan, low, high), level=False)}"
            for value, gain, low, high in told[
                ["value", "gain", "gain_low", "gain_high"]
            ].itertuples(index=False)
        ]
        sentences.append(
            f"What it does depends on {axis}: {'; '.join(parts)} (95 % intervals, for all values "
            "together)."
        )
    return sentences


def _describe_points(compared: Compared) -> list[str]:
    table = compared.by_point
    whole = int(table["gain_low"].notna().sum())
    if whole < 2 or compared.same:
        return []
    better, worse = int((table["gain_low"] > 0).sum()), int((table["gain_high"] < 0).sum())
    return [
        f"Single configurations: {better or 'none'} of {whole:,} {'is' if better < 2 else 'are'} "
        f"shown to be better, {worse or 'none'} to be worse (95 %, for all together)."
    ]


def _describe_best(compared: Compared) -> list[str]:
    before, now = compared.best_before, compared.best_now
    if before is None or now is None or compared.same:
        return []
    axes = compared.pairs.now.axes

    def named(best: Best) -> str:
        return describe_point(read_path(best.point), axes) or "the only configuration"

    if before.point == now.point:
        return [
            f"The best configuration is the same: {named(now)} had {before.before:.4g} and has "
            f"{now.now:.4g}. The best of many is lucky, too: expect {before.expected:.4g} of it "
            f"before, {now.expected:.4g} now."
        ]
    return [
        f"The best before was {named(before)} with {before.before:.4g}; now it "
        f"{_has(before.now)}. The best now is {named(now)} with {now.now:.4g}; before, it "
        f"{_has(now.before, 'had')}. The best of many is lucky, too: expect "
        f"{before.expected:.4g} of the one and {now.expected:.4g} of the other."
    ]


def _has(mean: float, verb: str = "has") -> str:
    return "lost a training" if math.isnan(mean) else f"{verb} {mean:.4g}"


def _describe_lost(compared: Compared) -> list[str]:
    lost, pairs = compared.lost, compared.pairs
    if lost is None:
        return []
    of_now = ""
    if pairs.trainings_now != pairs.trainings_before:
        of_now = f" of {pairs.trainings_now:,}"
    counts = (
        f"Trainings that diverged or have no number: {pairs.lost_before.sum():,} of "
        f"{pairs.trainings_before:,} before, {pairs.lost_now.sum():,}{of_now} now"
    )
    if math.isnan(lost.low) or not lost.gain:
        return [f"{counts}."]
    size, ends = abs(lost.gain), sorted([abs(lost.low), abs(lost.high)])
    if not lost.sign:
        return [f"{counts}{_luck(lost)}."]
    return [
        f"{counts}: {_fewer(lost)} by {100 * size:.2g} % of all (95 % "
        f"interval {100 * ends[0]:.2g} % to {100 * ends[1]:.2g} %)."
    ]


def _fewer(lost: Gain) -> str:
    return "fewer" if lost.sign > 0 else "more"


def _describe_limits(change: Change, metric: str) -> list[str]:
    """Describe what to bear in mind."""
    limits = []
    if len(change.parts) > 1:
        limits.append("All this is about the changes together, not about each alone.")
    if not change.paired:
        limits.append(
            "The seeds differ, so the two share no luck that would cancel: the intervals are wider "
            "than they would be with one seed."
        )
    elif not change.same_rows:
        limits.append(
            "The two are scored on different rows, so a difference may come from these, not from "
            "what a network learns."
        )
    if metric in ("loss", "val_loss") and "model file" in change.parts:
        limits.append(
            f"If the model file now has another loss function, {metric} is another number, and the "
            "two cannot be compared."
        )
    return limits


def _amount(gain: Gain, about: str = "", *, level: bool = True) -> str:
    """Return a gain with its interval, such as ``better by 0.012 (95 % interval 0.01 to 0.02)``."""
    ends = f"{abs(gain.low):.3g} to {abs(gain.high):.3g}"
    if gain.sign < 0:
        ends = f"{abs(gain.high):.3g} to {abs(gain.low):.3g}"
    elif not gain.sign:
        ends = f"{_size(gain.low)} to {_size(gain.high)}"
    side = "worse" if gain.gain < 0 else "better"
    return f"{side} by {abs(gain.gain):.3g} ({'95 % interval ' * level}{ends}{about})"


def _size(end: float) -> str:
    return f"{abs(end):.3g} {'worse' if end < 0 else 'better'}"


def _luck(gain: Gain) -> str:
    return "" if gain.sign else ", which may be luck"


def _counted(count: int, name: str = "configuration") -> str:
    return f"{count:,} {name}{'s' * (count != 1)}"
