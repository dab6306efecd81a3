"""Promises of the screen: what Snakemake's messages become, in a file and in a terminal."""

from __future__ import annotations

import ast
import io
import logging
import subprocess
import sys
from pathlib import Path

import pytest
from snakemake.settings.enums import Quietness
from snakemake_interface_logger_plugins.common import LogEvent
from snakemake_interface_logger_plugins.tests import MockOutputSettings

from gridloom.workers import client
from gridloom.workflow import jobs
from snakemake_logger_plugin_gridloom import LogHandler
from tests.workflow.test_progress import outlook_of, record_of, write


class Terminal(io.StringIO):
    def isatty(self) -> bool:
        return True


class Run:
    """A handler, and a study of four jobs whose events it is given."""

    def __init__(self, monkeypatch, tmp_path, stream=None, **settings) -> None:
        self.stream = stream or io.StringIO()
        monkeypatch.setattr(sys, "stderr", self.stream)
        monkeypatch.setenv("GRIDLOOM_SCOPE", str(tmp_path))
        # The time is that of the messages here.
        monkeypatch.setattr("snakemake_logger_plugin_gridloom.screen.TICK_SECONDS", 3600)
        given = MockOutputSettings()
        given.printshellcmds, given.quiet = False, {Quietness.RULES}
        for name, value in settings.items():
            setattr(given, name, value)
        self.handler = LogHandler(given, None)
        self.records = [record_of(tmp_path, units) for units in range(4)]
        self.log = tmp_path / "one.log"
        self.now = 1000.0

    def message(self, text="", event=None, level=logging.INFO, **fields) -> None:
        record = logging.LogRecord("snakemake", level, "", 0, text, (), None)
        record.created = self.now = self.now + 1
        record.__dict__.update(fields, event=event)
        self.handler.handle(record)

    def open(self) -> None:
        self.message("tiny: 8 trainings in 4 jobs", outlook=outlook_of(self.records))

    def begin(self, job: int, rule="train") -> None:
        output = [self.records[job]] if rule == "train" else []
        self.message(event=LogEvent.JOB_INFO, jobid=job, rule_name=rule, output=output)

    def finish(self, job: int) -> None:
        write(self.records[job], {(0, 0): 0.5, (1, 0): 0.7})
        self.message(event=LogEvent.JOB_FINISHED, job_id=job)

    def fail(self, job: int, message: str, rule="train") -> None:
        self.log.write_text(f"error: {message}\n")
        command = f"RuleException:\nCalledProcessError in file train.smk\nCommand {job}"
        self.message(command, LogEvent.ERROR, logging.ERROR, exception="RuleException")
        log = [str(self.log)]
        about = {"jobid": job, "rule_name": rule, "rule_msg": None, "log": log}
        self.message("Error in rule", LogEvent.JOB_ERROR, **about)

    @property
    def shown(self) -> str:
        return self.stream.getvalue()


@pytest.fixture
def run_of(monkeypatch, tmp_path):
    made = []

    def run(**given) -> Run:
        made.append(Run(monkeypatch, tmp_path, **given))
        return made[-1]

    yield run
    for one in made:
        one.handler.close()


def test_in_a_file_a_run_is_a_few_lines(run_of):
    run = run_of()
    run.open()
    for job in range(4):
        run.message("Select jobs to execute...")
        run.message("Execute 1 jobs...", LogEvent.JOB_STARTED, jobs=[job])
        run.begin(job)
        run.now += 9  # so that 10 s are over with the first job, and 20 s with the second
        run.handler.screen._draw(run.now)
        run.finish(job)
        run.message(event=LogEvent.PROGRESS, done=job, total=4)
    run.message("Elapsed time: 0:00:01")
    first, *lines = run.shown.splitlines()
    assert first == "tiny: 8 trainings in 4 jobs"
    assert [line.split(" trainings (")[0].split("  ")[1] for line in lines] == [
        "2 of 8",
        "4 of 8",
        "6 of 8",
        "8 of 8",
    ]
    assert "best so far 0.60 ± 0.10 (units=0); 0 diverged, 0 failed" in lines[0]


