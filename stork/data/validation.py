"""Validation: statistics of spans against what is expected of them, and of the newest against the one before."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass

import msgspec

from stork.data.anomalies import WARNINGS, Anomaly, Comparison, Validation
from stork.data.column_checks import Checked, check_column
from stork.data.comparing import HIGH, Pair, compare_all, judge
from stork.data.dataset_checks import Dataset, check_copies, check_keys, check_label, check_size
from stork.data.example_rows import ExampleFinder
from stork.data.expectations import Expectation, expect
from stork.data.sources import label_of
from stork.data.spans import Span
from stork.data.statistics import ALL, SpanStatistics
from stork.declaration import Declaration
from stork.declaration.data_schema import DataSchema, Environment


@dataclass(frozen=True)
class Expected:
    """All that spans are held to."""

    declaration: Declaration
    schema: DataSchema
    columns: dict[str, Expectation]

    @classmethod
    def of(cls, declaration: Declaration, schema: DataSchema) -> "Expected":
        return cls(declaration, schema, expect(declaration, schema))

    @property
    def label(self) -> str:
        return label_of(self.declaration).name

    def settle(self, anomaly: Anomaly) -> Anomaly:
        """With the severity that the data schema gives it; a difference that was accepted is a warning, with why."""
        usual = "warning" if anomaly.name in WARNINGS else anomaly.severity
        wanted = self.columns.get(anomaly.column) or Expectation("", "")
        severity = wanted.severity_of(anomaly.name, usual, self.schema)
        reason = self.schema.accepted_for(anomaly.span, anomaly.column) if anomaly.name in HIGH.values() else ""
        if reason and severity == "error":
            received = f"{anomaly.received}; accepted: {reason}"
            return msgspec.structs.replace(anomaly, severity="warning", received=received)
        return msgspec.structs.replace(anomaly, severity=severity)


def validate_spans(
    expected: Expected, spans: Sequence[Span], statistics: Mapping[int, SpanStatistics], previous: int | None = None
) -> Validation:
    """
    Hold each span to what is expected of it, and the last of them to the span `previous` (None: to none).

    `spans` are in the order of their numbers; `statistics` has those of each, and of the previous one.
    """
    newest = spans[-1]
    before = statistics[previous] if previous is not None else None
    comparisons = compare_spans(expected, statistics[newest.number], before)
    found: list[Anomaly] = []
    for span in spans:
        dataset = Dataset(statistics[span.number], before if span is newest else None)
        anomalies = [*check_span(expected, span, dataset)]
        if span is newest:
            anomalies += check_drift(expected, dataset, comparisons)
            anomalies += check_keys(dataset, spans, expected.declaration, expected.schema.examples.unique)
        finder = ExampleFinder(span, expected.declaration)
        settled = [settled for anomaly in anomalies if (settled := expected.settle(anomaly)).severity != "off"]
        found += [with_example(anomaly, finder, comparisons) for anomaly in settled]
    return Validation(
        model=expected.declaration.model.name,
        environment="TRAINING",
        spans=tuple(span.number for span in spans),
        rows={str(number): known.splits[ALL].rows for number, known in statistics.items()},
        anomalies=tuple(sorted(found, key=lambda anomaly: (anomaly.severity, -anomaly.span))),
        comparisons=tuple(comparisons),
        false_alarms=expected.schema.comparing.false_alarms,
    )


def check_span(expected: Expected, span: Span, dataset: Dataset) -> Iterator[Anomaly]:
    """What one span shows by itself."""
    yield from check_columns(expected, dataset, "TRAINING", frozenset(span.manifest.absent))
    yield from check_size(dataset, expected.schema.examples)
    yield from check_label(dataset, expected.label, expected.columns)
    yield from check_copies(dataset, expected.columns)


def check_columns(
    expected: Expected, dataset: Dataset, environment: Environment, absent: frozenset[str] = frozenset()
) -> Iterator[Anomaly]:
    """Questions 2 to 6, and the domains, of the columns that are expected in an environment."""
    rows, refused = dataset.everything.rows, dataset.statistics.refused
    for name, wanted in expected.columns.items():
        if environment in wanted.environments and rows:
            found = dataset.everything.column(name)
            yield from check_column(Checked(dataset.statistics.span, wanted, found, rows, refused, name in absent))
    for column in dataset.everything.columns:
        if column.name not in expected.columns:
            received = f"one with {column.kind} values in {column.known:,} rows"
            yield Anomaly(
                name="SCHEMA_NEW_COLUMN",
                question=3,
                span=dataset.statistics.span,
                column=column.name,
                expected="no such column",
                received=received,
                severity="warning",
            )


def compare_spans(expected: Expected, newest: SpanStatistics, before: SpanStatistics | None) -> list[Comparison]:
    """Drift: the newest span beside the one before it; none where there is none."""
    if before is None:
        return []
    return list(compare_all(drift_pair(expected, newest, before), expected.columns, expected.schema.comparing))


def drift_pair(expected: Expected, newest: SpanStatistics, before: SpanStatistics) -> Pair:
    names = (f"span {newest.span}", f"span {before.span}")
    return Pair("drift", expected.label, newest.span, names, newest.splits[ALL], before.splits[ALL])


def check_drift(expected: Expected, dataset: Dataset, comparisons: list[Comparison]) -> Iterator[Anomaly]:
    """The comparisons that do not pass, and columns that the span before has no value of."""
    if dataset.previous is None:
        return
    pair = drift_pair(expected, dataset.statistics, dataset.previous)
    yield from judge(pair, comparisons)
    for name in expected.columns:
        now, before = pair.treatment.column(name), pair.control.column(name)
        if now is not None and now.known and (before is None or not before.known):
            yield Anomaly(
                name="COMPARATOR_CONTROL_DATA_MISSING",
                question=1,
                span=pair.span,
                column=name,
                expected=f"values in {pair.names[1]} to compare with",
                received=f"none there, {now.known:,} here",
                severity="warning",
            )


def with_example(anomaly: Anomaly, finder: ExampleFinder, comparisons: list[Comparison]) -> Anomaly:
    """With a row that shows it, where one does."""
    made = [c for c in comparisons if c.column == anomaly.column and HIGH[c.measure] == anomaly.name]
    if anomaly.question == 1 and not made:
        return anomaly
    return msgspec.structs.replace(anomaly, example=finder.find(anomaly, made[0] if made else None))
