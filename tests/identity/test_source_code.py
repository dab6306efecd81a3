"""Promises of the reading of sources: what can change a number counts, and nothing else."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from gridloom.errors import StudyError
from gridloom.identity.source_code import essential_text, imported_modules, read_source

ROOT = Path(__file__).parents[2]

SAMPLE = '''#!/usr/bin/env python
# -*- coding: utf-8 -*-
"""A docstring, with a # in it."""

import keras  # why


class Net:
    \'\'\'Another,
    over lines.   \'\'\'

    size = "ü # no comment"  # a comment after a letter of two bytes

    async def call(self, x):
        r"""Raw."""; y = f"{x['#']} #"

        return y


def text():
    "doc"
    return """ # kept

      to the letter~~~
    """ + ("a"  # between two texts
           # a whole line
           "b")~~
'''.replace("~", " ")

ESSENTIAL = '''import keras
class Net:
    size = "ü # no comment"
    async def call(self, x):
        ; y = f"{x['#']} #"
        return y
def text():
    return """ # kept

      to the letter~~~
    """ + ("a"
           "b")
'''.replace("~", " ")


def test_only_comments_docstrings_and_blank_lines_are_cut():
    assert essential_text(SAMPLE) == ESSENTIAL


@pytest.mark.parametrize(
    ("text", "other"),
    [
        ("x = 1", "x = 2"),
        ('x = """a\n\nb"""', 'x = """a\nb"""'),
        ('x = """a \nb"""', 'x = """a\nb"""'),
        ('x = "#a"', 'x = "#b"'),
        ("if x:\n  y = 1\nz = 1", "if x:\n  y = 1\n  z = 1"),
        ('def f():\n    return "doc"', 'def f():\n    return "other"'),
        ('x = 1\n"no docstring"', 'x = 1\n"nor this"'),
        ('x = f"""{y}\n # a"""', 'x = f"""{y}\n # b"""'),
    ],
)
def test_code_that_can_change_a_result_changes_the_text(text, other):
    assert essential_text(text) != essential_text(other)


@pytest.mark.parametrize(
    ("text", "other"),
    [
        ("x = 1", "x = 1  # a comment\n\n\n"),
        ("def f():\n    return 1", 'def f():\n    """Doc."""\n\n    # why\n    return 1   '),
        ("x = 1\ny = 2", "x = 1\r\ny = 2\r\n"),
        ('x = ("a"\n     "b")', 'x = ("a"  # one\n     # two\n     "b")'),
    ],
)
def test_comments_docstrings_and_space_change_nothing(text, other):
    first, second = (read_source(one.encode(), "m.py").digest for one in (text, other))
    assert first == second


def pythons() -> dict[str, str]:
    """Find other versions of Python: those of pyenv, or on the path."""
    root = Path(os.environ.get("PYENV_ROOT", Path.home() / ".pyenv")) / "versions"
    places = [*map(str, root.glob("3.1[123].*/bin")), os.environ["PATH"]]
    names = [f"python3.{minor}" for minor in (11, 12, 13)]
    found = {name: shutil.which(name, path=os.pathsep.join(places)) for name in names}
    return {name: path for name, path in found.items() if path and _runs(path)}


def _runs(python: str) -> bool:
    # pyenv puts commands on the path even for versions that are not selected.
    done = subprocess.run([python, "--version"], capture_output=True, check=False)
    return done.returncode == 0


def test_the_text_is_the_same_under_every_python(tmp_path):
    (tmp_path / "sample.py").write_text(SAMPLE)
    program = (
        "import sys, hashlib; from pathlib import Path;"
        "from gridloom.identity.source_code import read_source;"
        "print(*[read_source(Path(f).read_bytes(), f).digest for f in sys.argv[1:]])"
    )
    files = [*(ROOT / "gridloom" / "engines").glob("*.py"), *(ROOT / "models").glob("*.py")]
    files += [tmp_path / "sample.py", *(ROOT / "tests" / "engines").glob("*.py")]
    here = [read_source(file.read_bytes(), file).digest for file in files]
    others = pythons()
    if len(others) < 2:
        pytest.skip("there is no other version of Python here")
    for python in others.values():
        done = subprocess.run(
            [python, "-c", program, *map(str, files)],
            capture_output=True,
            text=True,
            check=True,
            env={"PYTHONPATH": str(ROOT)},
        )
        assert done.stdout.split() == here, python


def test_invalid_python_is_reported_with_its_line():
    with pytest.raises(StudyError, match=r"model: m.py, line 2: not valid Python"):
        read_source(b"x = 1\ny = (", "m.py")
    with pytest.raises(StudyError, match=r"model: m.py.*: not valid Python"):
        read_source(b"x = 1\0", "m.py")


FILES = {
    "net.py": "import blocks\nfrom parts.dense import layer\nimport keras, json\n",
    "blocks.py": "def f():\n    import inner as i\n",
    "inner.py": "",
    "json.py": "",  # hidden by the standard library's
    "unused.py": "",
    "parts/__init__.py": "from . import sparse\n",
    "parts/dense.py": "from .deep.core import x\nfrom .more import *\n",
    "parts/sparse.py": "from parts import spare\n",
    "parts/spare.py": "",
    "parts/more.py": "",
    "parts/deep/core.py": "",
    "parts/unused.py": "",
    "keras/notes.txt": "",  # a folder that happens to have the name
}


def written(folder: Path, files=FILES) -> Path:
    for name, text in files.items():
        path = folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)
    return folder


def modules_of(folder: Path, file="net.py", folders=None):
    def read(path):
        return read_source(path.read_bytes(), path)

    return imported_modules({"main": folder / file}, folders or [folder], read)


def test_every_form_of_import_finds_the_modules_of_the_folder(tmp_path):
    written(tmp_path)
    assert list(modules_of(tmp_path)) == [
        *("blocks", "inner", "parts", "parts.deep", "parts.deep.core", "parts.dense"),
        *("parts.more", "parts.spare", "parts.sparse"),
    ]


def test_the_first_folder_that_has_a_module_wins(tmp_path):
    near = written(tmp_path / "near", {"net.py": "import a, near.b", "a.py": ""})
    written(tmp_path, {"a.py": "", "near/b.py": ""})
    found = modules_of(near, folders=[near, tmp_path])
    assert found["a"].path == near / "a.py"
    assert found["near.b"].path == near / "b.py"
    assert not found["near"].has_code


def test_python_finds_the_same_modules(tmp_path):
    files = {name: text for name, text in FILES.items() if not name.startswith(("json", "keras"))}
    files["net.py"] = "import blocks\nblocks.f()\nfrom parts.dense import *\n"
    files["parts/deep/core.py"] = "x = layer = 1"
    written(tmp_path, files)
    program = (
        "import sys; before = set(sys.modules); import net;"
        "print(*sorted(set(sys.modules) - before - {'net'}))"
    )
    done = subprocess.run(
        [sys.executable, "-c", program], capture_output=True, text=True, check=True, cwd=tmp_path
    )
    assert done.stdout.split() == list(modules_of(tmp_path))


@pytest.mark.parametrize(
    ("text", "remedy"),
    [
        ("\nfrom . import blocks", "line 2: `from . import …`, .* write `import blocks`"),
        ("from .blocks import x", "line 1: `from .blocks import …`, .* write `from blocks import"),
    ],
)
def test_a_relative_import_in_a_model_file_is_refused_with_the_right_form(tmp_path, text, remedy):
    written(tmp_path, {"net.py": text, "blocks.py": ""})
    with pytest.raises(StudyError, match=remedy):
        modules_of(tmp_path)
