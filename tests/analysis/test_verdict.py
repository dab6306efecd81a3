"""Promises of the verdict: what the study found, in sentences that say no more than it did."""

from __future__ import annotations

import itertools
from dataclasses import replace

import numpy as np
import pandas as pd
import pytest

from gridloom.analysis.certainty import certainty, default_close_enough, with_certainty
from gridloom.analysis.choice import choose
from gridloom.analysis.observations import observe
from gridloom.analysis.table import summarize
from gridloom.analysis.verdict import describe_nothing, describe_verdict, most_explained, weigh
from gridloom.naming.points import point_path, read_path

AXES = {"units": ["1", "32", "64"], "rate": ["0.01", "0.1"], "kind": ["a", "b"]}


def made_runs(effect, repetitions=5, noise=0.001, diverged=(), axes=AXES):
    """Return the trainings of a grid: `effect(units, rate, kind)` plus noise that points share."""
    generator = np.random.default_rng(0)
    shared = generator.normal(0, 0.01, repetitions)
    rows = []
    for units, rate, kind in itertools.product(*axes.values()):
        point = {"batch_size": 8, "kind": kind, "rate": float(rate), "units": int(units)}
        path = point_path(point)
        for repetition in range(repetitions):
            score = effect(int(units), float(rate), kind) + shared[repetition]
            rows.append(
                {
                    "point": path,
                    "units": units,
                    "rate": rate,
                    "kind": kind,
                    "batch_size": 8,
                    "repetition": repetition,
                    "fold": 0,
                    "status": "diverged" if (units, rate) in diverged else "ok",
                    "loss": 1.0,
                    "val_auc": score + generator.normal(0, noise),
                    "restored_epoch": 3,
                    "epochs_run": 3,
                    "parameters": int(units),
                    "seconds": 0.1,
                }
            )
    return pd.DataFrame(rows)


def verdict_of(runs, axes=AXES, **said):
    names = [*axes, "batch_size"]
    summary = summarize(runs, names, ["loss", "val_auc"], "val_auc", "max")
    summary = with_certainty(summary, certainty(runs, "val_auc", "max", None))
    points = {path: read_path(path) for path in summary["point"]}
    close_enough = default_close_enough(runs, "val_auc", "max", None)
    pick = choose(summary, runs, points, "val_auc", "max", ["parameters"], close_enough)
    observations = observe(runs, axes, "val_auc", "max")
    numbers = {name: [float(text) for text in axes[name]] for name in axes if name != "kind"}
    evidence = weigh(
        "Made up", observations, summary, pick, numbers=numbers, trainings=5, seconds=0.1, **said
    )
    return evidence, describe_verdict(evidence)


def rising(units, rate, kind):
    return 0.5 + 0.1 * (units == 64) + 0.05 * (rate == 0.1)


def test_it_names_the_pick_by_its_swept_values_only():
    _, text = verdict_of(made_runs(rising))
    assert "**Take units=64, rate=0.1, kind=" in text
    assert "batch_size" not in text


def test_axes_that_explain_the_differences_are_named_and_may_be_tuned_apart():
    _, text = verdict_of(made_runs(rising))
    assert "units explains " in text
    assert "together" not in text


def test_axes_that_interact_are_to_be_tuned_together():
    evidence, text = verdict_of(made_runs(lambda units, rate, kind: (units == 64) * (rate == 0.1)))
    found = most_explained(evidence.effects)
    assert found is not None
    assert found[0] == ("units", "rate")
    assert "Tune units and rate together." in text


def test_an_axis_without_effect_may_be_left_alone_only_with_evidence():
    few, _ = verdict_of(made_runs(rising, repetitions=3, noise=0.01))
    assert few.left_alone == []
    many, text = verdict_of(made_runs(rising, repetitions=40))
    assert many.left_alone == ["kind"]
    assert "kind surely makes no difference" in text


def test_what_diverges_is_said_with_the_value_at_which_it_does():
    diverged = [(units, "0.1") for units in ("1", "32")]
    _, text = verdict_of(made_runs(rising, diverged=diverged))
    assert "20 of 60 trainings diverged or have no number" in text
    assert "100 % of them at rate=0.1, where 67 % are lost" in text
    assert "4 of 12 configurations are left out" in text


def test_the_end_of_a_list_is_said_with_value_and_price():
    _, text = verdict_of(made_runs(rising))
    assert "Next, add units=96 (`next.yaml` has the list): 64 is the end of the list" in text
    assert "It makes 4 configurations, 20 trainings, about 2 s of one core." in text


@pytest.mark.parametrize(
    ("runs", "axes", "said"),
    [
        pytest.param(
            made_runs(rising, repetitions=1),
            AXES,
            "cannot separate luck from merit",
            id="one repetition",
        ),
        pytest.param(made_runs(lambda *_: 0.5, noise=0), AXES, "no axis explains", id="constant"),
        pytest.param(
            made_runs(rising, axes={"units": ["1"], "rate": ["0.1"], "kind": ["a"]}),
            {},
            "**Take the only configuration**",
            id="one point",
        ),
        pytest.param(
            made_runs(rising, axes={"units": ["1", "64"], "rate": ["0.1"], "kind": ["a"]}),
            {"units": ["1", "64"]},
            "**Take units=64**",
            id="one axis",
        ),
    ],
)
def test_what_cannot_be_said_is_said_in_a_sentence(runs, axes, said):
    _, text = verdict_of(runs, axes)
    assert said in text
    assert "nan" not in text.lower()
    assert "None" not in text


def test_sentences_of_others_stand_in_it():
    _, text = verdict_of(made_runs(rising), baselines="A line is as good.", verified="Verified.")
    assert "- A line is as good.\n" in text
    assert "- Verified.\n" in text


def test_a_pick_that_is_only_close_to_the_best_is_not_called_the_best():
    evidence, _ = verdict_of(made_runs(rising, repetitions=40))
    near = replace(evidence.pick, tied=1, regret_high=0.004, shown_close=True)
    assert "surely the best" not in describe_verdict(replace(evidence, pick=near))
    best = replace(near, regret_high=0.0)
    assert "It is surely the best of 12" in describe_verdict(replace(evidence, pick=best))


def test_a_confirmation_that_was_not_settled_is_said_to_be_so():
    evidence, _ = verdict_of(made_runs(rising))
    pick = replace(evidence.pick, by="confirm", regret_high=None, regret_high_new_rows=None)
    text = describe_verdict(replace(evidence, pick=pick))
    assert "is unknown, because the confirmation ended before it was settled." in text


def test_the_best_mean_is_that_of_the_study_as_it_is_now():
    evidence, _ = verdict_of(made_runs(rising, repetitions=40))
    top = evidence.summary.sort_values("rank").iloc[0]
    other = evidence.summary[evidence.summary["rank"] > 1].iloc[0]
    pick = replace(evidence.pick, point=other["point"], top_point=other["point"], top_mean=9.0)
    text = describe_verdict(replace(evidence, pick=pick))
    assert f"The best mean of the study, {top['val_auc_mean']:.4g}, is that of units=64" in text


def test_where_all_diverged_the_verdict_says_so_and_where():
    evidence, _ = verdict_of(made_runs(rising, diverged=[("1", "0.1")]))
    text = describe_nothing("Made up", "nothing is finite", evidence.axes, evidence.summary)
    assert "There is no configuration to take: nothing is finite." in text
    assert "10 of 60 trainings diverged" in text
