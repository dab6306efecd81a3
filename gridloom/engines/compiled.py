"""The compiled fit: all epochs and steps of a training as one TensorFlow graph.

A *program* is what the graph runs: one model (`OneByOne`), or the stacked repetitions of one
(`Lockstep`). `CompiledFit` is the loop around it: shuffled batches, validation after each epoch,
early stopping with the best weights restored. What varies from point to point without changing
the graph (rows, their number and order, batch size, epochs, learning rate, seeds, weights) is
handed to the graph, so one trace serves many points. Before a graph serves another network than the
one that it was traced from, one step of both is compared (`check_step`).
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import Any

import keras
import numpy as np
import tensorflow as tf

from gridloom.data.preparation import PreparedRows
from gridloom.engines.monitoring import improves, make_metrics, monitored_place
from gridloom.engines.program import Batches, Program
from gridloom.engines.types import Fitted, Stopping, Training, cannot, set_start
from gridloom.errors import ModelError
from gridloom.networks.error_text import ran_out_of_memory, told
from gridloom.networks.keras_private import no_draws
from gridloom.study.seeds import row_orders


class CompiledFit:
    """A traced graph of whole trainings.

    Parameters
    ----------
    program
        What to run.
    stopping
        Whether the graph has early stopping; its numbers are data.
    xla
        Whether to compile with XLA, which fixes batch size and epochs.
    """

    def __init__(self, program: Program, *, stopping: bool, xla: bool) -> None:
        self.program = program
        self.stopping = stopping
        self.xla = xla
        #: How often a graph was traced.
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
            As many as the program has repetitions, all with the same numbers of rows.
        model
            The point's network, freshly built: its learning rate and dropout are used.
        batch_size, epochs, stopping
            As in `model.fit`; None for no early stopping.

        Raises
        ------
        ModelError
            If early stopping monitors a metric that there is not.
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
        arguments = (
            tuple(
                tf.constant(np.stack([getattr(row, name) for row in rows]))
                for name in ("x_train", "y_train", "weights")
            ),
            tuple(
                tf.constant(np.stack([getattr(row, name) for row in rows]))
                for name in ("x_val", "y_val")
            ),
            tf.constant(orders),
            tf.constant(batch_size),
            tf.constant(epochs),
            tf.constant(stopping.patience if stopping else 0),
            tf.constant(stopping.min_delta if stopping else 0.0, tf.float64),
            tf.constant(monitor),
            tf.constant(sign),
        )
        graph = self._graph(batch_size, epochs, arguments)
        try:
            history, epochs_run, best_epoch = graph(*arguments)
        except tf.errors.OpError as error:
            if ran_out_of_memory(error):
                raise
            raise cannot(f"a step that fails: it raised {told(error)}") from error
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
        """Tell whether the graph does to the first batch what the model's own `train_step` does.

        Weights and metrics after the step are compared, up to rounding.

        Parameters
        ----------
        trainings
            As in a call; the first one's network is `model`.
        model
            Freshly built and of no further use: it is trained.
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
            raise cannot(f"a step that fails: it raised {told(error)}") from error
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

    def _graph(self, batch_size: int, epochs: int, arguments: tuple[Any, ...]) -> Any:
        """Return the function for these settings: one for all, or one for each under XLA."""
        rows = tuple(array.shape[1] for (array, *_) in arguments[:2])
        fixed = (batch_size, epochs, *rows) if self.xla else None
        if fixed not in self._graphs:
            signature = tf.nest.map_structure(tf.TensorSpec.from_tensor, arguments)
            if fixed is None:
                train, held, orders, *numbers = signature
                any_orders = tf.TensorSpec([None, orders.shape[1], None], orders.dtype)
                signature = (_any_rows(train), _any_rows(held), any_orders, *numbers)
            graph = tf.function(
                lambda *given: self._fit(fixed, *given),
                input_signature=signature,
                jit_compile=self.xla or None,
                autograph=False,
            )
            try:
                # A trace draws once, from a state that depends on what this process did before.
                with no_draws(
                    lambda whose: cannot(
                        f"random numbers that a step draws by {whose}, which would not vary"
                    )
                ):
                    traced = graph.get_concrete_function()
            except ModelError:
                raise
            except Exception as error:
                raise cannot(f"a step that cannot be traced: it raised {told(error)}") from error
            self.program.check_graph(traced, self._best)
            self._graphs[fixed] = graph
        return self._graphs[fixed]

    def _fit(
        self,
        fixed: tuple[int, ...] | None,
        train: tuple[Any, ...],
        held: tuple[Any, ...],
        orders: Any,
        batch_size: Any,
        epochs: Any,
        patience: Any,
        min_delta: Any,
        monitor: Any,
        sign: Any,
    ) -> tuple[Any, Any, Any]:
        """Trace the whole fit.

        Returns
        -------
        history
            float32, shape (epochs, metrics, R), training metrics first, then validation.
        epochs_run, best_epoch
            int32, shape (R,).
        """
        self.traces += 1
        program, count = self.program, self.program.repetitions
        if fixed is not None:
            batch_size, epochs, *_ = fixed
        validation = Batches(held, batch_size)

        def epoch(
            index: Any, history: Any, ran: Any, best: Any, best_epoch: Any, waited: Any
        ) -> Any:
            order = orders[index]
            shuffled = [tf.gather(array, order, batch_dims=1) for array in train]
            metrics = tf.concat(
                [
                    program.train_epoch(index, Batches(shuffled, batch_size)),
                    program.validate(validation),
                ],
                axis=0,
            )
            history = tf.tensor_scatter_nd_update(history, [[index]], metrics[None])
            active = ran == index
            ran += tf.cast(active, tf.int32)
            if self.stopping:
                # As in Keras: the first epoch is the best so far, whatever its value.
                value = sign * tf.gather(metrics, monitor)
                better = active & (improves(value, min_delta, best) | (index == 0))
                best = tf.where(better, value, best)
                best_epoch = tf.where(better, index, best_epoch)
                waited = tf.where(better, 0, waited + 1)
                for kept, variable in zip(self._best, self._restored(), strict=True):
                    mask = program.spread(better, len(kept.shape))
                    kept.assign(tf.where(mask, variable.value, kept))
                # A stopped repetition runs on beside the others; `ran` no longer counts it.
                stopped = (waited >= patience) & (index > 0)
                ran = tf.where(active & stopped, -ran, ran)
            return index + 1, history, ran, best, best_epoch, waited

        def unfinished(index: Any, _history: Any, ran: Any, *_: Any) -> Any:
            return (index < epochs) & tf.reduce_any(ran == index)

        zeros = tf.zeros(count, tf.int32)
        shape = tf.stack([epochs, 2 * len(program.directions), count])
        start = (0, tf.zeros(shape), zeros, tf.fill([count], np.float32(np.inf)), zeros, zeros)
        _, history, ran, _, best_epoch, _ = tf.while_loop(unfinished, epoch, start)
        for kept, variable in zip(self._best, self._restored(), strict=True):
            variable.assign(kept)
        return history, tf.abs(ran), best_epoch


def _any_rows(specs: tuple[Any, ...]) -> tuple[Any, ...]:
    """Return specs of arrays (R, rows, …) that take any number of rows."""
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
    """Tell whether arrays agree up to rounding, in all but one number of a hundred.

    An optimizer that looks at signs turns the rounding of a gradient near 0 into a whole step.
    """
    if np.shape(some) != np.shape(other):
        return False
    close = np.isclose(some, other, rtol=1e-3, atol=1e-5, equal_nan=True)
    return bool(np.count_nonzero(~close) <= close.size / 100)
