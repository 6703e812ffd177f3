"""Contributions are exact Shapley values, whatever the model; the curve is the model's own."""

import itertools
import math
from typing import Any

import numpy as np
import pytest
from fakes import FakeBackend, fake_declaration, fake_version
from hypothesis import given
from hypothesis import strategies as st

from stork.declaration import Feature
from stork.errors import BackendError
from stork.schema.tensors import Tensors
from stork.serving.explain import (
    BATCH,
    POINTS,
    Curve,
    Explanation,
    Unexplained,
    draw_curve,
    explain,
    points,
    shapley_values,
)
from stork.serving.loader import LoadedVersion

NUMBERS = ("a", "b", "c")


def coalitions(players: int) -> st.SearchStrategy[np.ndarray[Any, Any]]:
    """The value of every coalition of a game."""
    size = 2**players
    return st.lists(st.floats(-100, 100), min_size=size, max_size=size).map(np.array)


def by_definition(values: np.ndarray[Any, Any]) -> list[float]:
    """The mean over all orders of what each player adds when it joins."""
    players = len(values).bit_length() - 1
    found = [0.0] * players
    for order in itertools.permutations(range(players)):
        coalition = 0
        for player in order:
            found[player] += values[coalition | 1 << player] - values[coalition]
            coalition |= 1 << player
    return [total / math.factorial(players) for total in found]


def version(function: Any, background: Any, count: int = 3) -> LoadedVersion:
    """A model of `count` numbers a, b, c ... from 0 to 10 and one output y."""
    features = [{"name": chr(97 + i), "kind": "number", "range": [0, 10]} for i in range(count)]
    return fake_version(fake_declaration(features, [{"name": "y"}]), function, background)


def linear(tensors: Tensors) -> Tensors:
    """y = a + 2 b + 3 c."""
    return {"y": sum(tensors[name] * np.float32(weight) for name, weight in zip(NUMBERS, (1, 2, 3), strict=True))}


def row(a: float, b: float, c: float) -> dict[str, Any]:
    return {"a": a, "b": b, "c": c}


@given(coalitions(4))
def test_shapley_values_are_the_mean_over_all_orders(values: np.ndarray[Any, Any]) -> None:
    """The weighted sum over coalitions is the definition over permutations."""
    assert shapley_values(values) == pytest.approx(by_definition(values), abs=1e-9)


@given(coalitions(5))
def test_contributions_add_up(values: np.ndarray[Any, Any]) -> None:
    """Efficiency: nothing is lost between the average and the prediction."""
    assert shapley_values(values).sum() == pytest.approx(values[-1] - values[0], abs=1e-9)


@given(coalitions(3))
def test_a_player_that_changes_nothing_contributes_nothing(smaller: np.ndarray[Any, Any]) -> None:
    """Dummy: a fourth player that adds nothing to any coalition gets 0, and the others keep what they had."""
    with_dummy = np.concatenate([smaller, smaller])

    assert shapley_values(with_dummy) == pytest.approx([*shapley_values(smaller), 0.0], abs=1e-9)


@given(coalitions(4))
def test_players_that_do_the_same_contribute_the_same(values: np.ndarray[Any, Any]) -> None:
    """Symmetry: two players that can stand for each other everywhere get equal shares."""
    swapped = [code & ~3 | (code & 1) << 1 | (code & 2) >> 1 for code in range(len(values))]
    symmetric = (values + values[swapped]) / 2

    first, second, *_ = shapley_values(symmetric)
    assert first == pytest.approx(second, abs=1e-9)


def test_a_linear_model_is_explained_by_its_weights() -> None:
    """For a linear model each contribution is its weight times the distance from the background's mean."""
    found = explain(version(linear, [row(0, 0, 0), row(2, 4, 6)]), row(5, 5, 5))

    assert isinstance(found, Explanation)
    assert found.contributions == pytest.approx({"a": 4.0, "b": 6.0, "c": 6.0})
    assert (found.base, found.prediction, found.examples) == (14.0, 30.0, 2)


