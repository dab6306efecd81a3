"""What a reader sees of a figure: its texts, whole and apart, and that it looks as it did."""

from __future__ import annotations

import shutil
from pathlib import Path

import numpy as np
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.testing.compare import compare_images
from matplotlib.text import Text

from gridloom.figures.style import save

REFERENCES = Path(__file__).parent / "references"


def texts_of(figure):
    """Return all texts that are drawn; ticks beyond the ends of an axis are not."""
    beyond = set()
    for plot in figure.axes:
        for axis in (plot.xaxis, plot.yaxis):
            low, high = sorted(axis.get_view_interval())
            beyond |= {
                label
                for tick in axis.get_major_ticks()
                if not low <= tick.get_loc() <= high or not plot.axison
                for label in (tick.label1, tick.label2)
            }
    texts = figure.findobj(lambda artist: isinstance(artist, Text) and artist not in beyond)
    return [text for text in texts if text.get_text().strip() and text.get_visible()]


def nothing_clipped_or_overlapping(figure):
    FigureCanvasAgg(figure).draw()
    width, height = figure.get_size_inches() * figure.dpi
    texts = texts_of(figure)
    boxes = np.array([text.get_window_extent().extents for text in texts])
    for text, (left, low, right, high) in zip(texts, boxes, strict=True):
        said = text.get_text()
        assert left >= -1 and low >= -1, said
        assert right <= width + 1 and high <= height + 1, said
    upright = np.array([text.get_rotation() in (0, 90) for text in texts])
    left, low, right, high = (boxes[upright] + [1, 1, -1, -1]).T
    apart = (left[:, None] >= right) | (low[:, None] >= high)
    touching = ~(apart | apart.T)
    np.fill_diagonal(touching, False)
    names = [text.get_text() for text, straight in zip(texts, upright, strict=True) if straight]
    assert [(names[a], names[b]) for a, b in np.argwhere(touching) if a < b] == []


def looks_as_it_did(figure, name, folder, dpi=80):
    """Compare a figure with the reference of a name, `folder` being a test's own."""
    save(figure, folder / f"{name}.png", dpi)
    looks_like_its_reference(folder / f"{name}.png")


def looks_like_its_reference(file):
    """Compare a picture with the reference of its name.

    To accept a change of the picture, look at it and copy the new one over the reference.
    """
    # What differs is written beside the copy.
    expected = file.with_name(f"{file.stem}_expected.png")
    shutil.copy(REFERENCES / file.name, expected)
    assert compare_images(str(expected), str(file), tol=2) is None
