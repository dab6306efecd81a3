"""Checks of a study that involve several settings at once."""

from __future__ import annotations

import codecs
import os
import re
from collections.abc import Iterable, Iterator
from pathlib import Path

from pydantic import BaseModel

from gridloom.errors import nearest
from gridloom.naming.blocks import FIRST_RESERVED, Block
from gridloom.naming.columns import FIT_HYPERPARAMETERS, TABLE_COLUMNS
from gridloom.naming.metrics import better_end
from gridloom.naming.points import MAX_COMPONENT_BYTES
from gridloom.naming.values import Value, canonical
from gridloom.study.grid import Grid
from gridloom.study.schema import Figures, Objective, Study
from gridloom.study.sources import is_local, table_format, why_no_source


def check_hyperparameters(grid: Grid) -> Iterator[str]:
    """Check the names of all hyperparameters and the values of those that the fit takes."""
    values = grid.values
    yield from _check_texts(grid)
    metric_like = {name for name in values if name in TABLE_COLUMNS or name.startswith("val_")}
    for name in sorted(metric_like):
        yield f"hyperparameters.{name}: the tables use this name; choose another"
    for name in ("batch_size", "epochs"):
        if not grid.is_everywhere(name):
            yield f"hyperparameters.{name}: missing; {FIT_HYPERPARAMETERS[name]}"
        for value in values.get(name, []):
            if type(value) is not int or value < 1:
                yield f"hyperparameters.{name}: must be a whole number above 0, found {value!r}"
    for value in values.get("early_stopping_patience", []):
        if value is not None and (type(value) is not int or value < 1):
            yield (
                "hyperparameters.early_stopping_patience: must be a whole number above 0 or null, "
                f"found {value!r}"
            )
    for value in values.get("early_stopping_min_delta", []):
        if type(value) not in (int, float) or value < 0:  # type: ignore[operator]
            yield f"hyperparameters.early_stopping_min_delta: must be 0 or more, found {value!r}"
    for value in values.get("early_stopping_monitor", []):
        if not isinstance(value, str):
            yield (
                "hyperparameters.early_stopping_monitor: must be a metric's name, such as "
                f"val_loss, found {value!r}"
            )
    for name in sorted(values):
        if name.startswith("early_stopping") and name not in FIT_HYPERPARAMETERS:
            yield f"hyperparameters.{name}: unknown key{nearest(name, FIT_HYPERPARAMETERS)}"


def _check_texts(grid: Grid) -> Iterator[str]:
    """Check that the tables tell the values of an axis apart."""
    for name, values in grid.axes.items():
        by_text: dict[str, Value] = {}
        for text, value in zip(grid.texts[name], values, strict=False):  # one may lack a value
            other = by_text.setdefault(text, value)
            if other is not value:
                yield (
                    f"hyperparameters.{name}: {other!r} and {value!r} look alike in the tables; "
                    "write one of them in another way"
                )


def check_together(study: Study, grid: Grid) -> Iterator[str]:
    """Check settings against each other."""
    yield from _check_dataset(study)
    yield from _check_direction(study.objective)
    yield from _check_ignored(study, grid)
    yield from _check_paths(study, grid)
    yield from _check_cost(study, grid)
    yield from _check_figures(study.figures, study.objective.metric, grid)


def _check_figures(figures: Figures, objective: str, grid: Grid) -> Iterator[str]:
    """Check what is to be drawn."""
    for index, metric in enumerate(figures.metrics):
        if metric == objective:
            yield f"figures.metrics[{index}]: {metric} is the objective, which is drawn; remove it"
        elif metric in figures.metrics[:index]:
            yield f"figures.metrics[{index}]: {metric} is there already; remove one"
    known = grid.values.keys()
    for index, axis in enumerate(figures.to_scale):
        where = f"figures.to_scale[{index}]"
        if axis not in known:
            yield f"{where}: {axis!r} is not a hyperparameter here{nearest(axis, known)}"
        elif axis in grid.axes and axis not in grid.numbers:
            yield f"{where}: {axis} is not a number in every configuration; remove it"
    drawn: set[tuple[str | None, ...]] = set()
    for index, slice_ in enumerate(figures.slices):
        where = f"figures.slices[{index}]"
        if slice_.rows == slice_.columns:
            yield f"{where}: rows and columns are both {slice_.rows!r}; name two axes"
        if slice_.panels in (slice_.rows, slice_.columns, *slice_.at):
            yield f"{where}.panels: {slice_.panels!r} is in this slice already; name another axis"
        named = (slice_.rows, slice_.columns, slice_.panels)
        if named in drawn:
            yield f"{where}: {slice_.rows} x {slice_.columns} is listed twice; remove one"
        drawn.add(named)
        for key, name in zip(("rows", "columns", "panels"), named, strict=True):
            if name is not None and name not in known:
                yield f"{where}.{key}: {name!r} is not a hyperparameter here{nearest(name, known)}"
        for name, value in slice_.at.items():
            if name not in known:
                yield f"{where}.at.{name}: not a hyperparameter here{nearest(name, known)}"
            elif name in grid.axes and canonical(value) not in grid.axes[name]:
                listed = ", ".join(map(str, grid.axes[name]))
                yield f"{where}.at.{name}: {value!r} is not among its values {listed}"


