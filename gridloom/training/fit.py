"""The compiled fit: all epochs and steps of a training as one TensorFlow graph.

A *program* is what the graph runs: one model (`OneByOne`), or the stacked repetitions of one
(`Lockstep`). `CompiledFit` is the loop around it: shuffled batches, validation after each epoch,
early stopping with the best weights restored. What varies from point to point without changing
the graph (rows, their number and order, batch size, epochs, learning rate, seeds, weights) is
handed to the graph, so one trace serves many points. Before a graph serves another network than the
one that it was traced from, one step of both is compared (`check_step`).
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from typing import Any

import keras
import numpy as np
import tensorflow as tf

from gridloom.data.preparation import PreparedRows
from gridloom.errors import ModelError, nearest
from gridloom.seeds import Seeds, row_orders
from gridloom.training import lockstep
from gridloom.training.keras_private import make_variables, no_numpy_draws
from gridloom.training.model import generator_seed, ran_out_of_memory, seed_states, told
from gridloom.training.structure import learning_rate

#: What to set where the compiled fit cannot follow `model.fit`.
REMEDY = "set `trainer: {engine: keras}`"

#: Parts of `model.fit` that the compiled fit bypasses; overrides have no effect.
_OWN_PARTS = (
    "fit",
    "evaluate",
    "make_train_function",
    "make_test_function",
)

#: Operations whose random numbers come from a state that no seed of ours sets.
_UNSEEDED = {
    "Multinomial",
    "ParameterizedTruncatedNormal",
    "RandomGamma",
    "RandomPoissonV2",
    "RandomShuffle",
    "RandomStandardNormal",
    "RandomUniform",
    "RandomUniformInt",
    "TruncatedNormal",
}


@dataclass(frozen=True)
class Training:
    """One training, ready to fit.

    Attributes
    ----------
    repetition, fold
        Which one it is; fold 0 where there are no folds.
    seeds
        Its random streams.
    rows
        Its arrays, targets in the form that the loss takes.
    weights
        Initial values of `model.weights`, in order.
    """

    repetition: int
    fold: int
    seeds: Seeds
    rows: PreparedRows
    weights: list[np.ndarray]


@dataclass(frozen=True)
class Stopping:
    """Early stopping, in the words of `keras.callbacks.EarlyStopping`."""

    patience: int
    min_delta: float
    monitor: str


@dataclass(frozen=True)
class Fitted:
    """What a fit gives for one training.

    Attributes
    ----------
    history
        Metric → its value after each epoch run, float32; `val_` names first seen at validation.
    restored_epoch
        Index of the epoch whose weights the training ends with: the last one, or the best one
        after early stopping.
    """

    history: dict[str, np.ndarray]
    restored_epoch: int


class Batches:
    """Rows in their order of one epoch, taken step by step.

    Parameters
    ----------
    arrays
        Tensors of shape (R, rows, …).
    size
        Rows a step: a tensor, or a number where shapes must be known (XLA).
    """

    def __init__(self, arrays: Sequence[Any], size: Any) -> None:
        self.arrays = arrays
        self.size = size
        self.rows = tf.shape(arrays[0])[1] if tf.is_tensor(size) else arrays[0].shape[1]

    def take(self, start: Any, count: Any) -> list[Any]:
        """Return rows start to start + count."""
        begins: dict[int, tuple[Any, Any]] = {}
        parts = []
        for array in self.arrays:
            rank = len(array.shape)
            if rank not in begins:  # arrays of one rank share these two small tensors
                rest = rank - 2
                begins[rank] = (
                    tf.stack([0, start, *(0,) * rest]),
                    tf.stack([-1, count, *(-1,) * rest]),
                )
            part = tf.slice(array, *begins[rank])
            static = count if isinstance(count, int) else None
            part.set_shape((array.shape[0], static, *array.shape[2:]))
            parts.append(part)
        return parts

    def each(self, step: Callable[..., Any], carried: tuple[Any, ...]) -> tuple[Any, ...]:
        """Run ``step(start, batch, *carried) -> carried`` for every batch, the last one shorter."""
        size = self.size
        if tf.is_tensor(size):

            def dynamic(start: Any, *state: Any) -> Any:
                count = tf.minimum(size, self.rows - start)
                return (start + size, *step(start, self.take(start, count), *state))

            return tuple(
                tf.while_loop(lambda start, *_: start < self.rows, dynamic, (0, *carried))[1:]
            )
        full, rest = divmod(self.rows, size)
        if full:

            def static(index: Any, *state: Any) -> Any:
                return (index + 1, *step(index * size, self.take(index * size, size), *state))

            carried = tuple(tf.while_loop(lambda i, *_: i < full, static, (0, *carried))[1:])
        if rest:
            carried = tuple(step(tf.constant(full * size), self.take(full * size, rest), *carried))
        return carried


class Program(ABC):
    """What a compiled fit runs.

    Attributes
    ----------
    repetitions
        R, the leading axis of all data.
    directions
        Metrics, in the order in which `train_epoch` and `validate` give them: 1 if less is
        better, -1 if more is, 0 if Keras does not say.
    """

    repetitions: int
    directions: dict[str, int]

    @abstractmethod
    def start(self, trainings: Sequence[Training], model: keras.Model) -> None:
        """Set weights, seeds and all else that `model`, freshly built, brings to the graph."""

    @abstractmethod
    def variables(self) -> list[Any]:
        """Return the variables that early stopping restores."""

    @abstractmethod
    def spread(self, flags: Any, rank: int) -> Any:
        """Reshape flags of shape (R,) to broadcast against a variable of this rank."""

    @abstractmethod
    def train_epoch(self, epoch: Any, batches: Batches) -> Any:
        """Add an epoch's steps to the graph; return its metrics, shape (metrics, R)."""

    @abstractmethod
    def validate(self, batches: Batches) -> Any:
        """Add a validation to the graph; return its metrics, shape (metrics, R)."""

    @abstractmethod
    def check_graph(self, graph: Any, own: Sequence[Any]) -> None:
        """Refuse a traced graph with a state in it that `start` does not reset.

        Parameters
        ----------
        graph
            A concrete function.
        own
            Variables of the loop around the program.
        """

    @abstractmethod
    def finish(self) -> None:
        """Do what Keras does after the last epoch, unless early stopping restores weights."""

    @abstractmethod
    def weights_of(self, place: int) -> list[np.ndarray]:
        """Return the present weights of the training at `place`, as `model.weights` orders them."""


