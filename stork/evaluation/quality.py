"""Whether a candidate is good enough: a verdict with its reasons, always."""

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import msgspec

from stork.declaration import Declaration, Evaluation
from stork.errors import DataError
from stork.evaluation.intervals import ALL, CONFIDENCE, IN_SERVICE, Ends
from stork.evaluation.rivals import LINEAR, MEAN

# A version that makes no error at all is nothing to be compared with; what summing leaves of nothing is smaller still.
NO_ERROR = 1e-12


class Scored(msgspec.Struct, frozen=True):
    """The RMSE over so many rows, in the label's unit; None where it is no number, which JSON does not have."""

    rows: int
    rmse: float | None

    @property
    def error(self) -> float:
        return float("nan") if self.rmse is None else self.rmse


class Sureness(msgspec.Struct, frozen=True):
    """The intervals of the RMSE's ratios to those of others, by their names; None where it is no number."""

    ratios: dict[str, tuple[float | None, float | None]] = {}


class Measured(msgspec.Struct, frozen=True, kw_only=True):
    """
    What the step `evaluate` measured, as far as a verdict needs it: all on the same rows, slices by their title.

    `mean` predicts the mean for everybody. `baseline` is version `baseline_version`, the one in service; without its
    figures `baseline_problem` says why, or is empty where no version is in service. `small_slices` counts the rows of
    slices that have too few to be scored, or none. `rivals` learned from the same rows; `intervals` are how sure the
    figures are, by slice, under `ALL` for all rows.
    """

    test: Scored
    mean: Scored
    slices: dict[str, Scored] = {}
    baseline: Scored | None = None
    baseline_slices: dict[str, Scored] = {}
    baseline_version: int | None = None
    baseline_problem: str = ""
    small_slices: dict[str, int] = {}
    rivals: dict[str, Scored] = {}
    intervals: dict[str, Sureness] = {}

    def ratio_ends(self, other: str, slice_title: str = ALL) -> Ends | None:
        """The interval of the RMSE's ratio to that of another, where it is known."""
        found = self.intervals.get(slice_title, Sureness()).ratios.get(other)
        return Ends(*found) if found and None not in found else None  # type: ignore[arg-type]

    @classmethod
    def load(cls, folder: Path) -> "Measured":
        """
        From the report.json in a folder.

        Raises:
            DataError: there is none, or it is no report.
        """
        path = folder / "report.json"
        try:
            return msgspec.json.decode(path.read_bytes(), type=cls)
        except (OSError, msgspec.MsgspecError) as error:
            raise DataError(f"{path}: {error}") from error


@dataclass(frozen=True)
class Comparison:
    """
    The candidate's RMSE held to another's on the rows of `slice` (empty: all): `ratio` = received / reference.

    It holds from `low` to `high`, both included, as in TensorFlow Model Analysis; a ratio that is no number never does.
    `ends` is the ratio's interval, where it is known: it decides nothing.
    """

    against: str
    slice: str
    rows: int
    received: float
    reference: float
    low: float
    high: float
    ends: Ends | None = None

    @property
    def ratio(self) -> float:
        return self.received / self.reference if self.reference > NO_ERROR else float("nan")

    @property
    def holds(self) -> bool:
        return self.low <= self.ratio <= self.high

    def __str__(self) -> str:
        """
        >>> print(Comparison("the mean", "", 9, 1.5, 2.0, 0.0, 0.8))
        RMSE 1.5000 is 0.7500 x that of the mean (2.0000), at most 0.8 x is allowed
        """
        where = f"{self.slice} ({self.rows:,} rows): " if self.slice else ""
        least = f"at least {self.low:g} and " if self.low else ""
        hint = ""
        if self.ratio < self.low:
            hint = ": suspiciously good, as if a feature held the label, or its unit had changed"
        elif not self.reference > NO_ERROR:
            hint = ": there is no error to compare with"
        return (
            f"{where}RMSE {self.received:.4f} is {self.ratio:.4f} x that of {self.against} ({self.reference:.4f}), "
            f"{least}at most {self.high:g} x is allowed{hint}{tell_ends(self.ends)}"
        )


@dataclass(frozen=True)
class Verdict:
    """
    BLESSED or NOT_BLESSED, and why: what failed, or how well it holds.

    `rubber_stamped`: there was no version in service to compare with. `not_judged` are slices of too few rows.
    """

    blessed: bool
    reasons: list[str]
    rubber_stamped: bool
    comparisons: list[Comparison]
    not_judged: dict[str, int]

    @property
    def name(self) -> str:
        return "BLESSED" if self.blessed else "NOT_BLESSED"


