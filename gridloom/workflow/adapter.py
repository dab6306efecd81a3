"""The adapter: a study's run in the forms that Snakemake takes.

`rules/common.smk` hands Snakemake's objects over and gives the rules these functions. No other
module of the library imports Snakemake.
"""

from __future__ import annotations

import _thread
import atexit
import gc
import logging
import os
import re
import signal
import sys
import time
from collections.abc import Callable, Iterable, Mapping
from functools import partial
from pathlib import Path
from typing import Any

from snakemake import persistence
from snakemake.exceptions import WorkflowError
from snakemake.io import _IOFile, ancient, report
from snakemake.ioflags import before_update
from snakemake.logging import logger
from snakemake.resources import Resource
from snakemake.settings.enums import Quietness
from snakemake.settings.types import DeploymentMethod
from snakemake.shell import shell
from snakemake_interface_logger_plugins.common import LogEvent

from gridloom.errors import BackendError, GridloomError, StorageError, StudyError
from gridloom.exports.extras import require_extra
from gridloom.report import assets
from gridloom.workers.scope import own_folder
from gridloom.workflow.check import Beside
from gridloom.workflow.ending import describe_touched
from gridloom.workflow.invocation import Invocation
from gridloom.workflow.jobs import Group, clear_store, freeze, frozen, is_training
from gridloom.workflow.own_words import in_own_words, suggesting
from gridloom.workflow.progress import Outlook, describe_outlook
from gridloom.workflow.study_run import StudyRun, require_machine, require_submission

#: Jobs a second that no machine starts: a limit as high limits nothing.
MANY_JOBS = 1000


