"""The plots of the form page: each a Vega-Lite specification beside the numbers it shows."""

from dataclasses import dataclass
from typing import Any

from stork.declaration import Output
from stork.schema.feature import plain
from stork.schema.frozen import Schema
from stork.serving.explain import Curve, Explanation
from stork.web.words import digits_for, name_features, name_value, signed, with_unit, write_number

SCHEMA = "https://vega.github.io/schema/vega-lite/v6.json"
HALO = {"stroke": "var(--panel)", "strokeWidth": 6}  # below a text, keeps lines out of its letters
ROW = 40  # pixels: a line of text and its bar


@dataclass(frozen=True)
class Chart:
    """A plot for app.js to draw, its name for who cannot see it, and the same numbers as a table."""

    title: str
    spec: dict[str, Any]
    headings: tuple[str, ...]
    rows: list[tuple[str, ...]]


def find_output(schema: Schema, name: str) -> Output:
    return next(output for output in schema.outputs if output.name == name)


def draw_contributions(found: Explanation, schema: Schema, instance: dict[str, Any]) -> Chart:
    """A bar per feature, the largest first: how far its value moved the prediction from the average."""
    output = find_output(schema, found.output)
    digits = digits_for(output, *found.contributions.values())
    titles = name_features(schema.features)
    labels = {f.name: f"{titles[f.name]}: {name_value(f, instance.get(f.name))}" for f in schema.features}
    ordered = sorted(found.contributions.items(), key=lambda item: -abs(item[1]))
    values = [
        {"feature": name, "label": labels[name], "value": value, "text": signed(value, digits), "lowers": value < 0}
        for name, value in ordered
    ]
    x_title = with_unit(output, "Contribution to the prediction,") if output.unit else "Contribution to the prediction"
    axis = {"tickCount": 4, "grid": True}
    spec = base_spec(values, height=ROW * len(values)) | {
        "encoding": {
            "y": {"field": "feature", "type": "nominal", "sort": None, "axis": None},
            "x": {"field": "value", "type": "quantitative", "title": x_title, "axis": axis},
        },
        "layer": contribution_layers(),
    }
    rows: list[tuple[str, ...]] = [(labels[name], with_unit(output, signed(value, digits))) for name, value in ordered]
    rows += [
        (title, with_unit(output, write_number(output, value, digits)))
        for title, value in (("Average prediction", found.base), ("This prediction", found.prediction))
    ]
    return Chart("What each value contributed", spec, ("Value", "Contribution"), rows)


def contribution_layers() -> list[dict[str, Any]]:
    """Per feature: its name on a line of its own, below it the bar, at whose end the number."""
    name = {"type": "text", "align": "left", "baseline": "bottom", "dx": 1, "fontSize": 13, "fill": "currentColor",
            "limit": {"expr": "width"}}  # fmt: skip
    bar = {"type": "bar", "height": 12, "yOffset": 10, "cornerRadius": 2}
    number = {"type": "text", "baseline": "middle", "dy": 10, "fontSize": 12, "fill": "currentColor"}
    colour = {"condition": {"test": "datum.lowers", "value": "var(--lowers)"}, "value": "var(--raises)"}
    end = {"align": {"expr": "datum.lowers ? 'right' : 'left'"}, "dx": {"expr": "datum.lowers ? -5 : 5"}}
    at_the_left = {"x": {"value": 0}, "text": {"field": "label"}}
    zero = {"type": "rule", "color": "currentColor", "opacity": 0.5}
    return [
        {"mark": zero, "encoding": {"x": {"datum": 0}, "y": None}},
        {"mark": name | HALO, "encoding": at_the_left},
        {"mark": bar, "encoding": {"color": colour}},
        {"mark": name, "encoding": at_the_left},
        {"mark": number | end, "encoding": {"text": {"field": "text"}}},
    ]


def draw_what_if(curve: Curve, schema: Schema) -> Chart:
    """The prediction along one feature, the person's own value marked."""
    output = find_output(schema, curve.output)
    feature = next(feature for feature in schema.features if feature.name == curve.feature)
    title = feature.title or feature.name
    x_title = f"{title} ({feature.unit})" if feature.unit else title
    y_title = f"{output.title or output.name} ({output.unit})" if output.unit else output.title or output.name
    digits = digits_for(output, *curve.predictions)
    texts = [with_unit(output, write_number(output, y, digits)) for y in curve.predictions]
    values = [
        {"x": x, "y": y, "text": text, "own": x == curve.own}
        for x, y, text in zip(curve.values, curve.predictions, texts, strict=True)
    ]
    spec = base_spec(values, height=240) | {
        "encoding": {
            "x": {"field": "x", "type": "quantitative", "title": x_title,
                  "scale": {"zero": False, "nice": False}, "axis": {"tickCount": 8}},
            "y": {"field": "y", "type": "quantitative", "title": y_title, "scale": {"zero": False},
                  "axis": {"tickCount": 6, "grid": True}},
        },
        "layer": what_if_layers((curve.values[0] + curve.values[-1]) / 2),
    }  # fmt: skip
    rows: list[tuple[str, ...]] = [
        (f"{plain(x)} (yours)" if x == curve.own else plain(x), text)
        for x, text in zip(curve.values, texts, strict=True)
    ]
    return Chart(f"{output.title or output.name} along {lower_first(title)}", spec, (x_title, y_title), rows)


def what_if_layers(middle: float) -> list[dict[str, Any]]:
    """The line; the person's own value with its prediction written to the side that has room."""
    own = [{"filter": "datum.own"}]
    side = {"align": {"expr": f"datum.x > {middle} ? 'right' : 'left'"},
            "dx": {"expr": f"datum.x > {middle} ? -10 : 10"}}  # fmt: skip
    rule = {"type": "rule", "strokeDash": [3, 3], "color": "var(--mark)"}
    number = {"type": "text", "dy": -12, "fontSize": 13, "fontWeight": "bold", "fill": "currentColor"}
    return [
        {"mark": {"type": "line", "stroke": "var(--accent)", "strokeWidth": 2.5}},
        {"transform": own, "mark": rule, "encoding": {"y": None}},
        {
            "transform": own,
            "mark": {"type": "point", "filled": True, "size": 110, "color": "var(--mark)", "opacity": 1},
        },
        {"transform": own, "mark": number | side | HALO, "encoding": {"text": {"field": "text"}}},
        {"transform": own, "mark": number | side, "encoding": {"text": {"field": "text"}}},
    ]


def lower_first(title: str) -> str:
    """A title inside a sentence: Height -> height, but BMI stays."""
    return title if title[1:2].isupper() else title[:1].lower() + title[1:]


def base_spec(values: list[dict[str, Any]], height: int) -> dict[str, Any]:
    """What all plots share: as wide as the page lets them, in the page's own colours, light or dark."""
    axis = {"domain": False, "ticks": False, "labelPadding": 6, "labelColor": "currentColor", "labelOpacity": 0.8,
            "titleColor": "currentColor", "titleOpacity": 0.8, "titleFontWeight": "normal", "titlePadding": 8,
            "titleLimit": 280, "labelFontSize": 12, "titleFontSize": 12, "grid": False,
            "gridColor": "currentColor", "gridOpacity": 0.14}  # fmt: skip
    return {
        "$schema": SCHEMA,
        "width": "container",
        "height": height,
        "autosize": {"type": "fit-x", "contains": "padding"},
        "background": None,
        "data": {"values": values},
        "config": {"font": "system-ui, sans-serif", "axis": axis, "view": {"stroke": None}},
    }
