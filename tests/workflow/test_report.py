"""Promises of the report of a run: made by every run, and shown by Snakemake's own report."""

from __future__ import annotations

import re

import pytest

import gridloom


def test_a_run_makes_a_report_and_names_it(finished):
    html = (finished.results / "report.html").read_text()
    assert "<h1>tiny</h1>" in html
    assert "8, 0 of which diverged or have no number" in html
    assert re.search(r"^look .*results/report\.html", finished.output, re.MULTILINE)


def test_the_results_of_a_run_can_be_opened(finished):
    results = gridloom.open(finished.results)
    assert results.axes == {"units": [1, 4], "dropout": [0, 0.3]}
    assert len(results.runs) == 8
    assert results.best.point in set(results.summary["point"])
    assert results.heatmap("units", "dropout").axes


@pytest.mark.slow
def test_a_new_label_makes_the_report_anew_and_trains_nothing(copied):
    figures = {"formats": ["png"], "dpi": 60, "heatmaps": [], "evidence": []}
    copied.change(figures={**figures, "labels": {"units": "width of the layer"}})
    ran = copied.succeed()
    assert ran["report"] == 1
    assert "train" not in ran
    assert "width of the layer" in (copied.results / "report.html").read_text()


@pytest.mark.slow
def test_a_failed_configuration_stands_in_the_partial_report(copied):
    copied.change(hyperparameters={"units": [1, 4, -3]})
    copied.fail()
    assert copied.run("partial").returncode == 0
    html = (copied.results / "partial" / "report.html").read_text()
    assert "made from 8 of 12 trainings" in html
    assert "Failed: units=-3, dropout=0" in html
    assert "snakemake --cores all results/points/" in html


def test_the_report_of_snakemake_shows_figures_tables_and_the_page(copied, browser):
    done = copied.run("--report", "all.html")
    assert done.returncode == 0, done.stderr
    context = browser.new_context(viewport={"width": 1400, "height": 900}, offline=True)
    shown = context.new_page()
    wrong = []
    shown.on("pageerror", lambda error: wrong.append(error.stack))
    shown.goto((copied.folder / "all.html").as_uri())
    shown.get_by_text("Heatmaps", exact=True).wait_for()
    text = shown.locator("body").inner_text()
    assert {"Evidence", "Heatmaps", "Report", "Tables"} <= set(text.split())
    shown.get_by_text("Report", exact=True).last.click()
    # The first file of the category, "report": its eye opens the page in a frame.
    row = shown.locator("tr", has_text="report").first
    row.locator("a, button").first.click()
    frame = shown.frame_locator("iframe")
    frame.locator("#curves-chart svg").wait_for()
    assert frame.locator("h1").inner_text() == "tiny"
    assert wrong == []
    context.close()
