"""What the figures of the evidence share: sizes, captions, baselines, tables as labels."""

from __future__ import annotations

import textwrap
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from matplotlib.artist import Artist
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.layout_engine import ConstrainedLayoutEngine
from matplotlib.lines import Line2D
from matplotlib.ticker import FuncFormatter, MaxNLocator

from gridloom.analysis.table import RESOLUTION
from gridloom.figures.canvas import PngCanvas
from gridloom.figures.style import COLUMN, SERIES, readable, readable_axis, short_name
from gridloom.naming.metrics import Mode

#: Colours with one meaning in all figures of the evidence.
TIED, OTHERS, PICK, LUCK = SERIES[0], "#a6a6a6", SERIES[1], SERIES[4]

#: How the pick is marked.
PICK_MARK: dict[str, Any] = {
    "marker": "*",
    "markersize": 10,
    "color": PICK,
    "markeredgecolor": "black",
    "markeredgewidth": 0.7,
    "linestyle": "none",
    "zorder": 5,
    "label": "pick",
}

#: Font sizes of the title, of texts in a plot and of the caption, in points.
TITLE, SMALL, CAPTION = 9, 8, 7

#: Margin around a figure, and what a mark takes beside its name in a legend, in inches.
MARGIN, _HANDLE = 0.08, 0.4

#: Font size in points of the rows of a table, and widths in characters that its cells are cut to,
#: of which the first one counts that fits.
TABLE_SIZE, _CELLS = 6.5, (24, 14, 10, 6)

_DASHES = ("--", ":", "-.", (0, (6, 1, 1, 1, 1, 1)))

#: Widths of a character in inches for each point of the font's size: plain, bold, of equal widths.
_WIDTH, _BOLD_WIDTH, _MONO_WIDTH = 0.56 / 72, 0.64 / 72, 0.602 / 72


@dataclass(frozen=True)
class Subject:
    """The study that figures are about.

    Attributes
    ----------
    title
        Its title.
    axes
        Axis → its values as the tables spell them, in the order in which they are drawn.
    metric, mode
        The objective; ``max`` if more is better, else ``min``.
    labels
        The study's own names of metrics and axes.
    """

    title: str
    axes: Mapping[str, Sequence[str]]
    metric: str
    mode: Mode
    labels: Mapping[str, str]

    @property
    def measure(self) -> str:
        """The objective in words."""
        return readable(self.metric, self.labels)

    @property
    def measured(self) -> str:
        """The objective in words, and which end of it is better."""
        return f"{self.measure} ({'higher' if self.mode == 'max' else 'lower'} is better)"

    def name(self, axis: str) -> str:
        """Return an axis in words."""
        return readable_axis(axis, self.labels)


@dataclass(frozen=True)
class Baseline:
    """A simple model, and the mean of the objective over its repetitions."""

    name: str
    score: float


def baseline_lines(
    plot: Axes, baselines: Sequence[Baseline], limits: tuple[float, float], *, upright: bool = False
) -> list[Line2D]:
    """Draw a line for each baseline within the limits, and return a mark of each for the legend.

    Parameters
    ----------
    upright
        Whether the objective is along the bottom.
    """
    marks = []
    for place, baseline in enumerate(baselines):
        style: dict[str, Any] = {
            "color": "#444444",
            "linewidth": 1,
            "linestyle": _DASHES[place % len(_DASHES)],
        }
        seen = limits[0] <= baseline.score <= limits[1]
        if seen:
            (plot.axvline if upright else plot.axhline)(baseline.score, zorder=1, **style)
        text = f"{baseline.name} {baseline.score:.4g}{'' if seen else ' (out of view)'}"
        marks.append(Line2D([], [], label=text, **style))
    return marks


