"""Python source: what of it can change a result, and which files a program is made of.

Nothing is run or imported: files are parsed. So an import by a name that only the running program
knows (``importlib.import_module(name)``) is not seen.
Standard library only: each job's Snakemake asks this.
"""

from __future__ import annotations

import ast
import hashlib
import importlib.util
import io
import sys
import tokenize
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from gridloom.errors import StudyError


@dataclass(frozen=True)
class Import:
    """One import statement.

    Attributes
    ----------
    module
        What stands behind ``import`` or ``from``; empty in ``from . import x``.
    names
        What stands behind ``from … import``; none in ``import x``.
    level
        Number of leading dots.
    line
        Where it stands, from 1.
    """

    module: str
    names: tuple[str, ...] = ()
    level: int = 0
    line: int = 0


@dataclass(frozen=True)
class Source:
    """What is to be known of a source file.

    Attributes
    ----------
    digest
        SHA-256 of its `essential_text`, in hexadecimal digits.
    imports
        Every import statement, also inside of functions.
    """

    digest: str
    imports: tuple[Import, ...]


def read_source(content: bytes, path: Path | str) -> Source:
    """Digest a source file and list its imports.

    Parameters
    ----------
    content
        Of the file.
    path
        Its name, for messages.

    Raises
    ------
    StudyError
        If it is not Python.
    """
    try:
        text = importlib.util.decode_source(content)
        parts = _Parts.of(ast.parse(text))
        essential = _cut(text, parts)
    except (SyntaxError, ValueError, tokenize.TokenError) as error:
        line = f", line {error.lineno}" if isinstance(error, SyntaxError) else ""
        raise StudyError(f"model: {path}{line}: not valid Python ({error})") from None
    imports = tuple(sorted(parts.imports, key=lambda one: one.line))
    return Source(hashlib.sha256(essential.encode()).hexdigest(), imports)


def essential_text(text: str) -> str:
    """Return a source text without comments, docstrings, blank lines and space at line ends.

    The text is cut, not written anew from its syntax tree or tokens, which differ between versions
    of Python: the result is the same on all. What it says is kept to the letter, also in texts
    over several lines.

    Parameters
    ----------
    text
        The source, its lines ended by line feeds.

    Raises
    ------
    SyntaxError, ValueError
        If it is not Python.
    """
    return _cut(text, _Parts.of(ast.parse(text)))


_WITH_DOCSTRING = (ast.Module, ast.ClassDef, ast.FunctionDef, ast.AsyncFunctionDef)


@dataclass
class _Parts:
    """The parts of a syntax tree that matter here."""

    imports: list[Import] = field(default_factory=list)
    docstrings: list[ast.expr] = field(default_factory=list)
    texts: list[ast.expr] = field(default_factory=list)

    @classmethod
    def of(cls, tree: ast.Module) -> _Parts:
        parts = cls()
        queue: list[ast.AST] = [tree]
        while queue:
            node = queue.pop()
            kind = type(node)
            if kind is ast.Constant:
                if isinstance(node.value, str | bytes):  # type: ignore[attr-defined]
                    parts.texts.append(node)  # type: ignore[arg-type]
                continue
            if kind is ast.JoinedStr:
                # What is inside of an f-string has a place of its own in some versions only.
                parts.texts.append(node)  # type: ignore[arg-type]
                continue
            if isinstance(node, ast.Import):
                parts.imports += [Import(alias.name, line=node.lineno) for alias in node.names]
            elif isinstance(node, ast.ImportFrom):
                names = tuple(alias.name for alias in node.names)
                parts.imports.append(Import(node.module or "", names, node.level, node.lineno))
            elif isinstance(node, _WITH_DOCSTRING):
                match node.body:
                    case [ast.Expr(value=ast.Constant(value=str()) as docstring), *_]:
                        parts.docstrings.append(docstring)
            for name in node._fields:
                child = getattr(node, name, None)
                if isinstance(child, list):
                    queue += [one for one in child if isinstance(one, ast.AST)]
                elif isinstance(child, ast.AST):
                    queue.append(child)
        return parts


def _cut(text: str, parts: _Parts) -> str:
    lines = text.split("\n")
    cuts = _spans(parts.docstrings, lines)
    docstrings = set(map(id, parts.docstrings))
    texts = [one for one in parts.texts if id(one) not in docstrings]
    #: Lines that end inside of a text, from 0.
    inside = {line for one in texts for line in range(one.lineno - 1, (one.end_lineno or 0) - 1)}
    comments = _comments(lines, _spans(texts, lines), cuts, inside)
    if comments is None:
        tokens = tokenize.generate_tokens(io.StringIO(text).readline)
        comments = [
            (token.start[0] - 1, token.start[1])
            for token in tokens
            if token.type == tokenize.COMMENT
        ]
    cuts += [(line, start, len(lines[line])) for line, start in comments]
    for line, start, end in sorted(cuts, reverse=True):  # the last first, so that places hold
        lines[line] = lines[line][:start] + lines[line][end:]
        inside.discard(line)
    return "".join(
        f"{line}\n" if place in inside else f"{line.rstrip()}\n"
        for place, line in enumerate(lines)
        if place in inside or line.strip()
    )


