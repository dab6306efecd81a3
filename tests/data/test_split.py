"""Promises of the split: it is stratified, seeded and described, and keeps given test rows."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest
from sklearn.datasets import load_breast_cancer

from gridloom.data.description import SplitDescription
from gridloom.data.rows import MISSING, Rows, read_rows
from gridloom.data.sources import download
from gridloom.data.split import (
    describe_dropped,
    describe_split,
    read_raw,
    settle,
    split_rows,
    write_split,
)
from gridloom.errors import DataError
from gridloom.study.dataset import Dataset, Split

DATASET = Dataset(source="x")


def rows_of(labels, **columns):
    features = pd.DataFrame(columns or {"a": np.arange(len(labels), dtype=float)})
    return Rows(features, np.array(list(labels), dtype=object))


def split(rows, dataset=DATASET, **settings):
    return split_rows(rows, dataset, Split(**settings))


def test_the_split_keeps_the_classes_shares_and_every_row_once():
    train, test = split(rows_of("xxxy" * 10), test=0.25)
    places = [*train.features["a"], *test.features["a"]]
    assert sorted(places) == list(range(40))
    assert list(train.features["a"]) == sorted(train.features["a"])
    assert len(test.target) == 10
    assert abs((test.target == "y").mean() - 0.25) <= 0.05


def test_the_seed_and_nothing_else_decides_the_split():
    rows = rows_of("xxxy" * 10)
    one, again, other = (split(rows, seed=seed)[1].features["a"] for seed in (0, 0, 1))
    assert list(one) == list(again)
    assert list(one) != list(other)


def test_given_test_rows_are_kept_and_need_known_classes():
    rows = rows_of("xyxyx")
    given = Rows(rows.features, rows.target, test=np.array([0, 0, 0, 1, 1], dtype=bool))
    train, test = split(given)
    assert train.features["a"].tolist() == [0, 1, 2]
    assert test.features["a"].tolist() == [3, 4]
    lone = Rows(rows.features, np.array([*"xyxyz"], dtype=object), test=given.test)
    with pytest.raises(DataError, match="class 'z' is in the test rows only"):
        split(lone)


def test_no_group_is_on_both_sides_of_given_test_rows():
    rows = rows_of("xyxyx")
    test = np.array([0, 0, 0, 1, 1], dtype=bool)
    with pytest.raises(DataError, match="'q' is in the training rows and in the given test rows"):
        split(Rows(rows.features, rows.target, group=np.array([*"ppqqr"], dtype=object), test=test))


def test_the_description_lists_columns_categories_and_dropped_columns():
    rows = rows_of(
        "xy" * 20,
        a=np.where(np.arange(40) == 3, np.nan, np.arange(40.0)),
        kind=np.array(["red", "blue", MISSING, "red"] * 10, dtype=object),
        size=np.array(["10", "9"] * 20, dtype=object),
        same=np.ones(40),
    )
    train, test = split(rows)
    description = describe_split(train, test, DATASET)
    assert description.numeric == ["a"]
    assert description.categorical == {"kind": [MISSING, "blue", "red"], "size": ["9", "10"]}
    assert description.dropped == {"same": "one value in all training rows"}
    assert description.classes == ["x", "y"]
    assert description.rows == {"train": 32, "test": 8}
    assert description.train_sha256 != description.test_sha256
    assert describe_dropped(description) == (
        "Left out of the features: same (one value in all training rows)"
    )


def test_columns_take_the_shape_of_images(tmp_path):
    lines = [",".join(map(str, [*range(i, i + 6), "xy"[i % 2]])) for i in range(8)]
    (tmp_path / "raw.csv").write_text("\n".join(["a,b,c,d,e,f,target", *lines]))

    def read(**settings):
        dataset = Dataset(source="x", **settings)
        rows = read_raw([tmp_path / "raw.csv"], "csv", dataset, Split())
        return settle(*split(rows, dataset), dataset, "csv")

    train, test = read(shape=[2, 3, 1])
    assert train.features.shape[1:] == test.features.shape[1:] == (2, 3, 1)
    assert len(train.features) + len(test.features) == 8
    assert train.features.dtype == np.uint8
    first = int(train.features[0, 0, 0, 0])
    assert train.features[0].ravel().tolist() == list(range(first, first + 6))
    description = describe_split(train, test, DATASET)
    assert description.shape == [2, 3, 1]
    assert description.columns == [*"abcdef"]
    with pytest.raises(DataError, match=r"dataset\.shape: \[4\] has 4 numbers, a row has 6"):
        read(shape=[4])


def test_test_rows_do_not_change_the_kinds_of_columns(tmp_path):
    pixels = np.arange(8 * 4, dtype=np.uint8).reshape(8, 2, 2)
    later = np.where(np.arange(8).reshape(2, 2, 2) == 3, 0.5, pixels[:2])
    target = np.array([*"xy"] * 4)
    arrays = {"x_train": pixels, "y_train": target, "y_test": target[:2]}
    lines = [
        ",".join([*map(str, row.ravel()), t, "fit"]) for row, t in zip(pixels, target, strict=True)
    ]
    dataset = Dataset(source="x", shape=[2, 2])
    for test in (pixels[:2], later):
        np.savez(tmp_path / "raw.npz", x_test=test, **arrays)
        rows = read_raw([tmp_path / "raw.npz"], "npz", dataset, Split())
        train, held = settle(*split_rows(rows, dataset, Split()), dataset, "npz")
        assert train.features.dtype == np.uint8
        assert (train.features == pixels).all()
        assert (held.features == test).all()
        more = [
            ",".join([*map(str, row.ravel()), t, "late"])
            for row, t in zip(test, target[:2], strict=True)
        ]
        (tmp_path / "raw.csv").write_text("\n".join(["a,b,c,d,target,part", *lines, *more]))
        marked = Split(column="part", test_value="late")
        rows = read_raw([tmp_path / "raw.csv"], "csv", dataset, marked)
        train, held = settle(*split_rows(rows, dataset, marked), dataset, "csv")
        assert train.features.dtype == np.uint8
        assert (held.features == test).all()


def test_the_kind_of_each_column_is_noted(tmp_path):
    text = "\n".join(f"{i},{'uv'[i % 2]},p{i // 2},1,{'xy'[i // 2 % 2]}" for i in range(40))
    (tmp_path / "raw.csv").write_text("a,kind,patient,w,target\n" + text)
    dataset = Dataset(source="x", group="patient", weight="w")
    rows = read_raw([tmp_path / "raw.csv"], "csv", dataset, Split())
    parts = settle(*split(rows, dataset), dataset, "csv")
    assert describe_split(*parts, dataset).reading == {
        "a": "number",
        "kind": "category",
        "target": "target",
        "patient": "group",
        "w": "weight",
    }


def test_classes_that_are_numbers_sort_by_size():
    train, test = split(rows_of([str(i % 11) for i in range(110)]))
    assert describe_split(train, test, DATASET).classes == [str(i) for i in range(11)]


def test_rows_read_back_as_they_were_written(tmp_path):
    rows = Rows(
        pd.DataFrame({"a": [1.0, np.nan, 3.0, 4.0], "kind": ["u", MISSING, "v", "u"]}),
        np.array([*"xyxy"], dtype=object),
        weight=np.array([1, 2, 3, 4], np.float32),
        group=np.array([*"ppqq"], dtype=object),
    )
    description = SplitDescription(numeric=["a"], categorical={"kind": ["u", "v"]})
    for part, ending in ((rows, "parquet"), (_as_arrays(rows), "npz")):
        files = {name: tmp_path / f"{name}.{ending}" for name in ("train_file", "test_file")}
        write_split(part, part, description, description_file=tmp_path / "split.json", **files)
        read = read_rows(files["train_file"])
        assert np.array_equal(np.asarray(read.features, str), np.asarray(part.features, str))
        assert read.target.tolist() == part.target.tolist()
        assert read.weight.tolist() == [1, 2, 3, 4]
        assert read.group.tolist() == [*"ppqq"]
    assert SplitDescription.read(tmp_path / "split.json") == description


def _as_arrays(rows):
    return Rows(np.ones((4, 2, 2)), rows.target, rows.weight, rows.group)


@pytest.mark.parametrize(
    ("labels", "columns", "message"),
    [
        ("xxxxyyyyz", {}, "class 'z' has one row only; leave it out, or add rows, or set split"),
        ("xxyyzzww", {}, r"split\.test: 0\.2 of 8 rows: 2 rows to hold out are too few for 4 cl"),
        ("xyxyxyxy", {"a": np.ones(8)}, "no column varies"),
    ],
)
def test_rows_that_cannot_be_split_are_refused(labels, columns, message):
    with pytest.raises(DataError, match=message):
        train, test = split(rows_of(labels, **columns))
        describe_split(train, test, DATASET)


@pytest.fixture(scope="module")
def layouts(tmp_path_factory):
    """Write the breast cancer data as UCI and Kaggle publish it."""
    folder = tmp_path_factory.mktemp("layouts")
    bunch = load_breast_cancer()
    lines = [
        ",".join([str(8_000_000 + 7 * place), "MB"[label], *map(repr, map(float, row))])
        for place, (row, label) in enumerate(zip(bunch.data, bunch.target, strict=True))
    ]
    (folder / "wdbc.data").write_text("\n".join(lines) + "\n")
    names = [name.replace(" ", "_") for name in bunch.feature_names]
    header = ",".join(f'"{name}"' for name in ["id", "diagnosis", *names]) + ","
    (folder / "data.csv").write_text("\n".join([header, *lines]) + "\n")
    return folder


LAYOUTS = {
    "UCI": {
        "source": "wdbc.data",
        "columns": ["id", "diagnosis"],
        "target": "diagnosis",
        "drop": ["id"],
    },
    "Kaggle": {"source": "data.csv", "target": "diagnosis", "drop": ["id"]},
}


@pytest.mark.parametrize("name", LAYOUTS)
def test_the_published_files_give_the_same_split_as_the_builtin_set(layouts, tmp_path, name):
    def parts(dataset, source):
        download(source, format="csv", table=tmp_path / "raw.csv")
        rows = read_raw([tmp_path / "raw.csv"], "csv", dataset, Split())
        train, test = settle(*split(rows, dataset), dataset, "csv")
        return train, test, describe_split(train, test, dataset)

    builtin = Dataset(source="builtin:breast_cancer")
    expected = parts(builtin, builtin.source)
    found = parts(Dataset(**LAYOUTS[name]), str(layouts / LAYOUTS[name]["source"]))
    for one, other in zip(expected[:2], found[:2], strict=True):
        used = found[2].numeric
        assert len(used) == 30
        assert np.array_equal(one.features.to_numpy(), other.features[used].to_numpy())
        assert [label[0].upper() for label in one.target] == other.target.tolist()
    if name == "Kaggle":
        assert found[2].dropped == {"33": "no value"}
