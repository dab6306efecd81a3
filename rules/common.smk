"""What the rules share: the study, its points, and the settings of this run.

Everything heavy stays out: on a cluster, each job reads this file.
"""

import json
import logging
import os
import sys
import time
from functools import cache
from itertools import combinations
from pathlib import Path

from snakemake.exceptions import WorkflowError

from gridloom.data import versions
from gridloom.data.settings import DataSettings, hand_over
from gridloom.errors import GridloomError
from gridloom.identity.digests import Digests
from gridloom.identity.setup import acting_split, format_of, identify, library_file
from gridloom.identity.setup import used_validation
from gridloom.naming.blocks import cover, existing_blocks
from gridloom.naming.values import canonical, table_value
from gridloom.storage import require_room
from gridloom.study.contract import check_model_file
from gridloom.study.grid import axis_texts, column_order
from gridloom.study.loading import check_study, load_study
from gridloom.study.schema import names_of
from gridloom.study.sources import local_sources
from gridloom.workers.process import require_backend
from gridloom.workers.scope import open_scope, own_folder, start_host
from gridloom.workflow.failures import failed_records, tell_failures

STARTED = time.time()

# On a full disk, Snakemake would print a traceback for each line that its log does not take.
logging.raiseExceptions = False

try:
    require_room(".snakemake")
    require_backend()
    SCOPE = own_folder()
except GridloomError as error:
    sys.exit(str(error))

# Another workflow hands a study over in `module … config:`.
GIVEN = None if workflow.modifier.is_main_snakefile() else config

# Digests of files that did not change are kept from one `snakemake` to the next.
DIGESTS = Digests(Path(".snakemake/gridloom/digests.json"))

try:
    STUDY = (
        check_study(GIVEN)
        if GIVEN
        else load_study(
            default=Path("config/config.yaml"),
            files=[Path(file) for file in workflow.config_settings.configfiles],
            overrides=workflow.config_settings.config,
        )
    )
    GRID = STUDY.grid
    RESULTS = STUDY.results
    check_model_file(
        Path(STUDY.model), names_of(GRID.points.values()), STUDY.trainer.engine
    )
    SOURCES = local_sources(STUDY.dataset.source, STUDY.dataset.test_source)
    # Which version of an address a study was trained on.
    VERSIONS = Path(RESULTS, versions.FILE)
    # A folder for each set of rows, and for the records of each set-up: settings that are changed,
    # mistyped ones too, leave what is finished where it is.
    IDENTITY = identify(STUDY, DIGESTS, VERSIONS, os.environ)
    SETUP = IDENTITY.setup
    if not workflow.remote_exec:
        DIGESTS.keep()
except GridloomError as error:
    # Not as an exception: Snakemake would add the lines of this file.
    sys.exit(f"The study is not valid:\n{error}")

try:
    # What every training of the study shares; besides the set-up, which its record's folder is
    # named by, no result depends on it.
    open_scope(
        SCOPE,
        SETUP.name,
        RESULTS,
        setup=SETUP.as_json(),
        objective=STUDY.objective.metric,
        model=os.path.abspath(STUDY.model),
        gpu_limit=getattr(workflow.global_resources.get("gpu"), "value", None),
        # In a cluster's job no second training comes, and SLURM would count host and worker: 1.1 GB
        # instead of 0.8.
        warm=STUDY.trainer.warm and not workflow.remote_exec,
        **STUDY.trainer.model_dump(exclude={"engine", "xla", "warm"}),
    )
except GridloomError as error:
    sys.exit(str(error))

POINTS = f"{RESULTS}/points/{SETUP.name}"
DATA = f"{RESULTS}/data/{IDENTITY.rows}"
FORMAT = format_of(STUDY.dataset)
# What Snakemake notes of the rules' params holds no secret of an address.
DATASET = STUDY.dataset.without_secrets()
PARTS = "npz" if FORMAT == "npz" or STUDY.dataset.shape is not None else "parquet"
RAW_TABLES = [f"{DATA}/raw.{FORMAT}"]
if STUDY.dataset.test_source is not None:
    RAW_TABLES.append(f"{DATA}/raw_test.{FORMAT}")


def code(*modules):
    """Name library modules as inputs, so that an edit reruns what they made."""
    return [os.path.relpath(library_file(f"gridloom.{module}")) for module in modules]


def script_of(rule):
    """Name a rule's script as its input (see `code`)."""
    here = Path(
        script_of.__code__.co_filename
    )  # in a module, not the workflow's own folder
    return os.path.relpath(here.parents[1] / "scripts" / f"{rule}.py")


def verbatim(value):
    """Hand a param over as it is: in a plain text, Snakemake fills in what stands in braces."""
    return lambda wildcards: value


def asks(rule, key, default):
    """Return what the study asks for a rule, or the rule's own default."""
    given = getattr(STUDY.resources.get(rule), key, None)
    return default if given is None else given


def grows(rule, key, default):
    """Return what a rule asks for, which on a cluster is n times as much in its nth attempt.

    Here a number serves: a function would be asked for each job, a tenth of the time of planning.
    """
    first = asks(rule, key, default)
    return first if workflow.local_exec else lambda wildcards, attempt: first * attempt


