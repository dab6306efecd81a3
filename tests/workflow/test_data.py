"""Promises of a user's own data: each kind of data trains, and the right rows are held out."""

from __future__ import annotations

import gzip
import http.server
import json
import threading

import numpy as np
import pandas as pd
import pytest
import yaml

from gridloom.data.rows import read_rows
from tests.cases import cases
from tests.workflow.conftest import TINY

NETWORK = '''"""A network for any shape of row."""
import keras


def build_model(input_shape, outputs, *, units, first, last, objective):
    """Build it."""
    layers = {
        "flatten": [keras.layers.Flatten()],
        "convolve": [keras.layers.Conv2D(2, 3), keras.layers.Flatten()],
        "embed": [keras.layers.Embedding(50, 4), keras.layers.GlobalAveragePooling1D()],
    }[first]
    model = keras.Sequential(
        [
            keras.Input(input_shape),
            *layers,
            keras.layers.Dense(units, activation="relu"),
            keras.layers.Dense(outputs, activation=last),
        ]
    )
    model.compile("adam", loss=objective)
    return model
'''

CALLBACKS = '''"""A network with an activation and callbacks of its own."""
import keras


def bent(x):
    return keras.ops.where(x > 0, x, 0.1 * x)


class Halve(keras.callbacks.Callback):
    def on_epoch_end(self, epoch, logs=None):
        self.model.optimizer.learning_rate = self.model.optimizer.learning_rate / 2
        logs["learning_rate"] = float(self.model.optimizer.learning_rate)


custom_objects = {"bent": bent}


def callbacks(hyperparameters):
    return [Halve()] if hyperparameters["halve"] else []


def build_model(input_shape, outputs, *, activation, learning_rate: float, halve):
    model = keras.Sequential(
        [
            keras.Input(input_shape),
            keras.layers.Dense(3, activation=activation),
            keras.layers.Dense(outputs, activation="softmax"),
        ]
    )
    model.compile(keras.optimizers.SGD(learning_rate), "categorical_crossentropy")
    return model
'''

GENERATOR = np.random.default_rng(0)
ROWS = 60


def images(folder):
    x = GENERATOR.integers(0, 256, (ROWS, 6, 6, 1)).astype(np.uint8)
    y = np.arange(ROWS) % 3
    y = y[:, None]  # as Keras's CIFAR has it
    np.savez(folder / "d.npz", x_train=x[:40], y_train=y[:40], x_test=x[40:], y_test=y[40:])
    knobs = {"first": "convolve", "last": "softmax", "objective": "sparse_categorical_crossentropy"}
    return {"source": "d.npz"}, knobs, 20


def tokens(folder):
    x = GENERATOR.integers(0, 50, (ROWS, 7))
    np.savez(folder / "d.npz", x=x, y=np.arange(ROWS) % 2)
    knobs = {"first": "embed", "last": "softmax", "objective": "categorical_crossentropy"}
    return {"source": "d.npz"}, knobs, 12


def labels(folder):
    table = pd.DataFrame(GENERATOR.integers(0, 2, (ROWS, 4)), columns=[*"abuv"])
    table.to_parquet(folder / "d.parquet")
    dataset = {"source": "d.parquet", "task": "multilabel", "target": ["u", "v"]}
    knobs = {"first": "flatten", "last": "sigmoid", "objective": "binary_crossentropy"}
    return dataset, knobs, 12


def numbers(folder):
    table = pd.DataFrame(GENERATOR.normal(size=(ROWS, 4)), columns=[*"abuv"])
    table["w"] = 1.0
    table["day"] = pd.date_range("2026-01-01", periods=ROWS)[::-1]
    table[:40].to_csv(folder / "d.tsv", sep="\t", index=False)
    table[40:].to_csv(folder / "e.tsv", sep="\t", index=False)
    dataset = {"source": "d.tsv", "test_source": "e.tsv", "task": "regression"}
    dataset |= {"target": ["u", "v"], "weight": "w", "order": "day"}
    knobs = {"first": "flatten", "last": None, "objective": "mean_squared_error"}
    return dataset, knobs, 20


KINDS = {make.__name__: make for make in (images, tokens, labels, numbers)}


