"""Promises of the fuzzer: it finds planted errors, and finds none in a few studies.

The studies run in forks of a separate process that has run no TensorFlow operation.
"""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import fuzz
import pytest

ROOT = Path(__file__).parents[2]

PLANTED = """
import json, sys, tempfile
from pathlib import Path
sys.path[:0] = [{bench!r}, {root!r}]
import fuzz

MODEL = '''
import keras

def build_model(input_shape, outputs, *, units, **rest):
    model = keras.Sequential([
        keras.Input(input_shape),
        keras.layers.Dropout(0.3),
        keras.layers.Dense(units, activation="relu"),
        keras.layers.Dense(outputs, activation="softmax"),
    ])
    model.compile("sgd", "categorical_crossentropy", metrics=["categorical_accuracy"])
    return model
'''

class Wrong:
    def __init__(self, trainer):
        self.trainer = trainer
    def run(self, request):
        units = request.hyperparameters["units"]
        if units == 4:
            raise KeyError("name")
        record = self.trainer.run(request)
        for training in record.trainings:
            history = training.history
            if units == 3:
                history["val_loss"][-1] += 1e-3
        return record

make = fuzz.make_trainer
fuzz.make_trainer = lambda ours: Wrong(make(ours))
points = [dict(units=units, batch_size=16, epochs=2) for units in (4, 2, 3)]
study = fuzz.Study(
    number=0, text=MODEL, target="multiclass", rows=41, width=6, data_seed=0, points=points,
    chosen=[(0, 0)] * 3,
    settings=dict(
        seed=0, vary=list(fuzz.STREAMS), validation=dict(method="holdout", fraction=0.25),
        repetitions=(0,), class_weight=None, scaling="standard", lockstep=True,
        engine="compiled",
    ),
)
print(json.dumps(fuzz.run_study(study, Path(tempfile.mkdtemp()))["points"]))
"""


@pytest.mark.slow
def test_each_alteration_of_a_record_is_found():
    code = PLANTED.format(bench=str(ROOT / "bench"), root=str(ROOT))
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    points = json.loads(done.stdout.splitlines()[-1])
    outcomes = [point["outcome"] for point in points]
    assert outcomes == ["crash", "equal", "different"]
    assert "KeyError: 'name'" in points[0]["detail"]
    assert "val_loss[1]" in points[2]["detail"]


def test_a_study_depends_on_its_number_alone():
    for number in (0, 7):
        assert fuzz.draw_study(3, number) == fuzz.draw_study(3, number)
    assert fuzz.draw_study(3, 0).text != fuzz.draw_study(3, 7).text
    assert fuzz.draw_study(3, 0).text != fuzz.draw_study(4, 0).text


def test_studies_keep_their_bounds_and_have_valid_files():
    for number in range(40):
        study = fuzz.draw_study(0, number)
        compile(study.text, "model.py", "exec")
        assert 33 <= study.rows <= 64
        for point in study.points:
            assert -(-study.rows // point["batch_size"]) * point["epochs"] <= 20
            assert set(point) - {"batch_size", "epochs"}


def test_the_draw_reaches_all_of_keras():
    drawn = {feature for number in range(3000) for feature in fuzz.draw_study(0, number).features}
    for known in (fuzz.ANYWHERE, fuzz.SEQUENCE, fuzz.IMAGE, fuzz.VOLUME):
        assert known.keys() <= drawn
    assert {f"tweak {name}" for name in fuzz.TWEAKS} <= drawn
    assert {f"global {name}" for name in fuzz.GLOBALS if name != "Wide"} <= drawn


def history(**values):
    return {"history": values, "restored": 0}


@pytest.mark.parametrize(
    ("reference", "record", "far"),
    [
        (1.0, 1.0 + 1e-6, 1e-6),
        (1000.0, 1000.1, 1e-4),
        (float("nan"), None, 0.0),
        (float("inf"), 1.0, float("inf")),
        (1.0, None, float("inf")),
    ],
)
def test_differences_are_relative_and_not_finite_equals_null(reference, record, far):
    found, _ = fuzz.apart(history(loss=[reference]), history(loss=[record]))
    assert found == pytest.approx(far, rel=1e-3)


REFUSALS = {
    "model: the compiled fit cannot do run_eagerly; set `trainer: {engine: keras}`": "refused",
    "model: choose another optimizer": "no remedy",
    "model: it raised KeyError: 'name'; set `trainer: {engine: keras}`": "crash",
}


@pytest.mark.parametrize("text", REFUSALS)
def test_a_refusal_is_a_sentence_that_names_the_other_engine(text):
    found = {"error": text, "kind": "ModelError", "own": True}
    trained = history(loss=[1.0])
    assert fuzz.judge(None, trained, None, found, {}, 0)[0] == REFUSALS[text]
    assert fuzz.judge(None, None, "ValueError", found, {}, 0)[0] == "invalid"


def test_metrics_of_other_names_are_a_failure():
    found = {"how": "lockstep", "training": history(loss=[1.0], auc_4=[0.5])}
    assert fuzz.judge(None, history(loss=[1.0], auc=[0.5]), None, found, {}, 0)[0] == "other names"


def test_a_network_that_model_fit_refuses_must_not_train():
    found = {"how": "lockstep", "training": history(loss=[1.0])}
    assert fuzz.judge(None, None, "ValueError", found, {}, 0)[0] == "trained"


@pytest.mark.slow
def test_a_few_studies_give_the_numbers_of_model_fit_or_a_sentence():
    done = subprocess.run(
        [sys.executable, ROOT / "bench" / "fuzz.py", "--studies", "5", "--seed", "1", "--quiet"],
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stdout[-5000:] + done.stderr[-500:]
    assert "equal" in done.stdout
