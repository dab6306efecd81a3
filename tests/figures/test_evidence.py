"""Promises of the figures of the evidence: one of each kind from the tables of any study."""

from __future__ import annotations

from dataclasses import replace

import pytest

from gridloom.figures.evidence import draw_figures
from gridloom.figures.wanted import MAX_AXES
from tests.figures.made_study import write_study

NAMES = ["ties", "curves", "effects", "cost", "stability", "interactions"]

AXES = {"units": [1, 2], "rate": [0.1, 0.2]}

THREE = {**AXES, "layers": [1, 2]}


def score(point, repetition):
    return 0.5 + 0.1 * point.get("units", 1) + 0.01 * repetition * point.get("rate", 1)


def draw(folder, study, names, endings=("svg",), processes=1):
    files = [folder / f"{name}.{ending}" for name in names for ending in endings]
    draw_figures(*study, dpi=60, files=files, processes=processes)
    return {file.name: file.read_bytes() for file in files}


def test_every_kind_is_drawn_and_is_the_same_again_in_any_number_of_processes(tmp_path):
    study = write_study(tmp_path / "study", THREE, score, title="<b>", baselines={"linear": 0.6})
    names = [*NAMES, "curves_units", "curves_rate", "pairs", "whole_grid"]
    first = draw(tmp_path / "1", study, names)
    assert draw(tmp_path / "2", study, names, processes=2) == first
    for name in names:
        drawing = first[f"{name}.svg"].decode()
        assert "&lt;b&gt;:" in drawing
        assert "linear 0.6" in drawing or name not in ("ties", "cost", "curves")


def test_all_formats_are_the_same_again(tmp_path):
    study = write_study(tmp_path / "study", THREE, score)
    names = ["cost", "pairs", "whole_grid"]
    first = draw(tmp_path / "1", study, names, ("png", "svg", "pdf"))
    assert draw(tmp_path / "2", study, names, ("png", "svg", "pdf")) == first
    assert all(len(content) > 5000 for content in first.values())
    for name in names:
        assert b"/Type3" not in first[f"{name}.pdf"]
        assert ">units</text>" in first[f"{name}.svg"].decode() or name == "cost"


@pytest.mark.parametrize(
    ("axes", "scores", "names", "said"),
    [
        pytest.param(THREE, lambda point, _: None, ["pairs", "whole_grid"], "✕ 3", id="three axes"),
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


def test_of_very_many_axes_those_that_explain_most_have_curves_which_say_so(tmp_path):
    axes = {f"axis_{place}": [0, 1] for place in range(MAX_AXES)} | {"last": [0, 1]}
    points = {name: values[: 1 + (name in ("axis_3", "last"))] for name, values in axes.items()}

    def of(point, repetition):
        return 0.5 + 0.01 * point.get("axis_3", 0) + 0.1 * point.get("last", 0) + repetition / 1000

    tables, subject = write_study(tmp_path / "study", points, of)
    subject = replace(subject, axes={name: ["0", "1"] for name in axes})
    study = (tables, subject)
    drawings = draw(tmp_path, study, ["curves_largest_1", "curves_largest_2"])
    assert "learning curves by last" in drawings["curves_largest_1.svg"].decode()
    assert "learning curves by axis 3" in drawings["curves_largest_2.svg"].decode()
    assert "explains less has no" in drawings["curves_largest_1.svg"].decode()
