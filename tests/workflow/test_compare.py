"""Promises of `snakemake compare`, by the real command: it trains nothing and says what changed."""

from __future__ import annotations

import pandas as pd
import pytest

from tests.workflow.conftest import TINY, jobs
from tests.workflow.test_docs import names_in, section_of


def edit(project, before, now):
    file = project.folder / "models" / "mlp.py"
    file.write_text(file.read_text().replace(before, now))


@pytest.mark.slow
def test_an_edit_of_the_model_file_is_compared_with_what_was_before(copied):
    assert "all trainings belong to one set-up" in copied.fail("compare")
    (before,) = (folder.name for folder in (copied.results / "points").iterdir())
    edit(copied, "activation=activation", "activation=activation, use_bias=False")
    assert "today's set-up has no finished trainings" in copied.fail("compare")
    copied.succeed("--until", "train")
    records = copied.records()
    done = copied.run("compare")
    printed = done.stdout + done.stderr
    assert done.returncode == 0, printed
    assert jobs(printed) == {"compare": 1, "compare_with": 1}
    assert f"Changed since set-up {before}: model file. Both have 4 configurations" in printed
    assert copied.records() == records
    folder = copied.results / "compare" / before
    table = pd.read_csv(folder / "compare.csv")
    assert table["pairs"].tolist() == [2] * 4
    assert (table["now"] - table["before"] - table["gain"]).abs().max() < 1e-9
    own = pd.read_csv(copied.results / "summary.csv").set_index("point").loc[table["point"]]
    assert table["before"].tolist() == own["val_categorical_accuracy_mean"].tolist()
    assert pd.read_csv(folder / "values.csv")["axis"].tolist() == ["units"] * 2 + ["dropout"] * 2
    assert (folder / "gains.png").exists()
    described = names_in(section_of("compare.md", "What it writes"), {})
    for columns in (table.columns, pd.read_csv(folder / "values.csv").columns):
        assert set(columns) - {"point", *TINY["hyperparameters"]} <= described
    assert copied.succeed("compare") == {}
    # Taken back, the other one is what was used before.
    edit(copied, "activation=activation, use_bias=False", "activation=activation")
    assert copied.succeed("compare") == {"compare": 1, "compare_with": 1}
    assert len(list((copied.results / "compare").iterdir())) == 2
    asked = ("--config", f"compare={before}")
    assert "is the set-up of the study itself" in copied.fail("compare", *asked)
