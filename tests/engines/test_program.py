"""Promises of batches: each row once, and what steps return, in the order of the lane."""

from __future__ import annotations

import numpy as np
import pytest
import tensorflow as tf

from gridloom.engines.program import Batches

LANES, ROWS = 3, 10


@pytest.mark.parametrize("as_tensor", [True, False], ids=["size as data", "size fixed"])
@pytest.mark.parametrize("size", [1, 3, 5, 10, 16])
def test_each_row_is_in_one_batch_and_outputs_come_in_the_order_of_the_rows(size, as_tensor):
    rng = np.random.default_rng(size)
    x = rng.normal(size=(LANES, ROWS, 2)).astype(np.float32)
    y = rng.integers(0, 9, (LANES, ROWS)).astype(np.int32)
    order = np.stack([rng.permutation(ROWS) for _ in range(LANES)])

    @tf.function(autograph=False)
    def run(size, order):
        batches = Batches([tf.constant(x), tf.constant(y)], size, order)

        def step(number, batch, carried):
            own_x, own_y = batch
            largest = tf.maximum(carried[1], tf.shape(own_x)[1])
            outputs = own_x + tf.cast(own_y, tf.float32)[..., None]
            return (carried[0] + number, largest), outputs

        carried, outputs = batches.collect(step, (tf.constant(0), tf.constant(0)), 2)
        return *carried, outputs, batches.ordered(1)

    given = tf.constant(size) if as_tensor else size
    numbers, largest, outputs, ordered = run(given, tf.constant(order, tf.int32))
    lanes = np.arange(LANES)[:, None]
    assert int(numbers) == sum(range(-(-ROWS // size)))
    assert int(largest) == min(size, ROWS)
    assert np.array_equal(ordered, y[lanes, order])
    assert np.array_equal(outputs, x[lanes, order] + y[lanes, order][..., None].astype(np.float32))
