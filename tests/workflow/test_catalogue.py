"""The catalogue of mistakes: each ends with one clear message, before or at the first training.

Every case runs the real `snakemake` in a folder with a finished study: exit status not 0, no
traceback, the place and the remedy named, and nothing of the finished study touched.
"""

from __future__ import annotations

import gzip
import hashlib
import shutil

import numpy as np
import pytest
import yaml

from gridloom.workflow.failures import MAX_CAUSES
from tests.cases import cases
from tests.workflow.conftest import TINY, copy_of

REMOVED = object()
KNOBS = TINY["hyperparameters"]
DATA = {"source": "builtin:breast_cancer"}


def knobs(**changes):
    """Return the study's hyperparameters with changes."""
    return {"hyperparameters": _without({**KNOBS, **changes})}


def data(**changes):
    return {"dataset": {**DATA, **changes}}


def _without(settings):
    return {key: value for key, value in settings.items() if value is not REMOVED}


SLICES = {"formats": ["png"], "dpi": 60}

#: Changes to a good study → what the message must hold.
STUDIES = {
    "a key misspelt": ({"repetitons": 3}, "repetitons: unknown key (did you mean 'repetitions'?)"),
    "a negative seed": ({"seed": -1}, "seed: must be at least 0, found -1"),
    "a fraction for a seed": ({"seed": 1.5}, "seed: must be a whole number, found 1.5"),
    "text for a number": ({"repetitions": "five"}, "repetitions: must be a whole number"),
    "no repetition": ({"repetitions": 0}, "repetitions: must be at least 1"),
    "an empty name": ({"name": ""}, "name: is empty; Title of the figures"),
    "a pattern for a folder": ({"results": "res{x}"}, "results: a folder's name without { } * ?"),
    "no data": ({"dataset": REMOVED}, "dataset: missing"),
    "data as text": ({"dataset": "iris"}, "dataset: must be a block of `key: value` lines"),
    "no source": ({"dataset": {}}, "dataset.source: missing; builtin:NAME"),
    "a set that is not there": (data(source="builtin:irs"), "did you mean 'iris'?"),
    "a set without a number": (data(source="openml:iris"), "give the number of the set: openml:61"),
    "a store": (data(source="s3://b/d.csv"), "s3:// is not supported; download the file"),
    "a password": (data(source="https://a:b@example.org/d.csv"), "put them into ~/.netrc"),
    "a file that is not there": (data(source="mine.csv"), "mine.csv does not exist"),
    "a folder": (data(source="models"), "models is a folder; name a file in it"),
    "a data key misspelt": (data(targt="y"), "dataset.targt: unknown key (did you mean 'target'?)"),
    "two targets for classes": (data(target=["a", "b"]), "set dataset.task to multilabel"),
    "a target twice": (data(target=["a", "a"], task="multilabel"), "names a column twice"),
    "a task": (data(task="classify"), "is not one of classification, multilabel, regression"),
    "a short sum": (data(sha256="abc"), "dataset.sha256: must be 64 hexadecimal digits"),
    "a workbook": (data(format="xlsx"), "dataset.format: 'xlsx' is not one of csv, tsv"),
    "a long separator": (
        data(separator=";;"),
        "dataset.separator: must be one character, found ';;'",
    ),
    "a decimal sign": (data(decimal="x"), "dataset.decimal: 'x' is not one of ., ,"),
    "an encoding": (data(encoding="utf-88"), "there is no encoding 'utf-88'; try utf-8"),
    "groups in time": (data(group="a", order="b"), "groups or an order in time, not both"),
    "test rows nowhere": (data(test_source="t.csv"), "t.csv does not exist"),
    "test rows of a kind": (data(test_source="t.npz"), "is npz, source is csv; use one format"),
    "a sum of nothing": (data(test_sha256="0" * 64), "there is no dataset.test_source"),
    "a shape of nothing": (data(shape=[8, 0]), "dataset.shape.1: must be at least 1, found 0"),
    "a shape without an end": (data(shape=[]), "dataset.shape: is empty; Shape of a row"),
    "a gap as text": (data(missing="?"), "dataset.missing: must be a list, found '?'"),
    "one column to drop": (data(drop="id"), "dataset.drop: must be a list, found 'id'"),
    "two weights": (data(weight=["v", "w"]), "dataset.weight: must be text, found ['v', 'w']"),
    "a number for an address": (data(test_source=3), "dataset.test_source: must be text, found 3"),
    "no separator": (data(separator=""), "dataset.separator: is empty; Character between columns"),
    "an address without a host": (
        data(source="https://?token=abc"),
        "https://?token=… is not an address",
    ),
    "a port of letters": (data(source="http://h:x/d.csv"), "cannot be read; check its host and"),
    "no room": ({"limits": {"gib": 0}}, "limits.gib: must be above 0, found 0"),
    "no time": ({"limits": {"minutes": -1}}, "limits.minutes: must be above 0, found -1"),
    "room of text": ({"limits": {"gib": "8 GB"}}, "limits.gib: must be a number, found '8 GB'"),
    "room without end": ({"limits": {"gib": float("inf")}}, "limits.gib: must be a finite number"),
    "a limit misspelt": ({"limits": {"minute": 9}}, "limits.minute: unknown key (did you mean 'm"),
    "more than all": ({"split": {"test": 1.5}}, "split.test: must be below 1, found 1.5"),
    "no test rows": ({"split": {"test": 0}}, "split.test: must be above 0, found 0"),
    "yes": ({"split": {"stratify": "yes"}}, "split.stratify: must be true or false, found 'yes'"),
    "numbers in shares": (
        {**data(task="regression"), "class_weight": REMOVED, "split": {"stratify": True}},
        "split.stratify: a regression task has no classes",
    ),
    "a method": ({"validation": {"method": "loo"}}, "is not one of holdout, kfold"),
    "one fold": ({"validation": {"method": "kfold", "folds": 1}}, "must be at least 2, found 1"),
    "all validate": ({"validation": {"fraction": 1}}, "validation.fraction: must be below 1"),
    "a fraction of folds": (
        {"validation": {"method": "kfold", "fraction": 0.3}},
        "validation.fraction: has no effect, kfold has folds; remove it, or set it to 0.2",
    ),
    "a delta of no patience": (
        knobs(early_stopping_min_delta=0.1),
        "early_stopping_min_delta: has no effect without early_stopping_patience",
    ),
    "a path to fill in": (data(source="my {x}.csv"), "Snakemake takes no path with { or }"),
    "values too long together": (
        knobs(**{f"t{place}": "x" * 200 for place in range(16)}),
        "bytes, and the system allows 4,095; use shorter values or names",
    ),
    "a stream": ({"vary": ["weights"]}, "is not one of init, shuffle, dropout, validation"),
    "scaling": ({"preparation": {"scaling": "z"}}, "is not one of standard, minmax, none"),
    "classes to scale": (
        {"preparation": {"target": "standard"}},
        "preparation.target: a classification task has no numbers to scale; remove it",
    ),
    "no model": ({"model": REMOVED}, "model: missing; Path of the file that holds `build_model`"),
    "no such model": ({"model": "models/mpl.py"}, "models/mpl.py cannot be read"),
    "no hyperparameters": ({"hyperparameters": REMOVED}, "hyperparameters: missing"),
    "a knob that is not taken": (knobs(droput=0.1), "did you mean 'dropout'?"),
    "a knob missing": (knobs(units=REMOVED), "hyperparameters.units: missing; `build_model`"),
    "no epochs": (knobs(epochs=0), "hyperparameters.epochs: must be a whole number above 0"),
    "half an epoch": (knobs(epochs=2.5), "hyperparameters.epochs: must be a whole number"),
    "no batch size": (knobs(batch_size=REMOVED), "hyperparameters.batch_size: missing; rows per"),
    "a batch of text": (knobs(batch_size="all"), "must be a whole number above 0, found 'all'"),
    "a number as text": (knobs(learning_rate=[0.1, "1e-3"]), "write 1.0e-3"),
    "not a number": (knobs(dropout=float("nan")), "nan is not a finite number"),
    "no values": (knobs(units=[]), "hyperparameters.units: the list is empty"),
    "lists in lists in lists": (knobs(units=[[[1]]]), "may hold plain values only"),
    "two ends only": (knobs(units={"linspace": [1, 2]}), "takes [first, last, count]"),
    "a logarithm of 0": (knobs(learning_rate={"logspace": [0, 1, 3]}), "must be above 0"),
    "a range backwards": (knobs(units={"range": [9, 1, 2]}), "check the step's sign"),
    "no such form": (knobs(units={"uniform": [1, 9]}), "is not a form of an axis; known are"),
    "pairs of one": (knobs(zip={"a": [1, 2], "b": [1]}), "a has 2, b has 1"),
    "a rule for nothing": (knobs(exclude=[{"unit": 1}]), "exclude[0].unit: no such hyperparam"),
    "all left out": (knobs(exclude=[{"epochs": 2}]), "no point is left; check `exclude`"),
    "a billion points": (
        knobs(units={"range": [0, 10**9, 1]}),
        "hyperparameters: 2,000,000,000 points, max_points is 20,000: units (1,000,000,000) × "
        "dropout (2); give fewer values, or raise max_points if you mean it",
    ),
    "no name": (knobs(**{"learning rate": 1}), "must be a Python argument name"),
    "a name of the tables": (knobs(val_loss=1), "the tables use this name; choose another"),
    "no patience": (knobs(early_stopping_patience=0), "must be a whole number above 0 or null"),
    "patience misspelt": (knobs(early_stopping_patence=3), "mean 'early_stopping_patience'?"),
    "a negative delta": (knobs(early_stopping_min_delta=-1), "must be 0 or more, found -1"),
    "a number to watch": (knobs(early_stopping_monitor=5), "must be a metric's name"),
    "grids in no list": (knobs(grids={"a": 1}), "must be a list of grids"),
    "a key twice": (knobs(grids=[{"units": 9}]), "units: is given beside `grids` too; keep one"),
    "a very long name": (
        knobs(activation="r" * 300),
        "file systems allow 255; use a shorter value",
    ),
    "weights misspelt": ({"class_weight": "balancd"}, "did you mean 'balanced'?"),
    "a negative weight": ({"class_weight": {"a": -1}}, "class_weight.a: must be at least 0"),
    "weights of text": ({"class_weight": {"a": "heavy"}}, "must be a number, found 'heavy'"),
    "weights of numbers": (data(task="regression"), "task has no classes to weigh; remove it"),
    "a direction": ({"objective": {"metric": "val_loss", "mode": "up"}}, "not one of min, max"),
    "the worst first": (
        {"objective": {"metric": "val_categorical_accuracy"}},
        "objective.mode: is min, but more of val_categorical_accuracy is better; set it to max",
    ),
    "a metric of 3": ({"objective": {"metric": 3}}, "objective.metric: must be text, found 3"),
    "all diverged": ({"objective": {"diverged_above": 0}}, "diverged_above: must be above 0"),
    "cold as text": ({"trainer": {"warm": "no"}}, "trainer.warm: must be true or false"),
    "a trainer's key": ({"trainer": {"wram": True}}, "did you mean 'warm'?"),
    "renewal at once": ({"trainer": {"recycle_trainings": 0}}, "must be at least 1, found 0"),
    "xla": ({"trainer": {"xla": "yes"}}, "trainer.xla: 'yes' is not one of auto, on, off"),
    "a rule": ({"resources": {"trian": {}}}, "did you mean 'train'?"),
    "less than no GPU": ({"resources": {"train": {"gpu": -1}}}, "must be at least 0, found -1"),
    "no threads": ({"resources": {"train": {"threads": 0}}}, "must be at least 1, found 0"),
    "a picture": ({"figures": {"formats": ["gif"]}}, "'gif' is not one of png, svg, pdf"),
    "a scale": (
        {"figures": {"to_scale": ["unit"]}},
        "figures.to_scale[0]: 'unit' is not a hyperparameter here (did you mean 'units'?)",
    ),
    "a scale of words": (
        {
            "figures": {"to_scale": ["activation"]},
            "hyperparameters": {"activation": ["relu", "elu"]},
        },
        "figures.to_scale[0]: activation is not a number in every configuration; remove it",
    ),
    "dots": ({"figures": {"dpi": 10}}, "figures.dpi: must be at least 50, found 10"),
    "a slice of one": (
        {"figures": {"slices": [{"rows": "units", "columns": "units"}]}},
        "rows and columns are both 'units'; name two axes",
    ),
    "a slice of nothing": (
        {"figures": {"slices": [{"rows": "unit", "columns": "dropout"}]}},
        "'unit' is not a hyperparameter here (did you mean 'units'?)",
    ),
    "panels of an axis of the slice": (
        {"figures": {"slices": [{"rows": "units", "columns": "dropout", "panels": "units"}]}},
        "figures.slices[0].panels: 'units' is in this slice already; name another axis",
    ),
    "the objective drawn twice": (
        {"figures": {"metrics": ["val_categorical_accuracy"]}},
        "figures.metrics[0]: val_categorical_accuracy is the objective, which is drawn; remove it",
    ),
    "a metric drawn twice": (
        {"figures": {"metrics": ["loss", "loss"]}},
        "figures.metrics[1]: loss is there already; remove one",
    ),
    "a slice elsewhere": (
        {"figures": {"slices": [{"rows": "epochs", "columns": "dropout", "at": {"units": 9}}]}},
        "9 is not among its values 1, 4",
    ),
}

