"""What `[log]` of model.toml hides, as a report may show it: how often values occur, numbered instead of named."""

from collections import Counter
from collections.abc import Collection, Sequence

import msgspec

from stork.data.anomalies import Comparison, Side
from stork.data.comparators import l_infinity
from stork.data.statistics import ALL, ColumnStatistics, SpanStatistics, SplitStatistics, ValueCount

MASK = "(omitted)"
Names = dict[str, str]


def number_values(counted: Sequence[dict[str, int]]) -> Names:
    """A name for every value of one column, the same for all sides: by how often it occurs in all."""
    total = Counter[str]()
    for counts in counted:
        total.update(counts)
    ordered = sorted(total, key=lambda value: (-total[value], value))
    return {value: f"value {place}" for place, value in enumerate(ordered, start=1)}


def conceal_comparison(made: Comparison) -> Comparison:
    """The same shares without values or edges; of TFDV's buckets, which the sides do not share, nothing."""
    sides = (made.treatment, made.control)
    if made.measure == "tfdv_jensen_shannon":
        one, other = (msgspec.structs.replace(side, histogram=()) for side in sides)
        return msgspec.structs.replace(made, treatment=one, control=other)
    counted = [shares_of(side) for side in sides]
    names = number_values(counted)
    one, other = (
        msgspec.structs.replace(side, counts={names[value]: held for value, held in counts.items()}, histogram=())
        for side, counts in zip(sides, counted, strict=True)
    )
    return msgspec.structs.replace(
        made, treatment=one, control=other, largest=l_infinity(one.counts, other.counts).largest
    )


def shares_of(side: Side) -> dict[str, int]:
    """What was compared on one side: counts by value, or by the number of the bucket."""
    return side.counts or {str(place): bucket.count for place, bucket in enumerate(side.histogram)}


def conceal_spans(spans: Sequence[SpanStatistics], hidden: Collection[str]) -> list[SpanStatistics]:
    """The same figures for a page: of hidden columns neither values, nor numbers that a few rows may have."""
    names = {}
    for name in hidden:
        columns = [span.splits[ALL].column(name) for span in spans]
        names[name] = number_values([{v.value: v.count for v in c.values} for c in columns if c is not None])
    return [
        msgspec.structs.replace(span, splits={split: conceal_split(held, names) for split, held in span.splits.items()})
        for span in spans
    ]


def conceal_split(split: SplitStatistics, names: dict[str, Names]) -> SplitStatistics:
    columns = tuple(conceal_column(c, names[c.name]) if c.name in names else c for c in split.columns)
    return msgspec.structs.replace(split, columns=columns)


def conceal_column(column: ColumnStatistics, names: Names) -> ColumnStatistics:
    values = tuple(ValueCount(names.get(v.value, MASK), v.count, v.label_mean) for v in column.values)
    return msgspec.structs.replace(column, values=values, strange=tuple(MASK for _ in column.strange), numbers=None)
