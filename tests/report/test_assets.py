"""Promises of the libraries in the page: unchanged, licensed, harmless inside a page."""

from __future__ import annotations

import hashlib

import pytest

from gridloom.report.assets import PAGE, VENDOR, files, libraries


@pytest.mark.parametrize("library", libraries(), ids=lambda library: library.file)
def test_a_library_is_the_file_that_is_noted_with_its_licence(library):
    content = library.path.read_bytes()
    assert hashlib.sha256(content).hexdigest() == library.sha256
    assert len(library.terms) > 500
    # Inside a page, these would end or change the script.
    assert b"</script" not in content.lower()
    assert b"<!--" not in content


def test_every_file_of_others_is_noted():
    noted = {library.path for library in libraries()} | {VENDOR / "vendored.json"}
    found = {path for path in VENDOR.iterdir() if path.is_file()}
    assert found == noted
    licences = {path.stem for path in (VENDOR / "licences").iterdir()}
    assert licences == {library.package for library in libraries()}


def test_an_edit_of_any_part_makes_the_report_anew():
    assert {PAGE / "report.html", PAGE / "report.js", VENDOR / "vega.min.js"} <= set(files())
