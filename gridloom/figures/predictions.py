"""Figures of a fitted model's predictions for the test rows."""

from __future__ import annotations

import textwrap
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from sklearn.metrics import confusion_matrix, roc_curve

from gridloom.figures.style import SERIES, save, short_name, text_colour

#: Most classes for which the confusion matrix shows numbers.
_MAX_NUMBERED = 20

#: Most targets that have a panel.
_MAX_PANELS = 9

#: Bins of predicted probabilities, of equal width.
_BINS = 10

#: Two-sided 95 % quantile of the normal distribution.
_Z = 1.96

_REFERENCE: dict[str, Any] = {"color": "#999999", "linewidth": 1, "linestyle": "--", "zorder": 0}


@dataclass(frozen=True)
class Predictions:
    """What a model predicts for rows, and their true targets.

    Attributes
    ----------
    target
        Indices of classes, shape (rows,); else labels of 0 or 1, or numbers, shape (rows, names).
    predicted
        Predictions in the same form; None if they are not known.
    probabilities
        Probability of each class, or that each label is 1, shape (rows, names); None if there are
        none.
    names
        Names of the classes, labels or number targets.
    """

    target: np.ndarray
    predicted: np.ndarray | None
    probabilities: np.ndarray | None
    names: Sequence[str]


def draw_all(predictions: Predictions, files: Sequence[Path], *, title: str, dpi: int) -> None:
    """Draw the figure that each file is named after.

    Parameters
    ----------
    files
        Such as ``roc.png``: the name says what to draw, the suffix in which format.
    title
        Title of the study.
    """
    for name, draw in _FIGURES.items():
        paths = [path for path in files if path.stem == name]
        if not paths:
            continue
        figure = draw(predictions)
        figure.suptitle(title, fontsize=10, fontweight="bold")
        for path in paths:
            save(figure, path, dpi)


def confusion(predictions: Predictions) -> Figure:
    """Draw how many rows of each class were predicted as which class."""
    if predictions.predicted is None:
        return _sentence("The loss does not say what outputs mean, so no class is predicted.")
    names, count = predictions.names, len(predictions.names)
    matrix = confusion_matrix(predictions.target, predictions.predicted, labels=range(count))
    rows = matrix.sum(axis=1, keepdims=True)
    shares = np.divide(matrix, rows, out=np.zeros(matrix.shape), where=rows > 0)
    size = float(np.clip(0.55 * count + 2.2, 4.2, 10))
    figure = Figure(figsize=(size + 0.8, size), layout="constrained")
    plot = figure.add_subplot()
    image = plot.imshow(shares, cmap="cividis", vmin=0, vmax=1)
    shown = [short_name(name) for name in names]
    turned = sum(map(len, shown)) * 0.09 > size - 1.5
    alignment: dict[str, Any] = (
        {"rotation": 45, "ha": "right", "rotation_mode": "anchor"} if turned else {}
    )
    plot.set_xticks(range(count), shown, **alignment)
    plot.set_yticks(range(count), shown)
    plot.tick_params(length=0)
    plot.set_xlabel("predicted class")
    plot.set_ylabel("true class")
    plot.spines[:].set_visible(False)
    if count <= _MAX_NUMBERED:
        for row, column in np.ndindex(matrix.shape):
            colour = text_colour(image.cmap(shares[row, column]))
            plot.text(
                column, row, f"{matrix[row, column]:,}", color=colour, ha="center", va="center"
            )
    bar = figure.colorbar(image, ax=plot, label="share of the true class", shrink=0.8)
    bar.outline.set_visible(False)
    plot.set_title(f"predictions for {len(predictions.target):,} test rows", fontsize=8)
    return figure


