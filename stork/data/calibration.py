"""
Thresholds that follow from a rate of false alarms: how far apart two samples of one distribution are by chance.

What both sides have is put together and parted at random a few thousand times, into as many rows as each side has: a
permutation test. Beyond the largest twentieth of those differences the tail is taken to fall exponentially, which is
what Jensen-Shannon's does, and what is slower than that of a difference of shares. Drawn with a fixed seed: the same
counts have the same threshold.
"""

import math
from collections.abc import Sequence

import numpy as np
import numpy.typing as npt

from stork.data.comparators import jensen_shannon
from stork.declaration.data_schema import Measure

Floats = npt.NDArray[np.float64]
Integers = npt.NDArray[np.int64]
DRAWS = 2000
TAIL = 0.05
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