class Adapter:
    """A study in one run of `snakemake`.

    Parameters
    ----------
    workflow
        Snakemake's own, as its files have it under that name.
    config
        Snakemake's; another workflow that uses this one as a module passes its study in it.
    checkpoints
        Snakemake's. Their `get` ends an input function until the checkpoint is done; then
        Snakemake calls it again.
    scripts
        Folder of the rules' scripts.

    Attributes
    ----------
    run
        What the rules ask for.
    comes_first
        Whether no rule of another workflow comes before those of this one.
    """

    def __init__(
        self, workflow: Any, config: Mapping[str, Any], checkpoints: Any, scripts: Path
    ) -> None:
        # The logger plugin does it too, and earlier: before Snakemake reads any file.
        logger.addFilter(in_own_words)
        logger.addFilter(suggesting(lambda: [rule.name for rule in workflow.rules]))
        _spare_pandas()
        _hash_once()
        # Python collects garbage as it ends: of all objects that a run made, which takes 0.3 s.
        atexit.register(gc.freeze)
        self.workflow = workflow
        self.checkpoints = checkpoints
        self.scripts = scripts
        self.comes_first = workflow.default_target is None
        self._started = time.time()
        self._check: Beside | None = None
        # Job number → records that it makes.
        self._training: dict[int, list[str]] = {}
        self._has_begun = False
        if workflow.is_main_process:
            logger.addFilter(self._watch_store)
        try:
            self.run = self._open(None if workflow.modifier.is_main_snakefile() else config)
            self.run.groups = self._groups()
            # Otherwise `prepare` does this; Snakemake does not call it in a cluster's job or for a
            # module.
            if self.run.invocation.in_job or self.run.invocation.handed_over is not None:
                self._hand_over(self.run, adopting=bool(self.run.coverage.missing()))
        # Exit instead of raising, because Snakemake would add lines of the rules to the message.
        except (BackendError, StorageError) as error:
            sys.exit(str(error))
        except GridloomError as error:
            sys.exit(f"The study is not valid:\n{error}")

    def _open(self, handed_over: Mapping[str, Any] | None) -> StudyRun:
        workflow = self.workflow
        require_machine()
        invocation = Invocation(
            snakefile=workflow.main_snakefile,
            config_files=tuple(map(Path, workflow.config_settings.configfiles)),
            overrides=workflow.config_settings.config,
            handed_over=handed_over,
            cores=workflow.resource_settings.cores,
            jobs=workflow.resource_settings.nodes,
            is_here=self._is_here,
            in_job=workflow.remote_exec,
            contained=DeploymentMethod.APPTAINER in workflow.deployment_settings.deployment_method,
        )
        return StudyRun.open(invocation, os.environ)

    def _groups(self) -> list[Group]:
        """Return the jobs of several records that this process may run.

        Rules are made before Snakemake hands its settings over, so the words of its command line
        say what is asked for: a single record by a person, or a rule by the main process.
        """
        if self.workflow.is_main_process:
            return self.run.group(alone=set(sys.argv))
        return frozen(sys.argv)

    @property
    def first_repetition(self) -> str:
        """Pattern of the first repetition of a record that the rule `train` makes.

        It leaves out blocks of repetitions of which groups make every record of the study, because
        Snakemake would plan these twice. This takes a quarter of planning.
        """
        made = {record for group in self.run.groups for record in group.records}
        if not made or not self.workflow.is_main_process:
            return r"\d+"
        blocks = {record.rpartition("/reps=")[2] for record in made}
        others = (record for record in self.run.coverage.needed if record not in made)
        blocks.difference_update(record.rpartition("/reps=")[2] for record in others)
        left_out = "|".join(map(re.escape, sorted(blocks)))
        return rf"(?!(?:{left_out})$)\d+" if left_out else r"\d+"

    def as_train(self, groups: Iterable[Group]) -> None:
        """Let what `--set-resources` and `--set-threads` say of `train` count for groups.

        A run time is that of each record.
        """
        settings, named = self.workflow.resource_settings, self.workflow.modifier.modify_rulename
        resources = settings._parsed_overwrite_resources.get(named("train"), {})
        threads = settings._parsed_overwrite_threads.get(named("train"))
        runtime = resources.get("runtime")
        for group in groups:
            asked = self.workflow.get_rule(named(group.rule)).resources
            asked.update(resources)
            if threads is not None:
                asked["_cores"] = threads
            if runtime is not None:
                asked["runtime"] = Resource("runtime", partial(self._minutes, group, runtime))
                asked["record_runtime"] = Resource("record_runtime", partial(_minutes_of, runtime))

    def _is_here(self) -> bool:
        """Return whether jobs run on this machine.

        Snakemake only knows its executor once it has read the Snakefile, and a dry run never does.
        Until then, a limit of jobs counts as a cluster, because a cluster must have one.
        """
        workflow = self.workflow
        if workflow.remote_exec:
            return False
        if workflow.executor_plugin is None or workflow.dryrun:
            return workflow.resource_settings.nodes is None
        local: bool = workflow.local_exec
        return local

    def _hand_over(self, run: StudyRun, *, adopting: bool) -> None:
        """Pass settings of a study to the jobs of this process.

        Parameters
        ----------
        adopting
            Whether the jobs may adopt records.
        """
        run.hand_over_settings()
        run.open_for_training(self._gpu_limit)
        if self.workflow.is_main_process:
            freeze(run.groups)
            run.note_adoptable(allowed=adopting)

    @property
    def _gpu_limit(self) -> int | None:
        return getattr(self.workflow.global_resources.get("gpu"), "value", None)

    def code(self, rule: str) -> list[str]:
        """Return a rule's script and the modules that it imports: an edit of one reruns it."""
        return self.run.code(self.scripts / f"{rule}.py")

    def asks(self, rule: str, key: str) -> int:
        """Return a resource of a job of a rule."""
        return self.run.resource(rule, key)

    def grows(self, rule: str, key: str) -> int | Callable[[Any, int], int]:
        """Return a resource of a job; on a cluster, n times as much in the nth attempt.

        If it is clear already that jobs run on this machine, it is a number: calling a function for
        each job takes a tenth of planning.
        """
        if self._is_here():
            return self.asks(rule, key)
        return lambda wildcards, attempt: self.asks(rule, key) * (1 if self._is_here() else attempt)

    def minutes(self, group: Group) -> int | Callable[[Any, int], int]:
        """Return the run time of a job of several records; see `grows`."""
        if self._is_here():
            return self.asks("train", "runtime")
        return partial(self._minutes, group, None)

    def _minutes(
        self, group: Group, given: Resource | None, wildcards: Any, *, attempt: int, **known: Any
    ) -> int:
        """Return the run time of a job, of which the command line may have `given` a record's."""
        is_here = self._is_here()
        if given is not None:
            one = _minutes_of(given, wildcards, attempt=attempt, **known)
        else:
            one = self.asks("train", "runtime") * (1 if is_here else attempt)
        return one if is_here else self.run.minutes(group, one, attempt)

    def figures(self, files: list[str], caption: str, category: str) -> list[Any]:
        """Mark figures for Snakemake's own report, each in the first of its formats.

        Parameters
        ----------
        caption
            Name of a text in ``gridloom/report/captions``.
        category
            Where the report shows them.
        """
        first = f".{self.run.study.figures.formats[0]}"
        return [
            self.shown(file, caption, category) if file.endswith(first) else file for file in files
        ]

    def shown(self, file: str, caption: str, category: str) -> Any:
        """Mark a file for Snakemake's own report; see `figures`."""
        text = assets.CAPTIONS / f"{caption}.rst"
        name = Path(file).stem.replace("_", " ")
        return report(file, caption=str(text), category=category, labels={"file": name})

    def _with_truncated(self, records: list[str]) -> list[str]:
        """Return records; truncated ones are trained again.

        Only the job that trains such a record removes it; a look at the study leaves it.
        """
        self.workflow.dag.forcefiles.update(self.run.coverage.cut_short)
        return records

    def records(self, wildcards: Any) -> list[str]:
        """List the records that the study needs.

        That the rule `train` is named to Snakemake counts for the rules of groups, too.
        """
        dag = self.workflow.dag
        for named in (dag.untilrules, dag.omitrules):
            if "train" in named:
                named.update(group.rule for group in self.run.groups)
        needed = self._with_truncated(self.run.coverage.needed)
        if self._describes or self._forced:
            return needed
        # A finished record is never made again, and with this flag it needs no job. The jobs of
        # records take most of the time of planning.
        finished = set(self.run.coverage.existing)
        return [before_update(record) if record in finished else record for record in needed]

    @property
    def _describes(self) -> bool:
        """Whether Snakemake runs nothing, but describes all jobs, such as in its report."""
        return self.workflow.executor_plugin is None

    @property
    def _forced(self) -> bool:
        """Whether some rules or files are to be made even if they exist."""
        settings = self.workflow.dag_settings
        return bool(settings.forceall or settings.forcerun)

    def for_training(self, file: str) -> str | Callable[[Any], str]:
        """Return an input of `train` that never outdates a finished record, even if new or lost.

        Its age does not matter, because its folder's name is a fingerprint of its content. If it
        is lost and has to be made again, Snakemake would make everything that depends on it again.
        But Snakemake accepts an existing record if an input of its job cannot be made, so finished
        records get such an input.
        """
        always: str = ancient(file)
        if Path(file).exists() or not self.run.coverage.existing:
            return always
        record = f"{self.run.results}/points/{{setup}}/{{point}}={{first}}-{{last}}.json"

        def needed(wildcards: Any) -> str:
            if self._forced or not self.run.coverage.is_there(record.format(**wildcards)):
                return always
            return f"{file} is not needed"

        return needed

    def _ready_round(self, wildcards: Any) -> int:
        """Return a round's number, once the plan and the round before it are there."""
        self.checkpoints.confirm_plan.get()
        number = int(wildcards.round)
        if number > 0:
            self.checkpoints.confirm_round.get(round=str(number - 1))
        return number

    def previous_round(self, wildcards: Any) -> list[str]:
        """List the file of the round before, if there is one."""
        number = self._ready_round(wildcards)
        return [self.run.round_file(number - 1)] if number else []

    def round_records(self, wildcards: Any) -> list[str]:
        """List the records that a round reads."""
        return self._with_truncated(self.run.round_records(self._ready_round(wildcards)))

    def round_repetitions(self, wildcards: Any) -> int:
        """Return how many repetitions a round has in all."""
        return self.run.round_repetitions(self._ready_round(wildcards))

    def rounds(self, wildcards: Any) -> list[str]:
        """List the rounds; Snakemake asks again whenever one is finished."""
        self.checkpoints.confirm_plan.get()
        held: list[str] = []
        while not held or self.run.after_round(len(held) - 1).repetitions is not None:
            if not Path(self.run.round_file(len(held))).exists():
                # Otherwise Snakemake would take a confirmation that a limit ended for done.
                self.workflow.dag.forcefiles.add(self.run.confirmed_pick)
            held += self.checkpoints.confirm_round.get(round=str(len(held))).output
        return held

    def verified_records(self, wildcards: Any) -> list[str]:
        """List the records that chose the pick that is being verified."""
        self.checkpoints.verify_pick.get()
        return self._with_truncated(self.run.verified_records())

    def reserved_records(self, wildcards: Any) -> list[str]:
        """List the records of reserved repetitions of the pick that is being verified."""
        self.checkpoints.verify_pick.get()
        return self._with_truncated(self.run.reserved_records())

    def comparison(self, wildcards: Any) -> list[str]:
        """List the file of the comparison with another set-up, or end with one message."""
        try:
            return self.run.comparison()
        # Exit instead of raising, because Snakemake would add lines of the rules to the message.
        except StudyError as error:
            sys.exit(str(error))

    def prepare(self) -> None:
        """Prepare the run, or end with one message."""
        if self.workflow.touch:  # no job runs
            return
        _take_signals()
        # On a full disk, Snakemake would print a traceback for each line that it cannot log.
        logging.raiseExceptions = False
        settings = self.workflow.dag_settings
        try:
            if not self._is_here():
                require_submission(self.workflow.executor_plugin.name)
            for job in self.workflow.dag.needrun_jobs(exclude_finished=False):
                require_extra(job.rule.name)
            self._hand_over(self.run, adopting=self._may_adopt())
            self.run.start(["download"] if settings.forceall else list(settings.forcerun))
        except GridloomError as error:
            raise WorkflowError(str(error)) from None
        if self._is_here():
            lift_rate_limit(self.workflow.scheduler)
        outlook, whole = self._planned()
        message = describe_outlook(outlook) if whole or outlook.pending else ""
        logger.info(message, extra={"outlook": outlook, "quietness": Quietness.PROGRESS})
        if outlook.checked:
            arguments = self.run.check_arguments(outlook.pending)
            self._check = Beside(arguments, outlook.axes, own_folder(), self._report_check)

    def _may_adopt(self) -> bool:
        """Return whether this run may train something, and was not asked to train it anew."""
        settings = self.workflow.dag_settings
        forced = (name for name in settings.forcerun if is_training(name) or "/points/" in name)
        if settings.forceall or settings.forcetargets or any(forced):
            return False
        jobs = self.workflow.dag.needrun_jobs(exclude_finished=False)
        names = {job.rule.name for job in jobs}
        # Those of `confirm` and `verify` name further records while they run.
        return any(is_training(name) or name.startswith(("confirm", "verify")) for name in names)

    def _report_check(self, message: str, can_train: bool) -> None:
        level = logging.WARNING if message else logging.INFO
        logger.log(level, message, extra={"can_train": can_train})

    def _watch_store(self, message: logging.LogRecord) -> bool:
        """Remove from the store what Snakemake keeps now; a filter of its logger.

        Snakemake's scheduler says that a job has ended well when it will not delete its outputs any
        more. With `--quiet progress` it does not; then the store is emptied at the end of the run.
        Unlike Snakemake's hooks, a filter also works in a module.
        """
        event: Any = getattr(message, "event", None)
        said: Any = message  # Snakemake's fields are attributes of the message
        if event == LogEvent.JOB_STARTED and not self._has_begun:
            self._has_begun = True
            if self._is_alone:
                self.run.begin_with_store()
        elif event == LogEvent.JOB_INFO:
            self._training[said.jobid] = [file for file in said.output if "/points/" in file]
        elif event == LogEvent.JOB_FINISHED:
            clear_store(self._training.pop(said.job_id, []))
        return True

    def _empty_store(self) -> None:
        if self._is_alone:
            self.run.empty_store()

    @property
    def _is_alone(self) -> bool:
        """Whether no other run is at work in this folder, whose jobs would need the store."""
        return bool(self.workflow.execution_settings.lock)

    def _planned(self) -> tuple[Outlook, bool]:
        """Return what this run trains, and whether it makes everything that the study makes."""
        dag = self.workflow.dag
        jobs = dag.needrun_jobs(exclude_finished=False)
        training = (job for job in jobs if is_training(job.rule.name))
        pending = [str(record) for job in training for record in job.output]
        return self.run.outlook(pending), any(job.rule.name == "all" for job in dag.targetjobs)

    def _end_check(self) -> None:
        if self._check is not None:
            self._check.end()

    def report_end(self) -> None:
        """Report what the run found, through Snakemake's logger, so that the screen makes way."""
        self._end_check()
        self._empty_store()
        if self.workflow.touch:
            logger.info(describe_touched(self.run.coverage.missing()))
            return
        outlook, whole = self._planned()
        if whole or outlook.pending:
            seconds = time.time() - self._started
            logger.info("\n" + self.run.describe_end(outlook, seconds, whole=whole))
        # What a job prints on a cluster stays in its own log there.
        for job in self.workflow.dag.needrun_jobs(exclude_finished=False):
            report = job.output.get("report")
            if report is not None:
                logger.info("\n" + Path(report).read_text(encoding="utf-8").rstrip())

    def report_failed(self) -> None:
        """Report which points failed, if any did."""
        self._end_check()
        self._empty_store()
        summary = self.run.describe_failed(self._started, self.workflow.dag_settings.targets)
        if summary:
            logger.error(f"\n{summary}")


