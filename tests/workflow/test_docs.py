"""Promises of README and docs/: what they say about files is true, and their commands run."""

from __future__ import annotations

import json
import re
import shlex
import shutil
from dataclasses import dataclass
from pathlib import Path

import pandas as pd
import pytest
import yaml

from gridloom.study.loading import check_study
from tests.workflow.conftest import ROOT, Project

DOCS = ROOT / "docs"

TUTORIAL = "your-own-study.md"


@dataclass(frozen=True)
class Block:
    """A fenced block of a page.

    Attributes
    ----------
    kind
        Its language; empty for what a command prints.
    why_not
        Why it is not run here; None if it is.
    """

    page: str
    kind: str
    content: str
    why_not: str | None


def blocks_of(page: Path) -> list[Block]:
    pattern = r"(?:<!-- not run: ([^>]+) -->\n)?^```(\w*)\n(.*?)^```$"
    found = re.findall(pattern, page.read_text(), flags=re.DOTALL | re.MULTILINE)
    return [Block(page.name, kind, content, why or None) for why, kind, content in found]


def all_blocks() -> list[Block]:
    pages = [*sorted(ROOT.glob("*.md")), ROOT / "config" / "README.md", *sorted(DOCS.glob("*.md"))]
    return [block for page in pages for block in blocks_of(page)]


def run_commands(project: Project, block: Block) -> str:
    """Run each command of a block, as a person pastes it; return what they printed."""
    printed = ""
    for line in block.content.splitlines():
        words = shlex.split(line, comments=True)
        if not words:
            continue
        program, *arguments = words
        if program == "snakemake" and "all" in arguments:
            arguments.remove("all")
            arguments.remove("--cores")
        if ">" in words:
            # `python` is the one of the tests, as in an environment that is activated.
            done = project.run_command(["bash", "-c", line])
        elif program == "snakemake":
            done = project.run(*arguments)
        elif program == "python":
            done = project.python(*arguments)
        else:
            done = project.run_command(words)
        assert done.returncode == 0, f"{block.page}: {line}\n{done.stdout}{done.stderr}"
        printed += done.stdout + done.stderr
    return printed


def section_of(page: str, heading: str) -> str:
    """Return the text under a heading of a page, up to the next one of its level."""
    text = (DOCS / page).read_text()
    start = text.index(f"\n## {heading}\n")
    end = text.find("\n## ", start + 1)
    return text[start:] if end < 0 else text[start:end]


def names_in(section: str, values: dict[str, list[str]]) -> set[str]:
    """Return what the first cells of a section's tables name, each placeholder filled in."""
    cells = re.findall(r"^\| (`[^|]*) \|", section, flags=re.MULTILINE)
    names = [name for cell in cells for name in re.findall(r"`([^`]+)`", cell)]
    for placeholder, fillings in values.items():
        names = [
            name.replace(f"<{placeholder}>", filling)
            for name in names
            for filling in (fillings if f"<{placeholder}>" in name else [""])
        ]
    return set(names)


def values_in(results: Path) -> dict[str, list[str]]:
    """Return what the placeholders of the page stand for in a study."""
    study = json.loads((results / "study.json").read_text())["study"]
    history = pd.read_parquet(results / "history.parquet")
    return {
        "hyperparameter": list(study["hyperparameters"]),
        "metric": list(history.columns.difference(["point", "repetition", "fold", "epoch"])),
        "objective": [study["objective"]["metric"]],
        "k": list(map(str, range(study["repetitions"]))),
    }


def read(file: Path) -> pd.DataFrame:
    return pd.read_parquet(file) if file.suffix == ".parquet" else pd.read_csv(file)


def assert_described(results: Path, files: list[str]) -> None:
    """Assert that the page names just the columns of tables and the keys of YAML files."""
    values = values_in(results)
    for file in files:
        path = results / file
        written = yaml.safe_load(path.read_text()) if path.suffix == ".yaml" else read(path)
        heading = {"verify.yaml": "Verify", "rounds.csv": "Confirm"}.get(
            path.name, f"`{path.name}`"
        )
        section = section_of("outputs.md", heading)
        # Beside the table of columns, there may be one of files.
        columns = {name for name in names_in(section, values) if not re.search(r"[.=]", name)}
        assert columns == set(written), file


def test_outputs_names_each_column_of_the_tables_and_each_key_of_the_pick(finished):
    tables = ["runs", "summary", "effects", "divergence", "cv_results"]
    files = [f"{table}.csv" for table in tables]
    assert_described(finished.results, [*files, "history.parquet", "best.yaml"])


def test_outputs_names_each_key_of_a_record(finished):
    text = next(iter(finished.records().values()))
    assert names_in(section_of("outputs.md", "Records"), {}) == set(json.loads(text))


def test_outputs_names_each_file(finished):
    assert_each_file_is_named(finished.results)