def roc(predictions: Predictions) -> Figure:
    """Draw the true against the false positive rate at every threshold."""
    if predictions.probabilities is None:
        return _sentence("The loss does not take probabilities, so there is no ROC curve.")
    figure, plot = _square()
    compared = list(_one_against_others(predictions))
    named = len(compared) <= len(SERIES)
    for place, (name, positive, probability) in enumerate(compared):
        false_rate, true_rate, _ = roc_curve(positive, probability)
        area = np.trapezoid(true_rate, false_rate)
        style: dict[str, Any] = (
            {"color": SERIES[place], "label": f"{name} (area {area:.3f})"}
            if named
            else {"color": SERIES[0], "alpha": 0.4}
        )
        plot.plot(false_rate, true_rate, linewidth=1.5, **style)
    plot.plot([0, 1], [0, 1], **_REFERENCE)
    plot.set_xlabel("false positive rate")
    plot.set_ylabel("true positive rate")
    if named and compared:
        plot.legend(loc="lower right", fontsize=8, frameon=False)
    lines = "one curve for each class or label" if len(compared) > 1 else ""
    _subtitle(plot, f"ROC, {len(predictions.target):,} test rows", lines)
    return figure


def calibration(predictions: Predictions) -> Figure:
    """Draw how often predictions of a probability are right, in bins of the probability.

    For two classes, it is the probability of the second class; for more, of the predicted class;
    for labels, of all labels together. Bars are 95 % intervals (Wilson 1927).
    """
    if predictions.probabilities is None:
        return _sentence("The loss does not take probabilities, so there is no calibration.")
    probability, true, across, up = _calibrated(predictions)
    bins = np.minimum((probability * _BINS).astype(int), _BINS - 1)
    counts = np.bincount(bins, minlength=_BINS)
    used = np.flatnonzero(counts)
    mean = np.bincount(bins, probability, _BINS)[used] / counts[used]
    share = np.bincount(bins, true, _BINS)[used] / counts[used]
    low, high = _wilson(share, counts[used])
    figure = Figure(figsize=(4.6, 5.4), layout="constrained")
    plot, below = figure.subplots(2, height_ratios=(4, 1), sharex=True)
    plot.plot([0, 1], [0, 1], **_REFERENCE)
    plot.errorbar(
        mean,
        share,
        np.maximum([share - low, high - share], 0),
        color=SERIES[0],
        linestyle="none",
        marker="o",
        markersize=4,
        capsize=2,
    )
    plot.set_ylabel(up)
    plot.set_ylim(-0.03, 1.03)
    below.bar((np.arange(_BINS) + 0.5) / _BINS, counts, 0.9 / _BINS, color=SERIES[5])
    below.set_xlabel(across)
    below.set_ylabel("predictions")
    below.set_xlim(-0.03, 1.03)
    for axes in (plot, below):
        axes.spines[["top", "right"]].set_visible(False)
    _subtitle(plot, f"calibration, {len(predictions.target):,} test rows", "bars: 95 % intervals")
    return figure


def predicted(predictions: Predictions) -> Figure:
    """Draw predicted against true numbers."""

    def draw(plot: Axes, true: np.ndarray, guess: np.ndarray) -> None:
        ends = [min(true.min(), guess.min()), max(true.max(), guess.max())]
        plot.plot(ends, ends, **_REFERENCE)
        _scatter(plot, true, guess)
        plot.set_xlabel("true")
        plot.set_ylabel("predicted")

    return _panels(predictions, draw, "dashed: predicted = true")


def residuals(predictions: Predictions) -> Figure:
    """Draw residuals, true minus predicted numbers, against predicted numbers."""

    def draw(plot: Axes, true: np.ndarray, guess: np.ndarray) -> None:
        plot.axhline(0, **_REFERENCE)
        _scatter(plot, guess, true - guess)
        plot.set_xlabel("predicted")
        plot.set_ylabel("true - predicted")

    return _panels(predictions, draw, "residuals")


_FIGURES: dict[str, Callable[[Predictions], Figure]] = {
    "confusion": confusion,
    "roc": roc,
    "calibration": calibration,
    "predicted": predicted,
    "residuals": residuals,
}


