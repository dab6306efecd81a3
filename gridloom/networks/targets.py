"""Targets in the form that a network's outputs and loss take."""

from __future__ import annotations

import keras
import numpy as np

from gridloom.errors import ModelError
from gridloom.networks.losses import loss_traits


def encode_target(
    model: keras.Model, row_shape: tuple[int, ...], target: np.ndarray, classes: list[str] | None
) -> np.ndarray:
    """Convert targets to the form that the model's outputs and loss take.

    Parameters
    ----------
    model
        Built and compiled.
    row_shape
        Shape of one row of features.
    target
        Class indices, shape (rows,), or float32 values, shape (rows, targets).
    classes
        Labels of the classes; None unless `target` holds class indices.

    Returns
    -------
    array
        float32, as given, for values; float32 of shape (rows, 1) for two classes and one output;
        int32 of shape (rows,) for a sparse loss; else one-hot, float32, shape (rows, classes).

    Raises
    ------
    ModelError
        If the output is not one row of numbers, as many as there are classes or targets.
    """
    width = _width(model, row_shape)
    if classes is None:
        # Keras would broadcast one against the other without an error, and learn nothing useful.
        if width != target.shape[1]:
            raise ModelError(
                f"model: its output has {width} columns, the data {target.shape[1]} targets; end "
                "with Dense(outputs)"
            )
        return target
    if width == 1 and len(classes) == 2:
        return target.astype(np.float32)[:, None]
    if width != len(classes):
        raise ModelError(
            f"model: its output has {width} columns, the data {len(classes)} classes; end with "
            "Dense(outputs)"
        )
    if loss_traits(model.loss, width).sparse:
        return target.astype(np.int32)
    one_hot: np.ndarray = np.eye(len(classes), dtype=np.float32)[target]
    return one_hot


def _width(model: keras.Model, row_shape: tuple[int, ...]) -> int:
    try:
        shape = tuple(model.output_shape)
    except AttributeError:  # a subclassed model does not know its output shape before a call
        shape = tuple(model(np.zeros((1, *row_shape), np.float32), training=False).shape)
    if len(shape) != 2 or not isinstance(shape[1], int):
        raise ModelError(
            f"model: its output has the shape {shape}, where (rows, outputs) is needed; flatten or "
            "pool before the last Dense layer"
        )
    return shape[1]