#: Text of a study → what the message must hold.
TEXTS = {
    "nothing": ("# not yet\n", "hyperparameters: missing"),
    "a list": ("- 1\n- 2\n", "must hold `key: value` lines, found a list"),
    "a bracket": ("hyperparameters: [1\n", "not valid YAML"),
    "a tab": ("hyperparameters:\n\tunits: 1\n", "line 2"),
    "a key given twice": ("seed: 1\nseed: 2\nhyperparameters: {}\n", "line 2: the key 'seed'"),
    "code": ("seed: !!python/object/apply:os.system ['touch ran']\n", "not valid YAML"),
    "latin letters": ("name: Größe\nhyperparameters: {}\n".encode("latin-1"), "save it as UTF-8"),
}

GOOD = "    model = keras.Sequential([keras.Input(input_shape), keras.layers.Dense(outputs)])\n"

#: A model file → what the message must hold, before any job.
MODELS_READ = {
    "not Python": ("def build_model(:\n", "models/own.py, line 1: not valid Python"),
    "no function": ("import keras\n", "has no function `build_model(input_shape, outputs, …)`"),
    "other arguments": ("def build_model(shape, n):\n    pass\n", "must take `input_shape`, `outp"),
    "no knobs": ("def build_model(input_shape, outputs):\n    pass\n", "takes no such hyperparam"),
    "a sibling of no package": (
        "from . import blocks\n\ndef build_model(input_shape, outputs, **knobs):\n    pass\n",
        "models/own.py, line 1: `from . import …`, but this file is not in such a package; "
        "write `import blocks`",
    ),
    "an unknown need": (
        "def build_model(input_shape, outputs, *, depth, **rest):\n    pass\n",
        "hyperparameters.depth: missing; `build_model` in models/own.py requires it",
    ),
}

