"""What Snakemake says about a study, in words that fit Gridloom."""

from __future__ import annotations

import logging
import sys
import traceback
from pathlib import Path

from gridloom.errors import StudyError
from gridloom.study.loading import read_yaml

#: Opens Snakemake's last line of a dry run, and what stands in its place.
_DRY_RUN = "This was a dry-run"
_AFTER_DRY_RUN = (
    "This was a dry run (-n): nothing was done. `snakemake plan` says what would train, why, and "
    "how long it would take."
)

#: Snakemake points to a list of jobs that its default profile here does not print.
_NO_JOBS_ABOVE = "\n    (check individual jobs above for details)"


def in_own_words(record: logging.LogRecord) -> bool:
    """Change what Snakemake says where it misleads here; a filter of its logger.

    - A file named by ``--configfile`` that cannot be read: the file, line and column instead of
      "not valid JSON or YAML" or a traceback.
    - A dry run: no advice to set ``--rerun-triggers mtime`` or to wipe metadata. Either would leave
      old tables in place after a setting changed.

    Returns
    -------
    bool
        Whether the record is to be shown.
    """
    if record.funcName == "log_provenance_info":
        return False
    mistake = _config_mistake() if record.levelno >= logging.ERROR else None
    said = record.getMessage()
    if mistake is not None:
        record.msg, record.args = mistake, ()
    elif said.startswith(_DRY_RUN):
        record.msg = _AFTER_DRY_RUN
    elif _NO_JOBS_ABOVE in said:
        record.msg = said.replace(_NO_JOBS_ABOVE, "")
    return True


def _config_mistake() -> str | None:
    """Say what is wrong with the config file that Snakemake just failed on; None if it did not."""
    error = sys.exc_info()[1]
    for frame, _ in traceback.walk_tb(error.__traceback__ if error else None):
        if frame.f_code.co_name == "load_configfile":
            try:
                read_yaml(Path(frame.f_locals["configpath"]))
            except StudyError as mistake:
                return f"The study is not valid:\n{mistake}"
    return None
