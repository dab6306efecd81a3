"""Files of trainings that a study does not use, such as those of values its grid had earlier.

They are records, and what unfinished jobs have trained so far, also in the store.
"""

from __future__ import annotations

import contextlib
from collections.abc import Iterable, Mapping
from pathlib import Path

from gridloom.naming.blocks import log_of, read_block, record_of
from gridloom.workers.client import STORE, store_of

#: Most records shown on the screen; the log lists all.
MAX_NAMED = 20


def unused_records(results: Path, used: Iterable[str]) -> dict[Path, int]:
    """Return the size in bytes of each record below `results` that is not in `used`.

    What an unfinished job has trained is used until its record is there.

    Parameters
    ----------
    results
        Folder of the study's results.
    used
        Paths of the records that the study uses, which begin with `results`.
    """
    kept = {Path(path) for path in used}
    unused = {}
    for file in sorted((results / "points").rglob("reps=*")):
        record = record_of(file)
        if record is None or (record in kept and (file == record or not record.exists())):
            continue
        unused[file] = file.stat().st_size
    stored = {Path(store_of(str(record))).name for record in kept}
    for file in sorted((results / STORE).glob("*.json")):
        if file.name not in stored:
            unused[file] = file.stat().st_size
    return unused


def describe_unused(unused: Mapping[Path, int], *, removed: bool) -> str:
    """List unused records and how to remove them, or say that they are `removed`."""
    if not unused:
        return "The study uses every record."
    size = sum(unused.values())
    shown_size = f"{size / 1e6:,.1f} MB" if size >= 1e5 else f"{size / 1e3:,.1f} kB"
    records = sum(read_block(file.name) is not None for file in unused)
    stored = sum(file.parent.name == STORE for file in unused)
    counted = {
        "record": records,
        "unfinished job": len(unused) - records - stored,
        "stored record": stored,
    }
    kinds = [f"{count:,} {kind}{'s' * (count != 1)}" for kind, count in counted.items() if count]
    count = f"{' and '.join(kinds)}, {shown_size}"
    if removed:
        return f"Removed {count}, which the study does not use."
    lines = [f"  {path}" for path in unused]
    if len(lines) > MAX_NAMED:
        lines[MAX_NAMED:] = [f"  and {len(lines) - MAX_NAMED:,} more"]
    return "\n".join(
        [
            f"{count}, which the study does not use:",
            *lines,
            "As long as they are kept, their values need no training if you add them again, and "
            "the study may adopt them after an edit of the model file. Another study that writes "
            "to this folder may use them.",
            "Remove them with `snakemake prune_remove`.",
        ]
    )


def remove_records(results: Path, unused: Iterable[Path]) -> None:
    """Remove files of `unused_records`, the logs of their jobs, and folders that become empty."""
    for of_job in unused:
        removed = [of_job]
        record = record_of(of_job)
        if record is not None and (record == of_job or not record.exists()):
            removed.append(log_of(results, record))
        for file in removed:
            file.unlink(missing_ok=True)
            with contextlib.suppress(OSError):  # a folder that is not empty stays
                for folder in file.relative_to(results).parents:
                    (results / folder).rmdir()