@pytest.mark.parametrize("kind", cases(KINDS, ["images"], ["labels"]))
def test_each_kind_of_data_trains(project, kind):
    make = KINDS[kind]
    dataset, knobs, held = make(project.folder)
    (project.folder / "models" / "own.py").write_text(NETWORK)
    knobs |= {"units": 3, "batch_size": 16, "epochs": 2}
    study = {**TINY, "dataset": dataset, "model": "models/own.py", "hyperparameters": knobs}
    study |= {"class_weight": None, "objective": {"metric": "val_loss"}}
    study |= {"preparation": {"scaling": "none" if make is tokens else "minmax"}}
    project.write(study)
    project.succeed("--until", "gather")
    runs = pd.read_csv(project.results / "runs.csv")
    assert runs["status"].tolist() == ["ok", "ok"]
    description = json.loads((project.data / "split.json").read_text())
    assert description["rows"] == {"train": ROWS - held, "test": held}
    if make in (images, tokens):
        assert read_rows(project.data / "train.npz").features.shape[1:] == tuple(
            description["shape"]
        )
    if make is numbers:
        train = read_rows(project.data / "train.parquet")
        assert list(train.features.columns) == ["a", "b"]
        assert train.target.shape == (40, 2)


@pytest.mark.slow
def test_prices_near_68_000_are_learned_and_reported_in_their_units(project, finished):
    generator = np.random.default_rng(3)
    houses = pd.DataFrame(generator.normal(size=(300, 3)), columns=["area", "rooms", "age"])
    houses["price"] = 68_000 + 20_000 * houses["area"] - 15_000 * houses["age"]
    houses["price"] = (houses["price"] + generator.normal(size=300) * 1500).round()
    houses.to_csv(project.folder / "houses.csv", index=False)
    knobs = {"layers": [[], [8]], "l2": 0, "learning_rate": 0.03, "batch_size": 16, "epochs": 30}
    study = {"dataset": {"source": "houses.csv", "task": "regression", "target": "price"}}
    study |= {"model": "models/regressor.py", "hyperparameters": knobs, "repetitions": 2}
    study |= {"objective": {"metric": "val_mean_absolute_error"}, "figures": {"dpi": 60}}
    project.write(study)
    project.succeed("refit")
    runs = pd.read_csv(project.results / "runs.csv")
    # The noise alone costs 1500² and 1200; predicting the mean, 6e8 and 20,000.
    assert runs["val_loss"].between(1e6, 2e7).all()
    assert runs["val_mean_absolute_error"].between(900, 3500).all()
    assert (
        project.python(
            *("-m", "gridloom.predict", "results/model", "houses.csv", "--output", "out.csv")
        ).returncode
        == 0
    )
    predicted = pd.read_csv(project.folder / "out.csv")["predicted_price"]
    assert (predicted - houses["price"]).abs().mean() < 3500
    # Settings without effect on classes are not part of their set-up.
    setups = [
        json.loads(p.records().popitem()[1])["environment"]["setup"] for p in (project, finished)
    ]
    assert [setup.get("target") for setup in setups] == ["standard", "none"]


@pytest.mark.slow
def test_a_packed_file_and_a_column_that_marks_the_test_rows(project):
    table = pd.DataFrame({"a": range(ROWS), "part": ["fit"] * 50 + ["later"] * 10})
    table["target"] = [*"xy"] * (ROWS // 2)
    table.to_csv(project.folder / "mine.csv.gz", index=False)
    dataset, split = {"source": "mine.csv.gz"}, {"column": "part", "test_value": "later"}
    project.change(dataset=dataset, split=split, hyperparameters={"units": 1, "dropout": 0})
    assert project.succeed("--until", "train")["train"] == 1
    assert read_rows(project.data / "test.parquet").features["a"].tolist() == list(range(50, 60))


class Table(http.server.BaseHTTPRequestHandler):
    """A server that gives a table only to clients that know its secret."""

    def do_GET(self):
        known = self.path == "/flats.csv?part=1&api_token=hunter2"
        self.send_response(200 if known else 403)
        self.end_headers()
        if known:
            self.wfile.write(self.content)

    def log_message(self, *_):
        pass


@pytest.fixture
def flats():
    """Serve a table with row numbers and floors such as 1, 2, B; yield content and address."""
    floors = GENERATOR.choice([*"123B", ""], ROWS)
    lines = [f"{i},{f},{GENERATOR.normal():.3f},{'xy'[i % 2]}" for i, f in enumerate(floors, 1)]
    Table.content = "\n".join(["row,floor,area,target", *lines, ""]).encode()
    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), Table) as running:
        threading.Thread(target=running.serve_forever, daemon=True).start()
        address = f"http://127.0.0.1:{running.server_port}/flats.csv?part=1&api_token=hunter2"
        yield Table.content, address
        running.shutdown()


