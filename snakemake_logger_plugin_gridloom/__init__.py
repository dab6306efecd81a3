"""Gridloom's screen, as a plugin of Snakemake: where a run stands, and not a line for each job.

Snakemake finds it by its name and imports it at every start, so it imports nothing heavy. It works
on a thread of its own: a run neither waits for it nor ends with it. Whatever it does not show
itself goes the way of all messages, through Snakemake's own handler.
"""

from __future__ import annotations

import logging
import sys
from typing import TYPE_CHECKING

from snakemake.logging import ColorizingTextHandler, DefaultFilter, DefaultFormatter, get_event
from snakemake.settings.enums import Quietness
from snakemake_interface_logger_plugins.base import LogHandlerBase
from snakemake_interface_logger_plugins.common import LogEvent

from gridloom.workflow.own_words import in_own_words

if TYPE_CHECKING:
    from snakemake_logger_plugin_gridloom.screen import Screen

#: Events that no one needs who asked for no details.
_DETAILS = (LogEvent.WORKFLOW_STARTED, LogEvent.RESOURCES_INFO, LogEvent.JOB_STARTED)

#: Openings of messages of the same kind that have no event.
_NOISE = (
    "Assuming unrestricted shared filesystem usage",
    "Using shell: ",
    "Conda environments: ignored",
    "Singularity containers: ignored",
    "Select jobs to execute",
    "Complete log(s): ",
    "Elapsed time: ",
)

#: Openings of Snakemake's last words, where Gridloom's stand for them.
_LAST_WORDS = (
    "Exiting because a job execution failed",
    "WorkflowError:\nAt least one job did not complete successfully",
)


class LogHandler(LogHandlerBase):
    """Shows a run that trains; passes on all other messages."""

    def __post_init__(self) -> None:
        # Here, since Snakemake reads files of `--configfile` before the Snakefile.
        logging.getLogger("snakemake.logging").addFilter(in_own_words)
        settings = self.common_settings
        self.quiet = frozenset(settings.quiet or ())
        #: Whoever asks for Snakemake's details gets its messages as they are.
        self.in_detail = settings.verbose or settings.debug_dag or settings.printshellcmds
        self.stream = sys.stdout if settings.stdout else sys.stderr
        self.plain = ColorizingTextHandler(
            nocolor=settings.nocolor,
            stream=self.stream,
            formatter=DefaultFormatter(settings.quiet, settings.show_failed_logs),
            filter=DefaultFilter(
                settings.quiet,
                settings.debug_dag,
                settings.verbose,
                settings.dryrun,
                settings.printshellcmds,
            ),
        )
        self.screen: Screen | None = None
        self._last = ""

    def emit(self, record: logging.LogRecord) -> None:
        """Show a message, or take it into account; never raise, which would end the thread."""
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
        # At the end of each job, that it will exit; in a dry run, the same table twice.
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
        return False

    def _pass_on(self, record: logging.LogRecord) -> None:
        if self.screen is not None:
            self.screen.fold()
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
        except Exception:  # noqa: S110 (no screen to say it on)
            pass

    def close(self) -> None:
        """Leave the terminal as it was."""
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
        """It stands for Snakemake's own handler."""
        return True

    @property
    def writes_to_file(self) -> bool:
        """Snakemake keeps its own log."""
        return False

    @property
    def has_filter(self) -> bool:
        """Else Snakemake's filter would keep from it the jobs that the profile is quiet about."""
        return True

    @property
    def has_formatter(self) -> bool:
        """The handler that it passes messages on to has one."""
        return True

    @property
    def needs_rulegraph(self) -> bool:
        """It draws none."""
        return False
