"""Question 1: is a column of one span distributed like the same column of another? Every comparison is kept."""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Literal

import numpy as np

from stork.data.anomalies import Comparison, Side
from stork.data.calibration import threshold_of_counts, threshold_of_shares
from stork.data.cells import share_edges
from stork.data.comparators import jensen_shannon, js_of_counts, js_of_histograms, l_infinity, normalized_difference
from stork.data.concealing import conceal_comparison
from stork.data.expectations import Expectation
from stork.data.statistics import LISTED, Bucket, ColumnStatistics, SplitStatistics
from stork.declaration.data_schema import Comparing

OTHERS = "(all others)"


@dataclass(frozen=True)
class Pair:
    """Two sets of rows that are compared, each with its name for people; `span` is the number of the first."""

    type: Literal["drift", "skew"]
    label: str
    span: int
    names: tuple[str, str]
    treatment: SplitStatistics
    control: SplitStatistics


@dataclass(frozen=True)
class Columns:
    """A column on both sides of a pair."""

    pair: Pair
    expected: Expectation
    treatment: ColumnStatistics
    control: ColumnStatistics

    @property
    def explicit(self) -> float | None:
        """The threshold that the data schema gives."""
        return self.expected.column.drift if self.pair.type == "drift" else self.expected.column.skew


def compare_all(pair: Pair, expected: dict[str, Expectation], asked: Comparing) -> Iterator[Comparison]:
    """Each expected column that both sides have: in how many rows it is known, and its values."""
    both = list(columns_of(pair, expected))
    comparable = [columns for columns in both if is_comparable(columns)]
    rate = asked.false_alarms / max(1, len(both) + len(comparable))
    for columns in both:
        yield compare_presence(columns, asked, rate)
        if columns in comparable:
            made = compare_values(columns, asked, rate)
            yield conceal_comparison(made) if columns.expected.is_hidden else made


def columns_of(pair: Pair, expected: dict[str, Expectation]) -> Iterator[Columns]:
    """The expected columns that both sides have, but for those that are never compared."""
    for name, wanted in expected.items():
        one, other = pair.treatment.column(name), pair.control.column(name)
        if one is not None and other is not None and wanted.measure != "off" and one.rows and other.rows:
            yield Columns(pair, wanted, one, other)


def is_comparable(columns: Columns) -> bool:
    """Whether both sides have values of the kind."""
    sides = (columns.treatment, columns.control)
    if columns.expected.is_numeric:
        return all(side.numbers is not None for side in sides)
    return all(side.known and side.values for side in sides)


def compare_presence(columns: Columns, asked: Comparing, rate: float) -> Comparison:
    """By how much the share of rows that have a value differs."""
    one, other = columns.treatment, columns.control
    value = abs(one.known / one.rows - other.known / other.rows)
    return Comparison(
        type=columns.pair.type,
        column=one.name,
        measure="fraction_present",
        value=value,
        threshold=threshold_of_shares(one.known + other.known, (one.rows, other.rows), rate),
        calibrated=True,
        effect=asked.l_infinity,
        treatment=Side(name=columns.pair.names[0], known=one.known, rows=one.rows),
        control=Side(name=columns.pair.names[1], known=other.known, rows=other.rows),
    )


def compare_values(columns: Columns, asked: Comparing, rate: float) -> Comparison:
    """How far apart the known values are, by the column's measure: numbers between edges if they are many."""
    if columns.expected.is_numeric:
        if columns.expected.measure == "tfdv_jensen_shannon" and columns.explicit is not None:
            return compare_buckets(columns, asked, columns.explicit)
        if not are_listed(columns):
            return compare_numbers(columns, asked, rate)
    measure = "jensen_shannon" if columns.expected.is_numeric else columns.expected.measure
    sides = counts_of(columns.treatment, columns.control)
    largest = l_infinity(*sides)
    value = largest.value
    if measure == "jensen_shannon":
        value = js_of_counts(*sides)
    elif measure == "normalized_difference":
        value, largest = normalized_difference(*sides).value, normalized_difference(*sides)
    sizes = (sum(sides[0].values()), sum(sides[1].values()))
    pooled = [sides[0].get(name, 0) + sides[1].get(name, 0) for name in {**sides[0], **sides[1]}]
    explicit = columns.explicit
    return Comparison(
        type=columns.pair.type,
        column=columns.expected.name,
        measure=measure,
        value=value,
        threshold=threshold_of_counts(measure, pooled, sizes, rate) if explicit is None else explicit,
        calibrated=explicit is None,
        effect=asked.jensen_shannon if measure == "jensen_shannon" else asked.l_infinity,
        treatment=side_of(columns, 0, counts=sides[0]),
        control=side_of(columns, 1, counts=sides[1]),
        largest=largest.largest,
        label_effect=label_effect(columns),
    )


