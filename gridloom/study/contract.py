"""The contract of a model file: the checks that do not run it.

``build_model(input_shape, outputs, **hyperparameters) -> compiled keras.Model``, and optional
``callbacks(hyperparameters) -> list of Keras callbacks`` and ``input_pipeline(rows, training,
hyperparameters) -> tf.data.Dataset`` (both called by the keras engine) and ``custom_objects``, a
dict from name to object.
"""

from __future__ import annotations

import ast
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path

from gridloom.errors import StudyError, nearest

FUNCTION = "build_model"
GIVEN = ("input_shape", "outputs")
CALLBACKS = "callbacks"
PIPELINE = "input_pipeline"
CUSTOM_OBJECTS = "custom_objects"

#: Expressions that are certainly not a dict.
_NO_DICT = (ast.Constant, ast.List, ast.Tuple, ast.Set, ast.ListComp, ast.SetComp, ast.Lambda)


def check_model_file(path: Path, names: Iterable[frozenset[str]], engine: str = "compiled") -> None:
    """Check that a model file's `build_model` takes the study's hyperparameters.

    The file is parsed, not run, so TensorFlow is not imported.

    Parameters
    ----------
    path
        The model file.
    names
        Sets of hyperparameters that points pass to `build_model`.
    engine
        The study's engine: ``compiled``, which calls `build_model` only, or ``keras``.

    Raises
    ------
    StudyError
        If the file is missing, is not Python, has no `build_model`, or if `build_model`,
        `callbacks`, `input_pipeline` or `custom_objects` does not keep the contract.
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
    problems = [
        problem for one in _OPTIONAL for problem in _check_function(path, tree, engine, one)
    ]
    problems += _check_custom_objects(path, tree)
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


@dataclass(frozen=True)
class _Function:
    """A function that a model file may have: its arguments, also in words, and an example."""

    name: str
    arguments: tuple[str, ...]
    in_words: str
    returns: str


_OPTIONAL = (
    _Function(
        CALLBACKS,
        ("hyperparameters",),
        "exactly one argument, the hyperparameters as a dict",
        "[...]",
    ),
    _Function(
        PIPELINE,
        ("rows", "training", "hyperparameters"),
        "exactly three arguments: a tf.data.Dataset, True or False, the hyperparameters as a dict",
        "rows.map(...)",
    ),
)


def _check_function(path: Path, tree: ast.Module, engine: str, wanted: _Function) -> Iterator[str]:
    name = wanted.name
    defined = _defined(tree, name)
    if defined is None:
        return
    if engine != "keras":
        yield (
            f"model: {path} defines `{name}`, which only model.fit calls; set "
            f"`trainer: {{engine: keras}}`, or remove `{name}`"
        )
    if isinstance(defined, ast.FunctionDef):
        arguments = defined.args
        taken = arguments.posonlyargs + arguments.args
        more = arguments.kwonlyargs or arguments.vararg or arguments.kwarg
        if len(taken) != len(wanted.arguments) or more:
            yield (
                f"model: {path}: `{name}` must take {wanted.in_words}; it is "
                f"`{name}({ast.unparse(arguments)})`"
            )
    elif isinstance(defined, (*_NO_DICT, ast.Dict, ast.ClassDef)) and not isinstance(
        defined, ast.Lambda
    ):
        yield (
            f"model: {path}: `{name}` is not a function; write "
            f"`def {name}({', '.join(wanted.arguments)}): return {wanted.returns}`"
        )


def _check_custom_objects(path: Path, tree: ast.Module) -> Iterator[str]:
    if isinstance(_defined(tree, CUSTOM_OBJECTS), (*_NO_DICT, ast.FunctionDef, ast.ClassDef)):
        yield (
            f"model: {path}: `{CUSTOM_OBJECTS}` is not a dict; make it a dict from name to object, "
            "such as {'my_loss': my_loss}"
        )


def _defined(tree: ast.Module, name: str) -> ast.AST | None:
    """Return the last definition of a name at top level: a function, class, value or import."""
    found: ast.AST | None = None
    for node in tree.body:
        match node:
            case ast.FunctionDef() | ast.ClassDef() if node.name == name:
                found = node
            case ast.Assign():
                if any(isinstance(to, ast.Name) and to.id == name for to in node.targets):
                    found = node.value
            case ast.AnnAssign(target=ast.Name(id=identifier), value=value) if identifier == name:
                found = value or found
            case ast.Import() | ast.ImportFrom():
                if any((alias.asname or alias.name) == name for alias in node.names):
                    found = node
    return found
