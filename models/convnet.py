"""A small convolutional network for images: two convolutions, one hidden layer, softmax."""

import keras


def build_model(
    input_shape: tuple[int, ...],
    outputs: int,
    *,
    filters: int,
    kernel_size: int,
    dropout: float,
    learning_rate: float,
) -> keras.Model:
    """Return the compiled network; `input_shape` is (height, width, channels)."""
    model = keras.Sequential(
        [
            keras.Input(input_shape),
            keras.layers.Conv2D(filters, kernel_size, padding="same", activation="relu"),
            keras.layers.MaxPooling2D(),
            keras.layers.Conv2D(2 * filters, kernel_size, padding="same", activation="relu"),
            keras.layers.GlobalAveragePooling2D(),
            keras.layers.Dropout(dropout),
            keras.layers.Dense(outputs, activation="softmax"),
        ]
    )
    model.compile(
        optimizer=keras.optimizers.Adam(learning_rate),
        loss="sparse_categorical_crossentropy",
        metrics=["accuracy"],
    )
    return model
