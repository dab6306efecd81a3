"""What the rules ask for: a study's folders, figures, resources, confirmation and verification.

Nothing heavy is imported here, because each job's Snakemake imports this module.
"""

from __future__ import annotations

import contextlib
import json
import math
import os
import shutil
from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import replace
from functools import cache, cached_property
from pathlib import Path
from typing import Any

from gridloom.analysis.pick import Pick
from gridloom.analysis.rounds import Next, Plan, Round, after
from gridloom.data import versions
from gridloom.data.memory import machine_bytes
from gridloom.data.settings import DataSettings, hand_over
from gridloom.errors import GridloomError, StudyError
from gridloom.figures.wanted import Wanted, evidence_names, lattice_names, wanted_heatmaps
from gridloom.files import fingerprint
from gridloom.identity.digests import Digests
from gridloom.identity.identify import (
    Identity,
    acting_split,
    format_of,
    identify,
    library_modules_of,
)
from gridloom.naming.blocks import FIRST_RESERVED, job_repetitions, log_of, point_of
from gridloom.naming.values import canonical, table_text
from gridloom.storage import require_room
from gridloom.study.contract import check_model_file
from gridloom.study.dataset import Dataset, Split
from gridloom.study.loading import handed_study, load_study
from gridloom.study.schema import Study, names_of
from gridloom.study.sources import local_sources, shown
from gridloom.workers.job import TrainingSettings
from gridloom.workers.process import require_backend
from gridloom.workers.scope import open_scope, own_folder, start_host
from gridloom.workflow.adoption import (
    adoptable_file,
    adoptable_records,
    is_adopted,
    note_adoptable,
)
from gridloom.workflow.check import Load
from gridloom.workflow.coverage import Coverage
from gridloom.workflow.ending import describe_answer, describe_trained, read_answer
from gridloom.workflow.failures import describe_failures, failed_records
from gridloom.workflow.invocation import Invocation
from gridloom.workflow.jobs import (
    Group,
    begin_with_store,
    cut,
    empty_store,
    training_seconds,
    worthwhile_size,
)
from gridloom.workflow.progress import Outlook
from gridloom.workflow.setups import choose_setup

#: Longest run time of a job of `train` on this machine, in minutes: it ends what hangs, and nobody
#: waits in a queue for it. On a cluster, where it does count, it is shorter.
RUNTIME_HERE = 24 * 60

#: Most minutes that a job of several records asks a cluster for, unless a single one asks for more.
MINUTES_A_DAY = 24 * 60

#: Default resources of each rule: cores, megabytes, minutes, GPUs.
DEFAULT_RESOURCES: dict[str, dict[str, int]] = {
    "download": {"threads": 1, "mem_mb": 1000, "runtime": 30, "gpu": 0},
    "split": {"threads": 1, "mem_mb": 2000, "runtime": 30, "gpu": 0},
    "train": {"threads": 1, "mem_mb": 2000, "runtime": 60, "gpu": 0},
    "gather": {"threads": 1, "mem_mb": 4000, "runtime": 60, "gpu": 0},
    "baselines": {"threads": 1, "mem_mb": 4000, "runtime": 30, "gpu": 0},
    "analyse": {"threads": 1, "mem_mb": 4000, "runtime": 30, "gpu": 0},
    "heatmaps": {"threads": 4, "mem_mb": 2000, "runtime": 30, "gpu": 0},
}

#: Rules whose default resources are those of another rule.
_AS = {
    "verdict": "analyse",
    "confirm": "analyse",
    "verify": "train",
    "check": "train",
    "crosscheck": "train",
    "figures": "heatmaps",
    "report": "analyse",
    "refit": "train",
}

#: Repetitions that `verify` scores a pick by.
RESERVED = 20

#: Figures of the fitted model, by task (see `gridloom.figures.predictions`).
_MODEL_FIGURES = {
    "classification": ("confusion", "roc", "calibration"),
    "multilabel": ("roc", "calibration"),
    "regression": ("predicted", "residuals"),
}

DEFAULT_STUDY = Path("config/config.yaml")

