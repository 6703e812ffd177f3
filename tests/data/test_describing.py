"""Statistics are what NumPy says of the same rows, and the same however the rows came apart."""

import itertools
import pickle
from collections.abc import Callable
from typing import Any

import numpy as np
import pyarrow as pa
import pytest
from hypothesis import given
from hypothesis import settings as hypothesis_settings
from hypothesis import strategies as st

from stork.data import accumulators
from stork.data.coding import code_column
from stork.data.describing import describe
from stork.data.gathering import Plan, SplitAccumulator
from stork.data.statistics import ColumnStatistics, SplitStatistics

PLAN = Plan({"weight": "number", "zone": "integer", "insured": "boolean", "shop": "text", "cost": "number"}, "cost")
Row = dict[str, Any]

# Closer to each other numbers do not lie that differ: a correlation of rounding errors is chance.
THOUSANDTHS = st.integers(-(10**6), 10**6).map(lambda number: number / 1000)
ROWS = st.lists(
    st.fixed_dictionaries(
        {
            "weight": st.none() | THOUSANDTHS | st.sampled_from([0.5, 2.0, float("inf"), float("nan")]),
            "zone": st.none() | st.integers(-3, 12),
            "insured": st.none() | st.booleans(),
            "shop": st.none() | st.sampled_from(["a", "b", "north", "1"]),
            "cost": st.none() | THOUSANDTHS,
            "other": st.none() | st.sampled_from(["7", "x", "true"]),
        }
    ),
    min_size=1,
    max_size=40,
)
TYPES = {"weight": pa.float64(), "zone": pa.int64(), "insured": pa.bool_(), "cost": pa.float64()}


def gather(rows: list[Row]) -> SplitAccumulator:
    found = SplitAccumulator(PLAN)
    columns = {name: pa.array([row[name] for row in rows], TYPES.get(name, pa.string())) for name in rows[0]}
    found.add(len(rows), {name: code_column(column, PLAN.kinds.get(name, "")) for name, column in columns.items()})
    return found


def close(one: Any, other: Any) -> bool:
    """Equal, numbers to 1e-12 of what they are."""
    if isinstance(one, float) and isinstance(other, float):
        return bool(np.isclose(one, other, rtol=1e-9, atol=1e-9, equal_nan=True))
    if hasattr(one, "__struct_fields__"):
        return all(close(getattr(one, name), getattr(other, name)) for name in one.__struct_fields__)
    if isinstance(one, tuple):
        return len(one) == len(other) and all(map(close, one, other))
    return bool(one == other)


def column_of(split: SplitStatistics, name: str) -> ColumnStatistics:
    found = split.column(name)
    assert found is not None
    return found


@hypothesis_settings(max_examples=60, deadline=None)
@given(rows=ROWS, random=st.randoms(use_true_random=False))
def test_rows_in_any_parts_and_order_have_the_same_statistics(rows: list[Row], random: Any) -> None:
    """Cut anywhere, sent through a pickle, merged in any order: counts are equal, sums to the last digits."""
    cuts = sorted({0, len(rows), *(random.randrange(len(rows) + 1) for _ in range(4))})
    parts = [rows[a:b] for a, b in itertools.pairwise(cuts)]
    random.shuffle(parts)
    merged = SplitAccumulator(PLAN)
    for part in parts:
        merged.merge(pickle.loads(pickle.dumps(gather(part))))

    assert close(describe(merged), describe(gather(rows)))


