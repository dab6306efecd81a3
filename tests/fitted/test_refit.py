"""Promises of the fitted model: all training rows, no test row, and the same again once loaded."""

from __future__ import annotations

import json
import shutil
from dataclasses import replace
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from gridloom.data.rows import Rows
from gridloom.data.split import describe_split, split_rows, write_split
from gridloom.errors import DataError, GridloomWarning, ModelError
from gridloom.fitted.card import Card
from gridloom.fitted.looks import noted_looks
from gridloom.fitted.model import FittedModel
from gridloom.fitted.readme import describe_fit, readme
from gridloom.fitted.refit import look_of, publish, refit, save
from gridloom.naming.points import point_path
from gridloom.predict import main
from gridloom.study.dataset import Dataset, Split
from tests.made_picks import pick_of
from tests.made_requests import setup_for

ROWS, TEST = 60, 12

POINT = "batch_size=16/epochs=40/units=4"

MODEL = """
import keras

{more}
def build_model(input_shape, outputs, *, units):
    model = keras.Sequential([
        keras.Input(input_shape),
        keras.layers.Dropout(0.2),
        keras.layers.Dense(units, activation="{hidden}"),
        {last},
    ])
    model.compile("sgd", loss={loss}, metrics=[{metrics}])
    return model
"""


class Case:
    """A split of made rows in a folder, and a model file."""

    def __init__(self, folder: Path, task="classification", targets="y", images=False):
        self.folder, self.ending = folder, "npz" if images else "parquet"
        self.dataset = Dataset(source=f"mine.{self.ending}", task=task, target=targets)
        x = np.random.default_rng(1).normal(3, 2, size=(ROWS, 4))
        if task == "classification":
            target = np.where(x[:, 1] > 3, "yes", "no").astype(object)
        else:
            target = ((x > 3) if task == "multilabel" else x)[:, :2].astype(np.float32)
        features = pd.DataFrame(x[:, :3], columns=list("abc"))
        features["kind"] = np.where(x[:, 3] > 3, "u", "v")
        pixels = np.clip(x * 20, 0, 255).astype(np.uint8).reshape(-1, 2, 2, 1)
        rows = Rows(pixels if images else features, target)
        self.train, self.test = split_rows(rows, self.dataset, Split(test=TEST / ROWS))
        self.write()

    def write(self):
        write_split(
            self.train,
            self.test,
            describe_split(self.train, self.test, self.dataset),
            train_file=self.folder / f"train.{self.ending}",
            test_file=self.folder / f"test.{self.ending}",
            description_file=self.folder / "split.json",
        )

    def refit(
        self,
        last='keras.layers.Dense(outputs, activation="softmax")',
        loss='"categorical_crossentropy"',
        metrics="",
        more="",
        hidden="tanh",
        text=None,
        epochs=3,
        **setup,
    ):
        self.model_file = self.folder / "mine.py"
        made = MODEL.format(last=last, loss=loss, metrics=metrics, more=more, hidden=hidden)
        self.model_file.write_text(text or made)
        return refit(
            pick_of(POINT, epochs),
            setup_for(self.model_file, **{"seed": 3, **setup}),
            self.dataset,
            train_file=self.folder / f"train.{self.ending}",
            test_file=self.folder / f"test.{self.ending}",
            split_file=self.folder / "split.json",
            model_file=self.model_file,
        )

    def saved(self, **model):
        refitted = self.refit(**model)
        save(refitted, self.model_file, self.folder / "model")
        return FittedModel.load(self.folder / "model")


def weights_of(refitted):
    return refitted.model.network.get_weights()


@pytest.fixture(scope="module")
def case(tmp_path_factory):
    return Case(tmp_path_factory.mktemp("case"))


@pytest.fixture(scope="module")
def plain(case):
    refitted = case.refit(metrics='"accuracy"')
    save(refitted, case.model_file, case.folder / "model")
    return refitted


