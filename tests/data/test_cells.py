"""Cells count numbers exactly, whatever parts they came in, and two columns meet in them."""

from typing import Any

import msgspec
import numpy as np
import pyarrow as pa
import pytest
from hypothesis import given
from hypothesis import strategies as st

from bench.validation import describe_tables
from stork.data import cells
from stork.data.cells import count_cells, merge_cells, numbers_at, places_of, share_edges
from stork.data.comparators import jensen_shannon
from stork.data.gathering import Plan
from stork.data.statistics import Cells, NumberStatistics

PLAN = Plan({"size": "number"}, "size")
FINITE = st.floats(allow_nan=False, allow_infinity=False)
MANY = np.random.default_rng(1).normal(size=30_000)  # more different ones than are counted each
KINDS = {
    "around zero": MANY,
    "far from zero": 1.6e9 + MANY,
    "of all sizes": np.exp(30 * MANY),
    "whole": np.round(MANY * 1e6),
    "one": np.full(7, 0.1),
}


def cells_of(numbers: Any) -> Cells:
    return count_cells(np.array(numbers, float), np.ones(len(numbers), np.int64))


def describe(numbers: Any) -> NumberStatistics:
    found = describe_tables([pa.table({"size": np.array(numbers, float)})], PLAN).columns[0].numbers
    assert found is not None
    return found


@given(numbers=st.lists(FINITE))
def test_places_are_in_the_order_of_the_numbers(numbers: list[float]) -> None:
    """And lead back to them; zero has one place."""
    places = places_of(np.array(numbers, float))

    assert np.array_equal(np.argsort(places, kind="stable"), np.argsort(np.array(numbers), kind="stable"))
    assert numbers_at(places).tolist() == numbers


@given(parts=st.lists(st.lists(FINITE, max_size=20), max_size=5), limit=st.integers(1, 12))
def test_parts_in_any_order_have_the_same_cells(parts: list[list[float]], limit: int) -> None:
    """Merged forward, backward or counted at once: the same cells, as few as allowed."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(cells, "CELLS", max(2, limit))
        at_once = cells_of([number for part in parts for number in part])
        for order in (parts, parts[::-1]):
            merged = Cells()
            for part in order:
                merged = merge_cells(merged, cells_of(part))
            assert merged == at_once
        assert len(at_once.places) <= max(2, limit) and sum(at_once.counts) == sum(map(len, parts))


@pytest.mark.parametrize("numbers", KINDS.values(), ids=KINDS)
def test_counts_between_shared_edges_are_exact(numbers: Any) -> None:
    """Of sketched columns too: as many as NumPy counts between those edges, on both sides; at most 14 buckets."""
    sides = numbers, numbers[: len(numbers) // 2] * 1.01
    shared = share_edges(*map(describe, sides))

    assert 1 <= len(shared.counts[0]) <= len(cells.RANKS) + 1
    for side, counts in zip(sides, shared.counts, strict=True):
        inner = np.searchsorted(np.sort(side), shared.edges[1:-1])
        assert counts.tolist() == np.diff([0, *inner, len(side)]).tolist()


def test_edges_do_not_depend_on_who_has_which_rows() -> None:
    """However the same rows are parted, the edges are the same: what makes a permutation of them a fair test."""
    numbers = np.concatenate([MANY[:3000], [1e12, -1e9]])
    first = share_edges(describe(numbers[:1000]), describe(numbers[1000:]))
    second = share_edges(describe(numbers[::2]), describe(numbers[1::2]))

    assert first.edges.tolist() == second.edges.tolist()


def test_a_few_far_numbers_do_not_blur_the_others() -> None:
    """With one number a billion times as large, a shift shows as it did without."""
    apart = []
    for far in ([], [1e9]):
        shared = share_edges(describe([*MANY[:9000], *far]), describe([*(MANY[9000:18000] + 0.3), *far]))
        apart.append(float(jensen_shannon(*(counts.astype(float) for counts in shared.counts))))

    assert apart[0] > 0.01 and apart[1] == pytest.approx(apart[0], rel=0.05)


@pytest.mark.parametrize("numbers", KINDS.values(), ids=KINDS)
def test_their_size_is_bounded(numbers: Any) -> None:
    """A thousand cells, 32 kB of statistics.json at most, for any number of rows."""
    found = describe(numbers).cells

    assert len(found.places) <= cells.CELLS and len(msgspec.json.encode(found)) < 32_000
