"""Statistics of a span: its row groups are gathered in threads, merged, and told as plain figures."""

import math
import os
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor

import numpy as np

from stork.data.accumulators import ColumnAccumulator, Tally
from stork.data.cells import count_cells
from stork.data.coding import Floats, read_value
from stork.data.gathering import Plan, SplitAccumulator, WorkItem, accumulate, work_items
from stork.data.spans import REFUSED, SPLITS, Span
from stork.data.statistics import (
    ALL,
    BUCKETS,
    LISTED,
    Agreement,
    Bucket,
    ColumnStatistics,
    Kind,
    NumberStatistics,
    SpanStatistics,
    SplitStatistics,
    ValueCount,
)
from stork.declaration import Declaration

RANKS = np.linspace(0, 1, 11)
ROUNDING = 1e-24  # of a squared number
NEARLY = 0.99  # pairs of columns that agree in this share of the rows are told
Parts = dict[str, SplitAccumulator]


def describe_span(
    span: Span, declaration: Declaration, made_by: str, progress: Callable[[int, int], None] = lambda done, total: None
) -> SpanStatistics:
    """The statistics of every split of a span, and of all its rows."""
    return finish(span, gather(span, Plan.of(declaration), progress), made_by)


def gather(span: Span, plan: Plan, progress: Callable[[int, int], None]) -> Parts:
    """What each split has, of row groups that several threads read."""
    items = list(work_items(span))
    found = {split: SplitAccumulator(plan) for split in (*SPLITS, REFUSED)}

    def read(item: WorkItem) -> tuple[str, SplitAccumulator]:
        return item.split, accumulate(item, plan)

    progress(0, len(items))
    with ThreadPoolExecutor(os.cpu_count() or 1) as threads:
        for done, (split, part) in enumerate(threads.map(read, items), start=1):
            found[split].merge(part)
            progress(done, len(items))
    return found


def finish(span: Span, parts: Parts, made_by: str) -> SpanStatistics:
    """What was gathered as figures; the accumulators are used up."""
    splits = {split: describe(part) for split, part in parts.items()}
    everything = SplitAccumulator(next(iter(parts.values())).plan)
    for part in parts.values():
        everything.merge(part)
    manifest = span.manifest
    return SpanStatistics(
        model=manifest.model,
        span=span.number,
        digest=span.used.sha256,
        made_by=made_by,
        source=manifest.source,
        refused=manifest.refused,
        splits=splits | {ALL: describe(everything)},
    )


def describe(part: SplitAccumulator) -> SplitStatistics:
    """The figures of some rows."""
    declared = [name for name in part.plan.kinds if name in part.columns]
    others = sorted(name for name in part.columns if name not in part.plan.kinds)
    columns = tuple(describe_column(name, part.columns[name]) for name in (*declared, *others))
    return SplitStatistics(rows=part.rows, columns=columns, agreements=tuple(agreements(part)))


def agreements(part: SplitAccumulator) -> Iterator[Agreement]:
    """The pairs of columns that agree in nearly all rows where both are known."""
    for (one, other), (known, equal) in sorted(part.pairs.items()):
        if equal >= NEARLY * known:
            yield Agreement(one, other, known, equal)


def describe_column(name: str, column: ColumnAccumulator) -> ColumnStatistics:
    exact, values = column.tallies is not None, list_values(column)
    unique = len(column.tallies) if column.tallies is not None else column.sketches.count_unique()  # type: ignore[union-attr]
    return ColumnStatistics(
        name=name,
        declared=column.kind,
        kind=kind_of(column),
        rows=column.rows,
        missing=column.missing,
        unparsed=column.unparsed,
        strange=column.strange,
        min_values=column.lengths[0],
        max_values=column.lengths[1],
        unique=unique,
        exact=exact,
        complete=exact and len(values) == unique,
        values=tuple(values),
        numbers=describe_numbers(column),
        label_correlation=correlation(column),
    )