def test_it_is_fitted_on_all_training_rows_for_the_epochs_of_the_choice(case, plain):
    card = plain.card
    assert card.training.rows == len(case.train.target) == ROWS - TEST
    assert card.test.rows == TEST
    assert card.test.metrics.keys() == {"loss", "accuracy"}
    assert card.hyperparameters == {"batch_size": 16, "epochs": 40, "units": 4}
    assert f"for 3 epochs on all {ROWS - TEST}" in describe_fit(card, [])


def test_modules_of_the_model_files_own_are_saved_with_it(tmp_path):
    case = Case(tmp_path)
    layer = "class Last(keras.layers.Dense):\n    pass\n"
    (tmp_path / "parts").mkdir()
    (tmp_path / "parts" / "__init__.py").write_text("")
    (tmp_path / "parts" / "last.py").write_text(f"import keras\n\n{layer}")
    fitted = case.saved(more="from parts.last import Last", last='Last(outputs, "softmax")')
    shutil.rmtree(tmp_path / "parts")
    again = FittedModel.load(tmp_path / "model")
    features = case.test.features
    assert np.array_equal(again.outputs(features), fitted.outputs(features))


def test_test_rows_change_its_score_and_nothing_else(tmp_path, plain):
    case = Case(tmp_path)
    case.test = case.test.take(np.arange(TEST - 5))
    case.write()
    after = case.refit(metrics='"accuracy"')
    assert all(
        map(np.array_equal, plain.model.network.get_weights(), after.model.network.get_weights())
    )
    assert plain.card.training == after.card.training
    assert plain.card.test.metrics["loss"] != after.card.test.metrics["loss"]


@pytest.mark.parametrize("setup", [{"class_weight": {"no": 9.0, "yes": 0.1}}, {"seed": 4}])
def test_weights_of_classes_and_the_studys_seed_count(tmp_path, plain, setup):
    other = Case(tmp_path).refit(metrics='"accuracy"', **setup)
    assert not np.array_equal(
        plain.model.network.get_weights()[0], other.model.network.get_weights()[0]
    )


def test_what_is_loaded_predicts_what_was_fitted(case, plain):
    loaded = FittedModel.load(case.folder / "model")
    expected = plain.predictions.probabilities
    np.testing.assert_allclose(loaded.outputs(case.test.features), expected, rtol=1e-5)
    predictions = loaded.predict(case.test.features)
    assert list(predictions) == ["predicted_y", "probability_no", "probability_yes"]
    np.testing.assert_allclose(predictions.iloc[:, 1:], expected, rtol=1e-5)
    labels = np.array(["no", "yes"])[expected.argmax(axis=1)]
    assert predictions["predicted_y"].tolist() == labels.tolist()
    accuracy = pytest.approx((labels == case.test.target).mean())
    assert plain.card.test.metrics["accuracy"] == accuracy
    assert plain.card.scores[0].value == accuracy


@pytest.mark.parametrize(
    ("last", "loss", "rule"),
    [
        ('keras.layers.Dense(1, activation="sigmoid")', '"binary_crossentropy"', "sigmoid"),
        ("keras.layers.Dense(1)", "keras.losses.BinaryCrossentropy(from_logits=True)", "sigmoid"),
        (
            "keras.layers.Dense(outputs)",
            "keras.losses.SparseCategoricalCrossentropy(from_logits=True)",
            "softmax",
        ),
    ],
)
def test_one_output_and_logits_become_probabilities(tmp_path, last, loss, rule):
    case = Case(tmp_path)
    model = case.saved(last=last, loss=loss, epochs=40)
    predictions = model.predict(case.test.features)
    probabilities = predictions[["probability_no", "probability_yes"]].to_numpy()
    np.testing.assert_allclose(probabilities.sum(axis=1), 1, rtol=1e-5)
    assert ((probabilities >= 0) & (probabilities <= 1)).all()
    likely = np.array(["no", "yes"])[probabilities.argmax(axis=1)]
    assert predictions["predicted_y"].tolist() == likely.tolist()
    assert (likely == case.test.target).mean() > 0.6
    raw = model.network.predict(model.preparation.transform(case.test.features), verbose=0)
    if model.card.outputs.activation is not None:
        assert model.card.outputs.activation == rule
        np.testing.assert_allclose(
            np.log(probabilities[:, 1] / probabilities[:, 0]),
            raw[:, -1] - (raw[:, 0] if raw.shape[1] > 1 else 0),
            rtol=1e-3,
            atol=1e-3,
        )


