"""Promises of the alarms: each leak is reported with its remedy, and clean data raises none."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest
import yaml

from gridloom.data.alarms import describe_alarms, find_alarms
from gridloom.data.description import SplitDescription
from gridloom.data.rows import Rows
from gridloom.data.sources import download
from gridloom.data.split import describe_split, read_raw, settle, split_rows
from gridloom.study.dataset import Dataset, Split
from gridloom.study.loading import check_study
from gridloom.study.sources import BUILTIN
from tests.workflow.conftest import ROOT

ROWS = 300


def housing(rows=ROWS):
    """Make rows like those of houses: prices, counts, years, places."""
    generator = np.random.default_rng(0)
    area = generator.lognormal(4.5, 0.4, rows).round(1)
    year = generator.integers(1900, 2020, rows)
    return pd.DataFrame(
        {
            "area": area,
            "rooms": (area / 25).round().clip(1),
            "year": year,
            "population": generator.integers(300, 9000, rows),
            "town": generator.choice(["north", "south", "west"], rows),
            "price": (area * 3000 + (year - 1900) * 500 + generator.normal(0, 4e4, rows)).round(),
            "target": np.where(generator.random(rows) < 0.4, "sold", "free"),
        }
    )


def alarms(tmp_path, table, **changes):
    path = tmp_path / "raw.csv"
    if not path.is_file():
        table.to_csv(path, index=False)
    dataset = Dataset(source="mine.csv", **changes)
    rows = read_raw([path], "csv", dataset, Split())
    train, test = settle(*split_rows(rows, dataset, Split()), dataset, "csv")
    return find_alarms(train, test, describe_split(train, test, dataset), dataset)


@pytest.mark.parametrize("name", BUILTIN)
def test_no_set_that_comes_with_scikit_learn_raises_an_alarm(tmp_path, name):
    download(f"builtin:{name}", format="csv", table=tmp_path / "raw.csv")
    task = "regression" if name == "diabetes" else "classification"
    assert alarms(tmp_path, None, task=task) == []


def test_no_example_and_no_honest_table_raises_an_alarm(tmp_path):
    assert alarms(tmp_path / "a", housing_in(tmp_path / "a")) == []
    (tmp_path / "b").mkdir()
    changes = {"task": "regression", "target": "price", "drop": ["target"]}
    assert alarms(tmp_path / "b", housing(), **changes) == []
    rentals = yaml.safe_load((ROOT / "config/examples/rentals.yaml").read_text())["dataset"]
    (tmp_path / "c").mkdir()
    table = pd.read_csv(ROOT / rentals.pop("source"), dtype=str, keep_default_na=False)
    assert alarms(tmp_path / "c", table, **rentals) == []


def housing_in(folder):
    folder.mkdir()
    return housing()


def report_of(codes):
    """Return a column of numbers from which two classes can be predicted."""
    return np.where(codes == "sold", 3.5, 1.25)


LEAKS = {
    "the row's number": (lambda t: {"n": np.arange(ROWS)}, "row number", "numbers the rows"),
    "a time of even steps": (lambda t: {"t": np.arange(ROWS) * 0.1}, "row number", "numbers"),
    "shuffled numbers": (
        lambda t: {"n": np.random.default_rng(1).permutation(ROWS) + 1},
        "row number",
        "numbers the rows",
    ),
    "an id by its name": (
        lambda t: {"PassengerId": np.random.default_rng(1).integers(0, 10**9, ROWS)},
        "id",
        "looks like an id",
    ),
    "an id by its order": (
        lambda t: {"n": np.cumsum(np.random.default_rng(1).integers(1, 90, ROWS))},
        "id",
        "looks like an id",
    ),
    "some rows of one id": (
        lambda t: {"patient_id": np.random.default_rng(1).integers(0, 90, ROWS) * 7919},
        "id",
        'group: "patient_id", if several rows share an id',
    ),
    "a number": (
        lambda t: {"fee": report_of(t["target"])},
        "predicts the target",
        "alone predicts",
    ),
    "a category": (
        lambda t: {"end": t["target"] + "!"},
        "predicts the target",
        "alone predicts the",
    ),
    "what is missing": (
        lambda t: {"date": np.where(t["target"] == "sold", t["area"], np.nan)},
        "predicts the target",
        "if it is not known before the target",
    ),
}


@pytest.mark.parametrize("name", LEAKS)
def test_a_leak_is_reported_with_the_yaml_that_repairs_it(tmp_path, name):
    make, kind, expected = LEAKS[name]
    table = housing()
    more = make(table)
    (found,) = alarms(tmp_path, table.assign(**more), drop=["town"])
    assert found.kind == kind
    assert found.names == (*more,)
    message = describe_alarms([found])
    assert expected in message
    assert found.remedy in message
    mended = yaml.safe_load(found.remedy)["dataset"]
    assert mended == {"drop": ["town", *more]}
    (tmp_path / "raw.csv").unlink()
    assert alarms(tmp_path, table.assign(**more), **mended) == []


def test_a_number_that_equals_the_target_is_reported(tmp_path):
    table = housing().assign(rent=lambda t: np.log(t["price"]))
    changes = {"task": "regression", "target": "price", "drop": ["target"]}
    (found,) = alarms(tmp_path, table, **changes)
    assert (found.kind, found.names) == ("predicts the target", ("rent",))


def test_equal_rows_on_both_sides_are_reported_unless_chance_explains_them(tmp_path):
    table = housing()
    (found,) = alarms(tmp_path, pd.concat([table, table[:60]]))
    assert found.kind == "equal rows"
    assert "test rows equal a training row in every feature and the target" in found.text
    (tmp_path / "b").mkdir()
    few = housing()[["rooms", "town", "target"]]
    assert alarms(tmp_path / "b", few) == []


def test_equal_images_are_reported():
    pixels = np.random.default_rng(0).integers(0, 256, (50, 4, 4)).astype(np.uint8)
    target = np.array([*"xy"] * 25, dtype=object)
    train, test = Rows(pixels, target), Rows(pixels[:5], target[:5])
    description = SplitDescription(classes=["x", "y"])
    (found,) = find_alarms(train, test, description, Dataset(source="x.npz"))
    assert found.text.startswith("5 of 5 test rows equal a training row")


def test_a_class_with_few_rows_is_reported(tmp_path):
    table = housing()
    table.loc[:6, "target"] = "auction"
    (found,) = alarms(tmp_path, table)
    assert (found.kind, found.names) == ("rare class", ("auction",))
    assert "have the class 'auction' (" in found.text
    assert yaml.safe_load(found.remedy) == {"class_weight": "balanced"}


def test_each_remedy_is_a_valid_study(tmp_path):
    (found,) = alarms(tmp_path, housing().assign(n=range(ROWS)))
    study = {"model": "m.py", "hyperparameters": {"batch_size": 1, "epochs": 1}}
    mended = yaml.safe_load(found.remedy)["dataset"]
    assert check_study({**study, "dataset": {"source": "a.csv", **mended}}).dataset.drop == ["n"]
