"""A comparison that does not pass is an anomaly: what was expected, what was received, and where it differs most."""

from collections.abc import Iterator

from stork.data.anomalies import Anomaly, Comparison, Side
from stork.data.comparing import Pair
from stork.report.page import count

HIGH = {
    "l_infinity": "COMPARATOR_L_INFTY_HIGH",
    "jensen_shannon": "COMPARATOR_JENSEN_SHANNON_DIVERGENCE_HIGH",
    "tfdv_jensen_shannon": "COMPARATOR_JENSEN_SHANNON_DIVERGENCE_HIGH",
    "normalized_difference": "COMPARATOR_NORMALIZED_ABSOLUTE_DIFFERENCE_HIGH",
    "fraction_present": "COMPARATOR_FRACTION_PRESENT_HIGH",
}


def judge(pair: Pair, comparisons: list[Comparison]) -> Iterator[Anomaly]:
    """An anomaly for every comparison that does not pass."""
    for made in comparisons:
        if not made.passed:
            yield Anomaly(
                name=HIGH[made.measure],
                question=1,
                span=pair.span,
                column=made.column,
                expected=expected_of(made),
                received=received_of(made),
                severity=made.severity,
            )
    blind = [c for c in comparisons if c.calibrated and c.threshold > c.effect]
    if blind:
        widest = max(blind, key=lambda made: made.threshold / made.effect)
        rows = min(widest.treatment.rows, widest.control.rows)
        yield Anomaly(
            name="SAMPLE_TOO_SMALL",
            question=1,
            span=pair.span,
            expected=f"rows enough to tell a difference of {widest.effect:g} from chance",
            received=f"{count(rows)} rows: of {', '.join(dict.fromkeys(c.column for c in blind))} only larger ones "
            f"show ({widest.column}: above {widest.threshold:.3f})",
            severity="warning",
        )


def expected_of(made: Comparison) -> str:
    why = "by chance" if made.calibrated else "as declared"
    what = "a value in as many rows" if made.measure == "fraction_present" else "the distribution"
    return f"{what} as in {made.control.name}, but for {made.threshold:.4f} {why}"


def received_of(made: Comparison) -> str:
    """The number, and where it comes from."""
    other = "before" if made.type == "drift" else "served"
    if made.measure == "fraction_present":
        return f"{made.value:.4f}: {share(made.treatment)} of the rows, {other} {share(made.control)}"
    unit = " bits" if made.measure in ("jensen_shannon", "tfdv_jensen_shannon") else ""
    effect = "" if made.label_effect is None else f"; the label's mean would change by {made.label_effect:+.3g}"
    where = ""
    if made.treatment.counts or made.control.counts:
        one, two = (shares_of(side, made.largest) for side in (made.treatment, made.control))
        where = f", most in {made.largest}: {one:.1%}, {other} {two:.1%}"
    elif made.largest:
        where = f", most from {made.largest}"
    return f"{made.value:.4f}{unit}{where}{effect}"


def share(side: Side) -> str:
    return f"{side.known / side.rows:.1%}"


def shares_of(side: Side, value: str) -> float:
    return side.counts.get(value, 0) / (sum(side.counts.values()) or 1)
