"""Promises of the heatmaps: the right number in the right cell, on a scale that shows it."""

from __future__ import annotations

import itertools
import re
from dataclasses import replace
from pathlib import Path

import matplotlib
import numpy as np
import pytest

from gridloom.analysis.cells import read_csv, write_csv
from gridloom.errors import StudyError
from gridloom.figures.cells import colour_scale
from gridloom.figures.drawing import write_all
from gridloom.figures.heatmaps import MAX_VALUES, draw, heatmap_drawings
from gridloom.figures.numbers import (
    StudyNumbers,
    best_heatmap,
    largest_pairs,
    mean_heatmap,
    slice_heatmap,
)
from gridloom.figures.style import COLUMN, PAGE, text_colour
from gridloom.figures.wanted import LARGEST, Wanted, wanted_heatmaps
from tests.figures.shown import looks_as_it_did, nothing_clipped_or_overlapping
from tests.figures.studies import AXES, study_of

PLACES = {point: place for place, point in enumerate(itertools.product(*AXES.values()))}


def steps(*point):
    """Return 0 for the first point of the grid, 0.1 for the second, and so on."""
    *values, _ = point
    return PLACES[tuple(values)] / 10


def of(kind, study=None, rows="units", columns="dropout", **more):
    study = study or study_of(steps)
    make = {"mean": mean_heatmap, "best": best_heatmap, "slice": slice_heatmap}[kind]
    if kind == "slice":
        more = {"at": {}, **more}
    return make(study, more.pop("quantity", study.objective), rows, columns, **more)


def drawn(heatmaps, study=None, title="T", quantity=None):
    heatmaps = heatmaps if isinstance(heatmaps, list) else [heatmaps]
    study = study or study_of(steps)
    quantity = quantity or study.objective
    scale = colour_scale(heatmaps, quantity.mode)
    return draw(heatmaps, scale, study.words(title, quantity))


def texts(figure):
    return [text.get_text() for text in figure.axes[0].texts]


def notes(figure):
    return " ".join(figure._supxlabel.get_text().split())


def colours(figure):
    """Return the colours of the cells by row, and the places of hatched and outlined ones."""
    mesh, *marks = figure.axes[0].collections
    boxes = {True: set(), False: set()}
    for mark in marks:
        middles = [path.vertices[:4].mean(axis=0) for path in mark.get_paths()]
        places = {(round(row), round(column)) for column, row in middles}
        boxes[mark.get_hatch() is not None] |= places
    return mesh.to_rgba(mesh.get_array())[..., :3], boxes[True], boxes[False]


# -- the numbers of the cells


def test_a_mean_is_over_the_other_axes_with_values_in_the_order_given():
    heatmap = of("mean")
    np.testing.assert_allclose(heatmap.values, [[0.1, 0.4], [0.7, 1.0]])
    assert heatmap.subtitle == "mean over rate and repetitions"
    assert heatmap.trainings.tolist() == [[9, 9], [9, 9]]


def test_the_error_of_a_mean_is_over_repetitions_and_counts_what_points_share():
    # All points share the luck of a repetition: averaging points does not remove it.
    luck = [-0.3, 0.1, 0.2]
    shared = study_of(lambda *point: steps(*point) + luck[point[-1]])
    error = np.std(luck, ddof=1) / np.sqrt(3)
    np.testing.assert_allclose(of("mean", shared).errors, np.full((2, 2), error))
    assert np.isnan(of("mean", study_of(steps, repetitions=1)).errors).all()


def test_cells_are_compared_over_the_same_values_of_the_other_axes():
    study = study_of(lambda *point: np.nan if point[:3] == ("64", "0", "0.01") else steps(*point))
    heatmap = of("mean", study)
    # The plain mean would be 0.05, over a lower rate than in the other cells.
    np.testing.assert_allclose(heatmap.values, [[0.1, 0.4], [0.7, 1.0]])
    assert heatmap.subtitle == "mean of repetitions, adjusted for rate"