@pytest.mark.parametrize(
    ("last", "loss", "threshold"),
    [('"tanh"', 'keras.losses.Hinge(name="h")', 0), ('"sigmoid"', '"mse"', 0.5)],
)
def test_outputs_that_are_not_probabilities_are_called_scores(tmp_path, last, loss, threshold):
    case = Case(tmp_path)
    model = case.saved(last=f"keras.layers.Dense(1, {last})", loss=loss)
    predictions = model.predict(case.test.features)
    assert list(predictions) == ["predicted_y", "score_yes"]
    over = predictions["score_yes"] > threshold
    assert (over == (predictions["predicted_y"] == "yes")).all()


@pytest.mark.parametrize(
    ("last", "columns", "warned"),
    [
        ("keras.layers.Dense(1)", ["score_yes"], "nothing is predicted"),
        (
            "keras.layers.Dense(outputs)",
            ["predicted_y", "score_no", "score_yes"],
            "the predicted class is the one with the largest score",
        ),
    ],
)
def test_where_the_loss_does_not_say_what_outputs_mean_they_are_scores(
    tmp_path, last, columns, warned
):
    case = Case(tmp_path)
    more = "def own_crossentropy(y, p): return keras.ops.mean((y - p) ** 2, axis=-1)\n"
    model = case.saved(last=last, loss="own_crossentropy", more=more)
    with pytest.warns(GridloomWarning, match=f"they are shown as scores, and {warned}"):
        assert list(model.predict(case.test.features)) == columns


def test_a_sparse_loss_of_any_name_is_fed_indices(tmp_path):
    loss = 'keras.losses.SparseCategoricalCrossentropy(name="ce")'
    card = Case(tmp_path).refit(loss=loss, epochs=1).card
    assert card.outputs.probabilities
    assert card.target_form.dtype == "int32"


def test_several_labels_and_several_numbers_each_have_a_column(tmp_path):
    labels = Case(tmp_path, "multilabel", ["tall", "wide"]).saved(
        last='keras.layers.Dense(outputs, activation="sigmoid")', loss='"binary_crossentropy"'
    )
    features = Case(tmp_path).test.features
    predictions = labels.predict(features)
    assert list(predictions) == [
        *("predicted_tall", "predicted_wide"),
        *("probability_tall", "probability_wide"),
    ]
    assert ((predictions["probability_tall"] > 0.5) == predictions["predicted_tall"]).all()
    numbers = Case(tmp_path, "regression", ["height", "width"]).saved(
        last="keras.layers.Dense(outputs)", loss='"mse"'
    )
    predictions = numbers.predict(features)
    assert list(predictions) == ["predicted_height", "predicted_width"]
    assert (predictions.to_numpy() == numbers.outputs(features)).all()


def test_standardized_numbers_are_scored_and_predicted_in_their_units(tmp_path):
    case = Case(tmp_path, "regression", ["height"])
    case.train, case.test = (
        replace(part, target=1000 * part.target[:, :1]) for part in (case.train, case.test)
    )
    case.write()
    loaded = case.saved(
        last="keras.layers.Dense(outputs)",
        loss='"mse"',
        metrics='"mae", keras.metrics.RootMeanSquaredError(name="off"), "cosine_similarity"',
        target="standard",
        epochs=30,
    )
    error = loaded.predict(case.test.features)["predicted_height"] - case.test.target[:, 0]
    measured = loaded.card.test.metrics
    assert measured["loss"] == pytest.approx((error**2).mean(), rel=1e-3)
    assert measured["mae"] == pytest.approx(error.abs().mean(), rel=1e-3)
    assert measured["off"] == pytest.approx(measured["loss"] ** 0.5, rel=1e-3)
    assert 100 < measured["off"] < 2000
    assert loaded.card.training.metrics["loss"] > 1e4
    assert loaded.card.standardized == ["cosine_similarity"]
    similarity = f"{measured['cosine_similarity']:.4g} (of the standardized target)"
    assert similarity in describe_fit(loaded.card, [])


