"""The packages that exports need: extras, because most studies need none of them."""

from __future__ import annotations

from importlib.util import find_spec

from gridloom.errors import GridloomError

#: Rule → its extra in pyproject.toml, and the modules that the rule imports.
_EXTRAS = {
    "export_optuna": ("optuna", ["optuna"]),
    "export_mlflow": ("mlflow", ["alembic", "mlflow", "sqlalchemy"]),
}


def require_extra(rule: str) -> None:
    """Check that the packages are installed that a rule needs; most rules need none.

    Raises
    ------
    GridloomError
        If one is not.
    """
    extra, modules = _EXTRAS.get(rule, ("", []))
    if missing := [name for name in modules if find_spec(name) is None]:
        verb = "is" if len(missing) == 1 else "are"
        raise GridloomError(
            f"{rule} needs {', '.join(missing)}, which {verb} not installed; run "
            f"`python3 -m uv sync --inexact --extra {extra}`"
        )
