"""Whether a model file could act on anything but the networks that it returns.

A network's structure tells how it trains only if its code did nothing else, such as set an option
of TensorFlow or replace a method of a layer. Files are parsed here, not run, and what is not known
to be harmless counts as acting.
"""

from __future__ import annotations

import ast
import importlib.util
from collections.abc import Collection, Iterable, Iterator

from gridloom.networks.model_code import ModelCode

#: Packages whose names a model file may use, apart from its own modules.
_HARMLESS = {
    "__future__",
    "collections",
    "dataclasses",
    "enum",
    "functools",
    "itertools",
    "keras",
    "math",
    "numpy",
    "operator",
    "string",
    "tensorflow",
    "typing",
}

#: Names that set or register something for the whole process, or that lead to what does.
_ACTING = {
    "attrgetter",
    "compat",
    "config",
    "custom_object_scope",
    "delitem",
    "experimental",
    "func",
    "get_custom_objects",
    "load_library",
    "load_op_library",
    "methodcaller",
    "mro",
    "setbufsize",
    "seterr",
    "seterrcall",
    "setitem",
    "total_ordering",
    "update_wrapper",
}
_ACTING_STARTS = ("Register", "_", "clear_", "disable_", "enable_", "register", "run_", "set_")

#: Attributes that lead to the variables of a running function.
_FRAMES = ("ag_frame", "cr_frame", "f_builtins", "f_globals", "f_locals", "gi_frame", "tb_frame")

#: Modules whose functions may return a part of what they are given.
_PASSING = {"collections", "functools", "itertools", "operator"}

#: Names that only change the object that has them.
_OF_OBJECTS = {"__init__", "set_weights"}

#: Builtins that can change any object by a name that is made at run time.
_BUILTINS = {
    "__import__",
    "compile",
    "delattr",
    "eval",
    "exec",
    "globals",
    "locals",
    "setattr",
    "vars",
}

#: Builtins whose result may be, or hold, a class or module that they are given.
_LOOKUPS = {
    "dict",
    "enumerate",
    "filter",
    "getattr",
    "iter",
    "list",
    "map",
    "max",
    "min",
    "next",
    "reversed",
    "set",
    "sorted",
    "tuple",
    "type",
    "zip",
}


def acts_beyond(code: ModelCode) -> str | None:
    """Return the first place where a model file could act beyond its networks; None if nowhere.

    Parameters
    ----------
    code
        The model file with its own modules.
    """
    files = [code.path, *(module.path for module in code.modules.values() if module.has_code)]
    for file in files:
        text = importlib.util.decode_source(code.contents[file])
        try:
            place = _first_place(text, code.modules)
        except RecursionError:
            place = "an expression is nested too deeply"
        if place is not None:
            return f"{file.name}, {place}" if file != code.path else place
    return None


def _first_place(text: str, own: Collection[str]) -> str | None:
    """Return the first acting place of a source text."""
    tree = ast.parse(text)
    names = _Names(tree)
    for node in ast.walk(tree):
        what = _what_acts(node, names, own)
        if what is not None:
            return f"line {getattr(node, 'lineno', 1)}: {what}"
    return None


def _what_acts(node: ast.AST, names: _Names, own: Collection[str]) -> str | None:
    match node:
        case ast.Import(names=aliases):
            return next(
                filter(None, (_what_imports(alias.name, (), own) for alias in aliases)), None
            )
        case ast.ImportFrom(module=module, names=aliases, level=level):
            what = f"{'.' * level}{module or ''}"
            return _what_imports(what, [alias.name for alias in aliases], own)
        case ast.Name(id=name) if name in _BUILTINS:
            return name
        case ast.Name(id=name) if name.startswith("__") and name not in ("__name__", "__file__"):
            return name
        case ast.Attribute(attr=name) if name in _FRAMES:
            return name
        case ast.Call(func=ast.Name(id="getattr"), args=[_, ast.Constant(value=str(name)), *_]):
            return name if _is_acting(name) else None
        case ast.Call(func=ast.Name() | ast.Attribute() as called, args=[_, *_]) if _is_dataclass(
            called
        ):
            return "dataclass of a class that is given"
        case ast.Call(func=ast.Call(func=called), args=[_, *_]) if _is_dataclass(called):
            return "dataclass of a class that is given"
        case ast.Attribute(attr=name) if name.startswith("__") and name != "__init__":
            return name
        case ast.Attribute(ctx=ast.Load()) if _root(node) in names.foreign:
            return next(filter(_is_acting, _parts(node)), None)
        case ast.Attribute(attr=name, ctx=ast.Load()) if _root(node) != "self":
            # What a call returned may be a module too.
            return name if _is_acting(name) and name not in _OF_OBJECTS else None
        case ast.Attribute(attr=name):
            if isinstance(node.ctx, ast.Load):
                return None
            of_self = isinstance(node.value, ast.Name) and node.value.id == "self"
            of_self &= "self" not in names.foreign
            if not of_self and _root(node) not in names.made:
                return f"an attribute {name} is set"
        case ast.Subscript(ctx=ast.Store() | ast.Del()):
            root = _root(node)
            if root is None or root in names.foreign:
                return "a part of an imported object is set"
    return None


def _what_imports(module: str, names: Collection[str], own: Collection[str]) -> str | None:
    """Return what an import brings that could act; its own modules are looked at themselves."""
    top, *rest = module.split(".")
    if "*" in names:
        return f"import * of {module}"
    if not top or module in own or top in own:
        return None
    if top not in _HARMLESS:
        return f"import of {module}"
    return next(filter(_is_acting, [*rest, *names]), None) if top != "__future__" else None


