"""
How far two distributions are from each other: three measures, by the formulas of TensorFlow Data Validation.

Counts are of values by their text; a histogram is what `statistics` describes. Source: TFDV's anomalies/metrics.cc.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Protocol

import numpy as np
import numpy.typing as npt

from stork.data.statistics import Bucket
from stork.errors import DataError

Counts = Mapping[str, float]
Floats = npt.NDArray[np.float64]


class Histogram(Protocol):
    """Buckets of finite numbers, and what no bucket holds."""

    @property
    def histogram(self) -> Sequence[Bucket]: ...

    @property
    def nans(self) -> int: ...

    @property
    def infinities(self) -> int: ...


@dataclass(frozen=True)
class Difference:
    """How far apart, and the value whose share differs most."""

    value: float
    largest: str


def l_infinity(treatment: Counts, control: Counts) -> Difference:
    """
    Largest difference in relative frequency over all values: 0 when identical, never above 1.

    >>> l_infinity({"a": 3, "b": 1}, {"a": 1, "b": 1})
    Difference(value=0.25, largest='b')

    Raises:
        DataError: a side has no value.
    """
    return find_largest(treatment, control, total_of(treatment), total_of(control))


def normalized_difference(treatment: Counts, control: Counts) -> Difference:
    """
    Largest difference in counts over all values, as a share of all counts: 0 when identical, never above 1.

    It grows with the number of rows too: twice as many of everything is a difference.

    >>> normalized_difference({"a": 2}, {"a": 1, "b": 1})
    Difference(value=0.25, largest='b')

    Raises:
        DataError: a side has no value.
    """
    both = total_of(treatment) + total_of(control)
    return find_largest(treatment, control, both, both)


def find_largest(treatment: Counts, control: Counts, total: float, other_total: float) -> Difference:
    """The largest difference of two shares; of equal ones the last by its text, as TFDV has it."""
    largest = Difference(0.0, "")
    for value in sorted({*treatment, *control}):
        apart = abs(treatment.get(value, 0) / total - control.get(value, 0) / other_total)
        if apart >= largest.value:
            largest = Difference(apart, value)
    return largest


def total_of(counts: Counts) -> float:
    total = sum(counts.values())
    if total <= 0:
        raise DataError("expected values on both sides of a comparison, received none on one")
    return total


def js_of_counts(treatment: Counts, control: Counts) -> float:
    """
    Jensen-Shannon divergence of two value counts, in bits: 0 when identical, 1 when they share no value.

    >>> js_of_counts({"a": 1}, {"b": 1})
    1.0

    Raises:
        DataError: a side has no value.
    """
    total_of(treatment), total_of(control)
    values = sorted({*treatment, *control})
    cells = [np.array([side.get(value, 0) for value in values], np.float64) for side in (treatment, control)]
    return float(jensen_shannon(cells[0], cells[1]))


def js_of_histograms(treatment: Histogram, control: Histogram) -> float:
    """
    Jensen-Shannon divergence of two histograms, in bits, 0 to 1.

    The buckets are cut at the boundaries of both, what a bucket holds being spread evenly over its parts. A bucket
    without width is a cell of its own, the same on both sides; infinities, and NaNs, are never the same on both sides.
    TFDV forgets NaNs where it has to cut buckets; here they always count, as its documentation says.

    Raises:
        DataError: a side has no number at all.
    """
    sides = (treatment, control)
    edges = np.array(
        sorted({edge for side in sides for b in side.histogram if b.low < b.high for edge in (b.low, b.high)})
    )
    points = sorted({b.low for side in sides for b in side.histogram if b.low == b.high})
    cells = []
    for index, side in enumerate(sides):
        apart = [[0.0, float(side.infinities)][:: -1 if index else 1], [0.0, float(side.nans)][:: -1 if index else 1]]
        held = [sum(b.count for b in side.histogram if b.low == b.high == point) for point in points]
        cells.append(np.concatenate([spread(side.histogram, edges), np.array(held, np.float64), *map(np.array, apart)]))
        if not cells[-1].sum():
            raise DataError("expected numbers on both sides of a comparison, received none on one")
    return float(jensen_shannon(cells[0], cells[1]))


def spread(buckets: Sequence[Bucket], edges: Floats) -> Floats:
    """What is between each edge, shape (k,), and the next, shape (k - 1,), when buckets are spread evenly."""
    cells = np.zeros(max(0, len(edges) - 1))
    for bucket in buckets:
        if bucket.low < bucket.high:
            first, last = np.searchsorted(edges, [bucket.low, bucket.high])
            cells[first:last] += bucket.count * np.diff(edges[first : last + 1]) / (bucket.high - bucket.low)
    return cells


def jensen_shannon(treatment: Floats, control: Floats) -> Floats:
    """
    (KL(p || m) + KL(q || m)) / 2 in bits, m = (p + q) / 2, for masses in the same cells, shape (..., k), to (...).

    Source: TFDV COMPARATOR_JENSEN_SHANNON_DIVERGENCE_HIGH.
    """
    p = treatment / treatment.sum(-1, keepdims=True)
    q = control / control.sum(-1, keepdims=True)
    m = (p + q) / 2
    with np.errstate(divide="ignore", invalid="ignore"):
        bits = np.where(p > 0, p * np.log2(p / m), 0.0) + np.where(q > 0, q * np.log2(q / m), 0.0)
    apart: Floats = np.clip(bits.sum(-1) / 2, 0.0, 1.0)
    return apart
