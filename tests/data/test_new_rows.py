"""Promises of new rows: they are read like the study's rows, or refused with one message."""

from __future__ import annotations

import gzip
import zipfile

import numpy as np
import pandas as pd
import pytest

from gridloom.data.description import SplitDescription
from gridloom.data.new_rows import describe_unknown, read_new_rows
from gridloom.errors import DataError
from gridloom.study.dataset import Dataset

DATASET = Dataset(source="mine.csv", target="sold", drop=["id"], missing=["?"], separator=";")
TABLE = SplitDescription(
    numeric=["area", "rooms"],
    incomplete=["area"],
    categorical={"floor": ["1", "2"], "town": ["Bern", "Köln"]},
)


def read(tmp_path, text, dataset=DATASET, description=TABLE, name="new.csv"):
    path = tmp_path / name
    path.write_text(text, encoding="utf-8")
    return read_new_rows(path, dataset, description).features


def test_columns_are_found_by_name_and_others_are_ignored(tmp_path):
    rows = read(tmp_path, "town;floor;rooms;area;note\nKöln;2;3;?;x\nBern;1;2;50;y\n")
    assert rows["area"].isna().tolist() == [True, False]
    assert rows["rooms"].tolist() == [3, 2]
    assert rows["floor"].tolist() == ["2", "1"]
    assert describe_unknown(rows, TABLE) is None


def test_categories_of_whole_numbers_are_known_beside_a_missing_value(tmp_path):
    rows = read(tmp_path, "town;floor;rooms;area\nKöln;2;3;4\nBern;?;2;50\n")
    assert rows["floor"].tolist() == ["2", "(missing)"]
    assert describe_unknown(rows, TABLE) == (
        "column 'floor': 1 rows hold a category that no training row had, such as a missing "
        "value; it is treated as none of the known categories"
    )


def test_new_rows_are_read_as_the_training_rows_were(tmp_path):
    layout = SplitDescription(
        numeric=["lift"],
        categorical={"zip": ["01067", "10115"]},
        reading={"lift": "flag", "zip": "category"},
    )
    rows = read(tmp_path, "zip;lift\n01067;true\n?;\n", description=layout)
    assert rows["zip"].tolist() == ["01067", "(missing)"]
    assert rows["lift"].tolist()[:1] == [1]
    with pytest.raises(DataError, match="'lift' holds '2' in row 1, where the study had true or"):
        read(tmp_path, "zip;lift\n01067;2\n", description=layout)


def test_values_that_no_training_row_had_are_reported(tmp_path):
    message = describe_unknown(
        read(tmp_path, "town;floor;rooms;area\nRom;2;?;4\nOslo;1;2;?\n"), TABLE
    )
    assert message.splitlines() == [
        "column 'town': 2 rows hold a category that no training row had, such as 'Rom'; it is "
        "treated as none of the known categories",
        "column 'rooms': missing in 1 rows, but in no training row; the median is used",
    ]


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("town;flor;rooms;area\nBern;1;2;3\n", "there is no column 'floor' (did you mean 'flor'?)"),
        ("town;floor;rooms;area\nBern;1;2;3\nBern;1;two;3\n", "'rooms' holds 'two' in row 2"),
        ("town;floor;rooms;area\nBern;1;2;inf\n", "'area' is infinite in row 1"),
        ("town;floor;rooms;area\n", "the file has no rows"),
        ("town;floor;rooms;area\nBern;1;2;1e39\n", "'area' holds 1e+39 in row 1, above 3e38"),
        ("town;floor\nBern;1;2;3\n", "not a readable table"),
    ],
)
def test_wrong_rows_get_one_message(tmp_path, text, message):
    with pytest.raises(DataError) as error:
        read(tmp_path, text)
    assert message in str(error.value)
    assert str(error.value).startswith(f"{tmp_path}/new.csv: ")


def test_a_missing_file_is_named(tmp_path):
    with pytest.raises(DataError, match="No such file"):
        read_new_rows(tmp_path / "new.csv", DATASET, TABLE)


def test_a_file_without_a_header_has_the_columns_of_the_study(tmp_path):
    dataset = Dataset(source="wdbc.data", columns=["id", "sold"], target="sold", format="csv")
    layout = SplitDescription(numeric=["3", "4"])
    rows = read(tmp_path, "7,,1.5,2\n8,,2.5,3\n", dataset, layout, "new.data")
    assert rows["3"].tolist() == [1.5, 2.5]


def test_a_study_of_a_csv_predicts_for_a_parquet_file(tmp_path):
    table = pd.DataFrame({"town": ["Bern"], "floor": [2], "rooms": [1], "area": [2.5]})
    table.to_parquet(tmp_path / "new.parquet")
    rows = read_new_rows(tmp_path / "new.parquet", DATASET, TABLE)
    assert rows.features["floor"].tolist() == ["2"]


def arrays_of(*shape):
    return SplitDescription(shape=list(shape))


def test_dates_and_flags_do_not_pass_for_numbers(tmp_path):
    table = pd.DataFrame({"town": ["Bern"], "floor": [2], "area": [2.5]})
    for wrong, message in [(pd.Timestamp("2026-01-02"), "2026-01-02"), (True, "True")]:
        table.assign(rooms=[wrong]).to_parquet(tmp_path / "new.parquet")
        with pytest.raises(
            DataError, match=f"'rooms' holds '{message}.* in row 1, where the study"
        ):
            read_new_rows(tmp_path / "new.parquet", DATASET, TABLE)


