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

from gridloom.blocks import Block, cover, existing_blocks
from gridloom.contract import check_model_file
from gridloom.data.settings import DataSettings, hand_over
from gridloom.data.sources import local_sources, table_format
from gridloom.errors import GridloomError
from gridloom.failures import failed_records, tell_failures
from gridloom.files import fingerprint
from gridloom.grid import axis_texts, canonical, column_order, table_value
from gridloom.scope import claim_folder, open_scope, start_host
from gridloom.storage import require_room
from gridloom.study import load_study, names_of
from gridloom.training.process import require_backend

STARTED = time.time()

# On a full disk, Snakemake would print a traceback for each line that its log does not take.
logging.raiseExceptions = False

try:
    require_room(".snakemake")
    require_backend()
    SCOPE = claim_folder()
except GridloomError as error:
    sys.exit(str(error))

try:
    STUDY = load_study(
        default=Path("config/config.yaml"),
        files=[Path(file) for file in workflow.config_settings.configfiles],
        overrides=workflow.config_settings.config,
    )
    GRID = STUDY.grid
    check_model_file(
        Path(STUDY.model), names_of(GRID.points.values()), STUDY.trainer.engine
    )
    SOURCES = local_sources(STUDY.dataset.source, STUDY.dataset.test_source)
except GridloomError as error:
    # Not as an exception: Snakemake would add the lines of this file.
    sys.exit(f"The study is not valid:\n{error}")


def code(*modules):
    """Name library modules as inputs, so that an edit reruns what they made."""
    library = os.path.relpath(Path(workflow.basedir) / "gridloom")
    return [f"{library}/{module}.py" for module in modules]


RESULTS = STUDY.results
# What Snakemake notes of the rules' params holds no secret of an address.
DATASET = STUDY.dataset.without_secrets()
ROWS = fingerprint(
    [
        *SOURCES,
        *code(
            "data/arrays",
            "data/partition",
            "data/rows",
            "data/sources",
            "data/split",
            "data/tables",
        ),
    ],
    # Without defaults, so that a key new to Gridloom leaves finished studies as they are.
    STUDY.dataset.model_dump_json(exclude_defaults=True)
    + STUDY.split.model_dump_json(exclude_defaults=True),
)
# A folder for each set of rows, named by all that decides them: settings that are changed, mistyped
# ones too, leave the rows of finished trainings where they are.
DATA = f"{RESULTS}/data/{ROWS}"
FORMAT = table_format(STUDY.dataset.source, STUDY.dataset.format, STUDY.dataset.member)
PARTS = "npz" if FORMAT == "npz" or STUDY.dataset.shape is not None else "parquet"
RAW_TABLES = [f"{DATA}/raw.{FORMAT}"]
if STUDY.dataset.test_source is not None:
    RAW_TABLES.append(f"{DATA}/raw_test.{FORMAT}")


def script_of(rule):
    """Name a rule's script as its input (see `code`)."""
    return os.path.relpath(Path(workflow.basedir) / "scripts" / f"{rule}.py")


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
def records():
    """List the records that the study needs, in the order of its points."""
    needed = []
    for path in GRID.points:
        whole, cut = existing_blocks(Path(POINTS, path))
        needed += [
            f"{POINTS}/{path}/{block.file}"
            for block in cover(whole, STUDY.repetitions, STUDY.repetitions_per_job)
        ]
        # Only the job that trains one anew removes it: a look at the study leaves it.
        workflow.dag.forcefiles.update(f"{POINTS}/{path}/{block.file}" for block in cut)
    return needed


def is_there(record):
    """Tell whether a record is there, and not to be trained anew because it was cut short."""
    return os.path.exists(record) and record not in workflow.dag.forcefiles


def missing_records():
    """List the records that are not there yet."""
    return [record for record in records() if not is_there(record)]


def lost_records():
    """List the missing records of a study whose tables exist.

    Snakemake takes what lies before a table that exists for done; named as targets, they are
    trained. In a new study they would only be planned twice.
    """
    return missing_records() if os.path.exists(f"{RESULTS}/runs.csv") else []


@cache
def existing_records():
    """List the records that are there already."""
    return [record for record in records() if is_there(record)]


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


def used_validation():
    """Return the method of validation with the one number that it uses."""
    key = "folds" if STUDY.validation.method == "kfold" else "fraction"
    return {"method": STUDY.validation.method, key: getattr(STUDY.validation, key)}


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


# All that determines a training besides its point and repetition. Its fingerprint names the folder of
# the records: whatever changes, and be it by a slip that makes every training fail, the records of
# before stay where they are and serve again once the change is taken back.
SETUP = {
    "data": ROWS,
    "model file": fingerprint([STUDY.model]),
    "training code": fingerprint(
        code(
            "seeds",
            "data/partition",
            "data/preparation",
            "data/rows",
            "training/fit",
            "training/keras_fit",
            "training/lockstep",
            "training/losses",
            "training/model",
            "training/process",
            "training/record",
            "training/run",
            "training/units",
        )
    ),
    "seed": STUDY.seed,
    "vary": sorted(STUDY.vary),
    "validation": used_validation(),
    "class_weight": STUDY.class_weight,
    "scaling": STUDY.preparation.scaling,
    # Only where targets are numbers: to classes it makes no difference.
    **(
        {"target": STUDY.preparation.target}
        if STUDY.dataset.task == "regression"
        else {}
    ),
    "engine": STUDY.trainer.engine,
    "xla": STUDY.trainer.xla,
}
SETUP_NAME = fingerprint([], json.dumps(SETUP, sort_keys=True))
POINTS = f"{RESULTS}/points/{SETUP_NAME}"

# What every training of this run shares; besides the set-up, which its record's folder is named by, no
# result depends on it.
open_scope(
    SCOPE,
    setup=SETUP,
    objective=STUDY.objective.metric,
    model=os.path.abspath(STUDY.model),
    gpu_limit=getattr(workflow.global_resources.get("gpu"), "value", None),
    # In a cluster's job no second training comes, and SLURM would count host and worker: 1.1 GB
    # instead of 0.8.
    warm=STUDY.trainer.warm and not workflow.remote_exec,
    **STUDY.trainer.model_dump(exclude={"engine", "xla", "warm"}),
)

hand_over(
    DataSettings(
        source=STUDY.dataset.source,
        test_source=STUDY.dataset.test_source,
        size=int(STUDY.limits.gib * 2**30),
        seconds=STUDY.limits.minutes * 60,
        trainings=(STUDY.repetitions_per_job or STUDY.repetitions)
        * used_validation().get("folds", 1),
        parallel=trainings_at_once() if workflow.local_exec else None,
        mem_mb=asks("train", "mem_mb", 2000),
    )
)
