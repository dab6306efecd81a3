"""The reference of a study's keys, for people: the page ``docs/config.md``."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any

from gridloom.naming.columns import FIT_HYPERPARAMETERS
from gridloom.study.schema import Study

#: Each key with a value, as a study may have it; not a study that makes sense as a whole.
EXAMPLES = """\
name: Flats
results: results/flats
seed: 7
repetitions: 10
repetitions_per_job: 5
points_per_job: auto
model: models/mine.py
max_points: 50000
class_weight: balanced          # or {yes: 2, no: 1}
vary: [shuffle, dropout]
baselines: [linear]
environment: strict
compare: 95ad8a4d738310dc
dataset:
  source: https://example.org/flats.zip
  format: csv
  member: flats.csv
  sha256: 01ba4719c80b6fe911b091a7c05124b64eeece964e09c058ef8f9805daca546b
  test_source: later.csv
  test_sha256: 01ba4719c80b6fe911b091a7c05124b64eeece964e09c058ef8f9805daca546b
  task: classification
  target: let                   # or [low, high]
  drop: [listing]
  categorical: [postcode]
  group: building
  order: date
  weight: importance
  columns: [id, let, area]
  shape: [28, 28, 1]
  missing: ["?", "n/a"]
  separator: ";"
  decimal: ","
  encoding: latin-1
limits:
  gib: 64
  minutes: 1000
split:
  test: 0.25
  stratify: false
  seed: 3
  column: part
  test_value: held back
validation:
  method: kfold
  fraction: 0.1
  folds: 10
preparation:
  scaling: minmax
  target: none
hyperparameters:
  units: [8, 16, 32]            # swept: for build_model
  dropout: {linspace: [0, 0.6, 4]}
  batch_size: 32                # fixed: for the fit
  epochs: 100
  early_stopping_patience: 10
  early_stopping_min_delta: 0.001
  early_stopping_monitor: val_accuracy
objective:
  metric: val_accuracy
  mode: max
  diverged_above: 1000
pick:
  close_enough: 0.01
  cost: [units, parameters]
confirm:
  first_repetitions: 20
  repetitions_per_round: 5
  difference: 0.01
  max_trainings: 5000
  max_hours: 12
crosscheck:
  points: 10
  repetitions: 2
trainer:
  engine: keras
  warm: false
  lockstep: false
  recycle_trainings: 1000
  recycle_mb: 8000
  checkpoint_minutes: 10
  onednn: false                 # the same bits on unlike x86 processors
  xla: "on"                     # in quotes: YAML reads on as true
resources:
  train:
    threads: 4
    mem_mb: 8000
    runtime: 120
    gpu: 1
figures:
  formats: [png, pdf]
  dpi: 300
  heatmaps: [mean, slice]
  metrics: [val_loss, seconds]
  evidence: [ties, curves]
  to_scale: [units]
  labels: {val_accuracy: accuracy}
  slices:
    - rows: units
      columns: dropout
      at: {batch_size: 32}
      panels: epochs
"""

#: The first part of the page.
_HEAD = """\
<!-- Made by `python -m gridloom.study.reference > docs/config.md`; do not edit. -->

# Config reference

Every key of a study file. A key that is not here is a mistake, and the run stops with a message.
[Your own study](your-own-study.md) shows a whole file. An example shows how a key is written, not
what to choose; keys of one example need not go together. Editors with YAML support show the same
texts while you type, if the file begins with

    # yaml-language-server: $schema=config/study.schema.json

