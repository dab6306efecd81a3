"""The closing summary of a run: which points failed, why, and how to retry them.

Standard library only, because each job's Snakemake imports this module.
"""

from __future__ import annotations

import re
import shlex
from collections.abc import Iterable
from pathlib import Path

from gridloom.naming.blocks import log_of, unfinished_of
from gridloom.workers.client import ERROR

#: Most causes shown, each with one record; the most frequent come first. Ten lines at most.
MAX_CAUSES = 2

#: Longest cause, in characters.
MAX_CAUSE = 300

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
    """Return why the job failed that wrote a log."""
    try:
        lines = log.read_text(encoding="utf-8", errors="replace").splitlines()
    except OSError:
        lines = []
    causes = [line.removeprefix(ERROR) for line in lines if line.startswith(ERROR)]
    if not causes:
        return "left no message in its log, as when it is killed or the disk is full"
    cause = without_arguments(causes[-1].strip())
    return cause if len(cause) <= MAX_CAUSE else cause[: MAX_CAUSE - 1] + "…"


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
    """Describe the failed records, grouped by cause, each with a log and how to retry it.

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
    by_cause: dict[str, list[str]] = {}
    for record, cause in failed.items():
        by_cause.setdefault(cause, []).append(record)
    # A job that keeps something is no record yet, so `partial` does not show it.
    begun = any(unfinished_of(Path(record)).exists() for record in failed)
    so_far = "what was trained is kept" if kept or begun else "nothing is trained yet"
    lines = [f"{len(failed):,} of {count:,} jobs of `train` failed; {so_far}."]
    causes = sorted(by_cause.items(), key=lambda item: -len(item[1]))
    for cause, records in causes[:MAX_CAUSES]:
        lines.append(f"{len(records):,} × {cause}")
        lines.append(f"  log    {shlex.quote(str(log_of(Path(results), Path(records[0]))))}")
        # The record comes first, because --configfile and --config take all words after them.
        lines.append(f"  retry  snakemake --cores all {shlex.quote(records[0])} {again}".rstrip())
    if len(causes) > MAX_CAUSES:
        lines.append(f"and {len(causes) - MAX_CAUSES:,} more causes; see the logs")
    retry = shlex.join(["snakemake", *targets, *study])
    partial = f"snakemake partial {again}".rstrip()
    shows = f", `{partial}` shows what is finished" if kept else ""
    lines.append(f"`{retry}` retries all of them{shows}.")
    return "\n".join(lines)