def test_the_subtitle_names_axes_that_vary_together():
    axes = {**AXES, "epochs": ["10", "20"]}
    epochs = {"64": "10", "1": "20"}
    study = study_of(
        lambda *point: steps(*point[:3], 0) if point[3] == epochs[point[0]] else None, axes
    )
    heatmap = of("mean", study)
    np.testing.assert_allclose(heatmap.values, [[0.1, 0.4], [0.7, 1.0]])
    assert heatmap.subtitle == "mean over rate and repetitions; varying along with the two: epochs"


def test_the_best_of_a_cell_has_the_best_rank_and_its_own_error_and_other_metrics():
    study = study_of(steps, noise=0.001)
    heatmap = of("best", study)
    best = study.summary.sort_values("rank").drop_duplicates(["units", "dropout"])
    best = best.sort_values("point", ascending=False).set_index(["units", "dropout"])
    for (row, units), (column, dropout) in itertools.product(
        enumerate(AXES["units"]), enumerate(AXES["dropout"])
    ):
        point = best.loc[(units, dropout)]
        assert point["rate"] == "0.01"
        assert heatmap.values[row, column] == point["val_accuracy_mean"]
        assert heatmap.errors[row, column] == point["val_accuracy_se"]
    # The objective chooses, whatever is shown: the largest networks, which have most parameters.
    shown = of("best", study, quantity=study.quantity("parameters"))
    assert shown.values.tolist() == [[12, 15], [18, 21]]
    assert heatmap.subtitle == "best configuration of each cell (luck included), of all rate"


def test_a_configuration_with_a_lost_training_is_the_best_of_no_cell_that_has_others():
    study = study_of(lambda *p: np.nan if p[2:] == ("0.01", 0) else steps(*p))
    heatmap = of("best", study)
    np.testing.assert_allclose(heatmap.values, [[0.1, 0.4], [0.7, 1.0]])
    assert not heatmap.lost.any()


def test_a_slice_holds_other_axes_at_the_given_value_or_the_picks():
    heatmap = of("slice", study_of(steps, pick=4))
    np.testing.assert_allclose(heatmap.values, [[0.1, 0.4], [0.7, 1.0]])
    assert heatmap.subtitle.split() == ["at", "the", "pick:", "rate", "=", "0.1"]
    assert heatmap.pick.tolist() == [[False, True], [False, False]]
    given = of("slice", study_of(steps, pick=4), at={"rate": "1"})
    np.testing.assert_allclose(given.values, [[0.0, 0.3], [0.6, 0.9]])
    assert given.subtitle.split() == ["at", "rate", "=", "1"]
    assert not given.pick.any()


def test_every_number_that_a_study_has_can_be_drawn_and_no_other():
    study = study_of(lambda *p: np.nan if p[2:] == ("1", 0) else steps(*p), noise=0.01)
    shares = of("mean", study, "units", "rate", quantity=study.quantity("diverged"))
    np.testing.assert_allclose(shares.values, [[1 / 3, 0, 0], [1 / 3, 0, 0]])
    assert not shares.lost.any()
    spread = of("slice", study, "units", "rate", quantity=study.quantity("val_loss_sd"))
    np.testing.assert_array_equal(
        spread.values.ravel(), study.summary.query("dropout == '0'")["val_loss_sd"]
    )
    assert study.quantity("val_loss").mode == study.quantity("seconds").mode == "min"
    assert study.quantity("val_loss").label == "validation loss"
    with pytest.raises(StudyError, match=r"no 'val_los' \(did you mean 'val_loss'\?\)"):
        study.quantity("val_los")


# -- the marks


def test_cells_tied_with_the_best_are_outlined_and_the_pick_is_starred():
    good = {("64", "0"): 0.9, ("64", "0.3"): 0.899, ("1", "0"): 0.5, ("1", "0.3"): 0.4}
    study = study_of(lambda u, d, r, k: good[u, d], noise=0.01, repetitions=10, pick=5)
    for kind in ("mean", "slice"):
        figure = drawn(of(kind, study), study)
        _, hatched, outlined = colours(figure)
        assert outlined == {(0, 0), (0, 1)}
        assert not hatched
        assert [text[0] == "★" for text in texts(figure)[::2]] == [False, True, False, False]
        assert "outlined: not told apart from the best by validation accuracy" in notes(figure)
        assert "★: the study's pick is here" in notes(figure)


