"""A network that predicts numbers: any hidden layers, one output for each target."""

import keras


def build_model(
    input_shape: tuple[int, ...],
    outputs: int,
    *,
    layers: list[int],
    l2: float,
    learning_rate: float,
) -> keras.Model:
    """Return the compiled network; `layers` holds the sizes of the hidden layers."""
    regularizer = keras.regularizers.L2(l2)
    model = keras.Sequential([keras.Input(input_shape)])
    for units in layers:
        model.add(keras.layers.Dense(units, activation="relu", kernel_regularizer=regularizer))
    model.add(keras.layers.Dense(outputs))
    model.compile(
        optimizer=keras.optimizers.Adam(learning_rate),
        loss="mean_squared_error",
        metrics=["mean_absolute_error"],
    )
    return model