class OneByOne(Program):
    """One model, by its own `train_step` and `test_step`: whatever they do, the graph does."""

    def __init__(self, model: keras.Model, training: Training) -> None:
        self.model = model
        self.repetitions = 1
        _make_metrics(model, training)
        self.metric_starts = [variable.numpy() for variable in _metric_variables(model)]
        self.optimizer_start = _OptimizerStart(model.optimizer, model.trainable_variables)
        self.directions = _directions(model)

    def start(self, trainings: Sequence[Training], model: keras.Model) -> None:
        (training,) = trainings
        set_start(self.model, training)
        # A metric of one's own may have a `reset_state` that does nothing.
        for variable, value in zip(_metric_variables(self.model), self.metric_starts, strict=True):
            variable.assign(value)
        self.optimizer_start.restart(model.optimizer)

    def variables(self) -> list[Any]:
        return list(self.model.weights)

    def spread(self, flags: Any, rank: int) -> Any:
        return flags[0]

    def train_epoch(self, epoch: Any, batches: Batches) -> Any:
        del epoch  # the seed states count the steps
        self.model.reset_metrics()

        def step(_: Any, batch: Sequence[Any]) -> tuple[()]:
            logs = self.model.train_step(tuple(part[0] for part in batch))
            self._check_logs("train_step", logs)
            return ()

        batches.each(step, ())
        return self._results()

    def validate(self, batches: Batches) -> Any:
        self.model.reset_metrics()

        def step(_: Any, batch: Sequence[Any]) -> tuple[()]:
            # As `model.fit` does: validation rows have no weights.
            logs = self.model.test_step(tuple(part[0] for part in batch))
            self._check_logs("test_step", logs)
            return ()

        batches.each(step, ())
        return self._results()

    def _check_logs(self, step: str, logs: Any) -> None:
        """Refuse a step whose logs are not the model's metrics: Keras shows the last batch's."""
        names = set(logs) if isinstance(logs, dict) else {type(logs).__name__}
        if names != self.directions.keys():
            raise cannot(
                f"a {step} that returns {', '.join(sorted(names))} instead of the model's metrics "
                f"({', '.join(self.directions)})"
            )

    def check_graph(self, graph: Any, own: Sequence[Any]) -> None:
        definition = graph.graph.as_graph_def()
        nodes = [*definition.node, *(n for f in definition.library.function for n in f.node_def)]
        unseeded = sorted({node.op for node in nodes} & _UNSEEDED)
        if unseeded:
            raise cannot(
                f"random numbers without a seed generator ({', '.join(unseeded)}; in a layer, "
                "draw with seed=keras.random.SeedGenerator())"
            )
        known = [
            *self.model.weights,
            *seed_states(self.model),
            *self.model.optimizer.variables,
            *_metric_variables(self.model),
        ]
        handles = {id(variable.handle) for variable in own}
        handles |= {id(variable.value.handle) for variable in known}
        for variable in graph.graph.variables:
            if id(variable.handle) not in handles:
                raise cannot(f"a state that is no weight of the model ({variable.name})")

    def finish(self) -> None:
        # Averages of the weights (use_ema) take their place.
        self.model.optimizer.finalize_variable_values(self.model.trainable_variables)

    def _results(self) -> Any:
        results = self.model.get_metrics_result()
        return tf.stack([tf.cast(results[name], tf.float32) for name in self.directions])[:, None]

    def weights_of(self, place: int) -> list[np.ndarray]:
        del place
        weights: list[np.ndarray] = self.model.get_weights()
        return weights


