"""Trainings in lockstep: stacked trainings of one kind of network in one graph."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import keras
import numpy as np
import tensorflow as tf

from gridloom.engines.monitoring import all_directions, compiled_metrics, make_metrics
from gridloom.engines.program import Batches, OptimizerStart, Program
from gridloom.engines.rowwise import measure, row_loss
from gridloom.engines.twins import StackedDropout, stack
from gridloom.engines.types import Training
from gridloom.networks.generators import generator_seed
from gridloom.networks.structure import learning_rate

#: The number of lanes is a multiple of this. A processor computes this many numbers at once. If
#: fewer are left at the end of an array, another function computes them, with another rounding. So
#: without idle lanes, the last bit of a training would depend on how many train beside it.
LANE_BLOCK = 8


def with_idle_lanes(trainings: Sequence[Training]) -> list[Training]:
    """Add copies of the first training up to a multiple of `LANE_BLOCK`."""
    idle = lanes_of(len(trainings)) - len(trainings)
    return [*trainings, *[trainings[0]] * idle]


def lanes_of(trainings: int) -> int:
    """Return the number of lanes for a number of trainings, idle ones included."""
    return -(-trainings // LANE_BLOCK) * LANE_BLOCK


class Lockstep(Program):
    """The stacked repetitions of a model (see `gridloom.engines.twins`)."""

    def __init__(self, model: keras.Model, trainings: Sequence[Training]) -> None:
        self.repetitions = len(trainings)
        self.model = stack(model, self.repetitions)
        loss = row_loss(model.loss)
        assert loss is not None
        self.loss = loss
        make_metrics(model, trainings[0])
        self.directions = all_directions(model)
        self.metrics = compiled_metrics(model)
        self.optimizer = type(model.optimizer).from_config(model.optimizer.get_config())
        self.rates = self._spread_learning_rate()
        self.optimizer_start = OptimizerStart(self.optimizer, self.model.trainable_variables)
        self.dropouts = [layer for layer in self.model.layers if isinstance(layer, StackedDropout)]
        for twin in self.dropouts:
            twin.draw_for(different_masks(trainings))
        self.width = model.output_shape[-1]
        self.shapes = [tuple(weight.shape) for weight in model.weights]

    def _spread_learning_rate(self) -> Any:
        """Give the optimizer a learning rate for each repetition; return None for a schedule."""
        if learning_rate(self.optimizer) is None:
            return None
        # Stacked weights have three axes.
        rates = tf.Variable(tf.zeros((self.repetitions, 1, 1)), trainable=False)
        self.optimizer.learning_rate = rates.read_value  # Keras calls it in each step
        return rates

    def start(self, trainings: Sequence[Training], model: keras.Model) -> None:
        stacked = (np.stack(values) for values in zip(*(t.weights for t in trainings), strict=True))
        for variable, value in zip(self.model.weights, stacked, strict=True):
            variable.assign(value.reshape(variable.shape))
        self.optimizer_start.restart(model.optimizer)
        if self.rates is not None:
            self.rates.assign(tf.reshape([t.learning_rate for t in trainings], self.rates.shape))
        for place, twin in enumerate(self.dropouts):
            twin.start(
                [training.rates[place] for training in trainings],
                [_dropout_seed(training, place) for training in trainings],
            )

    def variables(self) -> list[Any]:
        return list(self.model.weights)

    def state(self) -> list[Any]:
        return [*self.model.weights, *self.optimizer.variables]

    def spread(self, flags: Any, rank: int) -> Any:
        return tf.reshape(flags, (self.repetitions, *(1,) * (rank - 1)))

    def _penalties(self) -> list[Any]:
        """Return the penalties of each regularizer on the repetitions' losses, shape (R,)."""
        return [
            tf.stack([regularizer(tf.reshape(part, shape)) for part in tf.unstack(variable.value)])
            for layer in self.model.layers
            for regularizer, variable, shape in getattr(layer, "regularized", ())
        ]

    def check_graph(self, graph: Any, own: Sequence[Any]) -> None:
        """Accept every graph: twins keep no state except their weights and seeds."""

    def finish(self) -> None:
        """Do nothing: optimizers that change weights at the end do not train in lockstep."""

    def train_epoch(self, epoch: Any, batches: Batches) -> Any:
        variables = self.model.trainable_variables
        for layer in self.dropouts:
            layer.hoist()

        def step(number: Any, batch: Sequence[Any], loss_sum: Any) -> Any:
            x, y, weight = batch
            for layer in self.dropouts:
                layer.draw = epoch * batches.count + number
            count = tf.cast(tf.shape(x)[1], tf.float32)
            with tf.GradientTape() as tape:
                predicted = self.model(x, training=True)
                losses = [self.loss(y, predicted), *self._penalties()]
            # Weighting the gradient of each row's loss avoids differentiating a mean.
            shares = [weight / count, *(tf.ones_like(penalty) for penalty in losses[1:])]
            gradients = tape.gradient(
                losses, [variable.value for variable in variables], output_gradients=shares
            )
            self.optimizer.apply(gradients, variables)
            loss = tf.add_n(
                [tf.reduce_sum(losses[0] * weight, axis=1)] + [count * p for p in losses[1:]]
            )
            return loss_sum + loss, predicted

        # Metrics are evaluated once at the end of the epoch, on all rows, not at each step.
        loss_sum, outputs = batches.collect(step, tf.zeros(self.repetitions), self.width)
        mean = loss_sum * tf.math.reciprocal(tf.cast(batches.rows, tf.float32))
        return self._results(mean, batches.ordered(1), outputs)

    def validate(self, batches: Batches) -> Any:
        x, y = batches.arrays
        outputs = self.model(x, training=False)
        loss = tf.add_n([tf.reduce_mean(self.loss(y, outputs), axis=1), *self._penalties()])
        return self._results(loss, y, outputs)

    def _results(self, loss: Any, y: Any, outputs: Any) -> Any:
        # In the order of `directions`: Keras makes names unique if two metrics share one.
        return tf.stack([loss, *(measure(metric, y, outputs) for metric in self.metrics)])

    def weights_of(self, place: int) -> list[np.ndarray]:
        return [
            weight.numpy()[place].reshape(shape)
            for weight, shape in zip(self.model.weights, self.shapes, strict=True)
        ]


def different_masks(trainings: Sequence[Training]) -> int:
    """Return the most seeds that the masks of one layer have, on which its graph depends."""
    places = range(len(trainings[0].rates))
    return max((len({_dropout_seed(t, place) for t in trainings}) for place in places), default=0)


def _dropout_seed(training: Training, place: int) -> int:
    """Return the seed of a layer, by its place among the `Dropout` layers of a network.

    One with a rate of 0 uses no mask, so its seed makes no difference.
    """
    # Keras counts generators, and a layer with a rate of 0 has none.
    before = sum(rate > 0 for rate in training.rates[:place])
    return generator_seed(training.seeds.dropout, before)
