"""From an NPZ file, as Keras ships its data sets, to checked rows."""

from __future__ import annotations

import zipfile
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from gridloom.data.rows import LARGEST, Rows, texts
from gridloom.data.sources import LIMITS, Limits
from gridloom.errors import DataError, Problems, nearest
from gridloom.study.dataset import Dataset


def read_arrays(files: Sequence[Path], dataset: Dataset, limits: Limits = LIMITS) -> Rows:
    """Read `x` and `y`, or `x_train`, `y_train`, and `x_test`, `y_test` if they exist.

    Shapes are kept: images (rows, height, width, channels), sequences (rows, steps, features),
    tokens (rows, steps), tables (rows, features). `dataset.weight`, `dataset.group` and
    `dataset.order` name further arrays with one number or text for each row. Their names end in
    `_train` and `_test` if that of x does.

    Raises
    ------
    DataError
        Which names the array and the remedy.
    """
    first = load_arrays(files[0], limits)
    train = _part(first, "train", dataset)
    parts = [train]
    if len(files) == 2:
        parts.append(_part(load_arrays(files[1], limits), "test", dataset))
        if "x_test" in first:
            raise DataError("dataset.test_source: the first file has x_test already; keep one")
    elif "x_test" in first:
        parts.append(_part(first, "test", dataset))
    for name, one, other in zip("xy", train[:2], parts[-1][:2], strict=True):
        if one.shape[1:] != other.shape[1:]:
            raise DataError(
                f"dataset.source: {name} has the shape {one.shape} in the training rows and "
                f"{other.shape} in the test rows"
            )
    x, y, weight, group, order = (
        None if arrays[0] is None else np.concatenate(arrays) for arrays in zip(*parts, strict=True)
    )
    assert x is not None
    assert y is not None
    if weight is not None and not (weight >= 0).all():
        raise DataError("dataset.weight: must hold numbers of 0 or more")
    rows = Rows(
        x,
        _target(y, dataset.task),
        weight=None if weight is None else weight.astype(np.float32),
        group=None if group is None else texts(group),
        ordered=order is not None,
        test=np.arange(len(x)) >= len(train[0]) if len(parts) > 1 else None,
        dtype=train[0].dtype,
    )
    return rows if order is None else rows.take(np.argsort(order, kind="stable"))


def load_arrays(path: Path, limits: Limits = LIMITS) -> dict[str, np.ndarray]:
    """Read an NPZ file, without pickles.

    Raises
    ------
    DataError
        If it cannot be read, or is too large.
    """
    try:
        with zipfile.ZipFile(path) as archive:
            size = sum(entry.file_size for entry in archive.infolist())
        if size > limits.size:
            raise DataError(
                f"dataset.source: its arrays take {size / 2**30:.3g} GiB of memory, more than "
                f"{limits.shown}"
            )
        with np.load(path, allow_pickle=False) as archive:
            return {name: archive[name] for name in archive.files}
    except (zipfile.BadZipFile, EOFError):
        raise DataError("dataset.source: not a readable NPZ file; save it by numpy.savez") from None
    except ValueError as error:
        if "pickle" not in str(error).lower():
            raise DataError(f"dataset.source: not a readable NPZ file ({error})") from None
        # A pickle runs code when it is read.
        raise DataError(
            "dataset.source: an array holds Python objects; save plain numbers, with sequences "
            "padded to one length"
        ) from None