def test_arrays_must_have_the_shape_of_the_study(tmp_path):
    dataset, path = Dataset(source="mine.npz"), tmp_path / "new.npz"
    np.savez(path, x=np.zeros((2, 4, 4), np.uint8), other=np.zeros(2))
    rows = read_new_rows(path, dataset, arrays_of(4, 4))
    assert rows.features.shape == (2, 4, 4)
    assert list(rows.label(pd.DataFrame({"predicted_y": [1, 2]}))) == ["predicted_y"]
    for description, message in [
        (arrays_of(5, 5), r"a row has the shape \[4, 4\], and a row of the study has \[5, 5\]"),
        (TABLE, "give a table"),
    ]:
        with pytest.raises(DataError, match=message):
            read_new_rows(path, dataset, description)
    np.savez(path, x_train=np.zeros((2, 4)))
    with pytest.raises(DataError, match="no array 'x'; there are x_train"):
        read_new_rows(path, dataset, arrays_of(4))


def test_pixels_are_found_by_name_with_or_without_the_target_beside_them(tmp_path):
    dataset = Dataset(source="mine.csv", target="digit", shape=[2, 2, 1])
    description = SplitDescription(shape=[2, 2, 1], columns=list("abcd"))
    for text in ("a,b,c,d\n1,2,3,4\n", "digit,d,c,b,a,part\n7,4,3,2,1,test\n"):
        rows = read(tmp_path, text, dataset, description)
        assert rows.dtype == np.uint8
        assert rows.ravel().tolist() == [1, 2, 3, 4]
    with pytest.raises(DataError, match=r"new\.csv: there is no column 'd'"):
        read(tmp_path, "a,b,c\n1,2,3\n", dataset, description)
    with pytest.raises(DataError, match="'b' holds text or missing values"):
        read(tmp_path, "a,b,c,d\n1,,3,4\n", dataset, description)
    np.savez(tmp_path / "new.npz", x=np.zeros((1, 2, 2, 1)))
    with pytest.raises(DataError, match="give a table"):
        read_new_rows(tmp_path / "new.npz", dataset, description)


def test_new_rows_may_be_packed_like_the_studys_own(tmp_path):
    plain = "town;floor;rooms;area\nKöln;2;3;4\n".encode()
    (tmp_path / "new.csv.gz").write_bytes(gzip.compress(plain))
    with zipfile.ZipFile(tmp_path / "new.zip", "w") as archive:
        archive.writestr("rows.csv", plain)
    np.savez(tmp_path / "new.npz", x=np.zeros((2, 4)))
    (tmp_path / "new.npz.gz").write_bytes(gzip.compress((tmp_path / "new.npz").read_bytes()))
    for name in ("new.csv.gz", "new.zip"):
        rows = read_new_rows(tmp_path / name, DATASET, TABLE)
        assert rows.features["floor"].tolist() == ["2"]
    arrays = Dataset(source="mine.npz")
    rows = read_new_rows(tmp_path / "new.npz.gz", arrays, arrays_of(4))
    assert rows.features.shape == (2, 4)
    (tmp_path / "cut.csv.gz").write_bytes(gzip.compress(plain)[:-9])
    with pytest.raises(DataError, match=r"cut\.csv\.gz is a damaged archive"):
        read_new_rows(tmp_path / "cut.csv.gz", DATASET, TABLE)


def test_a_table_cannot_stand_for_arrays(tmp_path):
    with pytest.raises(DataError, match="give an NPZ file with an array x"):
        read(tmp_path, "a,b\n1,2\n", Dataset(source="mine.npz"), arrays_of(2))


def test_columns_that_the_study_drops_come_before_the_predictions(tmp_path):
    dataset = DATASET.model_copy(update={"drop": ["note", "id", "predicted_sold"]})
    path = tmp_path / "new.csv"
    path.write_text("id;town;floor;rooms;area;predicted_sold\n007;Bern;1;2;3;0\n1e5;Bern;1;2;3;0\n")
    predictions = pd.DataFrame({"predicted_sold": [0.5, 1.5]})
    labelled = read_new_rows(path, dataset, TABLE).label(predictions)
    assert labelled.to_dict("list") == {"id": ["007", "1e5"], "predicted_sold": [0.5, 1.5]}
    # The rows of a Parquet file may be numbered in another way.
    table = pd.DataFrame({"id": [7, 8], "town": "Bern", "floor": 2, "rooms": 1, "area": 2.5})
    table.set_axis([5, 3]).to_parquet(tmp_path / "new.parquet")
    labelled = read_new_rows(tmp_path / "new.parquet", dataset, TABLE).label(predictions)
    assert labelled.to_dict("list") == {"id": [7, 8], "predicted_sold": [0.5, 1.5]}


def test_rows_without_the_columns_that_the_study_drops_are_predicted(tmp_path):
    path = tmp_path / "new.csv"
    path.write_text("town;floor;rooms;area\nBern;1;2;3\n")
    labelled = read_new_rows(path, DATASET, TABLE).label(pd.DataFrame({"predicted_sold": [1]}))
    assert labelled.to_dict("list") == {"predicted_sold": [1]}
