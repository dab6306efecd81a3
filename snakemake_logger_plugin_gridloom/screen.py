"""The screen of a run that trains: a panel in a terminal, a line now and then elsewhere."""

from __future__ import annotations

import logging
import os
import threading
import time
from pathlib import Path
from typing import TYPE_CHECKING, Any, Protocol, TextIO

from snakemake.logging import get_event
from snakemake_interface_logger_plugins.common import LogEvent

from gridloom.errors import shortened
from gridloom.workers.client import INTERRUPTED, log_of, stop_run
from gridloom.workflow.failures import MAX_CAUSE, NO_MESSAGE, cause_of, is_interruption
from gridloom.workflow.jobs import is_training, outcome, withdraw
from gridloom.workflow.progress import (
    Outlook,
    Progress,
    describe_count,
    describe_duration,
    describe_failure,
    describe_line,
    describe_panel,
    describe_stop,
)

if TYPE_CHECKING:
    from rich.console import RenderableType
    from rich.live import Live

    from snakemake_logger_plugin_gridloom import LogHandler

#: Time between two updates, in seconds.
TICK_SECONDS = 0.5

#: Longest time that one update reads records, in seconds: scores of earlier runs take many updates.
READ_SECONDS = 0.02

#: Time between two lines in a file: a tenth of the time so far, at least the first of these
#: numbers of seconds and at most the last.
FIRST_LINE_SECONDS = 10.0
LINE_GROWTH = 0.1
LAST_LINE_SECONDS = 600.0

#: Width of the panel's labels.
LABEL_WIDTH = len("best so far")

#: Most causes of failures that are shown during a run.
MAX_CAUSES = 5

#: Snakemake's own message about a failed job only gives the command line; the cause is in its log.
_REPEATED = "CalledProcessError in file"

_SILENT = (LogEvent.JOB_STARTED, LogEvent.PROGRESS, LogEvent.SHELLCMD)


class Painter(Protocol):
    """Shows where a run stands."""

    def draw(self, progress: Progress, now: float) -> None:
        """Show it as it is now, if an update is due."""

    def fold(self) -> None:
        """Make room for a line."""


class Screen:
    """Shows one run.

    Parameters
    ----------
    outlook
        What the run is about to train.
    handler
        Handler of the messages; events and the clock share its lock.
    shows_progress
        Whether to show progress; if not, only failures are shown.
    """

    def __init__(self, outlook: Outlook, handler: LogHandler, *, shows_progress: bool) -> None:
        self.progress = Progress(outlook)
        self.handler = handler
        self.shows_progress = shows_progress
        settings = handler.common_settings
        terminal = handler.stream.isatty() and os.environ.get("TERM", "dumb") != "dumb"
        self.painter: Painter = (
            Panel(handler.stream, nocolor=settings.nocolor) if terminal else Lines(handler.stream)
        )
        self._records: dict[int, list[str]] = {}
        # Record → when its job began.
        self._begun: dict[str, float] = {}
        self._others: dict[int, tuple[str, float]] = {}
        self._causes: set[str] = set()
        self._stopped = False
        self._closing = threading.Event()
        threading.Thread(target=self._watch_clock, daemon=True).start()

    def take(self, record: logging.LogRecord) -> bool:
        """Use a message; return whether Snakemake need not show it."""
        event, now = get_event(record), record.created
        message: Any = record  # Snakemake's fields are attributes of the record
        if event in _SILENT:
            return True
        if hasattr(message, "can_train"):
            self.progress.can_train = message.can_train
            self._stop_if_hopeless()
            return not record.getMessage()
        if event == LogEvent.JOB_INFO:
            self._begin(message, now)
            return True
        if event == LogEvent.JOB_FINISHED:
            self._finish(message.job_id, now)
            return True
        if event == LogEvent.JOB_ERROR:
            self._fail(message, now)
            return True
        return event == LogEvent.ERROR and _REPEATED in record.getMessage()

    def _begin(self, job: Any, now: float) -> None:
        if is_training(job.rule_name):
            self._records[job.jobid] = list(job.output)
            self._begun.update(dict.fromkeys(job.output, now))
            self.progress.begin(job.output, now)
        else:
            self._others[job.jobid] = (job.rule_name, now)

    def _finish(self, job: int, now: float) -> None:
        if job in self._records:
            for record in self._records[job]:
                self.progress.finish(record, now)
            self._look_whether_settled(now)
        elif job in self._others and self.shows_progress:
            rule, begun = self._others[job]
            if rule != "all":
                self.print_line(f"{rule}, {describe_duration(now - begun)}")

    def _fail(self, job: Any, now: float) -> None:
        if job.jobid not in self._records:
            log = f"; its log is {job.log[0]}" if job.log else ""
            self.print_line(f"failed: {job.rule_name}{log}")
            return
        self._advance(now)
        cause, log = cause_of(Path(job.log[0])), job.log[0]
        if cause == NO_MESSAGE and job.rule_msg:  # of a cluster, such as a partition unknown to it
            said = job.rule_msg.partition("sbatch call:")[0]
            cause = shortened(" ".join(said.split()), MAX_CAUSE)
        for record in self._records[job.jobid]:
            if record in self.progress.running and outcome(record, self._begun[record]) == "":
                # Snakemake deletes it, as its job failed, but the store gives it back.
                self.progress.finish(record, now)
            elif record in self.progress.running:
                self.progress.fail(record, cause, now)
                # A run that stops interrupts a job of several before a record has begun.
                if not is_interruption(cause) or Path(log_of(record)).exists():
                    self._show_failure(record, cause, log)
            elif not self.progress.has_ended(record):  # of a job of several, it has not begun
                self.progress.fail(record, INTERRUPTED, now)
        self._stop_if_hopeless()
        self._look_whether_settled(now)

    def _advance(self, now: float) -> None:
        """Note what has ended in jobs of several records, which trains one after the other."""
        failed = self.progress.advance(lambda one: outcome(one, self._begun[one]), now)
        for record, cause in failed.items():
            self._show_failure(record, cause, log_of(record))

    def _show_failure(self, record: str, cause: str, log: str) -> None:
        if cause not in self._causes and len(self._causes) < MAX_CAUSES:
            self._causes.add(cause)
            self.print_line(describe_failure(self.progress.outlook, record, cause, log))

    def _stop_if_hopeless(self) -> None:
        if self.progress.hopeless and not self._stopped:
            self._stopped = True
            self.print_line(describe_stop())
            withdraw()
            stop_run(os.environ["GRIDLOOM_SCOPE"], os.getpid())

    def _look_whether_settled(self, now: float) -> None:
        if self.progress.settled:
            self._draw(now)
            self.painter.fold()

    def print_line(self, text: str) -> None:
        """Print a line of Gridloom's own, with the time."""
        self.painter.fold()
        print(f"{time.strftime('%H:%M:%S')}  {text}", file=self.handler.stream, flush=True)

    def fold(self) -> None:
        """Make room for a line of Snakemake's."""
        self.painter.fold()

    def close(self) -> None:
        """Restore the terminal."""
        self._closing.set()
        self.painter.fold()

    def _watch_clock(self) -> None:
        while not self._closing.wait(TICK_SECONDS):
            self.handler.acquire()
            try:
                if not self._closing.is_set() and not self.progress.settled:
                    self._draw(time.time())
            except BrokenPipeError:
                return
            except Exception as error:
                self.handler.give_up(error)
                return
            finally:
                self.handler.release()

    def _draw(self, now: float) -> None:
        self._advance(now)
        self._stop_if_hopeless()
        deadline = time.perf_counter() + READ_SECONDS
        self.progress.read(lambda: time.perf_counter() > deadline)
        self.progress.read_epochs(Path(os.environ["GRIDLOOM_SCOPE"]))
        if self.shows_progress and self.progress.begun is not None:
            self.painter.draw(self.progress, now)


