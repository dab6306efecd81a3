"""The screen of a run that trains: a panel in a terminal, a line now and then elsewhere."""

from __future__ import annotations

import logging
import os
import signal
import threading
import time
from pathlib import Path
from typing import TYPE_CHECKING, Any, Protocol, TextIO

from snakemake.logging import get_event
from snakemake_interface_logger_plugins.common import LogEvent

from gridloom.workflow.failures import cause_of
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

#: Between two looks at the clock, in seconds.
TICK_SECONDS = 0.5

#: Of each tick, what reading records may take: scores of earlier runs come in beside the jobs.
READ_SECONDS = 0.02

#: Lines for a file: the first after so many seconds, then at a tenth more time each, up to a limit.
FIRST_LINE_SECONDS = 10.0
LINE_GROWTH = 0.1
LAST_LINE_SECONDS = 600.0

#: Causes of failures that are told while a run goes on.
MAX_TOLD = 5

#: A failed job's own message stands in its log; of Snakemake's, the command line is all there is.
_REPEATED = "CalledProcessError in file"

_SILENT = (LogEvent.JOB_STARTED, LogEvent.PROGRESS, LogEvent.SHELLCMD)


class Painter(Protocol):
    """Shows where a run stands."""

    def draw(self, progress: Progress, now: float) -> None:
        """Show it as it is now, if it is time to."""

    def fold(self) -> None:
        """Make way for a line."""


class Screen:
    """What is shown of one run.

    Parameters
    ----------
    outlook
        What the run is about to train.
    handler
        Whose lock keeps events and the clock apart.
    shows_progress
        False for failures only.
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
        self._records: dict[int, str] = {}
        self._others: dict[int, tuple[str, float]] = {}
        self._told: set[str] = set()
        self._stopped = False
        self._closing = threading.Event()
        threading.Thread(target=self._watch_clock, daemon=True).start()

    def take(self, record: logging.LogRecord) -> bool:
        """Take a message into account; tell whether it needs no line of Snakemake's any more."""
        event, now = get_event(record), record.created
        told: Any = record  # Snakemake's fields are attributes of the record
        if event in _SILENT:
            return True
        if event == LogEvent.JOB_INFO:
            self._begin(told, now)
            return True
        if event == LogEvent.JOB_FINISHED:
            self._finish(told.job_id, now)
            return True
        if event == LogEvent.JOB_ERROR:
            self._fail(told, now)
            return True
        return event == LogEvent.ERROR and _REPEATED in record.getMessage()

    def _begin(self, job: Any, now: float) -> None:
        if job.rule_name == "train":
            self._records[job.jobid] = job.output[0]
            self.progress.begin(job.output[0], now)
        else:
            self._others[job.jobid] = (job.rule_name, now)

    def _finish(self, job: int, now: float) -> None:
        if job in self._records:
            self.progress.finish(self._records[job], now)
            self._look_whether_settled(now)
        elif job in self._others and self.shows_progress:
            rule, begun = self._others[job]
            if rule != "all":
                self.tell(f"{rule}, {describe_duration(now - begun)}")

    def _fail(self, job: Any, now: float) -> None:
        if job.jobid not in self._records:
            log = f"; its log is {job.log[0]}" if job.log else ""
            self.tell(f"failed: {job.rule_name}{log}")
            return
        record, log = self._records[job.jobid], job.log[0]
        cause = cause_of(Path(log))
        self.progress.fail(record, cause, now)
        if cause not in self._told and len(self._told) < MAX_TOLD:
            self._told.add(cause)
            self.tell(describe_failure(self.progress.outlook, record, cause, log))
        if self.progress.hopeless and not self._stopped:
            self._stopped = True
            self.tell(describe_stop())
            # As a person would end it: Snakemake starts no further job.
            os.kill(os.getpid(), signal.SIGTERM)
        self._look_whether_settled(now)

    def _look_whether_settled(self, now: float) -> None:
        if self.progress.settled:
            self._draw(now)
            self.painter.fold()

    def tell(self, text: str) -> None:
        """Print a line of the screen's own."""
        self.painter.fold()
        print(f"{time.strftime('%H:%M:%S')}  {text}", file=self.handler.stream, flush=True)

    def fold(self) -> None:
        """Make way for a line of Snakemake's."""
        self.painter.fold()

    def close(self) -> None:
        """Leave the terminal as it was."""
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
        deadline = time.perf_counter() + READ_SECONDS
        self.progress.read(lambda: time.perf_counter() > deadline)
        if self.shows_progress and self.progress.begun is not None:
            self.painter.draw(self.progress, now)


class Lines:
    """A line now and then, for a file.

    Parameters
    ----------
    stream
        Where to.
    """

    def __init__(self, stream: TextIO) -> None:
        self.stream = stream
        self.next = FIRST_LINE_SECONDS

    def draw(self, progress: Progress, now: float) -> None:
        """Print a line if it is time for one, or for the last one."""
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
    """A few lines at the bottom of a terminal that are drawn anew.

    Parameters
    ----------
    stream
        The terminal.
    nocolor
        Whether to do without colors.
    """

    def __init__(self, stream: TextIO, *, nocolor: bool) -> None:
        self.stream = stream
        self.nocolor = nocolor
        self._live: Live | None = None

    def draw(self, progress: Progress, now: float) -> None:
        """Draw it anew; not when all is trained."""
        if progress.settled:
            return
        if self._live is None:
            self._live = self._unfold()
        self._live.update(_panel(progress, now), refresh=True)

    def _unfold(self) -> Live:
        # Rich takes a tenth of a second, and only a run that trains needs it.
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
        # Were Snakemake killed, a hidden cursor would stay hidden.
        live.console.show_cursor(True)
        return live

    def fold(self) -> None:
        """Erase it, until it is drawn again: one that stopped would erase what came after it."""
        live, self._live = self._live, None
        if live is not None:
            live.stop()


def _panel(progress: Progress, now: float) -> RenderableType:
    from rich.console import Group
    from rich.progress_bar import ProgressBar
    from rich.table import Table
    from rich.text import Text

    head = Table.grid(padding=(0, 1), expand=True)
    head.add_column(no_wrap=True, overflow="ellipsis", max_width=30)
    head.add_column(ratio=1)
    head.add_column(no_wrap=True)
    head.add_row(
        Text(progress.outlook.study, style="bold"),
        ProgressBar(total=progress.total, completed=progress.done),
        Text(describe_count(progress)),
    )
    rows = Table.grid(padding=(0, 2), expand=True)
    rows.add_column(style="dim", width=len("best so far"))
    rows.add_column(ratio=1)
    for row in describe_panel(progress, now):
        rows.add_row(row.label, Text(row.text, no_wrap=row.is_cut, overflow="ellipsis"))
    return Group(head, rows)
