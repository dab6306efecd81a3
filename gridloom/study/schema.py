"""The study: a typed, closed description of everything that the user can set.

This module imports neither Snakemake nor anything heavy, because each job's Snakemake reads it.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping
from functools import cached_property
from typing import Annotated, Any, Literal, get_args

from pydantic import Field

from gridloom.naming.blocks import FIRST_RESERVED
from gridloom.naming.columns import FIT_HYPERPARAMETERS
from gridloom.naming.values import Value
from gridloom.study.dataset import Closed, Dataset, Fraction, PositiveInt, Split
from gridloom.study.grid import Grid, read_grid
from gridloom.study.grid_size import MAX_POINTS

Stream = Literal["init", "shuffle", "dropout", "validation"]

Rule = Literal[
    "download",
    "split",
    "train",
    "gather",
    "baselines",
    "analyse",
    "verdict",
    "heatmaps",
    "figures",
    "report",
    "confirm",
    "verify",
    "crosscheck",
    "refit",
]

Baseline = Literal["dummy", "linear", "boosting"]


PositiveFloat = Annotated[float, Field(gt=0, allow_inf_nan=False)]

Weight = Annotated[float, Field(ge=0, allow_inf_nan=False)]


class LimitSettings(Closed):
    """Limits on data. More is refused, because it is more likely a mistake than a data set."""

    gib: PositiveFloat = Field(
        8, description="Largest size of a file in GiB, downloaded, unpacked, or in memory."
    )
    minutes: PositiveFloat = Field(360, description="Longest download in minutes.")


class Validation(Closed):
    """How a training is scored: on rows of the training set that it does not fit on."""

    method: Literal["holdout", "kfold"] = Field(
        "holdout", description="One held-out part, or k folds, one training each."
    )
    fraction: Fraction = Field(0.2, description="holdout: fraction of the training rows.")
    folds: Annotated[int, Field(ge=2)] = Field(5, description="kfold: number of folds.")


class PreparationSettings(Closed):
    """What is done to the rows before a network sees them, fitted on its training rows."""

    scaling: Literal["standard", "minmax", "none"] = Field(
        "standard",
        description="Scale numbers to mean 0 and standard deviation 1 (standard) or to the range 0 "
        "to 1 (minmax), or leave them as they are (none; for tokens of an Embedding).",
    )
    target: Literal["standard", "none"] = Field(
        "standard",
        description="regression: scale targets to mean 0 and standard deviation 1 while a network "
        "trains (standard), or leave them as they are (none); scores and predictions are in the "
        "target's units.",
    )


class Objective(Closed):
    """The number that ranks the points."""

    metric: str = Field(
        "val_loss", description="A metric of the history, such as val_categorical_accuracy."
    )
    mode: Literal["min", "max"] = Field(
        "min", description="Whether smaller (min) or larger (max) is better."
    )
    diverged_above: Annotated[float, Field(gt=0)] | None = Field(
        None,
        description="A training that ends with a larger loss counts as diverged; null: a thousand "
        "times a typical loss of the first epoch, rounded up to a power of ten; .inf: only losses "
        "that are not finite count as diverged.",
    )


class Pick(Closed):
    """Which of several configurations that are close to the best is chosen."""

    close_enough: PositiveFloat | None = Field(
        None,
        description="How much worse than the best a configuration may be and still be chosen, in "
        "units of the objective; null: half a validation row for an accuracy, else a tenth of the "
        "standard deviation between configurations.",
    )
    cost: Annotated[list[str], Field(min_length=1)] = Field(
        ["parameters"],
        description="What makes a configuration cheap, the most important first: parameters, or "
        "hyperparameters whose values are numbers. Among equals, the one with the smallest product "
        "of steps and parameters counts as the cheapest, then the first of the grid.",
    )


class Confirm(Closed):
    """How `snakemake confirm` settles which configuration is the best."""

    first_repetitions: Annotated[int, Field(ge=3, lt=FIRST_RESERVED)] = Field(
        10,
        description="Repetitions that every configuration gets before any is left out; at least "
        "the study's `repetitions`.",
    )
    repetitions_per_round: PositiveInt = Field(
        10,
        description="Further repetitions in each round, or a quarter of the repetitions before it "
        "if that is more. The result does not depend on it.",
    )
    difference: PositiveFloat | None = Field(
        None,
        description="Difference of the objective that is not worth a training; null: as "
        "`pick.close_enough`.",
    )
    max_trainings: PositiveInt | None = Field(
        None,
        description="Most trainings beyond the study's own; null: no limit. If the limit comes "
        "first, the choice is not settled.",
    )
    max_hours: PositiveFloat | None = Field(
        None,
        description="Most hours of training, summed over cores, estimated from the pace so far; "
        "null: no limit.",
    )


class Crosscheck(Closed):
    """What `snakemake crosscheck` trains a second time, by scikit-learn's GridSearchCV."""

    points: PositiveInt = Field(
        6, description="Most configurations to train again, spread over the grid."
    )
    repetitions: PositiveInt = Field(5, description="Most repetitions of each to train again.")


