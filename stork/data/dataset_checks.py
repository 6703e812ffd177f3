"""What is asked of a span as a whole: its size, its label, columns that copy each other, keys, and splits that leak."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from stork.data.anomalies import Anomaly
from stork.data.expectations import Expectation
from stork.data.ingest import FINGERPRINT
from stork.data.spans import SPLITS, Span
from stork.data.sql import literal, quoted
from stork.data.statistics import ALL, SpanStatistics, SplitStatistics
from stork.declaration import Declaration
from stork.declaration.data_schema import Examples, Severity
from stork.report.page import count

FEW = 30  # rows; fewer agree by chance
SPLIT = "split of the row"  # a column's name, which no source has
COPIED = 0.999  # a correlation


@dataclass(frozen=True)
class Dataset:
    """A span, what is known of it, and of the one before it."""

    statistics: SpanStatistics
    previous: SpanStatistics | None = None

    @property
    def everything(self) -> SplitStatistics:
        return self.statistics.splits[ALL]

    def anomaly(self, name: str, column: str, expected: str, received: str, severity: Severity = "error") -> Anomaly:
        return Anomaly(
            name=name,
            question=0,
            span=self.statistics.span,
            column=column,
            expected=expected,
            received=received,
            severity=severity,
        )


def examples_of(statistics: SpanStatistics) -> int:
    """The rows that were not refused."""
    return sum(statistics.splits[split].rows for split in SPLITS if split in statistics.splits)


def check_size(dataset: Dataset, wanted: Examples) -> Iterator[Anomaly]:
    """The number of examples; and of all rows that came, beside the span before: of that all may have been refused."""
    rows = examples_of(dataset.statistics)
    if rows < wanted.min:
        yield dataset.anomaly("DATASET_LOW_NUM_EXAMPLES", "", f"at least {count(wanted.min)} rows", count(rows))
    if 0 < wanted.max < rows:
        yield dataset.anomaly("DATASET_HIGH_NUM_EXAMPLES", "", f"at most {count(wanted.max)} rows", count(rows))
    came = dataset.everything.rows
    before = dataset.previous.splits[ALL].rows if dataset.previous is not None else 0
    if before:
        ratio = came / before
        received = f"{count(came)} rows after {count(before)}: {ratio:.3g} times"
        if ratio < wanted.min_ratio:
            expected = f"at least {wanted.min_ratio:g} times the rows of the span before"
            yield dataset.anomaly("COMPARATOR_LOW_NUM_EXAMPLES", "", expected, received)
        if wanted.max_ratio is not None and ratio > wanted.max_ratio:
            expected = f"at most {wanted.max_ratio:g} times the rows of the span before"
            yield dataset.anomaly("COMPARATOR_HIGH_NUM_EXAMPLES", "", expected, received)


def check_label(dataset: Dataset, label: str, expected: dict[str, Expectation]) -> Iterator[Anomaly]:
    """A label that is always the same teaches nothing; a feature that copies it is not known when serving."""
    found = dataset.everything.column(label)
    if found is not None and found.unique == 1 and found.known >= FEW:
        received = f"{found.values[0].value} in all {count(found.known)} rows"
        yield dataset.anomaly("LABEL_CONSTANT", label, "different values", received)
    for column in dataset.everything.columns:
        wanted = expected.get(column.name)
        if wanted is None or not wanted.is_feature or column.label_correlation is None or column.known < FEW:
            continue
        if abs(column.label_correlation) >= COPIED:
            received = f"a correlation of {column.label_correlation:.4f} with {label}"
            yield dataset.anomaly("LABEL_COPIED", column.name, f"a correlation below {COPIED}", received)


def check_copies(dataset: Dataset, expected: dict[str, Expectation]) -> Iterator[Anomaly]:
    """Two features that agree in every row are one."""
    for pair in dataset.everything.agreements:
        columns = [dataset.everything.column(name) for name in (pair.one, pair.other)]
        are_features = all(name in expected and expected[name].is_feature for name in (pair.one, pair.other))
        varies = all(column is not None and column.unique > 1 for column in columns)
        if are_features and varies and pair.known == pair.equal and pair.known >= FEW:
            received = f"the same value in all {count(pair.known)} rows where both are known"
            yield dataset.anomaly("FEATURE_COPIED", pair.other, f"other values than {pair.one}", received, "warning")


def check_splits(dataset: Dataset, spans: Sequence[Span], declaration: Declaration) -> Iterator[Anomaly]:
    """Keys that stand in two splits of these spans, and rows whose features do."""
    import duckdb

    with duckdb.connect() as connection:
        connection.execute(f"CREATE VIEW examples AS {union_sql(spans)}")
        keys = shared(connection, (FINGERPRINT,))
        if keys:
            received = f"{count(keys)} keys in more than one"
            yield dataset.anomaly("SPLIT_SHARES_KEY", "", "every key in one split", received)
        if not declaration.data.key:  # all features are the key then
            return
        rows = shared(connection, tuple(feature.name for feature in declaration.features))
        if rows:
            received = f"{count(rows)} in more than one"
            expected = "rows that agree in all features in one split"
            yield dataset.anomaly("SPLIT_SHARES_ROW", "", expected, received, "warning")


def check_keys(dataset: Dataset, span: Span) -> Iterator[Anomaly]:
    """Keys that occur twice in a span."""
    import duckdb

    with duckdb.connect() as connection:
        query = f"SELECT count(*), count(DISTINCT {FINGERPRINT}) FROM ({union_sql([span])})"
        total, different = connection.execute(query).fetchall()[0]
    if different < total:
        received = f"{count(total - different)} of {count(total)} rows with a key that another has"
        yield dataset.anomaly("KEY_NOT_UNIQUE", "", "a key of its own for every row", received)


def union_sql(spans: Sequence[Span]) -> str:
    """A SELECT of every example of these spans, with its split."""
    parts = [
        f"SELECT *, {literal(split)} AS {quoted(SPLIT)} FROM read_parquet({literal(str(span.path(split)))})"
        for span in spans
        for split in SPLITS
    ]
    return " UNION ALL BY NAME ".join(parts)


def shared(connection: object, columns: tuple[str, ...]) -> int:
    """How many different values of these columns stand in more than one split."""
    listed = ", ".join(map(quoted, columns))
    query = (
        f"SELECT count(*) FROM (SELECT 1 FROM examples GROUP BY {listed} HAVING count(DISTINCT {quoted(SPLIT)}) > 1)"
    )
    return int(connection.execute(query).fetchall()[0][0])  # type: ignore[attr-defined]
