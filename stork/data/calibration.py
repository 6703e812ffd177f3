"""
Thresholds that follow from a rate of false alarms: how far apart two samples of one distribution are by chance.

That distribution is what both sides have together. Samples of both sizes are drawn from it a few thousand times; beyond
their largest twentieth the tail is taken to fall exponentially, which is what Jensen-Shannon's does, and what is slower
than that of a difference of shares. Drawn with a fixed seed: the same counts have the same threshold.
"""

import math
from collections.abc import Sequence

import numpy as np
import numpy.typing as npt

from stork.data.comparators import jensen_shannon, js_of_histograms
from stork.data.statistics import BUCKETS, Bucket, NumberStatistics
from stork.declaration.data_schema import Measure

Floats = npt.NDArray[np.float64]
Integers = npt.NDArray[np.int64]
DRAWS = 2000
TAIL = 0.05
FINER = 20  # cells that a bucket is drawn from
SEED = 7


def threshold_of_counts(measure: Measure, pooled: Sequence[int], sizes: tuple[int, int], rate: float) -> float:
    """The difference of value counts that chance exceeds with the probability `rate`; `pooled` counts both sides."""
    one, other = (side.astype(np.float64) for side in draw(np.array(pooled, np.float64), sizes))
    if measure == "jensen_shannon":
        return threshold_of(jensen_shannon(one, other), rate)
    if measure == "normalized_difference":
        return threshold_of(np.abs(one - other).max(-1) / sum(sizes), rate)
    return threshold_of(np.abs(one / sizes[0] - other / sizes[1]).max(-1), rate)


def threshold_of_shares(known: int, sizes: tuple[int, int], rate: float) -> float:
    """The same for the share of rows that have a value, `known` of both sides."""
    return threshold_of_counts("l_infinity", [known, sum(sizes) - known], sizes, rate)


def threshold_of_histograms(pooled: Sequence[Bucket], sizes: tuple[int, int], rate: float) -> float:
    """
    The same for histograms of numbers, which each sample gets from its own smallest number to its largest.

    `pooled` are the buckets of both sides; numbers are taken to be spread evenly in them.
    """
    numbers, amounts = support(pooled)
    sides = draw(amounts, sizes)
    apart = [js_of_histograms(sample(numbers, a), sample(numbers, b)) for a, b in zip(*sides, strict=True)]
    return threshold_of(np.array(apart), rate)


def draw(amounts: Floats, sizes: tuple[int, int]) -> tuple[Integers, Integers]:
    """Samples of both sizes: counts of each cell, shape (DRAWS, k)."""
    random = np.random.default_rng(SEED)
    shares = amounts / amounts.sum()
    return random.multinomial(sizes[0], shares, DRAWS), random.multinomial(sizes[1], shares, DRAWS)


def threshold_of(differences: Floats, rate: float) -> float:
    """
    The difference that is exceeded with the probability `rate`.

    >>> rng = np.random.default_rng(1)
    >>> bool(abs(threshold_of(rng.exponential(1, 100_000), 1e-6) - np.log(1e6)) < 0.3)
    True
    """
    if rate >= TAIL:
        return float(np.quantile(differences, 1 - rate))
    begin = float(np.quantile(differences, 1 - TAIL))
    beyond = differences[differences > begin]
    return begin + (float((beyond - begin).mean()) * math.log(TAIL / rate) if len(beyond) else 0.0)


def support(buckets: Sequence[Bucket]) -> tuple[Floats, Floats]:
    """Numbers that stand for those in the buckets, ascending, shape (k,), and how many each stands for, shape (k,)."""
    found: dict[float, float] = {}
    for bucket in buckets:
        steps = 1 if bucket.low == bucket.high else FINER
        for number in np.linspace(bucket.low, bucket.high, steps).tolist():
            found[number] = found.get(number, 0.0) + bucket.count / steps
    numbers = np.array(sorted(found))
    return numbers, np.array([found[number] for number in numbers.tolist()])


def sample(numbers: Floats, counts: Integers) -> NumberStatistics:
    """The histogram of so many of each number, as `statistics` makes it."""
    held = np.flatnonzero(counts)
    low, high = float(numbers[held[0]]), float(numbers[held[-1]])
    edges = np.linspace(low, high, BUCKETS + 1) if high > low else np.full(2, low)
    places = np.clip(np.searchsorted(edges, numbers[held], side="right") - 1, 0, len(edges) - 2)
    inside = np.bincount(places, weights=counts[held], minlength=len(edges) - 1)
    buckets = tuple(Bucket(*b) for b in zip(edges[:-1].tolist(), edges[1:].tolist(), inside.tolist(), strict=True))
    return NumberStatistics(min=low, max=high, mean=0.0, sd=0.0, nans=0, infinities=0, quantiles=(), histogram=buckets)
