"""Promises of what Snakemake says here: no advice that is wrong, the place of each mistake."""

from __future__ import annotations

import logging
import subprocess
import sys

import pytest

from gridloom.workflow.own_words import in_own_words, suggesting
from tests.workflow.conftest import ROOT

#: Snakemake as a logger plugin makes it: the filter is there before any file is read.
SNAKEMAKE = """
import logging
from gridloom.workflow.own_words import in_own_words
logging.getLogger("snakemake.logging").addFilter(in_own_words)
from snakemake.cli import main
main()
"""

CONFIG_FILES = {
    "a bracket": (b"name: x\nhyperparameters: [1\nseed: 3\n", "mine.yaml, line 3, column 5: not "),
    "a quote": (b'name: "x\n', "mine.yaml, line 2, column 1: not valid YAML"),
    "a tab": (b"hyperparameters:\n\tunits: 1\n", "mine.yaml, line 2, column 1: not valid YAML"),
    "a list": (b"- 1\n", "mine.yaml: must hold `key: value` lines, found a list"),
    "latin letters": ("name: Größe\n".encode("latin-1"), "mine.yaml: is not UTF-8 text; save it"),
    "nothing there": (None, "mine.yaml: cannot be read (No such file or directory)"),
}


@pytest.mark.parametrize("name", CONFIG_FILES)
def test_a_config_file_that_cannot_be_read_is_named_with_the_place_of_the_mistake(tmp_path, name):
    content, expected = CONFIG_FILES[name]
    (tmp_path / "Snakefile").write_text("rule all:\n    input: []\n")
    if content is not None:
        (tmp_path / "mine.yaml").write_bytes(content)
    done = subprocess.run(
        [sys.executable, "-c", SNAKEMAKE, "-n", "--configfile", "mine.yaml"],
        cwd=tmp_path,
        env={"PYTHONPATH": str(ROOT), "HOME": str(tmp_path)},
        capture_output=True,
        text=True,
        check=False,
    )
    output = done.stdout + done.stderr
    assert done.returncode == 1
    assert expected in output
    assert "Traceback" not in output
    assert len(output.splitlines()) <= 3, output


def test_another_error_is_left_as_it_is():
    record = logging.LogRecord("", logging.ERROR, "", 1, "%s of %s", ("one", "two"), None)
    assert in_own_words(record)
    assert record.getMessage() == "one of two"


@pytest.mark.parametrize(
    ("asked", "hint"),
    [("plann", " (did you mean 'plan'?)"), ("everything", "; `snakemake --list-rules` lists all")],
)
def test_a_misspelt_command_is_answered_with_the_nearest(asked, hint):
    said = (
        f"MissingRuleException:\nNo rule to produce {asked} (if you use input functions make sure"
    )
    record = logging.LogRecord("", logging.ERROR, "", 1, said, (), None)
    assert suggesting(lambda: ["all", "plan", "check"])(record)
    assert record.getMessage() == f"there is no rule or file {asked!r}{hint}"


def test_a_dry_run_after_a_changed_setting_gives_no_advice_that_keeps_old_tables(copied):
    copied.change(objective={"metric": "val_loss", "mode": "min"})
    done = copied.run("-n")
    output = done.stdout + done.stderr
    assert done.returncode == 0
    assert "params have changed since last execution" in output
    for wrong in ("--rerun-triggers", "--cleanup-metadata", "jobs above", "order of jobs"):
        assert wrong not in output
    assert "nothing was done. `snakemake plan` says what would train" in output


def test_ctrl_c_while_a_run_is_planned_is_one_line_and_other_errors_have_their_traceback():
    program = """
from gridloom.workflow.own_words import end_without_traceback
end_without_traceback()
raise {error}
"""

    def ended(error: str) -> subprocess.CompletedProcess[str]:
        command = [sys.executable, "-c", program.format(error=error)]
        return subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False)

    interrupted = ended("KeyboardInterrupt")
    assert interrupted.stderr == "interrupted\n"
    assert interrupted.returncode != 0
    assert "Traceback" in ended("ValueError").stderr
