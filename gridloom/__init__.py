"""Gridloom: hyperparameter grid studies of neural networks, as a Snakemake workflow.

In a notebook, ``gridloom.open("results")`` returns the results of a study.
"""

from importlib import import_module as _import_module

#: Name here → module and name there. Imported when it is used, and by name: so a training, which
#: imports this package too, imports none of them, and their code is no part of its set-up.
_ELSEWHERE = {
    "open": ("gridloom.results", "open_results"),
    "Results": ("gridloom.results", "Results"),
}

__all__ = ["Results", "__version__", "open"]


def __getattr__(name: str) -> object:
    if name == "__version__":
        return _import_module("importlib.metadata").version("gridloom")
    if name in _ELSEWHERE:
        module, there = _ELSEWHERE[name]
        return getattr(_import_module(module), there)
    raise AttributeError(f"module 'gridloom' has no attribute {name!r}")