@hypothesis_settings(max_examples=60, deadline=None)
@given(rows=ROWS)
def test_a_number_is_described_as_numpy_describes_it(rows: list[Row]) -> None:
    """Mean, standard deviation, ends, deciles, histogram and the correlation with the label."""
    found = column_of(describe(gather(rows)), "zone")
    known = np.array([row["zone"] for row in rows if row["zone"] is not None], float)
    both = np.array([(r["zone"], r["cost"]) for r in rows if None not in (r["zone"], r["cost"])], float).reshape(-1, 2)

    assert (found.missing, found.unique) == (len(rows) - len(known), len(set(known)))
    if len(known):
        numbers = found.numbers
        assert numbers is not None
        assert (numbers.min, numbers.max) == (known.min(), known.max())
        assert (numbers.mean, numbers.sd) == pytest.approx((known.mean(), known.std()))
        places = [max(0, -(-tenth * len(known) // 10) - 1) for tenth in range(11)]
        assert numbers.quantiles == tuple(np.sort(known)[places])
        if numbers.max > numbers.min:
            counts, edges = np.histogram(known, 10)
            assert [bucket.count for bucket in numbers.histogram] == counts.tolist()
            assert [bucket.low for bucket in numbers.histogram] == pytest.approx(edges[:-1].tolist())
    if len(both) > 1 and min(both.std(axis=0)) > 1e-3:
        assert found.label_correlation == pytest.approx(np.corrcoef(both.T)[0, 1], abs=1e-6)


def test_what_is_no_number_is_counted_apart() -> None:
    """NaN and infinity are no part of mean, ends and histogram."""
    rows = [{"weight": value, "cost": 1.0} for value in (1.0, 3.0, float("nan"), float("inf"), -float("inf"))]
    numbers = column_of(describe(gather(rows)), "weight").numbers

    assert numbers is not None
    assert (numbers.nans, numbers.infinities, numbers.mean, numbers.min, numbers.max) == (1, 2, 2.0, 1.0, 3.0)
    assert sum(bucket.count for bucket in numbers.histogram) == 2


def test_each_value_has_the_mean_of_its_labels() -> None:
    """So that what a change of shares does to the label can be told."""
    rows = [
        {"shop": "a", "cost": 1.0},
        {"shop": "a", "cost": 3.0},
        {"shop": "b", "cost": 5.0},
        {"shop": "b", "cost": None},
    ]
    values = column_of(describe(gather(rows)), "shop").values

    assert [(v.value, v.count, v.label_mean) for v in values] == [("a", 2, 2.0), ("b", 2, 5.0)]


def test_columns_that_agree_are_found() -> None:
    """Numbers with numbers, texts with texts, over the rows where both are known."""
    rows = [
        {"weight": float(n), "zone": n if n % 3 else None, "shop": str(n), "other": str(n), "cost": 1.0}
        for n in range(9)
    ]
    found = describe(gather(rows)).agreements

    assert [(a.one, a.other, a.known, a.equal) for a in found] == [("other", "shop", 9, 9), ("weight", "zone", 6, 6)]


def test_a_column_that_a_part_lacks_is_missing_there() -> None:
    """Whichever part comes first."""
    have, lack = [{"zone": 1, "cost": 1.0}] * 2, [{"cost": 2.0}] * 3
    for parts in ((have, lack), (lack, have)):
        merged = SplitAccumulator(PLAN)
        for part in parts:
            merged.merge(gather(part))
        found = column_of(describe(merged), "zone")
        assert (found.rows, found.missing) == (5, 3)


@pytest.fixture
def numbers() -> np.ndarray[Any, np.dtype[np.float64]]:
    """More different numbers than are counted one by one, and a frequent one."""
    return np.concatenate([np.random.default_rng(1).normal(size=accumulators.DISTINCT + 5000), np.full(4000, 7.0)])


def test_too_many_values_to_count_are_sketched(numbers: np.ndarray[Any, np.dtype[np.float64]]) -> None:
    """Uniques within 5%, deciles within 2% of the rows, the frequent value named; moments and ends stay exact."""
    found = column_of(describe(gather_numbers(numbers)), "weight")
    assert found.numbers is not None

    assert (found.exact, found.complete, found.values[0].value) == (False, False, "7")
    assert found.unique == pytest.approx(accumulators.DISTINCT + 5001, rel=0.05)
    assert (found.numbers.mean, found.numbers.max) == (pytest.approx(numbers.mean()), 7.0)
    ranks = [(numbers <= decile).mean() for decile in found.numbers.quantiles[1:8]]
    assert ranks == pytest.approx([0.1, 0.2, 0.3, 0.4, 0.5, 0.6, 0.7], abs=0.02)
    assert sum(b.count for b in found.numbers.histogram) == pytest.approx(len(numbers), abs=10)


@pytest.mark.parametrize("order", [list, lambda parts: list(reversed(parts))], ids=["forward", "backward"])
def test_whether_a_column_is_sketched_does_not_depend_on_the_parts(
    numbers: np.ndarray[Any, np.dtype[np.float64]], order: Callable[[list[Any]], list[Any]]
) -> None:
    """Parts that are each few enough to count are sketched together, in a pickle too; cells come out the same."""
    merged = SplitAccumulator(PLAN)
    for part in order(np.array_split(numbers, 5)):
        merged.merge(pickle.loads(pickle.dumps(gather_numbers(part))))
    found, whole = (column_of(describe(each), "weight") for each in (merged, gather_numbers(numbers)))

    assert (found.exact, found.values[0].value) == (False, "7")
    assert found.unique == pytest.approx(accumulators.DISTINCT + 5001, rel=0.05)
    assert found.numbers is not None and whole.numbers is not None and found.numbers.cells == whole.numbers.cells


def gather_texts(texts: list[str]) -> SplitAccumulator:
    found = SplitAccumulator(PLAN)
    found.add(len(texts), {"other": code_column(pa.array(texts), "")})
    return found


@pytest.mark.parametrize(("different", "exact"), [(accumulators.DISTINCT, True), (accumulators.DISTINCT + 1, False)])
@pytest.mark.parametrize("parts", [1, 3])
def test_texts_are_counted_up_to_a_limit(different: int, exact: bool, parts: int) -> None:
    """Each of as many different ones as the limit allows, whether a part alone goes beyond it or all together."""
    texts = [f"text {n}" for n in range(different)]
    merged = SplitAccumulator(PLAN)
    for part in range(parts):
        merged.merge(gather_texts(texts[part::parts]))
    found = column_of(describe(merged), "other")

    assert (found.exact, len(found.values) > 0) == (exact, exact)
    assert found.unique == (different if exact else pytest.approx(different, rel=0.05))


@pytest.mark.parametrize("order", list(itertools.permutations(range(3))), ids=str)
def test_more_texts_are_estimated_in_any_order(order: tuple[int, ...]) -> None:
    """Of a part sketched alone and parts that are counted: uniques to 5%, the frequent text to 0.1% of the rows."""
    reaches = (range(30_000), range(30_000, 35_000), range(34_000, 36_000))
    parts = [[f"text {n}" for n in reach] + ["again"] * 2000 for reach in reaches]
    merged = SplitAccumulator(PLAN)
    for place in order:
        merged.merge(pickle.loads(pickle.dumps(gather_texts(parts[place]))))
    found = column_of(describe(merged), "other")

    assert (found.exact, found.kind, found.rows, found.values[0].value) == (False, "text", 43_000, "again")
    assert found.unique == pytest.approx(36_001, rel=0.05)
    assert found.values[0].count == pytest.approx(6000, abs=43)


def gather_numbers(numbers: np.ndarray[Any, np.dtype[np.float64]]) -> SplitAccumulator:
    found = SplitAccumulator(PLAN)
    found.add(len(numbers), {"weight": code_column(pa.array(numbers), "number")})
    return found
