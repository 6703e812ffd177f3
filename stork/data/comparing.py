"""Question 1: is a column of one span distributed like the same column of another? Every comparison is kept."""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Literal

import numpy as np

from stork.data.anomalies import Anomaly, Comparison, Side
from stork.data.calibration import threshold_of_counts, threshold_of_histograms, threshold_of_shares
from stork.data.comparators import js_of_counts, js_of_histograms, l_infinity, normalized_difference, spread
from stork.data.expectations import Expectation
from stork.data.statistics import Bucket, ColumnStatistics, SplitStatistics
from stork.declaration.data_schema import Comparing
from stork.report.page import count

HIGH = {
    "l_infinity": "COMPARATOR_L_INFTY_HIGH",
    "jensen_shannon": "COMPARATOR_JENSEN_SHANNON_DIVERGENCE_HIGH",
    "normalized_difference": "COMPARATOR_NORMALIZED_ABSOLUTE_DIFFERENCE_HIGH",
    "fraction_present": "COMPARATOR_FRACTION_PRESENT_HIGH",
}
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
    both = []
    for name, wanted in expected.items():
        one, other = pair.treatment.column(name), pair.control.column(name)
        if one is not None and other is not None and wanted.measure != "off" and one.rows and other.rows:
            both.append(Columns(pair, wanted, one, other))
    comparable = [columns for columns in both if is_comparable(columns)]
    rate = asked.false_alarms / max(1, len(both) + len(comparable))
    for columns in both:
        yield compare_presence(columns, asked, rate)
        if columns in comparable:
            yield compare_values(columns, asked, rate)


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
    """How far apart the known values are, by the column's measure."""
    if columns.expected.is_numeric and not all(s.complete for s in (columns.treatment, columns.control)):
        return compare_histograms(columns, asked, rate)
    measure = columns.expected.measure
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


def compare_histograms(columns: Columns, asked: Comparing, rate: float) -> Comparison:
    """Of numbers with too many different values to list."""
    one, other = columns.treatment.numbers, columns.control.numbers
    assert one is not None and other is not None
    explicit = columns.explicit
    return Comparison(
        type=columns.pair.type,
        column=columns.expected.name,
        measure="jensen_shannon",
        value=js_of_histograms(one, other),
        threshold=threshold_of_histograms((one, other), rate) if explicit is None else explicit,
        calibrated=explicit is None,
        effect=asked.jensen_shannon,
        treatment=side_of(columns, 0, histogram=one.histogram),
        control=side_of(columns, 1, histogram=other.histogram),
        largest=largest_cell(one.histogram, other.histogram),
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


def largest_cell(one: tuple[Bucket, ...], other: tuple[Bucket, ...]) -> str:
    """Between which numbers the shares differ most."""
    edges = np.array(sorted({edge for b in (*one, *other) for edge in (b.low, b.high)}))
    if len(edges) < 2:
        return f"{edges[0]:.4g}" if len(edges) else ""
    cells = [spread(side, edges) / max(1, sum(b.count for b in side)) for side in (one, other)]
    place = int(np.abs(cells[0] - cells[1]).argmax())
    return f"{edges[place]:.4g} to {edges[place + 1]:.4g}"


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


def judge(pair: Pair, comparisons: list[Comparison]) -> Iterator[Anomaly]:
    """An anomaly for every comparison that does not pass."""
    for made in comparisons:
        if not made.passed:
            yield Anomaly(
                name=HIGH[made.measure],
                question=1,
                span=pair.span,
                column=made.column,
                expected=expected_of(made),
                received=received_of(made),
                severity=made.severity,
            )
    hidden = [c for c in comparisons if c.calibrated and c.threshold > c.effect]
    if hidden:
        widest = max(hidden, key=lambda made: made.threshold / made.effect)
        rows = min(widest.treatment.rows, widest.control.rows)
        yield Anomaly(
            name="SAMPLE_TOO_SMALL",
            question=1,
            span=pair.span,
            expected=f"rows enough to tell a difference of {widest.effect:g} from chance",
            received=f"{count(rows)} rows: of {', '.join(dict.fromkeys(c.column for c in hidden))} only larger ones "
            f"show ({widest.column}: above {widest.threshold:.3f})",
            severity="warning",
        )


def expected_of(made: Comparison) -> str:
    why = "by chance" if made.calibrated else "as declared"
    what = "a value in as many rows" if made.measure == "fraction_present" else "the distribution"
    return f"{what} as in {made.control.name}, but for {made.threshold:.4f} {why}"


def received_of(made: Comparison) -> str:
    """The number, and where it comes from."""
    other = "before" if made.type == "drift" else "served"
    if made.measure == "fraction_present":
        return f"{made.value:.4f}: {share(made.treatment)} of the rows, {other} {share(made.control)}"
    unit = " bits" if made.measure == "jensen_shannon" else ""
    effect = "" if made.label_effect is None else f"; the label's mean would change by {made.label_effect:+.3g}"
    where = ""
    if made.treatment.counts or made.control.counts:
        one, two = (shares_of(side, made.largest) for side in (made.treatment, made.control))
        where = f", most in {made.largest}: {one:.1%}, {other} {two:.1%}"
    elif made.largest:
        where = f", most from {made.largest}"
    return f"{made.value:.4f}{unit}{where}{effect}"


def share(side: Side) -> str:
    return f"{side.known / side.rows:.1%}"


def shares_of(side: Side, value: str) -> float:
    return side.counts.get(value, 0) / (sum(side.counts.values()) or 1)
