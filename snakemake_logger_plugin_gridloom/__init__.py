"""Gridloom's screen, a logger plugin of Snakemake: it shows a run's progress, not a line a job.

Snakemake finds the plugin by its name and imports it at every start, so it imports nothing heavy.
It runs in a thread of its own: a run does not wait for it, and its errors do not stop the run.
Messages that the screen does not use go through Snakemake's own handler.
"""

from __future__ import annotations

import logging
import sys
from typing import TYPE_CHECKING

import snakemake
from snakemake.logging import ColorizingTextHandler, DefaultFilter, DefaultFormatter, get_event
from snakemake.settings.enums import Quietness
from snakemake_interface_logger_plugins.base import LogHandlerBase
from snakemake_interface_logger_plugins.common import LogEvent

from gridloom.workflow.jobs import is_training
from gridloom.workflow.own_words import end_without_traceback, in_own_words

if TYPE_CHECKING:
    from snakemake_logger_plugin_gridloom.screen import Screen

#: Events that are shown only if the user asks for details.
_DETAILS = (LogEvent.WORKFLOW_STARTED, LogEvent.RESOURCES_INFO, LogEvent.JOB_STARTED)

#: Beginnings of such messages that have no event.
_NOISE = (
    "Assuming unrestricted shared filesystem usage",
    "Using shell: ",
    "Conda environments: ignored",
    "Singularity containers: ignored",
    "Select jobs to execute",
    "Complete log(s): ",
    "Elapsed time: ",
    # Of a job of several records; what it has trained is put back.
    "Removing output files of failed job train_",
)

#: Beginnings of Snakemake's last messages, which Gridloom's own replace.
_LAST_WORDS = (
    "Exiting because a job execution failed",
    "WorkflowError:\nAt least one job did not complete successfully",
)


class LogHandler(LogHandlerBase):
    """Shows a run that trains; passes on all other messages."""

    def __post_init__(self) -> None:
        # The filter must act before the Snakefile: Snakemake reads `--configfile` first.
        logging.getLogger("snakemake.logging").addFilter(in_own_words)
        end_without_traceback()
        settings = self.common_settings
        self.quiet = frozenset(settings.quiet or ())
        #: Whether the user asks for Snakemake's details; its messages are then shown as they are.
        self.in_detail = settings.verbose or settings.debug_dag or settings.printshellcmds
        self.stream = sys.stdout if settings.stdout else sys.stderr
        try:
            shown = DefaultFilter(
                settings.quiet,
                settings.debug_dag,
                settings.verbose,
                settings.dryrun,
                settings.printshellcmds,
            )
        # Snakemake creates this handler before it reads its version's lower limit in the Snakefile.
        except TypeError:
            sys.exit(f"Snakemake {snakemake.__version__} is too old for Gridloom; run `uv sync`")
        self.plain = ColorizingTextHandler(
            nocolor=settings.nocolor,
            stream=self.stream,
            formatter=DefaultFormatter(settings.quiet, settings.show_failed_logs),
            filter=shown,
        )
        self.screen: Screen | None = None
        self._last = ""

    def emit(self, record: logging.LogRecord) -> None:
        """Show a message or use it; never raise, because an exception would end the thread."""
        try:
            if not (self._is_noise(record) or self._taken(record)):
                self._pass_on(record)
        except BrokenPipeError:  # nobody reads any more
            pass
        except Exception as error:
            self.give_up(error)

    def _is_noise(self, record: logging.LogRecord) -> bool:
        if self.in_detail:
            return False
        message = record.getMessage()
        # Snakemake repeats that it will exit after each job, and the table of a dry run.
        repeated = bool(message) and message == self._last
        return repeated or get_event(record) in _DETAILS or message.startswith(_NOISE)

    def _taken(self, record: logging.LogRecord) -> bool:
        if self.screen is not None:
            return record.getMessage().startswith(_LAST_WORDS) or self.screen.take(record)
        outlook = getattr(record, "outlook", None)
        if outlook is not None and not self.in_detail and Quietness.ALL not in self.quiet:
            from snakemake_logger_plugin_gridloom.screen import Screen

            self._pass_on(record)
            self.screen = Screen(outlook, self, shows_progress=Quietness.PROGRESS not in self.quiet)
            return True
        # The result of a check that has nothing to say is for the screen only.
        return hasattr(record, "can_train") and not record.getMessage()

    def _pass_on(self, record: logging.LogRecord) -> None:
        if self.screen is not None:
            self.screen.fold()
        if get_event(record) == LogEvent.RUN_INFO:
            record = with_one_rule_that_trains(record)
        if self.plain.handle(record):
            self._last = record.getMessage()

    def give_up(self, error: Exception) -> None:
        """Leave the rest of the run to Snakemake's own messages."""
        screen, self.screen = self.screen, None
        self.in_detail = True
        try:
            if screen is not None:
                screen.close()
            print(
                f"Gridloom's screen failed ({type(error).__name__}: {error}); the run goes on, "
                "with Snakemake's own messages.",
                file=self.stream,
            )
        except Exception:  # noqa: S110 (no screen is left to report it)
            pass

    def close(self) -> None:
        """Restore the terminal."""
        self.acquire()
        try:
            if self.screen is not None:
                self.screen.close()
        except Exception as error:
            self.give_up(error)
        finally:
            self.release()
        super().close()

    @property
    def writes_to_stream(self) -> bool:
        """Whether it writes to the terminal; it replaces Snakemake's own handler."""
        return True

    @property
    def writes_to_file(self) -> bool:
        """Whether it writes to a file; Snakemake writes its own log."""
        return False

    @property
    def has_filter(self) -> bool:
        """Whether it filters messages; Snakemake's filter would drop jobs the profile hides."""
        return True

    @property
    def has_formatter(self) -> bool:
        """Whether it formats messages; the handler that gets the other messages does."""
        return True

    @property
    def needs_rulegraph(self) -> bool:
        """Whether it needs the graph of the rules; it does not draw it."""
        return False


def with_one_rule_that_trains(record: logging.LogRecord) -> logging.LogRecord:
    """Return Snakemake's table of jobs with one line for all rules that train."""
    counts: dict[str, int] = {}
    for rule, count in getattr(record, "stats", {}).items():
        name = "train" if is_training(rule) else rule
        counts[name] = counts.get(name, 0) + count
    if counts == getattr(record, "stats", {}):
        return record
    width = max(map(len, counts))
    lines = [f"{rule:<{width}}  {count:>5}" for rule, count in [("job", "count"), *counts.items()]]
    lines.insert(1, f"{'-' * width}  {'-' * 5}")
    text = "Job stats:\n" + "\n".join(lines) + "\n"
    return logging.makeLogRecord({**vars(record), "msg": text, "args": (), "stats": counts})
