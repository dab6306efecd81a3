"""The last message of a run: what it trained, what to take, and where to look.

Nothing heavy is imported here: pandas would take half a second of Snakemake's own process.
"""

from __future__ import annotations

import csv
from collections.abc import Collection
from dataclasses import dataclass
from pathlib import Path

from gridloom.analysis.pick import Pick
from gridloom.errors import StudyError
from gridloom.workflow.progress import Outlook, describe_duration, describe_score


@dataclass(frozen=True)
class Answer:
    """The result of a finished study.

    Attributes
    ----------
    pick
        The chosen configuration.
    diverged
        Number of trainings that diverged.
    """

    pick: Pick
    diverged: int


def read_answer(pick: Path, summary: Path) -> Answer | None:
    """Read the answer from ``best.yaml`` and ``summary.csv``; None if they cannot be read."""
    try:
        with summary.open(encoding="utf-8", newline="") as stream:
            diverged = sum(int(row["n_diverged"]) for row in csv.DictReader(stream))
        return Answer(Pick.read(pick), diverged)
    except (OSError, LookupError, ValueError, StudyError):
        return None


def describe_trained(outlook: Outlook, seconds: float, adopted: int = 0) -> str:
    """Describe what a run trained, for a run that made no tables; see `describe_answer`."""
    count = sum(map(outlook.trainings, outlook.pending))
    counted = f"{count:,} trainings" + (f", {adopted:,} of them adopted" if adopted else "")
    return f"Finished in {describe_duration(seconds)}: {counted}."


def describe_touched(missing: Collection[str]) -> str:
    """Describe what ``snakemake --touch`` did, given the records that are missing."""
    text = "Finished files count as up to date (--touch); nothing was trained or made."
    if missing:
        text += f" Missing records: {len(missing):,}; `snakemake` trains them."
    return text


def describe_answer(
    outlook: Outlook, answer: Answer | None, results: str, seconds: float, adopted: int = 0
) -> str:
    """Describe what a finished study found, and where to look.

    Parameters
    ----------
    answer
        From `read_answer`.
    results
        Folder of the study.
    seconds
        How long the run took.
    adopted
        How many of the trainings that it made were adopted from earlier records.
    """
    made = sum(map(outlook.trainings, outlook.pending))
    total = made + sum(map(outlook.trainings, outlook.existing))
    new = made - adopted
    counted = f"{total:,} trainings" + (f", {new:,} of them new" if new < total else "")
    if adopted:
        counted += f", {adopted:,} adopted"
    diverged = "" if answer is None else f", {answer.diverged:,} diverged"
    lines = [f"Finished in {describe_duration(seconds)}: {counted}; none failed{diverged}."]
    if answer is not None:
        lines += _describe_pick(outlook, answer.pick)
    lines.append(f"look   {results}/report.html, {results}/summary.csv, {results}/figures")
    return "\n".join(lines)


def _describe_pick(outlook: Outlook, pick: Pick) -> list[str]:
    # Each line fits into 80 columns, beside names that are not long.
    about = "one repetition, so its error is not known"
    if pick.se is not None:
        about = (
            f"mean ± standard error of {pick.n} repetitions; expect {pick.expected:.4g} when "
            "trained again"
        )
    lines = [
        f"take   {outlook.describe_swept(pick.point)}",
        f"       {pick.metric} {describe_score(pick.mean, pick.se)}",
        f"       {about}",
    ]
    if pick.tied is not None:
        lines.append(
            f"tied   {pick.tied:,} of {pick.configurations:,} configurations may be the best"
        )
    return lines
