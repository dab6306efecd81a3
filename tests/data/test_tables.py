"""Promises of reading a table: common files are read; flaws are named by column and row."""

from __future__ import annotations

from dataclasses import replace
from decimal import Decimal

import numpy as np
import pandas as pd
import pytest

from gridloom.data.rows import MISSING
from gridloom.data.sources import Limits
from gridloom.data.split import settle
from gridloom.data.tables import read_table
from gridloom.errors import DataError
from gridloom.study.dataset import Dataset

GOOD = "id,a,b,target\n" + "\n".join(f"{i},{i % 7},{i * 0.5},{'xy'[i % 4 == 0]}" for i in range(40))


def read(tmp_path, text, test=None, more=None, format="csv", **changes):
    files = []
    for name, content in (("raw", text), ("raw_test", more)):
        if content is not None:
            path = tmp_path / f"{name}.{format}"
            path.write_bytes(content if isinstance(content, bytes) else content.encode())
            files.append(path)
    dataset = Dataset(source="x", **changes)
    return settled(read_table(files, format, dataset, test), dataset, format)


ANY = Dataset(source="x")


def settled(rows, dataset=ANY, format="parquet"):
    """Decide the kinds of columns by the training rows, by default all rows."""
    test = np.zeros(len(rows.target), bool) if rows.test is None else rows.test
    places = [np.flatnonzero(flags) for flags in (~test, test)]
    parts = settle(*map(rows.take, places), dataset, format)
    features = pd.concat([part.features for part in parts], ignore_index=True)
    features = features.iloc[np.argsort(np.concatenate(places))].reset_index(drop=True)
    return replace(rows, features=features, kinds=parts[0].kinds, dropped=parts[0].dropped)


def column(name, values, target=None):
    """Write a table of one column and a meaningless target."""
    labels = target or [f"{'xy'[i % 2]}" for i in range(len(values))]
    return "\n".join([f"{name},target", *(f"{v},{t}" for v, t in zip(values, labels, strict=True))])


def test_numbers_are_floats_and_the_target_is_text(tmp_path):
    rows = read(tmp_path, GOOD, drop=["id"])
    assert list(rows.features.columns) == ["a", "b"]
    assert set(rows.features.dtypes.astype(str)) == {"float64"}
    assert list(rows.target[:3]) == ["y", "x", "x"]


def test_columns_without_a_header_are_named_by_the_study_then_by_position(tmp_path):
    text = "1,2.5,0,M\n2,3.5,1,B\n3,1.5,1,M\n"
    rows = read(tmp_path, text, columns=["id", "a"], drop=["id"], target="4")
    assert list(rows.features.columns) == ["a", "3"]
    assert list(rows.target) == ["M", "B", "M"]


@pytest.mark.parametrize(
    ("text", "changes"),
    [
        ("a;b;target\n1,5;2;x\n2,5;3;y\n", {"separator": ";", "decimal": ","}),
        ("a\tb\ttarget\n1.5\t2\tx\n2.5\t3\ty\n", {"format": "tsv"}),
        ("a, b, target\n1.5, 2, x\n2.5, 3, y\n", {}),
        ("\ufeffa,b,target\n1.5,2,x\n2.5,3,y\n", {}),
        ("a,b,target\r\n1.5,2,x\r\n2.5,3,y\r\n", {}),
        ("a,b,target\n1.5,2,x\n2.5,3,y\n".encode("utf-16"), {"encoding": "utf-16"}),
        ('"a","b","target"\n"1.5","2","x"\n"2.5","3","y"\n', {}),
        ('\ufeff"a","b","target"\n"1.5","2","x"\n"2.5","3","y"\n', {}),
    ],
)
def test_different_spellings_of_a_table_read_alike(tmp_path, text, changes):
    rows = read(tmp_path, text, **changes)
    assert rows.features.to_dict("list") == {"a": [1.5, 2.5], "b": [2.0, 3.0]}
    assert list(rows.target) == ["x", "y"]


def test_an_empty_column_is_dropped_with_a_reason(tmp_path):
    rows = read(tmp_path, "a,target,\n1,x\n2,y\n")
    assert rows.dropped == {"3": "no value"}
    assert list(rows.features.columns) == ["a"]


