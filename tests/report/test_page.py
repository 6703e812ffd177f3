"""A report is one file that needs nothing but a browser."""

import re

import pytest
from jinja2 import UndefinedError
from markupsafe import Markup

from stork.report.page import count, environment, number, percent
from stork.report.plots import Bucket, Interval, Plot, Point, draw_bars, draw_histogram, draw_intervals, draw_lines

PAGE = """{% extends "base.html" %}{% from "_parts.html" import figure, facts %}
{% block title %}{{ name }}{% endblock %}
{% block main %}<h1>{{ name }}</h1>
{% for plot in plots %}{{ figure(plot) }}{% endfor %}{{ facts(pairs) }}{% endblock %}"""
BUCKETS = [Bucket(0, 1, 3), Bucket(1, 3, 1)]
PLOTS = [
    draw_histogram("Ages", {"old": BUCKETS, "new": [Bucket(0, 2, 5)]}, "years"),
    draw_bars("Colours", {"old": {"red": 0.75, "blue & green": 0.25}, "new": {"red": 1.0}}),
    draw_lines("Errors", {"all": [Point(1, 2, 1.5, 2.5), Point(2, 3)]}, "x", "y"),
    draw_intervals("Slices", [Interval("red", 1.0, 0.5, 1.5)], "error", line_at=2.0),
]


def page(plots: list[Plot]) -> str:
    return environment().from_string(PAGE).render(name="a < b", plots=plots, pairs=[("rows", 3)])


def test_a_page_fetches_nothing_and_runs_nothing() -> None:
    """Its own policy forbids it, and there is no script, no link, no image and no address in it."""
    html = page(PLOTS)

    assert "default-src 'none'" in html
    assert not re.search(r"<script|<link|<img|@import|url\(|https?:|\bon\w+=", html)


def test_texts_are_escaped() -> None:
    """What stands in data cannot become part of the page's code."""
    html = page([draw_bars("<b>", {"x": {"<i>": 1.0}})])

    assert "<b>" not in html and "<i>" not in html
    assert "a &lt; b" in html


def test_a_value_that_is_not_given_is_an_error() -> None:
    """A page never shows a hole where a number should be."""
    with pytest.raises(UndefinedError):
        environment().from_string("{{ nothing }}").render()


@pytest.mark.parametrize("plot", PLOTS, ids=lambda plot: plot.title)
def test_every_plot_is_named_and_has_its_numbers_beside_it(plot: Plot) -> None:
    """Who cannot see the drawing hears its title, and reads a table of the same numbers."""
    assert f'role="img" aria-label="{plot.title}"' in plot.svg
    assert plot.rows and all(len(row) == len(plot.headings) for row in plot.rows)


@pytest.mark.parametrize(
    "plot", [draw_histogram("a", {"x": []}), draw_lines("b", {}), draw_intervals("c", [])], ids=lambda p: p.title
)
def test_nothing_to_draw_is_said(plot: Plot) -> None:
    """Without values there is a sentence, not an empty box."""
    assert plot.svg == Markup("")
    assert "Nothing to draw." in page([plot])


def test_buckets_of_any_width_compare() -> None:
    """A bucket's height is its share per unit of x: twice as wide and as full is as high."""
    (wide, narrow) = re.findall(
        r'<rect class="series-0".*?height="([\d.]+)"',
        draw_histogram("a", {"x": [Bucket(0, 2, 2), Bucket(2, 3, 1)]}).svg,
    )

    assert wide == narrow


def test_the_numbers_of_a_histogram_are_shares() -> None:
    """They add up to all of each series."""
    assert [row[-1] for row in PLOTS[0].rows] == ["75.00%", "25.00%", "100.00%"]


@pytest.mark.parametrize("low", [0.0, -3.0, 1e-9, 1e9])
def test_a_single_value_is_drawn(low: float) -> None:
    """A column that is the same everywhere has a plot, inside the box."""
    plot = draw_histogram("a", {"x": [Bucket(low, low, 5)]})

    assert 0 <= float(re.findall(r'<rect class="series-0" x="([\d.-]+)"', plot.svg)[0]) <= 360


@pytest.mark.parametrize(
    ("written", "expected"),
    [
        (number(7.28341), "7.283"),
        (number(123456.7), "123,457"),
        (number(float("nan")), "-"),
        (count(427323), "427,323"),
        (percent(0.391), "39.1%"),
        (percent(0.00004), "<0.1%"),
        (percent(0.99999), ">99.9%"),
        (percent(1.0), "100%"),
    ],
)
def test_numbers_read_as_people_write_them(written: str, expected: str) -> None:
    """A share that is not nothing never reads as nothing."""
    assert written == expected
