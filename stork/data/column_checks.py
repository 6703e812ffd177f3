"""Questions 2 to 6 and the domain: one column's statistics against what is expected of it, with TFDV's semantics."""

from collections.abc import Iterator
from dataclasses import dataclass

from stork.data.anomalies import Anomaly
from stork.data.concealing import MASK
from stork.data.expectations import Expectation
from stork.data.statistics import ColumnStatistics
from stork.declaration.data_schema import Severity
from stork.report.page import count, percent

UNPARSED = {"integer": "INT_TYPE_NOT_INT_STRING", "number": "FLOAT_TYPE_STRING_NOT_FLOAT"}
NAMES = {"integer": "a whole number", "number": "a number", "boolean": "true or false", "text": "text"}


@dataclass(frozen=True)
class Checked:
    """
    A column of a span beside its expectation: of all rows that came, those refused too.

    `refused` counts rows by what they were refused for; `is_absent`: no file of the span has the column at all.
    """

    span: int
    expected: Expectation
    found: ColumnStatistics | None
    rows: int
    refused: dict[str, int]
    is_absent: bool = False

    def anomaly(self, name: str, question: int, expected: str, received: str, severity: Severity = "error") -> Anomaly:
        return Anomaly(
            name=name,
            question=question,
            span=self.span,
            column=self.expected.name,
            expected=expected,
            received=received,
            severity=severity,
        )

    def tell(self, number: float) -> str:
        """A number of a row, unless it is hidden."""
        return MASK if self.expected.is_hidden else f"{number:g}"

    def by_share(self, rows: int) -> Severity:
        """A few rows that ingestion refused are a warning: nothing learns from them."""
        return "error" if rows > self.expected.column.tolerance * self.rows else "warning"


def check_column(checked: Checked) -> Iterator[Anomaly]:
    """Every breach in a column that is expected."""
    wanted, found = checked.expected, checked.found
    if found is None or checked.is_absent:
        if wanted.min_fraction > 0:
            expected = f"the column, with a value in {at_least(wanted.min_fraction)} of the rows"
            yield checked.anomaly("SCHEMA_MISSING_COLUMN", 2, expected, "no such column")
        return
    if not found.known:
        if wanted.min_fraction > 0:
            expected = f"a value in {at_least(wanted.min_fraction)} of the rows"
            received = f"a column without any value in {count(checked.rows)} rows"
            yield checked.anomaly("FEATURE_TYPE_NOT_PRESENT", 2, expected, received)
        return
    yield from check_presence(checked, found)
    yield from check_number_of_values(checked, found)
    yield from check_type(checked, found)
    yield from check_domain(checked, found)
    yield from check_unique(checked, found)


def check_presence(checked: Checked, found: ColumnStatistics) -> Iterator[Anomaly]:
    """5: non_missing / n < min_fraction, or any missing where that is 1."""
    least = checked.expected.min_fraction
    share = found.known / checked.rows
    if share < least:
        severity = "error" if checked.expected.column.min_fraction is not None else checked.by_share(found.missing)
        received = f"one in {percent(share)} of {count(checked.rows)} rows"
        expected = f"a value in {at_least(least)} of the rows"
        yield checked.anomaly("FEATURE_TYPE_LOW_FRACTION_PRESENT", 5, expected, received, severity)


def check_number_of_values(checked: Checked, found: ColumnStatistics) -> Iterator[Anomaly]:
    """6: of rows that have any."""
    least, most = checked.expected.column.min_values, checked.expected.column.max_values
    if found.min_values < least:
        expected, received = f"at least {least} values in a row", f"a row with {found.min_values}"
        yield checked.anomaly("FEATURE_TYPE_LOW_NUMBER_VALUES", 6, expected, received)
    if found.max_values > most:
        expected, received = f"at most {most} value{'s' * (most != 1)} in a row", f"a row with {found.max_values}"
        yield checked.anomaly("FEATURE_TYPE_HIGH_NUMBER_VALUES", 6, expected, received)


def check_type(checked: Checked, found: ColumnStatistics) -> Iterator[Anomaly]:
    """4: values that are not of the kind; where none is, the column is of another type."""
    kind = checked.expected.kind
    if not kind:
        return
    wanted = NAMES[kind]
    if not found.declared:  # nobody read it as that kind: what it is shows in what it looks like
        fits = {kind, "nothing"} | ({"integer"} if kind == "number" else set())
        if kind != "text" and found.kind not in fits:
            yield checked.anomaly("UNEXPECTED_DATA_TYPE", 4, f"{wanted} in every row", f"{found.kind} values")
    elif found.unparsed == found.known:
        yield checked.anomaly("UNEXPECTED_DATA_TYPE", 4, f"{wanted} in every row", f"none{such_as(checked, found)}")
    elif found.unparsed:
        name = UNPARSED.get(kind) or boolean_problem(checked, found)
        received = f"{count(found.unparsed)} of {count(found.known)} values that are not{such_as(checked, found)}"
        yield checked.anomaly(name, 4, f"{wanted} in every row", received, checked.by_share(found.unparsed))


