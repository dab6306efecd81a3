"""The keras engine: a training by Keras's own `model.fit`, with all of its features.

It is for what the compiled fit cannot do: callbacks, steps that cannot be traced, a model with its
own `fit`. Initial weights, batches and dropout masks are those of the compiled fit.
"""

from __future__ import annotations

import gc
from collections.abc import Mapping, Sequence
from typing import Any

import keras
import numpy as np
import tensorflow as tf

from gridloom.engines.epochs import RunningFit, begin
from gridloom.engines.monitoring import monitored
from gridloom.engines.types import Fitted, Stopping, Training, set_start
from gridloom.errors import GridloomError, ModelError
from gridloom.networks.error_text import OUT_OF_MEMORY, describe_error, ran_out_of_memory
from gridloom.networks.keras_private import gradient_registry, make_variables, uses_xla
from gridloom.networks.pipeline import Pipeline
from gridloom.study.seeds import row_orders


def fit(
    model: keras.Model,
    training: Training,
    callbacks: Sequence[keras.callbacks.Callback],
    *,
    batch_size: int,
    epochs: int,
    stopping: Stopping | None,
    xla: str = "auto",
    pipeline: Pipeline | None = None,
) -> Fitted:
    """Fit one training with `model.fit`.

    `fit` gets a `tf.data.Dataset` of (x, y, sample_weight), in each epoch in the order that the
    training's `shuffle` stream draws, and the validation rows, if there are any, as arrays without
    weights. The `dropout` stream seeds the generators of layers, and those of Python, NumPy and
    TensorFlow.

    Parameters
    ----------
    model
        The point's network, freshly built; it is trained here, so it cannot be used afterwards.
    training
        The training to fit.
    callbacks
        The model file's callbacks, freshly made.
    batch_size, epochs
        As in `model.fit`.
    stopping
        As `keras.callbacks.EarlyStopping` with the best weights restored; None for none.
    xla
        As in the study; see `uses_xla`.
    pipeline
        The model file's pipeline for all rows; None if it has none.

    Returns
    -------
    Fitted
        Its history contains everything that `fit` and callbacks log in an epoch; a metric of
        several numbers is ``name_0``, ``name_1``, …; NaN in epochs that did not log a name.

    Raises
    ------
    ModelError
        If `fit` or a callback raises, or the memory runs out.
    """
    model.jit_compile = uses_xla(model, xla)
    rows = training.rows
    recorder = _Recorder()
    begin(RunningFit([training], epochs, lambda: len(recorder.logs)))
    known_gradients = set(gradient_registry())
    stoppers = [] if stopping is None else _early_stopping(stopping)
    # `fit` makes two iterators in each epoch but reads one, so a pass begins at its first element.
    passes = tf.Variable(-1, dtype=tf.int32, trainable=False)
    first = (rows.x_train[:1], rows.y_train[:1])
    watchers: list[keras.callbacks.Callback] = [recorder]
    if pipeline is not None:
        first = pipeline.specs(*first)
        watchers.append(_Passes(pipeline, passes))
    try:
        # Keras miscounts some metrics (F1Score) in the batch that creates their variables.
        if not model.run_eagerly:
            make_variables(model.test_step, first)
        # Built inside a traced step, ScheduleFreeAdamW would reset its momentum in each step.
        model.optimizer.build(model.trainable_variables)
        keras.utils.set_random_seed(training.seeds.dropout)
        set_start(model, training)
        held: Any = (rows.x_val, rows.y_val)
        if pipeline is not None and len(rows.y_val):
            held = pipeline.held(rows.x_val, rows.y_val, batch_size)
        model.fit(
            batches(training, batch_size, epochs, passes, pipeline),
            epochs=epochs,
            shuffle=False,
            validation_data=held if len(rows.y_val) else None,
            validation_batch_size=batch_size if pipeline is None else None,
            callbacks=[*callbacks, *stoppers, *watchers],
            verbose=0,
        )
    except GridloomError:
        raise
    except Exception as error:
        if ran_out_of_memory(error):
            raise ModelError(f"model: model.fit {OUT_OF_MEMORY}") from error
        if pipeline is not None and pipeline.is_of(error):
            raise pipeline.explained(error) from error
        raise ModelError(f"model: model.fit raised {describe_error(error)}") from error
    finally:
        # A model and its graphs refer to each other, so only the garbage collector frees them.
        model = None
        # TensorFlow's registry keeps the gradients of a step, and so its graph, of 0.9 MB.
        for name in gradient_registry().keys() - known_gradients:
            if name.startswith("CustomGradient-"):
                del gradient_registry()[name]
        gc.collect()
    if not recorder.logs:
        raise ModelError(
            "model: its own fit finished no epoch; let it call super().fit with the callbacks that "
            "it gets"
        )
    restored = len(recorder.logs) - 1
    for callback in (*callbacks, *stoppers):
        if (
            isinstance(callback, keras.callbacks.EarlyStopping)
            and callback.restore_best_weights
            and callback.best_weights is not None
        ):
            restored = callback.best_epoch
    return Fitted(history=recorder.history(), restored_epoch=restored)


