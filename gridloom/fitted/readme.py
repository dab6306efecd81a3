"""A fitted model described for people: on the screen, and as ``README.md`` in its folder."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from gridloom.analysis.pick import Pick
from gridloom.fitted.card import Card, Measured
from gridloom.fitted.looks import Look
from gridloom.fitted.scores import RESAMPLES
from gridloom.naming.points import describe_point, read_path


def describe_fit(card: Card, looks: Sequence[Look]) -> str:
    """Describe in a few lines what was chosen, why, and what it scored.

    Parameters
    ----------
    looks
        All looks at these test rows; the last one is this model's.
    """
    lines = [
        f"chosen      {describe_point(card.hyperparameters)}",
        f"because     {_chosen(card.pick)}",
        f"fitted      for {card.pick.epochs} epochs on all {card.training.rows:,} training rows",
        f"test        {_measured(card)} on {card.test.rows:,} rows",
        *[f"            {score}" for score in card.scores],
    ]
    if len(looks) > 1:
        lines.append(f"looks       {_looked(looks)}")
    return "\n".join(lines)


def readme(
    card: Card, looks: Sequence[Look], *, title: str, folder: Path, figures: Sequence[Path]
) -> str:
    """Write the model card (Mitchell et al. 2019) as Markdown.

    Parameters
    ----------
    looks
        All looks at these test rows; the last one is this model's.
    title
        Title of the study.
    folder
        Folder of the model, as the user names it.
    figures
        Figures in the folder that the card shows.
    """
    return f"""# {title}: the fitted model

{_what(card)}

## How it was chosen, and how sure that is

{_chosen(card.pick)}.

{_sure(card.pick)}

## Training

{_trained(card)}

## Scores on the test rows

{_table(card)}

{_intervals(card)}

Loss and metrics by Keras, without intervals: {_measured(card)}.

{_looked(looks)}

{_shown(figures)}

## How to use it

```sh
python -m gridloom.predict {folder} new.csv --output predictions.csv
```

`new.csv` is read like the study's file; it needs {_columns(card)}.

## Limits

