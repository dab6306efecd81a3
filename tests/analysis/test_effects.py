"""Promises of effects: the textbook's numbers, unbiased under shared noise, and no silent gaps."""

from __future__ import annotations

import itertools

import numpy as np
import pandas as pd
import pytest
from statsmodels.formula.api import ols
from statsmodels.stats.anova import AnovaRM, anova_lm

from gridloom.analysis.effects import effects
from gridloom.analysis.observations import Observations
from tests.processor_time import in_turns

AXES = {"units": ["1", "8", "64"], "rate": ["0.1", "1"], "dropout": ["0", "0.3"]}


def grid(axes=AXES):
    return pd.DataFrame(list(itertools.product(*axes.values())), columns=list(axes))


def observed(points, scores):
    points = points.reset_index(drop=True)
    axes = {name: list(dict.fromkeys(points[name])) for name in points}
    named = points.assign(point=[f"point={place}" for place in points.index])
    return Observations(named, axes, np.arange(scores.shape[1]), scores, sign=1)


def long(points, scores):
    """Return one row a score, as statsmodels wants it."""
    repetitions = [
        points.assign(score=score, repetition=place) for place, score in enumerate(scores.T)
    ]
    return pd.concat(repetitions, ignore_index=True)


def drawn(points, generator, repetitions=5):
    """Return scores whose noise is mostly that of each value of units in each repetition."""
    units = pd.factorize(points["units"])[0]
    of_units = generator.normal(size=(units.max() + 1, repetitions))
    shared = generator.normal(size=repetitions)
    return shared + of_units[units] + 0.2 * generator.normal(size=(len(points), repetitions))


def rows(found):
    return found.table.set_index("effect")


def test_on_a_complete_grid_variances_are_those_of_the_textbook():
    points = grid()
    scores = drawn(points, np.random.default_rng(0))
    found = rows(effects(observed(points, scores)))
    pairs = "(units + rate + dropout) ** 2"
    formula = f"score ~ units * rate * dropout + C(repetition) + {pairs}:C(repetition)"
    table = anova_lm(ols(formula, long(points, scores)).fit(), typ=1)
    sums = {frozenset(name.split(":")): each for name, each in table["sum_sq"].items()}
    sums[frozenset({"units", "rate", "dropout", "C(repetition)"})] = sums[frozenset({"Residual"})]
    effect = [name for name in found.index if name not in ("(higher)", "(repetition)", "(noise)")]
    assert len(effect) == 7
    for name in effect:
        axes = frozenset(name.split(":"))
        expected = (sums[axes] - sums[axes | {"C(repetition)"}] / 4) / scores.size
        assert found.loc[name, "variance"] == pytest.approx(expected)
    noise = sum(sums[frozenset(name.split(":")) | {"C(repetition)"}] for name in effect) / 44
    assert found.loc["(noise)", "variance"] == pytest.approx(noise)
    common = (sums[frozenset({"C(repetition)"})] / 4 - noise) / 12
    assert found.loc["(repetition)", "variance"] == pytest.approx(common)
    assert found.loc["(higher)", "variance"] == found.loc["units:rate:dropout", "variance"]
    assert found.loc[effect, "share"].sum() == pytest.approx(1)
    assert found.loc[effect, "df"].tolist() == [2, 1, 1, 2, 2, 1, 2]


def test_tests_of_two_values_are_those_of_repeated_measures():
    points = grid({"units": ["1", "8"], "rate": ["0.1", "1"], "dropout": ["0", "0.3"]})
    scores = drawn(points, np.random.default_rng(1))
    found = rows(effects(observed(points, scores)))
    table = AnovaRM(long(points, scores), "score", "repetition", list(points)).fit().anova_table
    for name, p_value in table["Pr > F"].items():
        assert found.loc[name, "p"] == pytest.approx(p_value)
    # With two values, an effect is one paired difference.
    differences = scores[4:].mean(axis=0) - scores[:4].mean(axis=0)
    half = 2.776445 * differences.std(ddof=1) / np.sqrt(5)
    ends = [max(abs(differences.mean()) - half, 0), abs(differences.mean()) + half]
    assert found.loc["units", ["low", "high"]].tolist() == pytest.approx(
        [(end / 2) ** 2 for end in ends]
    )


