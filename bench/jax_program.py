"""What an expert could write by hand for the seed study: a JAX program for this one grid.

    python bench/jax_program.py RESULTS THREADS

`seed_study.py` runs it in an environment of its own. For each of the 18 kinds of network (units,
activation, batch size), one compiled computation trains 60 networks at once: 4 learning rates,
3 dropouts and 5 repetitions. NumPy draws all that is random, because drawing it in the computation
would triple the time to compile. Threads compile and run the kinds; one is what is usual.
It writes the curves of all trainings and a table of means, and draws nothing. It prints its seconds
after the imports.
"""

from __future__ import annotations

import csv
import itertools
import json
import sys
import time
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from pathlib import Path

import jax
import jax.numpy as jnp
import numpy as np
from sklearn.datasets import load_breast_cancer
from sklearn.model_selection import train_test_split
from sklearn.preprocessing import StandardScaler
from sklearn.utils.class_weight import compute_class_weight

UNITS = (1, 32, 64)
ACTIVATIONS = {"linear": lambda x: x, "relu": jax.nn.relu}
BATCH_SIZES = (4, 16, 32)
PAIRS = list(itertools.product((0.0, 0.3, 0.6), (0.01, 0.1, 0.5, 1.0)))  # dropout, learning rate
REPETITIONS = 5
EPOCHS = 25
METRICS = ("loss", "accuracy", "val_loss", "val_accuracy")


def repetitions() -> list[dict[str, np.ndarray]]:
    """Draw all that is random, for each repetition: its points share it."""
    x, y = load_breast_cancer(return_X_y=True)
    x, _, y, _ = train_test_split(x, y, test_size=0.2, stratify=y, random_state=0)
    drawn = []
    for seed in range(REPETITIONS):
        x_fit, x_val, y_fit, y_val = train_test_split(x, y, test_size=0.2, random_state=seed)
        scaler = StandardScaler().fit(x_fit)
        weights = compute_class_weight("balanced", classes=np.unique(y_fit), y=y_fit)
        generator = np.random.default_rng(seed)
        drawn.append(
            {
                "x": scaler.transform(x_fit),
                "y": np.eye(2)[y_fit],
                "weight": weights[y_fit],
                "x_val": scaler.transform(x_val),
                "y_val": np.eye(2)[y_val],
                "order": np.argsort(generator.random((EPOCHS, len(x_fit))), axis=1),
                "draws": generator.random((EPOCHS, *x_fit.shape)),
            }
        )
    return drawn


def initial(seed: int, features: int, units: int) -> list[np.ndarray]:
    """Draw the weights of a network as Keras does by default."""
    generator = np.random.default_rng(seed)

    def glorot(*shape: int) -> np.ndarray:
        limit = np.sqrt(6 / sum(shape))
        return generator.uniform(-limit, limit, shape)

    return [glorot(features, units), np.zeros(units), glorot(units, 2), np.zeros(2)]


def log_probabilities(weights: list[jax.Array], x: jax.Array, activation: str) -> jax.Array:
    """Apply the network to rows; return the logarithms of both classes' probabilities."""
    hidden = ACTIVATIONS[activation](x @ weights[0] + weights[1])
    return jax.nn.log_softmax(hidden @ weights[2] + weights[3])


def fit(activation, batch, rate, learning_rate, weights, data):
    """Train one network; return each metric after each epoch, shape (epochs, metrics)."""
    x, y, weight = data["x"], data["y"], data["weight"]
    rows = len(x)
    # The last batch of an epoch is filled up with rows of no weight.
    steps = -(-rows // batch)
    filled = steps * batch - rows
    real = jnp.arange(steps * batch).reshape(steps, batch) < rows

    def loss(weights, chosen, kept, real):
        dropped = jnp.where(kept, x[chosen] / (1 - rate), 0)
        predicted = log_probabilities(weights, dropped, activation)
        total = (-(predicted * y[chosen]).sum(-1) * weight[chosen] * real).sum()
        right = (predicted.argmax(-1) == y[chosen].argmax(-1)) & real
        return total / real.sum(), jnp.stack([total, right.sum()])

    def step(weights, given):
        gradients, sums = jax.grad(loss, has_aux=True)(weights, *given)
        moved = [old - learning_rate * slope for old, slope in zip(weights, gradients, strict=True)]
        return moved, sums

    def epoch(weights, given):
        order, draws = given
        batches = jnp.concatenate([order, order[:filled]]).reshape(steps, batch)
        weights, sums = jax.lax.scan(step, weights, (batches, draws[batches] >= rate, real))
        predicted = log_probabilities(weights, data["x_val"], activation)
        val_loss = -(predicted * data["y_val"]).sum(-1).mean()
        val_accuracy = (predicted.argmax(-1) == data["y_val"].argmax(-1)).mean()
        return weights, jnp.append(sums.sum(0) / rows, jnp.stack([val_loss, val_accuracy]))

    return jax.lax.scan(epoch, weights, (data["order"], data["draws"]))[1]


def train(kind: tuple[int, str, int], drawn: list[dict[str, np.ndarray]]) -> np.ndarray:
    """Train the 60 networks of a kind; shape (repetitions, pairs, epochs, metrics)."""
    units, activation, batch = kind
    features = drawn[0]["x"].shape[1]
    begun = [(initial(seed, features, units), data) for seed, data in enumerate(drawn)]
    stacked = jax.tree.map(lambda *parts: jnp.asarray(np.stack(parts)), *begun)  # of 32 bits
    pairs = jax.vmap(partial(fit, activation, batch), (0, 0, None, None))
    both = jax.jit(jax.vmap(pairs, (None, None, 0, 0)))
    rates, learning_rates = np.float32(PAIRS).T
    return np.asarray(both(rates, learning_rates, *stacked))


def main() -> None:
    """Train all kinds, and write curves and means."""
    results, count = Path(sys.argv[1]), int(sys.argv[2])
    started = time.perf_counter()
    drawn = repetitions()
    kinds = list(itertools.product(UNITS, ACTIVATIONS, BATCH_SIZES))
    with ThreadPoolExecutor(count) as threads:
        curves = list(threads.map(partial(train, drawn=drawn), kinds))
    np.save(results / "curves.npy", np.stack(curves))
    with (results / "means.csv").open("w", newline="") as file:
        table = csv.writer(file)
        table.writerow(["units", "activation", "batch_size", "dropout", "learning_rate", *METRICS])
        for kind, curve in zip(kinds, curves, strict=True):
            for pair, mean in zip(PAIRS, curve[:, :, -1].mean(0), strict=True):
                table.writerow([*kind, *pair, *mean.tolist()])
    print(json.dumps({"seconds": time.perf_counter() - started, "version": jax.__version__}))


if __name__ == "__main__":
    main()
