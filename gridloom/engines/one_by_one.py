"""One network in a graph, with its own `train_step` and `test_step`."""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Sequence
from typing import Any

import keras
import numpy as np
import tensorflow as tf

from gridloom.engines.dropout import DropoutRates
from gridloom.engines.monitoring import all_directions, make_metrics, metric_variables
from gridloom.engines.program import Batches, OptimizerStart, Program
from gridloom.engines.recurrent import fast_loops
from gridloom.engines.types import Training, cannot, set_start
from gridloom.networks.generators import seed_states
from gridloom.networks.keras_private import layers_of

#: Parts of `model.fit` that the compiled fit bypasses; overrides have no effect.
_OWN_PARTS = (
    "fit",
    "evaluate",
    "make_train_function",
    "make_test_function",
)

#: Operations whose random numbers come from a state that the training's seeds do not set.
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


class OneByOne(Program):
    """One model, whose own `train_step` and `test_step` are traced into the graph."""

    def __init__(self, model: keras.Model, training: Training) -> None:
        self.model = model
        self.repetitions = 1
        make_metrics(model, training)
        self.metric_starts = [variable.numpy() for variable in metric_variables(model)]
        self.optimizer_start = OptimizerStart(model.optimizer, model.trainable_variables)
        self.directions = all_directions(model)
        self.rates = DropoutRates(model)

    def start(self, trainings: Sequence[Training], model: keras.Model) -> None:
        (training,) = trainings
        set_start(self.model, training)
        # A custom metric may have a `reset_state` that does nothing.
        for variable, value in zip(metric_variables(self.model), self.metric_starts, strict=True):
            variable.assign(value)
        self.optimizer_start.restart(model.optimizer)
        self.rates.assign(training.rates)

    def variables(self) -> list[Any]:
        return list(self.model.weights)

    def state(self) -> list[Any]:
        return [
            *self.model.weights,
            *seed_states(self.model),
            *self.model.optimizer.variables,
            *metric_variables(self.model),
        ]

    def spread(self, flags: Any, rank: int) -> Any:
        return flags[0]

    def train_epoch(self, epoch: Any, batches: Batches) -> Any:
        del epoch  # the seed states count the steps
        self.model.reset_metrics()

        def step(_: Any, batch: Sequence[Any]) -> tuple[()]:
            logs = self.model.train_step(tuple(part[0] for part in batch))
            self._check_logs("train_step", logs)
            return ()

        self._each(batches, step)
        return self._results()

    def validate(self, batches: Batches) -> Any:
        self.model.reset_metrics()

        def step(_: Any, batch: Sequence[Any]) -> tuple[()]:
            # Validation rows have no weights, as in `model.fit`.
            logs = self.model.test_step(tuple(part[0] for part in batch))
            self._check_logs("test_step", logs)
            return ()

        self._each(batches, step)
        return self._results()

    def _each(self, batches: Batches, step: Callable[..., tuple[()]]) -> None:
        """Trace a step of the model for each batch."""
        # XLA fixes the size of batches; it lacks the operation of an LSTM.
        loops = fast_loops(self.model) if tf.is_tensor(batches.size) else contextlib.nullcontext()
        with self.rates.as_data(), loops:
            batches.each(step, ())

    def _check_logs(self, step: str, logs: Any) -> None:
        """Refuse a step whose logs are not the model's metrics; Keras would log the last batch."""
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
        handles = {id(variable.handle) for variable in own}
        handles |= {id(variable.handle) for variable in self.rates.variables()}
        handles |= {id(variable.value.handle) for variable in self.state()}
        for variable in graph.graph.variables:
            if id(variable.handle) not in handles:
                raise cannot(f"a state that is not a weight of the model ({variable.name})")

    def finish(self) -> None:
        # With use_ema, averages of the weights replace the weights.
        self.model.optimizer.finalize_variable_values(self.model.trainable_variables)

    def _results(self) -> Any:
        results = self.model.get_metrics_result()
        return tf.stack([tf.cast(results[name], tf.float32) for name in self.directions])[:, None]

    def weights_of(self, place: int) -> list[np.ndarray]:
        del place
        weights: list[np.ndarray] = self.model.get_weights()
        return weights


def check_expressible(model: keras.Model) -> None:
    """Refuse features of a built model that a compiled fit would ignore.

    Raises
    ------
    ModelError
        Which names the feature and what to set.
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
    for layer in layers_of(model):
        if getattr(layer, "stateful", False):
            raise cannot(f"the stateful layer {layer.name}, which carries state between batches")
    for tensor in getattr(model, "inputs", None) or ():
        if tensor.shape[0] is not None:
            raise cannot(f"an input with a fixed batch size ({tensor.shape[0]})")