def _minutes_of(given: Resource, wildcards: Any, **known: Any) -> int:
    """Return a run time of the command line, which may be an expression of what is `known`."""
    minutes: int = given.evaluate(wildcards, **known).value
    return minutes


def lift_rate_limit(scheduler: Any) -> None:
    """Take off a limit of jobs a second that no machine reaches.

    With a limit, Snakemake starts a timer of a second each time it chooses among jobs that are
    ready, and chooses again when the timer ends. These choices add up: they took an eighth of the
    processor time of a study of 216 short jobs. And Snakemake ends only after its last timer. If a
    version of Snakemake limits jobs in another way, this does nothing.

    Parameters
    ----------
    scheduler
        That of Snakemake.
    """
    limiter = getattr(scheduler, "job_rate_limiter", None)
    if limiter is not None and limiter.max_jobs >= MANY_JOBS * limiter.timespan:
        scheduler.job_rate_limiter = None


def _take_signals() -> None:
    """Have Ctrl-C and SIGTERM end this process and its jobs in good order.

    - Only the first Ctrl-C interrupts Snakemake, which then waits for its jobs. A second one would
      end it with a traceback. All jobs get each Ctrl-C themselves.
    - Jobs ignore Ctrl-C until they can end with one line. Python would print a traceback if it came
      while they import.
    - Snakemake's own handler of SIGTERM runs in a thread. It takes a lock that the main thread
      often holds, so there it could wait for ever.
    """

    def interrupt(number: int, frame: Any) -> None:
        signal.signal(signal.SIGINT, signal.SIG_IGN)
        raise KeyboardInterrupt

    end: Any = signal.getsignal(signal.SIGTERM)
    signal.signal(signal.SIGINT, interrupt)
    signal.signal(signal.SIGTERM, lambda *received: _thread.start_new_thread(end, received))
    shell.prefix("trap '' INT; ")


