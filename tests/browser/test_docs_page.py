"""`/docs` in a browser: it can be read, and tried out, under the page's own security policy."""

from collections.abc import Callable
from typing import Any

import pytest

pytestmark = pytest.mark.browser


def test_an_example_is_sent_and_its_answer_shown(visit: Callable[..., Any]) -> None:
    """One click from reading to a prediction, without inline script or style."""
    page = visit("/docs")
    page.locator("#operation-predict button").click()
    answer = page.locator("#operation-predict output")
    answer.get_by_text("weight_pounds").wait_for()

    assert answer.inner_text().startswith("200 OK")


def test_choosing_an_example_fills_the_body(visit: Callable[..., Any]) -> None:
    """The list for a named model stands in the box at once."""
    page = visit("/docs")
    page.locator("#operation-predict select").select_option(label="A list for babyweight")

    assert '"model": "babyweight"' in page.locator("#operation-predict textarea").input_value()


def test_a_refusal_is_shown_as_one(visit: Callable[..., Any]) -> None:
    """What is wrong is read where it was tried."""
    page = visit("/docs")
    page.locator("#operation-predict textarea").fill('{"mother_age": 900}')
    page.locator("#operation-predict button").click()
    page.locator("#operation-predict output .failed").wait_for()

    assert '"received": "900"' in page.locator("#operation-predict output").inner_text()


def test_a_path_is_filled_in(visit: Callable[..., Any]) -> None:
    """Parameters of the path have a field each, with a value that works."""
    page = visit("/docs")
    operation = page.locator("#operation-describe_model")
    operation.locator("summary").first.click()
    operation.locator("button").click()
    operation.get_by_text('"generation"').wait_for()

    assert operation.locator("input").input_value() == "babyweight"


@pytest.mark.parametrize("width", [390, 1280])
def test_nothing_is_wider_than_the_screen(visit: Callable[..., Any], width: int) -> None:
    """Also with every operation opened, nobody scrolls sideways."""
    page = visit("/docs", viewport={"width": width, "height": 900})
    page.evaluate("document.querySelectorAll('details').forEach((part) => { part.open = true; })")

    assert page.evaluate("document.documentElement.scrollWidth") <= width


def test_without_script_it_is_there_to_read(visit: Callable[..., Any]) -> None:
    """Fields, examples and answers need none; only what sends is hidden."""
    page = visit("/docs", java_script_enabled=False)

    assert page.locator("#operation-predict textarea").input_value().startswith("{")
    assert not page.locator("#operation-predict button").is_visible()
