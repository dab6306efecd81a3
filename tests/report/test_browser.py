"""Promises of the page in a browser: right numbers, reachable for everybody, no network."""

from __future__ import annotations

import base64
import re
from contextlib import contextmanager

import pandas as pd
import pytest
from axe_playwright_python.sync_playwright import Axe
from playwright.sync_api import expect

from tests.report.made_page import AXES, write_page
from tests.report.test_page import HOSTILE

CELLS = "#map [role=button]"


@pytest.fixture(scope="module")
def made(tmp_path_factory):
    return write_page(tmp_path_factory.mktemp("browser"))


@contextmanager
def opened(browser, page, *, width=1200, scheme="light", address=None):
    """Open a page; at its end, fail if it complained or asked for anything."""
    context = browser.new_context(
        viewport={"width": width, "height": 900}, color_scheme=scheme, offline=True
    )
    shown = context.new_page()
    wrong = []
    shown.on("console", lambda message: wrong.append(message.text))
    shown.on("pageerror", lambda error: wrong.append(error.stack))
    shown.on("dialog", lambda dialog: (wrong.append(dialog.message), dialog.dismiss()))
    address = address or page.file.as_uri()
    shown.on("request", lambda request: request.url != address and wrong.append(request.url))
    shown.goto(address)
    shown.wait_for_selector("#curves-chart svg")
    yield shown
    assert wrong == []
    context.close()


def numbers_in(text):
    return [float(found) for found in re.findall(r"-?\d+(?:\.\d+)?(?:e-?\d+)?", text)]


def cell_texts(shown):
    return [cell.get_attribute("aria-label") for cell in shown.locator(CELLS).all()]


def value_at(texts, **values):
    """Return the value and the error that a cell tells."""
    start = ", ".join(f"{name} = {value}" for name, value in values.items())
    (text,) = [text for text in texts if text.startswith(f"{start};")]
    return numbers_in(text.removeprefix(start).partition(": ")[2].partition(";")[0])


def choose_pair(shown, rows, columns):
    shown.locator("#map-rows").select_option(label=rows)
    shown.locator("#map-columns").select_option(label=columns)


def test_the_heatmap_of_means_shows_the_means_of_the_table(browser, made):
    with opened(browser, made) as shown:
        choose_pair(shown, "units", "activation")
        texts = cell_texts(shown)
    complete = made.summary[made.summary["rate"] == "0.1"]
    assert len(texts) == 6
    for units, activation in [("1", "relu"), ("8", "tanh")]:
        own = made.summary[
            (made.summary["units"] == units) & (made.summary["activation"] == activation)
        ]
        found = value_at(texts, units=units, activation=activation)
        assert found[0] == pytest.approx(own["val_score_mean"].mean(), rel=1e-3)
    # Adjusted, as the other cells have the larger rate too: the plain mean is that of one rate.
    plain = complete.loc[
        (complete["units"] == "64") & (complete["activation"] == "relu"), "val_score_mean"
    ]
    assert value_at(texts, units="64", activation="relu")[0] != pytest.approx(
        plain.item(), rel=1e-3
    )


def test_a_cell_of_several_configurations_opens_the_best_of_them(browser, made):
    with opened(browser, made) as shown:
        choose_pair(shown, "units", "activation")
        (cell,) = [
            cell
            for cell in shown.locator(CELLS).all()
            if cell.get_attribute("aria-label").startswith("units = 8, activation = tanh;")
        ]
        cell.hover()  # its middle, where the number stands
        expect(shown.locator("#tip")).to_contain_text("units = 8, activation = tanh")
        cell.click()
        title = shown.locator("#point-title").inner_text()
    own = made.summary[(made.summary["units"] == "8") & (made.summary["activation"] == "tanh")]
    best = own.sort_values("rank", kind="stable").iloc[0]
    assert title == f"units=8, rate={best['rate']}, activation=tanh"


def test_the_best_of_each_cell_is_the_first_by_rank(browser, made):
    with opened(browser, made) as shown:
        choose_pair(shown, "units", "rate")
        shown.get_by_label("best of them").check()
        texts = cell_texts(shown)
    best = made.summary.sort_values("rank", kind="stable").drop_duplicates(["units", "rate"])
    for row in best[best["val_score_n"] > 0].to_dict("records"):
        found = value_at(texts, units=row["units"], rate=row["rate"])
        assert found == pytest.approx([row["val_score_mean"], row["val_score_se"]], rel=0.03)