def _spare_pandas() -> None:
    """Keep Snakemake from importing pandas only to ask whether a param is a table of it.

    No param can be one as long as nobody has imported pandas. Importing it takes a sixth of a run
    that has nothing to do. If a version of Snakemake asks in another way, this does nothing.
    """

    def serialize(self: Any, value: Any) -> Any:
        if "pandas" in sys.modules:
            return self._serialize_param_pandas(value)
        return self._serialize_param_builtin(value)

    names = ("_serialize_param", "_serialize_param_pandas", "_serialize_param_builtin")
    for kind in vars(persistence).values():
        if all(name in getattr(kind, "__dict__", {}) for name in names):
            kind._serialize_param = property(lambda self: partial(serialize, self))


def _hash_once() -> None:
    """Keep Snakemake from reading a file again for a checksum that it knows.

    After a job it notes the checksum of each input with each output: 5,000 for all figures of a
    study. A file of the same time, size and number is the same. If a version of Snakemake hashes
    in another way, this does nothing.
    """
    hashed: Any = getattr(_IOFile, "checksum", None)
    # A workflow may hold several studies.
    if hashed is None or hashed.__module__ == __name__:
        return
    known: dict[tuple[Any, ...], Any] = {}

    async def checksum(self: Any, *args: Any, **kwargs: Any) -> Any:
        try:
            status = Path(self).stat()
        except OSError:
            return await hashed(self, *args, **kwargs)
        times = (status.st_mtime_ns, status.st_ctime_ns)
        key = (str(self), *times, status.st_size, status.st_ino, args, *kwargs.items())
        if key not in known:
            known[key] = await hashed(self, *args, **kwargs)
        return known[key]

    _IOFile.checksum = checksum


def verbatim(value: Any) -> Callable[[Any], Any]:
    """Pass a param unchanged; in a plain text, Snakemake would replace what is in braces."""
    return lambda wildcards: value


def unnoted(value: Any) -> Callable[[Any, Any], Any]:
    """Pass a param of which Snakemake takes no note, so that a change runs no rule again.

    It takes none of functions of `input`.
    """
    return lambda wildcards, input: value
