"""The compiled fit: all epochs and steps of a training as one TensorFlow graph.

The graph runs a *program*: one model (`OneByOne`), or the stacked repetitions of one model
(`Lockstep`). `CompiledFit` is the loop around the program: shuffled batches, validation after each
epoch, early stopping with the best weights restored. The graph takes as input what varies between
points without changing the computation (rows, their number and order, batch size, epochs, learning
rate, seeds, weights), so one trace serves many points. Before a graph is used for another network
than it was traced from, one step of both is compared (`check_step`).
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import Any, NamedTuple

import keras
import numpy as np
import tensorflow as tf

from gridloom.data.preparation import PreparedRows
from gridloom.engines.monitoring import improves, make_metrics, monitored_place
from gridloom.engines.program import Batches, Program
from gridloom.engines.types import Fitted, Stopping, Training, cannot, set_start
from gridloom.errors import ModelError
from gridloom.networks.error_text import describe_error, ran_out_of_memory
from gridloom.networks.keras_private import no_draws
from gridloom.study.seeds import row_orders


class CompiledFit:
    """A traced graph of whole trainings.

    Parameters
    ----------
    program
        The program to run.
    stopping
        Whether the graph has early stopping; its settings are data.
    xla
        Whether to compile with XLA, which fixes batch size and epochs.
    """

    def __init__(self, program: Program, *, stopping: bool, xla: bool) -> None:
        self.program = program
        self.stopping = stopping
        self.xla = xla
        #: Number of traces so far.
        self.traces = 0
        self._graphs: dict[tuple[int, ...] | None, Any] = {}
        self._best = [tf.Variable(variable.value, trainable=False) for variable in self._restored()]

    def _restored(self) -> list[Any]:
        return self.program.variables() if self.stopping else []

    def __call__(
        self,
        trainings: Sequence[Training],
        model: keras.Model,
        *,
        batch_size: int,
        epochs: int,
        stopping: Stopping | None,
    ) -> list[Fitted]:
        """Fit all trainings of a point, R at once.

        Parameters
        ----------
        trainings
            One for each repetition of the program, all with the same numbers of rows.
        model
            The point's network, freshly built: its learning rate and dropout rates are used.
        batch_size, epochs
            As in `model.fit`.
        stopping
            Early stopping; None for none.

        Raises
        ------
        ModelError
            If early stopping monitors a metric that does not exist.
        """
        program = self.program
        program.start(trainings, model)
        names = [*program.directions, *(f"val_{name}" for name in program.directions)]
        monitor, sign = 0, 1.0
        if stopping is not None:
            monitor, sign = monitored_place(stopping.monitor, program.directions)
        rows = [training.rows for training in trainings]
        orders = np.stack(
            [row_orders(t.seeds.shuffle, epochs, len(t.rows.y_train)) for t in trainings], axis=1
        )
        inputs = _Inputs(
            train=_stacked(rows, ("x_train", "y_train", "weights")),
            held=_stacked(rows, ("x_val", "y_val")),
            orders=tf.constant(orders),
            batch_size=tf.constant(batch_size),
            epochs=tf.constant(epochs),
            patience=tf.constant(stopping.patience if stopping else 0),
            min_delta=tf.constant(stopping.min_delta if stopping else 0.0, tf.float64),
            monitor=tf.constant(monitor),
            sign=tf.constant(sign),
        )
        graph = self._graph(batch_size, epochs, inputs)
        try:
            history, epochs_run, best_epoch = graph(inputs)
        except tf.errors.OpError as error:
            if ran_out_of_memory(error):
                raise
            raise cannot(f"a step that fails: it raised {describe_error(error)}") from error
        if stopping is None:
            program.finish()
        values = history.numpy()
        return [
            Fitted(
                history={name: values[: int(ran), i, place] for i, name in enumerate(names)},
                restored_epoch=int(best) if stopping else int(ran) - 1,
            )
            for place, (ran, best) in enumerate(
                zip(epochs_run.numpy(), best_epoch.numpy(), strict=True)
            )
        ]

    def check_step(
        self,
        trainings: Sequence[Training],
        model: keras.Model,
        *,
        batch_size: int,
        stopping: Stopping | None,
    ) -> bool:
        """Return whether a step of the graph equals one of the model's own `train_step`.

        Both train on the first batch. Weights and metrics after the step are compared, up to
        rounding.

        Parameters
        ----------
        trainings
            As in a call; `model` is the network of the first one.
        model
            Freshly built; it is trained here, so it cannot be used afterwards.
        batch_size, stopping
            As in a call.
        """
        training = trainings[0]
        count = min(batch_size, len(training.rows.y_train))
        (order,) = row_orders(training.seeds.shuffle, 1, count)
        rows = training.rows
        make_metrics(model, training)
        set_start(model, training)
        batch = (rows.x_train[order], rows.y_train[order], rows.weights[order])
        model.reset_metrics()
        try:
            logs = model.train_step(tuple(map(tf.constant, batch)))
        except Exception as error:
            if ran_out_of_memory(error):
                raise
            raise cannot(f"a step that fails: it raised {describe_error(error)}") from error
        (fitted, *_) = self(
            [replace(one, rows=_first(one.rows, count)) for one in trainings],
            model,
            batch_size=count,
            epochs=1,
            stopping=stopping,
        )
        return all(
            _alike(fitted.history[name][0], np.asarray(logs[name]))
            for name in self.program.directions
        ) and all(map(_alike, self.program.weights_of(0), model.get_weights()))

    def _graph(self, batch_size: int, epochs: int, inputs: _Inputs) -> Any:
        """Return the graph for these settings: one for all settings, or with XLA one for each."""
        rows = (inputs.train[0].shape[1], inputs.held[0].shape[1])
        fixed = (batch_size, epochs, *rows) if self.xla else None
        if fixed not in self._graphs:
            signature = tf.nest.map_structure(tf.TensorSpec.from_tensor, inputs)
            if fixed is None:
                orders = signature.orders
                signature = signature._replace(
                    train=_any_rows(signature.train),
                    held=_any_rows(signature.held),
                    orders=tf.TensorSpec([None, orders.shape[1], None], orders.dtype),
                )
            graph = tf.function(
                lambda given: self._fit(fixed, given),
                input_signature=(signature,),
                jit_compile=self.xla or None,
                autograph=False,
            )
            try:
                # A trace would draw only once, from a state that depends on earlier draws.
                with no_draws(
                    lambda whose: cannot(
                        f"random numbers that a step draws with {whose}, which would not vary"
                    )
                ):
                    traced = graph.get_concrete_function()
            except ModelError:
                raise
            except Exception as error:
                raise cannot(
                    f"a step that cannot be traced: it raised {describe_error(error)}"
                ) from error
            self.program.check_graph(traced, self._best)
            self._graphs[fixed] = graph
        return self._graphs[fixed]

    def _fit(self, fixed: tuple[int, ...] | None, given: _Inputs) -> tuple[Any, Any, Any]:
        """Trace the whole fit.

        Parameters
        ----------
        fixed
            Batch size and epochs as numbers for XLA; None to use the tensors in `given`.
        given
            Inputs of the graph.

        Returns
        -------
        history
            float32, shape (epochs, metrics, R), training metrics first, then validation.
        epochs_run, best_epoch
            int32, shape (R,).
        """
        self.traces += 1
        program, count = self.program, self.program.repetitions
        batch_size, epochs = fixed[:2] if fixed else (given.batch_size, given.epochs)
        validation = Batches(given.held, batch_size)

        def epoch(index: Any, state: _State) -> tuple[Any, _State]:
            order = given.orders[index]
            shuffled = [tf.gather(array, order, batch_dims=1) for array in given.train]
            metrics = tf.concat(
                [
                    program.train_epoch(index, Batches(shuffled, batch_size)),
                    program.validate(validation),
                ],
                axis=0,
            )
            history = tf.tensor_scatter_nd_update(state.history, [[index]], metrics[None])
            # A stopped repetition keeps running beside the others, but its epochs no longer count.
            ran = state.ran + tf.cast(~state.stopped, tf.int32)
            state = state._replace(history=history, ran=ran)
            return index + 1, self._watched(index, metrics, state, given)

        def unfinished(index: Any, state: _State) -> Any:
            return (index < epochs) & tf.reduce_any(~state.stopped)

        zeros = tf.zeros(count, tf.int32)
        start = _State(
            history=tf.zeros(tf.stack([epochs, 2 * len(program.directions), count])),
            ran=zeros,
            stopped=tf.zeros(count, tf.bool),
            best=tf.fill([count], np.float32(np.inf)),
            best_epoch=zeros,
            waited=zeros,
        )
        _, end = tf.while_loop(unfinished, epoch, (0, start))
        for kept, variable in zip(self._best, self._restored(), strict=True):
            variable.assign(kept)
        return end.history, end.ran, end.best_epoch

    def _watched(self, index: Any, metrics: Any, state: _State, given: _Inputs) -> _State:
        """Return the state after early stopping has judged an epoch, as in Keras."""
        if not self.stopping:
            return state
        value = given.sign * tf.gather(metrics, given.monitor)
        # The first epoch is always the best so far.
        better = improves(value, given.min_delta, state.best) | (index == 0)
        better &= ~state.stopped
        waited = tf.where(better, 0, state.waited + 1)
        for kept, variable in zip(self._best, self._restored(), strict=True):
            mask = self.program.spread(better, len(kept.shape))
            kept.assign(tf.where(mask, variable.value, kept))
        return state._replace(
            best=tf.where(better, value, state.best),
            best_epoch=tf.where(better, index, state.best_epoch),
            waited=waited,
            stopped=state.stopped | ((waited >= given.patience) & (index > 0)),
        )


class _Inputs(NamedTuple):
    """Inputs of a graph: the data and settings of a point.

    Attributes
    ----------
    train
        Tensors (R, rows, …) of the training rows: x, y and weights.
    held
        Tensors (R, rows, …) of the validation rows: x and y.
    orders
        Order of the training rows in each epoch, int, shape (epochs, R, rows).
    batch_size, epochs, patience, min_delta
        As in `model.fit` and `keras.callbacks.EarlyStopping`.
    monitor
        Index of the monitored metric.
    sign
        1 if less of it is better, else -1.
    """

    train: tuple[Any, ...]
    held: tuple[Any, ...]
    orders: Any
    batch_size: Any
    epochs: Any
    patience: Any
    min_delta: Any
    monitor: Any
    sign: Any


class _State(NamedTuple):
    """State that an epoch passes to the next one.

    Attributes
    ----------
    history
        float32, shape (epochs, metrics, R).
    ran
        Epochs until a repetition stopped, int32, shape (R,).
    stopped
        Which repetitions stopped early, bool, shape (R,).
    best, best_epoch, waited
        Best value so far, its epoch, and epochs since, shape (R,).
    """

    history: Any
    ran: Any
    stopped: Any
    best: Any
    best_epoch: Any
    waited: Any


def _stacked(rows: Sequence[PreparedRows], names: Sequence[str]) -> tuple[Any, ...]:
    """Return tensors (R, rows, …) of the arrays with these names."""
    return tuple(tf.constant(np.stack([getattr(row, name) for row in rows])) for name in names)


def _any_rows(specs: tuple[Any, ...]) -> tuple[Any, ...]:
    """Return specs of arrays (R, rows, …) with any number of rows."""
    return tuple(
        tf.TensorSpec([spec.shape[0], None, *spec.shape[2:]], spec.dtype) for spec in specs
    )


def _first(rows: PreparedRows, count: int) -> PreparedRows:
    return PreparedRows(
        rows.x_train[:count],
        rows.y_train[:count],
        rows.weights[:count],
        rows.x_val[:count],
        rows.y_val[:count],
    )


def _alike(some: Any, other: Any) -> bool:
    """Return whether at least 99 % of the numbers of two arrays agree up to rounding.

    Not all must agree: an optimizer that uses signs turns a rounding error in a gradient near 0
    into a whole step.
    """
    if np.shape(some) != np.shape(other):
        return False
    close = np.isclose(some, other, rtol=1e-3, atol=1e-5, equal_nan=True)
    return bool(np.count_nonzero(~close) <= close.size / 100)
