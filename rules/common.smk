"""What the rules share: the study in this run of `snakemake`, adapted to Snakemake's objects.

`gridloom.workflow` determines what the rules ask for.
"""

import json
import logging
import os
import sys
import time
from pathlib import Path

from snakemake.exceptions import WorkflowError
from snakemake.logging import logger
from snakemake.settings.enums import Quietness

from gridloom.errors import BackendError, GridloomError, StorageError
from gridloom.files import fingerprint
from gridloom.study.grid import axis_numbers, axis_texts, column_order
from gridloom.workflow.invocation import Invocation
from gridloom.workflow.own_words import in_own_words
from gridloom.workflow.progress import describe_outlook
from gridloom.workflow.study_run import StudyRun, require_machine

# The logger plugin does it too, and earlier: before Snakemake reads any file.
logger.addFilter(in_own_words)

STARTED = time.time()
GPU_LIMIT = getattr(workflow.global_resources.get("gpu"), "value", None)

try:
    require_machine()
    RUN = StudyRun.open(
        Invocation(
            snakefile=workflow.main_snakefile,
            config_files=tuple(map(Path, workflow.config_settings.configfiles)),
            overrides=workflow.config_settings.config,
            # Another workflow may pass a study in `module … config:`.
            handed_over=None if workflow.modifier.is_main_snakefile() else config,
            cores=workflow.resource_settings.cores,
            here=workflow.local_exec,
            in_job=workflow.remote_exec,
        ),
        os.environ,
    )
    RUN.hand_over_settings()
    # Otherwise `onstart` does this; Snakemake does not call it in a cluster's job or for a module.
    if workflow.remote_exec or not workflow.modifier.is_main_snakefile():
        RUN.open_for_training(GPU_LIMIT)
# Exit instead of raising, because Snakemake would add lines of this file to the message.
except (BackendError, StorageError) as error:
    sys.exit(str(error))
except GridloomError as error:
    sys.exit(f"The study is not valid:\n{error}")

STUDY, RESULTS, DATA = RUN.study, RUN.results, RUN.data


def code(rule):
    """Return a rule's script and the modules that it imports: an edit of an input reruns a rule."""
    # Relative to this file, because a workflow that uses this one as a module has another folder.
    here = Path(code.__code__.co_filename)
    return RUN.code(here.parents[1] / "scripts" / f"{rule}.py")


def verbatim(value):
    """Pass a param unchanged; in a plain text, Snakemake would replace what is in braces."""
    return lambda wildcards: value


def asks(rule, key):
    """Return a resource of a job of a rule."""
    return RUN.resource(rule, key)


def grows(rule, key):
    """Return a resource of a job; on a cluster, n times as much in the nth attempt.

    On this machine it is a number: calling a function for each job takes a tenth of planning.
    """
    first = asks(rule, key)
    return first if workflow.local_exec else lambda wildcards, attempt: first * attempt


def records(wildcards):
    """List the records that the study needs, and force the training of truncated ones."""
    # Only the job that trains such a record removes it; a look at the study leaves it.
    workflow.dag.forcefiles.update(RUN.cut_short)
    return RUN.records


def for_training(file):
    """Return an input of `train` that never outdates a finished record, even if it is new or lost.

    Its age does not matter, because its folder's name is a fingerprint of its content. If it is
    lost and has to be made again, Snakemake would make everything that depends on it again. But
    Snakemake accepts an existing record if an input of its job cannot be made, so finished records
    get such an input.
    """
    if os.path.exists(file) or not RUN.existing_records:
        return ancient(file)
    record = f"{RESULTS}/points/{{setup}}/{{point}}={{first}}-{{last}}.json"

    def needed(wildcards):
        asked = workflow.dag_settings.forceall or workflow.dag_settings.forcerun
        if asked or not RUN.is_there(record.format(**wildcards)):
            return ancient(file)
        return f"{file} is not needed"

    return needed


def prepare_run():
    """Prepare the run, or end with one message."""
    # On a full disk, Snakemake would print a traceback for each line that it cannot log.
    logging.raiseExceptions = False
    forced = workflow.dag_settings.forcerun
    try:
        RUN.open_for_training(GPU_LIMIT)
        RUN.start(["download"] if workflow.dag_settings.forceall else list(forced))
    except GridloomError as error:
        raise WorkflowError(str(error))
    outlook, whole = planned()
    message = describe_outlook(outlook) if whole or outlook.pending else ""
    logger.info(message, extra={"outlook": outlook, "quietness": Quietness.PROGRESS})


def planned():
    """Return what this run trains, and whether it makes everything that the study makes."""
    jobs = workflow.dag.needrun_jobs(exclude_finished=False)
    pending = [job.output[0] for job in jobs if job.rule.name == "train"]
    whole = any(job.rule.name == "all" for job in workflow.dag.targetjobs)
    return RUN.outlook(pending), whole


def report_end():
    """Report what the run found, through Snakemake's logger, so that the screen makes way."""
    outlook, whole = planned()
    if whole or outlook.pending:
        seconds = time.time() - STARTED
        logger.info("\n" + RUN.describe_end(outlook, seconds, whole=whole))


def report_failed():
    """Report which points failed, if any did."""
    summary = RUN.describe_failed(STARTED, workflow.dag_settings.targets)
    if summary:
        logger.error(f"\n{summary}")