`null` means: not set. Write `1.0e-3`, not `1e-3`, which YAML reads as text. `--config` sets a
single key for one run: `snakemake --cores all --config repetitions=10 'trainer={"warm": false}'`.
"""


#: About the block that no table can describe whole.
_HYPERPARAMETERS = """\
Every setting of a training. A list is swept, a single value is fixed. [Grids](grids.md) has all
forms: `linspace`, `logspace` and `range` generate values, `zip` varies lists together, `grids`
joins several grids, `exclude` leaves configurations out. The keys below belong to the fit. All
other keys go to `build_model` by name. `batch_size` and `epochs` are required."""


def page() -> str:
    """Return the page as Markdown: of each key its type, default, meaning and an example."""
    schema = Study.model_json_schema()
    blocks = schema["$defs"]
    examples = _examples()
    plain: dict[str, Any] = {}
    sections: dict[str, Any] = {}
    for key, described in schema["properties"].items():
        inner = "$ref" in described or key in ("hyperparameters", "resources")
        (sections if inner else plain)[key] = described
    parts = [_HEAD, *_section("The study", "", [examples[key] for key in plain])]
    parts.append(_table(plain, schema["required"]))
    for key, described in sections.items():
        if key == "hyperparameters":
            meaning, table = _HYPERPARAMETERS, _fit_table()
        elif key == "resources":
            rules = ", ".join(f"`{rule}`" for rule in described["propertyNames"]["enum"])
            block = blocks["Resources"]
            meaning = f"{block['description']} The rules are {rules}."
            table = _table(block["properties"], [])
        else:
            block = blocks[described["$ref"].rpartition("/")[2]]
            meaning = block["description"]
            table = _table(block["properties"], block.get("required", []))
        parts += [*_section(f"`{key}`", meaning, [examples[key]]), table]
    slices = blocks["Slice"]
    parts += [f"Each of `slices`: {slices['description'][0].lower()}{slices['description'][1:]}\n"]
    parts += [_table(slices["properties"], slices["required"])]
    return "\n".join(parts)


def _examples() -> dict[str, str]:
    """Return the lines of each key of the study."""
    found: dict[str, str] = {}
    for line in EXAMPLES.splitlines():
        if not line.startswith(" "):
            key = line.partition(":")[0]
        found[key] = found.get(key, "") + line + "\n"
    return found


def _section(heading: str, meaning: str, lines: list[str]) -> list[str]:
    said = [f"{meaning}\n"] if meaning else []
    return [f"## {heading}\n", *said, f"```yaml\n{''.join(lines)}```\n"]


def _table(properties: Mapping[str, Any], required: list[str]) -> str:
    rows = ["| key | type | default | meaning |", "| --- | --- | --- | --- |"]
    for key, described in properties.items():
        default = "*required*" if key in required else f"`{_spelled(described['default'])}`"
        meaning = described["description"]
        rows.append(_row(f"`{key}`", _type(described), default, meaning))
    return "\n".join(rows) + "\n"


def _fit_table() -> str:
    rows = ["| key | meaning |", "| --- | --- |"]
    rows += [_row(f"`{key}`", meaning) for key, meaning in FIT_HYPERPARAMETERS.items()]
    return "\n".join(rows) + "\n"


def _row(*cells: str) -> str:
    return "| " + " | ".join(cell.replace("|", "\\|") for cell in cells) + " |"


def _spelled(value: Any) -> str:
    """Spell a value as YAML does."""
    return value if isinstance(value, str) else json.dumps(value).replace('"', "")


_TYPES = {"string": "text", "integer": "whole number", "number": "number", "null": "`null`"}

_MANY = {"string": "texts", "integer": "whole numbers"}

_LIMITS = {
    "minimum": "{:,} or more",
    "exclusiveMinimum": "above {:,}",
    "maximum": "at most {:,}",
    "exclusiveMaximum": "below {:,}",
}


def _type(described: Mapping[str, Any]) -> str:
    """Describe a type of JSON Schema in words."""
    if "anyOf" in described:
        return " or ".join(map(_type, described["anyOf"]))
    if "const" in described:
        return f"`{described['const']}`"
    if "enum" in described:
        return ", ".join(f"`{value}`" for value in described["enum"])
    kind = described.get("type")
    if kind == "boolean":
        return "`true`, `false`"
    if kind == "array":
        items = described.get("items", {})
        if items.get("type") in _MANY and "enum" not in items:
            return f"list of {_MANY[items['type']]}"
        return f"list of {_type(items)}" if "enum" in items else "list"
    if kind == "object":
        return "mapping"
    limits = [text.format(described[key]) for key, text in _LIMITS.items() if key in described]
    return _TYPES[str(kind)] + (f" ({', '.join(limits)})" if limits else "")


if __name__ == "__main__":
    print(page(), end="")
