"""Validation: statistics of spans against what is expected of them, each against the one before, and the log's."""

import hashlib
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import pairwise

import msgspec

from stork.data.anomalies import WARNINGS, Anomaly, Comparison, Validation
from stork.data.column_checks import Checked, check_column
from stork.data.comparing import Pair, compare_all
from stork.data.dataset_checks import Dataset, check_copies, check_keys, check_label, check_size, check_splits
from stork.data.example_rows import ExampleFinder
from stork.data.expectations import Expectation, expect
from stork.data.ingest import rules_of
from stork.data.judging import HIGH, judge
from stork.data.skew import check_skew, missing, served, skew_pair
from stork.data.sources import label_of
from stork.data.spans import Span
from stork.data.statistics import ALL, SpanStatistics, SplitStatistics
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

    @property
    def digest(self) -> str:
        """A hash of all of it: where it is the same, the same rows are valid."""
        parts = [rules_of(self.declaration), self.columns, self.schema]
        return hashlib.sha256(msgspec.json.encode(parts, order="deterministic")).hexdigest()

    def settle(self, anomaly: Anomaly) -> Anomaly:
        """With the severity that the data schema gives it; a difference that was accepted is a warning, with why."""
        usual = "warning" if anomaly.name in WARNINGS else anomaly.severity
        wanted = self.columns.get(anomaly.column) or Expectation("", "")
        severity = wanted.severity_of(anomaly.name, usual, self.schema)
        is_drift = anomaly.name in HIGH.values() and anomaly.environment == "TRAINING"
        reason = self.schema.accepted_for(anomaly.span, anomaly.column) if is_drift else ""
        if reason and severity == "error":
            received = f"{anomaly.received}; accepted: {reason}"
            return msgspec.structs.replace(anomaly, severity="warning", received=received)
        return msgspec.structs.replace(anomaly, severity=severity)

    def settle_all(self, anomalies: Iterable[Anomaly]) -> list[Anomaly]:
        """Those that are not off."""
        return [settled for anomaly in anomalies if (settled := self.settle(anomaly)).severity != "off"]


def validate_spans(
    expected: Expected,
    spans: Sequence[Span],
    statistics: Mapping[int, SpanStatistics],
    line: Sequence[int],
    logged: SplitStatistics | None = None,
) -> Validation:
    """
    Hold each span to what is expected of it and to the span before it in `line`; and what is `logged` to both.

    `spans` are in the order of their numbers; `statistics` has those of each, and of the first in `line`.
    """
    previous = {number: statistics[before] for before, number in pairwise(line)}
    found: list[Anomaly] = []
    comparisons: list[Comparison] = []
    for span in spans:
        dataset = Dataset(statistics[span.number], previous.get(span.number))
        drift = compare_spans(expected, dataset.statistics, dataset.previous)
        anomalies = [*check_span(expected, span, dataset), *check_drift(expected, dataset, drift)]
        if span is spans[-1]:
            anomalies += check_splits(dataset, spans, expected.declaration)
        finder = ExampleFinder(span, expected.declaration)
        found += [with_example(anomaly, finder, drift) for anomaly in expected.settle_all(anomalies)]
        comparisons += drift
    if logged is not None:
        pair = skew_pair(spans, expected.declaration, logged)
        skew = list(
            compare_all(pair, served(expected.columns, expected.declaration.log.hidden), expected.schema.comparing)
        )
        found += expected.settle_all(check_log(expected, pair, skew))
        comparisons += skew
    rows = {str(span.number): statistics[span.number].splits[ALL].rows for span in spans}
    return Validation(
        model=expected.declaration.model.name,
        environments=("TRAINING",) if logged is None else ("TRAINING", "SERVING"),
        spans=tuple(span.number for span in spans),
        rows=rows | ({} if logged is None else {"log": logged.rows}),
        anomalies=tuple(sorted(found, key=lambda anomaly: (anomaly.severity, -anomaly.span))),
        comparisons=tuple(comparisons),
        false_alarms=expected.schema.comparing.false_alarms,
    )