def test_lost_trainings_are_hatched_and_counted_and_many_take_the_colour():
    lost = {("64", "0"): 1, ("1", "0.3"): 2, ("1", "0"): 4}
    study = study_of(
        lambda u, d, r, k: np.nan if k < lost.get((u, d), 0) else 0.5 + 0.001 * k, repetitions=4
    )
    figure = drawn(of("slice", study), study)
    found, hatched, _ = colours(figure)
    assert hatched == {(0, 0), (1, 0), (1, 1)}
    shown = texts(figure)
    assert [text for text in shown if "✕" in text] == ["✕ 1 of 4", "✕ 4 of 4", "✕ 2 of 4"]
    assert "0.5025" in shown[-3]
    grey = np.ptp(found, axis=-1) < 1e-6
    assert grey.tolist() == [[False, False], [True, True]]
    assert "no colour: more than a quarter of its trainings" in notes(figure)
    # A good score of the few that did not diverge is not the end of the scale.
    assert colour_scale([of("slice", study)], "max").norm.vmax == pytest.approx(0.502, abs=0.0005)


def test_a_cell_says_how_many_trainings_only_where_they_differ():
    study = study_of(lambda u, d, r, k: None if (u, d, r) == ("1", "0", "1") else 0.5)
    figure = drawn(of("mean", study), study)
    assert [text for text in texts(figure) if "n =" in text] == ["n = 9", "n = 9", "n = 6", "n = 9"]
    assert not [text for text in texts(drawn(of("mean"))) if "n =" in text]


def test_a_cell_that_cannot_be_compared_and_one_that_is_not_there_say_so():
    def score(u, d, r, k):
        if (u, d) == ("64", "0.3"):
            return None
        of_cell = (u, d) == ("1", "0")
        return 0.5 if of_cell == (r == "1") else np.nan

    study = study_of(score)
    figure = drawn(of("mean", study), study)
    shown = texts(figure)
    assert [shown.count(mark) for mark in ("?", "—")] == [0, 1]
    assert np.isnan(of("mean", study).values).sum() == 2


# -- the colours


@pytest.mark.parametrize(("mode", "best"), [("max", (1, 1)), ("min", (0, 0))])
def test_the_bright_end_at_the_right_is_better_and_the_bar_says_so(mode, best):
    study = study_of(steps, mode=mode)
    figure = drawn(of("mean", study), study)
    found, _, _ = colours(figure)
    assert np.unravel_index(found.sum(axis=-1).argmax(), found.shape[:2]) == best
    bar = figure.axes[1]
    better = "higher" if mode == "max" else "lower"
    assert bar.get_xlabel() == f"validation accuracy ({better} is better)"
    assert bar.xaxis_inverted() == (mode == "min")


@pytest.mark.parametrize("sign", [1, -1])
def test_good_cells_differ_in_colour_whatever_the_bad_ones_are(sign):
    mode = "max" if sign > 0 else "min"
    values = {"1": -500.0, "0.1": 0.90, "0.01": 0.94}
    study = study_of(
        lambda u, d, r, k: sign * (values[r] + 0.01 * float(d) - 0.01 * (u == "1")), mode=mode
    )
    heatmap = of("mean", study, "units", "rate")
    scale = colour_scale([heatmap], mode)
    best = scale.norm(heatmap.values)[..., 1:]
    assert np.ptp(best) > 0.4
    assert scale.worst == heatmap.values.ravel()[np.abs(heatmap.values).argmax()]
    bar = drawn(heatmap, study).axes[1]
    told = "and lower, down to" if sign > 0 else "and higher, up to"
    assert told in bar.get_xlabel()
    # The arrow is at the left, the worse end.
    (arrow,) = [patch for patch in bar.patches if patch.get_path().vertices.shape[0] >= 3]
    assert arrow.get_path().vertices[:, 0].max() <= 0


