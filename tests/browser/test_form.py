"""The form as a person meets it: in Chromium, on a real server."""

from collections.abc import Callable
from typing import Any

import pytest

pytestmark = pytest.mark.browser

PHONE = {"viewport": {"width": 390, "height": 844}, "has_touch": True}
DESKTOP = {"viewport": {"width": 1280, "height": 900}}
LAPTOP = {"viewport": {"width": 1280, "height": 620}}
Visit = Callable[..., Any]

# Every text with its contrast per WCAG 2.2; what has no background of its own shows its parent's.
CONTRASTS = """() => {
  const parse = (colour) => colour.match(/[\\d.]+/g).map(Number);
  const ground = (node) => {
    for (; node; node = node.parentElement) {
      const colour = parse(getComputedStyle(node).backgroundColor);
      if (colour.length < 4 || colour[3] === 1) return colour;
    }
    return [255, 255, 255];
  };
  const light = (colour) => colour.slice(0, 3).map((c) => c / 255)
    .map((c) => (c <= 0.04045 ? c / 12.92 : ((c + 0.055) / 1.055) ** 2.4))
    .reduce((sum, c, i) => sum + c * [0.2126, 0.7152, 0.0722][i], 0);
  const texts = "h1, h2, p, a, label, legend, summary, button, th, td, li, code, span.unit, input, select, output";
  return [...document.querySelectorAll(texts)].filter((node) => node.checkVisibility() && node.type !== "radio")
    .map((node) => {
      const pair = [light(parse(getComputedStyle(node).color)), light(ground(node))];
      return [(Math.max(...pair) + 0.05) / (Math.min(...pair) + 0.05), node.outerHTML.slice(0, 90)];
    });
}"""

# What has no name for who cannot see the page.
UNNAMED = """() => [
  ...[...document.querySelectorAll("input, select")].filter((field) => !field.labels.length),
  ...[...document.querySelectorAll("fieldset")].filter((group) => !group.querySelector(":scope > legend")),
  ...[...document.querySelectorAll("[role=img], section, nav")].filter((part) => !part.ariaLabel),
  ...[...document.querySelectorAll("[aria-describedby], [aria-labelledby]")].filter((part) =>
    [...(part.getAttribute("aria-describedby") ?? "").split(" "),
     ...(part.getAttribute("aria-labelledby") ?? "").split(" ")]
      .some((id) => id && !document.getElementById(id))),
].map((node) => node.outerHTML)"""


def number(page: Any, title: str) -> Any:
    """The field of a number, by its label."""
    return page.get_by_role("spinbutton", name=title)


def predict(page: Any) -> Any:
    """Press the button; the output, once it is there and the plots are drawn."""
    page.get_by_role("button", name="PREDICT").click()
    page.locator("#answer output").wait_for()
    page.locator("[data-drawn=yes]").nth(1).wait_for()
    return page.locator("#answer output")


def fill_wrong(page: Any) -> None:
    """An age that nobody has, and no weeks; press the button and wait for the errors."""
    number(page, "Mother's age").fill("900")
    number(page, "Gestation").fill("")
    page.get_by_role("button", name="PREDICT").click()
    page.locator("#problems").wait_for()


def test_a_prediction_appears_in_place(visit: Visit) -> None:
    """With script the page is not loaded again: the answer is put in, and another one replaces it."""
    page = visit()
    page.evaluate("window.stayed = true")
    first = predict(page).inner_text()

    number(page, "Gestation").fill("30")
    page.get_by_text("Twins").click()
    page.get_by_role("button", name="PREDICT").click()
    page.locator("#answer output").filter(has_not_text=first).wait_for()

    assert page.evaluate("window.stayed")
    assert float(page.locator("#answer output").inner_text().split()[0]) < float(first.split()[0])


def test_the_plots_are_drawn(visit: Visit) -> None:
    """A bar for every feature, a line, and the person's own value marked; their tables fold away."""
    page = visit()
    predict(page)

    assert page.locator("figure").nth(0).locator("svg .mark-rect path").count() == 8
    assert page.locator("figure").nth(1).locator("svg .mark-symbol path").count() == 1
    assert page.locator("details[open]").count() == 0


