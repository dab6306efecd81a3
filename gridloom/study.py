"""The study: one typed, closed description of everything that a person may set.

Nothing here imports Snakemake, and nothing heavy: each job's Snakemake reads the study.
"""

from __future__ import annotations

import codecs
import contextlib
import json
import os
import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from functools import cached_property
from pathlib import Path
from typing import Annotated, Any, Literal, get_args

import pydantic
import yaml
from pydantic import BaseModel, ConfigDict, Field

from gridloom.blocks import Block
from gridloom.data.sources import is_local, shown, table_format, why_no_source
from gridloom.errors import StudyError, nearest
from gridloom.grid import MAX_COMPONENT_BYTES, Grid, Value, canonical, read_grid

Stream = Literal["init", "shuffle", "dropout", "validation"]
Rule = Literal["download", "split", "train", "gather", "heatmaps", "refit"]

#: Hyperparameters that the fit takes itself; all others go to `build_model`.
FIT_HYPERPARAMETERS = {
    "batch_size": "rows per step, a whole number above 0",
    "epochs": "passes over the training rows, a whole number above 0",
    "early_stopping_patience": "epochs without improvement before a training stops, or null",
    "early_stopping_min_delta": "the least change that counts as an improvement, 0 or more",
    "early_stopping_monitor": "the metric watched, val_loss unless given",
}

#: Columns of the tables; a hyperparameter cannot have such a name.
TABLE_COLUMNS = {
    "point",
    "repetition",
    "fold",
    "seed",
    "status",
    "epoch",
    "epochs_run",
    "best_epoch",
    "restored_epoch",
    "parameters",
    "partial",
    "seconds",
    "seconds_mean",
    "host",
    "engine",
    "why_not_lockstep",
    "rank",
    "n",
    "n_diverged",
    "n_missing",
    "n_trainings",
    "loss",
    "val_loss",
}


class _Closed(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True, strict=True)


PositiveInt = Annotated[int, Field(ge=1)]
Fraction = Annotated[float, Field(gt=0, lt=1)]
PositiveFloat = Annotated[float, Field(gt=0, allow_inf_nan=False)]
Weight = Annotated[float, Field(ge=0, allow_inf_nan=False)]
Sha256 = Annotated[str, Field(pattern="^[0-9a-f]{64}$")]


class Dataset(_Closed):
    """Where the rows come from, how they are read, and which column plays which part."""

    source: str = Field(
        min_length=1,
        description="builtin:NAME (breast_cancer, iris, wine, digits, diabetes), openml:ID, or the "
        "path or http(s) address of a CSV, TSV, Parquet or NPZ file, also in gzip or zip.",
    )
    format: Literal["csv", "tsv", "parquet", "npz"] | None = Field(
        None, description="Format of the file; null: by its ending, csv if that does not tell."
    )
    member: str | None = Field(None, description="File inside a zip; null if it holds one only.")
    sha256: Sha256 | None = Field(
        None, description="SHA-256 that the downloaded or local file must have."
    )
    test_source: str | None = Field(
        None, min_length=1, description="A further file like `source` that holds the test rows."
    )
    test_sha256: Sha256 | None = Field(None, description="SHA-256 of `test_source`.")
    task: Literal["classification", "multilabel", "regression"] = Field(
        "classification",
        description="Classes to tell apart (two or more), several labels of 0 or 1 for each row, "
        "or numbers to predict.",
    )
    target: str | Annotated[list[str], Field(min_length=1)] = Field(
        "target", description="Column to predict; a list for multilabel or several numbers."
    )
    drop: list[str] = Field([], description="Columns to leave out, such as an id.")
    categorical: list[str] = Field(
        [], description="Columns of numbers, or of very many texts, that are categories."
    )
    group: str | None = Field(
        None,
        description="Column whose equal values belong together, such as a patient: never on both "
        "sides of a split.",
    )
    order: str | None = Field(
        None,
        description="Column of times or numbers: test and validation rows are the latest.",
    )
    weight: str | None = Field(None, description="Column with the weight of each row in the loss.")
    columns: Annotated[list[str], Field(min_length=1)] | None = Field(
        None,
        description="Column names of a file that has no header row; those left over at the end are "
        "named by their place, from 1.",
    )
    shape: Annotated[list[PositiveInt], Field(min_length=1)] | None = Field(
        None,
        description="Shape of a row for the network, such as [28, 28, 1] for images whose pixels "
        "are columns.",
    )
    missing: list[str] = Field(
        [], description="Texts that mean a missing value, besides empty cells, NA, NaN and null."
    )
    separator: Annotated[str, Field(min_length=1, max_length=1)] | None = Field(
        None, description="Character between columns; null: comma, or tab for tsv."
    )
    decimal: Literal[".", ","] = Field(".", description="Decimal sign of numbers.")
    encoding: str = Field("utf-8", description="Encoding of the text, such as latin-1.")

    def without_secrets(self) -> Dataset:
        """Return the block as files may show it: without the secrets of an address."""
        test = None if self.test_source is None else shown(self.test_source)
        return self.model_copy(update={"source": shown(self.source), "test_source": test})


