"""Python source: the part of a file that can change a result, and the files of a program.

Files are parsed, never run or imported. So an import by a name that is only known at run time
(``importlib.import_module(name)``) is not seen.
Standard library only, because each job's Snakemake imports this module.
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
from functools import cache
from pathlib import Path

from gridloom.errors import StudyError


@dataclass(frozen=True)
class Import:
    """One import statement.

    Attributes
    ----------
    module
        Name after ``import`` or ``from``; empty in ``from . import x``.
    names
        Names after ``from … import``; empty in ``import x``.
    level
        Number of leading dots.
    line
        Its line, from 1.
    """

    module: str
    names: tuple[str, ...] = ()
    level: int = 0
    line: int = 0


@dataclass(frozen=True)
class Source:
    """The digest and the imports of a source file.

    Attributes
    ----------
    digest
        SHA-256 of its `essential_text`, in hexadecimal digits.
    imports
        All import statements, also those inside functions.
    """

    digest: str
    imports: tuple[Import, ...]


def read_source(content: bytes, path: Path | str) -> Source:
    """Digest a source file and list its imports.

    Parameters
    ----------
    content
        Content of the file.
    path
        Its path, for messages.

    Raises
    ------
    StudyError
        If it is not Python.
    """
    try:
        text = importlib.util.decode_source(content)
        parts = _Parts.of(ast.parse(text))
        essential = _cut(text, parts)
    except (RecursionError, SyntaxError, ValueError, tokenize.TokenError) as error:
        line = f", line {error.lineno}" if isinstance(error, SyntaxError) else ""
        raise StudyError(f"model: {path}{line}: not valid Python ({error})") from None
    imports = tuple(sorted(parts.imports, key=lambda one: one.line))
    return Source(hashlib.sha256(essential.encode()).hexdigest(), imports)


def essential_text(text: str) -> str:
    """Return a source text without comments, docstrings, blank lines and trailing spaces.

    These are cut out of the text. The text is not generated from its syntax tree or tokens, which
    differ between versions of Python, so the result is the same under all of them. String literals
    are kept exactly, also those over several lines.

    Parameters
    ----------
    text
        The source, with line feeds as line ends.

    Raises
    ------
    SyntaxError, ValueError
        If it is not Python.
    """
    return _cut(text, _Parts.of(ast.parse(text)))


_WITH_DOCSTRING = (ast.Module, ast.ClassDef, ast.FunctionDef, ast.AsyncFunctionDef)


@dataclass
class _Parts:
    """The imports, docstrings and string literals of a syntax tree."""

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
                # Only some versions of Python give positions for the parts of an f-string.
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
    #: Lines that end inside a string literal, from 0.
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
    for line, start, end in sorted(cuts, reverse=True):  # from the end: positions stay valid
        lines[line] = lines[line][:start] + lines[line][end:]
        inside.discard(line)
    return "".join(
        f"{line}\n" if place in inside else f"{line.rstrip()}\n"
        for place, line in enumerate(lines)
        if place in inside or line.strip()
    )


def _spans(nodes: Iterable[ast.expr], lines: Sequence[str]) -> list[tuple[int, int, int]]:
    """Return the parts of lines that nodes cover: line (from 0), first character, end."""
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
    """Convert an offset in bytes, as in syntax trees, to an offset in characters."""
    return offset if line.isascii() else len(line.encode()[:offset].decode())


def _comments(
    lines: Sequence[str],
    texts: Sequence[tuple[int, int, int]],
    docstrings: Sequence[tuple[int, int, int]],
    inside: set[int],
) -> list[tuple[int, int]] | None:
    """Find where comments begin; None if this needs the tokenizer, which is ten times slower.

    The tokenizer is needed if a ``#`` is in a string over several lines, because this may be
    several strings with comments between them.
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
        Its file, or its folder if it is a package without ``__init__.py``.
    is_package
        Whether it can contain modules.
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
    *,
    unchanging: bool = False,
) -> dict[str, Module]:
    """Find the modules that files import, directly or indirectly.

    Parameters
    ----------
    files
        Name → file that is run first. A name without a dot is not in a package.
    folders
        Folders to search for modules, in this order. Modules in other folders are left out.
    read
        Reads a source file.
    wanted
        Takes the first part of a module's name and returns whether to look for the module.
    unchanging
        Whether the folders stay as they are while this process runs: then each module is looked
        for once, however often this is called.

    Returns
    -------
    dict
        Name → module, sorted by name, without `files`.

    Raises
    ------
    StudyError
        If a file is not Python, or imports relatively but is not in a package.
    """
    locate = _located_once if unchanging else _located
    places = tuple(folders)
    found: dict[str, Module] = {}
    looked_for: set[str] = set()
    queue = [(name, Module(path, False)) for name, path in files.items()]
    while queue:
        importer, module = queue.pop()
        for name in _named_by(importer, module, read(module.path).imports):
            if name in looked_for or not wanted(name.partition(".")[0]):
                continue
            looked_for.add(name)
            for part, there in locate(name, places).items():
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
                    f"model: {module.path}, line {one.line}: `from {dots} import …`, but this file "
                    f"is not in such a package; {remedy}"
                )
            above = parts[: len(parts) - one.level + 1]
            base = ".".join([*above, *([one.module] if one.module else [])])
        yield base
        # Each name may itself be a module.
        yield from (f"{base}.{name}" for name in one.names if name != "*")


def _located(name: str, folders: Sequence[Path]) -> dict[str, Module]:
    """Locate a module and its packages, as far as they exist."""
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
            located.popitem()  # an ordinary folder of this name
        if located:
            return located
    return {}


@cache
def _located_once(name: str, folders: tuple[Path, ...]) -> dict[str, Module]:
    return _located(name, folders)


def code_fingerprint(digests: Mapping[str, str]) -> str:
    """Return 16 hexadecimal digits that identify a program.

    Parameters
    ----------
    digests
        Name of each module → digest of its source.
    """
    lines = "".join(f"{name} {digest}\n" for name, digest in sorted(digests.items()))
    return hashlib.sha256(lines.encode()).hexdigest()[:16]
