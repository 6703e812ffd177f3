"""
Why a prediction is what it is: exact Shapley values; and what it would be along one feature.

The value of a coalition S of features is the mean prediction over the background with S taken from the instance
(interventional Shapley values: Lundberg and Lee 2017, https://arxiv.org/abs/1705.07874). All coalitions are computed,
so the contributions add up to the prediction exactly, up to float32.
"""

import math
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from stork.declaration import Feature, Output
from stork.errors import StorkError
from stork.schema.feature import is_missing
from stork.schema.frozen import Schema, numeric_limits, tensor_name
from stork.schema.tensors import Tensors
from stork.serving.loader import LoadedVersion, count_rows

MOST_FEATURES = 10
MOST_BACKGROUND = 100  # instances; with ten features that is 102,400 rows through the model
BATCH = 2048  # rows per call: larger batches only cost memory
POINTS = 61
SINGLE = ((-1,), (-1, 1))


@dataclass(frozen=True)
class Explanation:
    """
    `base`, the mean prediction over `examples` background instances, plus the sum of `contributions` is `prediction`.

    All in the unit of the output named; contributions by feature name.
    """

    output: str
    base: float
    prediction: float
    contributions: dict[str, float]
    examples: int


@dataclass(frozen=True)
class Unexplained:
    """There are no contributions, and a sentence that says why."""

    reason: str


@dataclass(frozen=True)
class Curve:
    """The prediction at each of `values` of one feature, all else as it is; `own` is the instance's, if it has one."""

    feature: str
    output: str
    values: list[float]
    predictions: list[float]
    own: float | None


def explained_output(schema: Schema) -> Output | None:
    """The output that explanations are about: the first that is one number."""
    numbers = (o for o in schema.outputs if o.tensor.dtype not in ("string", "bool") and o.tensor.shape in SINGLE)
    return next(numbers, None)


def explain(loaded: LoadedVersion, instance: dict[str, Any]) -> Explanation | Unexplained:
    """The contribution of every feature, or why there is none."""
    obstacle = find_obstacle(loaded.schema, loaded.background)
    if obstacle:
        return Unexplained(obstacle)
    try:
        return attribute(loaded, instance)
    except StorkError as error:
        return Unexplained(f"The contributions could not be computed: {error}.")


def find_obstacle(schema: Schema, background: list[dict[str, Any]]) -> str:
    """Why no prediction of a version with this schema and background can be explained; empty where they can."""
    features = schema.features
    if explained_output(schema) is None:
        return "This model does not predict a single number, so nothing can be divided among the values."
    if len(features) > MOST_FEATURES:
        return (
            f"This model takes {len(features)} values. Exact contributions are computed for up to {MOST_FEATURES}: "
            "beyond that there are too many combinations."
        )
    if not background:
        return "This version came without background examples to compare these values with."
    return ""


def count_rows_asked(loaded: LoadedVersion) -> int:
    """The rows that the model answers for one explanation: the background's, once for every coalition."""
    return (1 << len(loaded.schema.features)) * len(loaded.background[:MOST_BACKGROUND])


def attribute(loaded: LoadedVersion, instance: dict[str, Any], deadline: float = math.inf) -> Explanation:
    """
    The contribution of every feature, by a version without an obstacle.

    Raises:
        StorkError: the instance is refused, or the model does not answer before the deadline.
    """
    output = explained_output(loaded.schema)
    assert output is not None
    one = loaded.decoder.decode([instance]).tensors
    background = loaded.decoder.decode(loaded.background[:MOST_BACKGROUND]).tensors
    values = coalition_values(loaded, one, background, output, deadline)
    contributions = shapley_values(values)
    named = {f.name: float(value) for f, value in zip(loaded.schema.features, contributions, strict=True)}
    return Explanation(output.name, float(values[0]), float(values[-1]), named, count_rows(background))


def coalition_values(
    loaded: LoadedVersion, one: Tensors, background: Tensors, output: Output, deadline: float = math.inf
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
        predicted = loaded.predict(mixed, deadline)[output.name].reshape(
            len(chunk), rows
        )  # (c * rows, ...) -> (c, rows)
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


def draw_curve(loaded: LoadedVersion, instance: dict[str, Any], feature: Feature) -> Curve | None:
    """The prediction over the range of a numeric feature; None where it has none, or no number is predicted."""
    output = explained_output(loaded.schema)
    if output is None or feature.range is None or feature.name not in loaded.decoder.features:
        return None
    own = instance.get(feature.name)
    own = None if is_missing(own) else own
    values = points(feature, own)
    try:
        tensors = loaded.decoder.decode([{**instance, feature.name: value} for value in values]).tensors
        predicted = loaded.predict(tensors)[output.name].ravel()  # (n,) or (n, 1) -> (n,)
    except StorkError:
        return None
    return Curve(feature.name, output.name, values, [float(p) for p in predicted], own)


def points(feature: Feature, own: float | None = None) -> list[float]:
    """
    At most 61 values over the feature's range, both ends among them, and `own`; whole ones for an integer.

    >>> points(Feature(name="rooms", kind="integer", range=(1, 4)))
    [1, 2, 3, 4]
    """
    low, high = numeric_limits(feature)
    if feature.kind == "integer":
        low, high = math.ceil(low), math.floor(high)
        count = max(1, min(POINTS, high - low + 1))
        found: set[float] = {round(value) for value in np.linspace(low, high, count)}
    else:
        found = set(np.linspace(low, high, POINTS).tolist())
    return sorted(found if own is None else found | {own})
