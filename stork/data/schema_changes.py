"""What would have to change for an anomaly to be none: a line of data.toml, or something that a person must do."""

import math
from collections.abc import Callable
from dataclasses import dataclass

from stork.data.anomalies import Anomaly
from stork.data.calibration import threshold_of_shares
from stork.data.expectations import Expectation
from stork.data.statistics import ColumnStatistics

Value = float | int | bool | str | list[float] | list[int]


@dataclass(frozen=True)
class Change:
    """
    A key of data.toml that gets a value, since an anomaly says so; `table` is where it stands, from the top.

    The table `accepted` gets the anomaly's column instead: a difference from the span before that somebody looked at.
    """

    anomaly: Anomaly
    table: tuple[str, ...]
    key: str = ""
    value: Value = 0

    def __str__(self) -> str:
        if self.table == ("accepted",):
            return f"{self.anomaly}; so it is accepted for span {self.anomaly.span}, the next one is compared as ever"
        return f"{self.anomaly}; so {'.'.join(self.table)}.{self.key} becomes {written(self.value)}"


@dataclass(frozen=True)
class ByHand:
    """What no line of data.toml puts right, and what would."""

    anomaly: Anomaly
    what: str

    def __str__(self) -> str:
        return f"{self.anomaly}; so {self.what}"


@dataclass(frozen=True)
class Seen:
    """An anomaly, what was expected of its column, and what the span has; `examples` are rows not refused."""

    anomaly: Anomaly
    expected: Expectation
    found: ColumnStatistics | None
    rows: int
    examples: int
    before: int
    rate: float

    @property
    def column(self) -> ColumnStatistics:
        """The column, for anomalies that only one that is there can have."""
        assert self.found is not None
        return self.found

    @property
    def is_declared(self) -> bool:
        """Whether model.toml says what the column is."""
        return self.expected.is_feature or self.expected.is_label

    def set(self, key: str, value: Value) -> Change:
        return Change(self.anomaly, ("column", self.expected.name), key, value)

    def set_examples(self, key: str, value: Value) -> Change:
        return Change(self.anomaly, ("examples",), key, value)

    def by_hand(self, what: str) -> ByHand:
        return ByHand(self.anomaly, what)

    def contract(self, what: str) -> ByHand:
        """What is up to model.toml."""
        refused = "; `tolerance` in data.toml says how many rows may be refused for it" if self.found else ""
        return self.by_hand(f"model.toml, the model's contract, must change by hand: {what}{refused}")


def least_fraction(known: int, rows: int, rate: float) -> float:
    """
    The share of rows with a value that as many rows of the same origin fall below as rarely as `rate` says.

    In hundredths, rounded down. Where every row has a value, the next may still be the first that has none: of `rows`
    none shows with the probability `rate` where a share of -ln(rate) / rows has none.

    >>> least_fraction(100_000, 100_000, 0.001), least_fraction(1000, 1000, 0.001), least_fraction(0, 10, 0.001)
    (0.99, 0.99, 0.0)
    """
    if not known:
        return 0.0
    margin = max(threshold_of_shares(2 * known, (rows, rows), rate), -math.log(rate) / rows)
    return max(0.0, math.floor(100 * (known / rows - margin)) / 100)


def rounded_up(share: float) -> float:
    """
    In hundredths.

    >>> rounded_up(0.101), rounded_up(0.25)
    (0.11, 0.25)
    """
    return min(1.0, math.ceil(round(100 * share, 9)) / 100)


def change_absence(seen: Seen) -> Change | ByHand:
    if seen.expected.is_label:
        return seen.by_hand("nothing can be learned without the label: the source must have it")
    if seen.expected.is_required:
        return seen.contract(f"`required = false` in [[feature]] {seen.expected.name}, or no such feature")
    return seen.set("min_fraction", 0.0)


def change_fraction(seen: Seen) -> Change | ByHand:
    if seen.expected.is_required and seen.expected.column.min_fraction is None:
        return seen.set("tolerance", rounded_up(seen.column.missing / seen.rows))
    return seen.set("min_fraction", least_fraction(seen.column.known, seen.rows, seen.rate))


def change_values(seen: Seen) -> Change | ByHand:
    if seen.is_declared:
        return seen.by_hand("a feature has one value in a row: the source must be put right")
    found = seen.column
    if seen.anomaly.name == "FEATURE_TYPE_LOW_NUMBER_VALUES":
        return seen.set("min_values", found.min_values)
    return seen.set("max_values", found.max_values)


