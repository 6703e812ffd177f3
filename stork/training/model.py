"""
The net: wide and deep, as in Cheng et al. 2016 (https://arxiv.org/abs/1606.07792).

The wide half is linear in one-hot columns and remembers; the deep half generalises.
"""

from typing import Any

from stork.declaration import Training


def build_model(wide_width: int, deep_width: int, training: Training) -> Any:
    """
    A Keras model from [wide (n, wide_width), deep (n, deep_width)] to the label in standard deviations, shape (n, 1).
    """
    import keras

    wide = keras.Input((wide_width,), name="wide")
    deep = keras.Input((deep_width,), name="deep")
    hidden = deep
    for units in training.units:
        hidden = keras.layers.Dense(units, activation="relu")(hidden)  # (n, units)
    linear = keras.layers.Dense(1, use_bias=False, kernel_regularizer=keras.regularizers.L2(1e-4))(wide)  # (n, 1)
    return keras.Model([wide, deep], keras.layers.Add()([linear, keras.layers.Dense(1)(hidden)]))