def kind_of(column: ColumnAccumulator) -> Kind:
    """What all known values are."""
    sorts = {sort for sort, count in column.sorts.items() if count}
    if not sorts:
        return "nothing"
    if sorts == {"boolean"}:
        return "boolean"
    if sorts == {"integer"}:
        return "integer"
    return "number" if sorts <= {"integer", "fraction"} else "text"


def list_values(column: ColumnAccumulator) -> list[ValueCount]:
    """The most frequent values, most frequent first, the smaller text first of two as frequent."""
    if column.tallies is None:
        assert column.sketches is not None
        return [ValueCount(text, count) for text, count in column.sketches.most_frequent(LISTED)]
    ordered = sorted(column.tallies.items(), key=lambda item: (-item[1].count, item[0]))[:LISTED]
    return [ValueCount(text, tally.count, label_mean(tally)) for text, tally in ordered]


def label_mean(tally: Tally) -> float | None:
    return tally.label_sum / tally.labelled if tally.labelled else None


def correlation(column: ColumnAccumulator) -> float | None:
    """Pearson's; None where a side does not vary by more than sums of it are rounded."""
    pairs = column.with_label
    sides = ((pairs.xx, pairs.mean_x), (pairs.yy, pairs.mean_y))
    if any(squares <= ROUNDING * pairs.count * mean * mean for squares, mean in sides):
        return None
    return max(-1.0, min(1.0, pairs.xy / math.sqrt(pairs.xx * pairs.yy)))


def describe_numbers(column: ColumnAccumulator) -> NumberStatistics | None:
    """None where there is no finite number."""
    if not column.alone.count:
        return None
    edges = np.linspace(column.low, column.high, BUCKETS + 1) if column.high > column.low else np.full(2, column.low)
    if column.tallies is not None:
        numbers, counts = numbers_of(column)
        quantiles, inside = find_quantiles(numbers, counts), count_between(edges, numbers, counts)
        cells = count_cells(numbers, counts.astype(np.int64))
    else:
        assert column.sketches is not None
        quantiles = column.sketches.find_quantiles(RANKS.tolist())
        inside, cells = column.sketches.count_between(edges.tolist()), column.sketches.cells
    buckets = zip(edges[:-1].tolist(), edges[1:].tolist(), inside, strict=True)
    return NumberStatistics(
        min=column.low,
        max=column.high,
        mean=column.alone.mean_x,
        sd=math.sqrt(column.alone.xx / column.alone.count),
        nans=column.nans,
        infinities=column.infinities,
        quantiles=tuple(quantiles),
        histogram=tuple(Bucket(*bucket) for bucket in buckets),
        cells=cells,
    )


def numbers_of(column: ColumnAccumulator) -> tuple[Floats, Floats]:
    """The finite numbers of a column that is counted, ascending, and how many of each; both of shape (k,)."""
    assert column.tallies is not None
    numbers = np.array([read_value(text, column.kind).number for text in column.tallies])
    counts = np.array([tally.count for tally in column.tallies.values()], np.float64)
    order = np.argsort(numbers)
    order = order[np.isfinite(numbers[order])]
    return numbers[order], counts[order]


def find_quantiles(numbers: Floats, counts: Floats) -> list[float]:
    """
    The smallest number that at least so large a share of them does not exceed, for each of the ranks.

    >>> find_quantiles(np.array([1.0, 2.0]), np.array([1, 9]))[:3]
    [1.0, 1.0, 2.0]
    """
    reached = np.cumsum(counts)
    places = np.searchsorted(reached, RANKS * reached[-1] * (1 - 1e-12))
    return [float(number) for number in numbers[places]]


def count_between(edges: Floats, numbers: Floats, counts: Floats) -> list[int]:
    """How many numbers are from each edge to the next; the last edge belongs to the last bucket."""
    if len(edges) == 2:
        return [int(counts.sum())]
    inside, _ = np.histogram(numbers, len(edges) - 1, (edges[0], edges[-1]), weights=counts)
    return [int(count) for count in inside]