#: A function's body → what the message must hold, at the first training. Together they are
#: functions of one model file, and a grid has a point for each.
MODELS_BUILT = {
    "raises": ("    raise ValueError('no such depth')\n", "no such depth ("),
    "returns nothing": ("    pass\n", "returned NoneType, not a keras.Model; end it with `return"),
    "returns no model": ("    return 3\n", "returned int, not a keras.Model"),
    "not compiled": (GOOD + "    return model\n", "model.compile(optimizer, loss, metrics) first"),
    "two inputs": (
        "    first, second = keras.Input(input_shape), keras.Input(input_shape)\n"
        "    joined = keras.layers.Concatenate()([first, second])\n"
        "    model = keras.Model([first, second], keras.layers.Dense(outputs)(joined))\n"
        "    model.compile('sgd', 'mse')\n    return model\n",
        "returned a model of 2 inputs, the data has one; take it in by one keras.Input(",
    ),
    "no such loss": (
        GOOD + "    model.compile('sgd', 'mes')\n    return model\n",
        "Could not interpret loss identifier: mes",
    ),
    "an output too wide": (
        GOOD.replace("Dense(outputs)", "Dense(7)")
        + "    model.compile('sgd', 'categorical_crossentropy')\n    return model\n",
        "its output has 7 columns, the data 2 classes; end with Dense(outputs)",
    ),
    "an output of rows": (
        GOOD.replace("keras.layers.Dense(outputs)", "keras.layers.Reshape((30, 1))")
        + "    model.compile('sgd', 'categorical_crossentropy')\n    return model\n",
        "where (rows, outputs) is needed; flatten or pool before the last Dense layer",
    ),
    "too large": (
        GOOD.replace("keras.layers.Dense(outputs)", "keras.layers.Dense(10**10)")
        + "    model.compile('sgd', 'mse')\n    return model\n",
        "needs more memory than there is; choose a smaller network or batch_size",
    ),
}

