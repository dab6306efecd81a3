"""Promises of the heatmaps: the right number in the right cell, on one readable scale."""

from __future__ import annotations

import itertools

import numpy as np
import pandas as pd
import pytest
from matplotlib.backends.backend_agg import FigureCanvasAgg

from gridloom.analysis.cells import write_csv
from gridloom.figures import heatmaps
from gridloom.figures.heatmaps import colour_scale, draw, draw_all, mean_heatmap, slice_heatmap
from gridloom.figures.style import text_colour

AXES = {"units": ["64", "1"], "dropout": ["0", "0.3"], "rate": ["1", "0.1", "0.01"]}


def summary():
    rows = [
        {"units": u, "dropout": d, "rate": r, "score_mean": place / 10, "n": 3, "n_diverged": 0}
        for place, (u, d, r) in enumerate(itertools.product(*AXES.values()))
    ]
    table = pd.DataFrame(rows)
    table["rank"] = table["score_mean"].rank(ascending=False).astype(int)
    return table


def test_a_cell_is_the_mean_over_the_other_axes_in_the_order_given():
    heatmap = mean_heatmap(summary(), AXES, "units", "dropout", "score_mean")
    np.testing.assert_allclose(heatmap.values, [[0.1, 0.4], [0.7, 1.0]])
    assert heatmap.name == "heatmap_units_x_dropout_mean"
    assert heatmap.subtitle == "mean over rate and repetitions"


def test_a_slice_holds_the_others_at_the_best_point_or_where_told():
    table = summary()
    best = slice_heatmap(table, AXES, "units", "dropout", {}, "score_mean")
    np.testing.assert_allclose(best.values, [[0.2, 0.5], [0.8, 1.1]])
    assert best.subtitle == "at rate = 0.01"
    told = slice_heatmap(table, AXES, "units", "dropout", {"rate": "1"}, "score_mean")
    np.testing.assert_allclose(told.values, [[0.0, 0.3], [0.6, 0.9]])


def test_values_that_no_spreadsheet_may_run_are_found_again(tmp_path, monkeypatch):
    drawn = []
    monkeypatch.setattr(heatmaps, "_write", lambda heatmap, *_, **__: drawn.append(heatmap))
    axes = {**AXES, "dropout": ["=0", "'3"]}
    table = summary().replace({"dropout": {"0": "=0", "0.3": "'3"}})
    write_csv(table, tmp_path / "summary.csv")
    draw_all(
        tmp_path / "summary.csv",
        axes=axes,
        slices=[],
        metric="score",
        title="",
        dpi=60,
        files=[],
    )
    assert all(np.isfinite(heatmap.values).all() for heatmap in drawn)
    assert len(drawn) == 3


def test_diverged_trainings_are_told_in_their_cell():
    table = summary()
    table.loc[0, ["score_mean", "n", "n_diverged"]] = [np.nan, 0, 3]
    heatmap = mean_heatmap(table, AXES, "units", "dropout", "score_mean")
    np.testing.assert_allclose(heatmap.values[0, 0], 0.15)
    np.testing.assert_allclose(heatmap.diverged, [[1 / 3, 0], [0, 0]])
    figure = draw(heatmap, AXES, colour_scale([heatmap]), title="T", label="score")
    texts = [text.get_text() for text in figure.axes[0].texts]
    assert "✕ 33 %" in texts
    assert "not in the mean" in figure.axes[0].get_title()


def test_every_cell_shows_its_number_and_a_missing_one_a_dash():
    table = summary()
    table = table[~((table["units"] == "1") & (table["dropout"] == "0"))]
    heatmap = mean_heatmap(table, AXES, "units", "dropout", "score_mean")
    figure = draw(heatmap, AXES, colour_scale([heatmap]), title="T", label="score")
    plot = figure.axes[0]
    assert [text.get_text() for text in plot.texts] == ["0.100", "0.400", "—", "1.000"]
    assert [label.get_text() for label in plot.get_yticklabels()] == ["64", "1"]
    assert [label.get_text() for label in plot.get_xticklabels()] == ["0", "0.3"]


def test_all_heatmaps_share_one_scale_even_when_all_values_are_equal():
    table = summary()
    maps = [
        mean_heatmap(table, AXES, a, b, "score_mean") for a, b in itertools.combinations(AXES, 2)
    ]
    scale = colour_scale(maps)
    assert (scale.vmin, scale.vmax) == (
        min(one.values.min() for one in maps),
        max(one.values.max() for one in maps),
    )
    flat = mean_heatmap(table.assign(score_mean=0.5), AXES, "units", "rate", "score_mean")
    assert colour_scale([flat]).vmax > 0.5


@pytest.mark.parametrize("values", [["1"], [f"value number {n}" for n in range(30)]])
def test_nothing_is_clipped_with_few_or_many_long_labels(values):
    axes = {"short": ["a", "b"], "a_hyperparameter_with_a_long_name": values}
    table = pd.DataFrame(
        [
            {"short": a, "a_hyperparameter_with_a_long_name": b, "score_mean": 1.0}
            for a, b in itertools.product(*axes.values())
        ]
    ).assign(n=1, n_diverged=0)
    heatmap = mean_heatmap(table, axes, "short", "a_hyperparameter_with_a_long_name", "score_mean")
    figure = draw(heatmap, axes, colour_scale([heatmap]), title="A study " * 3, label="score")
    FigureCanvasAgg(figure).draw()
    width, height = figure.get_size_inches() * figure.dpi
    plot = figure.axes[0]
    parts = [*plot.get_xticklabels(), *plot.get_yticklabels(), plot.title, plot.xaxis.label]
    for part in [*parts, plot.yaxis.label, figure._suptitle]:
        box = part.get_window_extent()
        assert box.x0 >= -1 and box.y0 >= -1, part
        assert box.x1 <= width + 1 and box.y1 <= height + 1, part


def test_files_are_written_in_every_format_and_byte_for_byte_again(tmp_path):
    path = tmp_path / "summary.csv"
    summary().to_csv(path, index=False)
    written = []
    for folder, processes in (("one", 1), ("two", 2)):
        files = [
            tmp_path / folder / f"{name}.{suffix}"
            for name in ("heatmap_units_x_rate_mean", "heatmap_dropout_x_rate_slice")
            for suffix in ("png", "svg")
        ]
        draw_all(
            path,
            axes=AXES,
            slices=[{"rows": "dropout", "columns": "rate", "at": {}}],
            metric="score",
            title="T",
            dpi=80,
            files=files,
            processes=processes,
        )
        written.append([file.read_bytes() for file in files])
    assert written[0] == written[1]
    assert all(len(content) > 1000 for content in written[0])


def test_text_has_contrast_on_every_colour_of_the_map():
    import matplotlib

    for value in np.linspace(0, 1, 50):
        colour = np.array(matplotlib.colormaps["cividis"](value)[:3])
        linear = np.where(colour <= 0.03928, colour / 12.92, ((colour + 0.055) / 1.055) ** 2.4)
        luminance = linear @ (0.2126, 0.7152, 0.0722)
        contrast = (
            (luminance + 0.05) / 0.05
            if text_colour(tuple(colour)) == "black"
            else 1.05 / (luminance + 0.05)
        )
        assert contrast >= 4.5
