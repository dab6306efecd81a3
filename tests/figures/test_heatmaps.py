"""Promises of the heatmaps: the right number in the right cell, on one readable scale."""

from __future__ import annotations

import itertools

import numpy as np
import pandas as pd
import pytest
from matplotlib.backends.backend_agg import FigureCanvasAgg

from gridloom.analysis.cells import read_csv, write_csv
from gridloom.figures import heatmaps
from gridloom.figures.heatmaps import colour_scale, draw, draw_all, mean_heatmap, slice_heatmap
from gridloom.figures.style import text_colour

AXES = {"units": ["64", "1"], "dropout": ["0", "0.3"], "rate": ["1", "0.1", "0.01"]}

COUNTS = {"n": 3, "n_trainings": 3, "n_diverged": 0, "n_missing": 0, "parameters": 7}


def drawn(heatmap, axes=AXES, mode="max", title="T"):
    return draw(heatmap, axes, colour_scale([heatmap]), title=title, metric="score", mode=mode)


def summary():
    rows = [
        {"units": u, "dropout": d, "rate": r, "score_mean": place / 10}
        for place, (u, d, r) in enumerate(itertools.product(*AXES.values()))
    ]
    table = pd.DataFrame(rows).assign(**COUNTS)
    table["rank"] = table["score_mean"].rank(ascending=False).astype(int)
    return table


def test_a_cell_is_the_mean_over_the_other_axes_in_the_order_given():
    heatmap = mean_heatmap(summary(), AXES, "units", "dropout", "score_mean")
    np.testing.assert_allclose(heatmap.values, [[0.1, 0.4], [0.7, 1.0]])
    assert heatmap.name == "heatmap_units_x_dropout_mean"
    assert heatmap.subtitle == "mean over rate and repetitions"


def test_a_slice_holds_other_axes_at_the_given_value_or_the_best_points():
    table = summary()
    best = slice_heatmap(table, AXES, "units", "dropout", {}, "score_mean")
    np.testing.assert_allclose(best.values, [[0.2, 0.5], [0.8, 1.1]])
    assert best.subtitle == "at rate = 0.01"
    equal = slice_heatmap(table.assign(rank=1), AXES, "units", "dropout", {}, "score_mean")
    assert equal.subtitle == "at rate = 1"  # where the first of the smallest networks is
    chosen = slice_heatmap(table, AXES, "units", "dropout", {"rate": "1"}, "score_mean")
    np.testing.assert_allclose(chosen.values, [[0.0, 0.3], [0.6, 0.9]])


def test_protected_values_of_tables_are_found(tmp_path, monkeypatch):
    drawn = []
    monkeypatch.setattr(heatmaps, "_write", lambda heatmap, *_, **__: drawn.append(heatmap))
    axes = {**AXES, "dropout": ["=0", "'3"]}
    table = summary().replace({"dropout": {"0": "=0", "0.3": "'3"}})
    write_csv(table, tmp_path / "summary.csv")
    draw_all(
        read_csv(tmp_path / "summary.csv", axes),
        axes=axes,
        slices=[],
        metric="score",
        mode="max",
        title="",
        dpi=60,
        files=[],
    )
    assert all(np.isfinite(heatmap.values).all() for heatmap in drawn)
    assert len(drawn) == 3


def test_cells_are_compared_over_the_same_values_of_the_other_axes():
    table = summary()
    table.loc[2, ["score_mean", "n", "n_diverged"]] = [np.nan, 0, 3]
    heatmap = mean_heatmap(table, AXES, "units", "dropout", "score_mean")
    # The plain mean would be 0.05, over a lower rate than in the other cells.
    np.testing.assert_allclose(heatmap.values, [[0.1, 0.4], [0.7, 1.0]])
    assert heatmap.subtitle == "mean of repetitions, adjusted for rate"


