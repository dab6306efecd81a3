"""Random streams of a training, derived from the study's seed and the repetition alone.

All points share the seeds (common random numbers), so that they can be compared in pairs. How
trainings are packed into jobs or workers changes no number.
"""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass

import numpy as np

#: The order matters: a stream's position is part of its seed.
STREAMS = ("init", "shuffle", "dropout", "validation")


@dataclass(frozen=True)
class Seeds:
    """Seeds of one training's streams, each a whole number in [0, 2³¹).

    Attributes
    ----------
    base
        Identifies the repetition; the same for every point and fold.
    init
        Initial weights.
    shuffle
        Order of the rows in each epoch.
    dropout
        Dropout masks, and everything else that layers draw.
    validation
        Which rows validate.
    """

    base: int
    init: int
    shuffle: int
    dropout: int
    validation: int


def training_seeds(study_seed: int, repetition: int, vary: Collection[str]) -> Seeds:
    """Derive the seeds of one repetition.

    Parameters
    ----------
    study_seed
        The study's seed, 0 or more.
    repetition
        0 or more.
    vary
        Streams that change with the repetition; the others are those of repetition 0.

    Notes
    -----
    NumPy's ``SeedSequence`` mixes (study seed, repetition, stream), so that neighbouring numbers
    give unrelated streams.
    """

    def draw(stream: int, of_repetition: int) -> int:
        sequence = np.random.SeedSequence(study_seed, spawn_key=(of_repetition, stream))
        return int(sequence.generate_state(1)[0] >> 1)

    drawn = {
        name: draw(index + 1, repetition if name in vary else 0)
        for index, name in enumerate(STREAMS)
    }
    return Seeds(base=draw(0, repetition), **drawn)


def row_orders(shuffle_seed: int, epochs: int, rows: int) -> np.ndarray:
    """Draw the order of the training rows for each epoch.

    Returns
    -------
    int32 array of shape (epochs, rows)
        The first rows do not depend on `epochs`.
    """
    generator = np.random.default_rng(shuffle_seed)
    return np.stack([generator.permutation(rows) for _ in range(epochs)]).astype(np.int32)
