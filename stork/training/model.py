"""
The net: wide and deep, as in Cheng et al. 2016 (https://arxiv.org/abs/1606.07792).

The wide half is linear in columns of zeros and ones and remembers; the deep half generalises.
"""

from typing import Any

import numpy as np

from stork.declaration import Training


def build_model(wide_width: int, deep_width: int, training: Training, limits: tuple[float, float]) -> Any:
    """
    A Keras model from [wide (n, wide_width), deep (n, deep_width)] to the label in standard deviations, shape (n, 1).

    `limits` are those of the label, in standard deviations too; infinite where there are none.
    """
    import keras

    wide = keras.Input((wide_width,), name="wide")
    deep = keras.Input((deep_width,), name="deep")
    hidden = deep
    for units in training.units:
        hidden = keras.layers.Dense(units, activation="relu")(hidden)  # (n, units)
    linear = keras.layers.Dense(1, use_bias=False, kernel_regularizer=keras.regularizers.L2(training.l2))(
        wide
    )  # (n, 1)
    score = keras.layers.Add()([linear, keras.layers.Dense(1)(hidden)])  # (n, 1)
    return keras.Model([wide, deep], bend_inside(score, *limits))


def bend_inside(score: Any, low: float, high: float) -> Any:
    """
    The score where it is far from the limits, bent smoothly inside where it is near or beyond them.

    A hard clip would answer exactly 0 for a whole corner of the domain, and teach nothing there.
    """
    if np.isfinite(low):
        score = low + softplus(score - low)
    if np.isfinite(high):
        score = high - softplus(high - score)
    return score


def softplus(x: Any) -> Any:
    """log(1 + e^x), without overflow, in operations that LiteRT has built in."""
    from keras import ops

    return ops.relu(x) + ops.log(1.0 + ops.exp(-ops.abs(x)))
