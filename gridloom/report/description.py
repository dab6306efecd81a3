"""What results are of, ``study.json``: with it, a notebook needs no study file to read tables."""

from __future__ import annotations

import json
import os
from dataclasses import dataclass
from pathlib import Path

from gridloom.errors import StudyError
from gridloom.files import write_text
from gridloom.study.schema import Study

#: Name of the file, beside the tables.
FILE = "study.json"


@dataclass(frozen=True)
class Description:
    """What the results of a study are of.

    Attributes
    ----------
    study
        The study, with what its results depend on.
    confirmed
        File of the pick that `snakemake confirm` ends in; it need not exist.
    """

    study: Study
    confirmed: Path

    @classmethod
    def read(cls, path: Path) -> Description:
        """Read what `write` wrote.

        Raises
        ------
        StudyError
            If there is no such file, or a damaged one.
        """
        try:
            noted = json.loads(path.read_text(encoding="utf-8"))
            study = Study.model_validate_json(json.dumps(noted["study"]))
            return cls(study, path.parent / noted["confirmed"])
        except (FileNotFoundError, NotADirectoryError):
            raise StudyError(
                f"{path} does not exist: `snakemake` and `snakemake partial` write it into the "
                "folder of their results"
            ) from None
        except (KeyError, OSError, TypeError, ValueError) as error:
            raise StudyError(
                f"{path} is damaged or cannot be read; delete it and run `snakemake`"
            ) from error

    def write(self, path: Path) -> None:
        """Write it as JSON, atomically; the confirmed pick is named from the file's own folder."""
        study = self.study.model_dump(mode="json", exclude_unset=True)
        content = {"confirmed": os.path.relpath(self.confirmed, path.parent), "study": study}
        write_text(path, json.dumps(content, indent=2, ensure_ascii=False) + "\n")