def assert_each_file_is_named(results: Path) -> None:
    """Assert that the page names each file in a folder of results, or the folder that it is in."""
    named = names_in(section_of("outputs.md", "All files"), {})
    folders = {name.split("/")[0] for name in named if "/" in name}
    top = {part.name for part in results.iterdir()}
    assert top <= named | folders
    data = names_in(section_of("outputs.md", "Data"), {})
    assert {file.name for file in results.glob("data/*/*")} <= data


#: What a block of settings leaves out.
SMALL = {
    "dataset": {"source": "builtin:iris"},
    "model": "models/mlp.py",
    "hyperparameters": {"units": 4, "batch_size": 32, "epochs": 2},
}


def test_every_block_of_settings_is_accepted():
    blocks = [block for block in all_blocks() if block.kind == "yaml"]
    # Those of config.md are in tests/study/test_reference.py.
    blocks = [block for block in blocks if block.page != "config.md"]
    assert len(blocks) > 8
    for block in blocks:
        check_study({**SMALL, **yaml.safe_load(block.content)})


def test_every_block_is_of_a_kind_that_a_test_runs():
    assert {block.kind for block in all_blocks()} == {"", "sh", "python", "yaml", "snakemake"}


@pytest.mark.nightly
def test_every_command_runs_but_those_that_say_why_not(copied):
    """Those of the tutorial and of module.md run in a project of their own."""
    copied.change(hyperparameters={"dropout": 0, "learning_rate": [0.1, 0.5]})
    copied.succeed()
    shutil.copy(copied.data / "raw.csv", copied.folder / "new.csv")
    shutil.copytree(ROOT / "docs", copied.folder / "docs")
    ran = set()
    for block in all_blocks():
        if block.why_not is not None or block.page in (TUTORIAL, "module.md"):
            continue
        if block.kind == "sh":
            run_commands(copied, block)
            ran.add(block.page)
        elif block.kind == "python" and "def build_model" not in block.content:
            # A page's later blocks continue its earlier ones, as in a notebook.
            earlier = [one.content for one in blocks_of(DOCS / block.page) if one.kind == "python"]
            code = "".join(earlier[: earlier.index(block.content) + 1])
            done = copied.python("-c", code)
            assert done.returncode == 0, f"{block.page}: {block.content}\n{done.stderr}"
            ran.add(block.page)
    pages = {"README.md", "methods.md", "model.md", "notebook.md", "outputs.md", "report.md"}
    assert pages <= ran
    assert_described(copied.results, ["crosscheck.csv"])
    assert (copied.folder / "report.zip").stat().st_size > 1e5
    # What is made from the typed study is as it was.
    assert (copied.folder / "docs" / "config.md").read_text() == (DOCS / "config.md").read_text()


@pytest.mark.nightly
def test_the_tutorial_works_as_written(project):
    shutil.copytree(ROOT / "config", project.folder / "config", dirs_exist_ok=True)
    names = re.findall(r"Save this as `([^`]+)`", (DOCS / TUTORIAL).read_text())
    printed = commands = ""
    for block in blocks_of(DOCS / TUTORIAL):
        if block.kind == "sh":
            printed = run_commands(project, block)
            commands += block.content
        elif block.kind == "":
            # The labels of what it shows; numbers may differ between machines by rounding.
            labels = set(re.findall(r"^\w[\w ]*?(?=  )", block.content, flags=re.MULTILINE))
            assert labels <= set(re.findall(r"^\w[\w ]*?(?=  )", printed, flags=re.MULTILINE))
        else:
            (project.folder / names.pop(0)).write_text(block.content)
    for said in ("plan", "check", "confirm", "verify", "refit", "gridloom.predict"):
        assert said in commands
    results = project.results / "mine"
    assert len(pd.read_csv(results / "runs.csv")) == 60
    assert len(list((results / "figures").glob("heatmap_*_mean.png"))) == 3
    # The first answer was luck, as the tutorial says.
    (confirmed,) = results.glob("confirm/*/best.yaml")
    first, final = (yaml.safe_load(file.read_text()) for file in (results / "best.yaml", confirmed))
    assert first["point"] != final["point"]
    assert "units=16" in final["point"]
    predictions = pd.read_csv(project.folder / "predictions.csv")
    table = pd.read_csv(project.folder / "mine.csv")
    assert predictions["listing"].tolist() == table["listing"].tolist()
    assert (predictions["predicted_let"] == table["let"]).mean() > 0.7
    # outputs.md describes what these commands make, too.
    (verified,) = results.glob("verify/*/verify.yaml")
    (rounds,) = results.glob("confirm/*/rounds.csv")
    made = [str(file.relative_to(results)) for file in (confirmed, verified, rounds)]
    assert_described(results, ["baselines.csv", *made])
    assert_each_file_is_named(results)
    for target in ("refit", "all"):  # neither asks for anything that is there
        assert project.succeed(target, "--configfile", "mine.yaml") == {}