class Split(_Closed):
    """Which rows are kept away as the test set, where the source does not say it itself."""

    test: Fraction = Field(0.2, description="Fraction of all rows held back for the final test.")
    stratify: bool = Field(
        True, description="classification: keep the classes' shares equal in both parts."
    )
    seed: Annotated[int, Field(ge=0)] = Field(0, description="Seed of the split.")
    column: str | None = Field(
        None, description="Column that says which rows are the test set; it is no feature."
    )
    test_value: str = Field("test", description="Value of `column` in the test rows.")


class Limits(_Closed):
    """What data may take before it is refused: more is likelier a trap or a slip than a table."""

    gib: PositiveFloat = Field(
        8, description="GiB that a file may have when it is downloaded, unpacked, or in memory."
    )
    minutes: PositiveFloat = Field(360, description="Minutes that a download may take.")


class Validation(_Closed):
    """How a training is scored: on rows of the training set that it does not fit on."""

    method: Literal["holdout", "kfold"] = Field(
        "holdout", description="One held-out part, or k folds, one training each."
    )
    fraction: Fraction = Field(0.2, description="holdout: fraction of the training rows.")
    folds: Annotated[int, Field(ge=2)] = Field(5, description="kfold: number of folds.")


class Preparation(_Closed):
    """What is done to the rows before a network sees them, fitted on its training rows."""

    scaling: Literal["standard", "minmax", "none"] = Field(
        "standard",
        description="Numbers to mean 0 and standard deviation 1, to the range 0 to 1, or as they "
        "are (tokens for an Embedding).",
    )
    target: Literal["standard", "none"] = Field(
        "standard",
        description="regression: targets to mean 0 and standard deviation 1 while a network "
        "trains, or as they are; scores and predictions are in the target's units.",
    )


class Objective(_Closed):
    """The number that ranks the points."""

    metric: str = Field(
        "val_loss", description="A metric of the history, such as val_categorical_accuracy."
    )
    mode: Literal["min", "max"] = Field("min", description="Whether less or more is better.")
    diverged_above: Annotated[float, Field(gt=0)] | None = Field(
        None,
        description="A training that ends with a larger loss counts as diverged; null: a thousand "
        "times the loss of a first epoch, to the next power of ten; .inf: only losses that are not "
        "finite.",
    )


