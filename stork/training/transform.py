"""
From the raw tensors of the schema to what the net takes: one implementation, which becomes part of the exported graph.

Only operations that LiteRT has built in, so that the twin needs nothing else.
"""

from collections import Counter
from dataclasses import dataclass
from typing import Any

import numpy as np

from stork.declaration import Feature
from stork.schema.frozen import Schema, tensor_name
from stork.schema.tensors import Array, Tensors, encoding_table

BUCKETS = 16
WORDS = 50
# What fewer training rows hold cannot be learned: a number beyond counts as the last one that so many rows reach, a
# word as none of those known.
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

    Output shapes: wide (n, wide_width) of zeros and ones, deep (n, deep_width). A missing value is a column of its own
    in the wide half; the deep half gets the average of the known ones, so that not knowing predicts in between.
    """

    def __init__(self, schema: Schema, tensors: Tensors) -> None:
        self.features = schema.features
        self.scales: dict[str, Scale] = {}
        self.vocabularies: dict[str, list[Any]] = {}
        self.shares: dict[str, Array] = {}
        for feature in schema.features:
            column = tensors[tensor_name(feature)].ravel()
            if is_numeric(feature):
                self.scales[feature.name] = fit_scale(feature, column)
            else:
                self.vocabularies[feature.name] = find_vocabulary(feature, column)
                self.shares[feature.name] = find_shares(self.vocabularies[feature.name], column)

    def __call__(self, tensors: dict[str, Any]) -> tuple[Any, Any]:
        import tensorflow as tf

        wide, deep = [], []
        for feature in self.features:
            column = tf.reshape(tensors[tensor_name(feature)], [-1, 1])  # (n,) or (n, 1) -> (n, 1)
            known = None if feature.required else is_known(feature, column)  # (n, 1)
            if feature.name in self.scales:
                above, number = spread_number(self.scales[feature.name], column, known)
                wide.append(above)  # (n, boundaries)
                deep.append(number)  # (n, 1)
            else:
                hot = one_hot(self.vocabularies[feature.name], column)  # (n, vocabulary)
                wide.append(hot)
                deep.append(hot if known is None else tf.where(known, hot, self.shares[feature.name]))
            if known is not None:
                wide.append(1.0 - tf.cast(known, tf.float32))  # (n, 1)
        return tf.concat(wide, 1), tf.concat(deep, 1)


def is_numeric(feature: Feature) -> bool:
    """Whether the feature's size means something: a number, or an integer, but not a code."""
    coded = any(value.encoded is not None for value in feature.values)
    return feature.kind in ("number", "integer") and feature.tensor.dtype != "string" and not coded


def fit_scale(feature: Feature, column: Array) -> Scale:
    """
    The scale of one numeric feature, from its training column, shape (n,); missing values do not count.

    Few values get a boundary each, many get quantiles.
    """
    values = column.astype(np.float64)
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


def find_vocabulary(feature: Feature, column: Array) -> list[Any]:
    """What the tensor holds for each declared value; where none are declared, the most common training words."""
    table = encoding_table(feature)
    if feature.kind != "string":
        return [table[value] for value in [value.value for value in feature.values] or [True, False]]
    words = Counter(word for word in column.tolist() if word != table.get(None))
    return [word for word, count in words.most_common(WORDS) if count >= REACHED_BY] or [b""]


def find_shares(vocabulary: list[Any], column: Array) -> Array:
    """How often each value of the vocabulary occurs among those that do, shape (1, vocabulary)."""
    hot = column[:, None] == np.array(vocabulary, column.dtype)  # (n, vocabulary)
    shares: Array = hot.sum(0, keepdims=True).astype(np.float32) / max(1, int(hot.sum()))
    return shares


def is_known(feature: Feature, column: Any) -> Any:
    """Where the value is not the one that stands for missing, shape (n, 1)."""
    import tensorflow as tf

    missing = encoding_table(feature)[None]
    if isinstance(missing, float) and np.isnan(missing):
        return tf.equal(column, column)  # a NaN equals nothing, not even itself
    return tf.not_equal(column, tf.constant(missing, column.dtype))


def spread_number(scale: Scale, column: Any, known: Any) -> tuple[Any, Any]:
    """Which boundaries a number reaches, shape (n, boundaries), none where missing; and it, scaled, shape (n, 1)."""
    import tensorflow as tf

    number = tf.cast(column, tf.float32)
    if known is not None:
        number = tf.where(known, number, tf.constant(scale.mean, tf.float32))
    number = tf.clip_by_value(number, scale.low, scale.high)
    above = tf.cast(number >= tf.constant([scale.boundaries], tf.float32), tf.float32)  # (n, boundaries)
    if known is not None:
        above = above * tf.cast(known, tf.float32)
    return above, (number - scale.mean) / scale.sd


def one_hot(vocabulary: list[Any], column: Any) -> Any:
    """(n, 1) -> (n, vocabulary): which of the known values it is; all zeros for any other, missing too."""
    import tensorflow as tf

    return tf.cast(tf.equal(column, tf.constant([vocabulary], column.dtype)), tf.float32)