OWN_LAYER = """
class Twice(keras.layers.Layer):
    def __init__(self, factor, **rest):
        super().__init__(**rest)
        self.factor = factor
    def call(self, x):
        return x * self.factor
    {config}

def swish2(x):
    return x * keras.ops.sigmoid(2 * x)

"""

CONFIG = "def get_config(self): return {**super().get_config(), 'factor': self.factor}"


def test_names_and_layers_of_ones_own_come_with_the_model(tmp_path):
    case = Case(tmp_path)
    last = 'Twice(2), keras.layers.Dense(4, swish2), keras.layers.Dense(outputs, "softmax")'
    model = case.saved(last=last, more=OWN_LAYER.format(config=CONFIG))
    case.model_file.unlink()
    again = FittedModel.load(tmp_path / "model")
    features = case.test.features
    assert (again.outputs(features) == model.outputs(features)).all()


@pytest.mark.parametrize(
    ("config", "message"),
    [
        ("def get_config(self): raise ValueError('none')", "cannot save and load.*get_config"),
        (
            "def get_config(self): return super().get_config()",
            "cannot save and load.*factor.*get_config",
        ),
        (
            "def get_config(self): return {**super().get_config(), 'factor': 1}",
            "this network computes something else after Keras saved and loaded it",
        ),
    ],
)
def test_a_network_that_keras_cannot_save_is_refused(tmp_path, config, message):
    case = Case(tmp_path)
    last = 'Twice(2), keras.layers.Dense(outputs, "softmax")'
    with pytest.raises(ModelError, match=message):
        case.saved(last=last, more=OWN_LAYER.format(config=config))


def test_a_fit_that_diverges_is_refused(tmp_path):
    more = "def wrong(y, p): return keras.ops.mean(p, axis=-1) * float('nan')\n"
    with pytest.raises(ModelError, match="diverged: its loss is not finite"):
        Case(tmp_path).refit(loss="wrong", more=more)


def test_callbacks_run_without_validation(tmp_path):
    more = """
class Count(keras.callbacks.Callback):
    def on_epoch_end(self, epoch, logs=None):
        logs["seen"] = epoch
        assert not any(name.startswith("val_") for name in logs)

def callbacks(hyperparameters):
    return [Count()]
"""
    assert Case(tmp_path).refit(more=more).card.training.metrics["seen"] == 2


def test_images_of_bytes_are_prepared_as_they_were(tmp_path):
    case = Case(tmp_path, images=True)
    model = case.saved(last='keras.layers.Flatten(), keras.layers.Dense(outputs, "softmax")')
    np.savez(tmp_path / "new.npz", x=case.test.features.astype(np.float32))
    new = model.read(tmp_path / "new.npz").features
    assert new.dtype == np.float32
    np.testing.assert_allclose(model.outputs(new), model.outputs(case.test.features), rtol=1e-5)


def test_the_screen_says_what_was_chosen_and_why(plain):
    lines = describe_fit(plain.card, []).splitlines()
    assert lines[:3] == [
        "chosen      batch_size=16, epochs=40, units=4",
        "because     val_loss 0.25 over 1 repetition; chosen on the study's repetitions: "
        "the best mean",
        f"fitted      for 3 epochs on all {ROWS - TEST} training rows",
    ]
    assert "accuracy" in lines[3]
    point = point_path({"layers": (32, 16), "units": None})
    pick = pick_of(point, 3, by="confirm", n=3, n_diverged=2, n_missing=1, se=0.1)
    lines = describe_fit(replace(plain.card, pick=pick), []).splitlines()
    assert lines[0] == "chosen      layers=[32, 16], units=null"
    assert lines[1] == (
        "because     val_loss 0.25 (standard error 0.1) over 3 repetitions; lost trainings: "
        "2 diverged, 1 without val_loss; chosen by `snakemake confirm`: the best mean"
    )


