"""The closing summary of a run: which points failed, why, and how to retry them.

Standard library only: it is imported by each job's Snakemake.
"""

from __future__ import annotations

import re
import shlex
from collections.abc import Iterable
from pathlib import Path

from gridloom.naming.blocks import log_of
from gridloom.workers.client import ERROR

#: Records named for each cause; the others fail alike.
MAX_NAMED = 3

#: Causes told; the most frequent first.
MAX_CAUSES = 5

#: Longest cause, in characters.
MAX_CAUSE = 300

# What a point was built with tells points apart, not causes.
_ARGUMENTS = re.compile(r"build_model\(.*?\) (?=raised|in|returned)")


def failed_records(results: str, records: Iterable[str], since: float) -> dict[str, str]:
    """Return the cause for each record that is missing although its training began.

    Parameters
    ----------
    results
        Folder of the study.
    records
        Those that the study needs.
    since
        When the run began, in seconds since 1970; older logs tell of other runs.
    """
    failed = {}
    for record in records:
        log = log_of(Path(results), Path(record))
        try:
            begun = log.stat().st_mtime >= since and not Path(record).exists()
        except OSError:
            continue
        if begun:
            failed[record] = _cause(log)
    return failed


def _cause(log: Path) -> str:
    lines = log.read_text(encoding="utf-8", errors="replace").splitlines()
    causes = [line.removeprefix(ERROR) for line in lines if line.startswith(ERROR)]
    if not causes:
        return "left no message in its log, as when it is killed or the disk is full"
    cause = _ARGUMENTS.sub("build_model ", causes[-1].strip())
    return cause if len(cause) <= MAX_CAUSE else cause[: MAX_CAUSE - 1] + "…"


def describe_failures(
    results: str, failed: dict[str, str], count: int, kept: int, study: Iterable[str] = ()
) -> str:
    """Say which of `count` records failed, grouped by cause, with logs and how to retry one.

    Parameters
    ----------
    kept
        How many records there are.
    study
        Arguments with which `snakemake` reads this study; none for the default one.
    """
    again = shlex.join(study)
    by_cause: dict[str, list[str]] = {}
    for record, cause in failed.items():
        by_cause.setdefault(cause, []).append(record)
    so_far = "what was trained is kept" if kept else "nothing is trained yet"
    lines = [f"{len(failed):,} of {count:,} jobs of `train` failed; {so_far}."]
    causes = sorted(by_cause.items(), key=lambda item: -len(item[1]))
    for cause, records in causes[:MAX_CAUSES]:
        lines += ["", f"{len(records):,} × {cause}"]
        for record in records[:MAX_NAMED]:
            lines.append(f"  log    {shlex.quote(str(log_of(Path(results), Path(record))))}")
            # The record first: --configfile and --config take every word that follows.
            lines.append(f"  retry  snakemake --cores all {shlex.quote(record)} {again}".rstrip())
        if len(records) > MAX_NAMED:
            lines.append(f"  and {len(records) - MAX_NAMED:,} more with this cause")
    if len(causes) > MAX_CAUSES:
        lines += ["", f"and {len(causes) - MAX_CAUSES:,} more causes; see the logs"]
    retry, partial = f"snakemake {again}".rstrip(), f"snakemake partial {again}".rstrip()
    shows = f", `{partial}` shows what there is" if kept else ""
    lines += ["", f"`{retry}` retries all of them{shows}."]
    return "\n".join(lines)
