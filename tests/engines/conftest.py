"""One thread for all networks here."""

from __future__ import annotations

import gc

import pytest


@pytest.fixture(autouse=True, scope="session")
def one_thread():
    """Compute as a worker with one thread does."""
    import tensorflow as tf

    gc.freeze()
    tf.config.threading.set_intra_op_parallelism_threads(1)
    tf.config.threading.set_inter_op_parallelism_threads(1)
