"""Alarms: possible leaks in a split, and classes with few rows. They are reported, not acted upon.

Leaks make a score too good: a row number among the features, a column that is the target under
another name, a row on both sides of the split. Only the user knows whether a column is available
when the model predicts, so each alarm comes with the line of YAML that repairs it.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd

from gridloom.data.description import SplitDescription
from gridloom.data.rows import Features, Rows
from gridloom.study.dataset import Dataset

#: A column with fewer rows is not judged.
MIN_ROWS = 20

#: A class with fewer training rows can hardly be learned or measured.
MIN_CLASS_ROWS = 10

#: ASSUME: different whole numbers that fill at least this share of their range number the rows.
DENSE = 0.9

#: First rows, which are enough to rule out most columns as row numbers.
HEAD = 1_000

#: ASSUME: a feature that alone gets this share of each class right is the target under another
#: name. Among scikit-learn's data sets, the petal width of iris comes closest, with 0.96.
CLASSES_RIGHT = 0.99

#: ASSUME: so is a feature whose squared correlation with the target is at least this, by Pearson or
#: Spearman.
SQUARED_CORRELATION = 0.999

#: Limits of the search for a feature that predicts the target alone: values in all columns, and
#: rows. A tree of 5,000 rows takes 5 ms.
MAX_VALUES, MAX_LOOKED_AT = 2_000_000, 5_000

#: Equal rows raise an alarm if they are at least this share of the test rows, at least this many,
#: and at least this many times as many as chance explains.
EQUAL_SHARE, MIN_EQUAL, TIMES_CHANCE = 0.01, 2, 10

#: Columns or classes named in one alarm.
MAX_NAMED = 8

_ID = re.compile(r"(^|[\W_])(id|uuid|guid)([\W_]|$)", re.IGNORECASE)
_ID_AS_LAST_WORD = re.compile(r"[a-z]I[dD]$")


@dataclass(frozen=True)
class Alarm:
    """Something that the user should look at.

    Attributes
    ----------
    kind
        ``row number``, ``id``, ``predicts the target``, ``equal rows`` or ``rare class``.
    names
        The columns or classes concerned.
    text
        What was found, in a sentence.
    remedy
        A line of YAML that repairs it, with a comment where the user has to choose.
    """

    kind: str
    names: tuple[str, ...]
    text: str
    remedy: str


def find_alarms(
    train: Rows, test: Rows, description: SplitDescription, dataset: Dataset
) -> list[Alarm]:
    """Look for leaks, and for classes with few rows.

    Parameters
    ----------
    train, test
        Both parts, as `gridloom.data.split.settle` returns them.
    description
        ``split.json``, still without alarms.
    dataset
        The study's block, for the columns that it drops already.
    """
    alarms: list[Alarm] = []
    if isinstance(train.features, pd.DataFrame):
        numbers = [*filter(lambda name: _counts_rows(train, test, name), description.numeric)]
        used = description.features
        rest = [name for name in used if name not in numbers]
        ids = [name for name in rest if _is_id(train, name)]
        predicting = [
            name for name, flag in zip(rest, _predict(train, rest, dataset), strict=True) if flag
        ]
        if numbers:
            text = f"{_listed(numbers)} numbers the rows: a network learns their order in the file"
            alarms.append(Alarm("row number", (*numbers,), text, _drop(dataset, numbers)))
        if ids:
            text = (
                f"{_listed(ids)} looks like an id, which identifies a row but does not describe it"
            )
            choice = f"  # or group: {json.dumps(ids[0])}, if several rows share an id"
            alarms.append(Alarm("id", (*ids,), text, _drop(dataset, ids) + choice))
        if predicting:
            text = f"{_listed(predicting)} alone predicts the target"
            choice = "  # if it is not known before the target"
            remedy = _drop(dataset, predicting) + choice
            alarms.append(Alarm("predicts the target", (*predicting,), text, remedy))
    alarms += _equal_rows(train, test)
    alarms += _rare_classes(train, description)
    return alarms


def describe_alarms(alarms: Sequence[Alarm]) -> str | None:
    """Return all alarms as text; None if there are none."""
    if not alarms:
        return None
    lines = [f"! {alarm.text}; in the study:\n    {alarm.remedy}" for alarm in alarms]
    return "\n".join([*lines, "Nothing was changed: these are hints, noted in split.json."])


def _listed(names: Sequence[str]) -> str:
    kind = "column" if len(names) == 1 else "each of the columns"
    more = ", …" if len(names) > MAX_NAMED else ""
    return f"{kind} {', '.join(map(repr, names[:MAX_NAMED]))}{more}"


def _drop(dataset: Dataset, names: Sequence[str]) -> str:
    dropped = json.dumps([*dataset.drop, *names], ensure_ascii=False)
    return f"dataset: {{drop: {dropped}}}"


def _counts_rows(train: Rows, test: Rows, name: str) -> bool:
    """Return whether a column numbers the rows: evenly spaced in file order, or shuffled 1 to n."""
    if not _may_count(_column(train, name)[:HEAD]):
        return False
    values = np.concatenate([_column(part, name) for part in (train, test)])
    assert train.lines is not None
    assert test.lines is not None
    lines = np.concatenate([train.lines, test.lines])
    if len(values) < MIN_ROWS or np.isnan(values).any():
        return False
    whole = (values % 1 == 0).all() and len(np.unique(values)) == len(values)
    if whole and len(values) >= DENSE * (np.ptp(values) + 1):
        return True
    places = np.argsort(np.where(lines > 0, lines, lines.max() - lines), kind="stable")
    first = values[places][: int((lines > 0).sum())]
    steps = np.diff(first)
    return len(first) >= MIN_ROWS and steps[0] != 0 and np.allclose(steps, steps[0], 1e-6, 0)


def _may_count(head: np.ndarray) -> bool:
    """Return whether the first rows allow that a column numbers the rows: all of them differ."""
    return len(np.unique(head)) == len(head)


def _column(rows: Rows, name: str) -> np.ndarray:
    assert isinstance(rows.features, pd.DataFrame)
    return rows.features[name].to_numpy()


def _is_id(train: Rows, name: str) -> bool:
    """Return whether a column looks like an id: by its name, or by rising whole numbers."""
    values = _column(train, name)
    if len(values) < MIN_ROWS:
        return False
    number = values.dtype != object
    if number and (np.isnan(values).any() or (values % 1 != 0).any()):
        return False
    assert train.lines is not None
    in_file = values[np.argsort(np.abs(train.lines), kind="stable")]
    if number and len(values) > 2 * MIN_ROWS and (np.diff(in_file) > 0).all():
        return True
    named = _ID.search(name) or _ID_AS_LAST_WORD.search(name)
    return bool(named) and len(np.unique(values)) * 20 >= len(values)


def _predict(train: Rows, names: Sequence[str], dataset: Dataset) -> Iterator[bool]:
    """Yield for each column whether it alone predicts a target."""
    most = min(max(MAX_VALUES // max(len(names), 1), 500), MAX_LOOKED_AT)
    rows = np.unique(np.linspace(0, len(train.target) - 1, most).astype(int))
    numbers = dataset.task == "regression"
    targets = [train.target[rows]] if train.target.ndim == 1 else [*train.target[rows].T]
    if not numbers:
        targets = [np.unique(target.astype(str), return_inverse=True)[1] for target in targets]
    predicts = _predicts_number if numbers else _predicts_class
    for name in names:
        values = _column(train, name)[rows]
        yield any(predicts(values, target) for target in targets)


def _predicts_class(values: np.ndarray, codes: np.ndarray) -> bool:
    """Return whether the category, or one more interval than there are classes, gives the class."""
    often = np.flatnonzero(np.bincount(codes) >= MIN_CLASS_ROWS)
    kept = np.isin(codes, often)
    values, codes = values[kept], codes[kept]
    if len(often) < 2:
        return False
    different, found = np.unique(values, return_inverse=True)
    counts = np.zeros((len(different), codes.max() + 1), int)
    np.add.at(counts, (found, codes), 1)
    likeliest = counts.argmax(axis=1)
    if values.dtype == object:
        guessed = likeliest[found]
        if len(different) * 5 > len(values):  # too few rows of each
            return False
    else:
        # Each error splits an interval into three at most; this rules out most columns.
        errors = (1 - CLASSES_RIGHT) * len(often) * counts.sum(axis=0).max()
        if np.count_nonzero(np.diff(likeliest)) > len(often) + 2 * errors:
            return False
        from sklearn.tree import DecisionTreeClassifier

        tree = DecisionTreeClassifier(max_leaf_nodes=len(often) + 1, random_state=0)
        guessed = tree.fit(values[:, None], codes).predict(values[:, None])
    right = [(guessed[codes == code] == code).mean() for code in often]
    return bool(np.mean(right) >= CLASSES_RIGHT)


def _predicts_number(values: np.ndarray, target: np.ndarray) -> bool:
    if values.dtype == object:
        return False
    there = ~np.isnan(values)
    values, target = values[there], target[there].astype(np.float64)
    if len(values) < MIN_ROWS or np.ptp(values) == 0 or np.ptp(target) == 0:
        return False
    # Importing scipy.stats would take as long as the whole search.
    ranks = [pd.Series(part).rank().to_numpy() for part in (values, target)]
    pairs = [np.corrcoef(values, target), np.corrcoef(ranks[0], ranks[1])]
    return any(bool(pair[0, 1] ** 2 >= SQUARED_CORRELATION) for pair in pairs)


def _equal_rows(train: Rows, test: Rows) -> Iterator[Alarm]:
    """Look for test rows that equal a training row in features and target."""
    known = set(_keys(train))
    equal = np.array([key in known for key in _keys(test)])
    count, rows = int(equal.sum()), len(equal)
    if count >= max(MIN_EQUAL, EQUAL_SHARE * rows) and (
        count >= TIMES_CHANCE * rows * _chance(train.features)
    ):
        yield Alarm(
            "equal rows",
            (),
            f"{count} of {rows} test rows equal a training row in every feature and the target: "
            "such rows do not test what the network has learned",
            "dataset: {group: …}  # a column that equal rows share; or remove duplicate rows",
        )


def _keys(rows: Rows) -> list[Any]:
    features = rows.features
    if isinstance(features, pd.DataFrame):
        parts = pd.util.hash_pandas_object(features, index=False).to_numpy()
    else:
        flat = np.ascontiguousarray(features.reshape(len(features), -1), np.float64)
        parts = np.array([hash(row.tobytes()) for row in flat])
    return [(part, str(target)) for part, target in zip(parts.tolist(), rows.target, strict=True)]


def _chance(features: Features) -> float:
    """Return how likely a new row equals one of these rows if the columns were independent."""
    if not isinstance(features, pd.DataFrame):
        features = pd.DataFrame(features.reshape(len(features), -1)[:, :64])
    shares = [features[name].value_counts(normalize=True, dropna=False) for name in features]
    alike = np.prod([np.square(share.to_numpy()).sum() for share in shares])
    return min(1.0, len(features) * float(alike))


def _rare_classes(train: Rows, description: SplitDescription) -> Iterator[Alarm]:
    if description.classes is None:
        return
    names, counts = np.unique(train.target.astype(str), return_counts=True)
    rare = [
        (str(name), int(n)) for name, n in zip(names, counts, strict=True) if n < MIN_CLASS_ROWS
    ]
    if rare:
        listed = ", ".join(f"{name!r} ({count})" for name, count in rare[:MAX_NAMED])
        more = ", …" if len(rare) > MAX_NAMED else ""
        yield Alarm(
            "rare class",
            tuple(name for name, _ in rare),
            f"fewer than {MIN_CLASS_ROWS} training rows have the class {listed}{more}: it can "
            "hardly be learned or measured",
            "class_weight: balanced  # or leave the class out of the file, or join it with another",
        )