def test_missing_values_of_numbers_and_texts_are_kept_as_such(tmp_path):
    text = "a,kind,target\n1,red,x\n?,,y\n3,blue,x\n"
    rows = read(tmp_path, text, missing=["?"])
    assert rows.features["a"].isna().tolist() == [False, True, False]
    assert rows.features["kind"].tolist() == ["red", MISSING, "blue"]


def test_columns_of_numbers_can_be_categories(tmp_path):
    rows = read(tmp_path, "zip,a,target\n10115,1,x\n,2,y\n20095,3,x\n", categorical=["zip"])
    assert rows.features["zip"].tolist() == ["10115", MISSING, "20095"]


def test_numbers_as_text_and_flags_with_gaps_are_categories(tmp_path):
    rows = read(tmp_path, "a,flag,target\n1,True,x\n2,,y\n3,False,x\n4,True,y\n")
    assert rows.features["flag"].tolist() == ["True", MISSING, "False", "True"]
    path = tmp_path / "raw.parquet"
    pd.DataFrame({"code": [*"1212"], "target": [*"xyxy"]}).to_parquet(path)
    rows = settled(read_table([path], "parquet", Dataset(source="x")))
    assert rows.features["code"].tolist() == [*"1212"]


def test_test_rows_are_given_by_a_file_or_a_column(tmp_path):
    rows = read(tmp_path, "a,target\n1,x\n2,y\n", more="target,a\nx,3\n")
    assert rows.test.tolist() == [False, False, True]
    assert rows.features["a"].tolist() == [1, 2, 3]
    text = "a,part,target\n1,train,x\n2,test,y\n3,train,y\n"
    rows = read(tmp_path, text, test=("part", "test"))
    assert rows.test.tolist() == [False, True, False]
    assert list(rows.features.columns) == ["a"]


FLOORS = "floor,target\n" + "\n".join([*("B,x", "G,y") * 5, "1,x", "2,y", "01,x", "1.0,y"]) + "\n"


def test_a_category_is_the_text_of_the_file_in_every_file(tmp_path):
    for changes in ({}, {"categorical": ["floor"]}):
        rows = read(tmp_path, FLOORS, more="floor,target\n1,x\n,y\n2,x\n", **changes)
        known = [*"BG" * 5, "1", "2", "01", "1.0"]
        assert rows.features["floor"].tolist() == [*known, "1", MISSING, "2"]
        assert rows.kinds == {"floor": "category"}


def test_groups_and_classes_are_the_text_of_the_file(tmp_path):
    text = "a,patient,target\n1,007,01\n2,A1,02\n3,7,02\n"
    rows = read(tmp_path, text, more="a,patient,target\n4,007,01\n", group="patient")
    assert rows.group.tolist() == ["007", "A1", "7", "007"]
    assert rows.target.tolist() == ["01", "02", "02", "01"]
    rows = read(tmp_path, "a,target\n1,0\n2,1\n", more="a,target\n3,1.0\n")
    assert rows.target.tolist() == ["0", "1", "1"]
    path = tmp_path / "raw.parquet"
    for target in ([*"xyx"], [*"121"], [True, False, True], [1.0, 2.0, 1.0]):
        for kind in (None, "category"):
            table = pd.DataFrame({"a": [1, 2, 3], "target": pd.Series(target, dtype=kind)})
            table.to_parquet(path)
            found = read_table([path], "parquet", ANY).target.tolist()
            assert found == [str(value).removesuffix(".0") for value in target]


def test_training_rows_alone_decide_the_kind_of_a_column(tmp_path):
    text = "a,flag,target\n1,true,x\n2,false,y\n"
    rows = read(tmp_path, text, more="a,flag,target\n,,x\n3,TRUE,y\n")
    assert rows.kinds == {"a": "number", "flag": "flag"}
    assert rows.features["flag"].tolist()[:2] == [1.0, 0.0]
    assert rows.features["flag"].isna().tolist() == [False, False, True, False]
    marked = "a,part,target\n1,fit,x\n2,fit,y\nB,late,x\n"
    with pytest.raises(DataError, match="holds 'B' among numbers in row 3; correct the file"):
        read(tmp_path, marked, test=("part", "late"))
    with pytest.raises(DataError, match="'flag' holds 'no' among true and false in row 1 of the"):
        read(tmp_path, text, more="a,flag,target\n1,no,x\n")