def test_on_an_incomplete_grid_sums_of_squares_are_of_type_two():
    points = grid({**AXES, "batch": ["4", "16", "32"]}).drop([0, 3, 7, 20])
    score = np.random.default_rng(2).normal(size=len(points))
    found = effects(observed(points, np.stack([score, score], axis=1)))  # without noise
    fit = ols("score ~ (units + rate + dropout + batch) ** 2", points.assign(score=score)).fit()
    expected = anova_lm(fit, typ=2)["sum_sq"] / len(points)
    table = rows(found)
    for name in expected.index[:-1]:
        assert table.loc[name, "variance"] == pytest.approx(expected[name])
    assert table.loc["(higher)", "variance"] == pytest.approx(expected["Residual"])
    assert table.loc["(higher)", "df"] == fit.df_resid
    assert "type II" in found.notes[0]
    assert "no noise" in found.notes[-1]


def test_absent_effects_centre_on_0_and_are_rarely_found_where_values_share_their_luck():
    points, generator = grid(), np.random.default_rng(3)
    tables = [rows(effects(observed(points, drawn(points, generator)))) for _ in range(200)]
    variances = np.array([table["variance"][:-2] for table in tables])
    error = variances.std(axis=0) / np.sqrt(len(variances))
    assert (np.abs(variances.mean(axis=0)) < 4 * error).all()
    found = np.array([table["p"][:-2] < 0.05 for table in tables]).mean(axis=0)
    # With one noise for all effects, most studies would show an effect of units.
    assert (found < 0.05 + 4 * np.sqrt(0.05 * 0.95 / 200)).all()


def test_intervals_cover_the_truth():
    points, generator = grid(), np.random.default_rng(4)
    units, rate = points["units"].map({"1": 0, "8": 1, "64": 3}), points["rate"] == "1"
    truth = (units * (1 + rate)).to_numpy(float)
    exact = effects(observed(points, np.stack([truth, truth], axis=1)))
    true = rows(exact).iloc[:-2]
    covered = []
    for _ in range(150):
        scores = truth[:, None] + drawn(points, generator)
        found = effects(observed(points, scores))
        table, pair = rows(found).iloc[:-2], found.share_of(["units", "rate"])
        covered.append(
            np.concatenate(
                [
                    true["variance"].between(table["low"], table["high"] + 1e-9),
                    true["share"].between(table["share_low"], table["share_high"] + 1e-9),
                    [pair.low <= exact.share_of(["units", "rate"]).share <= pair.high + 1e-9],
                ]
            )
        )
    # If the chance is 95 %, 136 or fewer of 150 have a probability of 1 %.
    assert (np.mean(covered, axis=0) > 136 / 150).all()


def test_configurations_that_lost_a_training_are_left_out_with_a_sentence():
    points = grid()
    scores = drawn(points, np.random.default_rng(5))
    scores[[1, 4], [0, 2]] = np.nan
    found = effects(observed(points, scores))
    assert found.notes[0].startswith("2 of 12 configurations are left out")
    kept = np.isfinite(scores).all(axis=1)
    without = effects(observed(points[kept], scores[kept]))
    pd.testing.assert_frame_equal(found.table, without.table)


def test_a_value_that_failed_everywhere_leaves_a_complete_grid():
    points = grid()
    scores = drawn(points, np.random.default_rng(6))
    scores[points["units"] == "64"] = np.nan
    scores[points["dropout"] == "0.3"] = np.nan
    found = effects(observed(points, scores))
    assert found.table["effect"].tolist() == [
        "units",
        "rate",
        "units:rate",
        "(repetition)",
        "(noise)",
    ]
    assert "dropout has one value" in found.notes[1]


def test_axes_that_vary_together_are_one():
    points = grid().assign(epochs=lambda each: each["rate"].map({"0.1": "25", "1": "10"}))
    scores = drawn(points, np.random.default_rng(7))
    found = effects(observed(points, scores))
    assert "epochs varies together with rate" in found.notes[0]
    alone = effects(observed(points.drop(columns="epochs"), scores))
    pd.testing.assert_frame_equal(found.table, alone.table)