def test_a_scale_without_bad_cells_ends_at_the_worst():
    heatmap = of("mean")
    scale = colour_scale([heatmap], "max")
    assert (scale.norm.vmin, scale.norm.vmax, scale.worst) == (
        heatmap.values.min(),
        heatmap.values.max(),
        None,
    )


def test_noise_alone_does_not_take_all_colours():
    study = study_of(lambda *point: 0.5, noise=0.1, repetitions=10)
    heatmap = of("mean", study)
    scale = colour_scale([heatmap], "max")
    assert scale.norm.vmax - scale.norm.vmin >= 4 * np.median(heatmap.errors)
    flat = study_of(lambda *point: 0.5 + 1e-9 * steps(*point), repetitions=1)
    assert set(texts(drawn(of("mean", flat), flat))) == {"★ 0.500", "0.500"}
    flat = study_of(lambda *point: 0.5)
    assert set(texts(drawn(of("mean", flat), flat))) == {"★ 0.500", "0.500", "± 0.000"}


def test_maps_of_a_kind_share_a_scale_and_a_slice_has_its_own():
    wanted = wanted_heatmaps(list(AXES), "val_accuracy", ["val_loss"], ["mean", "slice"], [])
    files = [Path(f"{one.name}.png") for one in wanted]
    drawings = heatmap_drawings(study_of(steps), wanted, title="", files=files)
    scales = {one.files[0].stem: one.draw().axes[0].collections[0].norm for one in drawings}
    ranges = {name: (norm.vmin, norm.vmax) for name, norm in scales.items()}
    of_kind = [{r for n, r in ranges.items() if n.endswith(k)} for k in ("mean", "mean_val_loss")]
    assert [len(kind) for kind in of_kind] == [1, 1]
    assert of_kind[0] != of_kind[1]
    assert len({span for name, span in ranges.items() if name.endswith("slice")}) == 3


def test_text_has_contrast_on_every_colour_of_the_map():
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


# -- the picture


def numbers_are_within_the_cells(figure):
    for plot in figure.axes:
        frame = plot.get_window_extent().padded(2)
        for text in plot.texts:
            box = text.get_window_extent().padded(-0.5)
            assert frame.x0 <= box.x0 and box.x1 <= frame.x1


LONG = "a_hyperparameter_with_a_long_name"


@pytest.mark.parametrize(
    "values",
    [["1"], [f"value number {n}" for n in range(30)], [str(n / 1000) for n in range(13)]],
    ids=["one", "many long", "many"],
)
@pytest.mark.parametrize("turned", [False, True])
def test_nothing_is_clipped_or_overlaps_with_few_or_many_long_labels(values, turned):
    axes = {"short": ["a", "b"], LONG: values}
    study = study_of(
        lambda *p: np.nan if p[2] == 0 and p[0] == "a" else 0.9, axes, noise=0.01, repetitions=5
    )
    names = list(axes)[::-1] if turned else list(axes)
    figure = drawn(of("mean", study, *names), study, title="A study with a long title, " * 4)
    nothing_clipped_or_overlapping(figure)
    numbers_are_within_the_cells(figure)
    assert figure.get_figwidth() in (COLUMN, PAGE)
    assert figure.get_figheight() < 10
    labels = [text.get_text() for text in figure.axes[0].get_xticklabels()]
    assert len(set(labels)) == len(labels)


def test_a_third_axis_has_a_panel_for_each_value_on_one_scale():
    study = study_of(steps)
    wanted = Wanted("slice", "val_accuracy", "name", "units", "dropout", panels="rate")
    panels = [of("slice", study, at={"rate": rate}, panels="rate") for rate in AXES["rate"]]
    figure = drawn(panels, study)
    plots = figure.axes[:3]
    assert [plot.get_title().split()[-1] for plot in plots] == AXES["rate"]
    shown = [[text.get_text().split()[-1] for text in plot.texts[::2]] for plot in plots]
    assert shown[1] == ["0.10", "0.40", "0.70", "1.00"]
    assert len({plot.collections[0].norm for plot in plots}) == 1
    assert figure.get_figwidth() == PAGE
    nothing_clipped_or_overlapping(figure)
    numbers_are_within_the_cells(figure)
    assert wanted.panels == "rate"


