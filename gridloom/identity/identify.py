"""Identify a study: the names of its rows and of its records.

The fingerprint of the set-up names the folder of the records. So the set-up must contain everything
that can change a number beyond rounding, and nothing else. A changed set-up starts a new folder; if
the change is undone, the old folder is used again.
Nothing heavy is imported here, because each job's Snakemake imports this module.
"""

from __future__ import annotations

import json
import os
import platform
import zipfile
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import gridloom
from gridloom.data.versions import version_of
from gridloom.errors import StudyError
from gridloom.files import fingerprint
from gridloom.identity.digests import Digests
from gridloom.identity.setup import Setup, model_fingerprint, package_versions
from gridloom.identity.source_code import Module, Source, code_fingerprint, imported_modules
from gridloom.study.dataset import Dataset, Split
from gridloom.study.schema import Study
from gridloom.study.sources import is_local, table_format

#: Module that a training process runs first; every module of this library that it imports counts.
TRAINING = "gridloom.workers.worker"

#: Modules that make the training rows.
ROWS = ("gridloom.data.sources", "gridloom.data.split")

#: Modules that a training process imports but that cannot change a number, with the reason. All
#: other modules count, also new ones.
NOT_COUNTED = {
    "gridloom.errors": "holds messages",
    "gridloom.storage": "reports problems with the disk",
    "gridloom.workers.scope": "holds the names of folders and processes",
    "gridloom.workers.client": "sends a job to a worker; the set-up determines the job",
    "gridloom.workers.devices": "assigns a GPU to a process",
    "gridloom.workers.task": "calls functions that train nothing",
    "gridloom.workers.worker": "starts and ends processes; `gridloom.training.trainer` trains",
}

#: Settings in ``keras.json``: Keras's default, and the values that it allows.
_KERAS = {
    "floatx": ("float32", ("float16", "float32", "float64")),
    "image_data_format": ("channels_last", ("channels_last", "channels_first")),
    "epsilon": (1e-7, None),
}

#: Setting that changes numbers beyond rounding → the environment variable that sets it.
_VARIABLES = {
    "max_epochs": "KERAS_MAX_EPOCHS",
    "max_steps_per_epoch": "KERAS_MAX_STEPS_PER_EPOCH",
    "xla_flags": "TF_XLA_FLAGS",
}


@dataclass(frozen=True)
class Identity:
    """Names of a study's rows and records.

    Attributes
    ----------
    contents
        SHA-256 of each source that is a local file; None for the others.
    rows
        Name of the rows: a fingerprint of everything that determines them.
    setup
        Everything that determines a training; its name is that of the records' folder.
    """

    contents: list[str | None]
    rows: str
    setup: Setup


def identify(
    study: Study, digests: Digests, versions: Path, environment: Mapping[str, str]
) -> Identity:
    """Name a study's rows and records.

    Each file is read once, so that all names describe the same state of the files.

    Parameters
    ----------
    study
        A checked study.
    digests
        Digests of files.
    versions
        Notes on the versions of sources on the web (see `gridloom.data.versions`).
    environment
        Environment variables of the process.

    Raises
    ------
    StudyError
        See `rows_name` and `setup_of`.
    """
    contents = local_digests(study.dataset, digests)
    rows = rows_name(study, contents, digests, versions)
    return Identity(contents, rows, setup_of(study, rows, digests, environment))


def setup_of(study: Study, rows: str, digests: Digests, environment: Mapping[str, str]) -> Setup:
    """Return a study's set-up.

    Parameters
    ----------
    study
        A checked study.
    rows
        From `rows_name`.
    digests
        Digests of files.
    environment
        Environment variables of the process.

    Raises
    ------
    StudyError
        If the model file, or a module that it imports, is not Python.
    """
    return Setup(
        data=rows,
        model_file=model_fingerprint(Path(study.model), digests.source)[0],
        training_code=library_fingerprint([TRAINING], digests),
        seed=study.seed,
        vary=tuple(sorted(study.vary)),
        validation=_used_validation(study),
        class_weight=study.class_weight,
        scaling=study.preparation.scaling,
        target=study.preparation.target if study.dataset.task == "regression" else "none",
        engine=study.trainer.engine,
        onednn=study.trainer.onednn,
        xla=study.trainer.xla,
        libraries=library_settings(environment),
        environment=_environment(study) if study.environment == "strict" else None,
    )


def _used_validation(study: Study) -> dict[str, Any]:
    """Return the method of validation with the one number that it uses."""
    key = "folds" if study.validation.method == "kfold" else "fraction"
    return {"method": study.validation.method, key: getattr(study.validation, key)}


def library_root() -> Path:
    """Return the folder that this library is imported from."""
    return Path(gridloom.__path__[0]).parent


def library_modules(first: Iterable[str], read: Callable[[Path], Source]) -> dict[str, Path]:
    """List modules of this library and all modules of it that they import, also indirectly.

    Returns
    -------
    dict
        Name → file.
    """
    root = library_root()
    files = {name: root.joinpath(*name.split(".")).with_suffix(".py") for name in first}
    found = _of_library(files, read)
    return {**files, **{name: module.path for name, module in found.items()}}


def library_modules_of(script: Path, read: Callable[[Path], Source]) -> dict[str, Path]:
    """List the modules of this library that a script imports, directly or indirectly.

    Returns
    -------
    dict
        Name → file.
    """
    return {name: module.path for name, module in _of_library({"": script}, read).items()}