def test_the_first_failure_of_a_cause_is_shown_at_once_without_its_command_line(run_of):
    run = run_of()
    run.open()
    for job, cause in enumerate(["too wide", "too wide", "too deep"]):
        run.begin(job)
        run.fail(job, cause)
        assert run.shown.count(cause) == 1
    assert "failed: units=0\n  too wide\n  log  " in run.shown
    assert "Command" not in run.shown


def test_a_record_whose_end_snakemake_cannot_note_is_finished(run_of):
    run = run_of()
    run.open()
    run.begin(0)
    kept = Path(client.store_of(run.records[0]))
    kept.parent.mkdir(parents=True)
    kept.touch()
    run.fail(0, "the worker's last words")
    assert run.handler.screen.progress.done == 2
    assert "failed" not in run.shown


def test_a_job_that_a_cluster_refuses_is_shown_with_the_reason(run_of, tmp_path):
    run = run_of()
    run.open()
    run.begin(0)
    said = "SLURM sbatch failed. The error message was 'no such\npartition'.\n    sbatch call:\n  x"
    about = {"jobid": 0, "rule_name": "train", "rule_msg": said, "log": [str(tmp_path / "none")]}
    run.message("Error in rule", LogEvent.JOB_ERROR, **about)
    assert "SLURM sbatch failed. The error message was 'no such partition'.\n" in run.shown


def test_of_a_job_of_several_records_each_is_counted_and_shown_as_it_ends(run_of):
    run = run_of()
    run.open()
    first, second, third, fourth = run.records
    rule = {"rule_name": "train_0123abcd", "jobid": 7, "rule_msg": None}
    run.message(event=LogEvent.JOB_INFO, output=run.records, **rule)
    progress = run.handler.screen.progress
    assert list(progress.running) == [first]
    for file in (Path(client.store_of(first)), Path(client.log_of(second))):
        file.parent.mkdir(parents=True)
        file.write_text("error: too wide\n")
    run.handler.screen._draw(run.now)
    assert (progress.done, list(progress.running)) == (2, [third])
    assert f"failed: units=1\n  too wide\n  log  {client.log_of(second)}" in run.shown
    run.log.write_text("")
    run.message("Error in rule", LogEvent.JOB_ERROR, logging.ERROR, log=[str(run.log)], **rule)
    assert progress.failed.keys() == {second, third, fourth}
    assert progress.failed[third].startswith("left no message in its log")
    assert progress.failed[fourth] == client.INTERRUPTED  # it had not begun
    run.message(event=LogEvent.JOB_INFO, output=run.records, **rule)
    assert (progress.done, list(progress.running)) == (2, [second])
    run.message(event=LogEvent.JOB_FINISHED, job_id=7)
    assert (progress.done, progress.settled) == (8, True)


def test_of_a_job_that_a_stopped_run_interrupts_no_record_is_shown_that_has_not_begun(run_of):
    run = run_of()
    run.open()
    rule = {"rule_name": "train_0123abcd", "jobid": 7}
    run.message(event=LogEvent.JOB_INFO, output=run.records, **rule)
    run.log.write_text(f"error: {client.INTERRUPTED}: the run stopped before 4 of 4 records\n")
    shown = run.shown
    run.message("Error in rule", LogEvent.JOB_ERROR, logging.ERROR, log=[str(run.log)], **rule)
    assert run.handler.screen.progress.failed.keys() == set(run.records)
    assert "units=" not in run.shown.removeprefix(shown)


def test_snakemakes_table_of_jobs_has_one_line_for_all_that_train(run_of):
    run = run_of()
    stats = {"train_0123abcd": 1, "gather": 1, "train_abcd0123": 1, "train": 3, "total": 6}
    run.message("Job stats:\n…", LogEvent.RUN_INFO, stats=stats)
    words = [line.split() for line in run.shown.splitlines() if line]
    assert words[3:] == [["train", "5"], ["gather", "1"], ["total", "6"]]


def test_a_run_in_which_nothing_trains_stops_by_a_signal(run_of, monkeypatch, tmp_path):
    sent = []
    monkeypatch.setattr("os.kill", lambda process, number: sent.append(number))
    monkeypatch.chdir(tmp_path)
    group = jobs.Group.of(["a record", "another"])
    jobs.freeze([group])
    run = run_of()
    run.records = [record_of(tmp_path, units) for units in range(12)]
    run.open()
    for job in range(12):
        run.begin(job)
        run.fail(job, "broken")
    assert sent == [15]
    # For jobs of several records, here and on a cluster.
    assert client.has_stopped(str(tmp_path), __file__)
    assert client.has_stopped("elsewhere", group.file)
    assert run.shown.count("so the run stops") == 1


