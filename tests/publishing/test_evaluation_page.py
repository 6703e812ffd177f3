"""What a person gets to see of an evaluation: the page and the text, from figures of made rows."""

import re
from dataclasses import replace
from functools import partial
from pathlib import Path

import numpy as np
import pytest
from parcels import parcel_rows, parcels

from stork.evaluation.importance import Importance
from stork.evaluation.intervals import ALL, IN_SERVICE, Ends, find_intervals
from stork.evaluation.metrics import find_slices, is_large, measure, measure_slices, small_slices
from stork.evaluation.quality import Measured, judge
from stork.evaluation.residuals import find_errors
from stork.evaluation.rivals import BOOSTED, LINEAR, MEAN
from stork.evaluation.staleness import Age, Curve, Staleness
from stork.publishing.evaluation_page import write_evaluation
from stork.publishing.report import Baseline, Report
from stork.publishing.report_text import tell_report
from stork.store.version import Twin

AGES = tuple(Age(n, 100.0 * n, 50, 1 + 0.1 * n, Ends(0.9 + 0.1 * n, 1.1 + 0.1 * n)) for n in range(4))
STALENESS = Staleness(0.05, "day", 3, (Curve(1, AGES, AGES[-1], 1.05, 50.0, 300.0, Ends(1.1, 1.5)), Curve(2)))
WORTH = {"zone": Importance(1.0, 1.0, Ends(0.99, 1.01)), "kilograms": Importance(4.0, 1.0, Ends(0.24, 0.26))}
NOISE = {"": 1.0, MEAN: 5.0, LINEAR: 1.5, BOOSTED: 1.005, IN_SERVICE: 1.2}


def report_of(count: int) -> Report:
    """A candidate whose errors are normal and of deviation 1, beside others whose are larger."""
    declaration, rows, random = parcels(), parcel_rows(count), np.random.default_rng(0)
    shared = random.normal(0, 1, count)
    said = {name: rows.label + shared * scale for name, scale in NOISE.items()}
    prediction, current = said.pop(""), said[IN_SERVICE]
    slices = {title: mask for title, mask in find_slices(declaration, rows).items() if is_large(declaration, mask)}
    metrics = {name: measure(rows.label, p) for name, p in said.items()}
    return Report(
        run="1",
        model="parcels",
        source=("rows <1>",),
        rows={"train": 10, "eval": 10, "test": count},
        test=measure(rows.label, prediction),
        mean=metrics[MEAN],
        rivals={name: metrics[name] for name in (MEAN, LINEAR, BOOSTED)},
        baseline=Baseline(1, metrics[IN_SERVICE], measure_slices(declaration, rows, current)),
        slices=measure_slices(declaration, rows, prediction),
        small_slices=small_slices(declaration, rows),
        intervals=find_intervals(
            shared, {ALL: np.ones(count, bool), **slices}, {name: p - rows.label for name, p in said.items()}
        ),
        errors=find_errors(declaration, rows, prediction, random.normal(0, 1, 500)),
        twin=Twin(proved=True, rows=10),
        staleness=STALENESS,
        importance=WORTH,
    )


def page_of(folder: Path, report: Report) -> str:
    write_evaluation(folder / "evaluation.html", parcels(), report)
    return (folder / "evaluation.html").read_text()


@pytest.fixture(scope="module")
def report() -> Report:
    return report_of(1000)


def test_a_page_needs_nothing_but_a_browser(tmp_path: Path, report: Report) -> None:
    """No script, nothing to fetch, and what stands in data is no part of its code."""
    html = page_of(tmp_path, report)

    assert not re.search(r"<script|<link|<img|@import|url\(|https?:", html)
    assert "rows &lt;1&gt;" in html and "<1>" not in html


def test_a_page_shows_what_was_found(tmp_path: Path, report: Report) -> None:
    """Every rival, slice, numeric feature and version is there, and the links of the page lead to its parts."""
    html = page_of(tmp_path, report)

    for words in (LINEAR, BOOSTED, IN_SERVICE, "service: slow", "RMSE by kilograms", "version 1", "50 days"):
        assert words in html
    assert set(re.findall(r'href="#(\w+)"', html)) == set(re.findall(r'<h2 id="(\w+)"', html))