@pytest.mark.slow
def test_a_study_of_a_secret_address_with_a_leak(project, flats):
    content, address = flats
    dataset = {"source": address, "categorical": ["floor"]}
    project.change(dataset=dataset, hyperparameters={"units": 1, "dropout": 0})
    done = project.run("refit")
    printed = done.stdout + done.stderr
    assert done.returncode == 0, printed

    # Only the study holds the secret; no record, model, log or note of Snakemake does.
    assert "hunter2" not in printed
    files = [path for path in project.folder.rglob("*") if path.is_file()]
    leaked = [path for path in files if b"hunter2" in path.read_bytes()]
    assert leaked == [project.folder / "config" / "config.yaml"]
    about = json.loads((project.results / "model" / "model.json").read_text())
    assert about["dataset"]["source"].endswith("/flats.csv?part=1&api_token=…")
    assert (project.data / "raw.csv").stat().st_mode == (
        project.results / "runs.csv"
    ).stat().st_mode

    # The leak is reported once, with its remedy, and noted.
    assert printed.count('dataset: {drop: ["row"]}') == 1
    split = json.loads((project.data / "split.json").read_text())
    assert [alarm["kind"] for alarm in split["alarms"]] == ["row number"]
    assert split["numeric"] == ["row", "area"]
    assert split["reading"]["floor"] == "category"

    # Rows without B are read as those with it; a warning names a floor that no training row had.
    lines = content.decode().splitlines()
    part = [line for line in lines if ",B," not in line]
    for name, rows in (("all", lines), ("part", [*part, "9,01,1.5,x"])):
        (project.folder / f"{name}.csv.gz").write_bytes(gzip.compress("\n".join(rows).encode()))
        arguments = ["-m", "gridloom.predict", "results/model", f"{name}.csv.gz"]
        done = project.python(*arguments, "--output", f"{name}.csv")
        assert done.returncode == 0, done.stderr
        assert ("such as '01'" in done.stderr) == (name == "part")
    every, some = (pd.read_csv(project.folder / f"{name}.csv") for name in ("all", "part"))
    kept = [",B," not in line for line in lines[1:]]
    assert np.allclose(every[kept].iloc[:, 1:], some[:-1].iloc[:, 1:], atol=1e-6)

    # No row depends on a limit.
    study = yaml.safe_load((project.folder / "config" / "config.yaml").read_text())
    project.write({**study, "limits": {"gib": 9}})
    assert project.succeed("refit") == {}


@pytest.mark.slow
def test_the_keras_engine_calls_callbacks_and_the_compiled_one_refuses_them(untrained):
    (untrained.folder / "models" / "own.py").write_text(CALLBACKS)
    knobs = {"activation": ["bent", "relu"], "learning_rate": 0.1, "halve": [True, False]}
    knobs |= {"batch_size": 64, "epochs": 3}
    study = {**TINY, "model": "models/own.py", "hyperparameters": knobs}
    study["objective"] = {"metric": "val_loss"}
    untrained.write(study)
    assert "set `trainer: {engine: keras}`, or remove `callbacks`" in untrained.fail()
    untrained.write({**study, "trainer": {"engine": "keras"}})
    assert untrained.succeed("--until", "gather")["train"] == 4
    history = pd.read_parquet(untrained.results / "history.parquet")
    rates = history[history["point"].str.contains("halve=true")]["logged_learning_rate"]
    assert sorted(set(rates.round(4))) == [0.0125, 0.025, 0.05]
    assert all('"engine":"keras"' in text for text in untrained.records().values())
