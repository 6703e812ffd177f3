"""Rows to try a model with, made from nothing but its schema: ends of the domain, its middle, missing values."""

import itertools
import random
from typing import Any

import numpy as np

from stork.declaration import Feature
from stork.schema.decode import Decoder, default_value
from stork.schema.frozen import Schema, dtype_limits, tensor_name
from stork.schema.instances import Instances
from stork.schema.tensors import Array, Tensors, compile_encoder

MAX_PATTERNS = 1024
# Where the domain is not declared, rows grow wilder: the first are the likeliest to mean something to the model.
SCALES = (1, 1, 3, 10, 100, 1000)
WORDS = (("a", "b", ""), ("0", "1", "12.5"), ("unknown", "A b", "café 東京"))
MISSING_SHARE = 0.2


def probe_rows(schema: Schema, rows: int, seed: int = 1) -> Instances:
    """
    Checked instances over the schema's domain, always the same for the same arguments.

    The first three hold every feature's default, lowest and highest value; the others are drawn. From a feature with
    a vocabulary every value is drawn sooner or later; one that may be missing sometimes is.
    """
    draw = random.Random(seed)
    instances: list[dict[str, Any]] = [
        {feature.name: value for feature in schema.features if (value := draw_value(feature, row, draw)) is not None}
        for row in range(rows)
    ]
    return Decoder(schema, rows).decode(instances, "probe")


def draw_value(feature: Feature, row: int, draw: random.Random) -> Any:
    """A value for the row of this number; None leaves the feature out."""
    if row == 0:
        return default_value(feature)
    if not feature.required and row > 2 and draw.random() < MISSING_SHARE:
        return None
    if feature.kind == "boolean":
        return row % 2 == 0 if row < 3 else draw.random() < 0.5
    if feature.values:
        known = [value.value for value in feature.values]
        return known[{1: 0, 2: -1}.get(row, draw.randrange(len(known)))]
    if feature.kind == "string":
        words = WORDS[row % len(WORDS)]
        return words[draw.randrange(len(words))]
    return draw_number(feature, row, draw)


def draw_number(feature: Feature, row: int, draw: random.Random) -> float | int:
    """A number of the declared range, its ends among them; without one, of about the row's scale."""
    low, high = dtype_limits(feature.tensor)
    scale = SCALES[row % len(SCALES)]
    drawn_low, drawn_high = feature.range or (max(low, -scale if scale > 3 else 0), min(high, scale))
    if row in (1, 2):
        return whole_or(feature, (drawn_low, drawn_high)[row - 1], drawn_low)
    if feature.range and draw.random() < 0.1:
        return whole_or(feature, draw.choice(feature.range), drawn_low)
    return whole_or(feature, draw.uniform(drawn_low, drawn_high), drawn_low)


def whole_or(feature: Feature, value: float, low: float) -> float | int:
    """The value; for an integer the nearest whole number below it that is still in the range."""
    if feature.kind != "integer":
        return value
    return max(int(value // 1), -int(-low // 1))


def with_missing(schema: Schema, probe: Tensors) -> Tensors:
    """
    The probe, and below it rows in which every combination of missing features occurs that the schema lets through.

    Of more than ten optional features: none, all, and each one and two of them, at most 1024 combinations.
    """
    optional = [feature for feature in schema.features if not feature.required]
    if not optional:
        return probe
    patterns = missing_patterns([feature.name for feature in optional])
    rows = len(next(iter(probe.values())))
    chosen = np.arange(len(patterns)) % rows
    extended = {}
    for feature in schema.features:
        name = tensor_name(feature)
        added = probe[name][chosen]
        if not feature.required:
            missing = compile_encoder(feature)([None])
            present = present_values(feature, probe[name], missing)
            added = present[np.arange(len(patterns)) % len(present)]
            added[[feature.name in pattern for pattern in patterns]] = missing[0]
        extended[name] = np.concatenate([probe[name], added])
    return extended


def missing_patterns(names: list[str]) -> list[frozenset[str]]:
    """Combinations of features that are missing together."""
    sizes = range(len(names) + 1) if 2 ** len(names) <= MAX_PATTERNS else (0, len(names), 1, 2)
    patterns = itertools.chain.from_iterable(itertools.combinations(names, size) for size in sizes)
    return [frozenset(pattern) for pattern in itertools.islice(patterns, MAX_PATTERNS)]


def present_values(feature: Feature, column: Array, missing: Array) -> Array:
    """The rows of a column that are not missing; where none is, the feature's default."""
    is_missing = column == missing[0]
    if column.dtype.kind == "f" and np.isnan(missing).all():
        is_missing = np.isnan(column)
    present: Array = column[~is_missing.reshape(len(column))]
    return present if len(present) else compile_encoder(feature)([default_value(feature)])