def test_a_check_that_built_a_network_keeps_the_run_going(run_of, monkeypatch, tmp_path):
    sent = []
    monkeypatch.setattr("os.kill", lambda process, number: sent.append(number))
    run = run_of()
    run.records = [record_of(tmp_path, units) for units in range(12)]
    run.message("tiny", outlook=outlook_of(run.records, checked=True))
    run.message("", can_train=True)
    run.message("The check found something", can_train=True, level=logging.WARNING)
    for job in range(12):
        run.begin(job)
        run.fail(job, "broken")
    assert sent == []
    assert run.shown.count("The check found something") == 1
    run.message("", can_train=False)
    assert sent == [15]


def test_a_terminal_has_a_panel_that_makes_way_for_lines(run_of, monkeypatch):
    monkeypatch.setenv("TERM", "xterm")
    monkeypatch.setenv("COLUMNS", "80")
    run = run_of(stream=Terminal())
    run.open()
    run.begin(0)
    run.finish(0)
    run.begin(1)
    run.handler.screen._draw(run.now)
    shown = run.shown
    assert "2 of 8 trainings (25 %)" in shown
    assert "units=1" in shown
    # The `^C` that a terminal shows must fit behind it.
    assert shown.endswith(" 0 diverged, 0 failed")
    run.message("Something to know", level=logging.WARNING)
    since = run.shown.removeprefix(shown)
    # Each line of the panel is erased before.
    assert since.index("\x1b[2K") < since.index("Something to know")
    run.handler.close()
    assert run.shown.endswith("Something to know\x1b[0m\n") or run.shown.endswith(
        "Something to know\n"
    )


def test_a_user_who_asks_for_details_gets_the_messages_of_snakemake(run_of):
    run = run_of(verbose=True, quiet=None)
    run.open()
    run.message("Select jobs to execute...")
    run.message("Finished jobid: 1 (Rule: train)", LogEvent.JOB_FINISHED, job_id=1)
    assert "Select jobs" in run.shown
    assert "Finished jobid: 1 (Rule: train)" in run.shown


@pytest.mark.parametrize(("quiet", "shown"), [(Quietness.PROGRESS, True), (Quietness.ALL, False)])
def test_a_run_without_progress_shows_failures_only_and_a_quiet_run_nothing(run_of, quiet, shown):
    run = run_of(quiet={quiet})
    run.message("tiny: 8 trainings", outlook=outlook_of(run.records), quietness=Quietness.PROGRESS)
    run.begin(0)
    run.finish(0)
    run.begin(1)
    assert run.shown == ""
    run.fail(1, "too wide")
    assert ("too wide" in run.shown) == shown


def test_an_error_of_the_screen_leaves_the_run_to_snakemakes_messages(run_of, monkeypatch):
    run = run_of()
    run.open()
    monkeypatch.setattr("gridloom.workflow.progress.Progress.begin", lambda *_: 1 / 0)
    run.begin(0)
    assert "Gridloom's screen failed (ZeroDivisionError" in run.shown
    run.message("Finished jobid: 0 (Rule: train)", LogEvent.JOB_FINISHED, job_id=0)
    assert "Finished jobid: 0 (Rule: train)" in run.shown


def test_a_snakemake_that_is_too_old_ends_with_one_line(run_of, monkeypatch):
    def of_9_22(quiet, debug_dag, dryrun, printshellcmds):
        pass

    monkeypatch.setattr("snakemake_logger_plugin_gridloom.DefaultFilter", of_9_22)
    with pytest.raises(SystemExit, match="is too old for Gridloom"):
        run_of()


def test_a_start_of_snakemake_imports_nothing_heavy():
    code = (
        "import snakemake.cli, sys; before = set(sys.modules); "
        "import snakemake_logger_plugin_gridloom; "
        "print({module.split('.')[0] for module in set(sys.modules) - before})"
    )
    made = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert not {"rich", "numpy", "pandas", "tensorflow"} & ast.literal_eval(made.stdout)