def test_the_subtitle_names_axes_that_vary_together():
    table = summary().assign(epochs=lambda t: t["units"].map({"1": "20", "64": "10"}))
    axes = {**AXES, "epochs": ["10", "20"]}
    heatmap = mean_heatmap(table, axes, "units", "dropout", "score_mean")
    np.testing.assert_allclose(heatmap.values, [[0.1, 0.4], [0.7, 1.0]])
    assert heatmap.subtitle == "mean over rate and repetitions; varying along with the two: epochs"


def test_cells_with_diverged_trainings_are_hatched_or_without_colour():
    table = summary()
    table.loc[0, ["score_mean", "n", "n_diverged"]] = [np.nan, 0, 3]
    table.loc[3, ["n", "n_missing"]] = [1, 2]
    table.loc[9:11, ["n", "n_diverged"]] = [1, 2]
    heatmap = mean_heatmap(table, AXES, "units", "dropout", "score_mean")
    assert heatmap.lost.tolist() == [[3, 2], [0, 6]]
    assert heatmap.trainings.tolist() == [[9, 9], [9, 9]]
    assert np.isfinite(heatmap.values).tolist() == [[True, True], [True, False]]
    plot = drawn(heatmap).axes[0]
    texts = [text.get_text() for text in plot.texts]
    assert [text for text in texts if "✕" in text] == ["✕ 3 of 9", "✕ 2 of 9", "✕ 6 of 9"]
    hatched = {(patch.get_y() + 0.5, patch.get_x() + 0.5) for patch in plot.patches}
    assert hatched == {(0, 0), (0, 1), (1, 1)}
    assert "✕: diverged, not in the mean; no colour: over half" in plot.get_title()
    # Cells without colour do not stretch the scale.
    assert colour_scale([heatmap]).vmax < 1


def test_a_cell_that_cannot_be_compared_says_so():
    table = summary()
    of_cell = (table["units"] == "1") & (table["dropout"] == "0")
    table.loc[of_cell != (table["rate"] == "1"), "score_mean"] = np.nan
    figure = drawn(mean_heatmap(table, AXES, "units", "dropout", "score_mean"))
    plot = figure.axes[0]
    assert [text.get_text() for text in plot.texts].count("?") == 1
    assert "?: shares no values of the other axes with" in " ".join(plot.get_title().split())


@pytest.mark.parametrize(("mode", "best"), [("max", (1, 1)), ("min", (0, 0))])
def test_the_bright_end_at_the_top_is_better_and_the_bar_says_so(mode, best):
    figure = drawn(mean_heatmap(summary(), AXES, "units", "dropout", "score_mean"), mode=mode)
    plot, bar = figure.axes
    (image,) = plot.images
    colours = image.to_rgba(image.get_array())[..., :3].sum(axis=-1)
    assert np.unravel_index(colours.argmax(), colours.shape) == best
    assert bar.get_ylabel() == f"score\n({'higher' if mode == 'max' else 'lower'} is better)"
    assert bar.yaxis_inverted() == (mode == "min")


def test_every_cell_shows_its_number_and_a_missing_one_a_dash():
    table = summary()
    table = table[~((table["units"] == "1") & (table["dropout"] == "0"))]
    heatmap = mean_heatmap(table, AXES, "units", "dropout", "score_mean")
    figure = drawn(heatmap)
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
    ).assign(**COUNTS)
    heatmap = mean_heatmap(table, axes, "short", "a_hyperparameter_with_a_long_name", "score_mean")
    figure = drawn(heatmap, axes, title="A study " * 3)
    FigureCanvasAgg(figure).draw()
    width, height = figure.get_size_inches() * figure.dpi
    plot = figure.axes[0]
    parts = [*plot.get_xticklabels(), *plot.get_yticklabels(), plot.title, plot.xaxis.label]
    for part in [*parts, plot.yaxis.label, figure._suptitle]:
        box = part.get_window_extent()
        assert box.x0 >= -1 and box.y0 >= -1, part
        assert box.x1 <= width + 1 and box.y1 <= height + 1, part


def test_files_are_reproduced_byte_for_byte_in_every_format(tmp_path):
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
            read_csv(path, AXES),
            axes=AXES,
            slices=[{"rows": "dropout", "columns": "rate", "at": {}}],
            metric="score",
            mode="max",
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
