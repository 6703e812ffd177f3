"""anomalies.html: the verdict on some rows, every anomaly, and every comparison beside what was compared."""

import itertools
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from stork.data.anomalies import QUESTIONS, Comparison, Side, Validation
from stork.declaration import Declaration
from stork.report.page import count, number, write_page
from stork.report.plots import Bucket, Plot, draw_bars, draw_histogram

# In words; p and q are the shares of a value, or of a bucket, in the two spans.
FORMULAS = {
    "l_infinity": "the largest |p - q| over all values, 0 to 1",
    "jensen_shannon": "(KL(p || m) + KL(q || m)) / 2 in bits, where m = (p + q) / 2; 0 to 1",
    "tfdv_jensen_shannon": "the same over ten buckets of each span's own, as TensorFlow Data Validation has it; 0 to 1",
    "normalized_difference": "the largest difference of counts over all values, as a share of all counts, 0 to 1",
    "fraction_present": "|p - q| of the shares of rows that have a value, 0 to 1",
}
BARS = 12  # a column with so many different values or fewer is drawn by value


@dataclass(frozen=True)
class Drawn:
    """A comparison with its plot, and both numbers in a sentence."""

    made: Comparison
    plot: Plot

    @property
    def sentence(self) -> str:
        return f"{measure_of(self.made)} {number(self.made.value, 3)}, threshold {number(self.made.threshold, 3)}"


def write_anomalies(path: Path, declaration: Declaration, found: Validation, verdict: str, waived: str) -> None:
    """Leave the page."""
    comparisons = sorted(found.comparisons, key=order)
    write_page(
        path,
        "anomalies.html",
        title=declaration.model.title,
        notice=declaration.model.notice,
        found=found,
        hidden=sorted(declaration.log.hidden),
        name=verdict,
        waived=waived,
        reasons=[str(anomaly) for anomaly in found.errors] or ["Every column is as expected."],
        rows=", ".join(f"{count(rows)} rows in span {span}" for span, rows in found.rows.items()),
        questions=by_question(found),
        comparisons=comparisons,
        distributions=[Drawn(made, draw(made)) for made in comparisons if made.measure != "fraction_present"],
        passed=sum(made.passed for made in found.comparisons),
        chance=f"{1 / found.false_alarms:,.0f}",
        formulas=[(m.replace("_", " "), w) for m, w in FORMULAS.items() if m in {c.measure for c in found.comparisons}],
        made=[row_of(made) for made in comparisons],
    )


def order(made: Comparison) -> tuple[bool, bool, float]:
    """Errors, then warnings, then what passed; the farthest beyond its threshold first."""
    return made.passed, made.severity != "error", -made.value / (made.threshold or 1e-9)


def by_question(found: Validation) -> list[tuple[str, list[object]]]:
    """Each question that has anomalies, those with errors first."""
    groups: dict[int, list[object]] = {}
    for anomaly in (*found.errors, *found.warnings):
        groups.setdefault(anomaly.question, []).append(anomaly)
    return [(QUESTIONS[question], anomalies) for question, anomalies in groups.items()]


def measure_of(made: Comparison) -> str:
    return made.measure.replace("_", " ")


def row_of(made: Comparison) -> tuple[str, ...]:
    """A comparison as a line of the table."""
    effect = "-" if made.label_effect is None else f"{made.label_effect:+.3g}"
    return (
        made.column,
        measure_of(made),
        number(made.value),
        number(made.threshold),
        "calibrated" if made.calibrated else "declared",
        number(made.effect) if made.calibrated else "-",
        "passed" if made.passed else made.severity,
        made.largest or "-",
        effect,
    )


def draw(made: Comparison) -> Plot:
    """Both sides over each other: shares of values, or histograms."""
    sides = (made.treatment, made.control)
    title = f"{made.column}: {measure_of(made)}"
    buckets: dict[str, Sequence[Bucket]] = {side.name: buckets_of(side) for side in sides}
    values = {value for side in sides for value in side.counts}
    if len(values) > BARS and all(buckets.values()):
        return draw_histogram(title, buckets)
    if values:
        return draw_bars(title, {side.name: shares_of(side) for side in sides}, BARS)
    return draw_histogram(title, buckets)


def shares_of(side: Side) -> dict[str, float]:
    """By value, most frequent first."""
    total = sum(side.counts.values()) or 1
    return {value: held / total for value, held in sorted(side.counts.items(), key=lambda counted: -counted[1])}


def buckets_of(side: Side) -> list[Bucket]:
    """A histogram; of listed numbers one bucket around each, as wide as the smallest gap. None where they are texts."""
    if side.histogram:
        return [Bucket(b.low, b.high, b.count) for b in side.histogram]
    try:
        held = sorted((float(value), amount) for value, amount in side.counts.items())
    except ValueError:
        return []
    gaps = [after - before for (before, _), (after, _) in itertools.pairwise(held)]
    half = min(gaps, default=1.0) / 2
    return [Bucket(place - half, place + half, amount) for place, amount in held]