def check_span(expected: Expected, span: Span, dataset: Dataset) -> Iterator[Anomaly]:
    """What one span shows by itself."""
    absent = frozenset(span.manifest.absent)
    yield from check_columns(expected.columns, dataset.statistics, "TRAINING", absent)
    yield from check_size(dataset, expected.schema.examples)
    yield from check_label(dataset, expected.label, expected.columns)
    yield from check_copies(dataset, expected.columns)
    if expected.schema.examples.unique:
        yield from check_keys(dataset, span)


def check_log(expected: Expected, pair: Pair, comparisons: list[Comparison]) -> Iterator[Anomaly]:
    """What the logged requests show: by themselves, and beside the rows that were learned from."""
    hidden = expected.declaration.log.hidden
    wanted = served(expected.columns, hidden)
    logged = SpanStatistics(
        model=expected.declaration.model.name,
        span=pair.span,
        digest="",
        made_by="",
        source=("log",),
        refused={},
        splits={ALL: pair.control},
    )
    found = [*check_columns(wanted, logged, "SERVING"), *check_skew(pair, comparisons, wanted, hidden)]
    for anomaly in found:
        if (
            anomaly.name != "SCHEMA_NEW_COLUMN" or anomaly.column not in expected.columns
        ):  # declared, for training alone
            yield msgspec.structs.replace(anomaly, environment="SERVING")


def check_columns(
    expected: dict[str, Expectation],
    statistics: SpanStatistics,
    environment: Environment,
    absent: frozenset[str] = frozenset(),
) -> Iterator[Anomaly]:
    """Questions 2 to 6, and the domains, of the columns that are expected in an environment."""
    everything = statistics.splits[ALL]
    for name, wanted in expected.items():
        if environment in wanted.environments and everything.rows:
            found, rows = everything.column(name), everything.rows
            yield from check_column(Checked(statistics.span, wanted, found, rows, statistics.refused, name in absent))
    for column in everything.columns:
        if column.name not in expected:
            received = f"one with {column.kind} values in {column.known:,} rows"
            yield Anomaly(
                name="SCHEMA_NEW_COLUMN",
                question=3,
                span=statistics.span,
                column=column.name,
                expected="no such column",
                received=received,
                severity="warning",
            )


def compare_spans(expected: Expected, now: SpanStatistics, before: SpanStatistics | None) -> list[Comparison]:
    """Drift: a span beside the one before it; none where there is none."""
    if before is None:
        return []
    return list(compare_all(drift_pair(expected, now, before), expected.columns, expected.schema.comparing))


def drift_pair(expected: Expected, now: SpanStatistics, before: SpanStatistics) -> Pair:
    names = (f"span {now.span}", f"span {before.span}")
    return Pair("drift", expected.label, now.span, names, now.splits[ALL], before.splits[ALL])


def check_drift(expected: Expected, dataset: Dataset, comparisons: list[Comparison]) -> Iterator[Anomaly]:
    """The comparisons that do not pass, and columns that the span before has no value of."""
    if dataset.previous is None:
        return
    pair = drift_pair(expected, dataset.statistics, dataset.previous)
    yield from judge(pair, comparisons)
    for name in expected.columns:
        now, before = pair.treatment.column(name), pair.control.column(name)
        if now is not None and now.known and (before is None or not before.known):
            yield missing(pair, name, f"none there, {now.known:,} here")


def with_example(anomaly: Anomaly, finder: ExampleFinder, comparisons: list[Comparison]) -> Anomaly:
    """With a row that shows it, where one does."""
    made = [c for c in comparisons if c.column == anomaly.column and HIGH[c.measure] == anomaly.name]
    if anomaly.question == 1 and not made:
        return anomaly
    return msgspec.structs.replace(anomaly, example=finder.find(anomaly, made[0] if made else None))
