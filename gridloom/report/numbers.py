"""The numbers of the page: what its heatmap, tables, charts and dialogs show."""

from __future__ import annotations

import itertools
from collections.abc import Sequence
from typing import Any

import numpy as np
import pandas as pd
import yaml

from gridloom.analysis.adjusted import adjusted_means_of_each
from gridloom.figures.effects import Bars
from gridloom.figures.numbers import (
    MAX_LOST,
    Quantity,
    StudyNumbers,
    count_trainings,
    largest_pairs,
    tied_means,
)
from gridloom.figures.wanted import LARGEST, MAX_AXES
from gridloom.naming.points import read_path
from gridloom.naming.values import table_text
from gridloom.report.arrays import encode

#: Most metrics that the heatmap offers.
MAX_METRICS = 12

#: What a training came to, as the page numbers it.
STATUSES = ("ok", "diverged", "no number", "not trained")


def metrics_of(study: StudyNumbers) -> list[str]:
    """Return what the heatmap offers: the objective first, then what is measured, then costs."""
    objective = study.metric
    costs = ["seconds", "parameters", "diverged", f"{objective}_sd"]
    measured = [
        name
        for name in study.metrics
        if name != objective and not name.endswith("_sd") and name not in costs
    ]
    offered = [objective, *measured[: MAX_METRICS - 1 - len(costs)], *costs]
    return [name for name in offered if name in study.metrics]


def axes_json(study: StudyNumbers) -> list[dict[str, Any]]:
    """Return the axes: name, label, values as texts, and each value as YAML (None: left out)."""
    points = [read_path(path) for path in study.summary["point"]]
    found = []
    for name, texts in study.axes.items():
        yaml_of = {
            table_text(point[name]): as_yaml(point[name]) for point in points if name in point
        }
        found.append(
            {
                "name": name,
                "label": study.called(name),
                "values": list(texts),
                "yaml": [yaml_of.get(text) for text in texts],
            }
        )
    return found


def as_yaml(value: Any) -> str:
    """Return a value as YAML in one line."""
    plain = list(value) if isinstance(value, tuple) else value
    text = yaml.safe_dump(plain, default_flow_style=True, allow_unicode=True, width=10**6)
    return text.removesuffix("\n").removesuffix("\n...")


def fixed_values(study: StudyNumbers) -> dict[str, str]:
    """Return the hyperparameters that all points share, each value as YAML."""
    first = read_path(str(study.summary["point"].iloc[0]))
    return {name: as_yaml(value) for name, value in first.items() if name not in study.axes}


def points_json(study: StudyNumbers) -> dict[str, Any]:
    """Return what the page shows of each of N points, in the order of ``summary.csv``."""
    summary = study.summary
    codes = [
        pd.Categorical(summary[name], categories=list(texts)).codes
        for name, texts in study.axes.items()
    ]
    return {
        "codes": encode(np.stack([*codes, np.zeros(len(summary), int)]).T),
        "rank": encode(summary["rank"].to_numpy(int)),
        "tied": encode(summary["tied_with_best"].to_numpy(bool)),
        "trainings": encode(summary["n_trainings"].to_numpy(int)),
        "lost": encode((summary["n_diverged"] + summary["n_missing"]).to_numpy(int)),
        "expected": encode(summary["expected"].to_numpy(float)),
        "regret": encode(summary["regret_high"].to_numpy(float)),
    }


def metrics_json(
    study: StudyNumbers, names: Sequence[str], pairs: Sequence[tuple[str, str]]
) -> dict[str, Any]:
    """Return each metric's numbers: of the points, and the adjusted means of some pairs of axes.

    Returns
    -------
    dict
        `metrics`: name, label, mode, whether lost trainings are left out, `values` and `errors` of
        the points, `means` and `mean_errors` of the cells of each pair. `tied`: for each pair,
        which cells cannot be told apart from the best by the objective.
    """
    quantities = [study.quantity(name) for name in names]
    means = [_pair_means(study, quantities, pair) for pair in pairs]
    metrics = [
        {
            "name": name,
            "label": quantity.label,
            "mode": quantity.mode,
            "without_lost": quantity.without_lost,
            "values": encode(quantity.values),
            "errors": encode(quantity.errors),
            "means": [encode(values[place]) for values, _, _ in means],
            "mean_errors": [encode(errors[place]) for _, errors, _ in means],
        }
        for place, (name, quantity) in enumerate(zip(names, quantities, strict=True))
    ]
    return {"metrics": metrics, "tied": [encode(tied) for _, _, tied in means]}