class Trainer(_Closed):
    """How a training is run."""

    engine: Literal["compiled", "keras"] = Field(
        "compiled",
        description="What fits the network: compiled runs a whole training as one graph; keras is "
        "Keras's own model.fit, with callbacks and whatever else it can do, and much slower.",
    )
    warm: bool = Field(
        True,
        description="Keep TensorFlow and traced graphs in a worker from job to job; false: a "
        "process for each job, with the same results.",
    )
    lockstep: bool = Field(
        True,
        description="Train a point's repetitions as one batched computation where its layers "
        "allow it; the results are the same up to rounding.",
    )
    recycle_trainings: PositiveInt = Field(
        10_000, description="A warm worker starts anew after this many trainings."
    )
    recycle_mb: PositiveInt = Field(
        4_000, description="A warm worker starts anew above this many megabytes of memory."
    )
    xla: Literal["auto", "on", "off"] = Field(
        "auto",
        description="Compile with XLA; auto: on GPUs only. It draws other dropout masks, so "
        "changing it trains anew.",
    )


class Resources(_Closed):
    """What one job of a rule asks for."""

    threads: PositiveInt | None = Field(None, description="CPU cores.")
    mem_mb: PositiveInt | None = Field(None, description="Memory in megabytes.")
    runtime: PositiveInt | None = Field(None, description="Longest run time in minutes.")
    gpu: Annotated[int, Field(ge=0)] | None = Field(None, description="GPUs.")


class Slice(_Closed):
    """One heatmap of two axes, every other one held at one value; drawn if both are swept."""

    rows: str = Field(description="Hyperparameter down the side.")
    columns: str = Field(description="Hyperparameter along the bottom.")
    at: dict[str, Any] = Field(
        {}, description="Values of other axes; those not named stay at the best point's."
    )


class Figures(_Closed):
    """How the figures look."""

    formats: list[Literal["png", "svg", "pdf"]] = Field(
        ["png", "svg"], min_length=1, description="File formats of every figure."
    )
    dpi: Annotated[int, Field(ge=50, le=600)] = Field(
        150, description="Dots per inch of PNG files."
    )
    slices: list[Slice] = Field([], description="Heatmaps with all but two axes held fixed.")


class Study(_Closed):
    """A whole study, checked."""

    name: str = Field("study", min_length=1, description="Title of the figures.")
    results: str = Field(
        "results", pattern=r"^[^{}*?]+$", description="Folder that everything is written to."
    )
    seed: Annotated[int, Field(ge=0)] = Field(
        0, description="Every random stream derives from this seed and the repetition."
    )
    repetitions: PositiveInt = Field(5, description="Trainings of each point (of each fold).")
    repetitions_per_job: PositiveInt | None = Field(
        None, description="Repetitions that one job trains; null: all of a point in one job."
    )
    dataset: Dataset = Field(description="Where the rows come from.")
    limits: Limits = Field(Limits(), description="What data may take before it is refused.")
    split: Split = Field(Split(), description="Which rows are the test set.")
    validation: Validation = Field(Validation(), description="How a training is scored.")
    preparation: Preparation = Field(Preparation(), description="What is done to the rows.")
    vary: list[Stream] = Field(
        list(get_args(Stream)),
        description="Random streams that change with the repetition; the others stay as in the "
        "first: init (initial weights), shuffle, dropout, validation (which rows validate).",
    )
    model: str = Field(min_length=1, description="Path of the file that holds build_model.")
    hyperparameters: dict[str, Any] | list[Any] = Field(
        description="Every knob of a training: a list (or {linspace|logspace: [first, last, "
        "count]}, {range: [first, end, step]}) is swept, a scalar is fixed. zip: lists that vary "
        "together; grids: several grids that share the keys beside them; exclude: points to leave "
        "out."
    )
    class_weight: Literal["balanced"] | dict[str, Weight] | None = Field(
        None, description="Weights of the classes in the loss: balanced, a mapping, or null."
    )
    objective: Objective = Field(Objective(), description="The number that ranks the points.")
    trainer: Trainer = Field(Trainer(), description="How a training is run.")
    environment: Literal["strict", "mix"] = Field(
        "mix",
        description="Whether records of other versions of Keras, NumPy, pandas, scikit-learn or "
        "TensorFlow, or of another kind of device, serve: mix takes them, and every table says so; "
        "strict trains anew.",
    )
    resources: dict[Rule, Resources] = Field({}, description="By rule: what one job asks for.")
    figures: Figures = Field(Figures(), description="How the figures look.")

    @cached_property
    def grid(self) -> Grid:
        """The points of the study."""
        return read_grid(self.hyperparameters)


