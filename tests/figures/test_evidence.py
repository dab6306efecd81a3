"""Promises of the figures of the evidence: one of each kind from the tables of any study."""

from __future__ import annotations

import pytest

from gridloom.figures.evidence import draw_evidence
from tests.figures.made_study import write_study

NAMES = ["ties", "curves", "effects", "cost", "stability", "interactions"]

AXES = {"units": [1, 2], "rate": [0.1, 0.2]}


def score(point, repetition):
    return 0.5 + 0.1 * point.get("units", 1) + 0.01 * repetition * point.get("rate", 1)


def draw(folder, study, names, endings=("svg",), processes=1):
    files = [folder / f"{name}.{ending}" for name in names for ending in endings]
    draw_evidence(*study, dpi=60, files=files, processes=processes)
    return {file.name: file.read_bytes() for file in files}


def test_every_kind_is_drawn_and_is_the_same_again_in_any_number_of_processes(tmp_path):
    study = write_study(tmp_path / "study", AXES, score, title="<b>", baselines={"linear": 0.6})
    names = [*NAMES, "curves_units", "curves_rate"]
    first = draw(tmp_path / "1", study, names)
    assert draw(tmp_path / "2", study, names, processes=2) == first
    for name in names:
        drawing = first[f"{name}.svg"].decode()
        assert "&lt;b&gt;:" in drawing
        assert "linear 0.6" in drawing or name not in ("ties", "cost", "curves")


def test_all_formats_are_the_same_again(tmp_path):
    study = write_study(tmp_path / "study", {"units": [1, 2]}, score)
    first = draw(tmp_path / "1", study, ["cost"], ("png", "svg", "pdf"))
    assert draw(tmp_path / "2", study, ["cost"], ("png", "svg", "pdf")) == first
    assert all(len(content) > 5000 for content in first.values())


@pytest.mark.parametrize(
    ("axes", "scores", "names", "said"),
    [
        pytest.param({}, score, NAMES[:2], "the only configuration", id="one configuration"),
        pytest.param(AXES, lambda point, _: None, NAMES, "all diverged", id="all diverged"),
        pytest.param({"units": [1, 2]}, score, NAMES[:5], "may be the best", id="one axis"),
        pytest.param(AXES, lambda point, _: 0.5, NAMES, "There are no shares", id="equal scores"),
    ],
)
def test_a_study_with_little_to_show_is_drawn_or_says_why_not(tmp_path, axes, scores, names, said):
    names = [*names, *(f"curves_{axis}" for axis in axes)]
    drawings = draw(tmp_path, write_study(tmp_path, axes, scores), names)
    assert said in b"".join(drawings.values()).decode().replace("\n", " ")


def test_one_repetition_has_no_intervals(tmp_path):
    drawings = draw(tmp_path, write_study(tmp_path, AXES, score, repetitions=1), NAMES)
    assert b"One repetition: there are no intervals" in drawings["ties.svg"]