class Lockstep(Program):
    """The stacked repetitions of a model (see `lockstep`)."""

    def __init__(self, model: keras.Model, trainings: Sequence[Training]) -> None:
        self.repetitions = len(trainings)
        self.model = lockstep.stack(model, self.repetitions)
        loss = lockstep.row_loss(model.loss)
        assert loss is not None
        self.loss = loss
        _make_metrics(model, trainings[0])
        self.directions = _directions(model)
        self.metrics = compiled_metrics(model)
        self.optimizer = type(model.optimizer).from_config(model.optimizer.get_config())
        self.optimizer_start = _OptimizerStart(self.optimizer, self.model.trainable_variables)
        self.dropouts = [
            layer for layer in self.model.layers if isinstance(layer, lockstep.StackedDropout)
        ]
        self.width = model.output_shape[-1]
        self.shapes = [tuple(weight.shape) for weight in model.weights]

    def start(self, trainings: Sequence[Training], model: keras.Model) -> None:
        stacked = (np.stack(values) for values in zip(*(t.weights for t in trainings), strict=True))
        for variable, value in zip(self.model.weights, stacked, strict=True):
            variable.assign(value.reshape(variable.shape))
        self.optimizer_start.restart(model.optimizer)
        layers = [layer for layer in model.layers if isinstance(layer, keras.layers.Dropout)]
        place = 0  # among the generators: in Keras, a rate of 0 has none
        for twin, layer in zip(self.dropouts, layers, strict=True):
            twin.rate.assign(layer.rate)
            if layer.rate > 0:
                twin.seeds.assign([generator_seed(t.seeds.dropout, place) for t in trainings])
                place += 1

    def variables(self) -> list[Any]:
        return list(self.model.weights)

    def spread(self, flags: Any, rank: int) -> Any:
        return tf.reshape(flags, (self.repetitions, *(1,) * (rank - 1)))

    def _penalties(self) -> list[Any]:
        """Return what each regularizer adds to the repetitions' losses, shape (R,)."""
        return [
            tf.stack([regularizer(tf.reshape(part, shape)) for part in tf.unstack(variable.value)])
            for layer in self.model.layers
            for regularizer, variable, shape in getattr(layer, "regularized", ())
        ]

    def check_graph(self, graph: Any, own: Sequence[Any]) -> None:
        """Twins keep no state but their weights and seeds."""

    def finish(self) -> None:
        """No optimizer that has an end to finish trains in lockstep."""

    def train_epoch(self, epoch: Any, batches: Batches) -> Any:
        rows, width = batches.rows, self.width
        steps = (rows + batches.size - 1) // batches.size
        variables = self.model.trainable_variables
        for layer in self.dropouts:
            layer.hoist()

        def step(start: Any, batch: Sequence[Any], loss_sum: Any, outputs: Any) -> Any:
            x, y, weight = batch
            for layer in self.dropouts:
                layer.draw = epoch * steps + start // batches.size
            count = tf.cast(tf.shape(x)[1], tf.float32)
            with tf.GradientTape() as tape:
                predicted = self.model(x, training=True)
                losses = [self.loss(y, predicted), *self._penalties()]
            # Seeding the gradient with each row's share saves deriving a mean.
            shares = [weight / count, *(tf.ones_like(penalty) for penalty in losses[1:])]
            gradients = tape.gradient(
                losses, [variable.value for variable in variables], output_gradients=shares
            )
            self.optimizer.apply(gradients, variables)
            loss = tf.add_n(
                [tf.reduce_sum(losses[0] * weight, axis=1)] + [count * p for p in losses[1:]]
            )
            # Metrics wait for the epoch's end: one evaluation of all rows, not one a step.
            places = (start + tf.range(tf.shape(x)[1]))[:, None]
            outputs = tf.tensor_scatter_nd_update(
                outputs, places, tf.transpose(predicted, [1, 0, 2])
            )
            return loss_sum + loss, outputs

        start = (
            tf.zeros(self.repetitions),
            tf.zeros(tf.stack([rows, self.repetitions, width])),
        )
        loss_sum, outputs = batches.each(step, start)
        outputs = tf.transpose(outputs, [1, 0, 2])
        mean = loss_sum * tf.math.reciprocal(tf.cast(rows, tf.float32))
        return self._results(mean, batches.arrays[1], outputs)

    def validate(self, batches: Batches) -> Any:
        x, y = batches.arrays
        outputs = self.model(x, training=False)
        loss = tf.add_n([tf.reduce_mean(self.loss(y, outputs), axis=1), *self._penalties()])
        return self._results(loss, y, outputs)

    def _results(self, loss: Any, y: Any, outputs: Any) -> Any:
        # In the order of `directions`, whose names Keras makes unique where two metrics share one.
        return tf.stack([loss, *(lockstep.measure(metric, y, outputs) for metric in self.metrics)])

    def weights_of(self, place: int) -> list[np.ndarray]:
        return [
            weight.numpy()[place].reshape(shape)
            for weight, shape in zip(self.model.weights, self.shapes, strict=True)
        ]