def batches(
    training: Training,
    batch_size: int,
    epochs: int,
    passes: tf.Variable,
    pipeline: Pipeline | None = None,
) -> tf.data.Dataset:
    """Return the training rows as batches; each pass over them has the order of the next epoch.

    Parameters
    ----------
    training
        The training to fit.
    batch_size, epochs
        As in `model.fit`.
    passes
        Number of the last pass that began, from 0; -1 before the first. Each pass adds 1.
    pipeline
        Transforms single rows before they are batched; None for no transformation.

    Returns
    -------
    Dataset of (x, y, sample_weight)
        The batches of one epoch; the last one may be shorter.
    """
    rows = training.rows
    arrays = tuple(map(tf.constant, (rows.x_train, rows.y_train, rows.weights)))
    orders = tf.constant(row_orders(training.seeds.shuffle, epochs, len(rows.y_train)))

    def places_of_pass(_: Any) -> tf.data.Dataset:
        order = tf.gather(orders, passes.assign_add(1) % epochs)
        places = tf.data.Dataset.from_tensor_slices(order)
        return places if pipeline is not None else places.batch(batch_size)

    def taken(places: Any) -> tuple[Any, ...]:
        return tuple(tf.gather(array, places) for array in arrays)

    count = len(rows.y_train)
    ordered = tf.data.Dataset.range(1).flat_map(places_of_pass).map(taken)
    if pipeline is None:
        steps = -(-count // batch_size)
        return ordered.apply(tf.data.experimental.assert_cardinality(steps))
    ordered = ordered.apply(tf.data.experimental.assert_cardinality(count))
    return pipeline.batches(ordered, count, batch_size, training=True)


def _early_stopping(stopping: Stopping) -> list[keras.callbacks.Callback]:
    early = keras.callbacks.EarlyStopping(
        monitor=stopping.monitor,
        min_delta=stopping.min_delta,
        patience=stopping.patience,
        restore_best_weights=True,
    )
    return [_Monitored(early), early]


class _Monitored(keras.callbacks.Callback):  # type: ignore[misc]
    """Checks, after the first epoch, that the monitored metric exists, and sets its direction.

    Keras only warns about a missing metric, and continues to train.
    """

    def __init__(self, early: keras.callbacks.EarlyStopping) -> None:
        super().__init__()
        self.early = early

    def on_epoch_end(self, epoch: int, logs: Mapping[str, Any] | None = None) -> None:
        if epoch == 0:
            direction = monitored(self.early.monitor, list(logs or {}), self.model)
            self.early.mode = "min" if direction > 0 else "max"


def numbers(logs: Mapping[str, Any]) -> dict[str, float]:
    """Return the numbers in logs; a metric of several numbers becomes ``name_0``, ``name_1``, …."""
    flat: dict[str, float] = {}
    for name, value in logs.items():
        values = np.asarray(value)
        if values.dtype.kind not in "biuf":
            continue  # such as text that a callback added
        if values.ndim == 0:
            flat[name] = float(values)
        else:
            flat |= {f"{name}_{i}": float(part) for i, part in enumerate(values.flat)}
    return flat


class _Passes(keras.callbacks.Callback):  # type: ignore[misc]
    """Checks that each epoch reads the rows again: a pipeline may cache those of the first one."""

    def __init__(self, pipeline: Pipeline, passes: tf.Variable) -> None:
        super().__init__()
        self.pipeline, self.passes = pipeline, passes
        self.before = -1

    def on_epoch_end(self, epoch: int, logs: Mapping[str, Any] | None = None) -> None:
        now = int(self.passes.numpy())
        self.pipeline.check_passes(self.before, now)
        self.before = now


class _Recorder(keras.callbacks.Callback):  # type: ignore[misc]
    """Keeps the logs of each epoch; it is the last callback, so it sees what the others add."""

    def __init__(self) -> None:
        super().__init__()
        self.logs: list[dict[str, float]] = []

    def on_epoch_end(self, epoch: int, logs: Mapping[str, Any] | None = None) -> None:
        self.logs.append(numbers(logs or {}))

    def history(self) -> dict[str, np.ndarray]:
        """Return metric → its value after each epoch, float32, shape (epochs run,)."""
        names = dict.fromkeys(name for epoch in self.logs for name in epoch)
        return {
            name: np.array([epoch.get(name, np.nan) for epoch in self.logs], np.float32)
            for name in names
        }
