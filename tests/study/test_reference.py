"""Promises of the config reference: it names every key, and its examples are right."""

from __future__ import annotations

from pathlib import Path

import pytest
import yaml

from gridloom.study.loading import check_study
from gridloom.study.reference import EXAMPLES, page
from gridloom.study.schema import Study

ROOT = Path(__file__).parents[2]

EXAMPLE = yaml.safe_load(EXAMPLES)

REQUIRED = {key: EXAMPLE[key] for key in ("model", "hyperparameters")} | {
    "dataset": {"source": "mine.csv"}
}

#: A key that a study may only have beside others → these.
BESIDE = {
    "dataset.test_sha256": {"dataset": {"test_source": "later.csv"}},
    "split.test_value": {"split": {"column": "part"}},
    "validation.folds": {"validation": {"method": "kfold"}},
    "preparation.target": {"dataset": {"task": "regression"}},
    "objective.metric": {"objective": {"mode": "max"}},
    "objective.mode": {"objective": {"metric": "val_accuracy"}},
    "figures.metrics": {"objective": {"metric": "val_accuracy", "mode": "max"}},
}


def paths(settings, above=()):
    """List the keys of the study and of its blocks, as far as the schema names them."""
    for key, value in settings.items():
        block = isinstance(value, dict) and key not in ("hyperparameters", "labels")
        yield from paths(value, (*above, key)) if block else [(*above, key)]


def study_with(path):
    """Return a small study with one of the examples."""
    value = EXAMPLE
    for key in path:
        value = value[key]
    made = {key: dict(one) if isinstance(one, dict) else one for key, one in REQUIRED.items()}
    for beside, block in BESIDE.get(".".join(path), {}).items():
        made.setdefault(beside, {}).update(block)
    within = made
    for key in path[:-1]:
        within = within.setdefault(key, {})
    within[path[-1]] = value
    return made


def test_the_page_is_current():
    assert (ROOT / "docs" / "config.md").read_text() == page(), (
        "write it anew: python -m gridloom.study.reference > docs/config.md"
    )


def test_the_examples_have_every_key():
    schema = Study.model_json_schema()
    for key, described in schema["properties"].items():
        assert key in EXAMPLE
        if "$ref" in described:
            block = schema["$defs"][described["$ref"].rpartition("/")[2]]
            assert set(EXAMPLE[key]) == set(block["properties"]), key
    assert set(EXAMPLE["resources"]["train"]) == set(schema["$defs"]["Resources"]["properties"])
    (slice_,) = EXAMPLE["figures"]["slices"]
    assert set(slice_) == set(schema["$defs"]["Slice"]["properties"])


@pytest.mark.parametrize("path", list(paths(EXAMPLE)), ids=".".join)
def test_each_example_is_accepted(path):
    check_study(study_with(path))
