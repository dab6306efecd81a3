"""The page: a study's tables and verdict as one HTML file that needs no network."""

from __future__ import annotations

import base64
import hashlib
import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pandas as pd
from jinja2 import Environment, FileSystemLoader, StrictUndefined
from jinja2.utils import htmlsafe_json_dumps

from gridloom.analysis.cells import read_csv
from gridloom.analysis.divergence import divergence_shares
from gridloom.analysis.pick import NothingToChooseError, Pick, read_pick
from gridloom.analysis.table import RESOLUTION
from gridloom.data.description import SplitDescription
from gridloom.errors import RecordError
from gridloom.figures.curves import read_histories, training_metric
from gridloom.figures.effects import read_bars
from gridloom.figures.numbers import MAX_LOST, StudyNumbers, by_effect, largest_pairs
from gridloom.figures.page import Subject, amount
from gridloom.figures.wanted import MAX_AXES
from gridloom.files import write_text
from gridloom.records import Record, read_record
from gridloom.report import assets, prose
from gridloom.report.curves import axis_curves, point_curves
from gridloom.report.numbers import (
    axes_json,
    effects_json,
    fixed_values,
    metrics_json,
    metrics_of,
    pairs_of,
    points_json,
    trainings_json,
)
from gridloom.study.schema import Study

#: Most characters of all numbers of the page; the curves take what the others leave. With the
#: libraries, the page of 10,000 configurations then has less than 5 MB.
MAX_CHARACTERS = 3_700_000


@dataclass(frozen=True)
class Sources:
    """The files that a page is made from.

    Attributes
    ----------
    runs, history, summary, effects
        ``runs.csv``, ``history.parquet``, ``summary.csv``, ``effects.csv``.
    best, verdict, following
        ``best.yaml``, ``verdict.md``, ``next.yaml``.
    confirmed
        The pick of `snakemake confirm`, if there is one.
    data
        Folder of the rows; it may be lost.
    points
        Folder of the records.
    """

    runs: Path
    history: Path
    summary: Path
    effects: Path
    best: Path
    verdict: Path
    following: Path
    confirmed: Path | None
    data: Path
    points: Path


def write_report(
    sources: Sources,
    study: Study,
    output: Path,
    *,
    arguments: Sequence[str],
    failed: Mapping[str, str] = {},
) -> None:
    """Write the page, atomically.

    Parameters
    ----------
    arguments
        With which `snakemake` reads this study.
    failed
        Record that a failed job should have made → why it failed.
    """
    axes = study.grid.texts
    metric, mode = study.objective.metric, study.objective.mode
    labels = study.figures.labels
    runs, summary = (read_csv(file, axes) for file in (sources.runs, sources.summary))
    effects = read_csv(sources.effects, {})
    pick = _pick(sources, summary)
    numbers = StudyNumbers(
        summary=summary,
        runs=runs,
        axes=axes,
        metric=metric,
        mode=mode,
        pick=None if pick is None else pick.point,
        labels=labels,
    )
    subject = Subject(study.name, axes, metric, mode, labels)
    bars = read_bars(effects, subject)
    split = _split(sources)
    failures, more_failures = prose.failures(study.results, failed, list(axes), arguments)
    page = _Page(
        title=study.name,
        partial=str(summary["partial"].iloc[0]) if "partial" in summary else "",
        measured=subject.measured,
        metric_label=subject.measure,
        axes=[(numbers.called(name), list(values)) for name, values in axes.items()],
        verdict=prose.verdict_html(sources.verdict.read_text(encoding="utf-8")),
        card=prose.study_card(study, split, summary, float(runs["seconds"].sum())),
        effects=prose.effect_sentences(bars),
        lost=prose.lost_by_value(
            divergence_shares(summary, axes), {name: numbers.called(name) for name in axes}
        ),
        trainings=len(runs),
        lost_trainings=int((summary["n_diverged"] + summary["n_missing"]).sum()),
        failures=failures,
        more_failures=amount(more_failures, "further job") if more_failures else "",
        following=sources.following.read_text(encoding="utf-8"),
        provenance=prose.provenance(
            study,
            split,
            sources.data / "raw.json",
            _record(sources, pick),
            sources.points.name,
            arguments,
        ),
        config=prose.config_text(study),
    )
    write_text(output, render(page, _numbers(numbers, subject, bars, effects, pick, sources)))


