"""Promises of the crosscheck: GridSearchCV with plain fits gives the scores of the records."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from gridloom.analysis.observations import Observations, observe
from gridloom.analysis.table import gather
from gridloom.crosscheck import TrainedOn, crosscheck, report, sample
from gridloom.data.description import SplitDescription
from gridloom.data.sources import download
from gridloom.data.split import read_raw, split_rows
from gridloom.errors import ModelError, StudyError
from gridloom.naming.points import point_path
from gridloom.records import write_record
from gridloom.study.dataset import Dataset, Split
from gridloom.training.trainer import Trainer
from tests.made_requests import POINT, ROOT, request_for, setup_for, write_parts

CLASSES = {
    "dataset": Dataset(source="builtin:breast_cancer"),
    "model": ROOT / "models" / "mlp.py",
    "metric": "val_loss",
    "points": [{**POINT, "dropout": dropout} for dropout in (0.3, 0.6)],
    "settings": {"class_weight": "balanced", "validation": {"method": "holdout", "fraction": 0.2}},
}

NUMBERS = {
    "dataset": Dataset(source="builtin:diabetes", task="regression"),
    "model": ROOT / "models" / "regressor.py",
    "metric": "val_mean_absolute_error",
    "points": [
        {
            "batch_size": 64,
            "early_stopping_patience": 1,
            "epochs": 6,
            "l2": 0.01,
            "layers": (4,),
            "learning_rate": 0.3,
        }
    ],
    "settings": {"target": "standard", "validation": {"method": "kfold", "folds": 2}},
}


def study_of(folder, *, dataset, model, metric, points, settings):
    """Train points by the compiled engine; return their observations and what they share."""
    download(dataset.source, format="csv", table=folder / "raw.csv")
    raw = read_raw([folder / "raw.csv"], "csv", dataset, Split())
    write_parts(folder, *split_rows(raw, dataset, Split()), dataset)
    requests = [request_for(folder, model, point, **settings) for point in points]
    trainer, records = Trainer(), []
    for request in requests:
        path = point_path(request.hyperparameters)
        records.append(folder / "points" / "5" / path / "reps=0-1.json")
        write_record(records[-1], trainer.run(request))
    names = sorted(requests[0].hyperparameters)
    runs = gather(records, names, 2, metric, "min").runs
    first = requests[0]
    trained_on = TrainedOn.read(
        first.setup,
        rows_file=first.rows_file,
        split_file=first.split_file,
        model_file=Path(model),
    )
    return observe(runs, dict.fromkeys(names, ()), metric, "min"), trained_on


@pytest.fixture(scope="module", autouse=True)
def set_threads(one_thread):
    """Set the threads before any test here computes."""


@pytest.fixture(scope="module")
def classes(tmp_path_factory):
    return study_of(tmp_path_factory.mktemp("classes"), **CLASSES)


def test_networks_with_dropout_and_class_weights_score_as_their_records(classes):
    observations, trained_on = classes
    compared = crosscheck(observations, trained_on, "val_loss", points=6, repetitions=5)
    assert len(compared) == 4
    assert compared["difference"].abs().max() < 1e-5
    assert np.array_equal(compared["record"], -observations.scores.T.ravel())
    text = report(compared, "val_loss", 0.001, 2)
    assert "**Both ways agree.**" in text
    assert "4 of 4 scores agree to 1e-05" in text


@pytest.mark.slow
def test_folds_early_stopping_and_standardized_targets_score_as_their_records(tmp_path):
    observations, trained_on = study_of(tmp_path, **NUMBERS)
    compared = crosscheck(observations, trained_on, NUMBERS["metric"], points=1, repetitions=2)
    assert compared["record"].between(40, 200).all()
    assert compared["difference"].abs().max() < 1e-5 * compared["record"].min()


def test_records_of_other_seeds_do_not_agree(classes):
    observations, trained_on = classes
    other = replace(trained_on, setup=replace(trained_on.setup, seed=1))
    compared = crosscheck(observations, other, "val_loss", points=2, repetitions=1)
    assert compared["difference"].abs().min() > 1e-3
    text = report(compared, "val_loss", 0.001, 2)
    assert "**Agreement is not shown.**" in text
    assert "0 of 2 scores agree to 1e-05" in text


def test_an_objective_that_is_not_measured_on_held_out_rows_is_refused(classes):
    observations, trained_on = classes
    with pytest.raises(StudyError, match=r"no 'lr'; there are val_categorical_accuracy, val_loss"):
        crosscheck(observations, trained_on, "lr", points=1, repetitions=1)


def test_a_model_file_with_a_pipeline_is_refused(tmp_path):
    model = tmp_path / "piped.py"
    model.write_text(
        (ROOT / "models" / "mlp.py").read_text()
        + "\n\ndef input_pipeline(rows, training, hyperparameters):\n    return rows\n"
    )
    SplitDescription().write(tmp_path / "split.json")
    np.savez(tmp_path / "train.npz", features=np.zeros((2, 1)), target=np.array(["a", "b"]))
    with pytest.raises(ModelError, match=r"piped\.py has an `input_pipeline`"):
        TrainedOn.read(
            setup_for(model),
            rows_file=tmp_path / "train.npz",
            split_file=tmp_path / "split.json",
            model_file=model,
        )


def observed(scores, **axes):
    """Return observations of points, one row of scores each."""
    points = pd.DataFrame(axes, dtype=str)
    points.insert(0, "point", [f"p{place}" for place in range(len(points))])
    values = {name: list(dict.fromkeys(points[name])) for name in axes}
    scores = np.asarray(scores, float)
    return Observations(points, values, np.arange(scores.shape[1]), scores, 1)


def grid(*sizes):
    """Return observations of a complete grid; `sizes` are the numbers of values of its axes."""
    values = np.indices(sizes).reshape(len(sizes), -1)
    return observed(np.zeros((values.shape[1], 2)), **{f"a{i}": v for i, v in enumerate(values)})


def test_a_sample_meets_every_value_of_every_axis_where_it_is_large_enough():
    observations = grid(3, 2, 3, 3, 4)
    chosen = observations.points.loc[sample(observations, 6)]
    for name, values in observations.axes.items():
        assert set(chosen[name]) == set(values)
    assert len(chosen) == 6


def test_a_sample_takes_only_points_whose_trainings_all_have_a_score():
    scores = [[0.5, 0.5], [0.5, np.nan], [np.nan, np.nan], [0.5, 0.6]]
    assert sample(observed(scores, a=[0, 1, 2, 3]), 6).tolist() == [0, 3]
    with pytest.raises(StudyError, match="there is nothing to compare"):
        sample(observed([[np.nan]], a=[0]), 6)


def test_one_axis_of_ten_thousand_values_is_sampled():
    assert len(set(sample(grid(10_000), 6))) == 6


@pytest.mark.parametrize(
    ("scores", "margin", "reason"),
    [
        ([0.5, np.nan], 0.1, "a training by `GridSearchCV` has no finite score"),
        ([0.5], 0.1, "the test needs two configurations or more"),
        ([0.5, 0.5], None, "the study gives no margin; set `pick.close_enough`"),
    ],
)
def test_the_report_says_why_agreement_cannot_be_tested(scores, margin, reason):
    table = pd.DataFrame(
        {
            "point": [f"units={place}" for place in range(len(scores))],
            "repetition": 0,
            "record": 0.5,
            "grid_search_cv": scores,
        }
    )
    compared = table.assign(difference=table["grid_search_cv"] - table["record"])
    text = report(compared, "val_accuracy", margin, 9)
    assert f"**Agreement is not tested**: {reason}" in text
    assert "| units=0 | 0.5 |" in text
