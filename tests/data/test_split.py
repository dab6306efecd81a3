"""Promises of the split: stratified, seeded, and only tables that a network can learn from."""

from __future__ import annotations

import pandas as pd
import pytest

from gridloom.data.split import describe_split, read_table, split_rows
from gridloom.errors import DataError

GOOD = "id,a,b,target\n" + "\n".join(f"{i},{i % 7},{i * 0.5},{'xy'[i % 4 == 0]}" for i in range(40))


def read(tmp_path, text, **changes):
    path = tmp_path / "raw.csv"
    path.write_bytes(text if isinstance(text, bytes) else text.encode())
    options = {"target": "target", "task": "classification", "drop": [], "columns": None}
    return read_table(path, **{**options, **changes})


def split(table, **changes):
    options = {"target": "target", "task": "classification", "test": 0.25, "stratify": True}
    return split_rows(table, **{**options, "seed": 0, **changes})


def test_features_are_floats_and_the_target_stands_last(tmp_path):
    table = read(tmp_path, GOOD, drop=["id"])
    assert list(table.columns) == ["a", "b", "target"]
    assert list(map(str, table.dtypes[:2])) == ["float64", "float64"]


def test_a_file_without_a_header_gets_the_names_of_the_study(tmp_path):
    text = "1,2.5,M\n2,3.5,B\n3,1.5,M\n"
    table = read(tmp_path, text, columns=["id", "a", "target"], drop=["id"])
    assert table.shape == (3, 2)
    assert list(table["target"]) == ["M", "B", "M"]


def test_the_split_keeps_the_classes_shares_and_every_row_once(tmp_path):
    table = read(tmp_path, GOOD, drop=["b"])
    train, test = split(table)
    assert sorted([*train["id"], *test["id"]]) == list(range(40))
    assert list(train["id"]) == sorted(train["id"])
    assert test["target"].value_counts().to_dict() == {"x": 7, "y": 3} or len(test) == 10
    assert abs((test["target"] == "y").mean() - 0.25) <= 0.05


def test_the_seed_and_nothing_else_decides_the_split(tmp_path):
    table = read(tmp_path, GOOD)
    assert split(table)[1].equals(split(table)[1])
    assert not split(table)[1].equals(split(table, seed=1)[1])


def test_the_description_names_features_classes_and_sums(tmp_path):
    train, test = split(read(tmp_path, GOOD, drop=["id"]))
    told = describe_split(train, test, "target", "classification")
    assert told["features"] == ["a", "b"]
    assert told["classes"] == ["x", "y"]
    assert told["rows"] == {"train": 30, "test": 10}
    assert told["train_sha256"] != told["test_sha256"]


def test_classes_that_are_numbers_sort_by_size(tmp_path):
    text = "a,target\n" + "\n".join(f"{i},{i % 11}" for i in range(110))
    table = read(tmp_path, text)
    train, test = split(table)
    assert describe_split(train, test, "target", "classification")["classes"] == [
        str(number) for number in range(11)
    ]


@pytest.mark.parametrize(
    ("text", "changes", "told"),
    [
        (GOOD, {"target": "Target"}, "there is no column 'Target' (did you mean 'target'?)"),
        (GOOD, {"target": "zzz"}, "the columns are 'id', 'a', 'b', 'target'"),
        (GOOD, {"drop": ["x1"]}, "dataset.drop: there is no column 'x1'"),
        (GOOD, {"drop": ["target"]}, "'target' is the target; keep it"),
        (GOOD, {"drop": ["id", "a", "b"]}, "no column is left to predict from"),
        (GOOD, {"columns": ["a", "a", "c", "target"]}, "dataset.columns"),
        ("a,target\n", {}, "the file has no rows"),
        ("a,target\n1,x\n2,x\n", {}, "column 'target' has one class only"),
        ("a,target\n1,x\n,y\n", {}, "column 'a' is missing in row 2"),
        ("a,target\n1,x\ninf,y\n", {}, "column 'a' is infinite in row 2"),
        ("a,target\n1,x\ntwo,y\n", {}, "column 'a' holds text ('two'); add it to dataset.drop"),
        ("a,target\n1,x\n2,\n", {}, "column 'target' is missing in row 2"),
        ("a,target\n1,0.5\n2,1.5\n", {}, "holds fractions; set dataset.task to regression"),
        ("a,target\n1,x\n2,y\n", {"task": "regression"}, "holds text; a regression needs numbers"),
        ('a,target\n1,"x\n2,y\n', {}, "not a readable CSV file"),
        ("a,target\n1,x\n".encode("utf-16"), {}, "is not UTF-8 text"),
    ],
)
def test_each_flaw_of_a_table_is_named_with_its_remedy(tmp_path, text, changes, told):
    with pytest.raises(DataError) as caught:
        read(tmp_path, text, **changes)
    assert told in str(caught.value)


def test_a_class_with_one_row_cannot_be_stratified():
    table = pd.DataFrame({"a": [1.0] * 9, "target": [*"xxxxyyyyz"]})
    with pytest.raises(DataError, match="class 'z' has one row only"):
        split(table)


def test_a_test_part_too_small_for_the_classes_is_told():
    table = pd.DataFrame({"a": [1.0] * 8, "target": [*"xxyyzzww"]})
    with pytest.raises(DataError, match=r"split\.test: 0\.25 of 8 rows"):
        split(table)
