"""What the statistics of a span say that a person would want to know before training on it, in sentences."""

from collections.abc import Iterator

from stork.data.statistics import ALL, ColumnStatistics, SpanStatistics, SplitStatistics
from stork.report.page import count, percent

FEW = 30  # rows; fewer agree by chance
TELLING = 0.99  # a feature that correlates so strongly with the label has probably seen it
MOSTLY_MISSING = 0.5


def find(statistics: SpanStatistics, label: str) -> list[str]:
    """Every finding on all rows of a span, the gravest first."""
    split = statistics.splits[ALL]
    found = [*copies(split), *leaks(split, label), *refusals(statistics)]
    for column in split.columns:
        found += on_column(column)
    return found


def copies(split: SplitStatistics) -> Iterator[str]:
    """Columns that say the same."""
    for pair in split.agreements:
        columns = split.column(pair.one), split.column(pair.other)
        if pair.known >= FEW and all(column is not None and column.unique > 1 for column in columns):
            rows = f"all {count(pair.known)}" if pair.equal == pair.known else f"{percent(pair.equal / pair.known)} of"
            total = "" if pair.equal == pair.known else f" {count(pair.known)}"
            yield f"{pair.one} equals {pair.other} in {rows}{total} rows where both are known"


def leaks(split: SplitStatistics, label: str) -> Iterator[str]:
    """Features that know the label."""
    for column in split.columns:
        if column.name != label and abs(column.label_correlation or 0.0) >= TELLING:
            yield f"{column.name} correlates with the label {label} by {column.label_correlation:.3f}: has it seen it?"


def refusals(statistics: SpanStatistics) -> Iterator[str]:
    """Rows that nothing will learn from."""
    rows = statistics.splits[ALL].rows
    for reason, refused in statistics.refused.items():
        yield f"{count(refused)} of {count(rows)} rows ({percent(refused / rows)}) were refused: {reason}"


def on_column(column: ColumnStatistics) -> Iterator[str]:
    """What one column shows by itself; of columns that are not declared only what is strange."""
    name, missing = column.name, column.missing / column.rows if column.rows else 0.0
    if column.declared and column.missing == column.rows:
        yield f"{name} is missing in every row"
    elif column.declared and missing > MOSTLY_MISSING:
        yield f"{name} is missing in {percent(missing)} of the rows"
    if column.unparsed:
        example = repr(column.strange[0])
        yield f"{name}: {count(column.unparsed)} values are not of the kind {column.declared}, such as {example}"
    if column.declared and column.unique == 1 and column.known > FEW:
        yield f"{name} is {column.values[0].value} wherever it is known"
    if column.max_values > 1:
        yield f"{name} has up to {column.max_values} values in a row"
    if column.numbers and column.numbers.nans + column.numbers.infinities:
        yield f"{name}: {count(column.numbers.nans)} NaN, {count(column.numbers.infinities)} infinite"
