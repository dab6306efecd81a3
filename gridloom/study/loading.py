"""From files and settings to a checked study."""

from __future__ import annotations

import contextlib
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import pydantic
import yaml

from gridloom.errors import StudyError
from gridloom.study.checks import check_hyperparameters, check_together
from gridloom.study.grid import Grid, read_grid
from gridloom.study.grid_size import MAX_POINTS
from gridloom.study.messages import is_other_form, sentence
from gridloom.study.schema import Study


def load_study(
    default: Path, files: Sequence[Path] = (), overrides: Mapping[str, Any] | None = None
) -> Study:
    """Read and check a study.

    A file with a `hyperparameters` block is a whole study and replaces everything before it. Any
    other file, and `overrides`, changes single keys of what came before.

    Parameters
    ----------
    default
        The project's own study.
    files
        Files named on the command line, in that order.
    overrides
        Single settings from the command line, which win. Snakemake passes the values inside
        ``--config trainer='{warm: false}'`` as text.

    Raises
    ------
    StudyError
        With one sentence for each mistake.
    """
    layers = [read_yaml(file) for file in files]
    settings = {} if layers and "hyperparameters" in layers[0] else read_yaml(default)
    for layer in layers:
        settings = layer if "hyperparameters" in layer else _overlaid(settings, layer)
    return check_study(_overlaid(settings, _typed(overrides or {})))


def handed_study(settings: Mapping[str, Any], overrides: Mapping[str, Any]) -> Study:
    """Check the study that another workflow passes to its module.

    Parameters
    ----------
    settings
        A whole study.
    overrides
        From that workflow's command line. Snakemake has merged them into its config, of which the
        settings are all or the value of one key; values inside others are text there too.

    Raises
    ------
    StudyError
        With one sentence for each mistake.
    """
    if not settings:
        raise StudyError("this workflow is a module that got no study; set its `config:` to one")
    parts = [overrides, *(part for part in overrides.values() if isinstance(part, Mapping))]
    for part in parts:
        settings = _typed_again(settings, part)
    return check_study(settings)


def _typed_again(settings: Mapping[str, Any], overrides: Mapping[str, Any]) -> dict[str, Any]:
    """Convert the settings that are the text of an override."""
    typed = dict(settings)
    for key, value in overrides.items():
        under = typed.get(key)
        if isinstance(under, Mapping) and isinstance(value, Mapping):
            typed[key] = _typed_again(under, value)
        elif key in typed and under == value:
            typed[key] = _typed(value)
    return typed


def _typed(part: Any) -> Any:
    """Convert text to the type that YAML gives it, at any depth."""
    if isinstance(part, Mapping):
        return {key: _typed(value) for key, value in part.items()}
    if isinstance(part, list):
        return [_typed(item) for item in part]
    if isinstance(part, str) and part:
        with contextlib.suppress(yaml.YAMLError):
            read = yaml.safe_load(part)
            return read if read is None or isinstance(read, bool | int | float) else part
    return part


def _overlaid(below: Mapping[str, Any], above: Mapping[str, Any]) -> dict[str, Any]:
    merged = dict(below)
    for key, value in above.items():
        under = merged.get(key)
        both = isinstance(under, Mapping) and isinstance(value, Mapping)
        merged[key] = _overlaid(under, value) if both else value  # type: ignore[arg-type]
    return merged


class _StrictLoader(yaml.SafeLoader):
    """A safe YAML loader that refuses a key given twice, because the second would silently win."""


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


def read_yaml(file: Path) -> dict[str, Any]:
    """Read a file of `key: value` lines.

    Raises
    ------
    StudyError
        With the file, and the line and column where YAML's own rules are broken.
    """
    try:
        with file.open(encoding="utf-8") as stream:
            content = yaml.load(stream, _StrictLoader)  # noqa: S506 (a safe loader)
    except OSError as error:
        raise StudyError(f"{file}: cannot be read ({error.strerror})") from None
    except UnicodeDecodeError:
        raise StudyError(f"{file}: is not UTF-8 text; save it as UTF-8") from None
    except yaml.YAMLError as error:
        problem = getattr(error, "problem", None) or str(error).splitlines()[0]
        mark = getattr(error, "problem_mark", None)
        place = f", line {mark.line + 1}, column {mark.column + 1}" if mark else ""
        raise StudyError(
            f"{file}{place}: not valid YAML ({problem}); check quotes and indentation"
        ) from None
    except TypeError as error:  # a mapping as a key
        raise StudyError(f"{file}: not valid YAML ({error})") from None
    if content is None:
        return {}
    if not isinstance(content, dict):
        raise StudyError(f"{file}: must hold `key: value` lines, found a {type(content).__name__}")
    return {str(key): value for key, value in content.items()}


def check_study(settings: Mapping[str, Any]) -> Study:
    """Turn settings, as read from YAML, into a `Study`.

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
        meant = [one for one in error.errors() if not is_other_form(one)]
        problems += list(dict.fromkeys(map(sentence, meant)))
    grid: Grid | None = None
    block = settings.get("hyperparameters")
    if isinstance(block, Mapping | list):
        try:
            grid = study.grid if study is not None else read_grid(block, _max_points(settings))
            problems += check_hyperparameters(grid)
        except StudyError as error:
            problems += error.problems
    if study is not None and grid is not None:
        problems += check_together(study, grid)
    if problems:
        raise StudyError(problems)
    assert study is not None
    return study


def _max_points(settings: Mapping[str, Any]) -> int:
    """Return the limit that settings give, although something else in them is wrong."""
    given = settings.get("max_points")
    return given if isinstance(given, int) else MAX_POINTS


def _as_json_types(settings: Mapping[str, Any]) -> dict[str, Any]:
    """Accept a whole number as a float, and a number or truth value as the name of a column."""
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


#: Keys of a dataset that name columns; without a header row, names are numbers.
_NAMES = ("target", "drop", "categorical", "group", "order", "weight", "columns", "missing")


def _named(value: Any) -> Any:
    """Convert a number or truth value to its text."""
    if isinstance(value, list):
        return [_named(item) for item in value]
    if isinstance(value, bool):
        return str(value)  # as tables spell it
    return str(value) if isinstance(value, int | float) else value