def load_study(
    default: Path, files: Sequence[Path] = (), overrides: Mapping[str, Any] | None = None
) -> Study:
    """Read and check a study.

    A file with a `hyperparameters` block is a whole study and replaces all that came before it;
    any other file, and `overrides`, is laid over what came before, key by key.

    Parameters
    ----------
    default
        The project's own study.
    files
        Files named on the command line, in that order.
    overrides
        Single settings from the command line; they win. Snakemake hands over what stands inside
        of ``--config trainer='{warm: false}'`` as text.

    Raises
    ------
    StudyError
        With one sentence for each mistake.
    """
    settings = {} if files and _is_whole(files[0]) else _read_yaml(default)
    for file in files:
        layer = _read_yaml(file)
        settings = layer if "hyperparameters" in layer else _overlaid(settings, layer)
    return check_study(_overlaid(settings, _typed(overrides or {})))


def _typed(part: Any) -> Any:
    """Give text the type that YAML would, wherever it stands."""
    if isinstance(part, Mapping):
        return {key: _typed(value) for key, value in part.items()}
    if isinstance(part, list):
        return [_typed(item) for item in part]
    if isinstance(part, str) and part:
        with contextlib.suppress(yaml.YAMLError):
            read = yaml.safe_load(part)
            return read if read is None or isinstance(read, bool | int | float) else part
    return part


def _is_whole(file: Path) -> bool:
    return "hyperparameters" in _read_yaml(file)


def _overlaid(below: Mapping[str, Any], above: Mapping[str, Any]) -> dict[str, Any]:
    merged = dict(below)
    for key, value in above.items():
        under = merged.get(key)
        both = isinstance(under, Mapping) and isinstance(value, Mapping)
        merged[key] = _overlaid(under, value) if both else value  # type: ignore[arg-type]
    return merged


class _StrictLoader(yaml.SafeLoader):
    """YAML as data only, a key given twice refused: the second would silently win."""


def _mapping_without_duplicates(loader: _StrictLoader, node: yaml.MappingNode) -> dict[Any, Any]:
    seen: set[Any] = set()
    for key_node, _ in node.value:
        key = loader.construct_object(key_node, deep=True)
        if key in seen:
            line = key_node.start_mark.line + 1
            raise StudyError(f"{loader.name}, line {line}: the key {key!r} is given twice")
        seen.add(key)
    return loader.construct_mapping(node, deep=True)


_StrictLoader.add_constructor(
    yaml.resolver.BaseResolver.DEFAULT_MAPPING_TAG, _mapping_without_duplicates
)


def _read_yaml(file: Path) -> dict[str, Any]:
    try:
        with file.open(encoding="utf-8") as stream:
            content = yaml.load(stream, _StrictLoader)  # noqa: S506 (a safe loader)
    except OSError as error:
        raise StudyError(f"{file}: cannot be read ({error.strerror})") from None
    except UnicodeDecodeError:
        raise StudyError(f"{file}: is not UTF-8 text; save it as UTF-8") from None
    except yaml.YAMLError as error:
        told = getattr(error, "problem", None) or str(error).splitlines()[0]
        mark = getattr(error, "problem_mark", None)
        place = f", line {mark.line + 1}, column {mark.column + 1}" if mark else ""
        raise StudyError(f"{file}{place}: not valid YAML ({told}); check quotes, indents") from None
    except TypeError as error:  # a mapping as a key
        raise StudyError(f"{file}: not valid YAML ({error})") from None
    if content is None:
        return {}
    if not isinstance(content, dict):
        raise StudyError(f"{file}: must hold `key: value` lines, found a {type(content).__name__}")
    return {str(key): value for key, value in content.items()}