def boolean_problem(checked: Checked, found: ColumnStatistics) -> str:
    """What a value that is no boolean is instead."""
    number = as_number(next(iter(odd_values(checked, found)), ""))
    if number is None:
        return "BOOL_TYPE_UNEXPECTED_STRING"
    if not number.is_integer():
        return "BOOL_TYPE_UNEXPECTED_FLOAT"
    return "BOOL_TYPE_BIG_INT" if number > 1 else "BOOL_TYPE_SMALL_INT"


def odd_values(checked: Checked, found: ColumnStatistics) -> list[str]:
    """Listed values that are not of the kind, most frequent first."""
    kind = checked.expected.kind
    texts = [listed.value for listed in found.values]
    if kind == "boolean":
        return [text for text in texts if text not in ("true", "false")]
    numbers = {text: as_number(text) for text in texts}
    return [text for text, number in numbers.items() if number is None or (kind == "integer" and number % 1)]


def such_as(checked: Checked, found: ColumnStatistics) -> str:
    odd = odd_values(checked, found)[:3] if not checked.expected.is_hidden else ()
    return f" ({', '.join(map(repr, odd))})" if odd else ""


def check_domain(checked: Checked, found: ColumnStatistics) -> Iterator[Anomaly]:
    """Numbers outside their limits, NaNs and infinities where a number is expected, values of no vocabulary."""
    wanted, numbers = checked.expected, found.numbers
    kind = "INT_TYPE_{}_INT" if wanted.kind == "integer" else "FLOAT_TYPE_{}_FLOAT"
    if wanted.limits is not None and numbers is not None:
        low, high = wanted.limits
        between = f"{low:g} to {high:g}"
        severity = checked.by_share(count_outside(checked, found, low, high))
        if numbers.min < low:
            yield checked.anomaly(kind.format("SMALL"), 0, between, checked.tell(numbers.min), severity)
        if numbers.max > high:
            yield checked.anomaly(kind.format("BIG"), 0, between, checked.tell(numbers.max), severity)
    if numbers is not None and wanted.kind == "number":
        for name, odd in (("NAN", numbers.nans), ("INF", numbers.infinities)):
            if odd:
                received = f"{count(odd)} times {name.lower()}"
                yield checked.anomaly(f"FLOAT_TYPE_HAS_{name}", 0, "finite numbers", received, checked.by_share(odd))
    if wanted.vocabulary is not None:
        yield from check_vocabulary(checked, found, wanted.vocabulary)


def check_vocabulary(checked: Checked, found: ColumnStatistics, known: tuple[str, ...]) -> Iterator[Anomaly]:
    """The mass outside the vocabulary > 1 - min_domain_mass; what is not of the kind is another question."""
    parsed = found.known - found.unparsed
    inside = sum(listed.count for listed in found.values if listed.value in known)
    least = checked.expected.column.min_domain_mass
    if parsed - inside > (1 - least) * parsed:
        texts = [listed.value for listed in found.values if listed.value not in known]
        odd = [text for text in texts if text not in odd_values(checked, found) or checked.expected.kind == "text"][:5]
        named = "" if checked.expected.is_hidden else f": {', '.join(odd)}"
        received = f"{count(parsed - inside)} others of {count(parsed)}{named}"
        expected = f"{at_least(least)} of the values in {shorten(known)}"
        severity = checked.by_share(parsed - inside)
        yield checked.anomaly("ENUM_TYPE_UNEXPECTED_STRING_VALUES", 0, expected, received, severity)


def check_unique(checked: Checked, found: ColumnStatistics) -> Iterator[Anomaly]:
    """How many different values there are."""
    if checked.expected.column.unique is not None:
        least, most = checked.expected.column.unique
        expected = f"{count(least)} to {count(most)} different values"
        if found.unique < least:
            yield checked.anomaly("FEATURE_TYPE_LOW_UNIQUE", 0, expected, count(found.unique))
        if found.unique > most:
            yield checked.anomaly("FEATURE_TYPE_HIGH_UNIQUE", 0, expected, count(found.unique))


def count_outside(checked: Checked, found: ColumnStatistics, low: float, high: float) -> int:
    """How many numbers are outside: counted where all values are listed, else as many rows as were refused for it."""
    if found.complete:
        numbers = ((as_number(listed.value), listed.count) for listed in found.values)
        return sum(held for number, held in numbers if number is not None and not low <= number <= high)
    start = f"{found.name}: outside"
    return sum(held for reason, held in checked.refused.items() if reason.startswith(start))


def as_number(text: str) -> float | None:
    try:
        return float(text)
    except ValueError:
        return None


def at_least(share: float) -> str:
    return "all" if share == 1 else f"at least {percent(share)}"


def shorten(values: tuple[str, ...]) -> str:
    """
    >>> shorten(("1", "2")), shorten(tuple("123456789"))
    ('1, 2', '1, 2, 3, 4, 5, 6 and 3 more')
    """
    more = f" and {len(values) - 6} more" if len(values) > 6 else ""
    return ", ".join(values[:6]) + more
