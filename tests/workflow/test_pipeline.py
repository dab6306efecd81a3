"""Promises of rows too many for memory: a study of numbered files, as in docs/data.md."""

from __future__ import annotations

import re

import numpy as np
import pandas as pd
import pytest

from tests.workflow.conftest import ROOT

ROWS = 60


@pytest.fixture
def photos(project):
    """Write a table of numbers, an image for each, and the study of the docs; return labels."""
    import matplotlib.image

    generator = np.random.default_rng(5)
    labels = np.where(generator.integers(0, 2, ROWS), "bright", "dark")
    numbers = generator.permutation(ROWS)
    (project.folder / "photos").mkdir()
    for number, label in zip(numbers, labels, strict=True):
        pixels = generator.integers(0, 100, (12, 10, 3), np.uint8) + 150 * (label == "bright")
        matplotlib.image.imsave(
            project.folder / "photos" / f"{number}.png", pixels.astype(np.uint8)
        )
    table = pd.DataFrame({"photo": numbers, "label": labels})
    table.to_csv(project.folder / "photos.csv", index=False)
    text = (ROOT / "docs" / "data.md").read_text()
    section = text[text.index("## Rows too many for memory") : text.index("## Which rows")]
    model, study = (
        content for _, content in re.findall(r"```(\w+)\n(.*?)```", section, flags=re.DOTALL)
    )
    (project.folder / "models" / "photos.py").write_text(model)
    (project.folder / "photos.yaml").write_text(study)
    return table


@pytest.mark.slow
def test_a_study_of_numbered_images_trains_refits_and_predicts(project, photos):
    given = ("--configfile", "photos.yaml")
    assert project.succeed(*given)["train"] == 2
    runs = pd.read_csv(project.results / "photos" / "runs.csv")
    assert len(runs) == 4
    assert set(runs["engine"]) == {"keras"}
    assert runs["val_accuracy"].mean() > 0.8
    assert "chosen      " in project.run("refit", *given).stderr
    done = project.python(
        *("-m", "gridloom.predict", "results/photos/model", "photos.csv", "--output", "out.csv")
    )
    assert done.returncode == 0, done.stderr
    predicted = pd.read_csv(project.folder / "out.csv")["predicted_label"]
    assert (predicted == photos["label"]).mean() > 0.8
    assert project.succeed(*given) == {}
    # A missing image is reported in one sentence, in the closing summary.
    for image in (project.folder / "photos").iterdir():
        image.unlink()
    printed = project.fail(*given, "--config", "repetitions=3")
    assert re.search(r"input_pipeline.* failed on a row: NotFoundError: .*photos/\d+\.png", printed)


def test_the_compiled_engine_refuses_the_pipeline_before_any_job(project, photos):
    printed = project.fail(
        "--configfile", "photos.yaml", "--config", 'trainer={"engine":"compiled"}'
    )
    assert "models/photos.py defines `input_pipeline`, which only model.fit calls" in printed
    assert "set `trainer: {engine: keras}`" in printed
    assert not (project.results / "photos" / "data").exists()