def check_study(settings: Mapping[str, Any]) -> Study:
    """Check settings, as YAML gives them, against `Study`.

    Raises
    ------
    StudyError
        With one sentence for each mistake: where, what was found, what is allowed.
    """
    problems: list[str] = []
    study: Study | None = None
    try:
        study = Study.model_validate(_as_json_types(settings))
    except pydantic.ValidationError as error:
        told = [one for one in error.errors() if not _is_other_form(one)]
        problems += list(dict.fromkeys(map(_sentence, told)))
    grid: Grid | None = None
    block = settings.get("hyperparameters")
    if isinstance(block, Mapping | list):
        try:
            grid = read_grid(block) if study is None else study.grid
            problems += _check_hyperparameters(grid)
        except StudyError as error:
            problems += error.problems
    if study is not None and grid is not None:
        problems += _check_together(study, grid)
    if problems:
        raise StudyError(problems)
    assert study is not None
    return study


def _as_json_types(settings: Mapping[str, Any]) -> dict[str, Any]:
    """Let a whole number stand for a float, and a label or column of any type for its text."""
    read = dict(settings)
    dataset = read.get("dataset")
    if isinstance(dataset, Mapping):
        read["dataset"] = {
            key: _named(value) if key in _NAMES else value for key, value in dataset.items()
        }
    split = read.get("split")
    if isinstance(split, Mapping):
        read["split"] = {
            key: _named(value) if key in ("column", "test_value") else value
            for key, value in split.items()
        }
    floats = (
        ("split", "test"),
        ("validation", "fraction"),
        ("limits", "gib"),
        ("limits", "minutes"),
        ("objective", "diverged_above"),
    )
    for section, key in floats:
        part = read.get(section)
        if isinstance(part, Mapping) and type(part.get(key)) is int:
            read[section] = {**part, key: float(part[key])}
    weights = read.get("class_weight")
    if isinstance(weights, Mapping):
        read["class_weight"] = {
            str(label): float(weight) if type(weight) is int else weight
            for label, weight in weights.items()
        }
    return read


#: Keys of a dataset that name columns: in a file without a header row, by their place.
_NAMES = ("target", "drop", "categorical", "group", "order", "weight", "columns", "missing")


def _named(value: Any) -> Any:
    """Let a number stand for its text."""
    if isinstance(value, list):
        return [_named(item) for item in value]
    if isinstance(value, bool):
        return str(value)  # as tables spell it
    return str(value) if isinstance(value, int | float) else value


def _is_other_form(error: Any) -> bool:
    """Tell whether an error is about a form that the person did not mean, of a key with several."""
    form, found = str(error["loc"][-1]), error["input"]
    return (
        (form.startswith("literal[") and not isinstance(found, str))
        or (form.startswith("dict[") and isinstance(found, str))
        or (form == "str" and isinstance(found, list))
        or (form.startswith("list[") and not isinstance(found, list))
    )


#: What pydantic puts into a place beside its keys, such as the member of a union.
_NO_KEY = re.compile(r"\[key\]|str|(literal|dict|list)\[.*")


