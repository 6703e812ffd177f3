"""Skew: the rows that were learned from beside the requests that were answered, by the prediction log."""

from collections.abc import Iterator, Sequence
from datetime import UTC, datetime
from itertools import islice
from pathlib import Path
from typing import Any

import msgspec

from stork.data.anomalies import Anomaly, Comparison
from stork.data.coding import Coded, code_column
from stork.data.comparing import Pair
from stork.data.describing import describe
from stork.data.expectations import Expectation
from stork.data.gathering import Plan, SplitAccumulator, accumulate, work_items
from stork.data.judging import judge
from stork.data.spans import Span
from stork.data.statistics import SplitStatistics
from stork.declaration import Declaration
from stork.errors import DataError
from stork.report.page import count
from stork.store.prediction_log import read_since

BATCH = 10_000  # instances
START = datetime.fromtimestamp(0, UTC)


def describe_log(destination: str, declaration: Declaration) -> SplitStatistics:
    """
    The statistics of every instance that the log in `destination` holds of accepted requests.

    Raises:
        DataError: the log is not kept in files, or holds no such instance.
    """
    model = declaration.model.name
    if destination in ("stdout", "off"):
        raise DataError(f"{model}: expected a prediction log in files, received STORK_LOG={destination}")
    plan = Plan.of(declaration)
    found = SplitAccumulator(plan)
    instances = accepted_instances(Path(destination) / model)
    while batch := list(islice(instances, BATCH)):
        found.add(len(batch), code_instances(batch, plan, declaration.log.hidden))
    if not found.rows:
        raise DataError(f"{model}: expected accepted requests in {Path(destination) / model}, received none")
    return describe(found)


def accepted_instances(folder: Path) -> Iterator[dict[str, Any]]:
    """Each instance that was answered and logged."""
    for record in read_since(folder, START):
        if record.get("status") == 200:
            yield from record.get("instances", [])


def code_instances(batch: Sequence[dict[str, Any]], plan: Plan, hidden: frozenset[str]) -> dict[str, Coded]:
    """The columns of a batch as ingestion would hold them: every feature that the log shows, and what else came."""
    import pyarrow

    wanted = {name: None for name in plan.kinds if name != plan.label} | {name: None for row in batch for name in row}
    return {
        name: code_column(
            pyarrow.array([as_text(row.get(name)) for row in batch], pyarrow.string()), plan.kinds.get(name, "")
        )
        for name in wanted
        if name not in hidden
    }


def as_text(value: Any) -> str | None:
    """
    A JSON value as a CSV file would have it; None where nothing is said.

    >>> as_text(True), as_text(7.5), as_text("")
    ('true', '7.5', None)
    """
    if value is None or value == "":
        return None
    return value if isinstance(value, str) else msgspec.json.encode(value).decode()


def describe_training(spans: Sequence[Span], declaration: Declaration) -> SplitStatistics:
    """The statistics of the training splits of these spans, as one."""
    plan = Plan.of(declaration)
    found = SplitAccumulator(plan)
    for span in spans:
        for item in work_items(span):
            if item.split == "train":
                found.merge(accumulate(item, plan))
    return describe(found)


def skew_pair(spans: Sequence[Span], declaration: Declaration, logged: SplitStatistics) -> Pair:
    """Training is judged, serving is what it is held to, as in TFDV."""
    numbers = ", ".join(str(span.number) for span in spans)
    names = (f"training rows of span{'s' * (len(spans) > 1)} {numbers}", f"{count(logged.rows)} logged instances")
    training = describe_training(spans, declaration)
    return Pair("skew", declaration.training.label, spans[-1].number, names, training, logged)


def served(expected: dict[str, Expectation], hidden: frozenset[str]) -> dict[str, Expectation]:
    """What a logged request is expected to show: features, since a request has nothing else, that are not hidden."""
    return {
        name: wanted
        for name, wanted in expected.items()
        if wanted.is_feature and "SERVING" in wanted.environments and name not in hidden
    }


def check_skew(
    pair: Pair, comparisons: list[Comparison], expected: dict[str, Expectation], hidden: frozenset[str]
) -> Iterator[Anomaly]:
    """The comparisons that do not pass, and features that cannot be compared."""
    yield from judge(pair, comparisons)
    for column in pair.treatment.columns:
        logged = pair.control.column(column.name)
        if column.name in hidden:
            yield missing(pair, column.name, f"none: [log] of model.toml hides them, {count(column.known)} in training")
        elif column.name in expected and column.known and (logged is None or not logged.known):
            yield missing(pair, column.name, f"none, {count(column.known)} in training")


def missing(pair: Pair, column: str, received: str) -> Anomaly:
    return Anomaly(
        name="COMPARATOR_CONTROL_DATA_MISSING",
        question=1,
        span=pair.span,
        column=column,
        expected=f"values in {pair.names[1]} to compare with",
        received=received,
        severity="warning",
    )
