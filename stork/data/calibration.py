"""
Thresholds that follow from a rate of false alarms: how far apart two samples of one distribution are by chance.

What both sides have is put together and parted at random a few thousand times, into as many rows as each side has: a
permutation test. Beyond the largest twentieth of those differences the tail is taken to fall exponentially, which is
what Jensen-Shannon's does, and what is slower than that of a difference of shares. Drawn with a fixed seed: the same
counts have the same threshold.
"""

import math
from collections.abc import Iterator, Sequence

import numpy as np
import numpy.typing as npt

from stork.data.comparators import jensen_shannon, js_of_histograms
from stork.data.statistics import BUCKETS, Bucket, NumberStatistics
from stork.declaration.data_schema import Measure

Floats = npt.NDArray[np.float64]
Integers = npt.NDArray[np.int64]
DRAWS = 2000
RANKS = np.linspace(0, 1, 11).tolist()
TAIL = 0.05
FINER = 20  # places in a piece of a distribution that its numbers are spread over
UNSURE = 0.2  # docs/validation.md has what it is chosen by
MANY = 10**9  # rows; NumPy parts fewer
SEED = 7


def threshold_of_counts(measure: Measure, pooled: Sequence[int], sizes: tuple[int, int], rate: float) -> float:
    """The difference of value counts that chance exceeds with the probability `rate`; `pooled` counts both sides."""
    one, other = (side.astype(np.float64) for side in draw(np.array(pooled, np.int64), sizes))
    if measure == "jensen_shannon":
        return threshold_of(jensen_shannon(one, other), rate)
    if measure == "normalized_difference":
        return threshold_of(np.abs(one - other).max(-1) / sum(sizes), rate)
    return threshold_of(np.abs(one / sizes[0] - other / sizes[1]).max(-1), rate)


def threshold_of_shares(known: int, sizes: tuple[int, int], rate: float) -> float:
    """The same for the share of rows that have a value, `known` of both sides."""
    return threshold_of_counts("l_infinity", [known, sum(sizes) - known], sizes, rate)


def threshold_of_histograms(sides: tuple[NumberStatistics, NumberStatistics], rate: float) -> float:
    """
    The same for histograms of numbers, which each sample gets from its own smallest number to its largest.

    A few far numbers decide how wide all buckets are, and where between its edges and deciles a number lies is not
    known: so what comes out is raised by the share UNSURE, which keeps halves of real rows from being told apart.
    """
    numbers, amounts = pool(sides)
    sizes = (total_of(sides[0]), total_of(sides[1]))
    apart = [
        js_of_histograms(sample(numbers, a), sample(numbers, b)) for a, b in zip(*draw(amounts, sizes), strict=True)
    ]
    return (1 + UNSURE) * threshold_of(np.array(apart), rate)


def draw(amounts: Integers, sizes: tuple[int, int]) -> tuple[Integers, Integers]:
    """Parts of both sizes of so many rows of each cell, shape (k,): counts of each cell, shape (DRAWS, k)."""
    random = np.random.default_rng(SEED)
    if sum(sizes) >= MANY:  # so many that it does not matter whether what is drawn is put back
        one, other = (random.multinomial(size, amounts / amounts.sum(), DRAWS) for size in sizes)
        return one, other
    drawn = random.multivariate_hypergeometric(amounts, sizes[0], DRAWS)
    return drawn, amounts - drawn


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


def pool(sides: tuple[NumberStatistics, NumberStatistics]) -> tuple[Floats, Integers]:
    """Numbers that stand for those of both sides, ascending, shape (k,), and how many each stands for, shape (k,)."""
    found: dict[float, int] = {}
    for side in sides:
        for low, high, count in pieces(side):
            places = np.linspace(low, high, min(FINER, count)) if count > 1 else [high if high == side.max else low]
            shares = np.diff(np.arange(len(places) + 1) * count // len(places))
            for number, share in zip(map(float, places), shares.tolist(), strict=True):
                found[number] = found.get(number, 0) + share
    numbers = np.array(sorted(found))
    return numbers, np.array([found[number] for number in numbers.tolist()], np.int64)


def pieces(side: NumberStatistics) -> Iterator[tuple[float, float, int]]:
    """What lies between each edge of a bucket or decile and the next: from, to, how many; all that there are."""
    total = total_of(side)
    edges = [side.histogram[0].low, *(bucket.high for bucket in side.histogram)]
    reached = [0, *np.cumsum([bucket.count for bucket in side.histogram]).tolist()]
    deciles = [(q, round(total * rank)) for q, rank in zip(side.quantiles, RANKS, strict=True)][1:-1]
    points = sorted([*zip(edges, reached, strict=True), *deciles])
    before, most = edges[0], 0
    for number, so_far in points:
        if so_far > most:
            yield before, number, so_far - most
            most = so_far
        before = number


def total_of(side: NumberStatistics) -> int:
    return sum(bucket.count for bucket in side.histogram)


def sample(numbers: Floats, counts: Integers) -> NumberStatistics:
    """The histogram of so many of each number, as `statistics` makes it."""
    held = np.flatnonzero(counts)
    low, high = float(numbers[held[0]]), float(numbers[held[-1]])
    edges = np.linspace(low, high, BUCKETS + 1) if high > low else np.full(2, low)
    places = np.clip(np.searchsorted(edges, numbers[held], side="right") - 1, 0, len(edges) - 2)
    inside = np.bincount(places, weights=counts[held], minlength=len(edges) - 1)
    buckets = tuple(Bucket(*b) for b in zip(edges[:-1].tolist(), edges[1:].tolist(), inside.tolist(), strict=True))
    return NumberStatistics(min=low, max=high, mean=0.0, sd=0.0, nans=0, infinities=0, quantiles=(), histogram=buckets)