class TrainerSettings(Closed):
    """How a training is run."""

    engine: Literal["compiled", "keras"] = Field(
        "compiled",
        description="What fits the network: compiled runs a whole training as one graph; keras is "
        "Keras's own model.fit, with callbacks and all other features, and much slower.",
    )
    warm: bool = Field(
        True,
        description="Keep TensorFlow and traced graphs in a worker between jobs; false: a new "
        "process for each job, with the same results.",
    )
    lockstep: bool = Field(
        True,
        description="Train a point's repetitions as one batched computation where its layers "
        "allow it; the results are the same up to rounding.",
    )
    recycle_trainings: PositiveInt = Field(
        10_000, description="A warm worker is restarted after this many trainings."
    )
    recycle_mb: PositiveInt = Field(
        4_000, description="A warm worker is restarted above this many megabytes of memory."
    )
    checkpoint_minutes: PositiveFloat | None = Field(
        None,
        description="Minutes between two checkpoints of a training. An interrupted training "
        "continues from its last checkpoint, with the same results; null: it starts anew. Finished "
        "trainings are kept in any case.",
    )
    onednn: bool = Field(
        True,
        description="Use Intel's oneDNN, which makes convolutions several times faster; false: "
        "kernels whose results are the same on unlike machines. Changing it trains anew.",
    )
    xla: Literal["auto", "on", "off"] = Field(
        "auto",
        description="Compile with XLA; auto: if the model file compiles its network with "
        "jit_compile=True. It draws other dropout masks, so changing it trains anew.",
    )


class Resources(Closed):
    """What one job of a rule requests; one of `further_heatmaps` requests what `figures` does."""

    threads: PositiveInt | None = Field(
        None,
        description="CPU cores; null: 1; 4 for heatmaps; half of the cores for figures, at most 4.",
    )
    mem_mb: PositiveInt | None = Field(
        None, description="Memory in megabytes; null: 1,000 to 4,000 by rule, 2,000 for `train`."
    )
    runtime: PositiveInt | None = Field(
        None,
        description="Longest run time in minutes. A job of `train` that takes longer is ended, on "
        "this machine too; null: a day for `train` on this machine, else 30 to 60 minutes.",
    )
    gpu: Annotated[int, Field(ge=0)] | None = Field(None, description="GPUs; null: none.")


Kind = Literal["mean", "best", "slice"]

Evidence = Literal[
    "ties", "curves", "effects", "interactions", "cost", "stability", "pairs", "whole_grid"
]


class Slice(Closed):
    """A heatmap of two axes, with all other axes held fixed; drawn if both axes are swept."""

    rows: str = Field(description="Hyperparameter down the side.")
    columns: str = Field(description="Hyperparameter along the bottom.")
    at: dict[str, Any] = Field(
        {}, description="Values of other axes; those not named stay at the pick's."
    )
    panels: str | None = Field(
        None, description="Hyperparameter that has a heatmap for each of its values, side by side."
    )


class Figures(Closed):
    """Which figures are drawn, and how they look."""

    formats: list[Literal["png", "svg", "pdf"]] = Field(
        ["png", "svg"], min_length=1, description="File formats of every figure."
    )
    dpi: Annotated[int, Field(ge=50, le=600)] = Field(
        200, description="Dots per inch of PNG files."
    )
    heatmaps: list[Kind] = Field(
        list(get_args(Kind)),
        description="Heatmaps of each pair of axes: mean over the other axes, best configuration "
        "of each cell, slice with the other axes at the pick's values; [] for none but `slices`.",
    )
    metrics: list[Annotated[str, Field(pattern="^[^/{}]+$")]] = Field(
        [],
        description="What heatmaps show besides the objective: metrics of the history such as "
        "val_loss, their standard deviation over repetitions (val_loss_sd), seconds, parameters, "
        "or diverged (share of trainings that diverged or have no number).",
    )
    evidence: list[Evidence] = Field(
        list(get_args(Evidence)),
        description="Figures of the evidence: the best configurations and which are tied, learning "
        "curves, effects and their interactions, score against cost, spread of the trainings, all "
        "pairs of axes in one picture, all configurations in one picture; [] for none.",
    )
    to_scale: list[str] = Field(
        [],
        description="Hyperparameters of numbers whose values heatmaps draw to scale, on a "
        "logarithmic one where they are spread by factors.",
    )
    labels: dict[str, Annotated[str, Field(min_length=1)]] = Field(
        {},
        description="What figures call metrics and hyperparameters, such as {val_loss: "
        "cross-entropy}; else val_categorical_accuracy is validation accuracy and learning_rate "
        "is learning rate.",
    )
    slices: list[Slice] = Field([], description="Heatmaps with other axes at chosen values.")


