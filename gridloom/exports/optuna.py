"""A study as a storage of Optuna: a trial for each configuration."""

from __future__ import annotations

import json
import math
import warnings
from collections.abc import Iterator, Mapping, Sequence
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

import optuna
from optuna.distributions import (
    BaseDistribution,
    CategoricalDistribution,
    FloatDistribution,
    IntDistribution,
    distribution_to_json,
)

from gridloom.exports.configurations import Configuration, read_configurations
from gridloom.exports.database import insert, write
from gridloom.figures.places import to_scale
from gridloom.identity.setup import Setup
from gridloom.naming.values import Value, table_text
from gridloom.results import Results

#: Whole numbers that Optuna keeps exactly: it keeps all numbers as floats of 64 bits.
_EXACT = 2**53

#: Columns of the summary that a trial has as attributes: what the mean does not say.
_ATTRIBUTES = (
    "rank",
    "expected",
    "tied_with_best",
    "n",
    "n_diverged",
    "n_missing",
    "seconds_mean",
    "parameters",
)


def write_optuna(
    results: Results,
    axes: Mapping[str, Sequence[Value]],
    setup: Setup,
    made: datetime,
    path: Path,
) -> str:
    """Write the results as an SQLite file of Optuna's, and say what it holds.

    A trial's parameters are the axes; its value is the mean of the objective, its intermediate
    values the mean curve. A configuration with a training that diverged or has no number has
    failed.

    Parameters
    ----------
    axes
        Swept hyperparameter → its values.
    setup
        What the trainings were made with.
    made
        When the tables were made: then the trials end.
    """
    optuna.logging.set_verbosity(optuna.logging.WARNING)
    storage = optuna.storages.RDBStorage("sqlite://")
    direction = "maximize" if results.mode == "max" else "minimize"
    study = optuna.create_study(storage=storage, study_name=results.name, direction=direction)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", optuna.exceptions.ExperimentalWarning)
        study.set_metric_names([results.metric])
    configurations = read_configurations(results, [results.metric])
    for number, one in enumerate(configurations):
        if one.is_picked:
            study.set_user_attr("trial taken by the study", number)
    for name, value in {"set-up": setup.name, **setup.as_json()}.items():
        study.set_user_attr(name, value)
    connection = storage.engine.raw_connection()
    _fill(connection.driver_connection, configurations, axes, results.metric, made)
    write(connection.driver_connection, path)
    connection.close()
    lost = sum(one.is_lost for one in configurations)
    return f"{len(configurations):,} trials, of which {lost:,} failed"


def _fill(
    database: Any,
    configurations: Sequence[Configuration],
    axes: Mapping[str, Sequence[Value]],
    metric: str,
    made: datetime,
) -> None:
    """Write the trials of the only study of a database."""
    numbered = list(enumerate(configurations, 1))
    insert(
        database,
        "trials",
        ("trial_id", "number", "study_id", "state", "datetime_start", "datetime_complete"),
        (
            (
                number,
                number - 1,
                1,
                "FAIL" if one.is_lost else "COMPLETE",
                _time(made - timedelta(seconds=one.seconds)),
                _time(made),
            )
            for number, one in numbered
        ),
    )
    insert(
        database,
        "trial_values",
        ("trial_id", "objective", "value", "value_type"),
        (
            (number, 0, one.summary[f"{metric}_mean"], "FINITE")
            for number, one in numbered
            if not one.is_lost
        ),
    )
    choices = {name: _choices(values) for name, values in axes.items()}
    distributions = {name: _distribution(own) for name, own in choices.items()}
    texts = {name: distribution_to_json(own) for name, own in distributions.items()}
    insert(
        database,
        "trial_params",
        ("trial_id", "param_name", "param_value", "distribution_json"),
        (
            (
                number,
                name,
                distributions[name].to_internal_repr(
                    choices[name][table_text(one.hyperparameters[name])]
                ),
                texts[name],
            )
            for number, one in numbered
            for name in axes
            if name in one.hyperparameters
        ),
    )
    insert(
        database,
        "trial_intermediate_values",
        ("trial_id", "step", "intermediate_value", "intermediate_value_type"),
        (
            (number, epoch, value, "FINITE")
            for number, one in numbered
            for epoch, value in enumerate(one.curves.get(metric, []), 1)
            if math.isfinite(value)
        ),
    )
    insert(
        database,
        "trial_user_attributes",
        ("trial_id", "key", "value_json"),
        (
            (number, key, json.dumps(value))
            for number, one in numbered
            for key, value in _attributes(one, axes, metric)
        ),
    )


def _time(moment: datetime) -> str:
    """Return a moment as SQLAlchemy writes it into SQLite, without its zone, UTC."""
    return f"{moment:%Y-%m-%d %H:%M:%S.%f}"


def _choices(values: Sequence[Value]) -> dict[str, Any]:
    """Return each value of an axis, by its text, as Optuna takes it.

    Optuna has no lists and takes 1 for True: of axes with such values, all are texts.
    """
    alike = len(set(values)) < len(values)
    as_text = alike or any(isinstance(value, tuple) for value in values)
    return {table_text(value): table_text(value) if as_text else value for value in values}


def _distribution(choices: Mapping[str, Any]) -> BaseDistribution:
    """Return whole numbers, numbers or categories, as the values of an axis are.

    Numbers are on the scale on which their steps differ less, as in heatmaps to scale.
    """
    values = list(choices.values())
    kinds = {type(value) for value in values}
    if not kinds <= {int, float} or any(abs(value) > _EXACT for value in values):
        return CategoricalDistribution(values)
    log = to_scale(list(choices)).scale == "log"
    kind = IntDistribution if kinds == {int} else FloatDistribution
    return kind(min(values), max(values), log=log)


def _attributes(
    one: Configuration, axes: Mapping[str, Sequence[Value]], metric: str
) -> Iterator[tuple[str, Any]]:
    """Yield what a trial says besides its parameters; no hyperparameter has such a name."""
    for name, value in one.hyperparameters.items():
        if name not in axes:
            yield name, value
    yield f"{metric} by repetition", list(one.scores.values())
    if f"{metric}_se" in one.summary:
        yield "standard error", one.summary[f"{metric}_se"]
    yield from ((name, one.summary[name]) for name in _ATTRIBUTES if name in one.summary)
    yield "taken by the study", one.is_picked