def _sentence(error: Any) -> str:
    """Say one pydantic error in a person's words."""
    location = [part for part in error["loc"] if not _NO_KEY.fullmatch(str(part))]
    where = ".".join(str(part) for part in location)
    found = error["input"]
    kind, context = error["type"], error.get("ctx", {})
    if kind == "extra_forbidden":
        known = _known_keys(location[:-1])
        listed = "" if nearest(str(location[-1]), known) else f"; known are {', '.join(known)}"
        return f"{where}: unknown key{nearest(str(location[-1]), known)}{listed}"
    if kind == "missing":
        return f"{where}: missing; {_description(location)}"
    if kind == "literal_error":
        allowed = context["expected"].replace(" or ", ", ").split(", ")
        words = [word.strip("'") for word in allowed]
        hint = nearest(str(found), words)
        return f"{where}: {found!r} is not one of {', '.join(words)}{hint}"
    limits = {
        "greater_than_equal": ("ge", "must be at least {}"),
        "greater_than": ("gt", "must be above {}"),
        "less_than_equal": ("le", "must be at most {}"),
        "less_than": ("lt", "must be below {}"),
    }
    if kind in limits:
        key, text = limits[kind]
        return f"{where}: {text.format(canonical(context[key]))}, found {canonical(found)!r}"
    types = {
        "int_type": "a whole number",
        "int_from_float": "a whole number",
        "float_type": "a number",
        "string_type": "text",
        "bool_type": "true or false",
        "list_type": "a list",
        "dict_type": "a block of `key: value` lines",
        "model_type": "a block of `key: value` lines",
        "model_attributes_type": "a block of `key: value` lines",
    }
    if kind in types:
        return f"{where}: must be {types[kind]}, found {found!r}"
    if kind in ("string_too_short", "too_short"):
        return f"{where}: is empty; {_description(location)}"
    if kind == "string_too_long":
        return f"{where}: must be one character, found {found!r}"
    if kind == "finite_number":
        return f"{where}: must be a finite number, found {found!r}"
    if kind == "string_pattern_mismatch" and location[-1] == "results":
        return f"{where}: a folder's name without {{ }} * ?, found {found!r}"
    if kind == "string_pattern_mismatch":
        return f"{where}: must be 64 hexadecimal digits in lower case, found {found!r}"
    return f"{where}: {error['msg']}, found {found!r}"


def _model_at(location: Sequence[Any]) -> type[BaseModel] | None:
    model: type[BaseModel] | None = Study
    for part in location:
        if model is None:
            return None
        field = model.model_fields.get(str(part))
        if field is None:
            model = {"resources": Resources}.get(str(location[0])) if model is Study else model
            continue
        candidates = [field.annotation, *get_args(field.annotation)]
        found = [c for c in candidates if isinstance(c, type) and issubclass(c, BaseModel)]
        model = found[0] if found else None
    return model


def _known_keys(location: Sequence[Any]) -> list[str]:
    model = _model_at(location)
    return list(model.model_fields) if model else []


def _description(location: Sequence[Any]) -> str:
    model = _model_at(location[:-1])
    field = model.model_fields.get(str(location[-1])) if model else None
    return (field.description or "give it a value") if field else "give it a value"


def _check_hyperparameters(grid: Grid) -> Iterator[str]:
    """Check the names of all hyperparameters and the values of those that the fit takes."""
    values: dict[str, dict[str, Value]] = {}
    for point in grid.points.values():
        for name, value in point.items():
            values.setdefault(name, {})[repr(value)] = value
    metric_like = {name for name in values if name in TABLE_COLUMNS or name.startswith("val_")}
    for name in sorted(metric_like):
        yield f"hyperparameters.{name}: the tables use this name; choose another"
    for name in ("batch_size", "epochs"):
        if any(name not in point for point in grid.points.values()):
            yield f"hyperparameters.{name}: missing; {FIT_HYPERPARAMETERS[name]}"
        for value in values.get(name, {}).values():
            if type(value) is not int or value < 1:
                yield f"hyperparameters.{name}: must be a whole number above 0, found {value!r}"
    for value in values.get("early_stopping_patience", {}).values():
        if value is not None and (type(value) is not int or value < 1):
            yield (
                "hyperparameters.early_stopping_patience: must be a whole number above 0 or null, "
                f"found {value!r}"
            )
    for value in values.get("early_stopping_min_delta", {}).values():
        if type(value) not in (int, float) or value < 0:  # type: ignore[operator]
            yield f"hyperparameters.early_stopping_min_delta: must be 0 or more, found {value!r}"
    for value in values.get("early_stopping_monitor", {}).values():
        if not isinstance(value, str):
            yield (
                "hyperparameters.early_stopping_monitor: must be a metric's name, such as "
                f"val_loss, found {value!r}"
            )
    for name in sorted(values):
        if name.startswith("early_stopping") and name not in FIT_HYPERPARAMETERS:
            yield f"hyperparameters.{name}: unknown key{nearest(name, FIT_HYPERPARAMETERS)}"