@cache
def looked_up():
    """Return the records that the study needs, in the order of its points, and those cut short."""
    needed, cut_short = [], set()
    for path in GRID.points:
        whole, cut = existing_blocks(Path(POINTS, path))
        blocks = cover(whole, STUDY.repetitions, STUDY.repetitions_per_job)
        needed += [f"{POINTS}/{path}/{block.file}" for block in blocks]
        cut_short.update(f"{POINTS}/{path}/{block.file}" for block in cut)
    return needed, cut_short


@cache
def records():
    """List the records that the study needs; have those trained anew that were cut short."""
    needed, cut_short = looked_up()
    # Only the job that trains one anew removes it: a look at the study leaves it.
    workflow.dag.forcefiles.update(cut_short)
    return needed


def is_there(record):
    """Tell whether a record is there, and not to be trained anew because it was cut short."""
    return os.path.exists(record) and record not in looked_up()[1]


def missing_records():
    """List the records that are not there yet."""
    return [record for record in looked_up()[0] if not is_there(record)]


def lost_records():
    """List the missing records of a study whose tables exist.

    Snakemake takes what lies before a table that exists for done; named as targets, they are
    trained. In a new study they would only be planned twice.
    """
    return missing_records() if os.path.exists(f"{RESULTS}/runs.csv") else []


@cache
def existing_records():
    """List the records that are there already."""
    return [record for record in looked_up()[0] if is_there(record)]


def for_training(file):
    """Name an input of `train`: neither its age nor its loss makes a finished record old.

    Its folder's name tells what is in it. Where it is to be made again, Snakemake would make anew
    all that comes from it; a record whose job lacks an input, it takes as the file that it is.
    """
    if os.path.exists(file) or not existing_records():
        return ancient(file)
    finished = set(existing_records())
    record = f"{POINTS}/{{point}}={{first}}-{{last}}.json"

    def needed(wildcards):
        asked = workflow.dag_settings.forceall or workflow.dag_settings.forcerun
        if asked or record.format(**wildcards) not in finished:
            return ancient(file)
        return f"{file} is not needed"

    return needed


def tell_failed_points():
    """Print which points failed in this run, if any did."""
    failed = failed_records(RESULTS, records(), STARTED)
    if failed:
        kept = sum(map(os.path.exists, records()))
        told = tell_failures(RESULTS, failed, len(records()), kept, given_config())
        print(f"\n{told}\n", file=sys.stderr)


def prepare_run():
    """Start the workers' host if there is something to train here, or end with one message."""
    try:
        require_room(RESULTS)
        if (
            "download" in workflow.dag_settings.forcerun
            or workflow.dag_settings.forceall
        ):
            sources = [STUDY.dataset.source, STUDY.dataset.test_source]
            versions.ask_anew(list(filter(None, sources)), VERSIONS)
        if STUDY.trainer.warm and workflow.local_exec and missing_records():
            start_host(SCOPE)
    except GridloomError as error:
        raise WorkflowError(str(error))


def same_study():
    """Return the arguments with which another `snakemake` reads the same study."""
    return ["--snakefile", workflow.main_snakefile, *given_config()]


def given_config():
    """Return the arguments that name the study, none for the default one."""
    settings = workflow.config_settings
    arguments = []
    if settings.configfiles:
        arguments += ["--configfile", *map(str, settings.configfiles)]
    if settings.config:
        given = [f"{key}={json.dumps(value)}" for key, value in settings.config.items()]
        arguments += ["--config", *given]
    return arguments


def trainings_at_once():
    """Return how many jobs of `train` this machine runs together; None on a cluster."""
    cores = workflow.resource_settings.cores
    return max(cores // asks("train", "threads", 1), 1) if cores else None


def slices():
    """List the slices of the study whose axes are both swept, values as the tables spell them."""
    return [
        {
            "rows": part.rows,
            "columns": part.columns,
            "at": {
                name: str(table_value({name: canonical(v)}, name))
                for name, v in part.at.items()
            },
        }
        for part in STUDY.figures.slices
        if part.rows in GRID.axes and part.columns in GRID.axes
    ]


def heatmap_names():
    """Name the heatmaps: of means for each pair of axes, and of each slice."""
    means = [f"heatmap_{a}_x_{b}_mean" for a, b in combinations(GRID.axes, 2)]
    return means + [
        f"heatmap_{part['rows']}_x_{part['columns']}_slice" for part in slices()
    ]


hand_over(
    DATA,
    DataSettings(
        source=STUDY.dataset.source,
        test_source=STUDY.dataset.test_source,
        size=int(STUDY.limits.gib * 2**30),
        seconds=STUDY.limits.minutes * 60,
        trainings=(STUDY.repetitions_per_job or STUDY.repetitions)
        * used_validation(STUDY).get("folds", 1),
        parallel=trainings_at_once() if workflow.local_exec else None,
        mem_mb=asks("train", "mem_mb", 2000),
    ),
)
