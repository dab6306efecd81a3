"""The card of a fitted model in words: on the screen, and as ``README.md`` in its folder."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from gridloom.analysis.pick import Pick
from gridloom.fitted.card import Card, Measured
from gridloom.fitted.looks import Look
from gridloom.fitted.scores import RESAMPLES
from gridloom.naming.values import table_text


def tell(card: Card, looks: Sequence[Look]) -> str:
    """Say what was chosen, why, and what it scored, in a few lines.

    Parameters
    ----------
    looks
        All at these test rows, this one the last.
    """
    lines = [
        f"chosen      {_configuration(card)}",
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
        All at these test rows, this one the last.
    title
        Of the study.
    folder
        Of the model, as the person names it.
    figures
        Files in it to show.
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

Keras's own, without intervals: {_measured(card)}.

{_looked(looks)}

{_shown(figures)}

## How to use it

```sh
python -m gridloom.predict {folder} new.csv --output predictions.csv
```

`new.csv` is read like the study's file; it needs the columns {_columns(card)}.

## Limits

{_limits(card)}
"""


def _configuration(card: Card) -> str:
    values = card.hyperparameters.items()
    return ", ".join(f"{name} {table_text(value)}" for name, value in values if value is not None)


def _what(card: Card) -> str:
    """Say what the model predicts, from which rows."""
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
        f"- Data: `{card.dataset.source}`; {card.training.rows:,} rows to fit, {card.test.rows:,} "
        f"test rows.\n- Configuration: {_configuration(card)}."
    )


def _chosen(pick: Pick) -> str:
    """Say which repetitions chose it, why, and its mean."""
    by = {"study": "the study's repetitions", "confirm": "`snakemake confirm`"}[pick.by]
    error = "" if pick.se is None else f" (standard error {pick.se:.3g})"
    lost = [
        f"{number} {told}"
        for number, told in (
            (pick.n_diverged, "diverged"),
            (pick.n_missing, f"have no {pick.metric}"),
        )
        if number
    ]
    without = f"; of its trainings, {' and '.join(lost)}" if lost else ""
    return (
        f"{pick.metric} {pick.mean:.4g}{error} over {pick.n} repetition{'s' * (pick.n != 1)}"
        f"{without}; by {by}: {pick.rule.rstrip('.')}"
    )


def _sure(pick: Pick) -> str:
    """Say what the choice may cost, over more seeds and over new rows, and what to expect."""
    lines = [
        f"- Trained again, {pick.metric} is expected to be {pick.expected:.4g} on validation rows "
        "like those of the study."
    ]
    for regret, over in (
        (pick.regret_high, "more seeds on these rows"),
        (pick.regret_high_new_rows, "new rows"),
    ):
        if regret is None:
            lines.append(f"- How much worse than the best it may be over {over} is not known.")
        else:
            lines.append(
                f"- Over {over}, it is at most {regret:.3g} worse than the best of "
                f"{pick.configurations:,} configurations (95 %, for all of them together)."
            )
    if pick.tied is not None and pick.tied > 1:
        lines.append(f"- {pick.tied:,} configurations cannot be told apart from the best.")
    if pick.top_point != pick.point:
        lines.append(
            f"- Another one has the best mean, {pick.top_mean:.4g}, which luck may have chosen: "
            f"`{pick.top_point}`."
        )
    return "\n".join(lines)


def _trained(card: Card) -> str:
    return (
        f"One fit of {card.pick.epochs} epochs on all {card.training.rows:,} training rows, "
        "including those that validated in the study, with the random streams of repetition 0 "
        f"(study seed {card.setup.seed}). The network has {card.pick.parameters:,} parameters. In "
        f"the last epoch, with dropout and weights: {_metrics(card, card.training)}. "
        f"`{card.model_file}` builds it; `model.json` has the set-up, "
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
    """Say what the intervals are about, and where they say too little."""
    unit = "test rows" if card.groups is None else f"{card.groups:,} groups of test rows"
    lines = [
        f"Intervals by {RESAMPLES:,} bootstrap resamples of the {unit}: they are about new "
        "rows of the same kind for this one network, not about training it again."
    ]
    if any(score.value is None for score in card.scores):
        lines.append("A score is not defined where the test rows are all of one class or value.")
    accuracy = next((score for score in card.scores if score.name == "accuracy"), None)
    if accuracy is not None and accuracy.value == 1:
        count = card.test.rows if card.groups is None else card.groups
        lines.append(
            f"No test row is wrong, and no resample can have one; up to {3 / count:.2g} of new "
            "rows may be (95 %, the rule of three)."
        )
    if card.split.ordered:
        lines.append("Rows that follow one another in time may be alike: then they are too narrow.")
    return " ".join(lines)


def _looked(looks: Sequence[Look]) -> str:
    """Say how often the test rows were looked at, and what that means for the scores."""
    count = len(looks)
    if count == 1:
        return (
            "These test rows were looked at once, for this model: the scores are unbiased as long "
            "as they lead to no other choice."
        )
    models = len({(look.point, look.setup) for look in looks})
    kinds = f"{models} models" if models > 1 else "one model"
    return (
        f"These test rows were looked at {count} times, for {kinds}, since {looks[0].when}: if an "
        "earlier look had a part in this choice, the scores are better than the model is."
    )


def _shown(figures: Sequence[Path]) -> str:
    return "\n".join(f"![{file.stem}]({file.name})" for file in figures)


def _columns(card: Card) -> str:
    names = card.split.columns or card.split.features
    return _listed(names) if names else "of an array `x` in an NPZ file"


def _listed(names: Sequence[str], most: int = 12) -> str:
    """List names as code, of many the first ones."""
    shown = ", ".join(f"`{name}`" for name in names[:most])
    return shown + (f" and {len(names) - most:,} more" if len(names) > most else "")


def _limits(card: Card) -> str:
    lines = [
        "- It knows rows like those it was fitted on; what else new rows hold, the scores do not "
        "tell.",
        "- It was fitted once: another seed gives another network (see the standard error above).",
    ]
    if card.outputs.probabilities:
        lines.append("- Probabilities are not calibrated; the figure shows how far off they are.")
    else:
        known = card.split.task == "regression"
        lines += [] if known else ["- Its outputs are scores, not probabilities."]
    # What looks like a leak in the data, as the split noted it.
    lines += [f"- {alarm['text']}" for alarm in card.split.alarms]
    return "\n".join(lines)
