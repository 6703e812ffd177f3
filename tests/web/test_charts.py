"""A plot and its table say the same."""

from typing import Any

import msgspec
import pytest
from fakes import fake_declaration

from stork.schema.frozen import Schema
from stork.serving.explain import Curve, Explanation
from stork.web.charts import draw_contributions, draw_what_if

SCHEMA = Schema.of(
    fake_declaration(
        [
            {"name": "in", "kind": "number", "title": "Rooms"},
            {"name": "b", "kind": "boolean", "title": "Balcony"},
            {"name": "c", "kind": "string", "title": "Street"},
        ],
        [{"name": "y", "title": "Rent", "unit": "EUR", "digits": 0}],
    )
)
FOUND = Explanation("y", 500.0, 640.0, {"in": 200.0, "b": -80.4, "c": 20.4}, 64)
INSTANCE = {"in": 3, "b": False, "c": "</script>"}
CURVE = Curve("in", "y", [1, 2, 3], [500.0, 570.0, 640.0], own=3)


def data(chart: Any) -> list[dict[str, Any]]:
    values: list[dict[str, Any]] = chart.spec["data"]["values"]
    return values


def test_the_largest_contribution_comes_first() -> None:
    """Bars and rows are in the order of what matters, whatever its sign."""
    chart = draw_contributions(FOUND, SCHEMA, INSTANCE)

    assert [bar["feature"] for bar in data(chart)] == ["in", "b", "c"]
    assert chart.rows[0] == ("Rooms: 3", "+200 EUR")


def test_the_table_has_every_number_of_the_bars() -> None:
    """Each bar is a row, and the two ends of the sum follow."""
    chart = draw_contributions(FOUND, SCHEMA, INSTANCE)

    assert [(bar["label"], f"{bar['text']} EUR") for bar in data(chart)] == chart.rows[:-2]
    assert chart.rows[-2:] == [("Average prediction", "500 EUR"), ("This prediction", "640 EUR")]


def test_the_curve_marks_the_persons_own_value() -> None:
    """One point is marked, in the plot and in the table."""
    chart = draw_what_if(CURVE, SCHEMA)

    assert [point["x"] for point in data(chart) if point["own"]] == [3]
    assert chart.rows == [("1", "500 EUR"), ("2", "570 EUR"), ("3 (yours)", "640 EUR")]


def test_nothing_is_marked_where_the_value_is_not_known() -> None:
    """A person who left the feature out still sees the curve."""
    chart = draw_what_if(Curve("in", "y", CURVE.values, CURVE.predictions, own=None), SCHEMA)

    assert not [point for point in data(chart) if point["own"]]


@pytest.mark.parametrize("chart", [draw_contributions(FOUND, SCHEMA, INSTANCE), draw_what_if(CURVE, SCHEMA)])
def test_a_plot_takes_its_colours_and_width_from_the_page(chart: Any) -> None:
    """No colour is fixed, so that light and dark both read; the width is the page's."""
    text = msgspec.json.encode(chart.spec).decode()

    assert chart.spec["width"] == "container"
    assert '"#' not in text and "var(--" in text


def test_a_curve_of_one_point_is_drawn() -> None:
    """A range may hold a single value."""
    assert draw_what_if(Curve("in", "y", [5], [1.0], own=5), SCHEMA).rows == [("5 (yours)", "1 EUR")]
