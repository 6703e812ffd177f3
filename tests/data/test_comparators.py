"""The measures of difference are those of TensorFlow Data Validation."""

import math
from collections.abc import Callable
from dataclasses import dataclass

import pytest
from hypothesis import given
from hypothesis import strategies as st

from stork.data.comparators import js_of_counts, js_of_histograms, l_infinity, normalized_difference
from stork.data.statistics import Bucket
from stork.errors import DataError

Measure = Callable[[dict[str, int], dict[str, int]], float]


@dataclass(frozen=True)
class Numbers:
    """What a comparison reads of a column's numbers."""

    histogram: tuple[Bucket, ...]
    nans: int = 0
    infinities: int = 0


def buckets(*bounds: tuple[float, float, int]) -> tuple[Bucket, ...]:
    return tuple(Bucket(*bound) for bound in bounds)


ONE = buckets((0, 1, 1))
counts = st.dictionaries(st.sampled_from("abcdef"), st.integers(1, 1000), min_size=1)
histograms = (
    st.lists(st.integers(0, 100), min_size=1, max_size=10)
    .filter(any)
    .flatmap(
        lambda held: st.tuples(st.integers(-5, 5), st.sampled_from([0.5, 1.0, 3.0])).map(
            lambda place: Numbers(
                buckets(
                    *((place[0] + i * place[1], place[0] + (i + 1) * place[1], count) for i, count in enumerate(held))
                )
            )
        )
    )
)


@pytest.mark.parametrize("measure", [lambda a, b: l_infinity(a, b).value, js_of_counts])
@given(one=counts, other=counts)
def test_measures_of_counts_are_divergences(measure: Measure, one: dict[str, int], other: dict[str, int]) -> None:
    """Symmetric, 0 only for equal shares, at most 1, and the same for ten times as many of everything."""
    value = measure(one, other)

    assert value == pytest.approx(measure(other, one), abs=1e-12) and 0 <= value <= 1
    assert measure(one, {name: 10 * count for name, count in one.items()}) == pytest.approx(0, abs=1e-12)


@given(one=histograms, other=histograms)
def test_the_divergence_of_histograms_is_one(one: Numbers, other: Numbers) -> None:
    """Symmetric, 0 for equal ones, at most 1."""
    value = js_of_histograms(one, other)

    assert value == pytest.approx(js_of_histograms(other, one), abs=1e-12) and 0 <= value <= 1
    assert js_of_histograms(one, one) == 0


@given(one=histograms)
def test_cutting_buckets_changes_nothing(one: Numbers) -> None:
    """A bucket in two halves is the same distribution."""
    halves = []
    for b in one.histogram:
        middle = (b.low + b.high) / 2
        halves += [(b.low, middle, b.count), (middle, b.high, b.count)]
    assert js_of_histograms(one, Numbers(buckets(*halves))) == pytest.approx(0, abs=1e-12)


def bits(*shares: tuple[float, float]) -> float:
    """The divergence of shares, written out."""
    return sum(x * math.log2(2 * x / (p + q)) for p, q in shares for x in (p, q) if x) / 2


@pytest.mark.parametrize(
    ("one", "other", "expected"),
    [
        (Numbers(buckets((0, 1, 1))), Numbers(buckets((1, 2, 5))), 1.0),
        (Numbers(buckets((0, 2, 2))), Numbers(buckets((1, 3, 8))), bits((0.5, 0), (0.5, 0.5), (0, 0.5))),
        (Numbers(buckets((0, 4, 4))), Numbers(buckets((0, 1, 1), (2, 4, 1))), bits((0.25, 0.5), (0.25, 0), (0.5, 0.5))),
        (Numbers(buckets((2, 2, 7))), Numbers(buckets((2, 2, 9))), 0.0),
        (Numbers(buckets((2, 2, 7))), Numbers(buckets((0, 4, 9))), 1.0),
        (Numbers(ONE, nans=1), Numbers(ONE, nans=1), bits((0.5, 0.5), (0.5, 0), (0, 0.5))),
        (Numbers(buckets((0, 1, 3)), infinities=1), Numbers(buckets((0, 1, 1))), bits((0.75, 1), (0.25, 0))),
        (Numbers((), nans=3), Numbers((), nans=3), 1.0),
    ],
)  # fmt: skip
def test_histograms_are_rebucketed_as_tfdv_does(one: Numbers, other: Numbers, expected: float) -> None:
    """Cut at both sides' boundaries; points are cells of their own; NaNs and infinities never match."""
    assert js_of_histograms(one, other) == pytest.approx(expected, abs=1e-12)


def test_a_difference_names_its_value() -> None:
    """What differs most is named, also where only one side has it."""
    found = l_infinity({"new": 2, "old": 98}, {"old": 100})

    assert (found.value, found.largest) == (pytest.approx(0.02), "old")
    assert normalized_difference({"a": 30}, {"a": 10, "b": 5}).value == pytest.approx(20 / 45)


def test_nothing_is_not_like_anything() -> None:
    """A side without values is an error, not a pass."""
    for compare in (l_infinity, normalized_difference, js_of_counts):
        with pytest.raises(DataError):
            compare({"a": 1}, {})  # type: ignore[operator]
    with pytest.raises(DataError):
        js_of_histograms(Numbers(()), Numbers(buckets((0, 1, 1))))
