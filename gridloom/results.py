"""The results of a study, for notebooks: tables, the pick, figures. It only reads.

``gridloom.open("results")`` returns them; nothing large is imported before.
"""

from __future__ import annotations

import html
from collections.abc import Mapping, Sequence
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal, get_args

import pandas as pd

from gridloom.analysis.cells import read_csv
from gridloom.analysis.pick import NothingToChooseError, Pick, read_pick
from gridloom.errors import StudyError, nearest
from gridloom.naming.values import canonical, table_text
from gridloom.report.description import FILE, Description
from gridloom.study.schema import Study

if TYPE_CHECKING:
    from matplotlib.figure import Figure

    from gridloom.figures.numbers import StudyNumbers
    from gridloom.fitted.model import FittedModel


def open_results(folder: str | Path = "results") -> Results:
    """Open the results of a finished, confirmed or partial study.

    Parameters
    ----------
    folder
        Such as ``results``, or ``results/partial`` after `snakemake partial`.

    Raises
    ------
    StudyError
        If there are none.

    Examples
    --------
    >>> import gridloom
    >>> study = gridloom.open("results")  # doctest: +SKIP
    >>> study.best.hyperparameters  # doctest: +SKIP
    {'activation': 'linear', 'batch_size': 16, ...}
    """
    described = Description.read(Path(folder) / FILE)
    return Results(Path(folder), described.study, described.confirmed)


_Kind = Literal["mean", "best", "slice"]


