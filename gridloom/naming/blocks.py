"""Blocks of repetitions: which record files a point needs, given those that exist.

Standard library only, because Snakemake asks this for every point.
"""

from __future__ import annotations

import json
import os
import re
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

#: Repetitions from here on are never used to choose, only to score what was chosen.
FIRST_RESERVED = 1_000_000

_RECORD = re.compile(r"reps=(\d+)-(\d+)\.json")

_UNFINISHED = ".unfinished.npz"


@dataclass(frozen=True, order=True)
class Block:
    """Repetitions from first to last, both included."""

    first: int
    last: int

    @property
    def repetitions(self) -> range:
        """The repetitions, in order."""
        return range(self.first, self.last + 1)

    @property
    def file(self) -> str:
        """Name of its record."""
        return f"reps={self.first}-{self.last}.json"


def read_block(file: str) -> Block | None:
    """Return the block whose record has this file name; None if it is not a record's name."""
    match = _RECORD.fullmatch(file)
    return Block(int(match[1]), int(match[2])) if match else None


def job_repetitions(record: Path) -> range:
    """Return the repetitions that a record's name states.

    Raises
    ------
    ValueError
        If it is not a record's name.
    """
    block = read_block(record.name)
    if block is None:
        raise ValueError(f"{record} is not the path of a record")
    return block.repetitions


def point_of(record: str | Path) -> str:
    """Return the path of a record's point: the part between the set-up and the file name."""
    _, _, point = str(Path(record).parent).rpartition("/points/")[2].partition("/")
    return point


def log_of(results: Path, record: Path) -> Path:
    """Return the log of the job that makes a record."""
    return results / "logs" / record.relative_to(results).with_suffix(".log")


def unfinished_of(record: Path) -> Path:
    """Return the file that keeps what an unfinished job of a record has trained so far."""
    return record.with_name(f"{record.stem}{_UNFINISHED}")


def record_of(file: Path) -> Path | None:
    """Return the record to which a file of its folder belongs; None if to none.

    The file is the record itself, or what its unfinished job has trained.
    """
    record = file.with_name(file.name.removesuffix(_UNFINISHED) + ".json")
    for known in (file, record):
        if read_block(known.name) is not None:
            return known
    return None


def cover(
    existing: Iterable[Block], repetitions: int, per_job: int | None, *, first: int = 0
) -> list[Block]:
    """Cover repetitions `first` to `repetitions` - 1 with blocks, using those that exist.

    So raising `repetitions` trains only the new ones, and lowering it trains none. An existing
    block that reaches beyond the end is used as it is.

    Parameters
    ----------
    per_job
        Largest size of a new block; None for no limit.
    """
    longest: dict[int, int] = {}
    for block in existing:
        longest[block.first] = max(block.last, longest.get(block.first, -1))
    covered: list[Block] = []
    start = first
    while start < repetitions:
        last = longest.get(start)
        if last is None:
            next_known = min((first for first in longest if first > start), default=repetitions)
            last = min(next_known, repetitions, start + (per_job or repetitions)) - 1
        covered.append(Block(start, last))
        start = last + 1
    return covered


def existing_blocks(folder: Path) -> tuple[list[Block], list[Block]]:
    """List the records in a point's folder: those to use, and those that are cut short."""
    whole: list[Block] = []
    cut: list[Block] = []
    try:
        names = os.listdir(folder)  # noqa: PTH208 (for 10,000 points, a Path for each file is slow)
    except (FileNotFoundError, NotADirectoryError):
        return whole, cut
    for name in names:
        block = read_block(name)
        if block is not None:
            (cut if is_cut_short(folder / name) else whole).append(block)
    return whole, cut


def is_cut_short(record: Path) -> bool:
    """Return whether a file holds only the beginning of a record, or nothing.

    A record ends in ``}`` and a line break, so its last two bytes are enough. A file with another
    end, which an editor may have given it, is parsed. `gather` checks the content.
    """
    try:
        with record.open("rb") as stream:
            size = stream.seek(0, os.SEEK_END)
            stream.seek(max(size - 2, 0))
            if stream.read() == b"}\n":
                return False
            stream.seek(0)
            json.loads(stream.read())
    except OSError:  # gather reports it; or a `prune_remove` has just removed the file
        return False
    except (ValueError, RecursionError):
        return True
    return False