class Study(Closed):
    """A whole study, checked."""

    name: str = Field("study", min_length=1, description="Title of the figures.")
    results: str = Field(
        "results", pattern=r"^[^{}*?]+$", description="Folder for everything that a run writes."
    )
    seed: Annotated[int, Field(ge=0)] = Field(
        0, description="Every random stream derives from this seed and the repetition."
    )
    repetitions: Annotated[int, Field(ge=1, lt=FIRST_RESERVED)] = Field(
        5, description="Trainings of each point (of each fold)."
    )
    repetitions_per_job: PositiveInt | None = Field(
        None, description="Repetitions that one job trains; null: all of a point in one job."
    )
    points_per_job: PositiveInt | Literal["auto"] | None = Field(
        None,
        description="Points that one job trains; auto: so many that starting jobs costs little; "
        "null: 1 on this machine, auto on a cluster.",
    )
    dataset: Dataset = Field(description="Where the rows come from.")
    limits: LimitSettings = Field(
        LimitSettings(), description="Limits on the size and download of data."
    )
    split: Split = Field(Split(), description="Which rows are the test set.")
    validation: Validation = Field(Validation(), description="How a training is scored.")
    preparation: PreparationSettings = Field(
        PreparationSettings(), description="What is done to the rows."
    )
    vary: list[Stream] = Field(
        list(get_args(Stream)),
        description="Random streams that change with the repetition: init (initial weights), "
        "shuffle (order of the rows), dropout, validation (which rows validate). Streams that are "
        "not listed stay as in the first repetition.",
    )
    model: str = Field(min_length=1, description="Path of the file that holds `build_model`.")
    hyperparameters: dict[str, Any] | list[Any] = Field(
        description="Every setting of a training: a list (or {linspace|logspace: [first, last, "
        "count]}, {range: [first, end, step]}) is swept, a scalar is fixed. zip: lists that vary "
        "together; grids: several grids that share the keys beside them; exclude: points to leave "
        "out."
    )
    max_points: PositiveInt = Field(
        MAX_POINTS,
        description="A grid of more points, counted before `exclude`, is refused.",
    )
    class_weight: Literal["balanced"] | dict[str, Weight] | None = Field(
        None, description="Weights of the classes in the loss: balanced, a mapping, or null."
    )
    objective: Objective = Field(Objective(), description="The number that ranks the points.")
    pick: Pick = Field(Pick(), description="Which configuration is chosen.")
    confirm: Confirm = Field(Confirm(), description="How the choice is settled.")
    crosscheck: Crosscheck = Field(
        Crosscheck(), description="What is trained a second time by scikit-learn's GridSearchCV."
    )
    compare: Annotated[str, Field(min_length=1)] | None = Field(
        None,
        description="Set-up that `snakemake compare` compares today's with: its name, or the "
        "beginning of it, or its folder in results/points; null: the one used last before today's.",
    )
    baselines: list[Baseline] = Field(
        ["dummy", "linear", "boosting"],
        description="Simple models of scikit-learn that the choice is compared with: dummy (the "
        "commonest class, the mean), linear (or logistic) regression, gradient boosting; [] for "
        "none.",
    )
    trainer: TrainerSettings = Field(TrainerSettings(), description="How a training is run.")
    environment: Literal["strict", "mix"] = Field(
        "mix",
        description="What to do with records of other versions of Keras, NumPy, pandas, "
        "scikit-learn or TensorFlow, or of another kind of device: mix uses them, and every table "
        "says so; strict trains anew.",
    )
    resources: dict[Rule, Resources] = Field({}, description="By rule: what one job requests.")
    figures: Figures = Field(Figures(), description="Which figures are drawn, and how.")

    @cached_property
    def grid(self) -> Grid:
        """The points of the study."""
        return read_grid(self.hyperparameters, self.max_points)


def schema_text() -> str:
    """Return the JSON Schema of a study, for editors that check YAML while the user types."""
    schema = Study.model_json_schema()
    schema["$schema"] = "https://json-schema.org/draft/2020-12/schema"
    # A file without these overrides parts of the default study.
    schema.pop("required", None)
    return json.dumps(schema, indent=2) + "\n"


def names_of(points: Iterable[Mapping[str, Value]]) -> set[frozenset[str]]:
    """Return the different sets of hyperparameters that `build_model` gets at these points."""
    return {frozenset(point.keys() - FIT_HYPERPARAMETERS.keys()) for point in points}


if __name__ == "__main__":
    print(schema_text(), end="")