@pytest.mark.parametrize("kind", ["boolean", "category", "string"])
def test_any_kind_of_feature_is_explained(kind: str) -> None:
    """Coalitions are mixed from tensors, so strings, flags and codes are as good as numbers, in any declared shape."""
    values = [{"value": "x"}, {"value": "y"}] if kind == "category" else []
    dtype = "float32" if kind == "boolean" else "string"
    tensor = {"dtype": dtype, "shape": [-1, 1], "missing": math.nan if kind == "boolean" else ""}
    feature = {"name": "f", "kind": kind, "values": values, "tensor": tensor, "required": False}
    declaration = fake_declaration([feature], [{"name": "y", "tensor": {"shape": [-1, 1]}}])
    one, other = {"boolean": (True, False), "category": ("x", "y"), "string": ("x", "z")}[kind]
    wanted: Any = 1.0 if kind == "boolean" else b"x"
    loaded = fake_version(declaration, lambda t: {"y": (t["f"] == wanted).astype(np.float32)}, [{"f": other}, {}])

    found = explain(loaded, {"f": one})

    assert isinstance(found, Explanation)
    assert found.contributions == {"f": 1.0}


def test_a_model_is_called_with_few_rows_at_once() -> None:
    """Ten features and a hundred examples go through the model in calls of bounded size."""
    loaded = version(
        lambda t: {"y": np.float32(sum(t.values()))}, [{chr(97 + i): i for i in range(10)}] * 150, count=10
    )
    explain(loaded, {chr(97 + i): 1 for i in range(10)})

    assert isinstance(loaded.local, FakeBackend)
    assert max(loaded.local.rows) <= BATCH
    assert sum(loaded.local.rows) == 2**10 * 100


def failing(tensors: Tensors) -> Tensors:
    raise BackendError("it is broken")


def version_of_texts() -> LoadedVersion:
    """A model that predicts a string."""
    output = {"name": "y", "tensor": {"dtype": "string"}}
    return fake_version(fake_declaration([{"name": "a", "kind": "number"}], [output]), linear)


@pytest.mark.parametrize(
    ("loaded", "reason"),
    [
        (version(linear, []), "without background"),
        (version(lambda t: {"y": t["a"]}, [{}], count=11), "takes 11 values"),
        (version(failing, [row(1, 1, 1)]), "it is broken"),
        (version(linear, [row(99, 1, 1)]), "expected 0 to 10"),
        (version_of_texts(), "single number"),
    ],
)
def test_says_why_there_is_no_explanation(loaded: LoadedVersion, reason: str) -> None:
    """Where contributions cannot be computed a person reads why, and the prediction stands."""
    found = explain(loaded, row(1, 1, 1))

    assert isinstance(found, Unexplained)
    assert reason in found.reason


def test_the_curve_is_the_model_along_one_feature() -> None:
    """Each point is the prediction for the instance with that one value changed."""
    loaded = version(linear, [])

    curve = draw_curve(loaded, row(5, 1, 1), loaded.decoder.features["a"])

    assert isinstance(curve, Curve)
    assert curve.predictions == pytest.approx([value + 5 for value in curve.values])
    assert curve.own == 5


@pytest.mark.parametrize(
    "feature",
    [Feature(name="a", kind="number"), Feature(name="nowhere", kind="number", range=(0, 1))],
    ids=["without a range", "that the version does not have"],
)
def test_no_curve_along_a_feature(feature: Feature) -> None:
    """A curve needs a range and a feature of this version."""
    assert draw_curve(version(linear, []), row(1, 1, 1), feature) is None


@given(low=st.integers(-1000, 1000), span=st.integers(0, 500), whole=st.booleans(), share=st.floats(0, 1))
def test_points_span_the_range_and_hold_the_own_value(low: int, span: int, whole: bool, share: float) -> None:
    """Both ends and the person's own value are among the points, in order; an integer has whole ones only."""
    feature = Feature(name="f", kind="integer" if whole else "number", range=(low, low + span))
    own = low + round(span * share) if whole else low + span * share

    found = points(feature, own)

    assert found == sorted(set(found)) and {low, own, low + span} <= set(found)
    assert len(found) <= POINTS + 1 and (not whole or all(float(value).is_integer() for value in found))