@pytest.mark.parametrize("more", [None, "a,target\n5,x\n"])
def test_numbers_beyond_64_bits_are_numbers(tmp_path, more):
    long = [f"12345678901234567890{i}" for i in range(60)]
    rows = read(tmp_path, column("a", long), more=more)
    assert rows.kinds == {"a": "number"}
    assert rows.features["a"][:60].tolist() == [float(number) for number in long]


def test_decimals_of_a_parquet_file_are_numbers(tmp_path):
    path = tmp_path / "raw.parquet"
    prices = [Decimal(i) / 4 for i in range(60)]
    pd.DataFrame({"price": prices, "target": [*"xy"] * 30}).to_parquet(path)
    rows = settled(read_table([path], "parquet", ANY))
    assert rows.kinds == {"price": "number"}
    assert rows.features["price"].tolist() == [i / 4 for i in range(60)]


def test_parquet_codes_that_differ_in_each_row_are_not_categories(tmp_path):
    path = tmp_path / "raw.parquet"
    codes = [f"12345678901234567890{i}" for i in range(60)]
    pd.DataFrame({"code": codes, "target": [*"xy"] * 30}).to_parquet(path)
    with pytest.raises(DataError, match="column 'code' holds 60 different texts"):
        settled(read_table([path], "parquet", ANY))


def test_test_rows_from_a_file_or_a_column_give_the_same_inputs(tmp_path):
    generator = np.random.default_rng(0)
    table = pd.DataFrame(
        {
            "floor": generator.choice([*"123B", ""], 80),
            "zip": generator.choice(["01067", "10115"], 80),
            "area": generator.normal(size=80),
            "part": ["fit"] * 60 + ["late"] * 20,
            "target": [*"xy"] * 40,
        }
    )
    table.loc[60:, "floor"] = generator.choice([*"123", ""], 20)
    changes = {"categorical": ["floor", "zip"]}
    one = read(tmp_path, table.to_csv(index=False), test=("part", "late"), **changes)
    parts = [table[table["part"] == part].drop(columns="part") for part in ("fit", "late")]
    first, second = (part.to_csv(index=False) for part in parts)
    two = read(tmp_path, first, more=second, **changes)
    pd.testing.assert_frame_equal(one.features, two.features)
    assert set(two.features["floor"][60:]) == {"1", "2", "3", MISSING}


def test_group_weight_and_order_are_not_features_and_rows_are_sorted(tmp_path):
    text = "a,day,patient,w,target\n1,2026-01-03,p,1,x\n2,2026-01-01,q,0.5,y\n3,2026-01-02,p,2,x\n"
    rows = read(tmp_path, text, order="day", weight="w", drop=["patient"])
    assert rows.features.to_dict("list") == {"a": [2, 3, 1]}
    assert rows.weight.tolist() == [0.5, 2, 1]
    assert rows.ordered
    rows = read(tmp_path, text, group="patient", drop=["day", "w"])
    assert rows.group.tolist() == ["p", "q", "p"]


def test_several_targets_are_columns_of_numbers(tmp_path):
    text = "a,u,v\n1,0,1\n2,1,1\n3,0,0\n"
    rows = read(tmp_path, text, task="multilabel", target=["u", "v"])
    assert rows.target.tolist() == [[0, 1], [1, 1], [0, 0]]
    rows = read(tmp_path, text, task="regression", target="v")
    assert rows.target.shape == (3, 1)


def test_parquet_keeps_its_types(tmp_path):
    path = tmp_path / "raw.parquet"
    table = {"a": [1, 2], "kind": pd.Categorical(["u", "v"]), "flag": [True, False]}
    pd.DataFrame({**table, "target": ["x", "y"]}).to_parquet(path)
    rows = settled(read_table([path], "parquet", Dataset(source="x")))
    assert rows.features["kind"].tolist() == ["u", "v"]
    assert rows.features["flag"].tolist() == [1.0, 0.0]
    path.write_bytes(b"a,b\n1,2\n")
    with pytest.raises(DataError, match="not a readable Parquet file"):
        read_table([path], "parquet", Dataset(source="x"))