ROWS = [f"{i},{'xy'[i % 2]}" for i in range(20)]


def table(*rows, header="a,target"):
    return "\n".join([header, *rows]) + "\n"


#: Content of mine.csv, changes to the data's block and to others → what the message must hold.
FILES = {
    "empty": ("", {}, "mine.csv is empty"),
    "a header alone": (table(), {}, "the file has no rows"),
    "a web page": ("<!DOCTYPE html><html></html>", {}, "is a web page, not a table"),
    "one class": (table("1,x", "2,x"), {}, "column 'target' has one class only, 'x'"),
    "all missing": (table(*[",x", ",y"] * 10), {}, "no column is left to predict from"),
    "no such target": (table(*ROWS), {"target": "Target"}, "did you mean 'target'?"),
    "columns twice": (table("1,2,x", header="a,a,target"), {}, "two columns are named 'a'"),
    "thousands": (
        table(*(f'"{i},000",{row[-1]}' for i, row in enumerate(ROWS, 1))),
        {},
        "; if ',' is the decimal sign, set dataset.decimal to ','; if ',' separates thousands, "
        "write the numbers of the file without it: ",
    ),
    "infinite": (table(*ROWS, "inf,x"), {}, "column 'a' is infinite in row 21; correct the file"),
    "a slip": (table(*ROWS, "1o,x"), {}, "holds '1o' among numbers in row 21; correct the file"),
    "an encoding": (table(*ROWS).encode("utf-16"), {}, "dataset.encoding: the file is not utf-8"),
    "no target": (table(*ROWS, "1,"), {}, "column 'target' is missing in row 21"),
    "a wrong sum": (table(*ROWS), {"sha256": "0" * 64}, "the study asks for 000"),
    "a lone row": (table(*ROWS, "1,z"), {}, "class 'z' has one row only; leave it out"),
    "one group": (
        "\n".join(["a,g,target", *(f"{i},p,{'xy'[i % 2]}" for i in range(9))]),
        {"group": "g"},
        "split.test: 0.2 of 9 rows: all rows are of one group",
    ),
    "too large": (table(*ROWS, "1e39,x"), {}, "column 'a' holds 1e+39 in row 21, above 3e38"),
    "ids": (
        table(*(f"p{row}" for row in ROWS)),
        {},
        "different texts, such as 'p",
    ),
    "another kind of test rows": (
        table(*(f"{row},fit" for row in ROWS), "B,x,late", header="a,target,part"),
        {"split": {"column": "part", "test_value": "late"}},
        "column 'a' holds 'B' among numbers in row 21; correct the file",
    ),
    "no flag": (
        table(
            *(f"{row[-1] == 'x'},{row[-1]},fit" for row in ROWS),
            "no,x,late",
            header="a,target,part",
        ),
        {"split": {"column": "part", "test_value": "late"}},
        "column 'a' holds 'no' among true and false in row 21; correct the file",
    ),
    "patients on both sides": (
        table(
            *(f"{row},0{i},fit" for i, row in enumerate(ROWS)),
            "9,x,07,late",
            header="a,target,g,part",
        ),
        {"group": "g", "split": {"column": "part", "test_value": "late"}},
        "dataset.group: '07' is in the training rows and in the given test rows",
    ),
    "cut short": (gzip.compress(table(*ROWS).encode())[:-9], {}, "mine.csv is a damaged archive"),
    "a pointer": ("version https://git-lfs.github.com/spec/v1\n", {}, "run `git lfs pull`"),
    "too much": (
        gzip.compress(table(*ROWS * 99).encode()),
        {"limits": {"gib": 1.0e-6}},
        "GiB; if you trust it, raise limits.gib",
    ),
    "no zip": (table(*ROWS), {"member": "a.csv"}, "is not a zip file; remove the key"),
}


