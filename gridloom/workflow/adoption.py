"""Records that a run may adopt: those that were trained for another set-up or another name.

A record says by which fingerprint of the network, the data and the settings it was trained (see
`gridloom.training.adoption`). The main process lists the records that the study does not use, and a
worker that has built a network of the same fingerprint takes the record over.
Standard library only, because each job's Snakemake imports this module.
"""

from __future__ import annotations

import json
import os
import re
from collections.abc import Collection, Iterable, Iterator, Mapping
from pathlib import Path
from typing import Any

from gridloom.files import fingerprint, write_text
from gridloom.naming.blocks import Block, point_of, read_block
from gridloom.naming.points import Point, read_path
from gridloom.workflow.setups import other_setups

#: Folder of the files with the records that runs may adopt.
FOLDER = Path(".snakemake/gridloom/adoptable")

#: Most records that are looked at: those of the set-ups used last.
MAX_LOOKED_AT = 50_000

#: The part of a set-up that may differ: what it builds is compared instead.
_MAY_DIFFER = {"model file"}

#: Bytes at the end of a record that hold what is read here; a path may take most of them.
_TAIL = 8192

_BUILT = re.compile(rb'"built":"([0-9a-f]{32})"')
_ADOPTED = re.compile(rb'"adopted_from":"')


def adoptable_file(results: str) -> Path:
    """Return the file that lists the records that a study's trainings may adopt."""
    return FOLDER / f"{fingerprint([], str(Path(results).absolute()))}.json"


def adoptable_records(
    points: str, name: str, setup: Mapping[str, Any], needed: Iterable[str]
) -> dict[str, str]:
    """List records that a study does not use and whose trainings it may need.

    These are records of set-ups that differ in the model file at most.

    Parameters
    ----------
    points
        Folder that contains the folders of all set-ups.
    name, setup
        Name and content of today's set-up.
    needed
        Paths of the records that the study uses, which begin with `points`.

    Returns
    -------
    dict
        Fingerprint of what was built → absolute path of a record.
    """
    used = set(needed)
    found: dict[str, str] = {}
    looked_at = 0
    for other in [name, *(folder.name for folder in other_setups(Path(points), name))]:
        known = other == name
        for path in _records(f"{points}/{other}"):
            if path in used:
                continue
            if not known:
                alike = _differs_little(path, setup)
                if alike is None:
                    continue
                known = alike
            if not known or looked_at == MAX_LOOKED_AT:
                break
            looked_at += 1
            match = _BUILT.search(_tail(path))
            if match is not None:
                found.setdefault(match[1].decode(), str(Path(path).absolute()))
    return found


def note_adoptable(file: Path, records: Mapping[str, str]) -> None:
    """Write the records that a run may adopt, or remove the file if there are none.

    Raises
    ------
    StorageError
        If the disk is full.
    """
    if records:
        write_text(file, json.dumps(records, indent=0))
    else:
        file.unlink(missing_ok=True)


def is_adopted(record: str) -> bool:
    """Return whether a record was adopted."""
    return _ADOPTED.search(_tail(record)) is not None


def count_fitting(missing: Iterable[tuple[Point, Block]], adoptable: Collection[str]) -> int:
    """Return how many missing records may be adopted.

    Only a job that has built the network knows. This counts records for which there is one with the
    same repetitions and the same values of all hyperparameters that both have.

    Parameters
    ----------
    missing
        Their points and repetitions.
    adoptable
        Paths of records, from `adoptable_records`.
    """
    wanted = [(point, block.file) for point, block in missing]
    earlier = [(read_path(point_of(path)), path.rpartition("/")[2]) for path in adoptable]
    fitting: set[int] = set()
    for names in {frozenset(point) for point, _ in wanted}:
        for others in {frozenset(point) for point, _ in earlier}:
            shared = sorted(names & others)
            there = {
                _key(point, shared, file) for point, file in earlier if frozenset(point) == others
            }
            fitting.update(
                place
                for place, (point, file) in enumerate(wanted)
                if frozenset(point) == names and _key(point, shared, file) in there
            )
    return len(fitting)


def _key(point: Point, names: Iterable[str], file: str) -> str:
    return repr(([point[name] for name in names], file))


def _records(folder: str) -> Iterator[str]:
    """List the records below the folder of a set-up, without copies in folders of other names."""
    for parent, folders, names in os.walk(folder):
        folders[:] = sorted(name for name in folders if "=" in name)
        for name in names:
            if parent != folder and read_block(name) is not None:
                yield f"{parent}/{name}"


def _differs_little(record: str, setup: Mapping[str, Any]) -> bool | None:
    """Return whether a record's set-up differs in the model file at most; None if it is damaged."""
    try:
        before = json.loads(Path(record).read_text(encoding="utf-8"))["environment"]["setup"]
        return all(before.get(key) == setup[key] for key in setup.keys() - _MAY_DIFFER)
    except (OSError, ValueError, LookupError, TypeError, AttributeError):
        return None


def _tail(record: str) -> bytes:
    """Return the end of a record; nothing if it cannot be read or is cut short."""
    try:
        with open(record, "rb") as stream:  # noqa: PTH123 (10,000 calls)
            size = stream.seek(0, os.SEEK_END)
            stream.seek(max(size - _TAIL, 0))
            tail = stream.read()
    except OSError:
        return b""
    return tail if tail.endswith(b"}\n") else b""