@pytest.mark.parametrize(("value", "rows"), [(0.0, 4_000_000), ("long " * 2_000, 5_000)])
def test_a_small_parquet_file_that_takes_much_memory_is_refused(tmp_path, value, rows):
    path = tmp_path / "raw.parquet"
    pd.DataFrame({"a": [value] * rows, "target": np.resize([*"xy"], rows)}).to_parquet(path)
    assert path.stat().st_size < 2**20
    with pytest.raises(DataError, match=f"{rows:,} rows take .* raise limits.gib"):
        read_table([path], "parquet", ANY, limits=Limits(size=2**30 // 40))


MANY = [f"name {i}" for i in range(60)]

FLAWS = {
    "target not there": (GOOD, {"target": "Target"}, "column 'Target' (did you mean 'target'?)"),
    "all columns listed": (GOOD, {"target": "z"}, "the columns are 'id', 'a', 'b', 'target'"),
    "no header": ("1,2,x\n3,4,y\n", {}, "if the file has no header row, name columns in dataset"),
    "drop not there": (GOOD, {"drop": ["x1"]}, "dataset.drop: there is no column 'x1'"),
    "drop the target": (GOOD, {"drop": ["target"]}, "'target' is the target; keep it"),
    "drop all": (GOOD, {"drop": ["id", "a", "b"]}, "no column is left to predict from"),
    "group not there": (GOOD, {"group": "patient"}, "dataset.group: there is no column 'patient'"),
    "group is target": (GOOD, {"group": "target"}, "dataset.group: 'target' is the target"),
    "category not there": (GOOD, {"categorical": ["zip"]}, "dataset.categorical: there is no"),
    "too many names": (GOOD, {"columns": [*"abcde"]}, "names 5 columns, the file has 4"),
    "names twice": (GOOD, {"columns": ["a", "a"]}, "two columns are named 'a'"),
    "columns twice": ("a,a,target\n1,2,x\n3,4,y\n", {}, "two columns are named 'a'; rename one"),
    "a header taken for a row": (
        GOOD,
        {"columns": ["id", "a", "b", "target"]},
        "holds 'id' among numbers in row 1",
    ),
    "empty": ("", {}, "the file has no rows"),
    "header only": ("a,target\n", {}, "the file has no rows"),
    "one class": ("a,target\n1,x\n2,x\n", {}, "column 'target' has one class only, 'x'"),
    "infinite": (column("a", [1, "inf"]), {}, "column 'a' is infinite in row 2"),
    "too large": (column("a", [1, -2e39]), {}, "column 'a' holds -2e+39 in row 2, above 3e38"),
    "a slip": (
        column("a", [1, 2, "two"]),
        {},
        "holds 'two' among numbers in row 3; correct the file",
    ),
    "names": (column("a", MANY), {}, "holds 60 different texts, such as 'name 0'; add it to"),
    "decimal comma": (
        "a;target\n" + "\n".join(f"1,{i};{'xy'[i % 2]}" for i in range(60)),
        {"separator": ";"},
        "set dataset.decimal to ','",
    ),
    "thousands": (
        "a;target\n" + "\n".join(f"{1 + i},{i:03},000;{'xy'[i % 2]}" for i in range(60)),
        {"separator": ";"},
        "'1,000,000' in row 1; if ',' separates thousands, write the numbers of the file without "
        "it: 1000000",
    ),
    "thousands or decimals": (
        "a;target\n" + "\n".join(f"1,{i:03};{'xy'[i % 2]}" for i in range(60)),
        {"separator": ";"},
        "if ',' is the decimal sign, set dataset.decimal to ','; if ',' separates thousands, write",
    ),
    "thousands among numbers": (
        column("a", [900, 950, '"1,000"']),
        {},
        "holds '1,000' among numbers in row 3; if ',' is the decimal sign, set dataset.decimal to "
        "','; if ',' separates thousands, write the numbers of the file without it: 1000",
    ),
    "points for thousands": (
        "a;target\n" + "\n".join(f"1.{i:03},5;{'xy'[i % 2]}" for i in range(60)),
        {"separator": ";", "decimal": ","},
        "if '.' separates thousands, write the numbers of the file without it: 1000,5",
    ),
    "a decimal comma beside texts": (
        "a;target\n"
        + "\n".join(f"{f'1,{i}' if i % 9 else 'n/k'};{'xy'[i % 2]}" for i in range(60)),
        {"separator": ";"},
        "'1,1' in row 2; if ',' is the decimal sign, set dataset.decimal to ','; or add the column",
    ),
    "a decimal comma that repeats": (
        "a;target\n" + "\n".join(f"1,{i % 2};{'xy'[i % 2]}" for i in range(60)),
        {"separator": ";"},
        "'1,0' in row 1; if ',' is the decimal sign, set dataset.decimal to ','; or add the column",
    ),
    "a decimal comma to regress": (
        "a;target\n1;1,5\n2;2,25\n",
        {"separator": ";", "task": "regression"},
        "column 'target' holds '1,5' in row 1, a regression task needs numbers; if ',' is the",
    ),
    "a decimal comma to weigh": (
        "a;w;target\n1;0,5;x\n2;1,5;y\n",
        {"separator": ";", "weight": "w"},
        "found 0,5 in row 1; if ',' is the decimal sign, set dataset.decimal to ','",
    ),
    "target missing": ("a,target\n1,x\n2,\n", {}, "column 'target' is missing in row 2"),
    "group missing": (
        "a,g,target\n1,p,x\n2,,y\n",
        {"group": "g"},
        "column 'g' is missing in row 2",
    ),
    "fractions": ("a,target\n1,0.5\n2,1.5\n", {}, "holds fractions; set dataset.task to regressi"),
    "text to regress": (
        "a,target\n1,x\n2,y\n",
        {"task": "regression"},
        "regression task needs num",
    ),
    "a huge target": ("a,target\n1,1e39\n2,3\n", {"task": "regression"}, "values above 3e38"),
    "infinite target": ("a,target\n1,inf\n2,3\n", {"task": "regression"}, "holds infinite values"),
    "labels": (
        "a,u,v\n1,0,2\n2,1,1\n",
        {"task": "multilabel", "target": ["u", "v"]},
        "column 'v' holds 2; labels are 0 or 1",
    ),
    "weights": ("a,w,target\n1,-1,x\n2,1,y\n", {"weight": "w"}, "numbers of 0 or more, found -1"),
    "order": (
        "a,o,target\n1,2026-01-31,x\n2,1.2.2026,y\n",
        {"order": "o"},
        "neither numbers nor dates such as 2026-01-31, found '1.2.2026'; write the dates",
    ),
    "order with a gap": ("a,o,target\n1,,x\n2,1.2.2026,y\n", {"order": "o"}, "found '1.2.2026'"),
    "quotes": ('a,target\n1,"x\n2,y\n', {}, "not a readable table"),
    "ragged": ("a,target\n1,x\n2,y,3,4\n", {}, "Expected 2 fields in line 3, saw 4"),
    "encoding": ("a,target\n1,x\n".encode("utf-16"), {}, "dataset.encoding: the file is not utf-8"),
    "latin": ("a,target\n1,ä\n2,b\n".encode("latin-1"), {}, "such as latin-1"),
    "binary": (bytes(range(256)) * 4, {}, "dataset.encoding: the file is not utf-8 text"),
    "all missing": ("a,target\n,x\n,y\n", {}, "no column is left to predict from"),
    "separator": (
        "a;b;target\n1,5;2;x\n2,5;3;y\n",
        {},
        "the first row is a single column, 'a;b;target'; set dataset.separator to \";\"",
    ),
    "a tab": ("a\ttarget\n1\tx\n2\ty\n", {}, 'set dataset.separator to "\\t"'),
    "dates": (
        column("a", [f"{i % 28 + 1}.{i // 28 + 1}.2025" for i in range(60)]),
        {},
        "add it to dataset.drop, to dataset.order if the test rows are to be the latest, or to",
    ),
}


@pytest.mark.parametrize("name", FLAWS)
def test_each_flaw_of_a_table_is_named_with_its_remedy(tmp_path, name):
    text, changes, message = FLAWS[name]
    with pytest.raises(DataError) as caught:
        read(tmp_path, text, **changes)
    assert message in str(caught.value)


def test_flaws_of_the_test_rows_are_placed_in_their_file(tmp_path):
    with pytest.raises(DataError, match="among numbers in row 2 of the test file"):
        read(tmp_path, "a,target\n1,x\n2,y\n3,x\n", more="a,target\n1,x\ntwo,y\n")
    with pytest.raises(DataError, match="column 'b' is in one of the two files only"):
        read(tmp_path, "a,target\n1,x\n2,y\n", more="a,b,target\n1,1,x\n")
    with pytest.raises(DataError, match=r"no row has 'test' in column 'part'; its values are 'te'"):
        read(tmp_path, "a,part,target\n1,te,x\n2,te,y\n", test=("part", "test"))


def test_dates_and_numbers_sort_rows_and_ties_keep_their_order(tmp_path):
    text = "a,o,target\n0,2,x\n1,1,y\n2,2,x\n3,1,y\n"
    assert read(tmp_path, text, order="o").features["a"].tolist() == [1, 3, 0, 2]
    assert np.all(read(tmp_path, text, drop=["o"]).features["a"] == [0, 1, 2, 3])


def test_times_of_several_zones_sort_rows_as_moments(tmp_path):
    """As in a table of a year with summer time."""
    text = "a,o,target\n0,2026-10-25 02:30+01:00,x\n1,2026-10-25 02:45+02:00,y\n"
    assert read(tmp_path, text, order="o").features["a"].tolist() == [1, 0]


def test_all_columns_that_are_not_there_are_named_at_once(tmp_path):
    with pytest.raises(DataError) as raised:
        read(tmp_path, GOOD, target="taget", drop=["idd", "a"], weight="wight", categorical=["c"])
    assert [problem.split(" there")[0] for problem in raised.value.problems] == [
        "dataset.target:",
        "dataset.weight:",
        "dataset.drop:",
        "dataset.categorical:",
    ]
    assert str(raised.value).startswith("- dataset.target: there is no column 'taget' (did you")


def test_all_wrong_values_are_named_at_once_of_target_roles_and_features(tmp_path):
    text = "a,b,c,w,when,target\n" + "".join(
        f"{i},{i},x,{i},2026-01-{i:02},{i}\n" for i in range(1, 20)
    )
    text += "1o,inf,x,-1,soon,high\n"
    roles = {"task": "regression", "weight": "w", "order": "when"}
    with pytest.raises(DataError) as raised:
        read(tmp_path, text, **roles)
    found = "\n".join(raised.value.problems)
    for said in (
        "dataset.target: column 'target' holds 'high' in row 20",
        "dataset.weight: column 'w' must hold numbers of 0 or more, found -1 in row 20",
        "dataset.order: column 'when' holds neither numbers nor dates",
        "column 'a' holds '1o' among numbers in row 20",
        "column 'b' is infinite in row 20",
    ):
        assert said in found


def test_wrong_values_of_training_and_test_rows_are_named_at_once(tmp_path):
    text = "a,b,target\n" + "".join(f"{i},{i},{'xy'[i % 2]}\n" for i in range(20))
    with pytest.raises(DataError) as raised:
        read(tmp_path, text + "inf,1,x\n", more="a,b,target\n1,1e39,x\n")
    assert raised.value.problems == (
        "dataset: column 'a' is infinite in row 21; correct the file, or add 'inf' to "
        "dataset.missing if it means a missing value",
        "dataset: column 'b' holds 1e+39 in row 1 of the test file, above 3e38, the largest number "
        "that a network computes with; correct or rescale it",
    )


def test_a_missing_value_of_a_role_is_reported_once(tmp_path):
    with pytest.raises(DataError) as raised:
        read(tmp_path, "a,w,target\n1,1,x\n2,,\n3,1,y\n", weight="w")
    assert raised.value.problems == (
        "dataset: column 'target' is missing in row 2; correct the file",
        "dataset: column 'w' is missing in row 2; correct the file",
    )
