"""The model file's `input_pipeline`: what a network gets is made of the rows while it trains.

For rows that are too many or too large for memory: the study's rows hold small keys, such as the
number of an image, and the pipeline reads what they stand for. Only `model.fit` takes its rows so.
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

#: Whole numbers below it are exact in float32.
_EXACT = 2**24

#: What TensorFlow says where `assert_cardinality` is not met.
_OTHER_COUNT = "dataset was expected to contain"


@dataclass(frozen=True)
class Pipeline:
    """The `input_pipeline` of a model file, for one point.

    Attributes
    ----------
    path
        Of the model file.
    function
        From (rows, training, hyperparameters) to rows, both a `tf.data.Dataset` of
        (x, y, weight), a row each.
    hyperparameters
        The point's, as `callbacks` gets them.
    """

    path: Path
    function: Callable[..., Any]
    hyperparameters: Mapping[str, Any]

    @classmethod
    def of(cls, file: ModelFile, hyperparameters: Mapping[str, Value]) -> Pipeline | None:
        """Return a point's; None if the model file has none."""
        if file.pipeline is None:
            return None
        return cls(file.path, file.pipeline, listed(hyperparameters))

    def batches(
        self, rows: tf.data.Dataset, count: int, batch_size: int, *, training: bool
    ) -> tf.data.Dataset:
        """Return batches of what the pipeline makes of rows, the last one shorter.

        Parameters
        ----------
        rows
            Of (x, y, weight), a row each; `count` of them.
        training
            Whether a network trains on them.

        Raises
        ------
        ModelError
            If the pipeline raises or does not keep the contract. One that tells another number of
            rows than it gives, or none, fails when they are read: see `explained`.
        """
        made = self._made(rows, training)
        self._check_elements(made, rows)
        found = int(made.cardinality())
        if found == tf.data.INFINITE_CARDINALITY:
            self._refuse("gives rows without end; leave out `repeat`, each epoch reads them anew")
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
        """Return the kinds of tensors that a step gets of such rows, batch axis first."""
        inputs, targets = self.held(x[:1], y[:1], 1).element_spec
        return inputs, targets

    def input_shape(
        self, x: np.ndarray, target: np.ndarray, outputs: int, classes: Sequence[str] | None
    ) -> tuple[int | None, ...]:
        """Return the shape of a row as the network gets it.

        Parameters
        ----------
        target
            As in `gridloom.data.preparation.PreparedRows`: only a network tells which form its
            loss takes, and it is not there yet. So a pipeline that computes with targets meets
            each form until it takes one.
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
        """Return what the network is scored on of the first row, shapes (1, …)."""
        try:
            for inputs, targets in self.held(x[:1], y[:1], 1):
                return inputs.numpy(), targets.numpy()
        except tf.errors.OpError as error:
            raise self.explained(error) from error
        self._refuse("gives no row for the one that it gets")

    def predict(self, network: Any, x: np.ndarray, like: np.ndarray, batch_size: int) -> np.ndarray:
        """Return what a network gives for each row, shape (rows, outputs).

        Parameters
        ----------
        like
            A target in the form that the loss takes, shape (1, …): in its place, the pipeline gets
            zeros. As weight it gets the row's number, to see that rows keep their order.

        Raises
        ------
        ModelError
            If the pipeline fails, or does not keep the order or the weights of the rows.
        """
        numbers = (np.arange(len(x)) % _EXACT).astype(np.float32)
        rows = _rows(x, np.zeros((len(x), *like.shape[1:]), like.dtype), numbers)
        outputs: list[np.ndarray] = []
        seen = 0
        try:
            for inputs, _, found in self.batches(rows, len(x), batch_size, training=False):
                if not np.array_equal(found, numbers[seen : seen + len(found)]):
                    self._refuse(
                        "changes the order of the rows or their weights where training is False; "
                        "predictions could not be told apart"
                    )
                seen += len(found)
                outputs.append(np.asarray(network.predict_on_batch(inputs)))
        except tf.errors.OpError as error:
            raise self.explained(error) from error
        return np.concatenate(outputs)

    def is_of(self, error: BaseException) -> bool:
        """Tell whether an error arose where rows are read, and not in the network."""
        return isinstance(error, tf.errors.OpError) and (
            "IteratorGetNext" in str(error) or _OTHER_COUNT in str(error)
        )

    def explained(self, error: Exception) -> ModelError:
        """Return the error for what went wrong while rows were read."""
        text = " ".join(str(error).split())
        if _OTHER_COUNT in text:
            counts = text[text.index(_OTHER_COUNT) + len("dataset ") :].partition(" [[")[0]
            return self._error(f"gives another number of rows than it gets: it {counts}")
        return self._error(f"failed on a row: {describe_error(error, self.path)}")

    def check_passes(self, before: int, now: int) -> None:
        """See that an epoch read the training rows in an order of its own.

        Parameters
        ----------
        before, now
            How often the rows had been asked for at the end of the epoch before, and of this one.
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
                f"gives {_shown(spec)}; give (x, y, weight) of one row, x one tensor, y and weight "
                f"of the shapes {given[1].shape} and {given[2].shape}; Gridloom makes the batches"
            )
        if spec[0].shape.rank is None:
            self._refuse(
                "gives x of an unknown shape, as tf.py_function and tf.io.decode_image do; say it "
                "by `x = tf.ensure_shape(x, ...)`"
            )

    def _refuse(self, what: str) -> NoReturn:
        raise self._error(what)

    def _error(self, what: str) -> ModelError:
        return ModelError(f"model: `{PIPELINE}` in {self.path} {what}")


def _rows(*arrays: np.ndarray) -> tf.data.Dataset:
    return tf.data.Dataset.from_tensor_slices(arrays)


def _counted(rows: tf.data.Dataset, count: int) -> tf.data.Dataset:
    """Return rows whose reading fails if they are not `count`.

    Keras takes as many batches as there should be, and would not see that there are more. So each
    row waits until the next one has been read, the last one until there is none.
    """
    nothing = tuple(
        tf.zeros([size or 0 for size in part.shape], part.dtype) for part in rows.element_spec
    )
    end = tf.data.Dataset.from_tensors(nothing)
    ended = rows.apply(tf.data.experimental.assert_cardinality(count)).concatenate(end)
    late = ended.scan(nothing, lambda waiting, row: (row, waiting)).skip(1)
    return late.apply(tf.data.experimental.assert_cardinality(count))


def _shown(spec: Any) -> str:
    """Return what a dataset's elements are, without the words of TensorFlow."""
    if isinstance(spec, tuple) and all(isinstance(part, tf.TensorSpec) for part in spec):
        return "(" + ", ".join(f"{part.dtype.name} {part.shape}" for part in spec) + ")"
    return str(spec) if len(str(spec)) < 200 else type(spec).__name__
