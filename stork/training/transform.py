"""
From the raw tensors of the schema to what the net takes: one implementation, which becomes part of the exported graph.

Only operations that LiteRT has built in, so that the twin needs nothing else.
"""

from dataclasses import dataclass
from typing import Any

import numpy as np

from stork.declaration import Feature
from stork.schema.frozen import Schema, tensor_name
from stork.schema.tensors import Tensors, encoding_table

BUCKETS = 16
# Of a number beyond the values that this many training rows reach nothing can be learned: it counts as the last of them.
REACHED_BY = 5


@dataclass(frozen=True)
class Scale:
    """What the training split says of a numeric feature: mean, standard deviation, reach, inner bucket boundaries."""

    mean: float
    sd: float
    low: float
    high: float
    boundaries: tuple[float, ...]


class Transform:
    """
    Fitted once on the training split; then a function from raw tensors to (wide, deep) inputs.

    Output shapes: wide (n, wide_width) of zeros and ones, deep (n, deep_width).
    """

    def __init__(self, schema: Schema, tensors: Tensors) -> None:
        self.features = schema.features
        self.scales = {f.name: fit_scale(f, tensors[tensor_name(f)]) for f in schema.features if is_numeric(f)}

    def __call__(self, tensors: dict[str, Any]) -> tuple[Any, Any]:
        import tensorflow as tf

        wide, deep = [], []
        for feature in self.features:
            column = tf.reshape(tensors[tensor_name(feature)], [-1, 1])  # (n,) or (n, 1) -> (n, 1)
            known = is_known(feature, column)  # (n, 1)
            if feature.name in self.scales:
                scale = self.scales[feature.name]
                number = tf.where(known, tf.cast(column, tf.float32), tf.fill(tf.shape(column), scale.mean))
                number = tf.clip_by_value(number, scale.low, scale.high)
                deep.append((number - scale.mean) / scale.sd)  # (n, 1)
                above = tf.cast(number >= tf.constant([scale.boundaries], tf.float32), tf.float32)  # (n, buckets)
                wide.append(above * tf.cast(known, tf.float32))
            elif feature.values or feature.kind == "boolean":
                hot = one_hot(feature, column)  # (n, k)
                wide.append(hot)
                deep.append(hot)
            wide.append(1.0 - tf.cast(known, tf.float32))
            deep.append(1.0 - tf.cast(known, tf.float32))
        return tf.concat(wide, 1), tf.concat(deep, 1)


def is_numeric(feature: Feature) -> bool:
    """Whether the feature's size means something: a number, or an integer, but not a code."""
    return feature.kind in ("number", "integer") and feature.tensor.dtype != "string"


def fit_scale(feature: Feature, column: Any) -> Scale:
    """
    The scale of one numeric feature, from its training column; missing values do not count.

    Few values get a boundary each, many get quantiles.
    """
    values = np.asarray(column, np.float64).ravel()
    missing = feature.tensor.missing
    known = np.sort(values[~np.isnan(values) & (values != missing)] if missing is not None else values)
    if len(known) < 2 * REACHED_BY:
        return Scale(0.0, 1.0, 0.0, 0.0, (0.0,))
    known = np.clip(known, known[REACHED_BY - 1], known[-REACHED_BY])
    boundaries = np.unique(known)[1:]
    if len(boundaries) > BUCKETS:
        boundaries = np.unique(np.quantile(known, np.linspace(0, 1, BUCKETS + 2)[1:-1]))
    low, high, sd = float(known[0]), float(known[-1]), float(known.std()) or 1.0
    return Scale(float(known.mean()), sd, low, high, tuple(boundaries.tolist()) or (low,))


def is_known(feature: Feature, column: Any) -> Any:
    """Where the value is not the one that stands for missing, shape (n, 1)."""
    import tensorflow as tf

    missing = feature.tensor.missing
    if feature.required or missing is None:
        return tf.ones_like(column, tf.bool)
    if isinstance(missing, float) and np.isnan(missing):
        return tf.equal(column, column)  # a NaN equals nothing, not even itself
    return tf.not_equal(column, tf.constant(missing, column.dtype))


def one_hot(feature: Feature, column: Any) -> Any:
    """(n, 1) -> (n, k): which of the declared values it is; all zeros for any other."""
    import tensorflow as tf

    table = encoding_table(feature)
    values = [value.value for value in feature.values] or [True, False]
    return tf.cast(tf.equal(column, tf.constant([[table[value] for value in values]], column.dtype)), tf.float32)
