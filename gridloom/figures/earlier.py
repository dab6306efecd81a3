"""Figures of an earlier grid, or of kinds that the study no longer draws."""

from __future__ import annotations

import re
import sys
from collections.abc import Collection
from pathlib import Path

#: Names of the files that a study draws.
_DRAWN = re.compile(
    r"(heatmap_(.+_x_.+|largest_\d+)_(mean|best|slice)(_.+)?|line_.+"
    r"|effects|interactions|ties|curves(_.+)?|cost|stability|pairs|whole_grid|lattice_.+_x_.+)"
    r"\.(png|svg|pdf)|no_figure\.txt"
)


def remove_earlier(folder: Path, files: Collection[Path]) -> list[Path]:
    """Remove the figures of an earlier grid from a folder, say so, and return them.

    Parameters
    ----------
    files
        All figures of today's grid. Files with other names than such figures have stay, too.
    """
    kept = {file.name for file in files}
    earlier = [
        file
        for file in sorted(folder.iterdir())
        if _DRAWN.fullmatch(file.name) and file.name not in kept
    ]
    for file in earlier:
        file.unlink(missing_ok=True)  # two jobs may do so at once
    if earlier:
        said = f"Removed figures of an earlier grid from {folder}: {len(earlier)}"
        print(said, file=sys.stderr)
    return earlier
