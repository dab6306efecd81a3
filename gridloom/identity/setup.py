"""The set-up of a training: everything that determines it besides its point and repetition.

`gridloom.identity.identify` works it out. This module is part of a training's code, so it holds
only what a training needs of it.
"""

from __future__ import annotations

import json
import sys
from collections.abc import Callable, Mapping
from dataclasses import dataclass, fields
from functools import cache
from importlib.metadata import version
from pathlib import Path
from typing import Any

import gridloom
from gridloom.files import fingerprint
from gridloom.identity.source_code import Module, Source, code_fingerprint, imported_modules

#: Packages whose versions are part of the set-up if `environment` is strict.
PACKAGES = ("keras", "numpy", "pandas", "scikit-learn", "tensorflow")


@dataclass(frozen=True)
class Setup:
    """Everything that determines a training besides its point and repetition.

    Attributes
    ----------
    data
        Name of the training rows (see `rows_name`).
    model_file
        Fingerprint of the model file and of its own modules (see `model_fingerprint`).
    training_code
        Fingerprint of this library's training code.
    seed, vary, class_weight, scaling, engine, onednn, xla
        As in the study.
    validation
        The method and the one number that it uses.
    target
        As in the study; ``none`` if targets are not numbers.
    libraries
        Settings of Keras and TensorFlow from outside the study (see `library_settings`).
    environment
        Versions of packages and kind of device if `environment` is strict; else None.
    """

    data: str
    model_file: str
    training_code: str
    seed: int
    vary: tuple[str, ...]
    validation: dict[str, Any]
    class_weight: str | dict[str, float] | None
    scaling: str
    target: str
    engine: str
    onednn: bool
    xla: str
    libraries: dict[str, Any]
    environment: dict[str, Any] | None = None

    def as_json(self) -> dict[str, Any]:
        """Return the form for records; its keys are names for the user."""
        return {
            field.name if field.name == "class_weight" else field.name.replace("_", " "): _plain(
                getattr(self, field.name)
            )
            for field in fields(self)
        }

    @classmethod
    def from_json(cls, noted: Mapping[str, Any]) -> Setup:
        """Read what `as_json` returned."""
        values = {key.replace(" ", "_"): value for key, value in noted.items()}
        return cls(**{**values, "vary": tuple(values["vary"])})

    @property
    def folds(self) -> int:
        """Trainings of each repetition."""
        return int(self.validation.get("folds", 1))

    @property
    def name(self) -> str:
        """Name of the folder of its records: 16 hexadecimal digits."""
        return fingerprint([], json.dumps(self.as_json(), sort_keys=True))


def _plain(value: Any) -> Any:
    return list(value) if isinstance(value, tuple) else value


def model_fingerprint(path: Path, read: Callable[[Path], Source]) -> tuple[str, dict[str, Module]]:
    """Return the fingerprint of a model file, and its own modules.

    These are the modules that it imports from its folder or from the working folder, directly or
    indirectly. The name of the model file does not count.

    Raises
    ------
    StudyError
        If a file is not Python.
    """
    modules = imported_modules(
        {"": path},
        [path.absolute().parent, Path.cwd()],
        read,
        lambda name: name not in sys.stdlib_module_names and name != gridloom.__name__,
    )
    digests = {name: read(one.path).digest for name, one in modules.items() if one.has_code}
    return code_fingerprint({"": read(path).digest, **digests}), modules


@cache
def package_versions() -> dict[str, str]:
    """Return the versions of the packages that numbers depend on."""
    return {package: version(package) for package in PACKAGES}
