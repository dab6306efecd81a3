"""The figures that a study is judged by, from its tables."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from functools import cache, partial
from pathlib import Path

import pandas as pd
from matplotlib.figure import Figure

from gridloom.analysis.baselines import read_baselines
from gridloom.analysis.cells import read_csv
from gridloom.analysis.pick import NothingToChooseError, Pick, read_pick
from gridloom.figures.cost import draw_cost, read_cost
from gridloom.figures.curves import (
    Histories,
    draw_axis_curves,
    draw_pick_curves,
    read_axis_curves,
    read_histories,
    read_pick_curves,
    training_metric,
)
from gridloom.figures.drawing import Drawing, files_of, write_all
from gridloom.figures.effects import draw_bars, draw_matrix, read_bars, read_matrix
from gridloom.figures.numbers import StudyNumbers, by_effect
from gridloom.figures.page import Baseline, Subject
from gridloom.figures.pairs import draw_pairs, read_pairs
from gridloom.figures.stability import draw_stability, read_stability
from gridloom.figures.ties import draw_ties, read_ties
from gridloom.figures.wanted import curve_names
from gridloom.figures.whole_grid import draw_whole_grid, read_whole_grid


@dataclass(frozen=True)
class Tables:
    """Files that the figures are drawn from.

    Attributes
    ----------
    runs, history, summary, effects
        ``runs.csv``, ``history.parquet``, ``summary.csv``, ``effects.csv``.
    best
        ``best.yaml`` of the study.
    confirmed
        The same of its confirmation, if there is one.
    baselines
        ``baselines.csv``; none if the study has none.
    """

    runs: Path
    history: Path
    summary: Path
    effects: Path
    best: Path
    confirmed: Path | None
    baselines: Sequence[Path]


def draw_figures(
    tables: Tables,
    subject: Subject,
    *,
    dpi: int,
    files: Sequence[Path],
    processes: int = 1,
) -> None:
    """Draw the figures that files are named after.

    Parameters
    ----------
    files
        Such as ``ties.png`` or ``curves_units.svg``: the name says what to draw, the suffix in
        which format.
    dpi, processes
        See `gridloom.figures.drawing.write_all`.
    """
    runs, summary = (read_csv(file, subject.axes) for file in (tables.runs, tables.summary))
    try:
        pick = read_pick(tables.best, tables.confirmed, set(summary["point"]))
    except NothingToChooseError:
        pick = None
    study = StudyNumbers(
        summary=summary,
        runs=runs,
        axes=subject.axes,
        metric=subject.metric,
        mode=subject.mode,
        pick=pick.point if pick is not None else None,
        labels=subject.labels,
    )
    subject = replace(subject, title=study.titled(subject.title))
    named = files_of(files)
    kinds = _evidence(tables, subject, study, pick)
    drawings = [Drawing(kinds[name](), own) for name, own in named.items()]
    write_all(drawings, dpi=dpi, processes=processes)


def _evidence(
    tables: Tables, subject: Subject, study: StudyNumbers, pick: Pick | None
) -> dict[str, Callable[[], Callable[[], Figure]]]:
    """Return a figure's name → what reads its numbers and returns what draws them."""
    runs, summary, metric = study.runs, study.summary, subject.metric
    effects = read_csv(tables.effects, {})
    measured = read_baselines(tables.baselines, metric, subject.mode, {})
    baselines = [Baseline(one.baseline, one.mean) for one in measured if one.n]
    columns = [name for name in dict.fromkeys([training_metric(metric), metric]) if name in runs]

    @cache
    def histories() -> Histories:
        keys = ["point", "repetition", "fold", "epoch"]
        history = pd.read_parquet(tables.history, columns=[*keys, *columns])
        return read_histories(history, runs, columns)

    def of_axis(axis: str, others: int) -> Callable[[], Figure]:
        curves = read_axis_curves(histories(), runs, axis, subject)
        return partial(draw_axis_curves, curves, subject, others)

    names = curve_names(list(subject.axes))
    largest = by_effect(effects, list(subject.axes))[: len(names)]
    order = list(subject.axes) if len(names) == len(subject.axes) else largest
    return {
        "effects": lambda: partial(draw_bars, read_bars(effects, subject), subject),
        "interactions": lambda: partial(draw_matrix, read_matrix(effects, subject), subject),
        "ties": lambda: partial(
            draw_ties, read_ties(summary, runs, pick, baselines, subject), subject
        ),
        "cost": lambda: partial(draw_cost, read_cost(summary, pick, baselines, subject), subject),
        "stability": lambda: partial(draw_stability, read_stability(summary, subject), subject),
        "curves": lambda: partial(
            draw_pick_curves,
            read_pick_curves(histories(), summary, pick, baselines, subject),
            subject,
        ),
        # Their numbers take long, and are read where they are drawn.
        "whole_grid": lambda: partial(_draw_whole_grid, study, effects, subject),
        "pairs": lambda: partial(_draw_pairs, study, effects, subject),
        **{
            name: partial(of_axis, axis, len(subject.axes) - len(names))
            for name, axis in zip(names, order, strict=True)
        },
    }


def _draw_whole_grid(study: StudyNumbers, effects: pd.DataFrame, subject: Subject) -> Figure:
    return draw_whole_grid(read_whole_grid(study, effects), study, subject)


def _draw_pairs(study: StudyNumbers, effects: pd.DataFrame, subject: Subject) -> Figure:
    return draw_pairs(read_pairs(study, effects), study, subject)