def are_listed(columns: Columns) -> bool:
    """Whether both sides together have no more values than one of them may list; who has which does not matter."""
    sides = (columns.treatment, columns.control)
    listed = {value.value for side in sides for value in side.values}
    return all(side.complete for side in sides) and len(listed) <= LISTED


def compare_numbers(columns: Columns, asked: Comparing, rate: float) -> Comparison:
    """Of numbers with too many different values to list: counts between edges that both sides share."""
    one, other = columns.treatment.numbers, columns.control.numbers
    assert one is not None and other is not None
    shared = share_edges(one, other)
    # NaN and infinity are cells of their own: the same on both sides, so that only more of them than by chance count.
    cells = [np.array([*shared.counts[place], n.nans, n.infinities]) for place, n in enumerate((one, other))]
    sizes = (int(cells[0].sum()), int(cells[1].sum()))
    pooled, explicit = (cells[0] + cells[1]).tolist(), columns.explicit
    return Comparison(
        type=columns.pair.type,
        column=columns.expected.name,
        measure="jensen_shannon",
        value=float(jensen_shannon(*(side.astype(np.float64) for side in cells))),
        threshold=threshold_of_counts("jensen_shannon", pooled, sizes, rate) if explicit is None else explicit,
        calibrated=explicit is None,
        effect=asked.jensen_shannon,
        treatment=side_of(columns, 0, histogram=shared.buckets(0)),
        control=side_of(columns, 1, histogram=shared.buckets(1)),
        largest=largest_bucket(shared.buckets(0), shared.buckets(1)),
        label_effect=label_effect(columns),
    )


def compare_buckets(columns: Columns, asked: Comparing, declared: float) -> Comparison:
    """As TFDV does it: ten buckets of each side's own, cut at the other's edges, held to what is declared."""
    one, other = columns.treatment.numbers, columns.control.numbers
    assert one is not None and other is not None
    return Comparison(
        type=columns.pair.type,
        column=columns.expected.name,
        measure="tfdv_jensen_shannon",
        value=js_of_histograms(one, other),
        threshold=declared,
        calibrated=False,
        effect=asked.jensen_shannon,
        treatment=side_of(columns, 0, histogram=one.histogram),
        control=side_of(columns, 1, histogram=other.histogram),
        label_effect=label_effect(columns),
    )


def side_of(
    columns: Columns, which: int, counts: dict[str, int] | None = None, histogram: tuple[Bucket, ...] = ()
) -> Side:
    found = (columns.treatment, columns.control)[which]
    name = columns.pair.names[which]
    return Side(name=name, known=found.known, rows=found.rows, counts=counts or {}, histogram=histogram)


def counts_of(one: ColumnStatistics, other: ColumnStatistics) -> tuple[dict[str, int], dict[str, int]]:
    """Value counts of both sides; where one does not list all, of values that both list, the others in one."""
    sides = [{listed.value: listed.count for listed in side.values} for side in (one, other)]
    if not (one.complete and other.complete):
        shared = sides[0].keys() & sides[1].keys()
        for index, side in enumerate((one, other)):
            kept = {value: held for value, held in sides[index].items() if value in shared}
            rest = side.known - sum(kept.values())
            sides[index] = kept | ({OTHERS: rest} if rest > 0 else {})
    return sides[0], sides[1]


def largest_bucket(one: tuple[Bucket, ...], other: tuple[Bucket, ...]) -> str:
    """Between which numbers the shares differ most, of buckets with the same edges."""
    shares = [
        np.array([bucket.count for bucket in side]) / sum(bucket.count for bucket in side) for side in (one, other)
    ]
    place = int(np.abs(shares[0] - shares[1]).argmax())
    return f"{one[place].low:.4g} to {one[place].high:.4g}"


def label_effect(columns: Columns) -> float | None:
    """By how much the label's mean would change with the column alone; None where nobody knows."""
    one, other = columns.treatment, columns.control
    if columns.expected.is_label:
        return one.numbers.mean - other.numbers.mean if one.numbers and other.numbers else None
    if columns.expected.is_numeric:
        label = columns.pair.control.column(columns.pair.label)
        if not (one.numbers and other.numbers and other.label_correlation and label and label.numbers):
            return None
        slope = other.label_correlation * label.numbers.sd / other.numbers.sd
        return slope * (one.numbers.mean - other.numbers.mean)
    means = {listed.value: listed.label_mean for listed in other.values if listed.label_mean is not None}
    shares = [{v.value: v.count / side.known for v in side.values if v.value in means} for side in (one, other)]
    totals = [sum(side.values()) for side in shares]
    if not all(totals):
        return None
    return sum(
        ((shares[0].get(value, 0.0) / totals[0]) - (shares[1].get(value, 0.0) / totals[1])) * mean
        for value, mean in means.items()
    )