def _pair_means(
    study: StudyNumbers, quantities: Sequence[Quantity], pair: tuple[str, str]
) -> tuple[list[np.ndarray], list[np.ndarray], np.ndarray]:
    """Return means and standard errors of a pair's cells for each quantity, and tied cells.

    They are those of `gridloom.figures.numbers.mean_heatmap`.
    """
    columns = [
        np.hstack([quantity.values[:, None], quantity.repetitions]) for quantity in quantities
    ]
    of_each = adjusted_means_of_each(study.summary, np.hstack(columns), study.axes, *pair)
    ends = np.cumsum([each.shape[1] for each in columns])
    parts = np.split(of_each, ends[:-1], axis=-1)
    errors = []
    for part in parts:
        count = part.shape[-1] - 1
        spread = np.full(part.shape[:2], np.nan)
        if count > 1:
            spread = part[..., 1:].std(axis=-1, ddof=1) / np.sqrt(count)
        errors.append(spread)
    trainings, lost = count_trainings(study, study.objective, *pair)
    compared = np.isfinite(parts[0][..., 0]) & (lost <= MAX_LOST * trainings)
    tied = tied_means(parts[0][..., 1:], compared, study.mode)
    return [part[..., 0] for part in parts], errors, tied


def pairs_of(study: StudyNumbers, effects: pd.DataFrame) -> list[tuple[str, str]]:
    """Return the pairs of axes that have means: all, or of many axes those that explain most."""
    if len(study.axes) > MAX_AXES:
        return largest_pairs(effects, list(study.axes), LARGEST)
    return list(itertools.combinations(study.axes, 2))


def trainings_json(study: StudyNumbers) -> dict[str, Any]:
    """Return the trainings of each point: T columns, one a repetition and fold.

    Returns
    -------
    dict
        `repetitions`, `folds`: of each column, counted from 1; `scores`: the objective; `status`:
        places in `STATUSES`; `epochs`: how many were trained.
    """
    runs, points = study.runs, pd.Index(study.summary["point"])
    columns = pd.MultiIndex.from_frame(runs[["repetition", "fold"]])
    known = columns.unique().sort_values()
    place = points.get_indexer(pd.Index(runs["point"])), known.get_indexer(columns)
    shape = (len(points), len(known))
    scores, epochs = np.full(shape, np.nan), np.zeros(shape, int)
    status = np.full(shape, STATUSES.index("not trained"))
    values = runs[study.metric].to_numpy(float)
    finished = (runs["status"] == "ok").to_numpy()
    scores[place] = np.where(finished, values, np.nan)
    epochs[place] = runs["epochs_run"].to_numpy(int)
    status[place] = np.where(finished, np.where(np.isfinite(values), 0, 2), 1)
    return {
        "repetitions": [int(repetition) + 1 for repetition, _ in known],
        "folds": [int(fold) + 1 for _, fold in known],
        "scores": encode(scores),
        "status": encode(status),
        "statuses": STATUSES,
        "epochs": encode(epochs),
    }


def effects_json(bars: Bars) -> list[dict[str, Any]]:
    """Return the bars of the effects."""
    return [
        {
            "name": name,
            "share": number(bars.shares[place]),
            "low": number(bars.lows[place]),
            "high": number(bars.highs[place]),
            "luck": bool(bars.luck[place]),
        }
        for place, name in enumerate(bars.names)
    ]


def number(value: float) -> float | None:
    """Return a number for JSON: five digits, None for NaN."""
    return float(f"{value:.5g}") if np.isfinite(value) else None