def _check_together(study: Study, grid: Grid) -> Iterator[str]:
    """Check what only several keys together can get wrong."""
    yield from _check_dataset(study)
    yield from _check_ignored(study, grid)
    yield from _check_paths(study, grid)
    drawn: set[tuple[str, str]] = set()
    for index, slice_ in enumerate(study.figures.slices):
        where = f"figures.slices[{index}]"
        if slice_.rows == slice_.columns:
            yield f"{where}: rows and columns are both {slice_.rows!r}; name two axes"
        if (slice_.rows, slice_.columns) in drawn:
            yield f"{where}: {slice_.rows} x {slice_.columns} is there already; remove one"
        drawn.add((slice_.rows, slice_.columns))
        known = {name for point in grid.points.values() for name in point}
        for key, name in (("rows", slice_.rows), ("columns", slice_.columns)):
            if name not in known:
                yield f"{where}.{key}: {name!r} is no hyperparameter here{nearest(name, known)}"
        for name, value in slice_.at.items():
            if name not in known:
                yield f"{where}.at.{name}: {name!r} is no hyperparameter here{nearest(name, known)}"
            elif name in grid.axes and canonical(value) not in grid.axes[name]:
                listed = ", ".join(map(str, grid.axes[name]))
                yield f"{where}.at.{name}: {value!r} is not among its values {listed}"


def _check_ignored(study: Study, grid: Grid) -> Iterator[str]:
    """Name what was set away from its default, and has no effect beside the rest."""
    split, dataset = study.split, study.dataset
    if split.column is not None or dataset.test_source is not None:
        by = "split.column" if split.column is not None else "dataset.test_source"
        yield from _ignored("split", split, ("test", "stratify", "seed"), f"{by} gives the rows")
    elif dataset.order is not None:
        yield from _ignored("split", split, ("seed",), "the test rows are the latest")
    if split.column is None:
        yield from _ignored("split", split, ("test_value",), "there is no split.column")
    if study.validation.method == "kfold":
        yield from _ignored("validation", study.validation, ("fraction",), "kfold has folds")
    else:
        yield from _ignored("validation", study.validation, ("folds",), "holdout has a fraction")
    if not study.trainer.warm:
        recycled = ("recycle_trainings", "recycle_mb")
        yield from _ignored("trainer", study.trainer, recycled, "no worker stays warm")
    points = grid.points.values()
    if all(point.get("early_stopping_patience") is None for point in points):
        names = {name for point in points for name in point}
        for name in sorted(names & {"early_stopping_min_delta", "early_stopping_monitor"}):
            yield (
                f"hyperparameters.{name}: has no effect without early_stopping_patience; give that "
                "a number, or remove this"
            )


def _ignored(where: str, section: BaseModel, keys: Iterable[str], reason: str) -> Iterator[str]:
    # Its default written down is no wish, and a study laid over another cannot remove a key.
    for key in keys:
        default = type(section).model_fields[key].default
        if getattr(section, key) != default:
            yield f"{where}.{key}: has no effect, {reason}; remove it, or set it to {default}"


#: Bytes of a path that the system takes.
_MAX_PATH_BYTES = 4095