def _of_library(files: Mapping[str, Path], read: Callable[[Path], Source]) -> dict[str, Module]:
    """List this library's modules that files import, directly or indirectly."""
    return imported_modules(
        files, [library_root()], read, lambda name: name == gridloom.__name__, unchanging=True
    )


def library_fingerprint(first: Iterable[str], digests: Digests) -> str:
    """Return the fingerprint of modules of this library and of all modules of it that they import.

    Modules in `NOT_COUNTED` are left out.
    """
    modules = library_modules(first, digests.source)
    return code_fingerprint(
        {
            name: digests.source(file).digest
            for name, file in modules.items()
            if name not in NOT_COUNTED
        }
    )


def rows_name(
    study: Study, contents: Sequence[str | None], digests: Digests, versions: Path
) -> str:
    """Return the name of a study's rows: a fingerprint of everything that determines them.

    A local file counts by its content, not by its path. A source on the web counts by its address
    and version (see `gridloom.data.versions`).

    Parameters
    ----------
    study
        A checked study.
    contents
        From `local_digests`.
    digests
        Digests of files.
    versions
        Notes on the versions of sources on the web.

    Raises
    ------
    StudyError
        If a local file does not have the SHA-256 that the study asks for.
    """
    dataset, split = study.dataset, acting_split(study)
    sources: list[Any] = []
    for (source, key), found in zip(_sources(dataset), contents, strict=True):
        asked = getattr(dataset, key)
        if found is None:
            sources.append([source, version_of(source, asked, versions)])
        elif asked not in (None, found):
            raise StudyError(
                f"dataset.{key}: {source} has SHA-256 {found}, the study asks for {asked}; if the "
                "new data is meant, put the new sum into the study"
            )
        else:
            sources.append(found)
    named = {"source", "sha256", "test_source", "test_sha256"}
    return fingerprint(
        [],
        json.dumps([sources, format_of(dataset), library_fingerprint(ROWS, digests)])
        # Without defaults, so that a new key in Gridloom does not retrain finished studies.
        + dataset.model_dump_json(exclude=named, exclude_defaults=True)
        + split.model_dump_json(exclude_defaults=True),
    )


def _sources(dataset: Dataset) -> Sequence[tuple[str, str]]:
    """Return the sources of a study, each with the key of its sum."""
    both = [(dataset.source, "sha256"), (dataset.test_source, "test_sha256")]
    return [(source, key) for source, key in both if source is not None]


def local_digests(dataset: Dataset, digests: Digests) -> list[str | None]:
    """Return the SHA-256 of each source that is a local file; None for the others."""
    return [
        digests.content(source) if is_local(source) else None for source, _ in _sources(dataset)
    ]


def format_of(dataset: Dataset) -> str:
    """Return the format of a study's data."""
    return table_format(dataset.source, dataset.format, dataset.member)


def acting_split(study: Study) -> Split:
    """Return a study's split; the default split if the data has its own test rows."""
    return Split() if _holds_test_rows(study.dataset) else study.split


def _holds_test_rows(dataset: Dataset) -> bool:
    """Return whether a local file of arrays has its own test rows."""
    if format_of(dataset) != "npz" or not is_local(dataset.source) or dataset.member is not None:
        return False
    try:
        with zipfile.ZipFile(dataset.source) as arrays:
            return "x_test.npy" in arrays.namelist()
    except (OSError, zipfile.BadZipFile):  # packed, or damaged, which `split` reports
        return False


def library_settings(environment: Mapping[str, str]) -> dict[str, Any]:
    """Return the settings of Keras and TensorFlow from outside a study, without importing Keras.

    They are read as Keras and TensorFlow read them, from ``keras.json`` and environment variables.

    Parameters
    ----------
    environment
        Environment variables of the process.

    Raises
    ------
    StudyError
        If ``keras.json`` holds a value that Keras does not allow.
    """
    file = _keras_folder(environment) / "keras.json"
    try:
        given = json.loads(file.read_text(encoding="utf-8"))
    except (OSError, ValueError):  # Keras ignores such a file, too
        given = {}
    if not isinstance(given, dict):
        raise StudyError(f"{file}: must hold settings of Keras in braces; correct or remove it")
    settings: dict[str, Any] = {}
    for name, (default, allowed) in _KERAS.items():
        settings[name] = given.get(name, default)
        if type(settings[name]) is not type(default) or (
            allowed is not None and settings[name] not in allowed
        ):
            listed = ", ".join(allowed) if allowed else f"such as {default!r}"
            raise StudyError(f"{file}: {name} is {settings[name]!r}, must be {listed}")
    given_by_variable = {
        name: environment[variable]
        for name, variable in _VARIABLES.items()
        if environment.get(variable)
    }
    return {**settings, **given_by_variable}


def _keras_folder(environment: Mapping[str, str]) -> Path:
    if "KERAS_HOME" in environment:
        return Path(environment["KERAS_HOME"]).expanduser()
    home = Path("~").expanduser()
    return (home if os.access(home, os.W_OK) else Path("/tmp")) / ".keras"  # noqa: S108


def _environment(study: Study) -> dict[str, Any]:
    train = study.resources.get("train")
    device = "gpu" if train is not None and train.gpu else "cpu"
    return {"packages": package_versions(), "device": device, "machine": platform.machine()}