class Results:
    """The results of a study.

    Parameters
    ----------
    folder
        Folder of the tables.
    study
        The study.
    confirmed
        File of the confirmed pick; it need not exist.
    """

    def __init__(self, folder: Path, study: Study, confirmed: Path) -> None:
        self.folder = folder
        self._study = study
        self._confirmed = confirmed
        self._texts = study.grid.texts

    # --- What the study is

    @property
    def name(self) -> str:
        """Title of the study."""
        return self._study.name

    @property
    def metric(self) -> str:
        """The objective, such as ``val_accuracy``."""
        return self._study.objective.metric

    @property
    def mode(self) -> Literal["min", "max"]:
        """``max`` if more of the objective is better, else ``min``."""
        return self._study.objective.mode

    @cached_property
    def axes(self) -> dict[str, list[Any]]:
        """Swept hyperparameter → its values, in the order of the study."""
        by_text = self._values_by_text
        return {
            name: [by_text[name].get(text) for text in self._texts[name]] for name in self._texts
        }

    @property
    def partial(self) -> str | None:
        """How much is finished, such as ``412 of 1,080 trainings``; None if all is."""
        table = self._summary
        return str(table["partial"].iloc[0]) if "partial" in table else None

    # --- Tables

    @cached_property
    def summary(self) -> pd.DataFrame:
        """One row a configuration, as ``summary.csv``; swept hyperparameters with their types."""
        return self._typed(self._summary)

    @cached_property
    def runs(self) -> pd.DataFrame:
        """One row a training, as ``runs.csv``; swept hyperparameters with their types."""
        return self._typed(self._runs)

    @cached_property
    def history(self) -> pd.DataFrame:
        """One row a training and epoch: point, repetition, fold, epoch, each metric."""
        return pd.read_parquet(self._file("history.parquet"))

    @cached_property
    def effects(self) -> pd.DataFrame:
        """How much of the differences each effect explains, as ``effects.csv``."""
        return read_csv(self._file("effects.csv"), {})

    # --- The answer

    @property
    def best(self) -> Pick:
        """The pick: by `snakemake confirm` if it is done, else by the study.

        Raises
        ------
        StudyError
            If no training has a score.
        """
        confirmed = self._confirmed if self._confirmed.exists() else None
        return read_pick(self._file("best.yaml"), confirmed, set(self._summary["point"]))

    @property
    def tied(self) -> pd.DataFrame:
        """The rows of `summary` that cannot be told apart from the best, the best mean first."""
        tied = self.summary[self.summary["tied_with_best"]]
        return tied.sort_values("rank", kind="stable").reset_index(drop=True)

    @property
    def verdict(self) -> str:
        """What the study found, as Markdown."""
        return self._file("verdict.md").read_text(encoding="utf-8")

    def model(self) -> FittedModel:
        """Load the model that `snakemake refit` fitted; this runs its code.

        Raises
        ------
        ModelError
            If there is none.
        """
        from gridloom.fitted.card import Card
        from gridloom.fitted.model import FittedModel
        from gridloom.workers.process import set_libraries

        set_libraries(Card.read(self.folder / "model").setup.onednn)
        return FittedModel.load(self.folder / "model")

    # --- Figures

    def heatmap(
        self,
        rows: str,
        columns: str,
        *,
        metric: str | None = None,
        kind: _Kind = "mean",
        at: Mapping[str, Any] | None = None,
    ) -> Figure:
        """Draw a pair of axes.

        Parameters
        ----------
        rows, columns
            Axes down the side and along the bottom.
        metric
            What it shows; by default the objective. `metrics` lists what there is.
        kind
            The mean over the other axes, the best configuration of each cell, or a slice.
        at
            Slices: axis → the value it is held at; the others stay at the pick's.

        Raises
        ------
        StudyError
            If there is no such axis, value or metric.
        """
        from gridloom.figures.cells import colour_scale
        from gridloom.figures.heatmaps import draw
        from gridloom.figures.numbers import heatmaps_of
        from gridloom.figures.wanted import Wanted

        held = {name: table_text(canonical(value)) for name, value in (at or {}).items()}
        for name in (rows, columns, *held):
            self._require_axis(name)
        for name, text in held.items():
            if text not in self._texts[name]:
                known = ", ".join(self._texts[name])
                raise StudyError(f"{name} has no value {text}; it has {known}")
        if rows == columns:
            raise StudyError(f"rows and columns are both {rows}; name two axes")
        if kind not in get_args(_Kind):
            raise StudyError(f"kind is {kind!r}, must be {', '.join(get_args(_Kind))}")
        if held and (kind != "slice" or {rows, columns} & held.keys()):
            raise StudyError("at: only a slice has it, for axes besides rows and columns")
        numbers = self._numbers
        if metric is not None and metric not in numbers.metrics:
            raise StudyError(
                f"there is no metric {metric!r}{nearest(metric, numbers.metrics)}; there are "
                f"{', '.join(numbers.metrics)}"
            )
        quantity = numbers.quantity(metric or self.metric)
        wanted = Wanted(kind, metric or self.metric, "", rows, columns, at=held)
        panels = heatmaps_of(numbers, wanted, quantity)
        return draw(panels, colour_scale(panels, quantity.mode), numbers.words(self.name, quantity))

    @property
    def metrics(self) -> list[str]:
        """What `heatmap` can show."""
        return self._numbers.metrics

    def curves(self, axis: str | None = None) -> Figure:
        """Draw learning curves: of the pick among those tied with it, or of each value of an axis.

        Raises
        ------
        StudyError
            If there is no such axis.
        """
        from gridloom.figures.curves import (
            draw_axis_curves,
            draw_pick_curves,
            read_axis_curves,
            read_histories,
            read_pick_curves,
            training_metric,
        )
        from gridloom.figures.page import Subject

        names = dict.fromkeys([training_metric(self.metric), self.metric])
        columns = [name for name in names if name in self._runs]
        histories = read_histories(self.history, self._runs, columns)
        subject = Subject(
            self.name, self._texts, self.metric, self.mode, self._study.figures.labels
        )
        if axis is not None:
            self._require_axis(axis)
            return draw_axis_curves(read_axis_curves(histories, self._runs, axis, subject), subject)
        drawn = read_pick_curves(histories, self._summary, self._pick, [], subject)
        return draw_pick_curves(drawn, subject)

    # --- In a notebook

    def __repr__(self) -> str:
        count = f"{len(self._summary):,} configurations"
        return f"<gridloom.Results {self.name!r}: {self.partial or count}, {self.metric}>"

    def _repr_html_(self) -> str:
        """Return the first sentences of the verdict, and the best configurations."""
        metric, rows = self.metric, self._summary.sort_values("rank", kind="stable").head(5)
        head = "".join(
            f"<th>{html.escape(name)}</th>"
            for name in ("rank", *self._texts, metric, "± se", "expect")
        )
        body = "".join(
            "<tr>"
            + "".join(
                f"<td>{html.escape(text)}</td>"
                for text in (
                    f"{row['rank']}",
                    *(str(row[name]) for name in self._texts),
                    *(f"{row[key]:.4g}" for key in (f"{metric}_mean", f"{metric}_se", "expected")),
                )
            )
            + "</tr>"
            for row in rows.to_dict("records")
        )
        said = "".join(f"<li>{html.escape(line[2:])}</li>" for line in self._sentences()[:3])
        note = f"<p>Partial: {html.escape(self.partial)}.</p>" if self.partial else ""
        return (
            f"<h3>{html.escape(self.name)}</h3>{note}<ul>{said}</ul>"
            f"<table><thead><tr>{head}</tr></thead><tbody>{body}</tbody></table>"
        )

    def _sentences(self) -> list[str]:
        lines = self.verdict.splitlines()
        return [line.replace("**", "").replace("`", "") for line in lines if line.startswith("- ")]

    # --- Reading

    def _file(self, name: str) -> Path:
        file = self.folder / name
        if not file.exists():
            raise StudyError(f"{file} does not exist; run `snakemake`, which makes it")
        return file

    @cached_property
    def _summary(self) -> pd.DataFrame:
        return read_csv(self._file("summary.csv"), self._texts)

    @cached_property
    def _runs(self) -> pd.DataFrame:
        return read_csv(self._file("runs.csv"), self._texts)

    @property
    def _pick(self) -> Pick | None:
        try:
            return self.best
        except NothingToChooseError:
            return None

    @cached_property
    def _numbers(self) -> StudyNumbers:
        from gridloom.figures.numbers import StudyNumbers

        return StudyNumbers(
            summary=self._summary,
            runs=self._runs,
            axes=self._texts,
            metric=self.metric,
            mode=self.mode,
            pick=None if self._pick is None else self._pick.point,
            labels=self._study.figures.labels,
        )

    @cached_property
    def _values_by_text(self) -> dict[str, dict[str, Any]]:
        """Axis → its text in the tables → the value."""
        return {
            name: dict(zip(self._texts[name], values, strict=False))  # one may lack a value
            for name, values in self._study.grid.axes.items()
        }

    def _typed(self, table: pd.DataFrame) -> pd.DataFrame:
        """Return a table with swept hyperparameters as numbers and other values, not texts."""
        columns = {
            name: table[name].map(self._values_by_text[name]).infer_objects()
            for name in self._texts
        }
        return table.assign(**columns)

    def _require_axis(self, name: str) -> None:
        if name not in self._texts:
            known: Sequence[str] = list(self._texts)
            raise StudyError(
                f"there is no axis {name!r}{nearest(name, known)}; there are {', '.join(known)}"
            )