def test_vega_is_loaded_only_for_a_plot(visit: Visit) -> None:
    """The empty form costs no plotting library."""
    page = visit()
    count = "performance.getEntriesByType('resource').filter(r => r.name.includes('vega')).length"

    assert page.evaluate(count) == 0
    predict(page)
    assert page.evaluate(count) == 3


def test_an_answer_is_read_out_and_the_focus_stays(visit: Visit) -> None:
    """Who listens hears the number; who types goes on typing."""
    page = visit()
    number(page, "Gestation").fill("36")
    page.keyboard.press("Enter")
    output = page.locator("#answer output")
    output.wait_for()
    said = page.locator("#said").filter(has_text="lb")
    said.wait_for(state="attached")

    assert output.inner_text() in said.inner_text()
    assert page.evaluate("document.activeElement.name") == "gestation_weeks"


def test_errors_stand_beside_their_fields(visit: Visit) -> None:
    """The summary gets the focus and leads to the field, which says what it takes and keeps what was typed."""
    page = visit()
    fill_wrong(page)
    age = number(page, "Mother's age")

    assert page.evaluate("document.activeElement.id") == "problems"
    assert "10 to 60" in page.locator(f"#{age.get_attribute('aria-describedby').split()[0]}").inner_text()
    page.locator("#problems").get_by_role("link", name="Mother's age").click()
    assert page.evaluate("document.activeElement.value") == "900"


def test_errors_go_when_they_are_mended(visit: Visit) -> None:
    """After a correction nothing of the error is left."""
    page = visit()
    fill_wrong(page)
    number(page, "Mother's age").fill("30")
    number(page, "Gestation").fill("40")
    predict(page)

    assert page.locator("#problems, .error, [aria-invalid]").count() == 0


def test_works_without_script(visit: Visit) -> None:
    """The page comes back with the values kept, the answer, and the numbers of both plots open."""
    page = visit(java_script_enabled=False)
    number(page, "Mother's age").fill("41")
    page.get_by_role("button", name="PREDICT").click()

    assert page.locator("#answer output").inner_text().endswith(" lb")
    assert number(page, "Mother's age").input_value() == "41"
    assert page.get_by_role("rowheader", name="Mother's age: 41 years").is_visible()
    assert not page.locator("figure").first.is_visible()


def test_errors_without_script(visit: Visit) -> None:
    """The same errors beside the same fields, and the title of the page says that something is wrong."""
    page = visit(java_script_enabled=False)
    fill_wrong(page)

    assert page.title().startswith("Please check")
    assert page.locator(".field .error").count() == 2


def test_works_with_the_keyboard_alone(visit: Visit) -> None:
    """Tab reaches every field once, arrows choose, Enter predicts."""
    page = visit()
    reached = []
    for _ in range(20):
        page.keyboard.press("Tab")
        reached.append(page.evaluate("document.activeElement.name || document.activeElement.id"))
        if reached[-1] == "mother_age":
            page.keyboard.type("33")
        if reached[-1] == "is_male":
            page.keyboard.press("ArrowLeft")
        if reached[-1] == "predict":
            break
    page.keyboard.press("Enter")
    page.locator("#answer output").wait_for()

    assert len([name for name in reached if "_" in name or name == "plurality"]) == 8
    assert number(page, "Mother's age").input_value() == "33"
    assert page.get_by_role("radio", name="Female").is_checked()


@pytest.mark.parametrize("name", ["Mother's age", "PREDICT", "Twins", "Mother's race"])
def test_the_focus_is_seen(visit: Visit, name: str) -> None:
    """Whatever has the focus has a ring of three pixels around it."""
    page = visit()
    page.keyboard.press("Tab")
    field = page.get_by_role("button", name=name).or_(page.get_by_label(name)).first
    field.focus()
    ring = "node => getComputedStyle(node.type === 'radio' ? node.parentElement : node).outlineWidth"

    assert field.evaluate(ring) == "3px"


