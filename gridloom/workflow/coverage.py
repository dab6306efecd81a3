"""Coverage: which records hold a study's repetitions, and which of them exist.

Nothing heavy is imported here, because each job's Snakemake imports this module.
"""

from __future__ import annotations

import os
from collections.abc import Collection, Iterable
from functools import cached_property
from pathlib import Path

from gridloom.naming.blocks import FIRST_RESERVED, cover, existing_blocks


class Coverage:
    """The records of a study in one run of `snakemake`.

    Parameters
    ----------
    folder
        Folder of the records, named by the set-up.
    points
        Paths of the study's points, in the order of the grid.
    repetitions
        The study's own repetitions.
    per_job
        Most repetitions of a record; None for no limit.

    Attributes
    ----------
    asked
        Records beyond the study's own that this run was asked for, in that order.
    """

    def __init__(
        self, folder: str, points: Collection[str], repetitions: int, per_job: int | None
    ) -> None:
        self.folder = folder
        self.points = points
        self.repetitions = repetitions
        self.per_job = per_job
        self.asked: dict[str, None] = {}

    @cached_property
    def _blocks(self) -> tuple[list[str], set[str]]:
        """The records that the study needs, in the order of its points, and truncated records."""
        needed: list[str] = []
        cut_short: set[str] = set()
        for path in self.points:
            whole, cut = existing_blocks(Path(self.folder, path))
            blocks = cover(whole, self.repetitions, self.per_job)
            needed += [f"{self.folder}/{path}/{block.file}" for block in blocks]
            cut_short.update(f"{self.folder}/{path}/{block.file}" for block in cut)
        return needed, cut_short

    @property
    def needed(self) -> list[str]:
        """The records that the study needs, in the order of its points."""
        return self._blocks[0]

    @property
    def cut_short(self) -> set[str]:
        """Truncated records, which will be trained again."""
        return self._blocks[1]

    def is_there(self, record: str) -> bool:
        """Return whether a record exists and is not truncated."""
        return os.path.exists(record) and record not in self.cut_short  # noqa: PTH110 (10,000 calls)

    @cached_property
    def existing(self) -> list[str]:
        """The needed records that existed when this was first called."""
        return [record for record in self.needed if self.is_there(record)]

    def missing(self) -> list[str]:
        """List the needed records that do not exist yet."""
        return [record for record in self.needed if not self.is_there(record)]

    def further(self, points: Iterable[str], repetitions: int, *, first: int = 0) -> list[str]:
        """List the records of repetitions that need not be the study's own, in the order given.

        The study's own records come first, even if they do not exist yet. So further repetitions
        train only what is new, whichever of the two was asked for first.

        Parameters
        ----------
        points
            Their paths.
        repetitions
            Repetitions `first` to `repetitions` - 1.
        """
        needed: list[str] = []
        for path in points:
            whole, cut = existing_blocks(Path(self.folder, path))
            own = cover(whole, self.repetitions, self.per_job)
            blocks = cover([*whole, *own], repetitions, self.per_job, first=first)
            needed += [f"{self.folder}/{path}/{block.file}" for block in blocks]
            self.cut_short.update(f"{self.folder}/{path}/{block.file}" for block in cut)
        self.asked.update(dict.fromkeys(needed))
        return needed

    def used(self, *, confirming: bool) -> list[str]:
        """List the records that `prune` keeps, whether they exist or not.

        Parameters
        ----------
        confirming
            Whether there is a confirmation of this study. If so, the records that continue the
            study's own are kept too. Reserved ones of its points are always kept.
        """
        used = list(self.needed)
        for path in self.points:
            whole, _ = existing_blocks(Path(self.folder, path))
            there = {block.first: block for block in sorted(whole)}
            kept = [block for block in there.values() if block.first >= FIRST_RESERVED]
            start = 0
            while confirming and start in there:
                kept.append(there[start])
                start = there[start].last + 1
            used += [f"{self.folder}/{path}/{block.file}" for block in kept]
        return used