def test_a_slider_moves_the_slice(browser, made):
    summary = made.summary.set_index(["units", "rate", "activation"])
    with opened(browser, made) as shown:
        choose_pair(shown, "units", "rate")
        shown.get_by_label("fixed, slice").check()
        slider = shown.locator("#map-sliders input")
        for place, activation in enumerate(AXES["activation"]):
            slider.fill(str(place))
            expect(shown.locator("#map-sliders output")).to_have_text(activation)
            expect(shown.locator("#map-says")).to_contain_text(f"At activation = {activation}")
            texts = cell_texts(shown)
            for units in ("1", "8"):
                row = summary.loc[(units, "1.5", activation)]
                found = value_at(texts, units=units, rate="1.5")
                assert found[0] == pytest.approx(row["val_score_mean"], rel=1e-3)


def test_any_metric_can_be_shown_with_its_own_scale(browser, made):
    with opened(browser, made) as shown:
        choose_pair(shown, "units", "rate")
        shown.locator("#map-metric").select_option(label="share of trainings lost")
        texts = cell_texts(shown)
        assert value_at(texts, units="64", rate="1.5") == [1]
        assert value_at(texts, units="8", rate="1.5") == [0]
        expect(shown.locator("#map")).to_contain_text("lower is better")


def test_a_cell_without_a_score_says_so_and_has_no_colour(browser, made):
    with opened(browser, made) as shown:
        choose_pair(shown, "units", "rate")
        (lost,) = [
            cell
            for cell in shown.locator(CELLS).all()
            if cell.get_attribute("aria-label").startswith("units = 64, rate = 1.5;")
        ]
        assert "6 of 6 trainings lost" in lost.get_attribute("aria-label")
        assert lost.get_attribute("fill") == "#d9d9d9"


def test_two_maps_of_a_mode_have_one_scale(browser, made):
    with opened(browser, made) as shown:
        shown.get_by_label("best of them").check()
        legends = []
        for pair in [("units", "rate"), ("rate", "activation")]:
            choose_pair(shown, *pair)
            legends.append(shown.locator("#map .role-legend-label").all_inner_texts())
    assert legends[0] == legends[1] != []


def rows_of(shown):
    return [row.locator("td").all_inner_texts() for row in shown.locator("#table tbody tr").all()]


def test_the_table_sorts_filters_and_searches(browser, made):
    summary = made.summary
    with opened(browser, made) as shown:
        first = rows_of(shown)[0]
        best = summary.sort_values("rank", kind="stable").iloc[0]
        assert first[2:5] == [best["units"], best["rate"], best["activation"]]
        assert numbers_in(first[5])[0] == pytest.approx(best["val_score_mean"], rel=1e-3)
        shown.get_by_role("columnheader", name="Parameters").click()
        sizes = [float(row[10].replace(",", "")) for row in rows_of(shown)]
        assert sizes == sorted(sizes)
        shown.locator("#table-filters select").first.select_option(label="64")
        assert {row[2] for row in rows_of(shown)} == {"64"}
        shown.locator("#only-lost").check()
        assert len(rows_of(shown)) == (summary["n_diverged"] > 0).sum() == 2
        shown.locator("#only-lost").uncheck()
        shown.locator("#table-filters select").first.select_option(label="any")
        shown.get_by_role("searchbox").fill("tanh")
        assert {row[4] for row in rows_of(shown)} == {"tanh"}


def test_opening_a_configuration_shows_its_trainings_curve_and_yaml(browser, made):
    runs = pd.read_csv(made.sources.runs)
    with opened(browser, made) as shown:
        shown.get_by_role("searchbox").fill("relu")
        shown.locator("#table tbody button").first.click()
        dialog = shown.locator("dialog")
        expect(dialog).to_be_visible()
        title = dialog.locator("#point-title").inner_text()
        point = dict(part.split("=") for part in title.split(", "))
        own = runs[
            (runs["units"] == int(point["units"]))
            & (runs["rate"] == float(point["rate"]))
            & (runs["activation"] == point["activation"])
        ]
        rows = dialog.locator("#point-trainings tbody tr").all_inner_texts()
        assert [numbers_in(row)[1] for row in rows] == pytest.approx(
            own["val_score"].tolist(), rel=1e-3
        )
        assert f"  units: {point['units']}" in dialog.locator("#point-yaml").inner_text()
        assert "batch_size: 4" in dialog.locator("#point-yaml").inner_text()
        expect(dialog.locator("#point-curve svg")).to_be_visible()
        shown.keyboard.press("Escape")
        expect(dialog).to_be_hidden()


