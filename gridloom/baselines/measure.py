"""The table of baselines: simple models with the rows and the metric of the networks."""

from __future__ import annotations

import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from gridloom.analysis.cells import write_csv
from gridloom.baselines.fits import Work, predict
from gridloom.baselines.keras_metric import KerasMetric
from gridloom.data.preparation import PreparedRows
from gridloom.identity.setup import Setup
from gridloom.naming.points import read_path
from gridloom.networks.build import build
from gridloom.study.contract import PIPELINE
from gridloom.study.schema import Baseline
from gridloom.study.seeds import Seeds, training_seeds
from gridloom.training.opening import Inputs
from gridloom.training.request import Request

#: Most repetitions measured: more of them add little about a baseline.
MAX_REPETITIONS = 20


def write_baselines(
    baselines: Sequence[Baseline],
    *,
    setup: Mapping[str, Any],
    point: str,
    repetitions: int,
    objective: str,
    rows_file: str,
    split_file: str,
    model_file: str,
    table: str,
) -> None:
    """Write ``baselines.csv``; a task calls this, so all arguments are values that JSON has.

    Parameters
    ----------
    setup
        As `Setup.as_json` returns it.
    point
        Path of any point of the study.
    repetitions
        Number of repetitions in the study; at most `MAX_REPETITIONS` of them are measured.
    """
    request = Request(
        setup=Setup.from_json(setup),
        hyperparameters=read_path(point),
        repetitions=tuple(range(min(repetitions, MAX_REPETITIONS))),
        rows_file=Path(rows_file),
        split_file=Path(split_file),
        model_file=Path(model_file),
        objective=objective,
    )
    write_csv(measure_baselines(baselines, request), Path(table))


def measure_baselines(baselines: Sequence[Baseline], request: Request) -> pd.DataFrame:
    """Fit and score each baseline in each repetition.

    In each repetition, a baseline gets the same rows to fit on, weights and validation rows as the
    networks, and the compiled network's metric scores it. So their scores can be compared in pairs.

    Parameters
    ----------
    request
        Request for any point of the study; its network defines the metric.

    Returns
    -------
    DataFrame
        A row for each baseline and repetition: `baseline`, `repetition`, the objective by its name
        (mean over folds), `rows_fitted` of `rows`, `seconds`, `note`. If nothing can be measured,
        each baseline has one row, whose `note` says why.
    """
    assert request.objective is not None
    study = _Study(request, Inputs(request))
    why_not = study.why_not()
    if why_not is None:
        rows = [
            {"baseline": baseline, "repetition": repetition, **_measured(baseline, study, parts)}
            for repetition in request.repetitions
            for parts in [study.prepared(repetition)]
            for baseline in baselines
        ]
        rows.sort(key=lambda row: baselines.index(row["baseline"]))
    else:
        note = f"not measured: {why_not}"
        rows = [{"baseline": baseline, "note": note} for baseline in baselines]
    columns = ["baseline", "repetition", "score", "rows_fitted", "rows", "seconds", "note"]
    return pd.DataFrame(rows, columns=columns).rename(columns={"score": request.objective})


@dataclass(frozen=True)
class _Study:
    """The rows that baselines are fitted on, and the network whose metric scores them."""

    request: Request
    inputs: Inputs

    def seeds(self, repetition: int) -> Seeds:
        setup = self.request.setup
        return training_seeds(setup.seed, repetition, setup.vary)

    def prepared(self, repetition: int) -> list[PreparedRows]:
        """Return the rows of each fold of a repetition."""
        return self.inputs.prepared(self.request.setup, self.seeds(repetition).validation)

    @cached_property
    def metric(self) -> KerasMetric:
        first = self.request.repetitions[0]
        shape = self.prepared(first)[0].x_train.shape[1:]
        network = build(
            self.inputs.file.build_model,
            shape,
            self.inputs.rows.outputs,
            self.request.hyperparameters,
            self.seeds(first).init,
            self.inputs.file.state,
        ).model
        return KerasMetric(network, str(self.request.objective), self.inputs.rows.classes)

    def why_not(self) -> str | None:
        """Describe why no baseline can be measured; None if it can."""
        if self.inputs.file.pipeline is not None:
            return f"the model file's `{PIPELINE}` changes the rows before the networks see them"
        return self.metric.why_not()

    @cached_property
    def work(self) -> Work:
        """See `gridloom.baselines.fits.Work`."""
        request, rows = self.request, self.inputs.rows
        outputs = rows.outputs
        folds = request.setup.folds
        classes = None if rows.description.task == "regression" else 0
        if rows.classes is not None:
            classes, outputs = outputs, 1 if outputs == 2 else outputs
        return Work(classes, outputs * folds * len(request.repetitions), request.setup.seed)


def _measured(baseline: Baseline, study: _Study, parts: Sequence[PreparedRows]) -> dict[str, Any]:
    """Fit and score a baseline on each fold of a repetition."""
    started = time.perf_counter()
    scores = [study.metric(predict(baseline, part, study.work), part) for part in parts]
    score = float(np.mean(scores))
    note = study.work.note(baseline, parts[0])
    if not np.isfinite(score):
        note = f"its {study.request.objective} is not a number"
    return {
        "score": score,
        "rows_fitted": len(study.work.rows_to_fit(parts[0])),
        "rows": len(parts[0].x_train),
        "seconds": round(time.perf_counter() - started, 3),
        "note": note,
    }
