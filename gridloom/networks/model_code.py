"""From the files of a model to its running module, exactly as fingerprinted.

The model file and its own modules are read once, compared with the set-up, and run from the text
that was read. So an edit while a study runs fails the next job, and no record is stored under the
set-up of another version.
"""

from __future__ import annotations

import importlib.abc
import importlib.machinery
import importlib.util
import linecache
import sys
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from types import CodeType, ModuleType
from typing import Any

import keras

from gridloom.errors import ChangedError, ModelError, StudyError
from gridloom.identity.setup import Setup, model_fingerprint, package_versions
from gridloom.identity.source_code import Module, Source, read_source
from gridloom.networks.keras_private import PRISTINE

#: Keras's settings when this process started.
_AT_START: dict[str, Any] = {
    "floatx": keras.config.floatx(),
    "epsilon": keras.config.epsilon(),
    "image_data_format": keras.config.image_data_format(),
}


@dataclass(frozen=True)
class ModelCode:
    """A model file and its own modules, as they were read.

    Attributes
    ----------
    path
        Path of the model file.
    modules
        Name → module that it imports from its folder or from the working folder.
    contents
        File → content.
    stamps
        File → size and modification time when it was read.
    fingerprint
        See `gridloom.identity.setup.model_fingerprint`.
    """

    path: Path
    modules: Mapping[str, Module]
    contents: Mapping[Path, bytes]
    stamps: Mapping[Path, tuple[int, int]]
    fingerprint: str

    @property
    def copies(self) -> dict[str, bytes]:
        """The files that the model file needs to run in another folder: path → content."""
        files = {self.path.name: self.contents[self.path]}
        for name, module in self.modules.items():
            if module.has_code:
                place = name.replace(".", "/") + ("/__init__" if module.is_package else "")
                files[f"{place}.py"] = self.contents[module.path]
        return files

    def run(self, name: str) -> ModuleType:
        """Run the model file as a module of this name, and unload the model file before it.

        Raises
        ------
        ModelError
            If one of its own modules has the name of a module that is already loaded.
        Exception
            Any error that the model file raises.
        """
        _unload()
        PRISTINE.restore()  # the model file before may have changed Keras's settings
        for own in self.modules:
            if own in sys.modules:
                raise ModelError(
                    f"model: {self.modules[own].path} has the name of another module, {own}, which "
                    "is loaded already; rename it"
                )
        finder = _Finder(self)
        sys.meta_path.insert(0, finder)
        spec = importlib.machinery.ModuleSpec(name, finder.loader(name), origin=str(self.path))
        spec.has_location = True
        module = importlib.util.module_from_spec(spec)
        sys.modules[name] = module  # custom Keras objects find their module by name
        finder.loader(name).exec_module(module)
        return module

    def namespace(self, module: ModuleType) -> dict[str, Any]:
        """Return the names of the running model file and its own modules; the file's names win."""
        running = [sys.modules[name] for name in self.modules if name in sys.modules]
        return {key: value for one in [*running, module] for key, value in vars(one).items()}


#: The model code that this process read last.
_read: ModelCode | None = None


def read_model_code(path: Path, wanted: str | None = None) -> ModelCode:
    """Read a model file and its own modules, again only if they changed.

    Parameters
    ----------
    path
        The model file.
    wanted
        Fingerprint that they must have; None for any.

    Raises
    ------
    ChangedError
        If they have another fingerprint, because they changed since the study was read.
    ModelError
        If a file cannot be read or is not Python.
    """
    global _read
    known = _read
    unchanged = known is not None and known.path == path and known.stamps == _stamps(known.stamps)
    if known is None or not unchanged or wanted not in (None, known.fingerprint):
        known = _read = _read_anew(path)
    if wanted not in (None, known.fingerprint):
        newest = max(known.stamps, key=lambda file: known.stamps[file][1])
        raise ChangedError(
            f"{_shown(newest)} changed while the study was running; run `snakemake` again: it "
            "trains the new version, and keeps what the old one trained"
        )
    return known


def check_process(setup: Setup) -> None:
    """Check that this process matches a set-up, because the nodes of a cluster may differ.

    Raises
    ------
    ChangedError
        If settings of Keras or versions of packages differ.
    """
    planned = {name: setup.libraries[name] for name in _AT_START}
    if planned != _AT_START:
        raise ChangedError(
            f"keras.json says {_AT_START} on the machine that trains, and {planned} on the machine "
            "that read the study; make them agree and run `snakemake` again"
        )
    if setup.environment is not None and setup.environment["packages"] != package_versions():
        raise ChangedError(
            f"environment is strict, and the study was read with {setup.environment['packages']}, "
            f"but trains with {package_versions()}; make them agree, or set environment to mix"
        )


def _read_anew(path: Path) -> ModelCode:
    contents: dict[Path, bytes] = {}
    stamps: dict[Path, tuple[int, int]] = {}

    def read(file: Path) -> Source:
        if file not in contents:
            stamps.update(_stamps([file]))  # before its content, so that a later change is noticed
            try:
                contents[file] = file.read_bytes()
            except OSError as error:
                raise ModelError(f"model: {file} cannot be read ({error.strerror})") from None
        return read_source(contents[file], file)

    try:
        found, modules = model_fingerprint(path, read)
    except StudyError as error:
        raise ModelError("; ".join(error.problems)) from None
    return ModelCode(path, modules, contents, stamps, found)


def _stamps(files: Any) -> dict[Path, tuple[int, int]]:
    stamps = {}
    for file in files:
        try:
            status = file.stat()
        except OSError:
            continue
        stamps[file] = (status.st_size, status.st_mtime_ns)
    return stamps


def _shown(path: Path) -> Path:
    here = Path.cwd()
    return path.relative_to(here) if path.is_relative_to(here) else path


def _unload() -> None:
    """Remove the modules of the previous model from this process."""
    before = [one for one in sys.meta_path if isinstance(one, _Finder)]
    for finder in before:
        sys.meta_path.remove(finder)
        for name in finder.code.modules:
            sys.modules.pop(name, None)


class _Finder(importlib.abc.MetaPathFinder):
    """Finds a model's own modules in the code that was read."""

    def __init__(self, code: ModelCode) -> None:
        self.code = code

    def find_spec(
        self, fullname: str, path: Sequence[str] | None, target: ModuleType | None = None
    ) -> importlib.machinery.ModuleSpec | None:
        module = self.code.modules.get(fullname)
        if module is None:
            return None
        spec = importlib.machinery.ModuleSpec(
            fullname,
            self.loader(fullname),
            origin=str(module.path),
            is_package=module.is_package,
        )
        spec.has_location = module.has_code
        return spec

    def loader(self, name: str) -> _Loader:
        """Return the loader of a module; that of the model file for any other name."""
        module = self.code.modules.get(name, Module(self.code.path, False))
        return _Loader(module, self.code.contents.get(module.path, b""))


class _Loader(importlib.abc.InspectLoader):
    """Runs the content of a file as it was read, even if the file has changed since."""

    def __init__(self, module: Module, content: bytes) -> None:
        self.module = module
        self.content = content

    def is_package(self, fullname: str) -> bool:
        return self.module.is_package

    def get_source(self, fullname: str) -> str:
        return importlib.util.decode_source(self.content)

    def get_code(self, fullname: str) -> CodeType:
        path, text = str(self.module.path), self.get_source(fullname)
        # AutoGraph and tracebacks also read the source. An entry without a time is never refreshed.
        linecache.cache[path] = (len(text), None, text.splitlines(keepends=True), path)
        code: CodeType = compile(self.content, path, "exec", dont_inherit=True)
        return code
