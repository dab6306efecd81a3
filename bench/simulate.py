"""Draw studies from populations whose truth is known, and count how often what is said holds.

Prints the table of `docs/statistics.md`: for each population and number of repetitions, how often
all bounds of regret hold together, how many configurations count as tied with the best, the least
bound, and how far mean and expected score of the winner are from its true score. With `--changes`,
prints the table of comparisons instead: how often something is called sure of a change that does
nothing.

    python bench/simulate.py [--studies 200] [--changes]
"""

from __future__ import annotations

import argparse
import sys
from pathlib import Path

import numpy as np

sys.path.insert(0, str(Path(__file__).parents[1]))

from gridloom.analysis.expected import expected_scores
from gridloom.analysis.ties import compare_with_best
from tests.analysis.changes import sure_of_means, sure_values, two_draws
from tests.analysis.population import POPULATIONS, Population

REPETITIONS = (2, 3, 5, 10, 20)


def simulate(population: Population, repetitions: int, studies: int) -> dict[str, float]:
    """Draw studies and count.

    Returns
    -------
    dict
        `covered`: share of studies in which all bounds hold; `tied`, `regret_high`: medians of the
        number of tied points and of the least bound; `mean_error`, `expected_error`: of the winner
        by mean and by expected score, what is said of it less its true score, averaged.
    """
    generator = np.random.default_rng(14)
    step = population.least_difference
    covered, tied, least, mean_error, expected_error = [], [], [], [], []
    for _ in range(studies):
        scores = population.draw(repetitions, generator)
        compared = (
            compare_with_best(scores)
            if step is None
            else compare_with_best(scores, None, step**2 / repetitions, 1.0)
        )
        covered.append((compared.regret_high >= population.regret - 1e-9).all())
        tied.append(compared.tied.sum())
        least.append(compared.regret_high.min())
        for said, errors in (
            (scores.mean(axis=1), mean_error),
            (expected_scores(scores), expected_error),
        ):
            winner = said.argmax()
            errors.append(said[winner] - population.truth[winner])
    return {
        "covered": float(np.mean(covered)),
        "tied": float(np.median(tied)),
        "regret_high": float(np.median(least)),
        "mean_error": float(np.mean(mean_error)),
        "expected_error": float(np.mean(expected_error)),
    }


def simulate_changes(population: Population, repetitions: int, studies: int) -> dict[str, float]:
    """Draw studies twice, half of their points with equal scores, and count what is called sure.

    Returns
    -------
    dict
        Shares of studies in which a gain of all points, of those near the best, of any point, or
        with any value of an axis is called sure.
    """
    generator = np.random.default_rng(14)
    step = population.least_difference
    claimed = []
    for _ in range(studies):
        before, now = two_draws(population, repetitions, generator, 0.5)
        at_a_value = bool(sure_values(now - before, step))
        claimed.append({**sure_of_means(before, now, step), "any value": at_a_value})
    return {name: float(np.mean([one[name] for one in claimed])) for name in claimed[0]}


def print_changes(studies: int) -> None:
    """Print the table of comparisons."""
    print("| population | repetitions | all | near the best | any configuration | any value |")
    print("| --- | --- | --- | --- | --- | --- |")
    for name, population in POPULATIONS.items():
        for repetitions in REPETITIONS[:4]:
            found = simulate_changes(population(), repetitions, studies)
            cells = " | ".join(f"{share:.3f}" for share in found.values())
            print(f"| {name} | {repetitions} | {cells} |", flush=True)


def main() -> None:
    """Print one of the tables."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--studies", type=int, default=200, help="drawn from each population")
    parser.add_argument("--changes", action="store_true", help="the table of comparisons")
    arguments = parser.parse_args()
    studies = arguments.studies
    if arguments.changes:
        print_changes(studies)
        return
    print("| population | repetitions | covered | tied | regret_high | mean | expected |")
    print("| --- | --- | --- | --- | --- | --- | --- |")
    for name, population in POPULATIONS.items():
        for repetitions in REPETITIONS:
            found = simulate(population(), repetitions, studies)
            cells = (
                f"{found['covered']:.3f}",
                f"{found['tied']:.0f} of {len(population().truth)}",
                *(f"{found[key]:.4f}" for key in ("regret_high", "mean_error", "expected_error")),
            )
            print(f"| {name} | {repetitions} | {' | '.join(cells)} |", flush=True)


if __name__ == "__main__":
    main()