def _spans(nodes: Iterable[ast.expr], lines: Sequence[str]) -> list[tuple[int, int, int]]:
    """Return the line (from 0), first character and end of each line's part of nodes."""
    spans = []
    for node in nodes:
        first, last = node.lineno - 1, (node.end_lineno or 0) - 1
        for place in range(first, last + 1):
            line = lines[place]
            start = _character(line, node.col_offset) if place == first else 0
            end = _character(line, node.end_col_offset or 0) if place == last else len(line)
            spans.append((place, start, end))
    return spans


def _character(line: str, offset: int) -> int:
    """Turn an offset in bytes, as syntax trees have them, into one in characters."""
    return offset if line.isascii() else len(line.encode()[:offset].decode())


def _comments(
    lines: Sequence[str],
    texts: Sequence[tuple[int, int, int]],
    docstrings: Sequence[tuple[int, int, int]],
    inside: set[int],
) -> list[tuple[int, int]] | None:
    """Find where comments begin; None where that takes a tokenizer, a tenfold of the time.

    It does where a ``#`` is in a text of several lines, which may be several texts with comments
    between them.
    """
    several = inside | {line + 1 for line in inside}
    spans: dict[int, list[tuple[int, int]]] = {}
    for place, start, end in (*texts, *docstrings):
        if "#" in lines[place]:
            spans.setdefault(place, []).append((start, end))
    comments = []
    for place, line in enumerate(lines):
        start = line.find("#")
        while start >= 0:
            around = [end for first, end in spans.get(place, ()) if first <= start < end]
            if not around:
                comments.append((place, start))
                break
            if place in several:
                return None
            start = line.find("#", max(around))
    return comments


@dataclass(frozen=True)
class Module:
    """A module of a program.

    Attributes
    ----------
    path
        Its file; of a package without ``__init__.py``, its folder.
    is_package
        Whether it holds others.
    """

    path: Path
    is_package: bool

    @property
    def has_code(self) -> bool:
        """Whether there is a file to run."""
        return self.path.suffix == ".py"


def imported_modules(
    files: Mapping[str, Path],
    folders: Sequence[Path],
    read: Callable[[Path], Source],
    wanted: Callable[[str], bool] = lambda name: name not in sys.stdlib_module_names,
) -> dict[str, Module]:
    """Find the modules that files import, those that these import, and so on.

    Parameters
    ----------
    files
        Name → file of what is run first. A name without a dot is in no package.
    folders
        Where modules are looked for, the first that has one wins; others are left out.
    read
        Reads a source file.
    wanted
        Whether to look for a module, by the first part of its name.

    Returns
    -------
    dict
        Name → module, sorted by name, without `files`.

    Raises
    ------
    StudyError
        If a file is not Python, or one that is in no package imports relatively.
    """
    found: dict[str, Module] = {}
    looked_for: set[str] = set()
    queue = [(name, Module(path, False)) for name, path in files.items()]
    while queue:
        importer, module = queue.pop()
        for name in _named_by(importer, module, read(module.path).imports):
            if name in looked_for or not wanted(name.partition(".")[0]):
                continue
            looked_for.add(name)
            for part, there in _located(name, folders).items():
                if part not in found and part not in files:
                    found[part] = there
                    if there.has_code:
                        queue.append((part, there))
    return dict(sorted(found.items()))


def _named_by(importer: str, module: Module, imports: Iterable[Import]) -> Iterable[str]:
    """List the full names of what a module may import."""
    package = importer if module.is_package else importer.rpartition(".")[0]
    for one in imports:
        base = one.module
        if one.level:
            parts = package.split(".") if package else []
            if one.level > len(parts):
                dots = "." * one.level + one.module
                remedy = (
                    f"write `import {one.names[0]}`"
                    if not one.module
                    else f"write `from {one.module} import …`"
                )
                raise StudyError(
                    f"model: {module.path}, line {one.line}: `from {dots} import …`, but there is "
                    f"no package that it could mean; {remedy}"
                )
            above = parts[: len(parts) - one.level + 1]
            base = ".".join([*above, *([one.module] if one.module else [])])
        yield base
        # Each name may be a module of its own.
        yield from (f"{base}.{name}" for name in one.names if name != "*")


def _located(name: str, folders: Sequence[Path]) -> dict[str, Module]:
    """Locate a module and the packages that it is in; as much of them as there is."""
    parts = name.split(".")
    for folder in folders:
        located: dict[str, Module] = {}
        place = folder
        for count, part in enumerate(parts, 1):
            place = place / part
            file, initial = place.with_name(f"{part}.py"), place / "__init__.py"
            full = ".".join(parts[:count])
            if initial.is_file():
                located[full] = Module(initial, True)
            elif file.is_file():
                located[full] = Module(file, False)
                break
            elif place.is_dir():
                located[full] = Module(place, True)
            else:
                break
        while located and not next(reversed(located.values())).has_code:
            located.popitem()  # a folder that happens to have the name
        if located:
            return located
    return {}


def code_fingerprint(digests: Mapping[str, str]) -> str:
    """Return 16 hexadecimal digits that tell programs apart: by names and digests of their files.

    Parameters
    ----------
    digests
        Name of a module → digest of its source.
    """
    lines = "".join(f"{name} {digest}\n" for name, digest in sorted(digests.items()))
    return hashlib.sha256(lines.encode()).hexdigest()[:16]
