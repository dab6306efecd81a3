"""Promises of reading NPZ files: shapes and given test rows are kept, nothing is unpickled."""

from __future__ import annotations

import numpy as np
import pytest

from gridloom.data.arrays import read_arrays
from gridloom.data.sources import Limits
from gridloom.errors import DataError
from gridloom.study.dataset import Dataset

X = np.arange(6 * 4 * 4, dtype=np.uint8).reshape(6, 4, 4)
Y = np.array([0, 1, 0, 1, 2, 2])


def read(tmp_path, more=None, dataset=None, **content):
    files = []
    for name, part in (("raw", content), ("raw_test", more)):
        if part is not None:
            files.append(tmp_path / f"{name}.npz")
            np.savez(files[-1], **part)
    return read_arrays(files, Dataset(source="x.npz", **(dataset or {})))


def test_images_keep_their_shape_and_classes_are_text(tmp_path):
    rows = read(tmp_path, x=X, y=Y[:, None])
    assert rows.features.shape == (6, 4, 4)
    assert rows.features.dtype == np.uint8
    assert rows.target.tolist() == ["0", "1", "0", "1", "2", "2"]
    assert rows.test is None


def test_test_arrays_are_the_test_rows(tmp_path):
    rows = read(tmp_path, x_train=X[:4], y_train=Y[:4], x_test=X[4:], y_test=Y[4:])
    assert rows.test.tolist() == [False] * 4 + [True] * 2
    twice = {"x_train": X[:4], "y_train": Y[:4], "x_test": X, "y_test": Y}
    with pytest.raises(DataError, match="the first file has x_test already"):
        read(tmp_path, **twice, more={"x": X[4:], "y": Y[4:]})
    rows = read(tmp_path, x=X[:4], y=Y[:4], more={"x": X[4:], "y": Y[4:]})
    assert rows.test.tolist() == [False] * 4 + [True] * 2


def test_targets_of_other_tasks_are_columns_of_numbers(tmp_path):
    labels = np.array([[0, 1], [1, 1]] * 3)
    rows = read(tmp_path, x=X, y=labels, dataset={"task": "multilabel"})
    assert rows.target.tolist() == labels.tolist()
    rows = read(tmp_path, x=X, y=Y * 0.5, dataset={"task": "regression"})
    assert rows.target.shape == (6, 1)


def test_weights_groups_and_order_are_arrays_of_the_file(tmp_path):
    extra = {"w": np.ones(6), "g": np.array([*"aabbcc"]), "t": np.arange(6)[::-1]}
    rows = read(tmp_path, x=X, y=Y, **extra, dataset={"weight": "w", "group": "g"})
    assert rows.group.tolist() == [*"aabbcc"]
    assert rows.weight.tolist() == [1] * 6
    extra["t"] = extra["t"][:, None]
    rows = read(tmp_path, x=X, y=Y, **extra, dataset={"order": "t"})
    assert rows.ordered
    assert (rows.features == X[::-1]).all()


FLAWS = {
    "no x": ({"a": X, "y": Y}, {}, "there is no array 'x'; there are a, y"),
    "near": ({"x_trian": X, "y": Y}, {}, "there is no array 'x'"),
    "no y": ({"x": X}, {}, "there is no array 'y'"),
    "rows": ({"x": X, "y": Y[:5]}, {}, "y has 5 rows, x has 6"),
    "empty": ({"x": X[:0], "y": Y[:0]}, {}, "x has no rows"),
    "flat": ({"x": Y, "y": Y}, {}, "must have the shape (rows, …), has (6,)"),
    "text": ({"x": np.array([["a"]] * 6), "y": Y}, {}, "must hold numbers, holds <U1"),
    "nan": ({"x": np.where(X == 20, np.nan, X), "y": Y}, {}, "missing or infinite in row 2"),
    "too large": ({"x": X * 1e300, "y": Y}, {}, "x holds numbers above 3e38"),
    "one class": ({"x": X, "y": Y * 0}, {}, "y has one class only, '0'"),
    "fractions": ({"x": X, "y": Y + 0.5}, {}, "set dataset.task to regression"),
    "one-hot": ({"x": X, "y": np.eye(6)}, {}, "set dataset.task to multilabel"),
    "labels": ({"x": X, "y": Y}, {"task": "multilabel"}, "y must hold 0 or 1 for each label"),
    "infinite": (
        {"x": X, "y": np.full(6, np.inf)},
        {"task": "regression"},
        "y is missing, infinite or above 3e38",
    ),
    "weights": ({"x": X, "y": Y, "w": -Y}, {"weight": "w"}, "must hold numbers of 0 or more"),
    "wide weights": (
        {"x": X, "y": Y, "w": X[:, 0]},
        {"weight": "w"},
        "one value for each row, has (6, 4)",
    ),
    "text weights": ({"x": X, "y": Y, "w": Y.astype(str)}, {"weight": "w"}, "w must hold numbers"),
    "no order": ({"x": X, "y": Y, "t": np.full(6, np.nan)}, {"order": "t"}, "t is missing"),
    "no class": ({"x": X, "y": np.full(6, np.nan)}, {}, "y is missing or infinite in some rows"),
    "no weights": ({"x": X, "y": Y}, {"weight": "w"}, "dataset.weight: there is no array 'w'"),
    "shapes": (
        {"x_train": X, "y_train": Y, "x_test": X[:, :2], "y_test": Y},
        {},
        "x has the shape (6, 4, 4) in the training rows and (6, 2, 4) in the test rows",
    ),
}


@pytest.mark.parametrize("name", FLAWS)
def test_each_flaw_of_arrays_is_named(tmp_path, name):
    content, dataset, message = FLAWS[name]
    with pytest.raises(DataError) as caught:
        read(tmp_path, dataset=dataset, **content)
    assert message in str(caught.value)


def test_a_pickle_is_never_loaded(tmp_path):
    marker = tmp_path / "ran"

    class Trap:
        def __reduce__(self):
            return (marker.touch, ())

    ragged = np.array([Trap()] * 6, dtype=object)
    with pytest.raises(DataError, match="holds Python objects; save plain numbers"):
        read(tmp_path, x=ragged, y=Y)
    assert not marker.exists()


def test_a_broken_or_too_large_npz_file_is_refused(tmp_path):
    path = tmp_path / "raw.npz"
    path.write_bytes(b"no zip at all")
    with pytest.raises(DataError, match="not a readable NPZ file"):
        read_arrays([path], Dataset(source="x.npz"))
    np.savez(path, x=X, y=Y)
    with pytest.raises(DataError, match=r"GiB of memory, more than .* raise limits\.gib"):
        read_arrays([path], Dataset(source="x.npz"), Limits(size=10))