def judge(declaration: Declaration, measured: Measured) -> Verdict:
    """
    The verdict on a candidate: against the mean, against the version in service, and against that on every slice.

    Without a version in service the comparisons with it are rubber-stamped, the one with the mean is not. One that is
    there, but cannot answer these rows, is no reason to look away: then nothing is blessed.
    """
    evaluation = declaration.evaluation
    overall = list(compare_overall(evaluation, measured))
    by_slice = list(compare_slices(declaration, measured))
    compared = [*overall, *by_slice]
    failures = [str(comparison) for comparison in compared if not comparison.holds]
    failures += missing_slices(declaration, measured)
    if measured.baseline_problem:
        failures.append(f"expected a comparison with the version in service; {measured.baseline_problem}")
    reasons = failures or [*map(str, overall), *describe_slices(by_slice)]
    reasons += tell_linear(evaluation, measured)
    rubber_stamped = measured.baseline is None and not measured.baseline_problem
    if rubber_stamped:
        reasons.append("rubber-stamped: no version in service to compare with")
    if measured.small_slices:
        listed = ", ".join(f"{title} ({rows})" for title, rows in measured.small_slices.items())
        reasons.append(f"not judged, of fewer than {evaluation.min_slice_rows} rows: {listed}")
    return Verdict(not failures, reasons, rubber_stamped, compared, measured.small_slices)


def compare_overall(evaluation: Evaluation, measured: Measured) -> Iterator[Comparison]:
    """The candidate held to the mean and, where there is one, to the version in service, on all rows."""
    test = measured.test
    limits = (evaluation.min_rmse_ratio, evaluation.max_rmse_ratio)
    ends = measured.ratio_ends(MEAN)
    yield Comparison("predicting the mean", "", test.rows, test.error, measured.mean.error, *limits, ends)
    if measured.baseline is not None:
        limits = (evaluation.min_baseline_ratio, evaluation.max_baseline_ratio)
        ends = measured.ratio_ends(IN_SERVICE)
        yield Comparison(in_service(measured), "", test.rows, test.error, measured.baseline.error, *limits, ends)


def compare_slices(declaration: Declaration, measured: Measured) -> Iterator[Comparison]:
    """The candidate held to the version in service, slice by slice."""
    if measured.baseline is None:
        return
    for title, scored in measured.slices.items():
        reference = measured.baseline_slices.get(title, Scored(0, None))
        yield Comparison(
            against=in_service(measured),
            slice=title,
            rows=scored.rows,
            received=scored.error,
            reference=reference.error,
            low=0.0,
            high=slice_limit(declaration, title),
            ends=measured.ratio_ends(IN_SERVICE, title),
        )


def tell_linear(evaluation: Evaluation, measured: Measured) -> list[str]:
    """Whether the linear model, the simpler alternative, loses as it should."""
    linear = measured.rivals.get(LINEAR)
    if linear is None:
        return []
    ratio = measured.test.error / linear.error if linear.error > NO_ERROR else float("nan")
    most = 1 - evaluation.linear_margin
    lost = "loses" if ratio <= most and ratio < 1 else "does not lose, so a simpler model would do"
    expected = f"at most {most:g}" if evaluation.linear_margin else "less than 1"
    return [
        f"{LINEAR} {lost}: RMSE {measured.test.error:.4f} is {ratio:.4f} x its {linear.error:.4f}, {expected} x is "
        f"expected{tell_ends(measured.ratio_ends(LINEAR))}"
    ]


def tell_ends(ends: Ends | None) -> str:
    """
    >>> tell_ends(Ends(0.98, 1.01))
    '; 0.980 to 1.010 x with 95% confidence, so the difference is within the noise'
    """
    if ends is None:
        return ""
    noise = ", so the difference is within the noise" if ends.holds(1.0) else ""
    return f"; {ends.low:.3f} to {ends.high:.3f} x with {CONFIDENCE:.0%} confidence{noise}"


def in_service(measured: Measured) -> str:
    return f"version {measured.baseline_version}, which is in service"


def slice_limit(declaration: Declaration, title: str) -> float:
    """What is declared for this slice, else for all of its feature, else for all."""
    evaluation = declaration.evaluation
    limits = evaluation.max_slice_ratios
    if title in limits:
        return limits[title]
    feature = next((f for f in declaration.features if title.startswith(f"{f.title or f.name}: ")), None)
    return limits.get(feature.name if feature else "", evaluation.max_slice_ratio)


def missing_slices(declaration: Declaration, measured: Measured) -> list[str]:
    """A sentence for each slice that the declaration names and that no row is of."""
    features = {feature.name for feature in declaration.features}
    found = set(measured.slices) | {title for title, rows in measured.small_slices.items() if rows}
    return [
        f"{title}: expected rows, received none, and [evaluation] max_slice_ratios names it"
        for title in declaration.evaluation.max_slice_ratios
        if title not in features and title not in found
    ]


def describe_slices(compared: list[Comparison]) -> list[str]:
    """How many slices hold, and which of them is nearest to its limit."""
    if not compared:
        return []
    nearest = max(compared, key=lambda comparison: comparison.ratio / comparison.high if comparison.high else 0.0)
    return [f"{len(compared)} slices hold, the nearest to its limit: {nearest}"]