def test_each_look_at_the_test_rows_is_noted_and_the_card_counts_them(tmp_path):
    case = Case(tmp_path)
    folder, looks_file = tmp_path / "model", tmp_path / "test_reads.jsonl"
    figures = [folder / "confusion.png", folder / "roc.png", folder / "calibration.svg"]
    how = {"looks_file": looks_file, "figures": figures, "title": "Own rows", "dpi": 60}
    for epochs in (1, 2):
        refitted = case.refit(epochs=epochs)
        looks = publish(refitted, case.model_file, folder, **how)
        assert len(looks) == epochs
    written = (folder / "README.md").read_text()
    assert "looked at 2 times, for one model" in written
    assert "![confusion](confusion.png)" in written
    assert f"| accuracy | {refitted.card.scores[0].value:.4g} |" in written
    assert all(file.stat().st_size > 1000 for file in figures)
    assert looks[-1].rows == refitted.card.split.test_sha256
    assert looks[-1].scores["accuracy"] == refitted.card.scores[0].value
    case.test = case.test.take(np.arange(TEST - 1))
    case.write()
    assert len(publish(case.refit(epochs=1), case.model_file, folder, **how)) == 1
    looks_file.write_text(looks_file.read_text() + '{"when": "cut sho')
    assert noted_looks(looks_file, looks[-1].rows) == looks


def test_the_readme_says_how_sure_the_choice_is_and_where_intervals_are_too_narrow(plain):
    def written(card, looks=1):
        look = look_of(card)
        how = {"title": "T", "folder": Path("results/model"), "figures": []}
        return readme(card, [look] * looks, **how)

    text = written(plain.card)
    assert "Over new rows, it is not known how far it may be from the best." in text
    assert "looked at once, for this model: the scores are unbiased" in text
    assert "python -m gridloom.predict results/model new.csv" in text
    pick = pick_of(POINT, 3, regret_high=0.01, tied=5, configurations=9, top_point="units=1")
    perfect = replace(plain.card.scores[0], value=1.0, low=1.0, high=1.0)
    split = replace(plain.card.split, ordered=True, alarms=[{"text": "column 'a' counts rows"}])
    card = replace(plain.card, pick=pick, scores=[perfect], split=split, groups=6)
    text = written(card, looks=3)
    assert "Over more seeds on these rows, it is at most 0.01 worse than the best of 9" in text
    assert "5 configurations cannot be told apart from the best" in text
    assert "Another configuration has the best mean, 0.25, perhaps by luck: units=1." in text
    assert "resamples of the 6 groups of test rows" in text
    assert "a share of up to 0.5 of new rows may be wrong" in text
    assert "the intervals are then too narrow" in text
    assert "- column 'a' counts rows" in text
    assert "looked at 3 times, for one model" in text


def test_the_card_comes_back_as_it_was_written(case, plain):
    assert Card.read(case.folder / "model") == plain.card


CUBES = "keras.layers.Dense(outputs), keras.layers.Lambda(lambda x: x**3)"


def test_a_network_that_gives_no_number_for_a_test_row_is_refused(tmp_path):
    case = Case(tmp_path)
    case.test.features.loc[2, "a"] = 1e30
    case.write()
    with pytest.raises(ModelError, match="no finite number for 1 of 12 test rows"):
        case.refit(last=CUBES, hidden="linear", loss='"mae"', epochs=1)


@pytest.fixture
def running(monkeypatch):
    """Leave TensorFlow, which computes here already, as it is."""
    monkeypatch.setattr("gridloom.workers.process.set_devices", lambda threads, devices: None)


def test_the_command_prints_or_writes_a_line_for_each_row(tmp_path, case, plain, capsys, running):
    new, folder = tmp_path / "new.csv", case.folder / "model"
    case.test.features.assign(kind="never seen").to_csv(new, index=False)
    main([str(folder), str(new)])
    printed = capsys.readouterr()
    assert len(printed.out.splitlines()) == TEST + 1
    assert "'kind': 12 rows hold a category that no training row had" in printed.err
    main([str(folder), str(new), "--output", str(tmp_path / "out.csv")])
    assert (tmp_path / "out.csv").read_text() == printed.out


