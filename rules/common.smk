"""What the rules share: the study as this `snakemake` sees it, in the forms that Snakemake takes.

What the rules ask for is worked out by `gridloom.workflow`.
"""

import json
import logging
import os
import sys
import time
from pathlib import Path

from snakemake.exceptions import WorkflowError

from gridloom.errors import BackendError, GridloomError, StorageError
from gridloom.study.grid import axis_texts, column_order
from gridloom.workflow.invocation import Invocation
from gridloom.workflow.study_run import StudyRun, require_machine

STARTED = time.time()
GPU_LIMIT = getattr(workflow.global_resources.get("gpu"), "value", None)

try:
    require_machine()
    RUN = StudyRun.open(
        Invocation(
            snakefile=workflow.main_snakefile,
            config_files=tuple(map(Path, workflow.config_settings.configfiles)),
            overrides=workflow.config_settings.config,
            # Another workflow hands a study over in `module … config:`.
            handed_over=None if workflow.modifier.is_main_snakefile() else config,
            cores=workflow.resource_settings.cores,
            here=workflow.local_exec,
            in_job=workflow.remote_exec,
        ),
        os.environ,
    )
    RUN.hand_over_settings()
    # Else `onstart` does it, which Snakemake does not call in a cluster's job or for a module.
    if workflow.remote_exec or not workflow.modifier.is_main_snakefile():
        RUN.open_for_training(GPU_LIMIT)
# Not as an exception: Snakemake would add the lines of this file.
except (BackendError, StorageError) as error:
    sys.exit(str(error))
except GridloomError as error:
    sys.exit(f"The study is not valid:\n{error}")

STUDY, RESULTS, DATA = RUN.study, RUN.results, RUN.data


def code(rule):
    """Name a rule's script and what it imports as inputs, so that an edit reruns the rule."""
    # In a module, not the workflow's own folder.
    here = Path(code.__code__.co_filename)
    return RUN.code(here.parents[1] / "scripts" / f"{rule}.py")


def verbatim(value):
    """Hand a param over as it is: in a plain text, Snakemake fills in what stands in braces."""
    return lambda wildcards: value


def asks(rule, key):
    """Return what a job of a rule asks for."""
    return RUN.resource(rule, key)


def grows(rule, key):
    """Return what a job asks for, which on a cluster is n times as much in its nth attempt.

    Here a number serves: a function would be asked for each job, a tenth of the time of planning.
    """
    first = asks(rule, key)
    return first if workflow.local_exec else lambda wildcards, attempt: first * attempt


def records(wildcards):
    """List the records that the study needs; have those trained anew that were cut short."""
    # Only the job that trains one anew removes it: a look at the study leaves it.
    workflow.dag.forcefiles.update(RUN.cut_short)
    return RUN.records


def for_training(file):
    """Name an input of `train`: neither its age nor its loss makes a finished record old.

    Its folder's name tells what is in it. Where it is to be made again, Snakemake would make anew
    all that comes from it; a record whose job lacks an input, it takes as the file that it is.
    """
    if os.path.exists(file) or not RUN.existing_records:
        return ancient(file)
    finished = set(RUN.existing_records)
    record = f"{RESULTS}/points/{{setup}}/{{point}}={{first}}-{{last}}.json"

    def needed(wildcards):
        asked = workflow.dag_settings.forceall or workflow.dag_settings.forcerun
        if asked or record.format(**wildcards) not in finished:
            return ancient(file)
        return f"{file} is not needed"

    return needed


def prepare_run():
    """Make ready for the jobs, or end with one message."""
    # On a full disk, Snakemake would print a traceback for each line that its log does not take.
    logging.raiseExceptions = False
    forced = workflow.dag_settings.forcerun
    try:
        RUN.open_for_training(GPU_LIMIT)
        RUN.start(["download"] if workflow.dag_settings.forceall else list(forced))
    except GridloomError as error:
        raise WorkflowError(str(error))