def set_start(model: keras.Model, training: Training) -> None:
    """Give a model the initial weights of a training, and its generators their seeds."""
    for variable, value in zip(model.weights, training.weights, strict=True):
        variable.assign(value)
    for place, state in enumerate(seed_states(model)):
        state.assign([generator_seed(training.seeds.dropout, place), 0])


def _metric_variables(model: keras.Model) -> list[Any]:
    return [variable for metric in model.metrics for variable in metric.variables]


def _make_metrics(model: keras.Model, training: Training) -> None:
    """Make the variables of loss and metrics, which must not be made inside of a graph."""
    rows = training.rows
    try:
        make_variables(model.test_step, (rows.x_train[:1], rows.y_train[:1]))
    except Exception as error:
        raise ModelError(f"model: its test_step raised {told(error)}") from error


def _directions(model: keras.Model) -> dict[str, int]:
    """Return the model's metrics: 1 if less is better, -1 if more is, 0 if Keras does not say."""
    directions = directions_of(model)
    results = model.get_metrics_result()
    for name, value in results.items():
        if len(np.shape(value)):
            raise ModelError(
                f"model: the metric {name} gives {np.size(value)} numbers; choose an average, such "
                f"as average='macro', or {REMEDY}, which records each"
            )
    return {name: directions.get(name, 0) for name in results}


def directions_of(model: keras.Model) -> dict[str, int]:
    """Return, for loss and compiled metrics, 1, -1 or 0 (see `_directions`)."""
    directions = {"loss": 1}
    for metric in compiled_metrics(model):
        direction = getattr(metric, "_direction", None)
        directions[metric.name] = {"down": 1, "up": -1}.get(str(direction), 0)
    return directions


def compiled_metrics(model: keras.Model) -> list[Any]:
    """Return the metrics named in `compile`, once the model has seen a batch."""
    return [inner for metric in model.metrics[1:] for inner in getattr(metric, "metrics", [metric])]


