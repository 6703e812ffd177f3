"""
Why a prediction is what it is: exact Shapley values; and what it would be along one feature.

The value of a coalition S of features is the mean prediction over the background with S taken from the instance
(interventional Shapley values: Lundberg and Lee 2017, https://arxiv.org/abs/1705.07874). All coalitions are computed,
so the contributions add up to the prediction exactly, up to float32.
"""

import math
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from stork.declaration import Feature, Output
from stork.errors import StorkError
from stork.schema.feature import is_missing
from stork.schema.frozen import numeric_limits, tensor_name
from stork.schema.tensors import Tensors
from stork.serving.loader import LoadedVersion, count_rows

MOST_FEATURES = 10
BATCH = 2048  # rows per call: larger batches only cost memory
POINTS = 61


@dataclass(frozen=True)
class Explanation:
    """`base` + the sum of `contributions` (by feature name, in the output's unit) is `prediction`."""

    output: Output
    base: float
    prediction: float
    contributions: dict[str, float]


@dataclass(frozen=True)
class Curve:
    """The prediction at each of `values` of one feature, everything else as it is; `own` is the instance's value."""

    feature: Feature
    output: Output
    values: list[float]
    predictions: list[float]
    own: float | None


def explained_output(loaded: LoadedVersion) -> Output | None:
    """The output that explanations are about: the first that is one number."""
    numbers = (o for o in loaded.schema.outputs if o.tensor.dtype != "string" and o.tensor.shape in ((-1,), (-1, 1)))
    return next(numbers, None)


def explain(loaded: LoadedVersion, instance: dict[str, Any]) -> Explanation | str:
    """The contribution of every feature, or the sentence that says why there is none."""
    features, output = loaded.schema.features, explained_output(loaded)
    if output is None:
        return "The model does not predict a number, so there is nothing to divide among the features."
    if len(features) > MOST_FEATURES:
        return (
            f"With {len(features)} features there are too many combinations to compute exactly; "
            f"up to {MOST_FEATURES} are explained."
        )
    if not loaded.background:
        return "This version came without background examples to compare with."
    try:
        one = loaded.decoder.decode([instance]).tensors
        background = loaded.decoder.decode(loaded.background).tensors
        values = coalition_values(loaded, one, background, output)
    except StorkError as error:
        return f"The prediction could not be explained: {error}"
    contributions = shapley_values(values)
    named = {feature.name: float(value) for feature, value in zip(features, contributions, strict=True)}
    return Explanation(output, float(values[0]), float(values[-1]), named)


def coalition_values(
    loaded: LoadedVersion, one: Tensors, background: Tensors, output: Output
) -> npt.NDArray[np.float64]:
    """Mean prediction of every coalition, shape (2^d,); bit j of the index: feature j is the instance's."""
    names = [tensor_name(feature) for feature in loaded.schema.features]
    rows = count_rows(background)
    codes = np.arange(2 ** len(names))
    values = np.empty(len(codes))
    at_once = max(1, BATCH // rows)
    for start in range(0, len(codes), at_once):
        chunk = codes[start : start + at_once]
        mixed = {}
        for bit, name in enumerate(names):
            chosen = np.repeat(chunk >> bit & 1 == 1, rows)  # (c,) -> (c * rows,)
            repeated = np.concatenate([background[name]] * len(chunk))  # (rows, ...) -> (c * rows, ...)
            mixed[name] = np.where(chosen.reshape(-1, *[1] * (repeated.ndim - 1)), one[name], repeated)
        predicted = loaded.predict(mixed)[output.name].reshape(len(chunk), rows)  # (c * rows, ...) -> (c, rows)
        values[start : start + at_once] = predicted.mean(axis=1, dtype=np.float64)
    return values


def shapley_values(values: npt.NDArray[np.float64]) -> npt.NDArray[np.float64]:
    """
    Each player's Shapley value, shape (d,), from the value of every coalition, shape (2^d,).

    phi_j = sum over S without j of |S|! (d - |S| - 1)! / d! x (v(S + j) - v(S)).

    >>> shapley_values(np.array([0.0, 1.0, 2.0, 5.0]))
    array([2., 3.])
    """
    players = len(values).bit_length() - 1
    codes = np.arange(len(values))
    sizes = np.array([code.bit_count() for code in range(len(values))])
    weights = np.array(
        [math.factorial(s) * math.factorial(players - s - 1) / math.factorial(players) for s in range(players)]
    )
    found = np.empty(players)
    for player in range(players):
        without = codes[codes >> player & 1 == 0]
        found[player] = np.sum(weights[sizes[without]] * (values[without | 1 << player] - values[without]))
    return found


def draw_curve(loaded: LoadedVersion, instance: dict[str, Any], name: str) -> Curve | None:
    """The prediction along the feature `name`; None where there is no such numeric feature, or it cannot be drawn."""
    feature, output = loaded.decoder.features.get(name), explained_output(loaded)
    if feature is None or output is None or feature.range is None:
        return None
    values = list(points(feature))
    try:
        tensors = loaded.decoder.decode([{**instance, name: value} for value in values]).tensors
        predicted = loaded.predict(tensors)[output.name].ravel()
    except StorkError:
        return None
    own = instance.get(name)
    return Curve(feature, output, values, [float(p) for p in predicted], None if is_missing(own) else own)


def points(feature: Feature) -> Iterator[float]:
    """At most 61 values over the feature's range, both ends among them; whole ones for an integer."""
    low, high = numeric_limits(feature)
    if feature.kind != "integer":
        yield from np.linspace(low, high, POINTS).tolist()
        return
    low, high = math.ceil(low), math.floor(high)
    yield from sorted({round(value) for value in np.linspace(low, high, min(POINTS, high - low + 1))})