def _check_paths(study: Study, grid: Grid) -> Iterator[str]:
    """Check that names become files: of inputs, records, Snakemake's notes on them, figures."""
    inputs = {
        "dataset.source": study.dataset.source,
        "dataset.test_source": study.dataset.test_source,
        "model": study.model,
    }
    for key, path in inputs.items():
        if path is not None and is_local(path) and re.search("[{}]", path):
            yield f"{key}: Snakemake takes no path with {{ or }}; rename {path}"
    longest = max(grid.points, key=lambda path: len(path.encode()))
    last = Block(study.repetitions - 1, study.repetitions - 1).file
    record = os.fsencode(f"{study.results}/points/{'0' * 16}/{longest}/{last}")
    # Snakemake keeps a note on each file, named by its path in base64, in folders of 254 letters.
    letters = -(-len(record) // 3) * 4
    note = os.fsencode(Path(".snakemake/incomplete").absolute())
    size = len(note) + 1 + letters + 2 * (letters // 254)
    if size > _MAX_PATH_BYTES:
        yield (
            f"hyperparameters: together, {longest[:60]}… makes a path of {size:,} bytes for "
            f"Snakemake's note on it, the system takes {_MAX_PATH_BYTES:,}; use shorter values or "
            "names"
        )
    if any(len(os.fsencode(part)) > MAX_COMPONENT_BYTES for part in Path(study.results).parts):
        yield f"results: file systems take names of {MAX_COMPONENT_BYTES} bytes; use a shorter one"
    pair = sorted(grid.axes, key=lambda name: len(os.fsencode(name)))[-2:]
    # Written beside first, under a name with a process number.
    figure = os.fsencode(f".heatmap_{'_x_'.join(pair)}_slice.0000000.png")
    if len(figure) > MAX_COMPONENT_BYTES:
        yield (
            f"hyperparameters.{pair[-1]}: with {pair[0]}, names a heatmap by {len(figure)} bytes, "
            f"file systems take {MAX_COMPONENT_BYTES}; use shorter names"
        )


#: Keys of a dataset that say how text is to be read.
_TEXT_KEYS = ("columns", "missing", "separator", "decimal", "encoding")


def _check_dataset(study: Study) -> Iterator[str]:
    dataset, split = study.dataset, study.split
    sources = {"source": dataset.source, "test_source": dataset.test_source}
    for key, source in sources.items():
        problem = None if source is None else why_no_source(source)
        if problem:
            yield f"dataset.{key}: {problem}"
    if dataset.task != "classification":
        if study.class_weight is not None:
            yield f"class_weight: a {dataset.task} task has no classes to weigh; remove it"
        if split.stratify and "stratify" in split.model_fields_set:
            yield f"split.stratify: a {dataset.task} task has no classes; remove it"
    if dataset.task != "regression" and "target" in study.preparation.model_fields_set:
        yield f"preparation.target: a {dataset.task} task has no numbers to scale; remove it"
    several = isinstance(dataset.target, list)
    if dataset.task == "classification" and several:
        yield "dataset.target: a classification has one target; set dataset.task to multilabel"
    if several and len(set(dataset.target)) < len(dataset.target):
        yield "dataset.target: names a column twice"
    if dataset.group is not None and dataset.order is not None:
        yield "dataset.order: rows have groups or an order in time, not both; remove one"
    if split.column is not None and dataset.test_source is not None:
        yield "split.column: the test rows are given by dataset.test_source; remove one"
    if dataset.test_sha256 is not None and dataset.test_source is None:
        yield "dataset.test_sha256: there is no dataset.test_source"
    try:
        codecs.lookup(dataset.encoding)
    except LookupError:
        yield f"dataset.encoding: there is no encoding {dataset.encoding!r}; try utf-8 or latin-1"
    if any(source is not None and why_no_source(source) for source in sources.values()):
        return
    formats = {
        key: table_format(source, dataset.format, dataset.member if key == "source" else None)
        for key, source in sources.items()
        if source is not None
    }
    if len(set(formats.values())) > 1:
        told = f"is {formats['test_source']}, source is {formats['source']}; use one format"
        yield f"dataset.test_source: {told}"
    if formats["source"] == "npz":
        for key in ("target", "drop", "categorical", *_TEXT_KEYS):
            if key in dataset.model_fields_set:
                yield f"dataset.{key}: an NPZ file has arrays, no columns; remove it"
        if split.column is not None:
            yield "split.column: an NPZ file has no columns; name its test rows x_test, y_test"
    elif formats["source"] == "parquet":
        for key in _TEXT_KEYS:
            if key in dataset.model_fields_set:
                yield f"dataset.{key}: a Parquet file says it itself; remove it"


def schema_text() -> str:
    """Return the JSON Schema of a study, for editors that check YAML while one types."""
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
