"""Promises of adoption: a record is taken over only if all that was built and trained is equal."""

from __future__ import annotations

import json
from dataclasses import replace

import pytest

from gridloom.naming.points import point_path
from gridloom.networks.model_code import _unload
from gridloom.records import Machine, read_record, write_record
from gridloom.training import opening
from gridloom.training.adoption import Adoptable, built_from
from gridloom.training.points import Point
from gridloom.training.trainer import Trainer
from tests.made_requests import ROOT, histories, request_of

MLP = (ROOT / "models" / "mlp.py").read_text()

LOSS = 'loss="categorical_crossentropy"'
DENSE = "keras.layers.Dense(units, activation=activation)"

HIDDEN = """def hidden(units, **more):
    return keras.layers.Dense(units, **more)


def build_model"""

OWN_LOSS = """def own(y, p):
    return keras.losses.categorical_crossentropy(y, p)


def build_model"""

NAMED_LOSS = OWN_LOSS.replace(
    "def build_model",
    """custom_objects = {"own": own}


def build_model""",
)

WRAPPED_LOSS = f"""import functools


@functools.wraps(keras.losses.categorical_crossentropy)
{OWN_LOSS}"""


@pytest.fixture(autouse=True, scope="module")
def forget_files_of_other_tests():
    opening._acted = None


@pytest.fixture(autouse=True)
def leave_nothing(monkeypatch):
    monkeypatch.setattr(opening, "_acted", None)
    yield
    _unload()


def edited(tmp_path, *edits):
    path = tmp_path / "mlp.py"
    text = MLP
    for before, now in edits:
        assert before in text
        text = text.replace(before, now)
    path.write_text(text)
    return path


def built(data, **settings):
    """Return the fingerprint of a point; its record would hold it."""
    return built_for(request_of(data, **settings))


def built_for(request):
    trainer = Trainer()
    opened = trainer._open(request)
    point = Point(opened, opened.built(request.repetitions[0]))
    return built_from(point, trainer.graphs.trainings(point))


@pytest.fixture(scope="module")
def known(data):
    return built(data)


@pytest.mark.parametrize(
    ("edits", "knobs"),
    [
        ([("import keras\n", "import keras\n\nUNITS = 3\n")], {}),
        (
            [(DENSE, DENSE.replace("keras.layers.Dense", "hidden")), ("def build_model", HIDDEN)],
            {},
        ),
        ([("dropout: float", "depth: int = 1,\n    dropout: float")], {"depth": 1}),
        ([(DENSE, f"{DENSE} if units < 9 else keras.layers.Dense(units)")], {}),
    ],
    ids=["a constant", "refactored", "a new hyperparameter", "a branch of other points"],
)
def test_an_edit_that_builds_the_same_has_the_same_fingerprint(data, tmp_path, known, edits, knobs):
    assert known is not None
    assert built(data, model=edited(tmp_path, *edits), **knobs) == known


@pytest.mark.parametrize(
    ("edits", "knobs"),
    [
        ([(DENSE, DENSE[:-1] + ", use_bias=False)")], {}),
        ([(DENSE, DENSE[:-1] + ", kernel_initializer='he_normal')")], {}),
        ([(LOSS, "loss=keras.losses.CategoricalCrossentropy(label_smoothing=0.1)")], {}),
        ([("categorical_accuracy", "accuracy")], {}),
        ([("SGD(learning_rate)", "SGD(learning_rate / 2)")], {}),
        ([("Dropout(dropout)", "Dropout(dropout / 2)")], {}),
        ([], {"batch_size": 32}),
        ([], {"epochs": 2}),
        ([], {"early_stopping_patience": 1}),
        ([], {"repetitions": (0, 2)}),
        ([], {"lockstep": False}),
    ],
    ids=str,
)
def test_what_trains_otherwise_has_another_fingerprint(data, tmp_path, known, edits, knobs):
    assert built(data, model=edited(tmp_path, *edits), **knobs) not in (None, known)


@pytest.mark.parametrize(
    "changes",
    [
        {"data": "others"},
        {"training_code": "another"},
        {"seed": 1},
        {"vary": ("init",)},
        {"scaling": "none"},
        {"class_weight": None},
        {"onednn": False},
        {"environment": {"device": "cpu", "packages": None}},
    ],
    ids=str,
)
def test_another_set_up_has_another_fingerprint(data, known, changes, monkeypatch):
    monkeypatch.setattr("gridloom.training.trainer.check_process", lambda setup: None)
    request = request_of(data)
    request = replace(request, setup=replace(request.setup, **changes))
    assert built_for(request) not in (None, known)


@pytest.mark.parametrize(
    "change", [{"cpu": "another"}, {"threads": 9}, {"packages": {"keras": "0"}}]
)
def test_another_kind_of_machine_has_another_fingerprint(data, known, change, monkeypatch):
    environment = opening.environment
    monkeypatch.setattr(opening, "environment", lambda: {**environment(), **change})
    assert built(data) not in (None, known)
    monkeypatch.setattr(opening, "environment", lambda: {**environment(), "host": "another"})
    assert built(data) == known