SUBCLASS = """
import keras

class Own(keras.Model):
    def __init__(self, outputs, **rest):
        super().__init__(**rest)
        self.outputs_wanted = outputs
        self.last = keras.layers.Dense(outputs)
    def build(self, shape):
        self.last.build(shape)
        self.built = True
    def call(self, x):
        return self.last(x)
    def get_config(self):
        return {"outputs": self.outputs_wanted}

def build_model(input_shape, outputs, *, units):
    model = Own(outputs)
    model.compile("sgd", keras.losses.CategoricalCrossentropy(from_logits=True))
    return model
"""


def test_a_model_of_a_class_of_ones_own_comes_back(tmp_path):
    case = Case(tmp_path)
    model = case.saved(text=SUBCLASS)
    probabilities = model.outputs(case.test.features)
    np.testing.assert_allclose(probabilities.sum(axis=1), 1, rtol=1e-5)


def test_python_is_warned_of_what_no_training_row_had(case, plain):
    model = FittedModel.load(case.folder / "model")
    with pytest.warns(GridloomWarning, match="'kind': 12 rows hold a category that no training"):
        model.predict(case.test.features.assign(kind="never seen"))


def test_a_row_that_the_network_cannot_compute_gets_no_class(case, plain):
    model = FittedModel.load(case.folder / "model")
    far = case.test.features.copy()
    far.loc[3, "b"] = -3e38
    model.preparation.transformer.named_transformers_["numbers"][1].scale_[:] = 1e-9
    with pytest.raises(
        DataError, match="column 'b' holds -3e\\+38, which is so far from the values of other"
    ):
        model.predict(far)
    model.network.set_weights([weights * np.nan for weights in model.network.get_weights()])
    with pytest.raises(DataError, match="row 1: the network gives no finite number for it"):
        model.predict(case.test.features)


def test_a_damaged_file_of_the_folder_is_named_in_one_sentence(tmp_path, case, plain):
    shutil.copytree(case.folder / "model", tmp_path / "model")
    about = json.loads((tmp_path / "model" / "model.json").read_text())
    lacking = {key: value for key, value in about.items() if key != "outputs"}
    other = [json.dumps(about | {key: {"source": 3}}) for key in ("dataset", "split")]
    other += [json.dumps(lacking), "[]", "{"]
    broken = [("model.json", text) for text in other]
    broken += [("preparation.joblib", text) for text in ("", "no pickle", "\x80\x04N.")]
    broken += [("model.keras", text) for text in ("", "no zip")]
    for name, text in broken:
        path = tmp_path / "model" / name
        kept = path.read_bytes()
        path.write_text(text, encoding="latin-1")
        with pytest.raises(ModelError) as error:
            FittedModel.load(tmp_path / "model")
        assert str(error.value).startswith(f"{path}: is damaged"), (name, text)
        assert str(error.value).endswith("delete the folder and run `snakemake refit`")
        assert "\n" not in str(error.value)
        path.write_bytes(kept)
    cut = tmp_path / "model" / "model.keras"
    cut.write_bytes(cut.read_bytes()[:-200])
    with pytest.raises(ModelError, match=r"model\.keras: is damaged"):
        FittedModel.load(tmp_path / "model")


@pytest.mark.parametrize("broken", ["model.keras", "preparation.joblib", "mine.py", "model.json"])
def test_a_folder_that_lacks_a_file_or_was_cut_short_says_what_to_do(tmp_path, case, plain, broken):
    folder = tmp_path / "model"
    shutil.copytree(case.folder / "model", folder)
    path = folder / broken
    if broken == "model.json":
        path.write_text(path.read_text()[:50])
    else:
        path.unlink()
    with pytest.raises(ModelError, match="delete the folder and run") as error:
        FittedModel.load(folder)
    assert str(path) in str(error.value)


@pytest.mark.parametrize(
    ("folder", "message"),
    [("nowhere", "`snakemake refit` writes it"), ("model", "(No such file or directory)")],
)
def test_the_command_says_what_is_wrong_in_one_line(case, plain, folder, message, running):
    with pytest.raises(SystemExit) as ended:
        main([str(case.folder / folder), str(case.folder / "nothing.csv")])
    assert str(ended.value).endswith(message)
    assert "\n" not in str(ended.value)
