"""The sentences and lists of the page; every text is plain, the template escapes it."""

from __future__ import annotations

import json
import math
import shlex
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import pandas as pd
import yaml
from markdown_it import MarkdownIt

from gridloom.data.description import SplitDescription
from gridloom.figures.effects import Bars
from gridloom.figures.page import percent
from gridloom.naming.blocks import log_of, point_of
from gridloom.naming.points import describe_point, read_path
from gridloom.records import Record
from gridloom.study.schema import Study

#: Most values of axes, and most failed jobs, that are listed.
MAX_LISTED = 12

#: Effects with a smaller share have no sentence of their own.
LEAST = 0.01

#: Lines of a failed job's log that are shown, from its end.
LOG_LINES = 20

#: A term and what is said of it.
Fact = tuple[str, str]


def verdict_html(markdown: str) -> str:
    """Return the sentences of ``verdict.md`` as HTML, without the heading.

    HTML, links and images in it stay text: names of the study are a stranger's words.
    """
    reader = MarkdownIt("commonmark", {"html": False}).disable(["image", "link", "autolink"])
    body = markdown.partition("\n")[2] if markdown.startswith("# ") else markdown
    return str(reader.render(body))


def study_card(
    study: Study, split: SplitDescription | None, summary: pd.DataFrame, seconds: float
) -> list[Fact]:
    """Describe the study.

    Parameters
    ----------
    split
        None if the data is lost.
    seconds
        Time of all trainings together.
    """
    trainings = int(summary["n_trainings"].sum())
    lost = int((summary["n_diverged"] + summary["n_missing"]).sum())
    parameters = summary["parameters"]
    sizes = sorted({int(parameters.min()), int(parameters.max())})
    facts = [("Data", study.dataset.source), *_rows(split)]
    facts += [
        ("Scored by", _objective(study)),
        ("Validation", _validation(study)),
        ("Configurations", f"{len(summary):,}, {' to '.join(f'{n:,}' for n in sizes)} parameters"),
        (
            "Trainings",
            f"{trainings:,}, {lost:,} of which diverged or have no number; "
            f"{seconds:,.0f} s of computing time",
        ),
        ("Network", study.model),
    ]
    if study.class_weight is not None:
        weights = study.class_weight
        facts.append(("Class weights", weights if isinstance(weights, str) else _flow(weights)))
    return facts


def _rows(split: SplitDescription | None) -> list[Fact]:
    if split is None:
        return []
    counts = f"{split.rows.get('train', 0):,} for training and validation"
    counts += f", {split.rows.get('test', 0):,} held back for the test"
    targets = ", ".join(split.targets)
    classes = f" ({', '.join(map(str, split.classes))})" if split.classes else ""
    found = [("Rows", counts), ("Task", f"{split.task} of {targets}{classes}")]
    if split.features:
        found.append(("Features", f"{len(split.features):,} columns"))
    elif split.shape:
        found.append(("Features", f"arrays of shape {' × '.join(map(str, split.shape))}"))
    found += [("Beware", str(alarm["text"])) for alarm in split.alarms]
    return found


def _objective(study: Study) -> str:
    end = "higher" if study.objective.mode == "max" else "lower"
    return f"{study.objective.metric} ({end} is better)"


def _validation(study: Study) -> str:
    settings = study.validation
    if settings.method == "holdout":
        part = f"{percent(settings.fraction)} of the training rows"
    else:
        part = f"{settings.folds} folds of the training rows"
    drawn = "others in each repetition" if "validation" in study.vary else "always the same"
    repetitions = f"{study.repetitions} repetition{'s' * (study.repetitions != 1)}"
    return f"{part}, {drawn}; {repetitions} of each configuration"


def _flow(value: object) -> str:
    return yaml.safe_dump(value, default_flow_style=True, width=10**6).strip()


def effect_sentences(bars: Bars) -> list[str]:
    """Say what the bars of the effects show: each that is sure, then luck, then the others."""
    places = range(len(bars.names))
    sure = [place for place in places if not bars.luck[place] and not bars.reach_zero[place]]
    sentences = [_effect_sentence(bars, place) for place in sure if bars.shares[place] >= LEAST]
    sentences += [
        f"{bars.names[place]}: its variance is {float(bars.shares[place]):.2g} times that of the "
        "configurations."
        for place in places
        if bars.luck[place] and bars.shares[place] > 0
    ]
    if small := [bars.names[place] for place in sure if bars.shares[place] < LEAST]:
        sentences.append(f"Less than {percent(LEAST)} each: {', '.join(small)}.")
    if unsure := [bars.names[place] for place in places if bars.reach_zero[place]]:
        sentences.append(f"Perhaps nothing, as their intervals reach 0: {', '.join(unsure)}.")
    if bars.left_out:
        sentences.append(f"{bars.left_out:,} smaller effects are not shown.")
    return sentences


