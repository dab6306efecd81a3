"""The last words of a run: what it trained, what is best, and where to look.

Standard library only: pandas would take half a second of Snakemake's own process.
"""

from __future__ import annotations

import csv
import math
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from gridloom.workflow.progress import Outlook, describe_duration, describe_score


@dataclass(frozen=True)
class Answer:
    """What the table of points says of a study.

    Attributes
    ----------
    points
        How many there are.
    diverged
        Trainings that diverged.
    point
        The first one of rank 1: its path.
    mean, error
        Of its objective over `n` repetitions; the error is the standard error. NaN where there are
        too few of them.
    n
        Its repetitions that have a score.
    tied
        Points that may be the best; None if the table does not tell.
    """

    points: int
    diverged: int
    point: str
    mean: float
    error: float
    n: int
    tied: int | None


def read_answer(summary: Path, metric: str) -> Answer | None:
    """Read what is best off ``summary.csv``; None if the table does not tell."""
    points, diverged, tied = 0, 0, 0
    best: dict[str, str] | None = None
    try:
        with summary.open(encoding="utf-8", newline="") as stream:
            for row in csv.DictReader(stream):
                points += 1
                diverged += int(row["n_diverged"])
                tied += row.get("tied_with_best", "").lower() in ("true", "1")
                if best is None and row["rank"] == "1":
                    best = row
        if best is None:
            return None
        return Answer(
            points=points,
            diverged=diverged,
            point=best["point"],
            mean=_number(best[f"{metric}_mean"]),
            error=_number(best[f"{metric}_se"]),
            n=int(best["n"]),
            tied=tied if "tied_with_best" in best else None,
        )
    except (OSError, LookupError, ValueError):
        return None


def _number(cell: str) -> float:
    return float(cell) if cell else math.nan


def describe_trained(outlook: Outlook, seconds: float) -> str:
    """Describe what a run trained that made no table."""
    count = sum(map(outlook.trainings, outlook.pending))
    return f"Finished in {describe_duration(seconds)}: {count:,} trainings."


def describe_answer(outlook: Outlook, answer: Answer | None, results: str, seconds: float) -> str:
    """Describe what a finished study found, and where to look.

    Parameters
    ----------
    answer
        From `read_answer`.
    results
        Folder of the study.
    seconds
        How long the run took.
    """
    trained = sum(map(outlook.trainings, outlook.pending))
    total = trained + sum(map(outlook.trainings, outlook.existing))
    counted = f"{total:,} trainings" + (f", {trained:,} of them new" if trained < total else "")
    diverged = "" if answer is None else f", {answer.diverged:,} diverged"
    lines = [f"Finished in {describe_duration(seconds)}: {counted}; none failed{diverged}."]
    if answer is not None:
        lines += _describe_best(outlook, answer)
    lines.append(f"look   {results}/verdict.md, {results}/summary.csv, {results}/figures")
    return "\n".join(lines)


def _describe_best(outlook: Outlook, answer: Answer) -> Sequence[str]:
    if math.isnan(answer.mean):
        return [f"best   none: no configuration has a {outlook.metric}, all diverged or lack it"]
    if math.isnan(answer.error):
        score = f"{describe_score(answer.mean, None)} (one repetition: no error is known)"
    else:
        score = describe_score(answer.mean, answer.error)
        score += f" (mean and standard error of {answer.n} repetitions)"
    lines = [f"best   {outlook.metric} {score}", f"       {outlook.describe_swept(answer.point)}"]
    if answer.tied is not None:
        lines.append(f"tied   {answer.tied:,} of {answer.points:,} configurations may be the best")
    return lines
