"""
What validation finds: breaches of what is expected, each with a name, and every comparison of two spans.

Names are TensorFlow Data Validation's (tensorflow_metadata/proto/v0/anomalies.proto) where it has one; `OWN` are ours.
"""

from typing import Any, Literal

import msgspec

from stork.data.statistics import Bucket
from stork.declaration.data_schema import Environment, Measure, Severity

# The six questions that are asked of every span, by the number in an anomaly; 0 is what they do not cover.
QUESTIONS = {
    1: "Is the distribution like the one before?",
    2: "Are all expected columns there?",
    3: "Are there unexpected columns?",
    4: "Is every value of the expected type?",
    5: "Do as many rows as expected have a value?",
    6: "Does a row have as many values as expected?",
    0: "Are values, keys, splits and the label sound?",
}
OWN = (
    "COMPARATOR_FRACTION_PRESENT_HIGH",
    "KEY_NOT_UNIQUE",
    "SPLIT_SHARES_KEY",
    "SPLIT_SHARES_ROW",
    "LABEL_CONSTANT",
    "LABEL_COPIED",
    "FEATURE_COPIED",
    "SAMPLE_TOO_SMALL",
)
# What TFDV has as an error and nothing here depends on: no step reads a column that is not declared.
WARNINGS = ("SCHEMA_NEW_COLUMN", "FEATURE_COPIED", "SPLIT_SHARES_ROW", "SAMPLE_TOO_SMALL")


class Example(msgspec.Struct, frozen=True):
    """A row that shows an anomaly: its span, file and place there, from 1 on; what the log omits is masked."""

    span: int
    file: str
    row: int
    values: dict[str, Any]


class Anomaly(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """
    A breach: the question it answers with no, where, what was expected and what was received.

    In the environment SERVING it is one of the logged requests, and `span` the newest of those they are held to.
    """

    name: str
    question: int
    span: int
    expected: str
    received: str
    severity: Severity
    column: str = ""
    example: Example | None = None
    environment: Environment = "TRAINING"

    @property
    def sentence(self) -> str:
        place = "log" if self.environment == "SERVING" else f"span {self.span}"
        where = f"{place}, {self.column}" if self.column else place
        return f"{where}: expected {self.expected}, received {self.received}"

    def __str__(self) -> str:
        return f"{self.name}: {self.sentence}"


class Side(msgspec.Struct, frozen=True, kw_only=True):
    """
    One side of a comparison: whose values, how many, and what was compared: counts by value, or in buckets.

    Buckets have the edges of the other side too, but for `tfdv_jensen_shannon`.
    """

    name: str
    known: int
    rows: int
    counts: dict[str, int] = {}
    histogram: tuple[Bucket, ...] = ()


class Comparison(msgspec.Struct, frozen=True, kw_only=True):
    """
    How far a column of one span is from the same column of another.

    `treatment` is what is judged and `control` what it is held to: for drift the span before, for skew (of a column's
    values in training) those of serving. It passes while `value` is not above `threshold`; a `calibrated` threshold is
    the one that chance exceeds as rarely as `[comparing] false_alarms` asks. Above it, a difference is an error if it
    is above `effect` too. `largest` is the value, or the bucket, whose share differs most; `label_effect` by how much
    the label's mean would change with the shares if it stayed what it is for each value (in the label's unit).
    """

    type: Literal["drift", "skew"]
    column: str
    measure: Measure | Literal["fraction_present"]
    value: float
    threshold: float
    calibrated: bool
    effect: float
    treatment: Side
    control: Side
    largest: str = ""
    label_effect: float | None = None

    @property
    def passed(self) -> bool:
        return self.value <= self.threshold

    @property
    def severity(self) -> Severity:
        """What it is if it does not pass."""
        return "error" if not self.calibrated or self.value > self.effect else "warning"


class Validation(msgspec.Struct, frozen=True, kw_only=True):
    """
    anomalies.json: all that was found in the spans of one model, and every comparison, passing ones too.

    `rows` counts those of each span that was looked at, and the instances of the `log` where it was asked for.
    """

    model: str
    environments: tuple[Environment, ...]
    spans: tuple[int, ...]
    rows: dict[str, int]
    anomalies: tuple[Anomaly, ...]
    comparisons: tuple[Comparison, ...]
    false_alarms: float

    @property
    def errors(self) -> tuple[Anomaly, ...]:
        return tuple(anomaly for anomaly in self.anomalies if anomaly.severity == "error")

    @property
    def warnings(self) -> tuple[Anomaly, ...]:
        return tuple(anomaly for anomaly in self.anomalies if anomaly.severity == "warning")