def change_kind(seen: Seen) -> Change | ByHand:
    if seen.is_declared:
        name = f"[[feature]] {seen.expected.name}" if seen.expected.is_feature else f"[[output]] {seen.expected.name}"
        return seen.contract(f"the kind of {name}, unless the source is put right")
    return seen.set("kind", seen.column.kind)


def change_range(seen: Seen) -> Change | ByHand:
    assert seen.expected.limits is not None and seen.column.numbers is not None
    low = min(seen.expected.limits[0], seen.column.numbers.min)
    high = max(seen.expected.limits[1], seen.column.numbers.max)
    if seen.expected.is_hidden:
        return seen.contract(f"a wider `range` of {seen.expected.name} would hold all of them")
    if seen.is_declared:
        return seen.contract(f"`range = [{low:g}, {high:g}]` of {seen.expected.name} would hold all of them")
    return seen.set("range", [low, high])


def change_finite(seen: Seen) -> Change | ByHand:
    if seen.is_declared:
        return seen.by_hand("no model takes them: the source must be put right")
    numbers = seen.column.numbers
    assert numbers is not None
    return seen.set("tolerance", rounded_up(max(numbers.nans, numbers.infinities) / seen.rows))


def change_vocabulary(seen: Seen) -> Change | ByHand:
    known = seen.expected.vocabulary or ()
    new = [listed.value for listed in seen.column.values if listed.value not in known][:5]
    lacking = "place for them" if seen.expected.is_hidden else ", ".join(map(repr, new))
    return seen.contract(f"`values` of {seen.expected.name} has no {lacking}")


def change_unique(seen: Seen) -> Change | ByHand:
    assert seen.expected.column.unique is not None
    least, most = seen.expected.column.unique
    return seen.set("unique", [min(least, seen.column.unique), max(most, seen.column.unique)])


def change_size(seen: Seen) -> Change | ByHand:
    key = "min" if "LOW" in seen.anomaly.name else "max"
    return seen.set_examples(key, seen.examples)


def change_ratio(seen: Seen) -> Change | ByHand:
    ratio = seen.examples / seen.before
    if "LOW" in seen.anomaly.name:
        return seen.set_examples("min_ratio", math.floor(1000 * ratio) / 1000)
    return seen.set_examples("max_ratio", math.ceil(1000 * ratio) / 1000)


def accept_difference(seen: Seen) -> Change | ByHand:
    return Change(seen.anomaly, ("accepted",))


# By the end, or the whole, of an anomaly's name; the first that fits. What fits none is wrong with the rows.
REMEDIES: tuple[tuple[tuple[str, ...], Callable[[Seen], Change | ByHand]], ...] = (
    (("SCHEMA_MISSING_COLUMN", "FEATURE_TYPE_NOT_PRESENT"), change_absence),
    (("FEATURE_TYPE_LOW_FRACTION_PRESENT",), change_fraction),
    (("_NUMBER_VALUES",), change_values),
    (("SMALL_INT", "BIG_INT", "SMALL_FLOAT", "BIG_FLOAT"), change_range),
    (("HAS_NAN", "HAS_INF"), change_finite),
    (("ENUM_TYPE_UNEXPECTED_STRING_VALUES",), change_vocabulary),
    (("UNEXPECTED_DATA_TYPE", "NOT_INT_STRING", "STRING_NOT_FLOAT", "UNEXPECTED_STRING"), change_kind),
    (("LOW_UNIQUE", "HIGH_UNIQUE"), change_unique),
    (("DATASET_LOW_NUM_EXAMPLES", "DATASET_HIGH_NUM_EXAMPLES"), change_size),
    (("COMPARATOR_LOW_NUM_EXAMPLES", "COMPARATOR_HIGH_NUM_EXAMPLES"), change_ratio),
    (("KEY_NOT_UNIQUE",), lambda seen: seen.set_examples("unique", False)),
    (("INFTY_HIGH", "DIVERGENCE_HIGH", "DIFFERENCE_HIGH", "COMPARATOR_FRACTION_PRESENT_HIGH"), accept_difference),
)


def remedy(seen: Seen) -> Change | ByHand:
    """What would make the anomaly none."""
    if seen.anomaly.name.startswith("BOOL_TYPE"):
        return change_kind(seen)
    for names, find in REMEDIES:
        if seen.anomaly.name.endswith(names):
            return find(seen)
    return seen.by_hand("no line of data.toml makes this right: the rows must be put right, or the model declared anew")


def written(value: Value) -> str:
    """As TOML has it."""
    return str(value).lower() if isinstance(value, bool) else repr(value) if isinstance(value, str) else str(value)
