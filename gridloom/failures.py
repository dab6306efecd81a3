"""The closing summary of a run: which points failed, why, and how to retry them.

Standard library only: it is imported by each job's Snakemake.
"""

from __future__ import annotations

import re
import shlex
from collections.abc import Iterable
from pathlib import Path

from gridloom.blocks import log_of
from gridloom.training.client import ERROR

#: Records named for each cause; the others fail alike.
MAX_NAMED = 3

#: Causes told; the most frequent first.
MAX_CAUSES = 5

#: Longest cause, in characters.
MAX_CAUSE = 300

# What a point was built with tells points apart, not causes.
_ARGUMENTS = re.compile(r"build_model\(.*?\) (?=raised|in|returned)")


def failed_records(results: str, records: Iterable[str], since: float) -> dict[str, str]:
    """Return the cause for each record whose training began and failed.

    A record that was there before outlives a training of it that fails, so the log decides.

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
            if log.stat().st_mtime < since:
                continue
        except OSError:
            continue
        cause = _cause(log)
        if cause is None and not Path(record).exists():
            cause = "ended without a message"
        if cause is not None:
            failed[record] = cause
    return failed


def _cause(log: Path) -> str | None:
    lines = log.read_text(encoding="utf-8", errors="replace").splitlines()
    causes = [line.removeprefix(ERROR) for line in lines if line.startswith(ERROR)]
    if not causes:
        return None
    cause = _ARGUMENTS.sub("build_model ", causes[-1].strip())
    return cause if len(cause) <= MAX_CAUSE else cause[: MAX_CAUSE - 1] + "…"


def tell_failures(results: str, failed: dict[str, str], count: int) -> str:
    """Say which of `count` records failed, grouped by cause, with logs and how to retry one."""
    by_cause: dict[str, list[str]] = {}
    for record, cause in failed.items():
        by_cause.setdefault(cause, []).append(record)
    lines = [f"{len(failed):,} of {count:,} jobs of `train` failed; what was trained is kept."]
    causes = sorted(by_cause.items(), key=lambda item: -len(item[1]))
    for cause, records in causes[:MAX_CAUSES]:
        lines += ["", f"{len(records):,} × {cause}"]
        for record in records[:MAX_NAMED]:
            lines.append(f"  log    {shlex.quote(str(log_of(Path(results), Path(record))))}")
            lines.append(f"  retry  snakemake --cores all {shlex.quote(record)}")
        if len(records) > MAX_NAMED:
            lines.append(f"  and {len(records) - MAX_NAMED:,} more with this cause")
    if len(causes) > MAX_CAUSES:
        lines += ["", f"and {len(causes) - MAX_CAUSES:,} more causes, told in the logs"]
    lines += ["", "`snakemake` retries all of them, `snakemake partial` shows what there is."]
    return "\n".join(lines)