def test_everything_can_be_reached_from_the_keyboard(browser, made):
    with opened(browser, made) as shown:
        choose_pair(shown, "units", "activation")
        shown.get_by_label("fixed, slice").check()
        shown.locator("#map").focus()
        shown.keyboard.press("ArrowDown")
        focused = "document.activeElement.getAttribute('aria-label')"
        assert shown.evaluate(focused).startswith("units = 1, activation = relu;")
        shown.keyboard.press("ArrowRight")
        shown.keyboard.press("ArrowDown")
        assert shown.evaluate(focused).startswith("units = 8, activation = tanh;")
        expect(shown.locator("#tip")).to_contain_text("units = 8")
        shown.keyboard.press("Enter")
        expect(shown.locator("dialog")).to_be_visible()
        assert "units=8" in shown.locator("#point-title").inner_text()
        shown.keyboard.press("Escape")
        shown.get_by_label("Columns").focus()
        shown.keyboard.press("ArrowUp")
        expect(shown.locator("#map-says")).not_to_contain_text("rate =")


def test_curves_of_the_pick_and_of_an_axis(browser, made):
    with opened(browser, made) as shown:
        chart = shown.locator("#curves-chart")
        expect(chart).to_contain_text("the pick")
        shown.locator("#curves-of").select_option(label="values of units")
        expect(chart).to_contain_text("64")
        expect(chart).to_contain_text("training rows")


@pytest.mark.parametrize(("width", "scheme"), [(1200, "light"), (1200, "dark"), (390, "light")])
def test_an_accessibility_audit_finds_nothing_serious(browser, made, width, scheme):
    with opened(browser, made, width=width, scheme=scheme) as shown:
        assert shown.evaluate("document.documentElement.scrollWidth") <= width
        for dialog in (False, True):
            if dialog:
                shown.locator("#table tbody button").first.click()
                shown.wait_for_selector("#point-curve svg")
            found = Axe().run(shown).response["violations"]
            serious = [
                (one["id"], [node["html"][:200] for node in one["nodes"][:3]])
                for one in found
                if one["impact"] in ("serious", "critical")
            ]
            assert serious == []


def test_hostile_names_run_nothing(browser, tmp_path):
    page = write_page(
        tmp_path,
        {"units": [1, 8], "kind": [HOSTILE, "<b>x</b>"], "rate": [0.1, 1.0]},
        lambda point, repetition: point["units"] / 10 + point["rate"] + repetition / 100,
        title=HOSTILE,
        labels={"rate": HOSTILE, "val_score": HOSTILE},
    )
    with opened(browser, page) as shown:
        expect(shown.locator("h1")).to_have_text(HOSTILE)
        choose_pair(shown, "kind", "units")
        assert value_at(cell_texts(shown), kind="<b>x</b>", units="8")
        shown.locator("#table tbody button").first.click()
        expect(shown.locator("#point-title")).to_contain_text("kind=")
        assert shown.locator("img, b").count() == 0


@pytest.mark.parametrize(
    ("axes", "cells"), [({"units": [1, 8, 64]}, 3), ({}, 0)], ids=["one axis", "none"]
)
def test_studies_of_few_axes(browser, tmp_path, axes, cells):
    page = write_page(tmp_path, axes, lambda point, r: point.get("units", 1) / 99 + r / 100)
    with opened(browser, page) as shown:
        assert shown.locator(CELLS).count() == cells
        assert len(rows_of(shown)) == max(cells, 1)


def test_a_study_in_which_all_diverged(browser, tmp_path):
    page = write_page(tmp_path, AXES, lambda point, repetition: None)
    context = browser.new_context(offline=True)
    shown = context.new_page()
    wrong = []
    shown.on("pageerror", lambda error: wrong.append(error.stack))
    shown.goto(page.file.as_uri())
    expect(shown.locator("#curves-say")).to_contain_text("No training")
    assert len(rows_of(shown)) == 12
    assert wrong == []
    context.close()


def test_the_page_works_inside_the_frame_of_another_report(browser, made):
    """Snakemake's report shows HTML in an iframe with a `data:` address, of no origin."""
    content = base64.b64encode(made.file.read_bytes()).decode()
    context = browser.new_context(viewport={"width": 1200, "height": 900}, offline=True)
    shown = context.new_page()
    wrong = []
    shown.on("pageerror", lambda error: wrong.append(error.stack))
    shown.set_content('<iframe id="f" style="width:1100px;height:800px"></iframe>')
    shown.evaluate(
        "address => { document.getElementById('f').src = address; }",
        f"data:text/html;base64,{content}",
    )
    frame = shown.frame_locator("#f")
    expect(frame.locator("#curves-chart svg")).to_be_visible()
    frame.locator("#map-rows").select_option(label="rate")
    frame.locator("#table tbody button").first.click()
    expect(frame.locator("dialog")).to_be_visible()
    frame.locator("[data-copies=point-yaml]").click()
    expect(frame.locator("[data-copies=point-yaml]")).to_have_text(re.compile("Copied|Selected"))
    assert wrong == []
    context.close()
