"""The style of all figures, safe for colour-blind readers."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import matplotlib
import numpy as np
from matplotlib.figure import Figure

from gridloom.files import atomic_path

#: Colour maps in which equal steps in value look equal, also in grey and to colour-blind readers.
#: The bright end is better, whether more or less is better.
COLOUR_MAPS = {"max": "cividis", "min": "cividis_r"}

#: Colours of lines and points that colour-blind readers can tell apart (Okabe & Ito 2008).
SERIES = ("#0072b2", "#d55e00", "#009e73", "#cc79a7", "#e69f00", "#56b4e9", "#000000")

#: Colour of cells without a value.
MISSING = "#d9d9d9"

matplotlib.rcParams.update(
    {
        "font.family": "DejaVu Sans",  # ships with matplotlib, so it is the same on every machine
        "font.size": 9,
        "axes.titlesize": 10,
        "hatch.linewidth": 0.7,
        "svg.fonttype": "none",
        # Without this, names inside an SVG are random, and two runs would differ.
        "svg.hashsalt": "gridloom",
    }
)


def save(figure: Figure, path: Path, dpi: int) -> None:
    """Write a figure in the format of the path's suffix, without a date inside."""
    metadata: dict[str, Any] = {"svg": {"Date": None}, "pdf": {"CreationDate": None}}
    with atomic_path(path) as beside:
        figure.savefig(beside, dpi=dpi, metadata=metadata.get(path.suffix[1:]))


def text_colour(background: tuple[float, ...]) -> str:
    """Return black or white, whichever has more contrast on an RGB(A) colour.

    The contrast follows from relative luminance (Web Content Accessibility Guidelines 2.1).
    """
    channels = np.asarray(background[:3])
    linear = np.where(channels <= 0.03928, channels / 12.92, ((channels + 0.055) / 1.055) ** 2.4)
    return "black" if float(linear @ (0.2126, 0.7152, 0.0722)) > 0.179 else "white"