def wrong_arrays(path):
    np.savez(path, x=np.ones((20, 3)), y=np.arange(19))


@pytest.fixture(scope="module")
def study(tmp_path_factory, finished):
    made = copy_of(finished, tmp_path_factory.mktemp("catalogue") / "study")
    yield made
    shutil.rmtree(made.temporary, ignore_errors=True)


def contents(study, *besides):
    """Return a checksum of each file of the finished study."""
    return {
        path: hashlib.sha256(path.read_bytes()).hexdigest()
        for path in study.results.rglob("*")
        if path.is_file() and path.relative_to(study.results).parts[0] not in besides
    }


def refused(study, content, expected, *, besides=()):
    """Run a wrong study; check the message, and that the finished study is unchanged."""
    text = content if isinstance(content, str | bytes) else yaml.safe_dump(content, sort_keys=False)
    file = study.folder / "config" / "config.yaml"
    file.write_bytes(text if isinstance(text, bytes) else text.encode())
    before = contents(study, *besides)
    printed = study.fail()
    assert expected in printed, printed
    assert contents(study, *besides) == before
    return printed


def lines(printed):
    """Return the lines of the message, without Snakemake's line about its profile."""
    return [line for line in printed.splitlines() if line.strip() and "profile" not in line]


#: One case for each part of a study: a wrong key, a wrong type, a wrong value.
QUICK_STUDIES = [
    "a key misspelt",
    "text for a number",
    "a pattern for a folder",
    "no data",
    "a set that is not there",
    "a file that is not there",
    "a password",
    "a long separator",
    "groups in time",
    "no room",
    "more than all",
    "a method",
    "a path to fill in",
    "values too long together",
    "scaling",
    "no such model",
    "a knob that is not taken",
    "a knob missing",
    "a number as text",
    "a range backwards",
    "all left out",
    "a billion points",
    "a very long name",
    "weights misspelt",
    "a direction",
    "the worst first",
    "xla",
    "a rule",
    "a slice of one",
]


