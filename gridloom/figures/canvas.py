"""How PNG and SVG files are written: as by matplotlib, but each text is worked out once.

The figures of a study have many texts in common, and matplotlib measures and renders each of them
anew: this took a third of the time of a heatmap. Here, what was found for a text or for a glyph is
kept for the figures that follow. Pixels, and the text of an SVG, stay the same.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from functools import lru_cache
from pathlib import Path
from typing import Any

import matplotlib
import numpy as np
from matplotlib import ft2font
from matplotlib.backends.backend_agg import FigureCanvasAgg, RendererAgg, get_hinting_flag
from matplotlib.backends.backend_mixed import MixedModeRenderer
from matplotlib.backends.backend_svg import FigureCanvasSVG, RendererSVG
from matplotlib.figure import Figure
from matplotlib.font_manager import FontProperties, fontManager, get_font
from PIL import Image
from PIL.PngImagePlugin import PngInfo

#: This uses private parts of matplotlib as they are in this version. Another draws by itself.
_KNOWN = matplotlib.__version__.startswith("3.11.")

#: Most texts and most glyphs that are kept. A glyph takes half a kilobyte.
_TEXTS, _GLYPHS = 8_192, 32_768

#: Tables of a font that may have the height of its lines; the first that there is counts.
_HEIGHTS = (
    ("OS/2", "sTypoAscender", "sTypoDescender", "sTypoLineGap"),
    ("hhea", "ascent", "descent", "lineGap"),
)

_Numbers = tuple[float, ...]


class _Fonts:
    """The fonts of a figure: their files and heights, each found once.

    Parameters
    ----------
    dpi
        Dots per inch at which texts are drawn.
    """

    def __init__(self, dpi: float) -> None:
        self._dpi = dpi
        self._files: dict[int, tuple[Any, ...]] = {}
        self._heights: dict[int, _Numbers | tuple[None, None, None]] = {}

    def files(self, wanted: FontProperties) -> tuple[Any, ...]:
        """Return the files of a font and of those that have what it lacks."""
        # Matplotlib, too, takes for equal what has an equal hash.
        key = hash(wanted)
        if key not in self._files:
            self._files[key] = tuple(fontManager._find_fonts_by_props(wanted))
        return self._files[key]

    def heights(self, wanted: FontProperties) -> _Numbers | tuple[None, None, None]:
        """Return ascent, descent and gap of lines in dots, by the rule of `Text._get_layout`."""
        key = hash(wanted)
        if key not in self._heights:
            self._heights[key] = (None, None, None)
            font: Any = get_font(self.files(wanted))
            for name, ascent, descent, gap in _HEIGHTS:
                table = font.get_sfnt_table(name)
                if table is not None:
                    units = font.get_sfnt_table("head")["unitsPerEm"]
                    scale = 1 / units * wanted.get_size_in_points() * self._dpi / 72
                    found = (table[ascent], -table[descent], table[gap])
                    self._heights[key] = tuple(number * scale for number in found)
                    break
        return self._heights[key]


_measured: dict[tuple[Any, ...], _Numbers] = {}


def _measure(key: tuple[Any, ...], measure: Callable[[], _Numbers]) -> _Numbers:
    """Return width, height and descent of a text, measured once for all figures."""
    if key not in _measured:
        if len(_measured) >= _TEXTS:
            _measured.clear()
        _measured[key] = measure()
    return _measured[key]


class _PngRenderer(RendererAgg):  # type: ignore[misc]
    """Draws dots."""

    def __init__(self, width: float, height: float, dpi: float) -> None:
        super().__init__(width, height, dpi)
        self._fonts = _Fonts(dpi)

    def _get_font_height_metrics(self, prop: FontProperties) -> _Numbers | tuple[None, None, None]:
        return self._fonts.heights(prop)

    def get_text_width_height_descent(
        self, s: str, prop: FontProperties, ismath: bool | str
    ) -> _Numbers:
        """Measure a text."""
        measure = super().get_text_width_height_descent
        size, flags = prop.get_size_in_points(), get_hinting_flag()
        key = (s, ismath, self._fonts.files(prop), size, self.dpi, flags)
        return _measure(key, lambda: measure(s, prop, ismath))

    def draw_text(
        self,
        gc: Any,
        x: float,
        y: float,
        s: str,
        prop: FontProperties,
        angle: float,
        ismath: bool | str = False,
        mtext: Any = None,
    ) -> None:
        """Draw a text, as the method that it overrides, but render no glyph twice."""
        special = mtext is not None and (mtext.get_fontfeatures() or mtext.get_language())
        if ismath or special or not gc.get_antialiased():
            super().draw_text(gc, x, y, s, prop, angle, ismath, mtext)
            return
        flags, size = get_hinting_flag(), prop.get_size_in_points()
        cos, sin = math.cos(math.radians(angle)), math.sin(math.radians(angle))
        up = self.height - y
        font = get_font(self._fonts.files(prop))
        for glyph_font, glyph, dx, dy in _lay_out(font, size, self.dpi, s, flags):
            # In 64ths of a dot, as fonts have it.
            across = round(64 * (x + dx * cos - dy * sin))
            above = round(64 * (up + dx * sin + dy * cos))
            within = (across % 64, above % 64)
            dots, left, top = _render(glyph_font, size, self.dpi, glyph, angle, within, flags)
            low = int(self.height) - (top + above // 64) + dots.shape[0]
            self._renderer.draw_text_image(dots, left + across // 64, low, 0, gc)


# Each thread, and each process after a fork, has fonts of its own, and so finds its own texts and
# glyphs here.
@lru_cache(_TEXTS)
def _lay_out(
    font: Any, size: float, dpi: float, text: str, flags: Any
) -> list[tuple[Any, int, float, float]]:
    """Return font, number and place of each glyph of a text."""
    font.clear()
    font.set_size(size, dpi)
    items = font._layout(text, flags=flags)
    return [(item.ft_object, item.glyph_index, item.x, item.y) for item in items]


@lru_cache(_GLYPHS)
def _render(
    font: Any,
    size: float,
    dpi: float,
    glyph: int,
    angle: float,
    within: tuple[int, int],
    flags: Any,
) -> tuple[np.ndarray, int, int]:
    """Return the dots of a glyph, and their left and upper end.

    Parameters
    ----------
    within
        Where it starts within a dot, in 64ths.
    """
    cos, sin = math.cos(math.radians(angle)), math.sin(math.radians(angle))
    font.set_size(size, dpi)
    turned = (0x10000 * np.array([[cos, -sin], [sin, cos]])).round().astype(int)
    font._set_transform(turned, list(within))
    bitmap = font._render_glyph(glyph, flags, ft2font.RenderMode.NORMAL)
    return np.array(bitmap.buffer), bitmap.left, bitmap.top


class PngCanvas(FigureCanvasAgg):  # type: ignore[misc]
    """Draws a figure as dots; it keeps what it measured of its texts."""

    _renderer: _PngRenderer | None = None
    _size: _Numbers = ()

    def get_renderer(self) -> Any:
        """Return what draws the dots: the same as long as the figure has the same size."""
        if not _KNOWN:
            return super().get_renderer()
        size = (*self.get_width_height(physical=True), self.figure.dpi)
        if self._renderer is None or size != self._size:
            self._renderer, self._size = _PngRenderer(*size), size
        return self._renderer

    def write(self, file: Path) -> None:
        """Draw the figure and write a PNG file."""
        self.draw()
        size = self.get_width_height(physical=True)
        image = Image.frombuffer("RGBA", size, self.buffer_rgba(), "raw", "RGBA", 0, 1)
        told = PngInfo()
        told.add_text("Software", f"Matplotlib version {matplotlib.__version__}")
        # Figures are opaque. As small as by the default level, 6, in half of its time.
        dpi = self.figure.dpi
        image.convert("RGB").save(file, "png", compress_level=3, pnginfo=told, dpi=(dpi, dpi))


class _SvgRenderer(RendererSVG):  # type: ignore[misc]
    """Draws paths and texts, on 72 dots per inch."""

    def __init__(self, width: float, height: float, handle: Any, **options: Any) -> None:
        super().__init__(width, height, handle, **options)
        self._fonts = _Fonts(72)

    def _get_font_height_metrics(self, prop: FontProperties) -> _Numbers | tuple[None, None, None]:
        return self._fonts.heights(prop)

    def get_text_width_height_descent(
        self, s: str, prop: FontProperties, ismath: bool | str
    ) -> _Numbers:
        """Measure a text."""
        measure = super().get_text_width_height_descent
        key = (s, ismath, self._fonts.files(prop), prop.get_size_in_points())
        return _measure(key, lambda: measure(s, prop, ismath))


def write_svg(figure: Figure, file: Path) -> None:
    """Draw a figure and write an SVG file, without a date inside."""
    canvas = FigureCanvasSVG(figure)
    if not _KNOWN:
        canvas.print_svg(file, metadata={"Date": None})
        return
    width, height = figure.get_size_inches()
    dpi = figure.dpi
    figure.set_dpi(72)
    with file.open("w", encoding="utf-8") as handle:
        svg = _SvgRenderer(72 * width, 72 * height, handle, image_dpi=dpi, metadata={"Date": None})
        renderer = MixedModeRenderer(figure, width, height, dpi, svg)
        figure.draw(renderer)
        renderer.finalize()