def view(scores: np.ndarray, mode: str, beside: Sequence[float] = ()) -> tuple[float, float]:
    """Return limits of an axis on which differences among good scores can be seen.

    Scores are out of view if they are worse than the median by more than three times what the best
    is better.

    Parameters
    ----------
    scores
        Any shape; NaN is left out.
    mode
        ``max`` if more is better, else ``min``.
    beside
        Other values. Those are within, too, that widen the limits by no more than a half.
    """
    finite = scores[np.isfinite(scores)]
    if not finite.size:
        return 0.0, 1.0
    low, high, median = float(finite.min()), float(finite.max()), float(np.median(finite))
    rounding = RESOLUTION * max(abs(low), abs(high))
    if mode == "max" and high - median > rounding:
        low = float(finite[finite >= median - 3 * (high - median)].min())
    if mode == "min" and median - low > rounding:
        high = float(finite[finite <= median + 3 * (median - low)].max())
    reach = (high - low) / 2
    near = [value for value in beside if low - reach <= value <= high + reach]
    low, high = min([low, *near]), max([high, *near])
    margin = 0.04 * (high - low) or 0.01 * abs(high) or 0.01
    return low - margin, high + margin


def out_of_view(scores: np.ndarray, limits: tuple[float, float]) -> int:
    """Return how many scores lie beyond the limits."""
    return int(((scores < limits[0]) | (scores > limits[1])).sum())


def amount(count: int, noun: str) -> str:
    """Return a number with its noun, such as ``1 repetition`` or ``1,080 trainings``."""
    return f"{count:,} {noun}{'' if count == 1 else 's'}"


def shown(value: str) -> str:
    """Return the text of an axis value; a dash where a configuration does not have the axis."""
    return value or "—"


def as_sentence(note: str) -> str:
    """Return a note as a sentence, such as ``Grey: no value.``."""
    return f"{note[0].upper()}{note[1:]}."


def spread(values: Sequence[str], most: int) -> list[str]:
    """Return the values; of too many, evenly spaced ones, the first and the last among them."""
    places = np.linspace(0, len(values) - 1, min(most, len(values))).round().astype(int)
    return [values[place] for place in places]


@dataclass(frozen=True)
class Table:
    """Rows of a table as texts of equal length, for a font of equal widths.

    Attributes
    ----------
    header, rows
        The texts.
    left_out
        Names of the columns for which there is no room.
    """

    header: str
    rows: Sequence[str]
    left_out: Sequence[str]


def tabulate(columns: Sequence[tuple[str, Sequence[str]]], width: float) -> Table:
    """Arrange columns side by side in `width` inches.

    Parameters
    ----------
    columns
        A name, and a text for each row. Long names and texts are shortened.
    """
    room = int(width / (TABLE_SIZE * _MONO_WIDTH))

    def arranged(length: int) -> list[list[str]]:
        cut = [[short_name(text, length) for text in (name, *texts)] for name, texts in columns]
        return [[text.rjust(max(map(len, cells))) for text in cells] for cells in cut]

    def fits(cells: Sequence[Sequence[str]]) -> bool:
        return sum(len(texts[0]) + 2 for texts in cells) <= room

    cells = next(filter(fits, map(arranged, _CELLS)), arranged(_CELLS[-1]))
    while not fits(cells) and len(cells) > 1:
        cells.pop()
    # A viewer of an SVG joins plain spaces to one.
    header, *rows = [
        "  ".join(parts).replace(" ", "\N{NO-BREAK SPACE}") for parts in zip(*cells, strict=True)
    ]
    return Table(header, rows, [name for name, _ in columns[len(cells) :]])


def label_rows(plot: Axes, table: Table, *, above: float = -1) -> None:
    """Put the rows of a table beside the places 0, 1, … of a plot from the top, and its header.

    Parameters
    ----------
    above
        Place of the header.
    """
    places = [above, *range(len(table.rows))]
    plot.set_yticks(places, [table.header, *table.rows])
    plot.set_ylim(len(table.rows) - 0.4, above - 0.4)
    for label in plot.get_yticklabels():
        label.set_fontfamily("DejaVu Sans Mono")
        label.set_fontsize(TABLE_SIZE)
    plot.get_yticklabels()[0].set_fontweight("bold")
    plot.tick_params(axis="y", length=0)


def bare(plot: Axes) -> None:
    """Take the frame off a plot, but for its axes, and set the size of its texts."""
    plot.spines[["top", "right"]].set_visible(False)
    plot.tick_params(labelsize=SMALL)
    for axis in (plot.xaxis, plot.yaxis):
        axis.label.set_fontsize(SMALL)


def faded(count: int) -> float:
    """Return the opacity of so many dots: the more there are, the paler."""
    return float(np.clip(150 / max(count, 1), 0.1, 0.6))


