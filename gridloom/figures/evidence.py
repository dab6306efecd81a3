"""The figures of the evidence: effects, ties, curves, cost and stability of a study."""

from __future__ import annotations

import multiprocessing
from collections.abc import Callable, Sequence
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path

import pandas as pd
from matplotlib.figure import Figure

from gridloom.analysis.baselines import read_baselines
from gridloom.analysis.cells import read_csv
from gridloom.analysis.pick import NothingToChooseError, Pick, read_pick
from gridloom.analysis.rounds import Round
from gridloom.figures.cost import draw_cost, read_cost
from gridloom.figures.curves import (
    draw_axis_curves,
    draw_pick_curves,
    read_axis_curves,
    read_histories,
    read_pick_curves,
    training_metric,
)
from gridloom.figures.effects import draw_bars, draw_matrix, read_bars, read_matrix
from gridloom.figures.page import Baseline, Subject
from gridloom.figures.rounds import draw_survivors, read_survivors
from gridloom.figures.stability import draw_stability, read_stability
from gridloom.figures.style import save
from gridloom.figures.ties import draw_ties, read_ties


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


def draw_evidence(
    tables: Tables, subject: Subject, *, dpi: int, files: Sequence[Path], processes: int = 1
) -> None:
    """Draw the figures that files are named after.

    Parameters
    ----------
    dpi
        Dots per inch of PNG files.
    files
        Such as ``ties.png`` or ``curves_units.svg``: the name says what to draw, the suffix in
        which format.
    processes
        Number of processes that draw at once.
    """
    wanted: dict[str, list[Path]] = {}
    for file in files:
        wanted.setdefault(file.stem, []).append(file)
    draws = _draws(tables, subject)
    write = partial(_write, dpi=dpi)
    chosen = [draws[name] for name in wanted]
    if processes == 1:
        list(map(write, chosen, wanted.values()))
    else:
        with ProcessPoolExecutor(processes, multiprocessing.get_context("fork")) as pool:
            list(pool.map(write, chosen, wanted.values()))


def _draws(tables: Tables, subject: Subject) -> dict[str, Callable[[], Figure]]:
    """Return a figure's name → what draws it, for all figures of a study."""
    runs, summary = (read_csv(file, subject.axes) for file in (tables.runs, tables.summary))
    if "partial" in summary:
        subject = replace(subject, title=f"{subject.title}: {summary['partial'].iloc[0]}")
    metric = subject.metric
    effects = read_csv(tables.effects, {})
    try:
        pick = read_pick(tables.best, tables.confirmed, set(summary["point"]))
    except NothingToChooseError:
        pick = None
    measured = read_baselines(tables.baselines, metric, subject.mode, {})
    baselines = [Baseline(one.baseline, one.mean) for one in measured if one.n]
    columns = [name for name in dict.fromkeys([training_metric(metric), metric]) if name in runs]
    keys = ["point", "repetition", "fold", "epoch"]
    history = pd.read_parquet(tables.history, columns=[*keys, *columns])
    histories = read_histories(history, runs, columns)
    draws: dict[str, Callable[[], Figure]] = {
        "effects": partial(draw_bars, read_bars(effects, subject), subject),
        "interactions": partial(draw_matrix, read_matrix(effects, subject), subject),
        "ties": partial(draw_ties, read_ties(summary, runs, pick, baselines, subject), subject),
        "cost": partial(draw_cost, read_cost(summary, pick, baselines, subject), subject),
        "stability": partial(draw_stability, read_stability(summary, subject), subject),
        "curves": partial(
            draw_pick_curves,
            read_pick_curves(histories, summary, pick, baselines, subject),
            subject,
        ),
    }
    for axis in subject.axes:
        of_axis = read_axis_curves(histories, runs, axis, subject)
        draws[f"curves_{axis}"] = partial(draw_axis_curves, of_axis, subject)
    return draws


def _write(draw: Callable[[], Figure], paths: Sequence[Path], dpi: int) -> None:
    figure = draw()
    for path in paths:
        save(figure, path, dpi)


def draw_confirmation(
    rounds: Sequence[Path], best: Path, subject: Subject, *, dpi: int, files: Sequence[Path]
) -> None:
    """Draw who was left after each round of a confirmation.

    Parameters
    ----------
    rounds
        Files of the rounds, in their order.
    best
        The confirmed pick.
    dpi, files
        As for `draw_evidence`; all files show the same figure.
    """
    survivors = read_survivors([Round.read(file) for file in rounds], Pick.read(best), subject)
    _write(partial(draw_survivors, survivors, subject), files, dpi)
