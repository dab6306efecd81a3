"""Recurrent layers in the graph of one network: the loop over a sequence with fewer operations.

Keras's loop starts some 70 operations for each step of a sequence, forward and backward, which
takes longer than their small products. Here, an `LSTM` is one operation of TensorFlow, and a `GRU`
is a loop with its gradient written out. Both compute what the layer computes, up to rounding.
"""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Iterator
from functools import partial
from typing import Any

import keras
import tensorflow as tf
from keras import activations, layers

from gridloom.networks.keras_private import layers_of
from gridloom.networks.structure import from_keras


@contextlib.contextmanager
def fast_loops(model: keras.Model) -> Iterator[None]:
    """Replace the loops of Keras's recurrent layers, in steps that the block traces.

    Not on a GPU, where Keras calls cuDNN, and not in a `train_step` of the model file's own, which
    may differentiate twice.
    """
    replaced = []
    if from_keras(model.train_step) and not tf.config.list_logical_devices("GPU"):
        replaced = [layer for layer in layers_of(model) if _fits(layer)]
    for layer in replaced:
        # Set past Keras's tracking, as the layer's own is looked up on its class.
        vars(layer)["inner_loop"] = _loop_of(layer)
    try:
        yield
    finally:
        for layer in replaced:
            del vars(layer)["inner_loop"]


def _fits(layer: Any) -> bool:
    """Return whether a layer is an `LSTM` or `GRU` with Keras's defaults for what is in a step."""
    if type(layer) not in _LOOPS or "inner_loop" in vars(layer) or "call" in vars(layer.cell):
        return False
    cell = layer.cell
    return (
        type(cell) in (layers.LSTMCell, layers.GRUCell)
        and cell.activation is activations.tanh
        and cell.recurrent_activation is activations.sigmoid
        and cell.use_bias
        and cell.implementation == 2
        and getattr(cell, "reset_after", True)
        and not cell.recurrent_dropout
        and cell.dropout < 1
        and cell.compute_dtype == cell.variable_dtype == "float32"
    )


def _loop_of(layer: Any) -> Callable[..., Any]:
    """Return an `inner_loop` that gives what the layer's own gives."""
    own, cell = layer.inner_loop, layer.cell

    def inner_loop(
        sequences: Any, initial_state: Any, mask: Any, training: bool = False
    ) -> tuple[Any, Any, list[Any]]:
        if mask is not None:
            given: tuple[Any, Any, list[Any]] = own(sequences, initial_state, mask, training)
            return given
        sequences = tf.cast(
            sequences, cell.compute_dtype
        )  # whole numbers reach a layer as they are
        if training and cell.dropout:
            sequences *= cell.get_dropout_mask(sequences[:, 0, :])[:, None]
        x = tf.transpose(sequences, [1, 0, 2])
        if layer.go_backwards:
            x = tf.reverse(x, [0])
        outputs, states = _LOOPS[type(layer)](cell, x, *keras.tree.flatten(initial_state))
        last = outputs[-1]
        every = tf.transpose(outputs, [1, 0, 2]) if layer.return_sequences else last[:, None]
        return last, every, [last, *states]

    return inner_loop


def _lstm(cell: Any, x: Any, h: Any, c: Any) -> tuple[Any, list[Any]]:
    """Return all outputs of an `LSTM`, shape (steps, rows, units), and the last carry."""

    def ordered(weight: Any) -> Any:
        # The operation takes the cell's part second, Keras third.
        i, f, g, o = tf.split(weight, 4, axis=-1)
        return tf.concat([i, g, f, o], axis=-1)

    none = tf.zeros([cell.units])
    done = tf.raw_ops.BlockLSTM(
        seq_len_max=tf.shape(x, tf.int64)[0],
        x=x,
        cs_prev=c,
        h_prev=h,
        w=ordered(tf.concat([cell.kernel.value, cell.recurrent_kernel.value], axis=0)),
        wci=none,
        wcf=none,
        wco=none,
        b=ordered(cell.bias.value),
        forget_bias=0.0,
        cell_clip=-1.0,
        use_peephole=False,
    )
    return done.h, [done.cs[-1]]


