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
from functools import partial
from typing import Any, NamedTuple

import keras
import numpy as np
import tensorflow as tf

from gridloom.data.preparation import PreparedRows
from gridloom.engines.epochs import RunningFit, begin
from gridloom.engines.monitoring import forget_batches, improves, monitored_place
from gridloom.engines.program import Batches, Program
from gridloom.engines.types import (
    Checkpoints,
    FitSettings,
    Fitted,
    Stopping,
    Training,
    cannot,
    set_start,
)
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
        # XLA writes variables only at the end of a graph.
        self._finished = None if xla else tf.Variable(0, dtype=tf.int64, trainable=False)

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
        checkpoints: Checkpoints | None = None,
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
        checkpoints
            What keeps the state after an epoch; with None, all epochs are one call of the graph.

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
        # Points of one job have the same seeds, and idle lanes those of others.
        seeds = {training.seeds.shuffle for training in trainings}
        drawn = {seed: row_orders(seed, epochs, len(rows[0].y_train)) for seed in seeds}
        orders = np.stack([drawn[training.seeds.shuffle] for training in trainings], axis=1)
        inputs = _Inputs(
            train=_stacked(rows, ("x_train", "y_train", "weights")),
            held=_stacked(rows, ("x_val", "y_val")),
            orders=tf.constant(orders),
            batch_size=tf.constant(batch_size),
            patience=tf.constant(stopping.patience if stopping else 0),
            min_delta=tf.constant(stopping.min_delta if stopping else 0.0, tf.float64),
            monitor=tf.constant(monitor),
            sign=tf.constant(sign),
        )
        state = _first_state(epochs, len(names), program.repetitions)
        graph = self._graph(batch_size, inputs, state)
        begin(self._running(trainings, epochs))
        try:
            if checkpoints is None:
                state = graph(inputs, state, tf.constant(epochs))
            else:
                state = self._fit_by_epoch(graph, inputs, state, epochs, checkpoints)
        except tf.errors.OpError as error:
            if ran_out_of_memory(error):
                raise
            raise cannot(f"a step that fails: it raised {describe_error(error)}") from error
        if stopping is None:
            program.finish()
        for kept, variable in zip(self._best, self._restored(), strict=True):
            variable.assign(kept)
        values = state.history.numpy()
        return [
            Fitted(
                history={name: values[: int(ran), i, place] for i, name in enumerate(names)},
                restored_epoch=int(best) if stopping else int(ran) - 1,
            )
            for place, (ran, best) in enumerate(
                zip(state.ran.numpy(), state.best_epoch.numpy(), strict=True)
            )
        ]

    def _fit_by_epoch(
        self, graph: Any, inputs: _Inputs, state: _State, epochs: int, checkpoints: Checkpoints
    ) -> _State:
        """Fit with one call of the graph for each epoch, from the kept state if there is one."""
        variables = [*self.program.state(), *self._best]
        kept = checkpoints.find()
        if kept is not None:
            now = _values([*state, *variables])
            values = [_like(value, other) for value, other in zip(kept, now, strict=True)]
            state = _State(*map(tf.constant, values[: len(state)]))
            for variable, value in zip(variables, values[len(state) :], strict=True):
                variable.assign(value)
        while int(state.epoch) < epochs and not np.all(state.stopped):
            state = graph(inputs, state, state.epoch + 1)
            checkpoints.offer(partial(_values, [*state, *variables]))
        return state

    def _running(self, trainings: Sequence[Training], epochs: int) -> RunningFit | None:
        """Return the fit that begins now, as another thread reads it; None with XLA."""
        counter = self._finished
        if counter is None:
            return None
        counter.assign(0)
        return RunningFit(trainings, epochs, lambda: int(counter.numpy()))

    def check_step(
        self, trainings: Sequence[Training], model: keras.Model, settings: FitSettings
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
        settings
            Those of the point, which has more epochs.
        """
        training = trainings[0]
        count = min(settings["batch_size"], len(training.rows.y_train))
        (order,) = row_orders(training.seeds.shuffle, 1, count)
        rows = training.rows
        set_start(model, training)
        batch = (rows.x_train[order], rows.y_train[order], rows.weights[order])
        forget_batches(model)
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
            stopping=settings["stopping"],
        )
        return all(
            _alike(fitted.history[name][0], np.asarray(logs[name]))
            for name in self.program.directions
        ) and all(map(_alike, self.program.weights_of(0), model.get_weights()))

    def _graph(self, batch_size: int, inputs: _Inputs, state: _State) -> Any:
        """Return the graph for these settings: one for all settings, or with XLA one for each."""
        rows = (inputs.train[0].shape[1], inputs.held[0].shape[1])
        fixed = (batch_size, len(state.history), *rows) if self.xla else None
        if fixed not in self._graphs:
            signature, states = (
                tf.nest.map_structure(tf.TensorSpec.from_tensor, given) for given in (inputs, state)
            )
            if fixed is None:
                orders, history = signature.orders, states.history
                signature = signature._replace(
                    train=_any_rows(signature.train),
                    held=_any_rows(signature.held),
                    orders=tf.TensorSpec([None, orders.shape[1], None], orders.dtype),
                )
                states = states._replace(
                    history=tf.TensorSpec([None, *history.shape[1:]], history.dtype)
                )
            graph = tf.function(
                lambda given, state, until: self._fit(fixed, given, state, until),
                input_signature=(signature, states, tf.TensorSpec([], tf.int32)),
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
            counted = [] if self._finished is None else [self._finished]
            self.program.check_graph(traced, [*self._best, *counted])
            self._graphs[fixed] = graph
        return self._graphs[fixed]

    def _fit(
        self, fixed: tuple[int, ...] | None, given: _Inputs, start: _State, until: Any
    ) -> _State:
        """Trace the epochs of a fit.

        Parameters
        ----------
        fixed
            Batch size as a number for XLA; None to use the tensor in `given`.
        given
            Inputs of the graph.
        start
            State before the first of these epochs.
        until
            Epoch to end before; fewer are trained if all repetitions stop early.
        """
        self.traces += 1
        program = self.program
        batch_size = fixed[0] if fixed else given.batch_size
        validation = Batches(given.held, batch_size)

        def epoch(state: _State) -> tuple[_State]:
            order = given.orders[state.epoch]
            metrics = tf.concat(
                [
                    program.train_epoch(state.epoch, Batches(given.train, batch_size, order)),
                    program.validate(validation),
                ],
                axis=0,
            )
            history = tf.tensor_scatter_nd_update(state.history, [[state.epoch]], metrics[None])
            # A stopped repetition keeps running beside the others, but its epochs no longer count.
            ran = state.ran + tf.cast(~state.stopped, tf.int32)
            state = self._watched(metrics, state._replace(history=history, ran=ran), given)
            following = state.epoch + 1
            if self._finished is not None:
                self._finished.assign(tf.cast(following, tf.int64))
            return (state._replace(epoch=following),)

        def unfinished(state: _State) -> Any:
            return (state.epoch < until) & tf.reduce_any(~state.stopped)

        end: _State
        (end,) = tf.while_loop(unfinished, epoch, (start,))
        return end

    def _watched(self, metrics: Any, state: _State, given: _Inputs) -> _State:
        """Return the state after early stopping has judged an epoch, as in Keras."""
        if not self.stopping:
            return state
        index, value = state.epoch, given.sign * tf.gather(metrics, given.monitor)
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
    batch_size, patience, min_delta
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
    patience: Any
    min_delta: Any
    monitor: Any
    sign: Any


class _State(NamedTuple):
    """State that an epoch passes to the next one.

    Attributes
    ----------
    epoch
        The next epoch, int32.
    history
        float32, shape (epochs, metrics, R): training metrics first, then validation.
    ran
        Epochs until a repetition stopped, int32, shape (R,).
    stopped
        Which repetitions stopped early, bool, shape (R,).
    best, best_epoch, waited
        Best value so far, its epoch, and epochs since, shape (R,).
    """

    epoch: Any
    history: Any
    ran: Any
    stopped: Any
    best: Any
    best_epoch: Any
    waited: Any


def _first_state(epochs: int, metrics: int, repetitions: int) -> _State:
    """Return the state before the first epoch."""
    zeros = tf.zeros(repetitions, tf.int32)
    return _State(
        epoch=tf.constant(0),
        history=tf.zeros((epochs, metrics, repetitions)),
        ran=zeros,
        stopped=tf.zeros(repetitions, tf.bool),
        best=tf.fill([repetitions], np.float32(np.inf)),
        best_epoch=zeros,
        waited=zeros,
    )


def _values(parts: Sequence[Any]) -> list[np.ndarray]:
    """Return the values of tensors and variables."""
    return [part.numpy() for part in parts]


def _like(value: np.ndarray, other: np.ndarray) -> np.ndarray:
    """Return an array with the type of another: NumPy's files do not know all of TensorFlow's.

    Raises
    ------
    ValueError
        If it has another size.
    """
    return np.frombuffer(value.tobytes(), other.dtype).reshape(other.shape)


def _stacked(rows: Sequence[PreparedRows], names: Sequence[str]) -> tuple[Any, ...]:
    """Return tensors (R, rows, …) of the arrays with these names."""
    return tuple(tf.constant(np.stack([getattr(row, name) for row in rows])) for name in names)


def _any_rows(specs: tuple[Any, ...]) -> tuple[Any, ...]:
    """Return specs of arrays (R, rows, …) with any number of rows."""
    return tuple(
        tf.TensorSpec([spec.shape[0], None, *spec.shape[2:]], spec.dtype) for spec in specs
    )


def _first(rows: PreparedRows, count: int) -> PreparedRows:
    parts = (rows.x_train, rows.y_train, rows.weights, rows.x_val, rows.y_val)
    x_train, y_train, weights, x_val, y_val = (part[:count] for part in parts)
    return PreparedRows(x_train, y_train, weights, x_val, y_val)


def _alike(some: Any, other: Any) -> bool:
    """Return whether at least 99 % of the numbers of two arrays agree up to rounding.

    Not all must agree: an optimizer that uses signs turns a rounding error in a gradient near 0
    into a whole step.
    """
    if np.shape(some) != np.shape(other):
        return False
    close = np.isclose(some, other, rtol=1e-3, atol=1e-5, equal_nan=True)
    return bool(np.count_nonzero(~close) <= close.size / 100)
