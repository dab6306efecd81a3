"""The contract of a model file, as far as it can be checked without running the file.

``build_model(input_shape, outputs, **hyperparameters) -> compiled keras.Model``
"""

from __future__ import annotations

import ast
from collections.abc import Iterable
from pathlib import Path

from gridloom.errors import StudyError, nearest

FUNCTION = "build_model"
GIVEN = ("input_shape", "outputs")


def check_model_file(path: Path, names: Iterable[frozenset[str]]) -> None:
    """Check that a model file's `build_model` takes the study's hyperparameters.

    The file is parsed, not run, so this costs no import of TensorFlow.

    Parameters
    ----------
    path
        The model file.
    names
        The sets of hyperparameters that the points hand to `build_model`.

    Raises
    ------
    StudyError
        If the file is missing, is not Python, has no `build_model`, or its signature does not fit.
    """
    try:
        tree = ast.parse(path.read_text(encoding="utf-8"), filename=str(path))
    except OSError as error:
        raise StudyError(f"model: {path} cannot be read ({error.strerror})") from None
    except (SyntaxError, ValueError) as error:
        line = f", line {error.lineno}" if isinstance(error, SyntaxError) else ""
        raise StudyError(f"model: {path}{line}: not valid Python ({error})") from None
    functions = [
        node for node in tree.body if isinstance(node, ast.FunctionDef) and node.name == FUNCTION
    ]
    if not functions:
        raise StudyError(
            f"model: {path} has no function `{FUNCTION}({', '.join(GIVEN)}, …)` at top level"
        )
    arguments = functions[-1].args
    positional = [argument.arg for argument in arguments.posonlyargs + arguments.args]
    keyword_only = [argument.arg for argument in arguments.kwonlyargs]
    if tuple(positional[:2]) != GIVEN:
        raise StudyError(
            f"model: {path}: `{FUNCTION}` must take `{'`, `'.join(GIVEN)}` first, then its "
            f"hyperparameters; it takes {', '.join(positional + keyword_only) or 'nothing'}"
        )
    takes = [*positional[2:], *keyword_only]
    optional = set(positional[len(positional) - len(arguments.defaults) :]) | {
        name
        for name, default in zip(keyword_only, arguments.kw_defaults, strict=True)
        if default is not None
    }
    problems = []
    for given in names:
        if arguments.kwarg is None:
            problems += [
                f"hyperparameters.{name}: `{FUNCTION}` in {path} takes no such hyperparameter"
                + (nearest(name, takes) or f"; it takes {', '.join(takes) or 'none'}")
                for name in sorted(given - set(takes))
            ]
        problems += [
            f"hyperparameters.{name}: missing; `{FUNCTION}` in {path} requires it"
            for name in takes
            if name not in given and name not in optional
        ]
    if problems:
        raise StudyError(list(dict.fromkeys(problems)))