def _gru(cell: Any, x: Any, h: Any) -> tuple[Any, list[Any]]:
    """Return all outputs of a `GRU`, shape (steps, rows, units), and no other state."""
    input_bias, recurrent_bias = tf.unstack(cell.bias.value)
    product = tf.reshape(x, [-1, x.shape[2]]) @ cell.kernel.value + input_bias
    projected = tf.reshape(product, tf.concat([tf.shape(x)[:2], [3 * cell.units]], axis=0))
    return _gru_steps(projected, h, cell.recurrent_kernel.value, recurrent_bias), []


@tf.custom_gradient  # type: ignore[untyped-decorator]
def _gru_steps(x: Any, start: Any, kernel: Any, bias: Any) -> Any:
    """Compute the outputs of a GRU from its projected inputs.

    Parameters
    ----------
    x
        Shape (steps, rows, 3 units): the parts for the update gate z, the reset gate r and the
        candidate.
    start
        Shape (rows, units).
    kernel, bias
        Recurrent ones, shape (units, 3 units) and (3 units,).
    """
    steps, units = tf.shape(x)[0], kernel.shape[0]

    def forward(t: Any, h: Any, kept: Any) -> Any:
        given = tf.gather(x, t)
        inner = tf.nn.bias_add(h @ kernel, bias)
        gates = tf.sigmoid(given[:, : 2 * units] + inner[:, : 2 * units])
        z, r = tf.split(gates, 2, axis=1)
        memory = inner[:, 2 * units :]
        candidate = tf.tanh(given[:, 2 * units :] + r * memory)
        following = z * h + (1.0 - z) * candidate
        return t + 1, following, kept.write(t, tf.concat([following, gates, memory, candidate], 1))

    kept = tf.TensorArray(tf.float32, steps, element_shape=[None, 5 * units])
    *_, kept = _repeat(lambda t, *_: t < steps, forward, (0, start, kept))
    outputs, z, r, memory, candidate = tf.split(kept.stack(), 5, axis=2)

    def gradient(upstream: Any) -> Any:
        before = tf.concat([start[None], outputs[:-1]], axis=0)
        # What a step multiplies the gradient by, for all steps at once.
        of_candidate = (1.0 - z) * (1.0 - candidate * candidate)
        of_update = (before - candidate) * z * (1.0 - z)
        of_reset = of_candidate * memory * r * (1.0 - r)
        of_memory = of_candidate * r
        factors = tf.concat([of_update, of_reset, of_memory], axis=2)

        def backward(t: Any, of_h: Any, kept: Any) -> Any:
            of_h += tf.gather(upstream, t)
            of_inner = tf.tile(of_h, [1, 3]) * tf.gather(factors, t)
            passed = of_h * tf.gather(z, t) + tf.matmul(of_inner, kernel, transpose_b=True)
            return t - 1, passed, kept.write(t, tf.concat([of_inner, of_h], 1))

        kept = tf.TensorArray(tf.float32, steps, element_shape=[None, 4 * units])
        loop = (steps - 1, tf.zeros_like(start), kept)
        _, of_start, kept = _repeat(lambda t, *_: t >= 0, backward, loop)
        of_inner, of_h = tf.split(kept.stack(), [3 * units, units], axis=2)
        of_x = tf.concat([of_inner[:, :, : 2 * units], of_h * of_candidate], axis=2)
        flat = tf.reshape(of_inner, [-1, 3 * units])
        of_kernel = tf.matmul(tf.reshape(before, [-1, units]), flat, transpose_a=True)
        return of_x, of_start, of_kernel, tf.reduce_sum(flat, axis=0)

    return outputs, gradient


_repeat = partial(tf.while_loop, parallel_iterations=1)

_LOOPS: dict[type[layers.Layer], Callable[..., tuple[Any, list[Any]]]] = {
    layers.LSTM: _lstm,
    layers.GRU: _gru,
}
