"""Promises of the rules files that no linter sees."""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator

from tests.made_requests import ROOT

COMMON = ROOT / "rules" / "common.smk"


def bound_names() -> Iterator[str]:
    """Yield the names that `common.smk`, which is Python, binds for all rules."""
    for node in ast.walk(ast.parse(COMMON.read_text())):
        if isinstance(node, ast.Import | ast.ImportFrom):
            yield from ((alias.asname or alias.name) for alias in node.names)
        elif isinstance(node, ast.FunctionDef):
            yield node.name
        elif isinstance(node, ast.Name) and isinstance(node.ctx, ast.Store):
            yield node.id


def test_every_name_of_the_common_rules_is_used():
    files = [ROOT / "Snakefile", *sorted((ROOT / "rules").glob("*.smk"))]
    text = "\n".join(file.read_text() for file in files)
    unused = [name for name in set(bound_names()) if len(re.findall(rf"\b{name}\b", text)) < 2]
    assert unused == []


def test_snakefile_package_and_docs_name_one_lowest_version_of_snakemake():
    (lowest,) = re.findall(r'min_version\("([\d.]+)"\)', (ROOT / "Snakefile").read_text())
    assert f'"snakemake>={lowest}"' in (ROOT / "pyproject.toml").read_text()
    assert f"Snakemake is older than {lowest}" in (ROOT / "docs" / "faults.md").read_text()
