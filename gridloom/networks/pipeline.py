"""The model file's `input_pipeline`, which transforms rows while a network trains.

It is for rows that are too many or too large for memory: the study's rows hold small keys, such as
the number of an image, and the pipeline reads the images. Only `model.fit` supports it.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, NoReturn

import numpy as np
import tensorflow as tf

from gridloom.errors import ModelError
from gridloom.naming.values import Value
from gridloom.networks.error_text import describe_error
from gridloom.networks.model_file import ModelFile, listed
from gridloom.study.contract import PIPELINE

#: Whole numbers below this are exact in float32.
_EXACT = 2**24

#: Part of TensorFlow's message when `assert_cardinality` fails.
_OTHER_COUNT = "dataset was expected to contain"


@dataclass(frozen=True)
class Pipeline:
    """The `input_pipeline` of a model file, for one point.

    Attributes
    ----------
    path
        Path of the model file.
    function
        Takes (rows, training, hyperparameters) and returns rows; both are a `tf.data.Dataset` of
        single rows (x, y, weight).
    hyperparameters
        The point's, with lists instead of tuples.
    """

    path: Path
    function: Callable[..., Any]
    hyperparameters: Mapping[str, Any]

    @classmethod
    def of(cls, file: ModelFile, hyperparameters: Mapping[str, Value]) -> Pipeline | None:
        """Return the pipeline of a point; None if the model file has none."""
        if file.pipeline is None:
            return None
        return cls(file.path, file.pipeline, listed(hyperparameters))

    def batches(
        self, rows: tf.data.Dataset, count: int, batch_size: int, *, training: bool
    ) -> tf.data.Dataset:
        """Return batches of the rows that the pipeline returns; the last batch may be shorter.

        Parameters
        ----------
        rows
            Single rows (x, y, weight).
        count
            Number of rows.
        batch_size
            Rows in a batch.
        training
            Whether a network trains on them.

        Raises
        ------
        ModelError
            If the pipeline raises an error or breaks the contract. A wrong number of rows may only
            show when they are read: see `explained`.
        """
        made = self._made(rows, training)
        self._check_elements(made, rows)
        found = int(made.cardinality())
        if found == tf.data.INFINITE_CARDINALITY:
            self._refuse("gives endless rows; remove `repeat`, because each epoch reads them again")
        if found >= 0 and found != count:
            self._refuse(f"gives {found} rows for the {count} that it gets; give one for each")
        if found < 0:
            made = _counted(made, count)
        return made.batch(batch_size).prefetch(1)

    def held(self, x: np.ndarray, y: np.ndarray, batch_size: int) -> tf.data.Dataset:
        """Return batches (x, y) of rows that a network is scored on."""
        rows = _rows(x, y, np.ones(len(y), np.float32))
        scored = self.batches(rows, len(y), batch_size, training=False)
        return scored.map(lambda x, y, _: (x, y))

    def specs(self, x: np.ndarray, y: np.ndarray) -> tuple[tf.TensorSpec, tf.TensorSpec]:
        """Return the types and shapes of the tensors that a step gets, batch axis first."""
        inputs, targets = self.held(x[:1], y[:1], 1).element_spec
        return inputs, targets

    def input_shape(
        self, x: np.ndarray, target: np.ndarray, outputs: int, classes: Sequence[str] | None
    ) -> tuple[int | None, ...]:
        """Return the shape of a row after the pipeline.

        The form of the target depends on the loss of a network, which is not built yet. So a
        pipeline that computes with targets is tried with each form until one works.

        Parameters
        ----------
        x
            Prepared rows.
        target
            As in `gridloom.data.preparation.TrainingRows`.
        outputs
            Number of classes, labels or targets.
        classes
            Labels of the classes; None if there are none.
        """
        forms = [target[:1]]
        if classes is not None:
            forms = [
                np.eye(outputs, dtype=np.float32)[target[:1]],
                target[:1].astype(np.int32),
                target[:1].astype(np.float32)[:, None],
            ]
        errors = []
        for form in forms:
            try:
                return tuple(self.specs(x, form)[0].shape[1:])
            except ModelError as error:
                errors.append(error)
        raise errors[0]

    def first_row(self, x: np.ndarray, y: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """Return the first row as the network is scored on it, shapes (1, …)."""
        try:
            for inputs, targets in self.held(x[:1], y[:1], 1):
                return inputs.numpy(), targets.numpy()
        except tf.errors.OpError as error:
            raise self.explained(error) from error
        self._refuse("gives no row for one row; give one for each")

    def predict(self, network: Any, x: np.ndarray, like: np.ndarray, batch_size: int) -> np.ndarray:
        """Return a network's outputs for each row, shape (rows, outputs).

        The pipeline gets zeros as targets, and the row number as weight. The weights show whether
        it keeps the order of the rows.

        Parameters
        ----------
        network
            A Keras model.
        x
            Prepared rows.
        like
            A target in the form that the loss takes, shape (1, …), for the shape of the zeros.
        batch_size
            Rows in a batch.

        Raises
        ------
        ModelError
            If the pipeline fails, or changes the order or the weights of the rows.
        """
        numbers = (np.arange(len(x)) % _EXACT).astype(np.float32)
        rows = _rows(x, np.zeros((len(x), *like.shape[1:]), like.dtype), numbers)
        outputs: list[np.ndarray] = []
        seen = 0
        try:
            for inputs, _, found in self.batches(rows, len(x), batch_size, training=False):
                if not np.array_equal(found, numbers[seen : seen + len(found)]):
                    self._refuse(
                        "changes the order of the rows or their weights where training is False, "
                        "so that predictions cannot be assigned to rows; keep both"
                    )
                seen += len(found)
                outputs.append(np.asarray(network.predict_on_batch(inputs)))
        except tf.errors.OpError as error:
            raise self.explained(error) from error
        return np.concatenate(outputs)

    def is_of(self, error: BaseException) -> bool:
        """Return whether an error arose while reading rows, and not in the network."""
        return isinstance(error, tf.errors.OpError) and (
            "IteratorGetNext" in str(error) or _OTHER_COUNT in str(error)
        )

    def explained(self, error: Exception) -> ModelError:
        """Return a described error for one that arose while reading rows."""
        text = " ".join(str(error).split())
        if _OTHER_COUNT in text:
            counts = text[text.index(_OTHER_COUNT) + len("dataset ") :].partition(" [[")[0]
            return self._error(f"gives another number of rows than it gets: it {counts}")
        return self._error(f"failed on a row: {describe_error(error, self.path)}")

    def check_passes(self, before: int, now: int) -> None:
        """Check that an epoch read the training rows in a new order.

        Parameters
        ----------
        before, now
            How often the rows had been requested at the end of the previous and of this epoch.
        """
        if now == before:
            self._refuse(
                "keeps the training rows in the order of the first epoch; cache them only where "
                "training is False"
            )

    def _made(self, rows: tf.data.Dataset, training: bool) -> tf.data.Dataset:
        try:
            made = self.function(rows, training, dict(self.hyperparameters))
        except Exception as error:
            raise ModelError(
                f"model: {PIPELINE}(rows, training={training}, hyperparameters) raised "
                f"{describe_error(error, self.path)}"
            ) from error
        if not isinstance(made, tf.data.Dataset):
            self._refuse(f"returned {type(made).__name__}; return a tf.data.Dataset")
        return made

    def _check_elements(self, made: tf.data.Dataset, rows: tf.data.Dataset) -> None:
        spec, given = made.element_spec, rows.element_spec
        if (
            not isinstance(spec, tuple)
            or len(spec) != len(given)
            or not all(isinstance(part, tf.TensorSpec) for part in spec)
            or not all(
                part.shape.is_compatible_with(as_given.shape)
                for part, as_given in zip(spec[1:], given[1:], strict=True)
            )
        ):
            self._refuse(
                f"gives {_shown(spec)}; give single rows (x, y, weight) with one tensor x, and y "
                f"and weight of the shapes {given[1].shape} and {given[2].shape}; Gridloom makes "
                "the batches"
            )
        if spec[0].shape.rank is None:
            self._refuse(
                "gives x of an unknown shape, as tf.py_function and tf.io.decode_image do; set it "
                "with `x = tf.ensure_shape(x, ...)`"
            )

    def _refuse(self, what: str) -> NoReturn:
        raise self._error(what)

    def _error(self, what: str) -> ModelError:
        return ModelError(f"model: `{PIPELINE}` in {self.path} {what}")


def _rows(*arrays: np.ndarray) -> tf.data.Dataset:
    return tf.data.Dataset.from_tensor_slices(arrays)


def _counted(rows: tf.data.Dataset, count: int) -> tf.data.Dataset:
    """Return rows that fail when read if their number is not `count`.

    Keras reads as many batches as it expects and would not notice further rows. So each row is held
    back until the next one, or the end, has been read.
    """
    nothing = tuple(
        tf.zeros([size or 0 for size in part.shape], part.dtype) for part in rows.element_spec
    )
    end = tf.data.Dataset.from_tensors(nothing)
    ended = rows.apply(tf.data.experimental.assert_cardinality(count)).concatenate(end)
    late = ended.scan(nothing, lambda waiting, row: (row, waiting)).skip(1)
    return late.apply(tf.data.experimental.assert_cardinality(count))


def _shown(spec: Any) -> str:
    """Describe a data set's elements for the user."""
    if isinstance(spec, tuple) and all(isinstance(part, tf.TensorSpec) for part in spec):
        return "(" + ", ".join(f"{part.dtype.name} {part.shape}" for part in spec) + ")"
    return str(spec) if len(str(spec)) < 200 else type(spec).__name__
