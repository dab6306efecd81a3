"""A small network for tables: dropout on the inputs, one hidden layer, softmax.

Copy this file to bring a network of your own. The contract: a function `build_model` that takes
the shape of one row, the number of outputs and the study's hyperparameters by name (batch_size,
epochs and early_stopping_* belong to the fit), and returns a compiled Keras model.
"""

import keras


def build_model(
    input_shape: tuple[int, ...],
    outputs: int,
    *,
    units: int,
    activation: str,
    dropout: float,
    learning_rate: float,
) -> keras.Model:
    """Return the compiled network."""
    model = keras.Sequential(
        [
            keras.Input(input_shape),
            keras.layers.Dropout(dropout),
            keras.layers.Dense(units, activation=activation),
            keras.layers.Dense(outputs, activation="softmax"),
        ]
    )
    model.compile(
        optimizer=keras.optimizers.SGD(learning_rate),
        loss="categorical_crossentropy",
        metrics=["categorical_accuracy"],
    )
    return model
