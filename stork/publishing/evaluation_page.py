"""evaluation.html: the report of a candidate's quality as tables and plots, of the same size whatever the rows."""

from collections.abc import Sequence
from pathlib import Path

from stork.declaration import Declaration
from stork.evaluation.importance import rank
from stork.evaluation.intervals import ALL, CONFIDENCE, IN_SERVICE, Ends
from stork.evaluation.metrics import Metrics
from stork.evaluation.residuals import Bin, Errors
from stork.evaluation.staleness import Curve, Staleness
from stork.publishing.report import Report
from stork.publishing.report_text import tell_curve, tell_days, write_ends
from stork.report.page import count, number, percent, write_page
from stork.report.plots import Bucket, Interval, Plot, Point, draw_histogram, draw_intervals, draw_lines

Table = list[tuple[str, ...]]
COLOURS = 5  # lines that can be told from each other in one plot


def write_evaluation(path: Path, declaration: Declaration, report: Report) -> None:
    """Leave the page."""
    output = next(o for o in declaration.outputs if o.name == declaration.training.label)
    unit = f" ({output.unit})" if output.unit else ""
    write_page(
        path,
        "evaluation.html",
        title=declaration.model.title,
        notice=declaration.model.notice,
        report=report,
        label=output.title or output.name,
        confidence=f"{CONFIDENCE:.0%}",
        findings=find_findings(declaration, report, output.unit),
        compared=compare(report),
        ratios=draw_ratios(report),
        worth=draw_worth(declaration, report) if report.importance else None,
        sliced=[row for title, found in report.slices.items() for row in [tell_row(report, title, found)]],
        slices=draw_slices(report, unit),
        small=", ".join(f"{title} ({rows})" for title, rows in report.small_slices.items()),
        calibration=draw_calibration(report.errors, unit),
        bands=[tell_band(report.errors, share) for share in range(len(report.errors.bands))],
        spread=draw_spread(report.errors, unit),
        quantiles=[(f"{float(share):.0%}", f"{value:+.3f}") for share, value in report.errors.quantiles.items()],
        features=draw_features(declaration, report.errors, unit),
        staleness=report.staleness,
        aged=draw_ages(report.staleness, unit) if report.staleness else None,
        curves=list_curves(report.staleness) if report.staleness else [],
    )


def find_findings(declaration: Declaration, report: Report, unit: str) -> list[str]:
    """What a reader should know first, a sentence each."""
    sure = report.intervals[ALL]
    said = [f"RMSE {number(report.test.rmse)} {unit} ({write_ends(sure.rmse)}), on {count(report.test.rows)} test rows"]
    for name, ends in sure.ratios.items():
        if (other := find_other(report, name)) is not None:
            noise = ", a difference within the noise" if ends.holds(1.0) else ""
            said.append(f"{tell_ratio(report.test, other)} x the RMSE of {name} ({write_ends(ends)}){noise}")
    line = report.errors.calibration
    held = "as it should be" if line.slope_ends.holds(1.0) else "1 is not within the interval"
    said.append(f"calibration slope {line.slope:.3f} ({write_ends(line.slope_ends)}): {held}")
    if report.importance:
        said.append(tell_worth(declaration, report))
    if report.staleness:
        aged = [curve for curve in report.staleness.curves if curve.limit is not None]
        said += [tell_age(report.staleness, curve) for curve in aged[-1:]]
    return said


def tell_worth(declaration: Declaration, report: Report) -> str:
    """Which features are not shown to be worth anything."""
    titles = titles_of(declaration)
    useless = [titles.get(name, name) for name, found in rank(report.importance) if not found.is_beneficial]
    total = len(report.importance)
    if not useless:
        return f"each of {total} features makes the model better, beyond the noise"
    return f"of {total} features these are not shown to make the model better: {', '.join(useless)}"


def titles_of(declaration: Declaration) -> dict[str, str]:
    """What people call each feature, by name."""
    return {feature.name: feature.title or feature.name for feature in declaration.features}


def tell_age(staleness: Staleness, curve: Curve) -> str:
    """When a version was stale, and how sure its last rise is."""
    if not curve.has_aged:
        return f"after how many days version {curve.version} is stale is {tell_days(staleness, curve)}"
    noise = "; its last rise is within the noise" if curve.rise and curve.rise.holds(1.0) else ""
    return f"version {curve.version} is stale after {tell_days(staleness, curve)}{noise}"


def find_other(report: Report, name: str) -> Metrics | None:
    """The metrics of a rival, or of the version in service."""
    return report.baseline.metrics if name == IN_SERVICE else report.rivals.get(name)


def tell_ratio(found: Metrics, other: Metrics) -> str:
    return f"{found.rmse / other.rmse:.4f}" if other.rmse else "-"


def compare(report: Report) -> Table:
    """A row for the candidate and for each other; the last cell is the candidate's RMSE beside that one's."""
    sure = report.intervals[ALL]
    rows: Table = [(*tell_row(report, ALL, report.test, "the candidate"), "")]
    for name, ends in sure.ratios.items():
        if (other := find_other(report, name)) is not None:
            ratio = f"{tell_ratio(report.test, other)} ({write_ends(ends)})"
            rows.append((*tell_row(report, name, other), ratio))
    return rows


def tell_row(report: Report, title: str, found: Metrics, shown: str = "") -> tuple[str, ...]:
    """Title, rows, RMSE, its interval, MAE, bias."""
    sure = report.intervals.get(title)
    ends = write_ends(sure.rmse) if sure else ""
    return (shown or title, count(found.rows), f"{found.rmse:.4f}", ends, f"{found.mae:.4f}", f"{found.bias:+.4f}")