{_limits(card)}
"""


def _what(card: Card) -> str:
    """Describe what the model predicts, and from which rows."""
    split = card.split
    match split.task:
        case "classification":
            predicts = f"`{split.targets[0]}`, one of {_listed(split.classes or [])}"
        case "multilabel":
            predicts = f"the labels {_listed(split.targets)}"
        case _:
            predicts = f"{_listed(split.targets)}, in units of the data"
    return (
        f"A Keras network that predicts {predicts}.\n\n"
        f"- Data: `{card.dataset.source}`; {card.training.rows:,} training rows, "
        f"{card.test.rows:,} test rows.\n- Configuration: {describe_point(card.hyperparameters)}."
    )


def _chosen(pick: Pick) -> str:
    """Describe the choice: the mean, lost trainings, the repetitions that chose, and the rule."""
    by = {"study": "on the study's repetitions", "confirm": "by `snakemake confirm`"}[pick.by]
    error = "" if pick.se is None else f" (standard error {pick.se:.3g})"
    lost = [
        f"{number} {reason}"
        for number, reason in (
            (pick.n_diverged, "diverged"),
            (pick.n_missing, f"without {pick.metric}"),
        )
        if number
    ]
    without = f"; lost trainings: {', '.join(lost)}" if lost else ""
    return (
        f"{pick.metric} {pick.mean:.4g}{error} over {pick.n} repetition{'s' * (pick.n != 1)}"
        f"{without}; chosen {by}: {pick.rule.rstrip('.')}"
    )


def _sure(pick: Pick) -> str:
    """Describe the score to expect, and what the choice may cost over more seeds and new rows."""
    lines = [
        f"- If it is trained again, expect {pick.metric} {pick.expected:.4g} on validation rows "
        "like those of the study."
    ]
    for regret, over in (
        (pick.regret_high, "more seeds on these rows"),
        (pick.regret_high_new_rows, "new rows"),
    ):
        if regret is None:
            lines.append(f"- Over {over}, it is not known how far it may be from the best.")
        else:
            lines.append(
                f"- Over {over}, it is at most {regret:.3g} worse than the best of "
                f"{pick.configurations:,} configurations (95 %, for all of them together)."
            )
    if pick.tied is not None and pick.tied > 1:
        lines.append(f"- {pick.tied:,} configurations cannot be told apart from the best.")
    if pick.top_point != pick.point:
        lines.append(
            f"- Another configuration has the best mean, {pick.top_mean:.4g}, perhaps by luck: "
            f"{describe_point(read_path(pick.top_point))}."
        )
    return "\n".join(lines)


def _trained(card: Card) -> str:
    return (
        f"One fit of {card.pick.epochs} epochs on all {card.training.rows:,} training rows, "
        "including those that validated in the study, with the random streams of repetition 0 "
        f"(study seed {card.setup.seed}). The network has {card.pick.parameters:,} parameters. In "
        f"the last epoch, with dropout and row weights: {_metrics(card, card.training)}. "
        f"`{card.model_file}` builds the network; `model.json` has the set-up, "
        "the machine and the versions of the packages."
    )


def _measured(card: Card) -> str:
    return _metrics(card, card.test)


def _metrics(card: Card, measured: Measured) -> str:
    return ", ".join(
        (f"{name} {value:.4g}" if value is not None else f"{name} not finite")
        + " (of the standardized target)" * (name in card.standardized)
        for name, value in measured.metrics.items()
    )


def _table(card: Card) -> str:
    lines = ["| score | value | 95 % interval |", "| --- | --- | --- |"]
    for score in card.scores:
        value = "not defined" if score.value is None else f"{score.value:.4g}"
        interval = "none" if score.low is None else f"{score.low:.4g} to {score.high:.4g}"
        lines.append(f"| {score.name} | {value} | {interval} |")
    return "\n".join(lines)


def _intervals(card: Card) -> str:
    """Describe what the intervals are about, and where they are too narrow."""
    unit = "test rows" if card.groups is None else f"{card.groups:,} groups of test rows"
    lines = [
        f"The intervals come from {RESAMPLES:,} bootstrap resamples of the {unit}. They are about "
        "new rows of the same kind for this one network, not about training it again."
    ]
    if any(score.value is None for score in card.scores):
        lines.append("A score is not defined if all test rows have the same class or value.")
    accuracy = next((score for score in card.scores if score.name == "accuracy"), None)
    if accuracy is not None and accuracy.value == 1:
        count = card.test.rows if card.groups is None else card.groups
        lines.append(
            "No test row is predicted wrong, so no resample has an error; a share of up to "
            f"{3 / count:.2g} of new rows may be wrong (95 %, the rule of three)."
        )
    if card.split.ordered:
        lines.append(
            "Rows that follow one another in time may be alike; the intervals are then too narrow."
        )
    return " ".join(lines)


def _looked(looks: Sequence[Look]) -> str:
    """Describe how often the test rows were looked at, and what that means for the scores."""
    count = len(looks)
    if count == 1:
        return (
            "These test rows were looked at once, for this model: the scores are unbiased as long "
            "as you do not use them to choose another model."
        )
    models = len({(look.point, look.setup) for look in looks})
    kinds = f"{models} models" if models > 1 else "one model"
    return (
        f"These test rows were looked at {count} times, for {kinds}, since {looks[0].when}: if an "
        "earlier look influenced this choice, the scores are better than the model is."
    )


def _shown(figures: Sequence[Path]) -> str:
    return "\n".join(f"![{file.stem}]({file.name})" for file in figures)


def _columns(card: Card) -> str:
    names = card.split.columns or card.split.features
    return f"the columns {_listed(names)}" if names else "an array `x`, in an NPZ file"


def _listed(names: Sequence[str], most: int = 12) -> str:
    """List names as code; of a long list, show the first ones."""
    shown = ", ".join(f"`{name}`" for name in names[:most])
    return shown + (f" and {len(names) - most:,} more" if len(names) > most else "")


def _limits(card: Card) -> str:
    lines = [
        "- The scores hold for rows like those of the study; they say nothing about other rows.",
        "- It was fitted once: another seed gives another network (see the standard error above).",
    ]
    if card.outputs.probabilities:
        lines.append("- Probabilities are not calibrated; the figure shows how far off they are.")
    else:
        known = card.split.task == "regression"
        lines += [] if known else ["- Its outputs are scores, not probabilities."]
    # Possible leaks in the data, as the split describes them.
    lines += [f"- {alarm['text']}" for alarm in card.split.alarms]
    return "\n".join(lines)