class _OptimizerStart:
    """The state that an optimizer starts with, to be restored for the next training.

    Parameters
    ----------
    optimizer
        Not built yet, as `compile` leaves it.
    variables
        What it trains.
    """

    def __init__(self, optimizer: Any, variables: Sequence[Any]) -> None:
        self.optimizer = optimizer
        # Some states start as copies of the weights (ScheduleFreeAdamW): marks tell which.
        weights = [variable.numpy() for variable in variables]
        for variable, value in zip(variables, weights, strict=True):
            variable.assign(value + 0.734)
        marked = [variable.numpy() for variable in variables]
        optimizer.build(variables)
        self.values = [variable.numpy() for variable in optimizer.variables]
        self.copies = {
            place: variable
            for place, value in enumerate(self.values)
            for variable, mark in zip(variables, marked, strict=True)
            if np.shape(value) and np.array_equal(value, mark)
        }
        for variable, value in zip(variables, weights, strict=True):
            variable.assign(value)

    def restart(self, fresh: Any) -> None:
        """Set the optimizer back, with the learning rate of a fresh one."""
        for place, variable in enumerate(self.optimizer.variables):
            variable.assign(self.copies.get(place, self.values[place]))
        rate = learning_rate(fresh)
        if rate is not None:
            learning_rate(self.optimizer).assign(rate)


def cannot(feature: str) -> ModelError:
    """Return the error for what `model.fit` can do and the compiled fit cannot."""
    return ModelError(f"model: the compiled fit cannot do {feature}; {REMEDY}")


def check_expressible(model: keras.Model) -> None:
    """Refuse what shows in a built model and would be lost in a compiled fit.

    Raises
    ------
    ModelError
        Naming the feature and what to set.
    """
    for name in _OWN_PARTS:
        if not str(getattr(getattr(model, name), "__module__", "")).startswith("keras."):
            raise cannot(f"a {name} of the model's own")
    if model.train_function is not None:
        raise cannot("a train_function of the model's own")
    if model.run_eagerly or tf.config.functions_run_eagerly():
        raise cannot("run_eagerly")
    if keras.config.floatx() != "float32":
        raise cannot(f"the float type {keras.config.floatx()} (keras.config.set_floatx)")
    if model._distribute_strategy is not None:
        raise cannot("a distribution strategy")
    for layer in model._flatten_layers(include_self=False):
        if getattr(layer, "stateful", False):
            raise cannot(f"the stateful layer {layer.name}, whose rows depend on batches before")
    for tensor in getattr(model, "inputs", None) or ():
        if tensor.shape[0] is not None:
            raise cannot(f"an input with a fixed batch size ({tensor.shape[0]})")


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
            monitor, sign = _monitored(stopping.monitor, program.directions)
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
        _make_metrics(model, training)
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
                with no_numpy_draws(
                    lambda: cannot(
                        "random numbers that a step draws by NumPy, which would not vary"
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


def improves(value: Any, min_delta: Any, best: Any) -> Any:
    """Tell whether a value is below the best one by more than `min_delta`, as Keras does.

    Keras's early stopping subtracts in float64, and rounds to float32 to compare.

    Parameters
    ----------
    value, best
        float32, shape (R,).
    min_delta
        float64, 0 or more.
    """
    return tf.cast(tf.cast(value, tf.float64) + min_delta, tf.float32) < best


def monitored(monitor: str, names: Sequence[str], model: keras.Model) -> int:
    """Return 1 if less of a metric is better, -1 if more is.

    Raises
    ------
    ModelError
        If there is no such metric, or Keras does not say.
    """
    return _direction(monitor, names, directions_of(model).get(monitor.removeprefix("val_"), 0))


def _monitored(monitor: str, directions: dict[str, int]) -> tuple[int, float]:
    """Return the place of a metric in the history, and 1 if less of it is better, else -1."""
    names = [*directions, *(f"val_{name}" for name in directions)]
    direction = _direction(monitor, names, directions.get(monitor.removeprefix("val_"), 0))
    return names.index(monitor), float(direction)


def _direction(monitor: str, names: Sequence[str], direction: int) -> int:
    if monitor not in names:
        hint = nearest(monitor, names) or "; there are " + ", ".join(names)
        raise ModelError(
            f"hyperparameters.early_stopping_monitor: there is no metric {monitor!r}{hint}"
        )
    if direction == 0:
        raise ModelError(
            f"hyperparameters.early_stopping_monitor: Keras does not say whether more or less of "
            f"{monitor} is better; monitor val_loss"
        )
    return direction