def test_headings_of_panels_with_long_names_stay_apart():
    study = study_of(steps, labels={"rate": "a hyperparameter with a very long name indeed"})
    panels = [of("slice", study, at={"rate": rate}, panels="rate") for rate in AXES["rate"]]
    figure = drawn(panels, study)
    assert [plot.get_title().split()[-1] for plot in figure.axes[:3]] == AXES["rate"]
    nothing_clipped_or_overlapping(figure)


def test_a_map_of_10_000_cells_has_no_numbers_and_one_of_more_groups_neighbours():
    axes = {"a": [str(n) for n in range(100)], "b": [str(n) for n in range(100)]}
    study = study_of(lambda a, b, k: 0.001 * int(a) + 0.002 * int(b), axes, repetitions=1)
    figure = drawn(of("mean", study, "a", "b"), study)
    assert texts(figure) == []
    assert "too many cells for numbers" in notes(figure)
    nothing_clipped_or_overlapping(figure)
    numbers_are_within_the_cells(figure)
    axes = {"a": ["0", "1"], "b": [str(n) for n in range(2 * MAX_VALUES)]}
    study = study_of(lambda a, b, k: int(b), axes, repetitions=1)
    figure = drawn(of("mean", study, "a", "b"), study)
    (mesh,) = figure.axes[0].collections
    np.testing.assert_allclose(mesh.get_array()[0], np.arange(MAX_VALUES) * 2 + 0.5)
    assert "each cell is the mean of 1 × 2 neighbouring cells" in notes(figure)


def test_names_in_figures_are_readable_and_the_studys_own_come_first():
    axes = {"learning_rate": ["0.1", "1"], "batch_size": ["4", "8"]}
    labels = {"batch_size": "rows a step", "val_accuracy": "share right, in $"}
    study = study_of(lambda *p: 0.5, axes, labels=labels)
    figure = drawn(of("mean", study, *axes), study)
    plot, bar = figure.axes
    assert (plot.get_ylabel(), plot.get_xlabel()) == ("learning rate", "rows a step")
    assert bar.get_xlabel() == "share right, in $ (higher is better)"
    nothing_clipped_or_overlapping(figure)
    numbers_are_within_the_cells(figure)


# -- the files


def test_files_are_reproduced_byte_for_byte_in_every_format_with_text_as_text(tmp_path):
    wanted = wanted_heatmaps(list(AXES), "val_accuracy", [], ["mean", "best"], [])
    written = []
    for folder, processes in (("one", 1), ("two", 2)):
        files = [
            tmp_path / folder / f"{name}.{suffix}"
            for name in ("heatmap_units_x_rate_mean", "heatmap_dropout_x_rate_best")
            for suffix in ("png", "svg", "pdf")
        ]
        study = study_of(steps, noise=0.01)
        drawings = heatmap_drawings(study, wanted, title="T", files=files)
        write_all(drawings, dpi=80, processes=processes)
        written.append({file.name: file.read_bytes() for file in files})
    assert written[0] == written[1]
    svg = written[0]["heatmap_units_x_rate_mean.svg"].decode()
    assert re.search(">mean over dropout and repetitions</text>", svg)
    assert b"/Type3" not in written[0]["heatmap_units_x_rate_mean.pdf"]


def test_protected_values_of_tables_are_found(tmp_path):
    axes = {**AXES, "dropout": ["=0", "'3"]}
    study = study_of(lambda *p: 0.5, axes)
    for name in ("summary", "runs"):
        write_csv(getattr(study, name), tmp_path / f"{name}.csv")
    summary, runs = (read_csv(tmp_path / f"{name}.csv", axes) for name in ("summary", "runs"))
    read = StudyNumbers(summary, runs, axes, "val_accuracy", "max", study.pick, {})
    for kind in ("mean", "best", "slice"):
        heatmap = of(kind, read)
        assert np.isfinite(heatmap.values).all()
        assert np.isfinite(heatmap.errors).all()