def few_ticks(plot: Axes, which: str, most: int = 5) -> None:
    """Put few numbers along an axis, each in full: no offset stands beside it."""
    axis = plot.xaxis if which == "x" else plot.yaxis
    axis.set_major_locator(MaxNLocator(most))
    axis.set_major_formatter(FuncFormatter(lambda value, place: f"{value:.6g}"))


def percent(share: float, digits: int = 0) -> str:
    """Return a share in percent, such as ``27 %``."""
    # Rounded first: no number is -0.
    return f"{round(100 * share, digits) + 0:.{digits}f} %"


def number_rows(plot: Axes, places: Sequence[float] | np.ndarray, texts: Sequence[str]) -> None:
    """Write a text to the right of each place of a plot."""
    beside = plot.secondary_yaxis("right")
    beside.set_yticks(places, texts)
    beside.tick_params(length=0, labelsize=CAPTION)
    beside.spines["right"].set_visible(False)


def finish(
    figure: Figure,
    subject: Subject,
    heading: str,
    *sentences: str,
    marks: Sequence[Artist] = (),
) -> Figure:
    """Add title, legend and caption to the plots of a figure, and arrange it once for all files.

    Parameters
    ----------
    heading, sentences, marks
        See `frame`.
    """
    rect = frame(figure, subject, heading, *sentences, marks=marks)
    if figure.axes:
        # It keeps what it measures, for the PNG.
        PngCanvas(figure)
        layout = ConstrainedLayoutEngine(rect=rect)
        figure.set_layout_engine(layout)
        # Once, not for each file: this takes as long as drawing.
        layout.execute(figure)
        figure.set_layout_engine("none")
    return figure


def frame(
    figure: Figure,
    subject: Subject,
    heading: str,
    *sentences: str,
    marks: Sequence[Artist] = (),
) -> tuple[float, float, float, float]:
    """Add title, legend and caption to a figure, which grows by their height.

    Parameters
    ----------
    heading
        What is drawn.
    sentences
        The caption; empty ones are left out.
    marks
        What the legend explains; it stands between title and plots, where it hides nothing.

    Returns
    -------
    rect
        What is left for the plots, as high as the figure was: left, bottom, width, height, each as
        a share of the figure.
    """
    width = figure.get_figwidth() - 2 * MARGIN
    title = _wrapped(f"{subject.title}: {heading}", TITLE * _BOLD_WIDTH, width)
    words = " ".join(filter(None, sentences)).replace(" %", "\N{NO-BREAK SPACE}%")
    caption = _wrapped(words, CAPTION * _WIDTH, width)
    longest = max((len(str(mark.get_label())) for mark in marks), default=0)
    columns = max(int(width / (longest * CAPTION * _WIDTH + _HANDLE)), 1)
    above = MARGIN + _height(title, TITLE)
    legend = -(-len(marks) // columns) * CAPTION * 1.5 / 72 + 0.04
    below = MARGIN + _height(caption, CAPTION)
    height = figure.get_figheight() + above + legend + below
    figure.set_figheight(height)
    left = MARGIN / figure.get_figwidth()
    figure.text(
        left, 1 - MARGIN / height, title, fontsize=TITLE, fontweight="bold", va="top", ha="left"
    )
    figure.text(left, MARGIN / height, caption, fontsize=CAPTION, va="bottom", ha="left")
    if marks:
        figure.legend(
            handles=marks,
            loc="upper left",
            bbox_to_anchor=(left, 1 - above / height),
            ncols=columns,
            fontsize=CAPTION,
            frameon=False,
            borderaxespad=0,
            borderpad=0.2,
            handlelength=1.8,
            columnspacing=1.2,
        )
    return left, below / height, 1 - 2 * left, 1 - (above + legend + below) / height


def _wrapped(text: str, character: float, width: float) -> str:
    """Break a text into lines of a width; both in inches."""
    return textwrap.fill(text, max(int(width / character), 10))


def _height(text: str, size: float) -> float:
    """Return the height of lines of text, in inches."""
    return (text.count("\n") + 1) * size * 1.25 / 72 if text else 0.0


def sentence(subject: Subject, heading: str, reason: str) -> Figure:
    """Return a figure that says why nothing is drawn."""
    return finish(Figure(figsize=(COLUMN, 0.1)), subject, heading, reason)