def _part(arrays: Mapping[str, np.ndarray], part: str, dataset: Dataset) -> tuple[Any, ...]:
    """Return x, y, weight, group and order of the training or the test part."""
    ending = f"_{part}" if f"x_{part}" in arrays else ""
    names = [f"x{ending}", f"y{ending}"]
    for role in ("weight", "group", "order"):
        name = getattr(dataset, role)
        names.append("" if name is None else f"{name}{ending}")
    keys = ("source", "source", "weight", "group", "order")
    missing = []
    for key, name in zip(keys, names, strict=True):
        if name and name not in arrays:
            hint = nearest(name, arrays) or "; there are " + (", ".join(arrays) or "none")
            missing.append(f"dataset.{key}: there is no array {name!r}{hint}")
    if missing:
        raise DataError(*missing)
    found = [arrays[name] if name else None for name in names]
    x = arrays[names[0]]
    problems = Problems()
    for place, (key, name) in enumerate(zip(keys, names, strict=True)):
        array = found[place]
        if array is None:
            continue
        with problems.noted():
            if place >= 2:
                found[place] = array = _of_rows(array, key, name)
            if not array.shape or len(array) != len(x):
                raise DataError(
                    f"dataset.source: {name} has {array.shape[0] if array.shape else 'no'} rows, "
                    f"{names[0]} has {len(x)}"
                )
    with problems.noted():
        check_features(names[0], x)
    problems.settle()
    return tuple(found)


def _of_rows(array: np.ndarray, key: str, name: str) -> np.ndarray:
    """Return the array of a role as one value for each row, shape (rows,)."""
    if array.ndim == 2 and array.shape[1] == 1:
        array = array[:, 0]
    if array.ndim != 1:
        raise DataError(
            f"dataset.{key}: {name} must have one value for each row, has {array.shape}"
        )
    numeric = array.dtype.kind in "biuf"
    if key == "weight" and not numeric:
        raise DataError(f"dataset.weight: {name} must hold numbers, holds {array.dtype}")
    if numeric and not np.isfinite(array).all():
        raise DataError(f"dataset.{key}: {name} is missing or infinite in some rows")
    return array


def check_features(name: str, x: np.ndarray) -> None:
    """Check that an array holds rows of finite numbers.

    Raises
    ------
    DataError
        If it does not.
    """
    if x.ndim < 2:
        raise DataError(f"dataset.source: {name} must have the shape (rows, …), has {x.shape}")
    if not len(x):
        raise DataError(f"dataset.source: {name} has no rows")
    if x.dtype.kind not in "biuf":
        raise DataError(f"dataset.source: {name} must hold numbers, holds {x.dtype}")
    if x.dtype.kind == "f" and not np.isfinite(x).all():
        row = int(np.argmax(~np.isfinite(x).reshape(len(x), -1).all(axis=1)))
        raise DataError(
            f"dataset.source: {name} is missing or infinite in row {row + 1}; correct it"
        )
    if x.dtype.kind == "f" and x.size and max(x.max(), -x.min()) > LARGEST:
        raise DataError(
            f"dataset.source: {name} holds numbers above 3e38, the largest that a network computes "
            "with; correct or rescale them"
        )


def _target(y: np.ndarray, task: str) -> np.ndarray:
    if task == "classification":
        if y.ndim == 2 and y.shape[1] == 1:
            y = y[:, 0]
        if y.ndim != 1:
            raise DataError(
                f"dataset.source: y has the shape {y.shape}; give one class for each row, or set "
                "dataset.task to multilabel"
            )
        if y.dtype.kind == "f":
            if not np.isfinite(y).all():
                raise DataError("dataset.source: y is missing or infinite in some rows")
            if (y % 1 != 0).any():
                raise DataError("dataset.source: y holds fractions; set dataset.task to regression")
            y = y.astype(np.int64)
        labels = texts(y)
        if len(np.unique(labels)) < 2:
            raise DataError(f"dataset.source: y has one class only, {labels[0]!r}")
        return labels
    if y.ndim > 2 or y.dtype.kind not in "biuf":
        raise DataError(
            f"dataset.source: y must hold numbers of the shape (rows, targets), has {y.shape}"
        )
    y = y.astype(np.float32)
    if not np.isfinite(y).all():
        raise DataError(
            "dataset.source: y is missing, infinite or above 3e38 in some rows; correct or rescale "
            "it"
        )
    if task == "multilabel" and not np.isin(y, (0, 1)).all():
        raise DataError("dataset.source: y must hold 0 or 1 for each label")
    return y.reshape(len(y), -1)
