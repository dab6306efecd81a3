"""Next: where the grid ends too early, and which values to add."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import yaml

from gridloom.analysis.intervals import CONFIDENCE, Mean, mean_of
from gridloom.analysis.matched import matched_differences
from gridloom.analysis.observations import Observations
from gridloom.files import write_text

#: Two positive values that differ by a larger factor are taken as steps of a constant factor.
MIN_FACTOR = 4

Number = int | float


@dataclass(frozen=True)
class End:
    """An axis whose best value is the last one on its side of the list.

    Attributes
    ----------
    axis, best, neighbour
        The axis, its best value, the one next to it.
    better
        How much better `best` is than `neighbour`, all else alike, near the best configurations;
        more is better.
    added
        The value to try beyond it.
    values
        All values with `added`.
    configurations
        How many configurations come with it.
    """

    axis: str
    best: Number
    neighbour: Number
    better: Mean
    added: Number
    values: list[Number]
    configurations: int


def ends(
    observations: Observations, near: np.ndarray, numbers: Mapping[str, Sequence[Number]]
) -> list[End]:
    """Find the axes whose best value is surely at the end of its list.

    That is sure if the interval of its difference to the value next to it lies above 0, at 95 % for
    all ends of all axes together (Bonferroni), and no other value has a better mean.

    Parameters
    ----------
    near
        Configurations that cannot be told apart from the best, bool, shape (N,).
    numbers
        Axis of numbers → its values, in the order of `observations.axes`.
    """
    axes = {name: values for name, values in numbers.items() if len(values) > 1}
    level = 1 - (1 - CONFIDENCE) / max(2 * len(axes), 1)
    found = []
    for axis, values in axes.items():
        text = dict(zip(values, observations.axes[axis], strict=False))
        ascending = sorted(values)
        for along in (ascending, ascending[::-1]):
            best, neighbour, added = along[-1], along[-2], beyond(along)
            if added is None:
                continue
            better = [
                _advantage(
                    matched_differences(observations, axis, text[best], text[other], near), level
                )
                for other in along[-2::-1]
            ]
            nearest = better[0]
            # Without pairs, or with one repetition, it is NaN, which is not above 0.
            if not nearest.low > 0 or any(each.mean <= 0 for each in better):
                continue
            count = int((observations.points[axis] == text[best]).sum())
            found.append(
                End(axis, best, neighbour, nearest, added, [*values, added], configurations=count)
            )
    return found


def _advantage(differences: np.ndarray, level: float) -> Mean:
    """Return the mean difference, over repetitions: pairs share the seeds of a repetition.

    Parameters
    ----------
    differences
        Shape (pairs, r).
    """
    return mean_of(differences.mean(axis=0) if len(differences) else np.empty(0), level)


def beyond(values: Sequence[Number]) -> Number | None:
    """Return the value that goes on with a list beyond its last; None if there is none.

    The list goes on by equal steps or equal factors, whichever fits its own steps better, and
    does not reach or cross 0. Whole numbers stay whole, others get two digits.

    Parameters
    ----------
    values
        Two or more different numbers, ascending or descending.
    """
    last, before = values[-1], values[-2]
    by_step = last + (last - before)
    by_factor = last * (last / before) if min(values) > 0 else None
    crosses = by_step * last <= 0
    if by_factor is not None and (crosses or _grows_by_factors(values)):
        reached = by_factor
    elif crosses and min(values) >= 0:
        return None
    else:
        reached = by_step
    if all(isinstance(value, int) for value in values):
        whole = round(reached)
        return None if whole == last or (whole <= 0 < min(values)) else whole
    rounded = float(f"{reached:.2g}")
    return None if rounded == last else rounded


def _grows_by_factors(values: Sequence[Number]) -> bool:
    if len(values) == 2:
        return max(values) >= MIN_FACTOR * min(values)
    return _unevenness(np.diff(np.log(values))) < _unevenness(np.diff(values))


def _unevenness(steps: np.ndarray) -> float:
    return float(steps.std() / abs(steps.mean()))


def write_next(found: Sequence[End], trainings: int, seconds: float, path: Path) -> None:
    """Write the values to add as YAML that a study's file takes, each with why and its price.

    Parameters
    ----------
    trainings
        Trainings of each configuration.
    seconds
        Mean seconds of a training.
    """
    lines = ["# What to try next: paste these lists under `hyperparameters:` of the study."]
    if not found:
        lines += [
            "# No axis of numbers has its best value surely at the end of its list.",
            "hyperparameters: {}",
        ]
    else:
        lines.append("hyperparameters:")
    for end in found:
        lines += [
            f"  # {describe_end(end)}",
            f"  # {describe_price(end.configurations, trainings, seconds)}",
            "  " + yaml.safe_dump({end.axis: end.values}, default_flow_style=None).strip(),
        ]
    write_text(path, "\n".join(lines) + "\n")


def describe_end(end: End) -> str:
    """Say which end of which list is the best, and by how much."""
    by = end.better
    return (
        f"{end.best:g} is the end of the list and better than {end.neighbour:g} by "
        f"{by.mean:.2g} ({by.low:.2g} to {by.high:.2g}), all else alike."
    )


def describe_price(configurations: int, trainings: int, seconds: float) -> str:
    """Say what more configurations cost."""
    total = configurations * trainings
    needed = total * seconds
    time = f"{needed:.0f} s" if needed < 120 else f"{math.ceil(needed / 60):,} min"
    return f"{configurations:,} configurations, {total:,} trainings, about {time} of one core."