def _is_dataclass(called: ast.expr) -> bool:
    """Return whether this changes the class that it is given; a decorator has one of the file."""
    return "dataclass" in (getattr(called, "id", None), getattr(called, "attr", None))


def _is_acting(name: str) -> bool:
    return name in _ACTING or name in {"python", "src"} or name.startswith(_ACTING_STARTS)


class _Names:
    """What the names of a file may stand for.

    Attributes
    ----------
    foreign
        Names that may stand for something that is imported, and not only for what it returned.
    made
        Names that only stand for results of calls, such as layers, or for parts of these.
    """

    def __init__(self, tree: ast.AST) -> None:
        imported = {
            (alias.asname or alias.name).partition(".")[0]
            for node in ast.walk(tree)
            if isinstance(node, ast.Import | ast.ImportFrom)
            for alias in node.names
        }
        passing = {
            (alias.asname or alias.name).partition(".")[0]
            for node in ast.walk(tree)
            if isinstance(node, ast.Import | ast.ImportFrom)
            for alias in node.names
            if (getattr(node, "module", None) or alias.name).partition(".")[0] in _PASSING
        }
        imported -= passing  # what these return may be a part of what they are given
        self.foreign = {*imported, "type()"}
        bound = list(_bound(tree))
        # So may what a partial function returns.
        bound += [
            (f"{name}()", value)
            for name, value in bound
            if isinstance(value, ast.Call) and _root(value.func) in passing
        ]
        before = -1
        while before != len(self.foreign):
            before = len(self.foreign)
            for name, value in bound:
                if value is not None and not self.foreign.isdisjoint(_mentioned(value, imported)):
                    self.foreign.add(name)
        arguments = {name for name, value in bound if value is None}
        others = {
            name for name, value in bound if value is None or not _is_result(value, arguments)
        }
        self.made = {name for name, _ in bound} - others - self.foreign


def _bound(tree: ast.AST) -> Iterator[tuple[str, ast.expr | None]]:
    """List the names that are bound, with the value that they are or are a part of."""
    for node in ast.walk(tree):
        match node:
            case ast.Assign():
                yield from _stored(node.targets, node.value)
                if isinstance(node.value, ast.Lambda):
                    for name, _ in _stored(node.targets, None):
                        yield f"{name}()", node.value.body
            case ast.AnnAssign() | ast.AugAssign() | ast.NamedExpr():
                yield from _stored([node.target], node.value)
            case ast.For() | ast.AsyncFor() | ast.comprehension():
                yield from _stored([node.target], node.iter)
            case ast.withitem() if node.optional_vars is not None:
                yield from _stored([node.optional_vars], node.context_expr)
            case ast.arg():
                yield node.arg, None
            case ast.FunctionDef() | ast.AsyncFunctionDef():
                for part in ast.walk(node):
                    if isinstance(part, ast.Return | ast.Yield):
                        yield f"{node.name}()", part.value


def _stored(
    targets: Iterable[ast.expr], value: ast.expr | None
) -> Iterator[tuple[str, ast.expr | None]]:
    for target in targets:
        for part in ast.walk(target):
            if isinstance(part, ast.Name) and isinstance(part.ctx, ast.Store):
                yield part.id, value


def _mentioned(value: ast.expr, imported: Collection[str]) -> set[str]:
    """Return the names in an expression that may be a part of its value.

    What an imported function or class returns is new. ``name()`` stands for what a function of the
    file returns; it may also return its arguments.
    """
    match value:
        case ast.Call(func=ast.Name(id=name)) if name in imported:
            return set()
        case ast.Call(func=ast.Name(id=name)) if name not in _LOOKUPS:
            parts = [*value.args, *(keyword.value for keyword in value.keywords)]
            return {f"{name}()"}.union(*(_mentioned(part, imported) for part in parts))
        case ast.Call(func=ast.Name(id="type")):
            return {"type()"}
        case ast.Call(func=ast.Lambda()):
            pass
        case ast.Call(func=ast.Attribute() as method):  # such as a dictionary's `get`
            root = _root(method)
            if root in imported:
                return set()
            parts = [method.value, *value.args, *(keyword.value for keyword in value.keywords)]
            return {root or ""}.union(*(_mentioned(part, imported) for part in parts))
        case ast.Call(func=ast.Call() as first):  # such as `partial(…)()`
            parts = [*value.args, *(keyword.value for keyword in value.keywords)]
            if getattr(first.func, "id", None) not in _LOOKUPS:  # what it found makes a new object
                parts.append(first)
            return set().union(*(_mentioned(part, imported) for part in parts))
        case ast.Call() if not isinstance(value.func, ast.Name):
            return set()
    found = {value.id} if isinstance(value, ast.Name) else set()
    for child in ast.iter_child_nodes(value):
        if isinstance(child, ast.expr):
            found |= _mentioned(child, imported)
    return found


def _is_result(value: ast.expr, arguments: Collection[str]) -> bool:
    """Return whether an expression is the result of a call, or a part of something.

    A method of an argument may return anything, such as `pop` of a list.
    """
    if isinstance(value, ast.Call) and isinstance(value.func, ast.Attribute):
        return _root(value.func) not in arguments
    return isinstance(value, ast.Call | ast.Attribute | ast.Subscript | ast.List | ast.Tuple)


def _parts(node: ast.AST) -> list[str]:
    """Return the names of a chain of attributes, the first one last."""
    parts = []
    while isinstance(node, ast.Attribute):
        parts.append(node.attr)
        node = node.value
    return parts


def _root(node: ast.AST) -> str | None:
    """Return the name with which a chain of attributes and indices begins; None if with none."""
    inner: ast.AST = node
    while isinstance(inner, ast.Attribute | ast.Subscript):
        inner = inner.value
    return inner.id if isinstance(inner, ast.Name) else None
