"""
From the raw tensors of the schema to what the net takes: one implementation, which becomes part of the exported graph.

Only operations that LiteRT has built in, so that the twin needs nothing else.
"""

from collections import Counter
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import msgspec
import numpy as np

from stork.data.sources import Rows
from stork.data.spans import Span
from stork.declaration import Feature
from stork.errors import DataError
from stork.schema.frozen import NUMPY_DTYPES, Schema, tensor_name
from stork.schema.tensors import Array, Tensors, compile_encoder, encode_columns, encoding_table
from stork.store.version import SpanUsed

FILE = "transform.json"
BUCKETS = 16
WORDS = 50
# What fewer training rows hold cannot be learned: a number beyond counts as the last one that so many rows reach, a
# word as none of those known.
REACHED_BY = 5


class Scale(msgspec.Struct, frozen=True, tag_field="encoding", tag="number"):
    """
    What the training split says of a numeric feature: mean, standard deviation, reach, inner bucket boundaries.

    `known` counts the rows that it was fitted on: those that do not lack the value.
    """

    mean: float
    sd: float
    low: float
    high: float
    boundaries: tuple[float, ...]
    known: int


class Vocabulary(msgspec.Struct, frozen=True, tag_field="encoding", tag="one_hot"):
    """What the tensor of any other feature holds, and the share of each value among the `known` rows."""

    values: tuple[bool | int | float | str, ...]
    shares: tuple[float, ...]
    known: int


class LabelScale(msgspec.Struct, frozen=True):
    """Mean and standard deviation of the label, in its own unit."""

    name: str
    mean: float
    sd: float

    def standardise(self, label: Array) -> Array:
        """The label in standard deviations, shape (n,)."""
        scaled: Array = ((label - self.mean) / self.sd).astype(np.float32)
        return scaled


class Constants(msgspec.Struct, frozen=True, kw_only=True):
    """transform.json: what was fitted on the training split of `spans`, `rows` rows, for the schema of this hash."""

    model: str
    schema: str
    rows: int
    spans: tuple[SpanUsed, ...] = ()
    features: dict[str, Scale | Vocabulary]
    label: LabelScale


def encode_rows(schema: Schema, rows: Rows) -> Tensors:
    """The rows as the tensors a request would become."""
    return encode_columns([(f.name, tensor_name(f), compile_encoder(f)) for f in schema.features], rows.columns)


def fit_constants(schema: Schema, label: str, rows: Rows, spans: tuple[SpanUsed, ...] = ()) -> Constants:
    """
    The constants of a transform, from the training split alone.

    Raises:
        DataError: there is no row.
    """
    if not len(rows):
        raise DataError(f"{schema.model}: expected rows to fit the transform on, received none in train")
    tensors = encode_rows(schema, rows)
    features: dict[str, Scale | Vocabulary] = {}
    for feature in schema.features:
        column = tensors[tensor_name(feature)].ravel()
        fit = fit_scale if is_numeric(feature) else fit_vocabulary
        features[feature.name] = fit(feature, column)
    scale = LabelScale(label, float(rows.label.mean()), float(rows.label.std()) or 1.0)
    return Constants(
        model=schema.model, schema=schema.hash, rows=len(rows), spans=spans, features=features, label=scale
    )


def read_constants(folder: Path, schema: Schema, spans: Sequence[Span]) -> Constants:
    """
    The constants that the step `transform` left in `folder`.

    Raises:
        DataError: there are none, or they were fitted for other features or outputs, or on other spans.
    """
    path = folder / FILE
    try:
        constants = msgspec.json.decode(path.read_bytes(), type=Constants)
    except (OSError, msgspec.MsgspecError) as error:
        raise DataError(f"{path}: {error}") from error
    hint = f"`stork transform {schema.model}` fits them anew"
    if constants.schema != schema.hash:
        raise DataError(
            f"{path}: expected constants for the schema {schema.hash}, received those for {constants.schema}; {hint}"
        )
    if constants.spans != tuple(span.used for span in spans):
        expected = ", ".join(str(span.number) for span in spans)
        received = ", ".join(str(used.span) for used in constants.spans)
        raise DataError(
            f"{path}: expected constants of the spans {expected}, as they are now, received those of {received}; {hint}"
        )
    return constants


class Transform:
    """
    A function from raw tensors to (wide, deep) inputs, with the constants that were fitted on the training split.

    Output shapes: wide (n, wide_width) of zeros and ones, deep (n, deep_width). A missing value is a column of its own
    in the wide half; the deep half gets the average of the known ones, so that not knowing predicts in between.
    """

    def __init__(self, schema: Schema, constants: Constants) -> None:
        self.features = schema.features
        self.constants = constants

    def __call__(self, tensors: dict[str, Any]) -> tuple[Any, Any]:
        import tensorflow as tf

        wide, deep = [], []
        for feature in self.features:
            column = tf.reshape(tensors[tensor_name(feature)], [-1, 1])  # (n,) or (n, 1) -> (n, 1)
            known = None if feature.required else is_known(feature, column)  # (n, 1)
            fitted = self.constants.features[feature.name]
            if isinstance(fitted, Scale):
                above, number = spread_number(fitted, column, known)
                wide.append(above)  # (n, boundaries)
                deep.append(number)  # (n, 1)
            else:
                hot = one_hot(tensor_values(feature, fitted), column)  # (n, vocabulary)
                wide.append(hot)
                deep.append(hot if known is None else tf.where(known, hot, tf.constant([fitted.shares], tf.float32)))
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
        return Scale(0.0, 1.0, 0.0, 0.0, (0.0,), len(known))
    known = np.clip(known, known[REACHED_BY - 1], known[-REACHED_BY])
    boundaries = np.unique(known)[1:]
    if len(boundaries) > BUCKETS:
        boundaries = np.unique(np.quantile(known, np.linspace(0, 1, BUCKETS + 2)[1:-1]))
    low, high, sd = float(known[0]), float(known[-1]), float(known.std()) or 1.0
    return Scale(float(known.mean()), sd, low, high, tuple(boundaries.tolist()) or (low,), len(known))


def fit_vocabulary(feature: Feature, column: Array) -> Vocabulary:
    """The vocabulary of a feature, and how often each value occurs among those that do in its column, shape (n,)."""
    held = find_values(feature, column)
    hot = column[:, None] == np.array(held, column.dtype)  # (n, vocabulary)
    known = int(hot.sum())
    shares = hot.sum(0).astype(np.float32) / max(1, known)
    values = tuple(value.decode() if isinstance(value, bytes) else value for value in held)
    return Vocabulary(values, tuple(shares.tolist()), known)


def find_values(feature: Feature, column: Array) -> list[Any]:
    """What the tensor holds for each declared value; where none are declared, the most common training words."""
    table = encoding_table(feature)
    if feature.kind != "string":
        return [table[value] for value in [value.value for value in feature.values] or [True, False]]
    words = Counter(word for word in column.tolist() if word != table.get(None))
    return [word for word, count in words.most_common(WORDS) if count >= REACHED_BY] or [b""]


def tensor_values(feature: Feature, vocabulary: Vocabulary) -> Array:
    """The vocabulary as the feature's tensor holds it, shape (vocabulary,)."""
    held = [value.encode() if isinstance(value, str) else value for value in vocabulary.values]
    return np.array(held, NUMPY_DTYPES[feature.tensor.dtype])


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


def one_hot(values: Array, column: Any) -> Any:
    """(n, 1) -> (n, vocabulary): which of the known values it is; all zeros for any other, missing too."""
    import tensorflow as tf

    return tf.cast(tf.equal(column, tf.constant(values[None], column.dtype)), tf.float32)
