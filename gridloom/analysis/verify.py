"""Verification of a pick: its trainings once more, and its score on seeds that chose nothing."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import yaml

from gridloom.analysis.baselines import BaselineSummary, describe_baselines, summarize_baselines
from gridloom.analysis.intervals import mean_of
from gridloom.analysis.observations import Observations, observe
from gridloom.analysis.pick import Pick
from gridloom.analysis.table import gather
from gridloom.errors import StudyError
from gridloom.files import write_text
from gridloom.naming.blocks import job_repetitions
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
        How many of these have the same bits in each number of the history.
    largest_difference
        The largest in any metric and epoch, in the metric's units; infinite where only one of the
        two numbers is finite.
    made_with
        What differs in machine and packages: name → (then, now), by the last record that differs.
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
    """The objective over reserved repetitions, which play no part in any choice.

    Attributes
    ----------
    repetitions
        How many there are.
    n
        How many have a score: none of their trainings diverged or lacks a number.
    mean, se
        Over these n, in units of the objective; None where n is too small.
    low, high
        Ends of the 95 % interval for the mean over seeds, on these rows: Student's t with n - 1
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
        Observations of that point alone.
    """
    scores = observed.sign * observed.scores[0]
    finite = scores[np.isfinite(scores)]
    found = mean_of(finite)
    mean, se, low, high = (
        None if math.isnan(value) else value
        for value in (found.mean, found.se, found.low, found.high)
    )
    return Reserved(repetitions=len(scores), n=found.n, mean=mean, se=se, low=low, high=high)


@dataclass(frozen=True)
class Verified:
    """What a verification found about a pick.

    Attributes
    ----------
    point, metric, expected, mean, top_point, top_mean
        As in `Pick`.
    chosen_by
        What chose it: `Pick.by`.
    setup
        Name of the set-up of its trainings: with another one, this is about another study.
    reserved
        Its score on the reserved repetitions.
    baselines
        Compared with it on the same repetitions.
    repeated
        Its records, and the same trainings run once more.
    """

    point: str
    setup: str
    chosen_by: str
    metric: str
    reserved: Reserved
    baselines: tuple[BaselineSummary, ...]
    expected: float
    mean: float
    top_point: str
    top_mean: float
    repeated: Repeated

    def is_about(self, pick: Pick, setup: str) -> bool:
        """Return whether this is about a pick of the study with a set-up."""
        return (self.point, self.setup, self.metric) == (pick.point, setup, pick.metric)

    @classmethod
    def read(cls, path: Path) -> Verified:
        """Read what `write` wrote.

        Raises
        ------
        StudyError
            If it is no verification.
        """
        try:
            written = yaml.safe_load(path.read_text(encoding="utf-8"))
            read = {
                "reserved": Reserved(**written["reserved"]),
                "baselines": tuple(map(_read_baseline, written["baselines"])),
                "repeated": _read_repeated(written["repeated"]),
            }
            return cls(**{**written, **read})
        except (AttributeError, KeyError, TypeError, ValueError, yaml.YAMLError) as error:
            raise StudyError(
                f"{path} holds no verification; delete it and run `snakemake verify`"
            ) from error

    def write(self, path: Path) -> None:
        """Write it as YAML, atomically; a number that is not finite is null."""
        content = asdict(self)
        content["baselines"] = [
            {name: None if value != value else value for name, value in one.items()}
            for one in content["baselines"]
        ]
        repeated = self.repeated
        content["repeated"] |= {
            "largest_difference": (
                repeated.largest_difference if math.isfinite(repeated.largest_difference) else None
            ),
            "made_with": {
                name: {"then": then, "now": now} for name, (then, now) in repeated.made_with.items()
            },
        }
        write_text(path, yaml.safe_dump(content, sort_keys=False, allow_unicode=True, width=100))


def _read_baseline(written: Mapping[str, Any]) -> BaselineSummary:
    values: dict[str, Any] = {
        name: math.nan if value is None else value for name, value in written.items()
    }
    return BaselineSummary(**values)


def _read_repeated(written: Mapping[str, Any]) -> Repeated:
    largest, made_with = written["largest_difference"], written["made_with"]
    return Repeated(
        trainings=written["trainings"],
        identical=written["identical"],
        largest_difference=math.inf if largest is None else largest,
        made_with={name: (both["then"], both["now"]) for name, both in made_with.items()},
    )


def verify(
    pick: Pick,
    setup: str,
    pairs: Sequence[tuple[Path, Path]],
    observed: Observations,
    baselines: pd.DataFrame,
) -> Verified:
    """Compare the trainings of a pick with their repeats, and score it.

    Parameters
    ----------
    setup
        Name of the set-up of the trainings.
    pairs
        As for `compare`.
    observed
        The reserved repetitions of the pick alone.
    baselines
        On the same repetitions, as `gridloom.baselines.measure.measure_baselines` makes it.
    """
    beside = observed.objective(pick.point)
    return Verified(
        point=pick.point,
        setup=setup,
        chosen_by=pick.by,
        metric=pick.metric,
        reserved=score(observed),
        baselines=tuple(summarize_baselines(baselines, pick.metric, pick.mode, beside)),
        expected=pick.expected,
        mean=pick.mean,
        top_point=pick.top_point,
        top_mean=pick.top_mean,
        repeated=compare(pairs),
    )


def observe_reserved(records: Sequence[Path], pick: Pick, diverged_above: float) -> Observations:
    """Read the reserved repetitions of a pick.

    Parameters
    ----------
    records
        Records of these repetitions.
    diverged_above
        The loss above which a training counts as diverged.
    """
    end = max(job_repetitions(record).stop for record in records)
    names = list(pick.hyperparameters)
    gathered = gather(records, names, end, pick.metric, pick.mode, diverged_above=diverged_above)
    return observe(gathered.runs, {}, pick.metric, pick.mode)


def describe_verified(verified: Verified, pick: Pick) -> str:
    """Describe for the screen what was found about a pick."""
    repeated = verified.repeated
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
    lines += _describe_reserved(verified.reserved, pick)
    baselines = describe_baselines(verified.baselines, pick.mode, reserved=True)
    if baselines is not None:
        lines.append(f"baselines   {baselines}")
    return "\n".join(lines)


def _describe_reserved(reserved: Reserved, pick: Pick) -> list[str]:
    """Describe the score on the reserved repetitions beside those that chose the pick."""
    if reserved.mean is None:
        return [
            f"new seeds   none of {reserved.repetitions} reserved repetitions has a "
            f"{pick.metric}: all of them diverged, or have no number"
        ]
    sure = (
        "no interval, as only one has a number"
        if reserved.low is None
        else f"95 % interval over seeds {reserved.low:.5g} to {reserved.high:.5g}"
    )
    lines = [
        f"new seeds   {pick.metric} {reserved.mean:.5g} over {reserved.n} repetitions that chose "
        f"nothing ({sure})"
    ]
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
    return lines


def describe_briefly(verified: Verified) -> str:
    """Describe in a sentence or two what was found."""
    reserved, repeated = verified.reserved, verified.repeated
    others = repeated.trainings - repeated.identical
    again = (
        f"{others:,} of its trainings do not repeat bit for bit (see `verify.yaml`)."
        if others
        else "Its trainings repeat bit for bit."
    )
    if reserved.mean is None:
        return f"None of its reserved repetitions has a {verified.metric}. {again}"
    interval = (
        ""
        if reserved.low is None
        else f" (95 % interval {reserved.low:.4g} to {reserved.high:.4g})"
    )
    return (
        f"Over {reserved.n} repetitions that chose nothing, it scored {reserved.mean:.4g}"
        f"{interval}. {again}"
    )


def _plain(value: Any, other: Any) -> str:
    """Show a value; of a mapping, such as packages, show only what differs from `other`."""
    if isinstance(value, dict) and isinstance(other, dict):
        differing = sorted(
            name for name in value.keys() | other.keys() if value.get(name) != other.get(name)
        )
        return ", ".join(f"{name} {value.get(name, 'none')}" for name in differing)
    return str(value)
