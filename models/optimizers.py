"""A small network whose optimizer is a hyperparameter; `momentum` is one of SGD's only."""

import keras


def build_model(
    input_shape: tuple[int, ...],
    outputs: int,
    *,
    optimizer: str,
    learning_rate: float,
    momentum: float = 0.0,
    units: int,
) -> keras.Model:
    """Return the compiled network; points without `momentum` leave it at its default."""
    model = keras.Sequential(
        [
            keras.Input(input_shape),
            keras.layers.Dense(units, activation="relu"),
            keras.layers.Dense(outputs, activation="softmax"),
        ]
    )
    chosen = keras.optimizers.get(optimizer)
    chosen.learning_rate = learning_rate
    if optimizer == "sgd":
        chosen = keras.optimizers.SGD(learning_rate, momentum=momentum)
    model.compile(
        optimizer=chosen,
        loss="categorical_crossentropy",
        metrics=["categorical_accuracy"],
    )
    return model