@pytest.mark.parametrize("width", [320, 390, 768])
def test_nothing_is_wider_than_the_window(visit: Visit, width: int) -> None:
    """No sideways scrolling: not empty, not with the answer and its tables open, not with errors."""
    page = visit(viewport={"width": width, "height": 844})
    widths = [page.evaluate("document.documentElement.scrollWidth")]
    predict(page)
    for summary in page.locator("summary").all():
        summary.click()
    widths.append(page.evaluate("document.documentElement.scrollWidth"))
    fill_wrong(page)

    assert [*widths, page.evaluate("document.documentElement.scrollWidth")] == [width] * 3


@pytest.mark.parametrize("window", [PHONE, DESKTOP], ids=["phone", "desktop"])
def test_the_button_is_at_hand(visit: Visit, window: dict[str, Any]) -> None:
    """PREDICT is in view before anything is scrolled, and the answer is in view after it."""
    page = visit(**window)
    height = window["viewport"]["height"]
    box = page.get_by_role("button", name="PREDICT").bounding_box()
    assert box["y"] + box["height"] <= height

    answer = predict(page).bounding_box()
    assert answer["y"] >= 0 and answer["y"] + answer["height"] <= height


def test_the_end_of_the_form_can_be_reached_in_a_low_window(visit: Visit) -> None:
    """The form sticks beside a long answer only from where its end is seen."""
    page = visit(**LAPTOP)
    predict(page)
    page.evaluate("scrollTo(0, 400)")

    box = page.get_by_role("button", name="PREDICT").bounding_box()
    assert box["y"] >= 0 and box["y"] + box["height"] <= LAPTOP["viewport"]["height"]


@pytest.mark.parametrize("scheme", ["light", "dark"])
@pytest.mark.parametrize("state", ["empty", "answered", "wrong"])
def test_all_text_has_contrast(visit: Visit, scheme: str, state: str) -> None:
    """4.5 to 1 or better in both schemes, in every state of the page."""
    page = visit(color_scheme=scheme)
    if state == "answered":
        predict(page)
        page.locator("summary").first.click()
    if state == "wrong":
        fill_wrong(page)

    contrasts = page.evaluate(CONTRASTS)
    assert len(contrasts) > 30
    assert [found for found in contrasts if found[0] < 4.5] == []


def test_dark_mode_is_dark(visit: Visit) -> None:
    """The page follows what the person's system asks for."""
    light, dark = (visit(color_scheme=scheme) for scheme in ("light", "dark"))
    colour = "getComputedStyle(document.documentElement).backgroundColor"

    assert light.evaluate(colour) == "rgb(255, 255, 255)"
    assert max(map(float, dark.evaluate(colour).strip("rgb()").split(","))) < 40


@pytest.mark.parametrize("state", ["empty", "answered", "wrong"])
def test_everything_has_a_name(visit: Visit, state: str) -> None:
    """Every field has a label, every group a legend, every plot a name, and what is referred to exists."""
    page = visit()
    if state == "answered":
        predict(page)
    if state == "wrong":
        fill_wrong(page)

    assert page.evaluate(UNNAMED) == []
    assert page.locator("h1").count() == 1 and page.locator("html").get_attribute("lang") == "en"


@pytest.mark.parametrize(
    "answer", [lambda route: route.abort(), lambda route: route.fulfill(status=502, body="<h1>Bad gateway</h1>")]
)
def test_a_server_that_is_gone_is_said(visit: Visit, answer: Callable[[Any], None]) -> None:
    """When nobody answers, or something else than Stork, the person is told and nothing that was typed is lost."""
    page = visit()
    number(page, "Mother's age").fill("41")
    page.route("**/models/**", answer)
    page.get_by_role("button", name="PREDICT").click()

    page.locator("#answer").filter(has_text="could not be reached").wait_for()
    assert number(page, "Mother's age").input_value() == "41"


def test_the_versions_page_fits_a_phone(visit: Visit) -> None:
    """The table scrolls in its own frame, which the keyboard reaches."""
    page = visit("/models/babyweight/versions", **PHONE)

    assert page.evaluate("document.documentElement.scrollWidth") == PHONE["viewport"]["width"]
    assert page.get_by_role("region", name="Versions").get_attribute("tabindex") == "0"