@pytest.mark.parametrize(
    "edits",
    [
        [("def build_model", OWN_LOSS), (LOSS, "loss=own")],
        [("def build_model", WRAPPED_LOSS), (LOSS, "loss=own")],
        [("def build_model", NAMED_LOSS), (LOSS, "loss='own'")],
        [("def build_model", NAMED_LOSS), ("categorical_accuracy", "own")],
        [("import keras\n", "import keras\n\nkeras.backend.set_epsilon(1e-7)\n")],
        [("    model = keras", "    import random\n\n    random.random()\n    model = keras")],
    ],
    ids=[
        "an own loss",
        "a wrapped loss",
        "a loss by name",
        "a metric by name",
        "a setting of Keras",
        "draws",
    ],
)
def test_code_that_could_act_beyond_its_configuration_has_no_fingerprint(data, tmp_path, edits):
    assert built(data, model=edited(tmp_path, *edits)) is None


def test_what_an_earlier_file_of_the_process_could_have_changed_has_no_fingerprint(
    data, tmp_path, known
):
    assert built(data) == known
    assert (
        built(data, model=edited(tmp_path, ("import keras\n", "import keras\nimport os\n"))) is None
    )
    assert built(data) is None


def test_what_a_gpu_trains_has_no_fingerprint(data, monkeypatch):
    environment = opening.environment
    monkeypatch.setattr(opening, "environment", lambda: {**environment(), "gpus": ["0"]})
    assert built(data) is None


@pytest.fixture(scope="module")
def trained(data):
    return Trainer().run(request_of(data))


@pytest.fixture
def earlier(trained, tmp_path):
    """Write the record of a point, and the list that names it."""
    path = tmp_path / "points" / "abc" / point_path(trained.hyperparameters) / "reps=0-1.json"
    write_record(path, trained)
    listed = tmp_path / "adoptable.json"
    listed.write_text(json.dumps({trained.built: str(path)}))
    return path, listed


def asks(data, tmp_path, listed, **knobs):
    model = edited(tmp_path, ("dropout: float", "depth: int = 1,\n    dropout: float"))
    return replace(request_of(data, model=model, depth=1, **knobs), adoptable=listed)


def test_a_record_is_adopted_without_a_fit_and_says_from_where(
    data, tmp_path, earlier, monkeypatch, capsys
):
    path, listed = earlier
    request = asks(data, tmp_path, listed)
    trainer = Trainer()
    monkeypatch.setattr(trainer.graphs, "fit", None)
    adopted = trainer.run(request)
    place = str(path.relative_to(tmp_path / "points"))
    assert f"adopted, not trained: the same network, data and settings were trained in {place}" in (
        capsys.readouterr().out
    )
    before = read_record(path)
    assert adopted == replace(
        before,
        hyperparameters=request.hyperparameters,
        setup=request.setup.as_json(),
        adopted_from=place,
    )
    # It is whole, also when it is adopted in its turn, and still names what trained it.
    second = tmp_path / "points" / "def" / point_path(request.hyperparameters) / "reps=0-1.json"
    write_record(second, adopted)
    assert read_record(second) == adopted
    listed.write_text(json.dumps({adopted.built: str(second)}))
    assert trainer.run(request).adopted_from == place
    assert histories(Trainer().run(replace(request, adoptable=None))) == histories(adopted)


def test_points_ahead_that_will_adopt_train_in_no_lanes(data, tmp_path, earlier):
    path, listed = earlier
    others = [asks(data, tmp_path, listed, learning_rate=rate) for rate in (0.2, 0.1, 0.3)]
    trainer = Trainer()
    records = [trainer.run(one, others[place + 1 :]) for place, one in enumerate(others)]
    assert [record.adopted_from is None for record in records] == [True, False, True]
    assert histories(records[1]) == histories(read_record(path))
    assert records[0].started == records[2].started  # trained together


@pytest.mark.parametrize("damage", ["gone", "cut short", "another"])
def test_a_listed_record_that_cannot_be_used_is_left(data, tmp_path, earlier, damage):
    path, listed = earlier
    request, record = asks(data, tmp_path, listed), read_record(path)
    adoptable = Adoptable()
    adoptable.open(listed)
    assert adoptable.take(record.built, request).trainings == record.trainings
    if damage == "gone":
        path.unlink()
    elif damage == "cut short":
        path.write_text(path.read_text()[:300])
    else:
        write_record(path, replace(record, built="0" * 32))
    assert adoptable.take(record.built, request) is None


def test_a_list_that_changed_is_read_again_and_a_damaged_one_is_no_list(tmp_path):
    file, adoptable = tmp_path / "list.json", Adoptable()
    adoptable.open(file)
    assert not adoptable
    file.write_text('{"a": "b"}')
    adoptable.open(file)
    assert "a" in adoptable
    adoptable.open(None)
    assert not adoptable
    file.write_text('{"a": "b"')
    adoptable.open(file)
    assert not adoptable


def test_the_name_of_a_machine_is_not_its_kind():
    some = Machine("here", cpu="a", threads=1)
    assert some.kind == replace(some, host="there").kind != replace(some, threads=2).kind
