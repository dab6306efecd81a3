"""Promises of the page: whole, self-contained, and harmless whatever a study is called."""

from __future__ import annotations

import base64
import hashlib
import json
import re
from html.parser import HTMLParser

import pytest

from gridloom.report import assets
from gridloom.report.prose import verdict_html
from tests.report.made_page import AXES, write_page

HOSTILE = "</script><script>alert(1)</script><img src=x onerror=alert(2)>"


class Elements(HTMLParser):
    """The elements of a page, with their attributes, and the texts of its scripts."""

    def __init__(self, html):
        super().__init__()
        self.found, self.scripts, self._in_script = [], [], False
        self.feed(html)

    def handle_starttag(self, tag, attrs):
        self.found.append((tag, dict(attrs)))
        self._in_script = tag == "script"
        if self._in_script:
            self.scripts.append("")

    def handle_endtag(self, tag):
        self._in_script = False

    def handle_data(self, data):
        if self._in_script:
            self.scripts[-1] += data


def numbers_of(html):
    return json.loads(re.search(r'id="numbers">(.*?)</script>', html).group(1))


@pytest.fixture(scope="module")
def page(tmp_path_factory):
    return write_page(tmp_path_factory.mktemp("page"))


def test_the_sections_stand_in_the_order_of_a_reader(page):
    elements = Elements(page.html).found
    sections = [attributes["id"] for tag, attributes in elements if tag == "section"]
    assert sections == [
        "verdict",
        "study",
        "heatmap",
        "effects",
        "configurations",
        "curves",
        "problems",
        "next",
        "methods",
    ]


def test_the_page_needs_no_other_file_and_no_network(page):
    for tag, attributes in Elements(page.html).found:
        assert not {"src", "srcset", "data-src"} & attributes.keys(), (tag, attributes)
        assert attributes.get("href", "#").startswith("#")
        assert tag not in ("link", "iframe", "object", "base")


def test_only_the_scripts_of_the_page_may_run(page):
    elements = Elements(page.html)
    (policy,) = [
        attributes["content"]
        for tag, attributes in elements.found
        if attributes.get("http-equiv") == "Content-Security-Policy"
    ]
    allowed = set(re.findall(r"'sha256-([^']+)'", policy))
    run = [
        script
        for script, (tag, attributes) in zip(
            elements.scripts, [one for one in elements.found if one[0] == "script"], strict=True
        )
        if attributes.get("type") != "application/json"
    ]
    found = {base64.b64encode(hashlib.sha256(one.encode()).digest()).decode() for one in run}
    assert found == allowed
    assert "default-src 'none'" in policy
    assert "unsafe-eval" not in policy
    assert not re.search(
        r"\son\w+=", re.sub(r"<(script|style)\b.*?</\1>", "", page.html, flags=re.S)
    )


def test_a_hostile_name_stays_text(tmp_path):
    axes = {"units": [1, 8], "kind": ["<b>bold</b>", "=cmd()"], "rate": [0.1, 1.0]}
    page = write_page(
        tmp_path,
        axes,
        lambda point, repetition: point["units"] / 10 + repetition / 100,
        title=HOSTILE,
        labels={"rate": HOSTILE},
        partial=HOSTILE,
    )
    elements = Elements(page.html)
    assert not [tag for tag, _ in elements.found if tag in ("img", "b")]
    assert not [script for script in elements.scripts if script.startswith("alert")]
    kind = next(axis for axis in numbers_of(page.html)["axes"] if axis["name"] == "kind")
    assert kind["values"] == ["<b>bold</b>", "=cmd()"]


def test_markup_links_and_pictures_in_a_verdict_stay_text():
    html = verdict_html("# t\n\n- **a** <i>b</i> [c](javascript:d) ![e](http://f) <http://g>\n")
    assert "<strong>a</strong>" in html
    assert set(re.findall(r"<(\w+)", html)) == {"ul", "li", "strong"}


def test_a_partial_study_says_so_and_shows_what_failed(tmp_path):
    record = f"{tmp_path}/points/s/activation=relu/batch_size=4/rate=0.1/units=1/reps=0-2.json"
    log = tmp_path / "logs/points/s/activation=relu/batch_size=4/rate=0.1/units=1/reps=0-2.log"
    log.parent.mkdir(parents=True)
    log.write_text("loading\nand <failing>\n")
    page = write_page(
        tmp_path, partial="30 of 36 trainings", failed={record: "build_model raised <ValueError>"}
    )
    assert "made from 30 of 36 trainings" in page.html
    assert "units=1, rate=0.1, activation=relu" in page.html
    assert "build_model raised &lt;ValueError&gt;" in page.html
    assert "and &lt;failing&gt;" in page.html
    assert f"snakemake --cores all {record} --configfile &#39;my study.yaml&#39;" in page.html


def test_studies_of_few_axes_and_without_a_pick_have_a_page(tmp_path):
    one = write_page(tmp_path / "one", {"units": [1, 8]}, lambda point, r: point["units"] + r / 9)
    assert 'id="heatmap"' in one.html
    none = write_page(tmp_path / "none", {}, lambda point, r: 0.5 + r / 9)
    assert 'id="heatmap"' not in none.html
    lost = write_page(tmp_path / "lost", AXES, lambda point, r: None)
    assert numbers_of(lost.html)["pick"] is None


def test_a_value_that_looks_like_a_number_is_quoted_as_it_stands(tmp_path):
    axes = {"units": [16, 64], "how": ["-1", "null"], "rate": [0.1, 1.5]}
    page = write_page(tmp_path, axes, lambda point, r: None if point["units"] == 16 else r / 9)
    assert "<li>units = 16: 12 of 12 (100 %)</li>" in page.html
    assert "<li>how = -1: 6 of 12 (50 %)</li>" in page.html
    assert "<li>how = null: 6 of 12 (50 %)</li>" in page.html


def test_the_same_study_makes_the_same_page(page):
    before = page.html
    page.file.unlink()
    assert write_page(page.file.parent).html == before


def test_the_page_says_how_to_make_it_again(page):
    assert "snakemake --cores all --configfile &#39;my study.yaml&#39;" in page.html
    assert "builtin:iris" in page.html
    assert "3 repetitions of each configuration" in page.html


def test_the_page_of_a_small_study_is_little_more_than_its_libraries(page):
    libraries = sum(library.path.stat().st_size for library in assets.libraries())
    assert libraries < page.file.stat().st_size < libraries + 200_000


@pytest.mark.nightly
def test_the_page_of_ten_thousand_configurations_has_less_than_5_mb(tmp_path):
    axes = {"units": list(range(100)), "rate": [n / 100 for n in range(100)]}

    def score(point, repetition):
        return 0.5 + point["units"] / 300 + point["rate"] / 9 + ((repetition * 7) % 5) / 99

    page = write_page(tmp_path, axes, score, repetitions=10, epochs=25)
    assert len(page.summary) == 10_000
    assert page.file.stat().st_size < 5_000_000
