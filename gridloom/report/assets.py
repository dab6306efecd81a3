"""The files that the page is made of: its template, style and script, and the libraries it uses.

Standard library only, because the Snakemake of every job imports this module.
"""

from __future__ import annotations

import json
from dataclasses import dataclass
from pathlib import Path

_HERE = Path(__file__).parent

#: Template, style, script and descriptions of the charts.
PAGE = _HERE / "page"

#: Captions for Snakemake's own report.
CAPTIONS = _HERE / "captions"

#: Libraries of others, unchanged, and their licences.
VENDOR = _HERE / "vendor"


@dataclass(frozen=True)
class Library:
    """A file of a library that is part of every page.

    Attributes
    ----------
    file
        Its name in `VENDOR`.
    package, version, licence
        Of the npm package that it comes from; the licence by its SPDX name.
    serves
        What the page uses it for.
    sha256
        Of the file.
    """

    file: str
    package: str
    version: str
    licence: str
    serves: str
    sha256: str

    @property
    def path(self) -> Path:
        """The file."""
        return VENDOR / self.file

    @property
    def terms(self) -> str:
        """Text of its licence."""
        return (VENDOR / "licences" / f"{self.package}.txt").read_text(encoding="utf-8")


def libraries() -> list[Library]:
    """List the libraries in the order in which the page loads them."""
    noted = json.loads((VENDOR / "vendored.json").read_text(encoding="utf-8"))
    return [Library(**one) for one in noted]


def files() -> list[Path]:
    """List all files that a page is made of: an edit of one makes the report anew."""
    return sorted(path for folder in (PAGE, VENDOR) for path in folder.rglob("*") if path.is_file())
