"""The plots of the form page: each a Vega-Lite specification beside the numbers it shows."""

from dataclasses import dataclass
from typing import Any

from stork.declaration import Feature
from stork.schema.feature import plain
from stork.serving.explain import Curve, Explanation
from stork.web.forms import title_of

SCHEMA = "https://vega.github.io/schema/vega-lite/v6.json"


@dataclass(frozen=True)
class Chart:
    """A plot for app.js to draw, its name for who cannot see it, and the same numbers as a table."""

    title: str
    spec: dict[str, Any]
    headings: tuple[str, ...]
    rows: list[tuple[str, ...]]


def signed(value: float, digits: int) -> str:
    """A number with its sign, a real minus included; no sign where it rounds to nothing."""
    text = f"{value:+.{digits}f}"
    return text[1:] if float(text) == 0 else text.replace("-", "\N{MINUS SIGN}")


def draw_contributions(found: Explanation, features: tuple[Feature, ...], instance: dict[str, Any]) -> Chart:
    """A bar per feature, the largest first: how far its value moved the prediction from the average."""
    unit, digits = found.output.unit, found.output.digits
    ordered = sorted(features, key=lambda f: -abs(found.contributions[f.name]))
    shown = [
        (f"{f.title or f.name}: {title_of(f, instance.get(f.name))}", found.contributions[f.name]) for f in ordered
    ]
    values = [
        {"feature": name, "value": round(v, 6), "effect": "raises" if v > 0 else "lowers", "text": signed(v, digits)}
        for name, v in shown
    ]
    x = {"field": "value", "type": "quantitative", "title": f"contribution ({unit})" if unit else "contribution"}
    y = {"field": "feature", "type": "nominal", "sort": None, "title": None, "axis": {"labelLimit": 190}}
    colour = {"field": "effect", "type": "nominal", "legend": None, "scale": {
        "domain": ["raises", "lowers"], "range": ["var(--raises)", "var(--lowers)"]}}  # fmt: skip
    label = {"align": {"expr": "datum.value < 0 ? 'right' : 'left'"}, "dx": {"expr": "datum.value < 0 ? -4 : 4"}}
    spec = base_spec(values, height=26 * len(values)) | {
        "encoding": {"y": y, "x": {**x, "scale": {"padding": 34}, "axis": {"tickCount": 4}}},
        "layer": [
            {"mark": {"type": "bar", "cornerRadius": 2}, "encoding": {"color": colour}},
            {"mark": {"type": "text", "baseline": "middle", "fill": "currentColor", **label},
             "encoding": {"text": {"field": "text"}}},
        ],
    }  # fmt: skip
    rows: list[tuple[str, ...]] = [(name, f"{signed(value, digits)} {unit}".strip()) for name, value in shown]
    rows += [
        ("Average prediction", with_unit(found.base, found)),
        ("This prediction", with_unit(found.prediction, found)),
    ]
    return Chart("What each value contributed", spec, ("Value", "Contribution"), rows)


def with_unit(value: float, found: Explanation | Curve) -> str:
    """A prediction in the output's own unit."""
    return f"{value:.{found.output.digits}f} {found.output.unit}".strip()


def draw_what_if(curve: Curve) -> Chart:
    """The prediction along one feature, the person's own value marked."""
    values = [{"x": x, "y": round(y, 6)} for x, y in zip(curve.values, curve.predictions, strict=True)]
    feature, output = curve.feature, curve.output
    title = feature.title or feature.name
    x_title = f"{title} ({feature.unit})" if feature.unit else title
    x = {"field": "x", "type": "quantitative", "title": x_title, "scale": {"zero": False, "nice": False}}
    y_title = f"{output.title or output.name} ({output.unit})" if output.unit else output.title or output.name
    y = {"field": "y", "type": "quantitative", "title": y_title}
    line = {"type": "line", "stroke": "var(--accent)", "strokeWidth": 2.5}
    layers: list[dict[str, Any]] = [{"mark": line}]
    if curve.own is not None:
        own = {"filter": {"field": "x", "equal": curve.own}}
        layers.append(
            {"transform": [own], "mark": {"type": "point", "filled": True, "size": 110, "color": "var(--mark)"}}
        )
        layers.append({"transform": [own], "mark": {"type": "rule", "strokeDash": [3, 3], "color": "var(--mark)"},
                       "encoding": {"y": None}})  # fmt: skip
    spec = base_spec(values, height=230) | {"encoding": {"x": x, "y": y}, "layer": layers}
    rows: list[tuple[str, ...]] = [
        (f"{plain(value)}{' (yours)' if value == curve.own else ''}", with_unit(predicted, curve))
        for value, predicted in zip(curve.values, curve.predictions, strict=True)
    ]
    return Chart(f"{output.title or output.name} along {title.lower()}", spec, (x_title, y_title), rows)


def base_spec(values: list[dict[str, Any]], height: Any) -> dict[str, Any]:
    """What all plots share: as wide as the page lets them, in the page's own colours, light or dark."""
    axis = {"domainColor": "currentColor", "tickColor": "currentColor", "labelColor": "currentColor",
            "titleColor": "currentColor", "titleFontWeight": "normal", "labelFontSize": 12, "titleFontSize": 12,
            "gridColor": "currentColor", "gridOpacity": 0.12, "domainOpacity": 0.4, "tickOpacity": 0.4}  # fmt: skip
    return {
        "$schema": SCHEMA,
        "width": "container",
        "height": height,
        "autosize": {"type": "fit-x", "contains": "padding"},
        "background": None,
        "data": {"values": values},
        "config": {"font": "system-ui, sans-serif", "axis": axis, "axisY": {"grid": False}, "view": {"stroke": None}},
    }