def draw_ratios(report: Report) -> Plot:
    """The candidate beside each other: left of 1 it is better."""
    found = [
        Interval(name, report.test.rmse / other.rmse, *ends)
        for name, ends in report.intervals[ALL].ratios.items()
        if (other := find_other(report, name)) is not None and other.rmse and is_whole(ends)
    ]
    return draw_intervals("The candidate's RMSE beside that of", found, "ratio; below 1 the candidate is better", 1.0)


def draw_worth(declaration: Declaration, report: Report) -> Plot:
    """The model beside itself without what a feature says, for each: left of 1 it is better with it."""
    titles = titles_of(declaration)
    found = [
        Interval(titles.get(name, name), worth.share, *worth.ratio)
        for name, worth in rank(report.importance)
        if is_whole(worth.ratio)
    ]
    return draw_intervals("The RMSE beside that without", found, "ratio; below 1 it is better with the feature", 1.0)


def draw_slices(report: Report, unit: str) -> list[Plot]:
    """A plot for each sliced feature."""
    by_feature: dict[str, list[Interval]] = {}
    for title, found in report.slices.items():
        feature, _, value = title.partition(": ")
        ends = report.intervals[title].rmse
        if is_whole(ends):
            by_feature.setdefault(feature, []).append(Interval(value, found.rmse, *ends))
    return [
        draw_intervals(feature, found, f"RMSE{unit}; dashed: all rows", report.test.rmse)
        for feature, found in by_feature.items()
    ]


def draw_calibration(errors: Errors, unit: str) -> Plot:
    """Means of what was predicted and of what was the case, bin by bin, beside the line where both are the same."""
    points = [
        Point(b.mean, b.mean - b.metrics.bias, b.mean - b.intervals.bias.high, b.mean - b.intervals.bias.low)
        for b in errors.by_prediction
    ]
    same = [Point(b.mean, b.mean) for b in (errors.by_prediction[0], errors.by_prediction[-1])]
    series: dict[str, Sequence[Point]] = {"mean of the labels": points, "as predicted": same}
    return draw_lines("Labels against predictions", series, f"predicted{unit}", f"label{unit}")


def tell_band(errors: Errors, index: int) -> tuple[str, ...]:
    """One band: its width on eval, and how many labels it held on test."""
    band = errors.bands[index]
    return (percent(band.share), f"{-band.high:+.3f} to {-band.low:+.3f}", percent(band.received))


def draw_spread(errors: Errors, unit: str) -> list[Plot]:
    """How errors are distributed, and how along the prediction."""
    low, high = errors.histogram_ends
    step = (high - low) / len(errors.histogram)
    bars = [Bucket(low + i * step, low + (i + 1) * step, n) for i, n in enumerate(errors.histogram)]
    quartiles: dict[str, Sequence[Point]] = {
        title: [Point(b.mean, b.quartiles[which]) for b in errors.by_prediction]
        for which, title in enumerate(("25% are below", "50%", "75%"))
    }
    return [
        draw_histogram("Errors", {"errors": bars}, f"prediction minus label{unit}"),
        draw_lines("Quartiles of the error", quartiles, f"predicted{unit}", f"error{unit}"),
    ]


def draw_features(declaration: Declaration, errors: Errors, unit: str) -> list[Plot]:
    """RMSE and bias along each numeric feature, the one of `[form] what_if` first."""
    titles = {
        f.name: f"{f.title or f.name}{f' ({f.unit})' if f.unit else ''}"
        for f in sorted(declaration.features, key=lambda f: f.name != declaration.form.what_if)
    }
    return [
        plot
        for name, title in titles.items()
        if errors.by_feature.get(name)
        for plot in (
            draw_lines(f"RMSE by {title}", {"RMSE": points(errors.by_feature[name], "rmse")}, title, f"RMSE{unit}"),
            draw_lines(f"Bias by {title}", {"bias": points(errors.by_feature[name], "bias")}, title, f"bias{unit}"),
        )
    ]


def points(bins: Sequence[Bin], figure: str) -> list[Point]:
    """A figure and its interval, bin by bin."""
    found = [(b.mean, getattr(b.metrics, figure), getattr(b.intervals, figure)) for b in bins]
    return [point(mean, value, ends) for mean, value, ends in found]


def point(x: float, y: float, ends: Ends) -> Point:
    """With an interval, where it is known."""
    return Point(x, y, *ends) if is_whole(ends) else Point(x, y)


def list_curves(staleness: Staleness) -> list[tuple[str, str]]:
    """How each version aged, in words."""
    return [(f"version {curve.version}", tell_curve(staleness, curve)) for curve in staleness.curves]


def draw_ages(staleness: Staleness, unit: str) -> Plot | None:
    """The RMSE of the newest versions as they aged; None where none did."""
    series: dict[str, Sequence[Point]] = {
        f"version {curve.version}": [point(age.days or 0.0, age.rmse, age.ends) for age in curve.ages]
        for curve in staleness.curves[-COLOURS:]
        if curve.has_aged
    }
    if not series:
        return None
    return draw_lines("RMSE as versions age", series, "days since the newest rows they learned from", f"RMSE{unit}")


def is_whole(ends: Ends) -> bool:
    """Whether both ends are numbers."""
    return ends.low == ends.low and ends.high == ends.high
