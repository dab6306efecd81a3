"""The style of all figures, safe for colour-blind readers."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path

import matplotlib
import numpy as np
from matplotlib.figure import Figure

from gridloom.figures.canvas import PngCanvas, write_svg
from gridloom.files import atomic_path

#: Colour maps in which equal steps in value look equal, also in grey and to colour-blind readers.
#: The bright end is better, whether more or less is better.
COLOUR_MAPS = {"max": "cividis", "min": "cividis_r"}

#: Colours of lines and points that colour-blind readers can tell apart (Okabe & Ito 2008).
SERIES = ("#0072b2", "#d55e00", "#009e73", "#cc79a7", "#e69f00", "#56b4e9", "#000000")

#: Colour of cells without a value.
MISSING = "#d9d9d9"

#: Widths in inches at which figures are printed: a column of a two-column page, and the whole page.
COLUMN, PAGE = 3.5, 7.0

#: Characters of a name that are drawn.
_MAX_NAME = 20

#: What figures call Keras's metrics, where their names with spaces are not plain words.
_METRICS = {
    "acc": "accuracy",
    "auc": "AUC",
    "binary_accuracy": "accuracy",
    "categorical_accuracy": "accuracy",
    "f1_score": "F1 score",
    "mae": "mean absolute error",
    "mape": "mean absolute percentage error",
    "mse": "mean squared error",
    "r2_score": "R²",
    "sparse_categorical_accuracy": "accuracy",
    "sparse_top_k_categorical_accuracy": "top-k accuracy",
    "top_k_categorical_accuracy": "top-k accuracy",
}

#: What figures call the columns of the tables that are no metrics.
_COLUMNS = {
    "diverged": "share of trainings lost",
    "parameters": "parameters",
    "seconds": "seconds a training",
}

matplotlib.rcParams.update(
    {
        # DejaVu Sans ships with matplotlib, so that it is the same on every machine. A viewer of an
        # SVG without it takes Verdana, whose letters are as wide.
        "font.family": "sans-serif",
        "font.sans-serif": ["DejaVu Sans", "Verdana"],
        "font.size": 9,
        "axes.titlesize": 10,
        "hatch.linewidth": 0.7,
        # A dollar sign in a name is one, not the beginning of a formula.
        "text.parse_math": False,
        # Text stays text, to be searched and edited.
        "svg.fonttype": "none",
        "pdf.fonttype": 42,
        # Without this, names inside an SVG are random, and two runs would differ.
        "svg.hashsalt": "gridloom",
    }
)


def readable(metric: str, labels: Mapping[str, str]) -> str:
    """Return what figures call a metric, or `parameters`, `seconds`, `diverged`, ``<metric>_sd``.

    `labels` are the study's own names, ``figures.labels``; where it has none, Keras's words become
    plain ones. Each figure names its metrics with this function, so that all use the same words.

    Examples
    --------
    >>> readable("val_categorical_accuracy", {})
    'validation accuracy'
    >>> readable("loss", {})
    'training loss'
    >>> readable("val_loss", {"val_loss": "cross-entropy"})
    'cross-entropy'
    >>> readable("val_loss_sd", {})
    'sd of validation loss over repetitions'
    """
    if metric in labels:
        return labels[metric]
    if metric.endswith("_sd"):
        return f"sd of {readable(metric.removesuffix('_sd'), labels)} over repetitions"
    if metric in _COLUMNS:
        return _COLUMNS[metric]
    rows = "validation" if metric.startswith("val_") else "training"
    name = metric.removeprefix("val_")
    return f"{rows} {_METRICS.get(name, name.replace('_', ' '))}"


def readable_axis(name: str, labels: Mapping[str, str]) -> str:
    """Return what figures call a hyperparameter: the study's label, or its name in words."""
    return labels.get(name, name.replace("_", " "))


def short_name(name: str, most: int = _MAX_NAME) -> str:
    """Cut the middle out of a long name: names that begin alike often end differently."""
    return name if len(name) <= most else f"{name[: most // 2]}…{name[-most // 2 :]}"


def short_names(names: Sequence[str]) -> list[str]:
    """Cut the middle out of long names, but not what tells them apart within 80 characters."""
    for most in (_MAX_NAME, 2 * _MAX_NAME, 4 * _MAX_NAME):
        short = [short_name(name, most) for name in names]
        if len(set(short)) == len(set(names)):
            break
    return short


def save(figure: Figure, path: Path, dpi: int) -> None:
    """Write a figure in the format of the path's suffix, without a date inside."""
    figure.set_dpi(dpi)
    with atomic_path(path) as beside:
        # `Figure.savefig` would draw everything twice.
        if path.suffix == ".png":
            canvas = figure.canvas
            if not isinstance(canvas, PngCanvas):
                canvas = PngCanvas(figure)
            canvas.write(beside)
        elif path.suffix == ".svg":
            write_svg(figure, beside)
        else:
            # Takes a tenth of a second, and few studies want it.
            from matplotlib.backends.backend_pdf import FigureCanvasPdf

            FigureCanvasPdf(figure).print_pdf(beside, metadata={"CreationDate": None})


def text_colour(background: Sequence[float] | np.ndarray) -> str:
    """Return black or white, whichever has more contrast on an RGB(A) colour.

    The contrast follows from relative luminance (Web Content Accessibility Guidelines 2.1).
    """
    channels = np.asarray(background[:3])
    linear = np.where(channels <= 0.03928, channels / 12.92, ((channels + 0.055) / 1.055) ** 2.4)
    return "black" if float(linear @ (0.2126, 0.7152, 0.0722)) > 0.179 else "white"