@dataclass(frozen=True)
class _Page:
    """What the template says; all plain text but the verdict."""

    title: str
    partial: str
    measured: str
    metric_label: str
    axes: Sequence[tuple[str, Sequence[str]]]
    verdict: str
    card: Sequence[prose.Fact]
    effects: Sequence[str]
    lost: Sequence[tuple[str, str]]
    trainings: int
    lost_trainings: int
    failures: Sequence[prose.Failure]
    more_failures: str
    following: str
    provenance: Sequence[prose.Fact]
    config: str


def _pick(sources: Sources, summary: pd.DataFrame) -> Pick | None:
    try:
        return read_pick(sources.best, sources.confirmed, set(summary["point"]))
    except NothingToChooseError:
        return None


def _split(sources: Sources) -> SplitDescription | None:
    file = sources.data / "split.json"
    return SplitDescription.read(file) if file.exists() else None


def _record(sources: Sources, pick: Pick | None) -> Record | None:
    """Return a record of the pick: it notes the machine and the versions."""
    if pick is None:
        return None
    for file in sorted((sources.points / pick.point).glob("reps=*.json")):
        try:
            return read_record(file)
        except RecordError:
            continue
    return None


def _numbers(
    numbers: StudyNumbers,
    subject: Subject,
    bars: Any,
    effects: pd.DataFrame,
    pick: Pick | None,
    sources: Sources,
) -> dict[str, Any]:
    """Return what the page's script reads."""
    metric = numbers.metric
    columns = [
        name for name in dict.fromkeys([training_metric(metric), metric]) if name in numbers.runs
    ]
    keys = ["point", "repetition", "fold", "epoch"]
    history = pd.read_parquet(sources.history, columns=[*keys, *columns])
    histories = read_histories(history, numbers.runs, columns)
    points = pd.Index(numbers.summary["point"])
    order = pd.Index(numbers.summary.sort_values("rank", kind="stable")["point"])
    pairs = pairs_of(numbers, effects)
    names = list(numbers.axes)
    all_but_curves = {
        "axes": axes_json(numbers),
        "fixed": fixed_values(numbers),
        "points": points_json(numbers),
        "pick": None if pick is None else int(points.get_loc(pick.point)),
        "pairs": [[names.index(rows), names.index(columns)] for rows, columns in pairs],
        "first_pair": [
            [names.index(rows), names.index(columns)]
            for rows, columns in largest_pairs(effects, names, 1)
        ],
        "max_lost": MAX_LOST,
        "resolution": RESOLUTION,
        **metrics_json(numbers, metrics_of(numbers), pairs),
        "trainings": trainings_json(numbers),
        "axis_curves": axis_curves(
            histories, numbers.runs, by_effect(effects, names)[:MAX_AXES], subject
        ),
        "effects": effects_json(bars),
    }
    room = MAX_CHARACTERS - len(_json(all_but_curves))
    curves = point_curves(histories, metric, order, room)
    return {**all_but_curves, "curves": curves.as_json(points)}


def _json(values: Any) -> str:
    return htmlsafe_json_dumps(values, separators=(",", ":"), allow_nan=False)


def render(page: _Page, numbers: dict[str, Any]) -> str:
    """Fill the template; a strict policy keeps every page from the network and from `eval`."""
    environment = Environment(
        loader=FileSystemLoader(assets.PAGE),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
        keep_trailing_newline=True,
    )
    libraries = assets.libraries()
    scripts = [_text(library.path) for library in libraries if library.file.endswith(".js")]
    scripts.append(_text(assets.PAGE / "report.js"))
    styles = [_text(library.path) for library in libraries if library.file.endswith(".css")]
    styles.append(_text(assets.PAGE / "report.css"))
    charts = {
        file.name.removesuffix(".vl.json"): json.loads(_text(file))
        for file in sorted(assets.PAGE.glob("*.vl.json"))
    }
    return environment.get_template("report.html").render(
        page=page,
        libraries=libraries,
        scripts=scripts,
        styles=styles,
        policy=_policy(scripts),
        numbers=_json(numbers),
        charts=_json(charts),
    )


def _policy(scripts: Sequence[str]) -> str:
    """Return the Content Security Policy: these scripts run, nothing else, nothing is fetched.

    Styles may be inline, as DataTables sets the widths of columns.
    """
    hashes = [
        base64.b64encode(hashlib.sha256(script.encode()).digest()).decode() for script in scripts
    ]
    allowed = " ".join(f"'sha256-{one}'" for one in hashes)
    return (
        f"default-src 'none'; script-src {allowed}; style-src 'unsafe-inline'; img-src data:; "
        "base-uri 'none'; form-action 'none'"
    )


def _text(path: Path) -> str:
    return path.read_text(encoding="utf-8")