def _check_cost(study: Study, grid: Grid) -> Iterator[str]:
    """Check that each point has a number for all that makes a configuration cheap."""
    known = {"parameters", *grid.values}
    cost = study.pick.cost
    for index, name in enumerate(cost):
        where = f"pick.cost[{index}]"
        if name in cost[:index]:
            yield f"{where}: {name} is there already; remove one"
        elif name not in known:
            yield f"{where}: {name!r} is no hyperparameter here{nearest(name, known)}"
        elif name != "parameters":
            others = [one for one in grid.values[name] if type(one) not in (int, float)]
            if others or not grid.is_everywhere(name):
                found = "null" if not others or others[0] is None else repr(others[0])
                yield f"{where}: {name} must be a number at every point, found {found}"


def _check_direction(objective: Objective) -> Iterator[str]:
    """Find a mode that would rank the worst value of a known metric first."""
    right = better_end(objective.metric)
    if right not in (None, objective.mode):
        better = "more" if right == "max" else "less"
        yield (
            f"objective.mode: is {objective.mode}, but {better} of {objective.metric} is better; "
            f"set it to {right}"
        )


def _check_ignored(study: Study, grid: Grid) -> Iterator[str]:
    """Report settings that differ from their default but have no effect with the others."""
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
    if study.trainer.engine == "keras":
        reason = "callbacks and model.fit have a state that no checkpoint holds"
        yield from _ignored("trainer", study.trainer, ("checkpoint_minutes",), reason)
    if set(grid.values.get("early_stopping_patience", [])) <= {None}:
        useless = {"early_stopping_min_delta", "early_stopping_monitor"}
        for name in sorted(useless & grid.values.keys()):
            yield (
                f"hyperparameters.{name}: has no effect without early_stopping_patience; give that "
                "a number, or remove this"
            )


def _ignored(where: str, section: BaseModel, keys: Iterable[str], reason: str) -> Iterator[str]:
    # A key at its default passes: a file laid over another study cannot remove a key.
    for key in keys:
        default = type(section).model_fields[key].default
        if getattr(section, key) != default:
            yield f"{where}.{key}: has no effect, {reason}; remove it, or set it to {default}"


#: Longest path that the system takes, in bytes.
_MAX_PATH_BYTES = 4095


def _check_paths(study: Study, grid: Grid) -> Iterator[str]:
    """Check that inputs, records, Snakemake's notes on them and figures can have their names."""
    inputs = {
        "dataset.source": study.dataset.source,
        "dataset.test_source": study.dataset.test_source,
        "model": study.model,
    }
    for key, path in inputs.items():
        if path is not None and is_local(path) and re.search("[{}]", path):
            yield f"{key}: Snakemake takes no path with {{ or }}; rename {path}"
    longest = max(grid.points, key=lambda path: len(path.encode()))
    last = Block(FIRST_RESERVED, FIRST_RESERVED).file
    record = os.fsencode(f"{study.results}/points/{'0' * 16}/{longest}/{last}")
    # Snakemake keeps a note on each file. The note's path is the file's path in base64, split into
    # folders of 254 characters.
    letters = -(-len(record) // 3) * 4
    note = os.fsencode(Path(".snakemake/incomplete").absolute())
    size = len(note) + 1 + letters + 2 * (letters // 254)
    if size > _MAX_PATH_BYTES:
        yield (
            f"hyperparameters: Snakemake's note on the point {longest[:60]}… would have a path of "
            f"{size:,} bytes, and the system allows {_MAX_PATH_BYTES:,}; use shorter values or "
            "names"
        )
    if any(len(os.fsencode(part)) > MAX_COMPONENT_BYTES for part in Path(study.results).parts):
        yield (
            f"results: a name in this path is longer than {MAX_COMPONENT_BYTES} bytes, the limit "
            "of file systems; use a shorter one"
        )
    pair = sorted(grid.axes, key=lambda name: len(os.fsencode(name)))[-2:]
    metrics = ["", *(f"_{metric}" for metric in study.figures.metrics)]
    longest_metric = max(metrics, key=len)
    # A figure is first written under a temporary name with a process number.
    figure = os.fsencode(f".heatmap_{'_x_'.join(pair)}_slice{longest_metric}.0000000.png")
    if len(figure) > MAX_COMPONENT_BYTES:
        yield (
            f"hyperparameters.{pair[-1]}: the heatmap with {pair[0]} would have a file name of "
            f"{len(figure)} bytes, and file systems allow {MAX_COMPONENT_BYTES}; use shorter names"
        )


#: Keys of a dataset that say how to read text.
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
        yield (
            f"dataset.test_source: is {formats['test_source']}, source is {formats['source']}; "
            "use one format"
        )
    if formats["source"] == "npz":
        for key in ("target", "drop", "categorical", *_TEXT_KEYS):
            if key in dataset.model_fields_set:
                yield f"dataset.{key}: an NPZ file has arrays instead of columns; remove it"
        if split.column is not None:
            yield "split.column: an NPZ file has no columns; name its test rows x_test, y_test"
    elif formats["source"] == "parquet":
        for key in _TEXT_KEYS:
            if key in dataset.model_fields_set:
                yield f"dataset.{key}: a Parquet file contains this itself; remove it"
