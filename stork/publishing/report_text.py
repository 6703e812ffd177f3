"""report.txt: what was measured, as one screen for a person."""

import math
from collections.abc import Iterator

from stork.evaluation.importance import rank
from stork.evaluation.intervals import ALL, CONFIDENCE, IN_SERVICE, Ends
from stork.evaluation.metrics import Metrics
from stork.evaluation.residuals import Errors
from stork.evaluation.staleness import Curve, Staleness
from stork.publishing.report import Report
from stork.store.version import Twin


def tell_report(report: Report) -> str:
    """The report in lines."""
    lines = [f"{report.model}, run {report.run}: learned from {'; '.join(report.source)}"]
    lines.append(f"rows: {', '.join(f'{count:,} {split}' for split, count in report.rows.items())}")
    lines += ["", *tell_table(report)]
    if report.baseline.problem:
        lines.append(report.baseline.problem)
    lines += ["", *tell_ratios(report), "", *tell_errors(report.errors)]
    if report.importance:
        lines += ["", *tell_importance(report)]
    if report.staleness is not None:
        lines += ["", *tell_staleness(report.staleness)]
    return "\n".join([*lines, "", tell_twin(report.twin)]) + "\n"


def tell_table(report: Report) -> Iterator[str]:
    """A line of metrics for the candidate, what it is compared with, and each slice."""
    yield f"{'test rows':<52}{'rows':>7}{'RMSE':>8}{f'{CONFIDENCE:.0%}':>16}{'MAE':>8}{'bias':>8}"
    compared = {f"all, {name}": found for name, found in report.rivals.items()}
    if report.baseline.metrics is not None:
        compared[f"all, {IN_SERVICE}"] = report.baseline.metrics
    for title, found in ({ALL: report.test} | compared | report.slices).items():
        yield tell_metrics(title, found, report.intervals[title].rmse if title in report.intervals else None)


def tell_metrics(title: str, found: Metrics, ends: Ends | None) -> str:
    within = write_ends(ends) if ends else ""
    return f"{title:<52}{found.rows:>7}{found.rmse:>8.3f}{within:>16}{found.mae:>8.3f}{found.bias:>+8.3f}"


def tell_ratios(report: Report) -> Iterator[str]:
    """The RMSE beside that of each other, on the same rows."""
    for name, ends in report.intervals[ALL].ratios.items():
        other = report.rivals.get(name, report.baseline.metrics)
        if other is not None:
            noise = ": the difference is within the noise" if ends.holds(1.0) else ""
            ratio = report.test.rmse / (other.rmse or float("nan"))
            yield f"RMSE {ratio:.4f} x that of {name} ({write_ends(ends)}){noise}"


def tell_errors(errors: Errors) -> Iterator[str]:
    """Calibration, and how wide the errors are."""
    line = errors.calibration
    yield (
        f"calibration: label = {line.intercept:.3f} + {line.slope:.3f} x prediction; "
        f"slope {write_ends(line.slope_ends)}, intercept {write_ends(line.intercept_ends)}"
    )
    bands = ", ".join(f"{band.received:.1%} in the band of {band.share:.0%}" for band in errors.bands)
    yield f"labels within the quantiles of the error on eval: {bands}"
    yield "quantiles of the error: " + ", ".join(f"{float(q):.0%} {v:+.3f}" for q, v in errors.quantiles.items())


def tell_importance(report: Report) -> Iterator[str]:
    """A line for each feature, the one that is worth most first."""
    yield "RMSE where a feature's values are dealt anew among the rows, and that of the model beside it:"
    for name, found in rank(report.importance):
        noise = "" if found.is_beneficial else ": the difference is within the noise"
        yield f"  {name}: {found.rmse:.4f}, {found.share:.4f} x ({write_ends(found.ratio)}){noise}"


def tell_staleness(staleness: Staleness) -> Iterator[str]:
    """A line for each version: how its RMSE rose, and the days that took."""
    yield f"days until the RMSE of a version is {staleness.rise:.0%} above that on the rows it learned with:"
    for curve in staleness.curves:
        yield f"version {curve.version}: {tell_curve(staleness, curve)}"
    yield from staleness.problems


def tell_curve(staleness: Staleness, curve: Curve) -> str:
    """How one version aged."""
    parts = []
    if curve.limit is not None and not curve.has_aged:
        measured = ", ".join(f"{age.rmse:.3f} on span {age.span}" for age in curve.ages)
        parts.append(f"{tell_days(staleness, curve)} ({measured})")
    elif curve.limit is not None:
        ages = ", ".join(f"{age.rmse:.3f} at {age.days:,.0f}" for age in curve.ages)
        noise = ", within the noise" if curve.rise and curve.rise.holds(1.0) else ""
        last = f"; the last is {write_ends(curve.rise)} x the first{noise}" if curve.rise else ""
        parts.append(f"{tell_days(staleness, curve)} ({ages}{last})")
    elif curve.newest is not None:
        parts.append(f"RMSE {curve.newest.rmse:.3f} ({write_ends(curve.newest.ends)}) on span {curve.newest.span}")
    return "; ".join([*parts, *curve.problems])


def tell_days(staleness: Staleness, curve: Curve) -> str:
    """When it was stale."""
    if not curve.has_aged:
        return f"unknown: {staleness.unknown}"
    return f"{curve.days:,.0f} days" if curve.days is not None else f"more than the {curve.seen:,.0f} days seen"


def tell_twin(twin: Twin) -> str:
    if not twin.proved:
        return f"no LiteRT twin, so TensorFlow answers: {twin.reason}"
    return f"LiteRT twin: proved equal on {twin.rows} rows, largest difference {twin.max_difference:.1e}"


def write_ends(ends: Ends) -> str:
    """
    >>> write_ends(Ends(0.98765, 1.0123)), write_ends(UNKNOWN)
    ('0.988 to 1.012', 'not known')
    """
    return "not known" if math.isnan(ends.low) else f"{ends.low:.3f} to {ends.high:.3f}"
