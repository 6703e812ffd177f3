"""
Exact counts of a column's numbers in cells, however many there are; and of two columns between edges they share.

The 64 bits of a finite float, read as an integer, grow with the number: that is its place. A cell holds the numbers
whose places agree but for the last `shift` bits. As few bits are left out as make at most CELLS cells, so which cells
there are follows from the numbers alone, in whatever parts and order they came; and the cells of two columns meet.
"""

from bisect import bisect_left
from dataclasses import dataclass

import numpy as np

from stork.data.coding import Floats, Integers
from stork.data.statistics import Bucket, Cells, NumberStatistics

CELLS = 1000
BITS = 64
SIGN = np.iinfo(np.int64).min
# Edges are at these shares of the rows of both sides: the deciles, and far out, where a few wrong numbers show.
RANKS = (0.001, 0.01, *(tenth / 10 for tenth in range(1, 10)), 0.99, 0.999)


@dataclass(frozen=True)
class Shared:
    """How many numbers each side has from an edge, shape (k + 1,), to the next: `counts`, both of shape (k,)."""

    edges: Floats
    counts: tuple[Integers, Integers]

    def buckets(self, side: int) -> tuple[Bucket, ...]:
        """The same for a report."""
        edges = self.edges.tolist()
        return tuple(Bucket(*b) for b in zip(edges[:-1], edges[1:], self.counts[side].tolist(), strict=True))


def count_cells(numbers: Floats, counts: Integers) -> Cells:
    """So many of each finite number; both of shape (k,)."""
    return fit(places_of(numbers), counts, 0)


def merge_cells(one: Cells, other: Cells) -> Cells:
    """The numbers of both."""
    shift = max(one.shift, other.shift)
    places = np.concatenate([coarsen(side, shift) for side in (one, other)])
    return fit(places, np.array([*one.counts, *other.counts], np.int64), shift)


def fit(places: Integers, counts: Integers, shift: int) -> Cells:
    """So many of each place, of which `shift` bits are left out already: leave out as many as it takes."""
    order = np.argsort(places)
    places, counts = places[order], counts[order]
    more = bisect_left(range(BITS - shift), True, key=lambda bits: len(starts_of(places >> bits)) <= CELLS)
    places = places >> more
    starts = starts_of(places)
    held = np.add.reduceat(counts, starts) if len(starts) else counts
    return Cells(shift + more, tuple(places[starts].tolist()), tuple(held.tolist()))


def starts_of(places: Integers) -> Integers:
    """Where in ascending places another one begins."""
    return np.flatnonzero(np.diff(places, prepend=places[:1] - 1))


def places_of(numbers: Floats) -> Integers:
    """
    Integers in the order of the numbers.

    >>> places_of(np.array([-1.0, -0.0, 0.0, 5e-324])).tolist()
    [-4607182418800017408, 0, 0, 1]
    """
    bits = (numbers + 0.0).view(np.int64)
    return np.where(bits < 0, SIGN - bits, bits)


def numbers_at(places: Integers) -> Floats:
    """The numbers of these places."""
    return np.where(places < 0, SIGN - places, places).view(np.float64)


def coarsen(cells: Cells, shift: int) -> Integers:
    """The places of the cells when so many bits are left out, not fewer than before; shape (k,)."""
    return np.array(cells.places, np.int64) >> (shift - cells.shift)


def share_edges(one: NumberStatistics, other: NumberStatistics) -> Shared:
    """
    Count the finite numbers of both sides between edges that follow from what they have together.

    Edges lie between cells, at RANKS of all rows, so that a few far numbers do not move them. As they do not depend on
    which rows are on which side, a permutation test with them is exact.
    """
    both = merge_cells(one.cells, other.cells)
    places, reached = np.array(both.places, np.int64), np.cumsum(both.counts)
    last = np.searchsorted(reached, np.array(RANKS) * reached[-1])  # the cell that an edge comes after
    starts = np.unique([0, *(last[last < len(places) - 1] + 1)])
    inner = numbers_at(places[starts[1:]] << both.shift)
    edges = np.array([min(one.min, other.min), *inner, max(one.max, other.max)])
    counts = []
    for side in (one, other):
        held = np.zeros(len(places), np.int64)
        np.add.at(held, np.searchsorted(places, coarsen(side.cells, both.shift)), side.cells.counts)
        counts.append(np.add.reduceat(held, starts))
    return Shared(edges, (counts[0], counts[1]))
