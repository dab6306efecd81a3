"""Promise of all kinds of figures: they look as they did (heatmaps have their own references)."""

from __future__ import annotations

import itertools

import numpy as np
import pytest

from gridloom.figures.drawing import write_all
from gridloom.figures.evidence import draw_figures
from gridloom.figures.gains import draw_gains, read_gains
from gridloom.figures.lattice import lattice_drawings
from gridloom.figures.lines import draw_line, read_line
from gridloom.figures.page import Subject
from gridloom.figures.predictions import Predictions, draw_all
from gridloom.figures.rounds import draw_survivors, read_survivors
from tests.analysis.test_compare import units
from tests.figures.made_study import write_study
from tests.figures.shown import looks_as_it_did, looks_like_its_reference
from tests.figures.studies import study_of
from tests.figures.test_gains import better_at_0
from tests.figures.test_rounds import FIRST, LAST, SUBJECT
from tests.made_picks import BEST

AXES = {"units": [1, 8, 64], "rate": [0.1, 1.0], "layers": [[8, 8], [16]]}

EVIDENCE = [
    "cost",
    "curves",
    "curves_units",
    "effects",
    "interactions",
    "pairs",
    "stability",
    "ties",
    "whole_grid",
]

PREDICTIONS = ["calibration", "confusion", "predicted", "residuals", "roc"]


def score(point, repetition):
    if point["rate"] == 1.0 and point["units"] == 64 and repetition < 2:
        return None
    units = {1: 0.0, 8: 0.05, 64: 0.06}[point["units"]]
    wobble = ((7 * repetition + 3 * point["units"] + len(point["layers"])) % 5 - 2) / 150
    return 0.8 + units - 0.08 * (point["rate"] == 1.0) * (len(point["layers"]) - 0.5) + wobble


@pytest.fixture(scope="module")
def evidence(tmp_path_factory):
    """Draw a study, and return the folder of its figures."""
    folder = tmp_path_factory.mktemp("evidence")
    study = write_study(folder, AXES, score, epochs=8, title="Made", baselines={"linear": 0.84})
    draw_figures(*study, dpi=50, files=[folder / f"{name}.png" for name in EVIDENCE])
    return folder


@pytest.mark.parametrize("name", EVIDENCE)
def test_figures_of_the_evidence_look_as_they_did(evidence, name):
    looks_like_its_reference(evidence / f"{name}.png")


@pytest.mark.parametrize("name", PREDICTIONS)
def test_figures_of_the_test_rows_look_as_they_did(tmp_path, name):
    generator = np.random.default_rng(0)
    if name in ("predicted", "residuals"):
        target = generator.normal(size=60)
        made = Predictions(target[:, None], target[:, None] + 0.3, None, ["height"])
    else:
        target = generator.integers(2, size=80)
        shares = generator.random((80, 2)) + np.eye(2)[target]
        shares /= shares.sum(axis=1, keepdims=True)
        made = Predictions(target, shares.argmax(axis=1), shares, ["no", "yes"])
    draw_all(made, [tmp_path / f"{name}.png"], title="Made", dpi=60)
    looks_like_its_reference(tmp_path / f"{name}.png")


def test_a_line_looks_as_it_did(tmp_path):
    axes = {"rate": ["0.1", "1", "10", "100"]}
    study = study_of(lambda r, k: np.nan if r == "100" and k else float(len(r)), axes, noise=0.1)
    line = read_line(study.summary, study.runs, "rate", axes["rate"], "val_accuracy", "max")
    figure = draw_line(line, title="Made", metric="val_accuracy", mode="max", labels={})
    looks_as_it_did(figure, "line", tmp_path, dpi=60)


def test_the_rounds_of_a_confirmation_look_as_they_did(tmp_path):
    survivors = read_survivors([FIRST, LAST], BEST, SUBJECT)
    looks_as_it_did(draw_survivors(survivors, SUBJECT), "rounds", tmp_path, dpi=50)


def test_a_lattice_looks_as_it_did(tmp_path):
    axes = {"units": ["1", "8", "64"], "rate": ["0.1", "1"], "layers": ["1", "2"]}
    points = [p for p in itertools.product(*axes.values()) if p != ("8", "1", "2")]
    subject = Subject("Made", axes, "val_score", "max", {})
    file = tmp_path / "lattice_units_x_rate.png"
    write_all(lattice_drawings(points, subject, ["units"], [file]), dpi=80)
    looks_like_its_reference(file)


def test_the_gains_of_a_change_look_as_they_did(tmp_path):
    subject = Subject("Made", units(3), "val_score", "max", {})
    looks_as_it_did(draw_gains(read_gains(better_at_0(), subject), subject), "gains", tmp_path)