def test_a_hyperparameter_that_only_some_points_have_is_compared_among_them():
    points = pd.DataFrame(
        [
            (optimizer, momentum, rate)
            for optimizer, momentum in [("sgd", "0"), ("sgd", "0.9"), ("adam", "")]
            for rate in ["0.1", "1", "2"]
        ],
        columns=["optimizer", "momentum", "rate"],
    )
    effect = points["momentum"].map({"0": 1.0, "0.9": 3.0, "": 10.0}).to_numpy()
    found = effects(observed(points, np.stack([effect, effect], axis=1)))
    table = rows(found)
    assert table.loc["momentum", "df"] == 1
    # The six points with sgd have the values 1 and 3. All nine have sgd's mean of 2 and adam's 10.
    assert table.loc["momentum", "variance"] == pytest.approx(6 * 1 / 9)
    assert table.loc["optimizer", "variance"] == pytest.approx((6 * 3 * 8**2 / 9) / 9)
    assert any("momentum subdivides optimizer" in note for note in found.notes)


@pytest.mark.parametrize(
    ("points", "scores", "note"),
    [
        (grid(), np.full((12, 3), np.nan), "No configuration has a score"),
        (grid()[:1], np.ones((1, 3)), "One configuration has a score"),
        (grid(), np.ones((12, 3)), "equal scores"),
        (grid(), np.tile([0.3, 0.7, 0.1], (12, 1)), "equal scores"),
        (grid({"units": ["1", "8"]}), np.array([[1.0], [2.0]]), "raise `repetitions`"),
        (grid({"units": ["1", "8"]}), np.array([[1.0, 2.0], [2.0, 1.0]]), "no shares"),
    ],
)
def test_what_cannot_be_said_has_a_note(points, scores, note):
    found = effects(observed(points, scores))
    assert note in found.notes[-1]
    assert np.isnan(found.share_of(list(AXES)).share)
    assert found.table["share"].isna().all()


def test_one_repetition_takes_the_effect_of_most_axes_for_noise_and_tests_nothing():
    points = grid()
    scores = drawn(points, np.random.default_rng(8), repetitions=1)
    found = effects(observed(points, scores))
    assert found.notes[-1].startswith("One repetition: units:rate:dropout serves as noise")
    pairs = "score ~ (units + rate + dropout) ** 2"
    expected = anova_lm(ols(pairs, points.assign(score=scores[:, 0])).fit(), typ=1)
    table = rows(found)
    noise = expected.loc["Residual", "mean_sq"]
    assert table.loc["(noise)", "variance"] == pytest.approx(noise)
    for name in expected.index[:-1]:
        variance = (expected.loc[name, "sum_sq"] - expected.loc[name, "df"] * noise) / 12
        assert table.loc[name, "variance"] == pytest.approx(variance)
    assert table[["low", "high", "share_low", "share_high", "p"]].isna().all(axis=None)


@pytest.mark.parametrize("left_out", [0, 7])
def test_the_time_grows_in_line_with_the_points(left_out):
    def observations(axes):
        points = grid({f"axis_{place}": ["0", "1"] for place in range(axes)})[left_out:]
        scores = np.random.default_rng(9).normal(size=(len(points), 5))
        return observed(points, scores)

    few, many = observations(8), observations(12)
    found = effects(many)
    assert rows(found).loc["(higher)", "df"] == 4096 - left_out - 1 - 12 - 66
    of_few, of_many = in_turns(lambda: effects(few), lambda: effects(many))
    # Sixteen times the points take two to eight times as long; a dense model of all effects would
    # take hundreds of times.
    assert of_many < 20 * of_few


@pytest.mark.parametrize("seed", range(6))
def test_a_pair_without_a_cell_of_its_own_is_named_and_not_a_mistake(seed):
    points = grid()
    generator = np.random.default_rng(seed)
    left_out = [len(points) - 1] if seed == 0 else generator.choice(len(points), 7, replace=False)
    points = points.drop(index=left_out)
    found = effects(observed(points, drawn(points, generator)))
    assert found.table["variance"].notna().all()


def test_an_axis_may_be_called_noise_or_higher():
    points = grid({"noise": ["0", "1"], "higher": ["0", "1"], "units": ["1", "8"]})
    names = rows(effects(observed(points, drawn(points, np.random.default_rng(10))))).index
    assert names.is_unique
    assert {"noise", "higher", "(noise)", "(higher)"} <= set(names)