class Lines:
    """A line now and then, for a file.

    Parameters
    ----------
    stream
        File that gets the lines.
    """

    def __init__(self, stream: TextIO) -> None:
        self.stream = stream
        self.next = FIRST_LINE_SECONDS

    def draw(self, progress: Progress, now: float) -> None:
        """Print a line if one is due, or if all is trained."""
        assert progress.begun is not None
        elapsed = now - progress.begun
        if elapsed < self.next and not progress.settled:
            return
        wait = min(max(elapsed * LINE_GROWTH, FIRST_LINE_SECONDS), LAST_LINE_SECONDS)
        self.next = elapsed + wait
        at = time.strftime("%H:%M:%S", time.localtime(now))
        print(f"{at}  {describe_line(progress, now)}", file=self.stream, flush=True)

    def fold(self) -> None:
        """Do nothing: lines stay."""


class Panel:
    """A few lines at the bottom of a terminal that are drawn again and again.

    Parameters
    ----------
    stream
        The terminal.
    nocolor
        Whether to leave out colors.
    """

    def __init__(self, stream: TextIO, *, nocolor: bool) -> None:
        self.stream = stream
        self.nocolor = nocolor
        self._live: Live | None = None

    def draw(self, progress: Progress, now: float) -> None:
        """Draw the panel again, unless all is trained."""
        if progress.settled:
            return
        if self._live is None:
            self._live = self._unfold()
        self._live.update(_panel(progress, now, self._live.console.width), refresh=True)

    def _unfold(self) -> Live:
        # Importing Rich takes a tenth of a second, and only a run that trains needs it.
        from rich.console import Console
        from rich.live import Live

        live = Live(
            console=Console(file=self.stream, no_color=self.nocolor or None, highlight=False),
            auto_refresh=False,
            transient=True,
            redirect_stdout=False,
            redirect_stderr=False,
        )
        live.start()
        # If Snakemake is killed, a hidden cursor stays hidden.
        live.console.show_cursor(True)
        return live

    def fold(self) -> None:
        """Erase the panel; the next one is new, because a stopped one erases the lines below it."""
        live, self._live = self._live, None
        if live is not None:
            live.stop()


def _panel(progress: Progress, now: float, width: int) -> RenderableType:
    from rich.console import Group
    from rich.progress_bar import ProgressBar
    from rich.table import Table
    from rich.text import Text

    head = Table.grid(padding=(0, 1), expand=True)
    head.add_column(no_wrap=True, overflow="ellipsis", max_width=max(width // 3, 30))
    head.add_column(ratio=1)
    head.add_column(no_wrap=True)
    head.add_row(
        Text(progress.outlook.study, style="bold"),
        ProgressBar(total=progress.total, completed=progress.done),
        Text(describe_count(progress)),
    )
    rows = Table.grid(padding=(0, 2), expand=True)
    rows.add_column(style="dim", width=LABEL_WIDTH)
    rows.add_column(ratio=1)
    *others, last = describe_panel(progress, now)
    for row in others:
        rows.add_row(row.label, Text(row.text, no_wrap=row.is_cut, overflow="ellipsis"))
    # A table fills its lines up to the edge. In the last one, the `^C` that the terminal shows
    # would then begin a new line, and a line of the panel would stay.
    return Group(head, rows, Text(f"{'':<{LABEL_WIDTH + 2}}{last.text}"))
