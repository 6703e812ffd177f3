"""The sections of evidence.html on what a version is worth: verdicts, metrics, slices, calibration, staleness, exam."""

from collections.abc import Sequence
from dataclasses import dataclass

from stork.evaluation.exam import Exam
from stork.evaluation.intervals import CONFIDENCE
from stork.publishing.evaluation_page import (
    compare,
    draw_ages,
    draw_calibration,
    draw_ratios,
    draw_slices,
    draw_worth,
    find_findings,
    list_curves,
    tell_band,
    tell_row,
)
from stork.publishing.evidence import Evidence
from stork.publishing.report import Report
from stork.publishing.report_text import write_ends
from stork.report.page import count, number
from stork.report.plots import Plot

Rows = list[tuple[str, ...]]


@dataclass(frozen=True)
class Table:
    """Rows of texts below headings; long ones wrap where it is of `words`."""

    headings: tuple[str, ...]
    rows: Sequence[tuple[str, ...]]
    words: bool = False


@dataclass(frozen=True)
class Section:
    """
    A part of the page: sentences, then names with what is known of them, tables, plots.

    `missing` says what is gone or was never recorded, a sentence each.
    """

    id: str
    title: str
    lines: Sequence[str] = ()
    facts: Sequence[tuple[str, str]] = ()
    tables: Sequence[Table] = ()
    plots: Sequence[Plot] = ()
    missing: Sequence[str] = ()


def show_quality(evidence: Evidence) -> list[Section]:
    """All sections on what was measured; each says so where the report is gone."""
    report = evidence.report
    if report is None:
        return [missing_metrics(evidence), *(Section(i, t, missing=(evidence.report_problem,)) for i, t in MEASURED)]
    return [
        show_metrics(evidence, report),
        show_slices(evidence, report),
        show_calibration(evidence, report),
        show_staleness(evidence, report),
    ]


MEASURED = (("slices", "Slices"), ("calibration", "Calibration"), ("staleness", "Staleness"))


def missing_metrics(evidence: Evidence) -> Section:
    """What the manifest alone says."""
    found = evidence.manifest.metrics
    known = [(name, count(int(value)) if name == "rows" else number(value)) for name, value in found.items()]
    problem = f"{evidence.report_problem} Without it there are no intervals and no rivals."
    return Section("metrics", "Metrics", facts=known, missing=(problem,))


def show_metrics(evidence: Evidence, report: Report) -> Section:
    headings = ("Test rows", "Rows", "RMSE", f"{CONFIDENCE:.0%}", "MAE", "Bias", "RMSE of this version x")
    told = [("this version", *row[1:]) if place == 0 else row for place, row in enumerate(compare(report))]
    return Section(
        "metrics",
        "Metrics",
        lines=find_findings(evidence.declaration, report, evidence.unit),
        tables=(Table(headings, told),),
        plots=(draw_ratios(report), *([draw_worth(evidence.declaration, report)] if report.importance else [])),
        missing=(report.baseline.problem,) if report.baseline.problem else (),
    )


def show_slices(evidence: Evidence, report: Report) -> Section:
    headings = ("Slice", "Rows", "RMSE", f"{CONFIDENCE:.0%}", "MAE", "Bias")
    rows = [tell_row(report, title, found) for title, found in report.slices.items()]
    small = ", ".join(f"{title} ({rows})" for title, rows in report.small_slices.items())
    missing = [] if rows else ["The declaration names no slice with enough rows, so none was scored."]
    return Section(
        "slices",
        "Slices",
        tables=(Table(headings, rows),) if rows else (),
        plots=draw_slices(report, in_brackets(evidence)),
        missing=[*missing, *([f"Of too few rows to be scored: {small}."] if small else [])],
    )


def show_calibration(evidence: Evidence, report: Report) -> Section:
    line = report.errors.calibration
    bands = [tell_band(report.errors, share) for share in range(len(report.errors.bands))]
    return Section(
        "calibration",
        "Calibration",
        lines=["Label = intercept + slope x prediction; 0 and 1 where predictions mean what they say."],
        facts=(
            ("Slope", f"{line.slope:.3f} ({write_ends(line.slope_ends)})"),
            ("Intercept", f"{line.intercept:.3f} ({write_ends(line.intercept_ends)})"),
        ),
        tables=(Table(("Labels within the band of", "From prediction", "On test"), bands),),
        plots=(draw_calibration(report.errors, in_brackets(evidence)),),
    )


def show_staleness(evidence: Evidence, report: Report) -> Section:
    if report.staleness is None:
        none = "No version was blessed before this one, so none could age: nothing was measured."
        return Section("staleness", "Staleness", missing=(none,))
    said = "Earlier blessed versions, on the test rows of spans newer than what they learned from"
    plot = draw_ages(report.staleness, in_brackets(evidence))
    return Section(
        "staleness",
        "Staleness",
        lines=[f"{said}; stale is an RMSE {report.staleness.rise:.0%} above that on the rows they learned with."],
        facts=list_curves(report.staleness),
        plots=(plot,) if plot else (),
        missing=report.staleness.problems,
    )


def show_exam(evidence: Evidence) -> Section:
    if evidence.exam is None:
        verdict, facts = evidence.infra
        said = f"{verdict}: {'; '.join(facts['reasons'])}. " if facts.get("reasons") else ""
        none = f"{said}No exam of thousands of requests is on record in a form read here, so no failure rate."
        return Section("exam", "Exam", missing=(none,))
    return Section("exam", "Exam", facts=tell_exam(evidence.exam))


def tell_exam(exam: Exam) -> list[tuple[str, str]]:
    runtime = exam.runtime
    return [
        ("Passed", "yes" if exam.passed else "no"),
        ("Requests", f"{count(exam.requests)} ({count(exam.instances)} rows; {count(exam.refused)} rightly refused)"),
        (
            "Cold starts",
            f"{exam.starts}, {exam.failed_starts} of which failed; the slowest took {exam.start_seconds} s",
        ),
        ("Share of requests that fail", f"at most {exam.crash_rate:.4%}, with 95% confidence"),
        ("Latency over HTTP", f"p50 {exam.p50_ms:g} ms, p99 {exam.p99_ms:g} ms, one instance at a time"),
        ("Memory of a server process", f"at most {exam.memory_mb:g} MB"),
        ("Took", f"{exam.seconds:.1f} s, seed {exam.seed}"),
        (
            "Runtime",
            f"{exam.fingerprint}: {runtime.backend}, Python {runtime.python}, {runtime.machine}, {runtime.libc}",
        ),
        ("Its packages", ", ".join(f"{name} {version}" for name, version in runtime.packages.items())),
        ("Its server", ", ".join(f"{name} {value}" for name, value in runtime.server.items())),
    ]


def in_brackets(evidence: Evidence) -> str:
    """The unit as plots have it."""
    return f" ({evidence.unit})" if evidence.unit else ""
