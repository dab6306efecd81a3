"""Random generators of a network: their states and their seeds."""

from __future__ import annotations

from typing import Any

import keras
import numpy as np


def seed_states(model: keras.Model) -> list[Any]:
    """Return the states of the model's random generators, in the order of its layers."""
    return [variable for variable in model.variables if "seed_generator_state" in variable.path]


def generator_seed(dropout_seed: int, place: int) -> int:
    """Return the seed of the generator at `place` in `seed_states`, in [0, 2³¹)."""
    return int(np.random.SeedSequence(dropout_seed, spawn_key=(place,)).generate_state(1)[0] >> 1)