def test_of_many_axes_the_pairs_with_the_largest_effects_are_drawn():
    axes = [f"a{n}" for n in range(13)]
    wanted = wanted_heatmaps(axes, "val_loss", [], ["mean"], [])
    assert [one.name for one in wanted[:2]] == ["heatmap_largest_1_mean", "heatmap_largest_2_mean"]
    assert len(wanted) == LARGEST
    import pandas as pd

    effects = pd.DataFrame(
        {"effect": ["a1", "a2", "a7", "a2:a7", "noise"], "variance": [1.0, np.nan, 3.0, 9.0, 99.0]}
    )
    assert largest_pairs(effects, axes, 2) == [("a2", "a7"), ("a1", "a7")]


def test_a_slice_of_the_study_replaces_that_of_the_pair():
    slices = [{"rows": "b", "columns": "a", "at": {"c": "1"}, "panels": None}]
    names = [one.name for one in wanted_heatmaps(list("abc"), "m", ["n"], ["slice"], slices)]
    assert names == [
        f"heatmap_{pair}_slice{metric}"
        for metric in ("", "_n")
        for pair in ("a_x_c", "b_x_c", "b_x_a")
    ]


@pytest.mark.parametrize(("kind", "mode"), [("mean", "max"), ("best", "max"), ("slice", "min")])
def test_heatmaps_look_as_they_did(tmp_path, kind, mode):
    def score(u, d, r, k):
        if (u, r) == ("1", "1") and k < (2 if d == "0" else 1):
            return np.nan
        return steps(u, d, r, k) - 30 * ((u, d, r) == ("64", "0.3", "0.1"))

    study = study_of(score, noise=0.02, repetitions=4, mode=mode, pick=2)
    figure = drawn(of(kind, study, "units", "rate"), study, title="Reference")
    looks_as_it_did(figure, f"heatmap_{kind}_{mode}", tmp_path)


def test_numbers_are_drawn_to_scale_where_the_study_wants_it(tmp_path):
    axes = {"units": ["64", "16", "1", "32"], "rate": ["0.1", "0.01", "1"], "act": ["a", "b"]}
    study = study_of(lambda u, r, a, k: int(u) / 100 + float(r) + 0.1 * (a == "b"), axes)
    study = replace(study, to_scale=["units", "rate"])
    figure = drawn(of("mean", study, "units", "rate"), study, title="Reference")
    plot = figure.axes[0]
    assert [text.get_text() for text in plot.get_yticklabels()] == ["1", "16", "32", "64"]
    assert [text.get_text() for text in plot.get_xticklabels()] == ["0.01", "0.1", "1"]
    assert (plot.get_ylabel(), plot.get_xlabel()) == ("units (to scale)", "rate (log scale)")
    # The first row is of 1, whose cell ends half way to 16, the first column of 0.01.
    assert texts(figure)[0] == "0.07"
    mesh = plot.collections[0].get_coordinates()
    heights = np.diff(mesh[:, 0, 1])
    np.testing.assert_allclose(heights / heights[0], [1, 15.5 / 15, 24 / 15, 32 / 15])
    nothing_clipped_or_overlapping(figure)
    numbers_are_within_the_cells(figure)
    looks_as_it_did(figure, "heatmap_to_scale", tmp_path)


def test_an_axis_with_words_or_in_groups_is_not_drawn_to_scale():
    axes = {"a": [str(n**2) for n in range(MAX_VALUES + 1)], "b": ["1", "2"], "c": ["x", "y"]}
    study = replace(study_of(lambda *p: 0.5, axes, repetitions=1), to_scale=["a", "b"])
    plot = drawn(of("mean", study, "a", "c"), study).axes[0]
    assert (plot.get_ylabel(), plot.get_xlabel()) == ("a", "c")
