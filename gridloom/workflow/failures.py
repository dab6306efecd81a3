"""The closing summary of a run: which points failed or were interrupted, why, how to go on.

Standard library only, because each job's Snakemake imports this module.
"""

from __future__ import annotations

import json
import re
import shlex
import zipfile
from collections.abc import Iterable
from pathlib import Path

from gridloom.naming.blocks import log_of, unfinished_of
from gridloom.workers.client import ERROR, INTERRUPTED

#: Most causes shown, each with one record; the most frequent come first. Ten lines at most.
MAX_CAUSES = 2

#: Longest cause, in characters.
MAX_CAUSE = 300

#: Cause of a job whose log has none.
NO_MESSAGE = "left no message in its log, as when it is killed or the disk is full"

_ARGUMENTS = re.compile(r"build_model\(.*?\) (?=raised|in|returned)")


def failed_records(results: str, records: Iterable[str], since: float) -> dict[str, str]:
    """Return the cause for each record that is missing although its training started.

    Parameters
    ----------
    results
        Folder of the study's results.
    records
        Records that the study needs.
    since
        Start of the run, in seconds since 1970; older logs belong to other runs.
    """
    failed = {}
    for record in records:
        log = log_of(Path(results), Path(record))
        try:
            begun = log.stat().st_mtime >= since and not Path(record).exists()
        except OSError:
            continue
        if begun:
            failed[record] = cause_of(log)
    return failed


def cause_of(log: Path) -> str:
    """Return why the job failed that wrote a log; files of this folder without its path."""
    try:
        lines = log.read_text(encoding="utf-8", errors="replace").splitlines()
    except OSError:
        lines = []
    causes = [line.removeprefix(ERROR) for line in lines if line.startswith(ERROR)]
    if not causes:
        return NO_MESSAGE
    cause = without_arguments(causes[-1].strip()).replace(f"{Path.cwd()}/", "")
    return cause if len(cause) <= MAX_CAUSE else cause[: MAX_CAUSE - 1] + "…"


def is_interruption(cause: str) -> bool:
    """Return whether a job with this cause did not fail, but was ended by Ctrl-C or a signal."""
    return cause.startswith(INTERRUPTED)


def describe_kept(records: Iterable[str]) -> str:
    """Say how much of what unfinished jobs have trained is kept."""
    finished = checkpoints = 0
    for record in records:
        of_job, has_checkpoint = _kept(unfinished_of(Path(record)))
        finished += of_job
        checkpoints += has_checkpoint
    kept = {"finished training": finished, "checkpoint": checkpoints}
    counted = [f"{count:,} {what}{'s' * (count != 1)}" for what, count in kept.items() if count]
    return f"kept: {', '.join(counted)}" if counted else "nothing to keep yet"


def _kept(file: Path) -> tuple[int, bool]:
    """Return how many finished trainings a job's file has, and whether it has a checkpoint.

    `gridloom.training.unfinished` writes it with NumPy, which takes long to import here.
    """
    try:
        with zipfile.ZipFile(file) as arrays:
            about = arrays.read("arr_0.npy")
            fits = json.loads(about[about.index(b"\n") + 1 :])["fits"]
            return sum(map(len, fits.values())), len(arrays.namelist()) > 1
    except (OSError, ValueError, LookupError, AttributeError, TypeError, zipfile.BadZipFile):
        return 0, False


def without_arguments(cause: str) -> str:
    """Return a cause without the arguments of `build_model`, which differ between points."""
    return _ARGUMENTS.sub("build_model ", cause)


def describe_failures(
    results: str,
    failed: dict[str, str],
    count: int,
    kept: int,
    study: Iterable[str] = (),
    targets: Iterable[str] = (),
) -> str:
    """Describe the records of jobs that were interrupted or failed, and how to go on.

    Failures are grouped by cause, each with a log and how to retry it.

    Parameters
    ----------
    results
        Folder of the study's results.
    failed
        From `failed_records`.
    count
        Number of records that the study needs.
    kept
        Number of records that exist.
    study
        Arguments with which `snakemake` reads this study; none for the default study.
    targets
        What `snakemake` was asked for; nothing for the default.
    """
    again = shlex.join(study)
    interrupted = [record for record, cause in failed.items() if is_interruption(cause)]
    broken = {record: cause for record, cause in failed.items() if not is_interruption(cause)}
    lines = []
    if interrupted:
        number = f"{len(interrupted):,} of {count:,} records"
        lines.append(f"{number} were interrupted; {describe_kept(interrupted)}.")
    if broken:
        # A job that keeps something is no record yet, so `partial` does not show it.
        begun = any(unfinished_of(Path(record)).exists() for record in broken)
        so_far = "what was trained is kept" if kept or begun else "nothing is trained yet"
        lines.append(f"{len(broken):,} of {count:,} records failed; {so_far}.")
        lines += _describe_causes(results, broken, again)
    retry = shlex.join(["snakemake", *targets, *study])
    partial = f"snakemake partial {again}".rstrip()
    shows = f", `{partial}` shows what is finished" if kept else ""
    goes_on = "retries all of them" if broken else "trains the rest"
    lines.append(f"`{retry}` {goes_on}{shows}.")
    return "\n".join(lines)


def _describe_causes(results: str, failed: dict[str, str], again: str) -> list[str]:
    by_cause: dict[str, list[str]] = {}
    for record, cause in failed.items():
        by_cause.setdefault(cause, []).append(record)
    lines = []
    causes = sorted(by_cause.items(), key=lambda item: -len(item[1]))
    for cause, records in causes[:MAX_CAUSES]:
        lines.append(f"{len(records):,} × {cause}")
        lines.append(f"  log    {shlex.quote(str(log_of(Path(results), Path(records[0]))))}")
        # The record comes first, because --configfile and --config take all words after them.
        lines.append(f"  retry  snakemake --cores all {shlex.quote(records[0])} {again}".rstrip())
    if len(causes) > MAX_CAUSES:
        lines.append(f"and {len(causes) - MAX_CAUSES:,} more causes; see the logs")
    return lines