@pytest.mark.parametrize("name", cases(STUDIES, QUICK_STUDIES, STUDIES))
def test_a_wrong_study_stops_before_any_job(study, name):
    changes, expected = STUDIES[name]
    printed = refused(study, _without({**TINY, **changes}), expected)
    assert len(lines(printed)) <= 5, printed


@pytest.mark.parametrize("name", cases(TEXTS, ["a bracket", "a key given twice", "code"], TEXTS))
def test_a_file_that_is_not_a_study_stops_before_any_job(study, name):
    content, expected = TEXTS[name]
    printed = refused(study, content, expected)
    assert len(lines(printed)) <= 5, printed
    assert not (study.folder / "ran").exists()


@pytest.mark.parametrize("name", cases(MODELS_READ, ["not Python", "other arguments"], MODELS_READ))
def test_a_wrong_model_file_stops_before_any_job(study, name):
    content, expected = MODELS_READ[name]
    (study.folder / "models" / "own.py").write_text(content)
    case = {**TINY, "model": "models/own.py", **knobs(units=1, dropout=0)}
    printed = refused(study, case, expected)
    assert len(lines(printed)) <= 5, printed


@pytest.mark.slow
def test_models_that_cannot_be_built_fail_their_jobs_with_the_cause(study):
    places = {name: place for place, name in enumerate(MODELS_BUILT)}
    functions = [
        f"def case_{places[name]}(input_shape, outputs):\n{body}"
        for name, (body, _) in MODELS_BUILT.items()
    ]
    chosen = (
        "def build_model(input_shape, outputs, *, case):\n"
        "    return globals()[f'case_{case}'](input_shape, outputs)\n"
    )
    text = "\n\n".join(['"""Networks."""\nimport keras', *functions, chosen])
    (study.folder / "models" / "own.py").write_text(text)
    grid = {"case": list(places.values()), "batch_size": 64, "epochs": 1}
    case = {**TINY, "model": "models/own.py", "hyperparameters": grid}
    count = len(MODELS_BUILT)
    printed = refused(study, case, f"{count} of {count} records failed", besides=("logs",))
    assert f"and {count - MAX_CAUSES} more causes; see the logs" in printed
    _, closing = printed.split("records failed")
    assert sum(expected in closing for _, expected in MODELS_BUILT.values()) == MAX_CAUSES
    logged = {}
    for name, place in places.items():
        (log,) = (study.results / "logs" / "points").rglob(f"case={place}/**/*.log")
        logged[name] = log.read_text()
    assert "models/own.py, line 5)" in logged["raises"]
    silent = {
        name: logged[name]
        for name, (_, expected) in MODELS_BUILT.items()
        if expected not in logged[name]
    }
    assert not silent


