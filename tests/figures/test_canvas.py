"""Promises of the canvases: files like matplotlib's own, without finding out anything twice."""

from __future__ import annotations

import numpy as np
import pytest
from matplotlib import ft2font
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.backends.backend_svg import FigureCanvasSVG
from matplotlib.figure import Figure
from PIL import Image

from gridloom.figures import canvas, style

DPI = 130


def with_texts():
    """Return a figure with texts of all kinds that our figures have, and some that they have not.

    One of its texts has a character that the font lacks.
    """
    figure = Figure((3, 2.4))
    plot = figure.add_subplot()
    plot.imshow(np.arange(6.0).reshape(2, 3), rasterized=True)
    plot.set_xticks([0, 1, 2], ["first", "second", "0.976"], rotation=45, ha="right")
    plot.set_title("Title of\ntwo lines ✕ ★", fontweight="bold", fontsize=9)
    for place, angle in enumerate((0, 90, 33)):
        plot.text(place, 0.13 * place, "± 0.0027 fi AV", rotation=angle, fontsize=6.3)
    plot.text(1, 1, "漢 mono", family=["DejaVu Sans Mono", "DejaVu Sans"], style="italic")
    plot.text(0.2, 1.3, "x²", color="white", bbox={"facecolor": "black", "pad": 0.6})
    plot.text(0, 1, r"$\alpha$", parse_math=True)
    plot.text(2, 1, "rough", antialiased=False)
    return figure


@pytest.mark.filterwarnings("ignore:Glyph")
def test_files_are_as_matplotlib_writes_them_itself(tmp_path):
    for turn in range(2):  # the second time, all is known
        style.save(with_texts(), tmp_path / "ours.png", DPI)
        style.save(with_texts(), tmp_path / "ours.svg", DPI)
        theirs = with_texts()
        theirs.set_dpi(DPI)
        own = FigureCanvasAgg(theirs)
        own.draw()
        ours = np.asarray(Image.open(tmp_path / "ours.png"))
        assert np.array_equal(ours, np.asarray(own.buffer_rgba())[..., :3]), turn
        FigureCanvasSVG(theirs).print_svg(tmp_path / "theirs.svg", metadata={"Date": None})
        assert (tmp_path / "ours.svg").read_text() == (tmp_path / "theirs.svg").read_text(), turn


@pytest.mark.skipif(not canvas._KNOWN, reason="another version of matplotlib draws by itself")
def test_a_second_figure_measures_and_renders_no_text_anew(tmp_path, monkeypatch):
    calls = []

    def counting(name):
        method = getattr(ft2font.FT2Font, name)

        def counted(*given, **named):
            calls.append(name)
            return method(*given, **named)

        return counted

    for name in ("set_text", "_layout", "_render_glyph"):
        monkeypatch.setattr(ft2font.FT2Font, name, counting(name))
    for cache in (canvas._measured.clear, canvas._lay_out.cache_clear, canvas._render.cache_clear):
        cache()
    counts = []
    for _ in range(2):
        figure = Figure((2, 1))
        figure.text(0.1, 0.2, "0.9824")
        style.save(figure, tmp_path / "figure.png", DPI)
        style.save(figure, tmp_path / "figure.svg", DPI)
        counts.append(len(calls))
    assert counts == [2 + 1 + 6, 2 + 1 + 6]