def test_a_page_does_not_grow_with_the_rows(tmp_path: Path, report: Report) -> None:
    """Twenty times the rows make a page of about the same size, below 100 kB."""
    small, large = (len(page_of(tmp_path, made)) for made in (report, report_of(20_000)))

    assert large == pytest.approx(small, rel=0.05) and large < 100_000


def test_features_stand_by_what_they_are_worth(tmp_path: Path, report: Report) -> None:
    """The one that is worth most comes first, with its share and interval; one that chance explains is named above."""
    html = page_of(tmp_path, report)
    _, found, worth = html.partition('<h2 id="worth">')

    assert found and worth.index("kilograms</th><td>0.25</td><td>0.24 to 0.26") < worth.index("zone</th><td>1</td>")
    assert "of 2 features these are not shown to make the model better: zone" in html


def test_a_page_of_no_record_of_worth_has_no_part_of_it(tmp_path: Path, report: Report) -> None:
    """A report that an older Stork left says nothing of what features are worth, and neither does its page."""
    assert "worth" not in page_of(tmp_path, replace(report, importance={}))


def test_a_page_without_a_past_has_no_part_of_it(tmp_path: Path, report: Report) -> None:
    """Of the first version there is nothing to say of earlier ones."""
    html = page_of(tmp_path, replace(report, staleness=None, baseline=Baseline()))

    assert "taleness" not in html and IN_SERVICE not in html


def test_the_text_says_what_is_within_the_noise(report: Report) -> None:
    """A rival that is as good is told from one that is not; the days are there."""
    text = tell_report(report)

    assert re.search(r"RMSE 0\.8333 x that of the version in service \(0\.833 to 0\.833\)$", text, re.MULTILINE)
    assert "version 1: 50 days (1.000 at 0, 1.100 at 100" in text and "calibration: label =" in text


@pytest.mark.parametrize(
    ("time", "why"),
    [("", "the spans have no time ([data] time names no column)"), ("year", "no span is newer by a day")],
)
def test_an_age_that_nobody_knows_is_said_to_be_unknown(tmp_path: Path, report: Report, time: str, why: str) -> None:
    """Two spans that were made within minutes, or are of one year: no days, no curve; the RMSEs are there."""
    ages = tuple(Age(span, days, 100, 1.0, Ends(0.9, 1.1)) for span, days in ((1, 0.0), (2, 0.001)))
    staleness = Staleness(0.05, time, 2, (Curve(1, ages, limit=1.05, seen=0.001),))
    html, text = (make(replace(report, staleness=staleness)) for make in (partial(page_of, tmp_path), tell_report))

    assert f"version 1: unknown: {why} (1.000 on span 1, 1.000 on span 2)" in text
    assert f"after how many days version 1 is stale is unknown: {why}" in html
    assert "days seen" not in html and "days since the newest rows" not in html


def test_a_verdict_reads_what_the_report_says(tmp_path: Path, report: Report) -> None:
    """Intervals and rivals of report.json come back in the reasons; an interval that is no number does not."""
    lost = replace(report.intervals["service: slow"], ratios={IN_SERVICE: Ends(float("nan"), float("nan"))})
    replace(report, intervals=report.intervals | {"service: slow": lost}).write(tmp_path)
    measured = Measured.load(tmp_path)

    assert measured.ratio_ends(IN_SERVICE) == pytest.approx((1 / 1.2, 1 / 1.2), abs=1e-5)
    assert measured.ratio_ends(IN_SERVICE, "service: slow") is None
    assert "the linear model loses" in str(judge(parcels(), measured).reasons)


def test_a_model_without_error_is_told_too(tmp_path: Path, report: Report) -> None:
    """Where an RMSE is 0 there is a dash, and no crash."""
    perfect = replace(report.rivals[LINEAR], rmse=0.0)
    html = page_of(tmp_path, replace(report, rivals=report.rivals | {LINEAR: perfect}))

    assert "<td>- (" in html
