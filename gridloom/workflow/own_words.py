"""Messages of Snakemake about a study, reworded to fit Gridloom."""

from __future__ import annotations

import logging
import re
import sys
import traceback
from collections.abc import Callable, Iterable
from pathlib import Path
from types import TracebackType

from gridloom.errors import StudyError, nearest
from gridloom.study.loading import read_yaml

#: Beginning of Snakemake's last line of a dry run, and the text that replaces it.
_DRY_RUN = "This was a dry-run"
_AFTER_DRY_RUN = (
    "This was a dry run (-n): nothing was done. `snakemake plan` says what would train, why, and "
    "how long it would take."
)

#: Snakemake refers to a list of jobs that Gridloom's default profile does not print.
_NO_JOBS_ABOVE = "\n    (check individual jobs above for details)"

#: Snakemake's message about a word on its command line that is neither a rule nor a file.
_UNKNOWN = re.compile(r"^No rule to produce (\w+) \(if you use", re.MULTILINE)


def in_own_words(record: logging.LogRecord) -> bool:
    """Change messages of Snakemake that mislead in a study; a filter of its logger.

    - If a file given by ``--configfile`` cannot be read, the message names the file, line and
      column, instead of "not valid JSON or YAML" or a traceback.
    - A dry run does not advise to set ``--rerun-triggers mtime`` or to wipe metadata. Either would
      keep old tables after a setting changed.

    Returns
    -------
    bool
        Whether to show the record.
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


def suggesting(rules: Callable[[], Iterable[str]]) -> Callable[[logging.LogRecord], bool]:
    """Return a filter of Snakemake's logger that names the rule that a misspelt one is near to.

    Parameters
    ----------
    rules
        Returns the names of all rules when it is called.
    """

    def suggest(record: logging.LogRecord) -> bool:
        unknown = _UNKNOWN.search(record.getMessage())
        if unknown:
            name = unknown[1]
            hint = nearest(name, rules()) or "; `snakemake --list-rules` lists all"
            record.msg, record.args = f"there is no rule or file {name!r}{hint}", ()
        return True

    return suggest


def end_without_traceback() -> None:
    """Have Ctrl-C end this process with one line wherever Snakemake does not expect it."""
    told = sys.excepthook

    def tell(kind: type[BaseException], error: BaseException, place: TracebackType | None) -> None:
        if issubclass(kind, KeyboardInterrupt):
            print("interrupted", file=sys.stderr)
        else:
            told(kind, error, place)

    sys.excepthook = tell


def _config_mistake() -> str | None:
    """Describe the mistake in the config file that Snakemake failed to read, or return None."""
    error = sys.exc_info()[1]
    for frame, _ in traceback.walk_tb(error.__traceback__ if error else None):
        if frame.f_code.co_name == "load_configfile":
            try:
                read_yaml(Path(frame.f_locals["configpath"]))
            except StudyError as mistake:
                return f"The study is not valid:\n{mistake}"
    return None