#: File that keeps digests of unchanged files between runs of `snakemake`.
DIGESTS_FILE = Path(".snakemake/gridloom/digests.json")


class StudyRun:
    """A study in one run of `snakemake`.

    Parameters
    ----------
    study
        The checked study.
    identity
        Names of its rows and records.
    invocation
        Arguments and settings of `snakemake`.
    digests
        Digests of the files that were read.

    Attributes
    ----------
    coverage
        The records of the study.
    groups
        Jobs of several records, in this run.
    """

    def __init__(
        self, study: Study, identity: Identity, invocation: Invocation, digests: Digests
    ) -> None:
        self.study = study
        self.identity = identity
        self.invocation = invocation
        self.digests = digests
        self.coverage = Coverage(
            f"{study.results}/points/{identity.setup.name}",
            study.grid.points,
            study.repetitions,
            study.repetitions_per_job,
        )
        self._with_other_setups: dict[str, Coverage] = {}
        # Twenty rules ask for their code, which has most modules in common.
        self._source = cache(digests.source)
        self.groups: list[Group] = []

    @classmethod
    def open(cls, invocation: Invocation, environment: Mapping[str, str]) -> StudyRun:
        """Read and check the study, its model file and its local sources.

        Parameters
        ----------
        invocation
            Arguments and settings of `snakemake`.
        environment
            Environment variables of the process.

        Raises
        ------
        StudyError
            With one sentence for each mistake.
        """
        if invocation.handed_over is not None:
            study = handed_study(invocation.handed_over, invocation.overrides)
        else:
            study = load_study(DEFAULT_STUDY, invocation.config_files, invocation.overrides)
        names = names_of(study.grid.points.values())
        check_model_file(Path(study.model), names, study.trainer.engine)
        local_sources(study.dataset.source, study.dataset.test_source)
        digests = Digests(DIGESTS_FILE)
        noted = Path(study.results, versions.FILE)
        return cls(study, identify(study, digests, noted, environment), invocation, digests)

    @property
    def results(self) -> str:
        """Folder of the study's results."""
        return self.study.results

    @property
    def data(self) -> str:
        """Folder of the rows, whose name is a fingerprint of everything that determines them."""
        return f"{self.results}/data/{self.identity.rows}"

    @property
    def versions(self) -> Path:
        """File of notes on the versions of sources on the web."""
        return Path(self.results, versions.FILE)

    @property
    def sources(self) -> list[str]:
        """The sources that are local files."""
        return local_sources(self.study.dataset.source, self.study.dataset.test_source)

    @property
    def format(self) -> str:
        """Format of the raw rows."""
        return format_of(self.study.dataset)

    @property
    def dataset(self) -> Dataset:
        """The dataset without the secrets of an address, so that Snakemake may note it."""
        return self.study.dataset.without_secrets()

    @property
    def split(self) -> Split:
        """The study's split; the default split if the data has its own test rows."""
        return acting_split(self.study)

    @cached_property
    def parts(self) -> str:
        """Ending of the files of training and test rows."""
        arrays = self.format == "npz" or self.study.dataset.shape is not None
        return "npz" if arrays else "parquet"

    @property
    def raw_tables(self) -> list[str]:
        """Files of the raw rows."""
        tables = [f"{self.data}/raw.{self.format}"]
        if self.study.dataset.test_source is not None:
            tables.append(f"{self.data}/raw_test.{self.format}")
        return tables

    @property
    def folds(self) -> int:
        """Trainings of each repetition."""
        return self.identity.setup.folds

    def code(self, script: Path) -> list[str]:
        """List a rule's script and the library modules that it imports; an edit reruns the rule."""
        modules = library_modules_of(script, self._source)
        return [os.path.relpath(file) for file in (script, *modules.values())]

    def resource(self, rule: str, key: str) -> int:
        """Return a resource of one job of a rule, from the study or by default."""
        given = getattr(self.study.resources.get(rule), key, None)  # type: ignore[call-overload]
        if given is not None:
            return int(given)
        if (rule, key) == ("figures", "threads") and self.invocation.cores is not None:
            # Two jobs of figures and the report run beside one another.
            return min(max(self.invocation.cores // 2, 1), DEFAULT_RESOURCES["heatmaps"][key])
        if rule in _AS:
            return self.resource(_AS[rule], key)
        if (rule, key) == ("train", "runtime") and self.invocation.is_here():
            return RUNTIME_HERE
        return DEFAULT_RESOURCES[rule][key]

    def jobs_at_once(self) -> int | None:
        """Return how many jobs of `train` this machine runs at once; None on a cluster."""
        cores, jobs = self.invocation.cores, self.invocation.jobs
        if cores is None or not self.invocation.is_here():
            return None
        fitting = max(cores // self.resource("train", "threads"), 1)
        return fitting if jobs is None else min(fitting, jobs)

    def group(self, *, alone: Collection[str]) -> list[Group]:
        """Cut the missing records into groups, each of which one job makes.

        Parameters
        ----------
        alone
            Records that are to be made each by a job of its own.
        """
        size = self.study.points_per_job
        here = self.invocation.is_here()
        if size is None:
            size = 1 if here else "auto"
        if size == 1:
            return []
        records = [record for record in self.coverage.missing() if record not in alone]
        if size == "auto":
            slots = self.jobs_at_once() if here else self.invocation.jobs
            trainings = len(job_repetitions(Path(records[0]))) * self.folds if records else 1
            size = worthwhile_size(
                len(records), trainings, self._training_seconds, here=here, slots=slots or 1
            )
        return [group for group in cut(records, size) if len(group.records) > 1]

    @cached_property
    def _training_seconds(self) -> float | None:
        return training_seconds(self.coverage.existing)

    def minutes(self, group: Group, one: int, attempt: int) -> int:
        """Return the run time that an attempt at a job of several records asks a cluster for.

        A job that exceeds it loses nothing, and is tried again with more. A record that hangs has
        time in its own turn and ahead of another. If the pace of trainings is not measured, it is
        that of one record for each, up to a day.

        Parameters
        ----------
        one
            Longest run time of a record in this attempt, in minutes.
        """
        count = len(group.records)
        if self.invocation.in_job:  # it has been asked for
            return one
        seconds = self._training_seconds
        if seconds is None:
            return min(one * count, max(one, MINUTES_A_DAY))
        trainings = len(job_repetitions(Path(group.records[0]))) * self.folds
        return 2 * one + math.ceil(2 * attempt * count * trainings * seconds / 60)

    def count_jobs(self, records: Collection[str]) -> int:
        """Return how many jobs make some records."""
        left = set(records)
        many = [group for group in self.groups if not left.isdisjoint(group.records)]
        return len(many) + len(left.difference(*(group.records for group in many)))

    def lost_records(self) -> list[str]:
        """List the missing records of a study whose tables exist; none for a new study.

        If a table exists, Snakemake assumes that its inputs are done, so it trains missing records
        only if they are targets. In a new study, targets would make it plan the records twice.
        """
        return self.coverage.missing() if Path(self.results, "runs.csv").exists() else []

    def used_records(self) -> list[str]:
        """List the records that `prune` keeps."""
        return self.coverage.used(confirming=Path(self.plan_file).exists())

    def comparison(self) -> list[str]:
        """List the file of today's comparison with the set-up that was used before.

        Raises
        ------
        StudyError
            If there is nothing to compare.
        """
        if not self.coverage.existing:
            raise StudyError(
                "compare: today's set-up has no finished trainings; run `snakemake`, then "
                "`snakemake compare`"
            )
        folder = choose_setup(
            Path(self.results, "points"),
            self.identity.setup.name,
            self.identity.setup.as_json(),
            self.study.compare,
            lambda folder: bool(self.records_with(folder.name)),
        )
        return [f"{self.results}/compare/{folder.name}/compare.md"]

    def records_with(self, setup: str) -> list[str]:
        """List the records of another set-up that the study would use."""
        study = self.study
        if setup not in self._with_other_setups:
            self._with_other_setups[setup] = Coverage(
                f"{study.results}/points/{setup}",
                study.grid.points,
                study.repetitions,
                study.repetitions_per_job,
            )
        return self._with_other_setups[setup].existing

    def gain_figures(self, folder: str) -> list[str]:
        """List the files of the figure of a comparison."""
        return self._figures(folder, ["gains"])

    @cached_property
    def _question(self) -> str:
        """Fingerprint of set-up, points and objective.

        It names what `confirm` and `verify` find, so that a study that changed never meets what
        another one found.
        """
        objective = self.study.objective.model_dump()
        of = [self.identity.setup.name, sorted(self.study.grid.points), objective]
        return fingerprint([], json.dumps(of, sort_keys=True))

    @property
    def confirm_folder(self) -> str:
        """Folder of the confirmation."""
        return f"{self.results}/confirm/{self._question}"

    @property
    def verify_folder(self) -> str:
        """Folder of the verification."""
        return f"{self.results}/verify/{self._question}"

    @property
    def plan_file(self) -> str:
        """File of what the confirmation compares by."""
        return f"{self.confirm_folder}/plan.json"

    def round_file(self, number: int | str) -> str:
        """Return the file of what a round found."""
        return f"{self.confirm_folder}/round={number}.json"

    @property
    def confirmed_pick(self) -> str:
        """File of the pick that a confirmation of this very study ends in."""
        return f"{self.confirm_folder}/best.yaml"

    @property
    def confirmed(self) -> str | None:
        """The file of the confirmed pick; None if there is none."""
        return self.confirmed_pick if Path(self.confirmed_pick).exists() else None

    def after_round(self, number: int) -> Next:
        """Return what comes after a round that is finished."""
        last = Round.read(Path(self.round_file(number)))
        return after(last, self.study.confirm, self.folds)

    def round_repetitions(self, number: int) -> int:
        """Return how many repetitions a round has in all; the round before must be finished."""
        if number == 0:
            return Plan.read(Path(self.plan_file)).first
        repetitions = self.after_round(number - 1).repetitions
        assert repetitions is not None, number
        return repetitions

    def round_records(self, number: int) -> list[str]:
        """List the records that a round reads: all of those that were left before it."""
        points: Iterable[str] = self.study.grid.points
        if number > 0:
            points = Round.read(Path(self.round_file(number - 1))).left
        return self.coverage.further(points, self.round_repetitions(number))

    @property
    def verified_pick(self) -> str:
        """File of the pick that is being verified."""
        return f"{self.verify_folder}/pick.yaml"

    def verified_records(self) -> list[str]:
        """List the records that chose the pick that is being verified."""
        pick = Pick.read(Path(self.verified_pick))
        repetitions = pick.n if pick.by == "confirm" else self.study.repetitions
        return self.coverage.further([pick.point], repetitions)

    def reserved_records(self) -> list[str]:
        """List the records of reserved repetitions of the pick that is being verified."""
        point = point_of(self.verified_records()[0])
        return self.coverage.further([point], FIRST_RESERVED + RESERVED, first=FIRST_RESERVED)

    @property
    def trainings(self) -> int:
        """Number of trainings of the study."""
        return len(self.study.grid.points) * self.study.repetitions * self.folds

    def heatmaps(self) -> list[Wanted]:
        """List the heatmaps; slices only if their two axes are swept."""
        axes, figures = self.study.grid.axes, self.study.figures
        slices = [
            {
                "rows": part.rows,
                "columns": part.columns,
                "at": {name: table_text(canonical(value)) for name, value in part.at.items()},
                "panels": part.panels if part.panels in axes else None,
            }
            for part in figures.slices
            if part.rows in axes and part.columns in axes
        ]
        metric = self.study.objective.metric
        return wanted_heatmaps(list(axes), metric, figures.metrics, figures.heatmaps, slices)

    def first_figures(self, folder: str) -> list[str]:
        """List the files of the grid's first figures.

        The objective's heatmap of means for each pair of axes; a line for a single axis; without
        any axis, a text that says so.
        """
        axes = list(self.study.grid.axes)
        if not axes:
            return [f"{folder}/no_figure.txt"]
        if len(axes) == 1:
            return self._figures(folder, [f"line_{axes[0]}"])
        return self._figures(folder, [one.name for one in self.heatmaps() if self._is_first(one)])

    def further_figures(self, folder: str) -> list[str]:
        """List the files of all other heatmaps: of other kinds, and of other metrics."""
        names = [one.name for one in self.heatmaps() if not self._is_first(one)]
        return self._figures(folder, names)

    def _is_first(self, heatmap: Wanted) -> bool:
        return heatmap.kind == "mean" and heatmap.metric == self.study.objective.metric

    def _figures(self, folder: str, names: Sequence[str]) -> list[str]:
        formats = self.study.figures.formats
        return [f"{folder}/{name}.{ending}" for name in names for ending in formats]

    def evidence_figures(self, folder: str) -> list[str]:
        """List the files of the figures of the evidence; some need an axis, or two."""
        names = evidence_names(list(self.study.grid.axes), self.study.figures.evidence)
        return self._figures(folder, names)

    def lattice_figures(self, folder: str) -> list[str]:
        """List the files of the lattices of the pairs of axes."""
        return self._figures(folder, list(lattice_names(list(self.study.grid.axes))))

    def values_of_points(self) -> list[list[str]]:
        """List the value of each axis in each point, as the tables spell it."""
        grid = self.study.grid
        return [
            [table_text(point[name]) if name in point else "" for name in grid.axes]
            for point in grid.points.values()
        ]

    @property
    def to_scale(self) -> list[str]:
        """Axes whose values heatmaps draw to scale."""
        numbers = self.study.grid.numbers
        return [name for name in self.study.figures.to_scale if name in numbers]

    def all_figures(self, folder: str) -> list[str]:
        """List the files of all figures of the study, those of `snakemake confirm` apart."""
        return [
            *self.first_figures(folder),
            *self.further_figures(folder),
            *self.evidence_figures(folder),
            *self.lattice_figures(folder),
        ]

    @property
    def confirm_figures(self) -> list[str]:
        """List the files of the figure of the confirmation."""
        return self._figures(self.confirm_folder, ["rounds"])

    @property
    def verified(self) -> str | None:
        """File of what `snakemake verify` found; None if there is none."""
        file = f"{self.verify_folder}/verify.yaml"
        return file if Path(file).exists() else None

    @cached_property
    def study_text(self) -> str:
        """The study as JSON: what it sets itself and what its results depend on.

        Without the secrets of an address, and without how it is run or drawn: so the report does
        not change with these.
        """
        own = self.study.model_copy(update={"dataset": self.dataset})
        left_out: Any = {
            "limits": True,
            "compare": True,
            "repetitions_per_job": True,
            "points_per_job": True,
            "resources": True,
            "trainer": set(type(own.trainer).model_fields) - {"engine", "onednn", "xla"},
            "figures": set(type(own.figures).model_fields) - {"labels"},
        }
        dumped = own.model_dump(mode="json", exclude_unset=True, exclude=left_out)
        return json.dumps({key: value for key, value in dumped.items() if value != {}})

    @property
    def shown_arguments(self) -> list[str]:
        """The arguments that name the study, without secrets and folders of this machine."""
        given = self.invocation
        files = tuple(Path(os.path.relpath(file)) for file in given.config_files)
        overrides = {key: _without_secrets(value) for key, value in given.overrides.items()}
        return replace(given, config_files=files, overrides=overrides).study_arguments()

    def newest_log(self) -> float:
        """Return when a log of a missing record was last written, in seconds since 1970; else 0."""
        times = [0.0]
        for record in self.coverage.missing():
            with contextlib.suppress(OSError):
                times.append(log_of(Path(self.results), Path(record)).stat().st_mtime)
        return max(times)

    @property
    def baselines(self) -> list[str]:
        """The table of baselines, if the study wants any."""
        return [f"{self.results}/baselines.csv"] if self.study.baselines else []

    def model_figures(self, folder: str) -> list[str]:
        """Name the files of the figures of the fitted model."""
        return self._figures(folder, _MODEL_FIGURES[self.study.dataset.task])

    def hand_over_settings(self) -> None:
        """Pass settings on which no row depends to the data jobs (see `gridloom.data.settings`)."""
        study = self.study
        settings = DataSettings(
            source=study.dataset.source,
            test_source=study.dataset.test_source,
            size=int(study.limits.gib * 2**30),
            seconds=study.limits.minutes * 60,
            trainings=(study.repetitions_per_job or study.repetitions) * self.folds,
            parallel=self.jobs_at_once(),
            mem_mb=self.resource("train", "mem_mb"),
        )
        hand_over(self.data, settings)

    def open_for_training(self, gpu_limit: int | None) -> None:
        """Pass this study's training settings to its jobs (see `gridloom.workers.scope`).

        Parameters
        ----------
        gpu_limit
            GPUs that all trainings may use together; None for no limit.

        Raises
        ------
        StorageError
            If the folder or the file cannot be written.
        """
        trainer = self.study.trainer
        settings = TrainingSettings(
            setup=self.identity.setup,
            objective=self.study.objective.metric,
            model=str(Path(self.study.model).absolute()),
            gpu_limit=gpu_limit,
            # A cluster's job trains only once, and host and worker would count as 1.1 GB of memory
            # in SLURM instead of 0.8.
            warm=trainer.warm and not self.invocation.in_job,
            lockstep=trainer.lockstep,
            checkpoint_minutes=trainer.checkpoint_minutes,
            recycle_trainings=trainer.recycle_trainings,
            recycle_mb=trainer.recycle_mb,
            adoptable=str(self.adoptable_file.absolute()),
        )
        open_scope(own_folder(), self.results, settings, contained=self.invocation.contained)

    @property
    def adoptable_file(self) -> Path:
        """File that lists the records that this run may adopt; none if there are none."""
        return adoptable_file(self.results)

    def note_adoptable(self, *, allowed: bool) -> None:
        """List the records that this run may adopt.

        Parameters
        ----------
        allowed
            Whether it may adopt any.

        Raises
        ------
        StorageError
            If the disk is full.
        """
        setup, found = self.identity.setup, {}
        if allowed:
            points, needed = f"{self.results}/points", self.coverage.needed
            found = adoptable_records(points, setup.name, setup.as_json(), needed)
        note_adoptable(self.adoptable_file, found)

    def start(self, forced: Sequence[str]) -> None:
        """Prepare a run, and start the workers' host if this machine has something to train.

        Parameters
        ----------
        forced
            Rules that run even if their outputs exist.

        Raises
        ------
        GridloomError
            If the disk is full, or the workers' folder belongs to another user.
        """
        require_room(self.results)
        self.digests.keep()
        # `compare` takes the other set-up that was used last.
        with contextlib.suppress(OSError):
            os.utime(self.coverage.folder)
        if "download" in forced:
            dataset = self.study.dataset
            sources = [dataset.source, dataset.test_source]
            versions.ask_anew(list(filter(None, sources)), self.versions)
        if self.is_warm and self.coverage.missing():
            start_host(own_folder(), self.study.trainer.onednn)

    def check_arguments(self, records: Sequence[str]) -> dict[str, Any]:
        """Return the arguments of a check of the points of some records, or of all points.

        They are those of `gridloom.check.networks.write_findings` that both kinds of check share.
        """
        asked = records or self.coverage.needed
        return {
            "points": list(dict.fromkeys(map(point_of, asked))),
            "setup": self.identity.setup.as_json(),
            "repetitions": list(job_repetitions(Path(asked[0]))),
            "objective": self.study.objective.metric,
            "lockstep": self.study.trainer.lockstep,
            "rows_file": f"{self.data}/train.{self.parts}",
            "split_file": f"{self.data}/split.json",
            "model_file": self.study.model,
        }

    def load(self) -> Load:
        """Return what a run of the whole study would have to do."""
        outlook = self.outlook(self.coverage.missing())
        return Load(
            records=outlook.pending,
            jobs=outlook.jobs,
            trainings=sum(map(outlook.trainings, outlook.pending)),
            parallel=self.jobs_at_once(),
            memory_mb=machine_bytes() / 1e6,
        )

    @property
    def is_warm(self) -> bool:
        """Whether warm workers on this machine train the study."""
        return self.study.trainer.warm and self.invocation.is_here()

    def outlook(self, pending: Collection[str]) -> Outlook:
        """Return what a run is about to train, given its records."""
        trained = set(pending)
        return Outlook(
            study=self.study.name,
            pending=tuple(pending),
            jobs=self.count_jobs(pending),
            existing=tuple(record for record in self.coverage.existing if record not in trained),
            axes=tuple(self.study.grid.axes),
            metric=self.study.objective.metric,
            mode=self.study.objective.mode,
            repetitions=self.study.repetitions,
            folds=self.folds,
            here=self.invocation.is_here(),
            # Without warm workers, a check would import TensorFlow, on a cluster on its login node.
            # Jobs that all start at once show mistakes as soon as a check.
            checked=self.is_warm and len(pending) > (self.jobs_at_once() or 1),
        )

    def describe_end(self, outlook: Outlook, seconds: float, *, whole: bool) -> str:
        """Describe what a run found that succeeded.

        Parameters
        ----------
        outlook
            What it was about to train.
        seconds
            Duration of the run.
        whole
            Whether it made everything that the study makes.
        """
        adopted = 0
        if self.adoptable_file.exists():
            adopted = sum(map(outlook.trainings, filter(is_adopted, outlook.pending)))
        if not whole:
            return describe_trained(outlook, seconds, adopted)
        pick = Path(self.confirmed or f"{self.results}/best.yaml")
        answer = read_answer(pick, Path(self.results, "summary.csv"))
        return describe_answer(outlook, answer, self.results, seconds, adopted)

    @property
    def known_records(self) -> list[str]:
        """The records that this run needs."""
        return list(dict.fromkeys([*self.coverage.needed, *self.coverage.asked]))

    def begin_with_store(self) -> None:
        """Remove what an earlier run left in the store of records that are in their place."""
        begin_with_store(self.results)

    def empty_store(self) -> None:
        """Put what jobs that failed have trained into its place."""
        empty_store(self.results, self.known_records)

    def describe_failed(self, since: float, targets: Iterable[str]) -> str:
        """Describe which points failed; return nothing if none did.

        Parameters
        ----------
        since
            Start of the run, in seconds since 1970.
        targets
            What `snakemake` was asked for.
        """
        needed = self.known_records
        failed = failed_records(self.results, needed, since)
        if not failed:
            return ""
        kept = sum(map(os.path.exists, needed))
        arguments = self.invocation.study_arguments()
        return describe_failures(
            self.results, failed, len(needed), kept, arguments, sorted(targets)
        )


def _without_secrets(value: Any) -> Any:
    """Return a value of ``--config`` without the secrets of the addresses in it."""
    if isinstance(value, str):
        return shown(value)
    if isinstance(value, Mapping):
        return {key: _without_secrets(own) for key, own in value.items()}
    return [_without_secrets(own) for own in value] if isinstance(value, list) else value


def require_machine() -> None:
    """Check, before a study is read, that the disk has room and that Keras runs on TensorFlow.

    Raises
    ------
    GridloomError
        If not.
    """
    require_room(".snakemake")
    require_backend()


def require_submission(executor: str) -> None:
    """Check, before jobs are submitted to a cluster, that this machine can submit them.

    Parameters
    ----------
    executor
        Name of Snakemake's executor.

    Raises
    ------
    GridloomError
        If not: Snakemake's plugin would print a traceback for each job.
    """
    if executor == "slurm" and shutil.which("sbatch") is None:
        raise GridloomError(
            "SLURM: there is no `sbatch` on this machine; run Snakemake on a login node of the "
            "cluster, or without --workflow-profile to train here"
        )