def _effect_sentence(bars: Bars, place: int) -> str:
    share, low, high = (float(part[place]) for part in (bars.shares, bars.lows, bars.highs))
    alone = bars.orders[place] == 1
    what = "explains" if alone else "together explain, beyond what each does by itself,"
    sentence = (
        f"{bars.names[place]} {what} {percent(max(share, 0.0))} of the differences between "
        "configurations"
    )
    if not math.isnan(low):
        sentence += f" (95 % interval {percent(low)} to {percent(min(high, 1.0))})"
    return f"{sentence}."


def lost_by_value(divergence: pd.DataFrame, labels: Mapping[str, str]) -> list[tuple[str, str]]:
    """Return the values of axes that lost most trainings, and which share each lost.

    Parameters
    ----------
    divergence
        See `gridloom.analysis.divergence.divergence_shares`.
    labels
        Axis → its name in figures.
    """
    single = divergence[(divergence["other_axis"] == "") & (divergence["share"] > 0)]
    worst = single.sort_values("share", ascending=False, kind="stable").head(MAX_LISTED)
    lost = worst["diverged"] + worst["missing"]
    rows = zip(worst["axis"], worst["value"], lost, worst["trainings"], worst["share"], strict=True)
    return [
        (
            f"{labels.get(axis, axis)} = {value or '—'}",
            f"{count:,} of {all_of:,} ({percent(share)})",
        )
        for axis, value, count, all_of, share in rows
    ]


@dataclass(frozen=True)
class Failure:
    """A job that failed.

    Attributes
    ----------
    what
        Configuration that it trains.
    cause
        Why it failed.
    log, tail
        Its log, and the last lines of it.
    retry
        Command that runs it again.
    """

    what: str
    cause: str
    log: str
    tail: str
    retry: str


def failures(
    results: str, causes: Mapping[str, str], axes: Sequence[str], arguments: Sequence[str]
) -> tuple[list[Failure], int]:
    """Return the first jobs that failed, and how many others did.

    Parameters
    ----------
    causes
        Record that a failed job should have made → why it failed.
    arguments
        With which `snakemake` reads this study.
    """
    found = []
    for record, cause in list(causes.items())[:MAX_LISTED]:
        log = log_of(Path(results), Path(record))
        lines = log.read_text(encoding="utf-8", errors="replace").splitlines()
        point = read_path(point_of(record))
        found.append(
            Failure(
                what=describe_point(point, axes) or "the only configuration",
                cause=cause,
                log=str(log),
                tail="\n".join(lines[-LOG_LINES:]),
                retry=shlex.join(["snakemake", "--cores", "all", record, *arguments]),
            )
        )
    return found, len(causes) - len(found)


def provenance(
    study: Study,
    split: SplitDescription | None,
    raw: Path,
    record: Record | None,
    setup: str,
    arguments: Sequence[str],
) -> list[Fact]:
    """Describe where the numbers come from, so that they can be made again.

    Parameters
    ----------
    raw
        Note on the data that was brought; it may be lost.
    record
        The pick's, for the machine and the versions; None without a pick.
    setup
        Fingerprint of all that determines a training besides its configuration and repetition.
    arguments
        With which `snakemake` reads this study.
    """
    facts = [
        ("Command", shlex.join(["snakemake", "--cores", "all", *arguments])),
        ("Seed", f"{study.seed}; varied over repetitions: {', '.join(study.vary) or 'nothing'}"),
        ("Set-up", setup),
    ]
    if raw.exists():
        for source in json.loads(raw.read_text(encoding="utf-8")):
            facts.append((f"SHA-256 of {source['source']}", str(source["sha256"])))
    if split is not None:
        facts.append(("SHA-256 of the training rows", split.train_sha256))
    if record is not None:
        machine = record.machine
        versions = [f"{name} {version}" for name, version in machine.packages.items()]
        facts += [
            ("Versions", ", ".join(filter(None, [f"Python {machine.python}", *versions]))),
            ("Machine", ", ".join(filter(None, [machine.cpu, machine.platform, machine.device]))),
            ("Engine", record.engine or "not noted"),
        ]
    return facts


def config_text(study: Study) -> str:
    """Return the study as YAML: what it sets itself, not the defaults."""
    own = study.model_dump(mode="json", exclude_unset=True)
    return yaml.safe_dump(own, sort_keys=False, allow_unicode=True, width=100)