@pytest.mark.slow
def test_a_model_file_that_does_not_load_fails_its_job(study):
    text = "import kears\n\ndef build_model(input_shape, outputs, **knobs):\n    pass\n"
    (study.folder / "models" / "own.py").write_text(text)
    case = {**TINY, "model": "models/own.py", **knobs(units=1, dropout=0)}
    refused(study, case, "No module named 'kears'", besides=("logs",))


@pytest.mark.parametrize("name", cases(FILES, ["empty", "no such target"], FILES))
def test_a_wrong_data_file_stops_before_any_training(study, name):
    content, changes, expected = FILES[name]
    file = study.folder / "mine.csv"
    file.write_bytes(content if isinstance(content, bytes) else content.encode())
    changes = dict(changes)
    more = {key: changes.pop(key) for key in ("limits", "split") if key in changes}
    case = {**TINY, **data(source="mine.csv", **changes), "trainer": {"warm": False}, **more}
    refused(study, case, expected, besides=("data", "logs"))


@pytest.mark.slow
def test_wrong_arrays_stop_before_any_training(study):
    wrong_arrays(study.folder / "mine.npz")
    case = {**TINY, **data(source="mine.npz"), "trainer": {"warm": False}}
    refused(study, case, "y has 19 rows, x has 20", besides=("data", "logs"))


#: Arguments of `snakemake` → what the message must hold.
LINES = [
    (["--config", "repetitions=none"], "repetitions: must be a whole number, found 'none'"),
    (["--config", "repetition=3"], "did you mean 'repetitions'?"),
    (["--config", "hyperparameters={units: 1e-3}"], "write 1.0e-3"),
    (["--config", "trainer={warm: maybe}"], "trainer.warm: must be true or false"),
    (["resluts/summary.csv"], "resluts/summary.csv"),
    (["--cores", "none"], "must be integer or 'all'"),
]


@pytest.mark.parametrize(("arguments", "expected"), LINES)
def test_a_wrong_command_line_stops_before_any_job(study, arguments, expected):
    study.write(TINY)
    before = contents(study)
    printed = study.fail(*arguments)
    assert expected in printed, printed
    assert contents(study) == before