def _one_against_others(
    predictions: Predictions,
) -> list[tuple[str, np.ndarray, np.ndarray]]:
    """Return, for each class or label, its name, which rows have it, and its probability.

    If there are two classes, only the second has a curve: that of the first is its mirror image. A
    class or label that no row or every row has gets no curve.
    """
    probabilities = predictions.probabilities
    assert probabilities is not None
    if predictions.target.ndim > 1:
        members = predictions.target > 0
    else:
        members = predictions.target[:, None] == np.arange(len(predictions.names))
    places = [1] if predictions.target.ndim == 1 and len(predictions.names) == 2 else None
    return [
        (predictions.names[place], members[:, place], probabilities[:, place])
        for place in places or range(len(predictions.names))
        if 0 < members[:, place].sum() < len(members)
    ]


def _calibrated(predictions: Predictions) -> tuple[np.ndarray, np.ndarray, str, str]:
    """Return probabilities, 1 where the class or label is true else 0, and a name for each axis."""
    probabilities, target = predictions.probabilities, predictions.target
    assert probabilities is not None
    if target.ndim > 1:
        return (
            probabilities.ravel(),
            target.ravel().astype(float),
            "predicted probability of a label",
            "share of rows that have it",
        )
    if len(predictions.names) == 2:
        name = short_name(predictions.names[1])
        return (
            probabilities[:, 1],
            (target == 1).astype(float),
            f"predicted probability of {name}",
            f"share of rows that are {name}",
        )
    largest = probabilities.argmax(axis=1)
    return (
        probabilities.max(axis=1),
        (largest == target).astype(float),
        "probability of the predicted class",
        "share of rows predicted right",
    )


def _wilson(share: np.ndarray, count: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Return the ends of Wilson's 95 % interval of a share of `count` rows."""
    centre = share + _Z**2 / (2 * count)
    half = _Z * np.sqrt(share * (1 - share) / count + _Z**2 / (4 * count**2))
    return (centre - half) / (1 + _Z**2 / count), (centre + half) / (1 + _Z**2 / count)


def _panels(
    predictions: Predictions, draw: Callable[[Axes, np.ndarray, np.ndarray], None], subtitle: str
) -> Figure:
    """Draw a panel for each target."""
    assert predictions.predicted is not None
    count = min(len(predictions.names), _MAX_PANELS)
    columns = min(count, 3)
    rows = -(-count // columns)
    figure = Figure(figsize=(3.4 * columns + 0.8, 3.2 * rows + 0.6), layout="constrained")
    more = len(predictions.names) - count
    for place, name in enumerate(predictions.names[:count]):
        plot = figure.add_subplot(rows, columns, place + 1)
        draw(plot, predictions.target[:, place], predictions.predicted[:, place])
        plot.spines[["top", "right"]].set_visible(False)
        rest = f"; {more} more targets are not drawn" if more and not place else ""
        _subtitle(plot, f"{name}, {len(predictions.target):,} test rows", subtitle + rest)
    return figure


def _scatter(plot: Axes, across: np.ndarray, up: np.ndarray) -> None:
    """Draw a dot for each row; the more rows there are, the paler their dots."""
    alpha = float(np.clip(300 / len(across), 0.05, 0.7))
    plot.scatter(across, up, 14, color=SERIES[0], alpha=alpha, linewidths=0, rasterized=True)


def _square() -> tuple[Figure, Axes]:
    figure = Figure(figsize=(4.6, 4.8), layout="constrained")
    plot = figure.add_subplot(aspect="equal")
    plot.spines[["top", "right"]].set_visible(False)
    return figure, plot


def _subtitle(plot: Axes, *lines: str) -> None:
    plot.set_title("\n".join(filter(None, lines)), fontsize=8)


def _sentence(text: str) -> Figure:
    """Return a figure that says why nothing is drawn."""
    figure = Figure(figsize=(4.6, 1.4), layout="constrained")
    figure.text(0.5, 0.4, textwrap.fill(text, 60), ha="center", va="center", fontsize=9)
    return figure
