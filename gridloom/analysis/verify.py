"""Verification of a pick: its trainings once more, and its score on seeds that chose nothing."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np
import yaml

from gridloom.analysis.baselines import BaselineSummary
from gridloom.analysis.intervals import mean_of
from gridloom.analysis.observations import Observations
from gridloom.analysis.pick import Pick
from gridloom.files import write_text
from gridloom.naming.points import describe_point
from gridloom.records import read_record


@dataclass(frozen=True)
class Repeated:
    """How records compare with the same trainings run once more.

    Attributes
    ----------
    trainings
        How many were run once more.
    identical
        Of how many each number of the history has the same bits.
    largest_difference
        Of any metric in any epoch, in its units; infinite where only one of both is finite.
    made_with
        What differs of machine and packages: name → (then, now). Of several records, the last.
    """

    trainings: int
    identical: int
    largest_difference: float
    made_with: Mapping[str, tuple[Any, Any]]


def compare(pairs: Sequence[tuple[Path, Path]]) -> Repeated:
    """Compare records with their repeats.

    Parameters
    ----------
    pairs
        For each record, its file and that of its repeat.
    """
    trainings = identical = 0
    largest = 0.0
    made_with: dict[str, tuple[Any, Any]] = {}
    for before, now in pairs:
        old, new = read_record(before), read_record(now)
        for then, again in zip(old.trainings, new.trainings, strict=True):
            trainings += 1
            identical += then.history == again.history
            largest = max(largest, _difference(then.history, again.history))
        was, is_ = asdict(old.machine), asdict(new.machine)
        made_with |= {name: (was[name], is_[name]) for name in was if was[name] != is_[name]}
    return Repeated(trainings, identical, largest, made_with)


def _difference(
    then: Mapping[str, list[float | None]], again: Mapping[str, list[float | None]]
) -> float:
    """Return the largest difference of two histories."""
    if then == again:
        return 0.0
    if {name: len(values) for name, values in then.items()} != {
        name: len(values) for name, values in again.items()
    }:
        return math.inf
    a, b = (
        np.array([values for _, values in sorted(history.items())], dtype=float)
        for history in (then, again)
    )
    if (np.isnan(a) != np.isnan(b)).any():
        return math.inf
    return float(np.nanmax(np.abs(a - b)))


@dataclass(frozen=True)
class Reserved:
    """The objective over reserved repetitions, which no choice rests on.

    Attributes
    ----------
    repetitions
        How many there are.
    n
        Those with a score: no training of the others is without a number or diverged.
    mean, se
        Over the n, in units of the objective; None where n is too small.
    low, high
        Of the interval of 95 % for the mean over seeds, on these rows: Student's t with n - 1
        degrees of freedom. None where n is below 2.
    """

    repetitions: int
    n: int
    mean: float | None
    se: float | None
    low: float | None
    high: float | None


def score(observed: Observations) -> Reserved:
    """Score one point by its reserved repetitions.

    Parameters
    ----------
    observed
        Of that point alone.
    """
    scores = observed.sign * observed.scores[0]
    finite = scores[np.isfinite(scores)]
    found = mean_of(finite)
    mean, se, low, high = (
        None if math.isnan(value) else value
        for value in (found.mean, found.se, found.low, found.high)
    )
    return Reserved(repetitions=len(scores), n=found.n, mean=mean, se=se, low=low, high=high)


def write_verified(
    path: Path,
    pick: Pick,
    setup: str,
    repeated: Repeated,
    reserved: Reserved,
    baselines: Sequence[BaselineSummary],
) -> None:
    """Write what was found as YAML, atomically.

    Parameters
    ----------
    setup
        Name of the set-up of the trainings: with another one, this is about another study.
    baselines
        Compared with the pick on the reserved repetitions.
    """
    largest = repeated.largest_difference
    content = {
        "point": pick.point,
        "setup": setup,
        "chosen_by": pick.by,
        "metric": pick.metric,
        "reserved": asdict(reserved),
        "baselines": [
            {name: None if value != value else value for name, value in asdict(summary).items()}
            for summary in baselines
        ],
        "expected": pick.expected,
        "mean": pick.mean,
        "top_point": pick.top_point,
        "top_mean": pick.top_mean,
        "repeated": {
            "trainings": repeated.trainings,
            "identical": repeated.identical,
            "largest_difference": largest if math.isfinite(largest) else None,
            "made_with": {
                name: {"then": then, "now": now} for name, (then, now) in repeated.made_with.items()
            },
        },
    }
    write_text(path, yaml.safe_dump(content, sort_keys=False, allow_unicode=True, width=100))


def describe_verified(pick: Pick, repeated: Repeated, reserved: Reserved) -> str:
    """Say what was found, in a few lines."""
    lines = [f"verified    {describe_point(pick.hyperparameters)}"]
    count = f"{repeated.trainings:,} training{'s' * (repeated.trainings != 1)}"
    if repeated.identical == repeated.trainings:
        lines.append(f"once more   {count} in a new process: the same, bit for bit")
    else:
        lines.append(
            f"once more   {count} in a new process: {repeated.trainings - repeated.identical:,} "
            f"differ, by {repeated.largest_difference:.3g} at most in any metric and epoch"
        )
        lines += [
            f"            {name} was {_plain(then, now)} and is {_plain(now, then)}"
            for name, (then, now) in repeated.made_with.items()
        ] or ["            although machine and packages are the same; please report this"]
    if reserved.mean is None:
        lines.append(
            f"new seeds   none of {reserved.repetitions} reserved repetitions has a "
            f"{pick.metric}: all of them diverged, or have no number"
        )
        return "\n".join(lines)
    sure = (
        "no interval, as only one has a number"
        if reserved.low is None
        else f"95 % interval over seeds {reserved.low:.5g} to {reserved.high:.5g}"
    )
    lines.append(
        f"new seeds   {pick.metric} {reserved.mean:.5g} over {reserved.n} repetitions that chose "
        f"nothing ({sure})"
    )
    if reserved.n < reserved.repetitions:
        lines.append(
            f"            {reserved.repetitions - reserved.n} of {reserved.repetitions} reserved "
            "repetitions diverged or have no number"
        )
    chose = f"{pick.n} repetition{'s' * (pick.n != 1)} that chose it"
    lines.append(f"expected    {pick.expected:.5g}; the {chose} had a mean of {pick.mean:.5g}")
    lines.append(
        f"top mean    {pick.top_mean:.5g}, the best of {pick.configurations:,} in the study"
    )
    return "\n".join(lines)


def read_verified(path: Path, pick: Pick, setup: str) -> dict[str, Any] | None:
    """Read what `write_verified` wrote; None if it is about another point or set-up."""
    content: dict[str, Any] = yaml.safe_load(path.read_text(encoding="utf-8"))
    found = (content["point"], content["setup"], content["metric"])
    same = found == (pick.point, setup, pick.metric)
    return content if same else None


def noted_baselines(content: Mapping[str, Any]) -> list[BaselineSummary]:
    """Return the baselines that `read_verified` read."""
    known: list[dict[str, Any]] = [
        {name: math.nan if value is None else value for name, value in noted.items()}
        for noted in content["baselines"]
    ]
    return [BaselineSummary(**noted) for noted in known]


def describe_noted(content: Mapping[str, Any]) -> str:
    """Describe in a sentence or two what `read_verified` read."""
    reserved, repeated = content["reserved"], content["repeated"]
    others = repeated["trainings"] - repeated["identical"]
    again = (
        f"{others:,} of its trainings do not repeat bit for bit (see `verify.yaml`)."
        if others
        else "Its trainings repeat bit for bit."
    )
    if reserved["mean"] is None:
        return f"None of its reserved repetitions has a {content['metric']}. {again}"
    interval = (
        ""
        if reserved["low"] is None
        else f" (95 % interval {reserved['low']:.4g} to {reserved['high']:.4g})"
    )
    return (
        f"Over {reserved['n']} repetitions that chose nothing, it scored {reserved['mean']:.4g}"
        f"{interval}. {again}"
    )


def _plain(value: Any, other: Any) -> str:
    """Show a value; of packages, only those that are other ones there."""
    if isinstance(value, dict) and isinstance(other, dict):
        differing = sorted(
            name for name in value.keys() | other.keys() if value.get(name) != other.get(name)
        )
        return ", ".join(f"{name} {value.get(name, 'none')}" for name in differing)
    return str(value)
