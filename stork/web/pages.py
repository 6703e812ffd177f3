"""The form page: a person fills in the features, and gets the prediction, why it is so, and what else it could be."""

import json
from dataclasses import dataclass
from typing import Any

from flask import Blueprint, render_template, request
from flask.typing import ResponseReturnValue

from stork.declaration import Display, Output
from stork.errors import InvalidInstances, ModelNotFound
from stork.serving.explain import Explanation, draw_curve, explain
from stork.serving.predictor import Answer, Ask, Predictor
from stork.web.charts import Chart, draw_contributions, draw_what_if, signed
from stork.web.forms import build_form, read_instance, show_problems
from stork.web.health import find_predictor

blueprint = Blueprint("pages", __name__)


@dataclass(frozen=True)
class Shown:
    """A prediction as a person reads it: in its own unit, then in the others."""

    title: str
    value: str
    others: list[str]


@blueprint.route("/", methods=["GET", "POST"])
def home() -> ResponseReturnValue:
    """The form of the default model."""
    predictor = find_predictor()
    if not predictor.default_model:
        raise ModelNotFound("", [])
    return show_form(predictor, predictor.default_model)


@blueprint.route("/models/<name>", methods=["GET", "POST"])
def model(name: str) -> ResponseReturnValue:
    """The form of any model."""
    return show_form(find_predictor(), name)


def show_form(predictor: Predictor, name: str) -> ResponseReturnValue:
    """GET: the form as declared. POST: the same with what was sent, and the answer, or errors beside their fields."""
    declaration = predictor.declaration(name)
    loaded = predictor.version(name)
    features = loaded.schema.features
    sent = request.form if request.method == "POST" else None
    form = build_form(features, sent)
    instance = read_instance(features, form)
    page: dict[str, Any] = {"declaration": declaration, "form": form, "models": titles(predictor), "status": 200}
    page["curl"] = curl_line(name, instance)
    if sent is not None:
        try:
            answer = predictor.predict(Ask([instance], model=name, dialect="form"))
            page |= {"answer": answer, "shown": [show(o, answer) for o in answer.loaded.schema.outputs]}
            page |= explain_answer(answer, instance, declaration.form.what_if)
        except InvalidInstances as error:
            page |= {"elsewhere": show_problems(form, error.problems, loaded.decoder.features), "status": 400}
            page["wrong"] = [form[f.name] for f in features if form[f.name].errors]
    return render_template("form.html", **page), page["status"]


def explain_answer(answer: Answer, instance: dict[str, Any], what_if: str) -> dict[str, Any]:
    """What stands below an answer: the contributions, or why there are none, and the curve."""
    found = explain(answer.loaded, instance)
    features = answer.loaded.schema.features
    shown: dict[str, Any] = {"unexplained": found} if isinstance(found, str) else {
        "why": draw_contributions(found, features, instance), "why_text": sum_up(found)
    }  # fmt: skip
    curve = draw_curve(answer.loaded, instance, what_if) if what_if else None
    charts: dict[str, Chart] = {"what_if": draw_what_if(curve)} if curve else {}
    return shown | charts


def sum_up(found: Explanation) -> str:
    """The explanation in one sentence."""
    unit, digits = found.output.unit, found.output.digits
    average = f"{found.base:.{digits}f} {unit}".strip()
    moved = f"{signed(found.prediction - found.base, digits)} {unit}".strip()
    return f"The average prediction is {average}; these values together change it by {moved}."


def show(output: Output, answer: Answer) -> Shown:
    """One output of an answer to one instance."""
    (value,) = answer.columns[output.name]
    title = output.title or output.name
    if not isinstance(value, int | float):
        return Shown(title, " ".join(str(part) for part in value) if isinstance(value, list) else str(value), [])
    text = f"{value:.{output.digits}f}" if isinstance(value, float) else str(value)
    return Shown(title, f"{text} {output.unit}".strip(), [convert(display, value) for display in output.display])


def convert(display: Display, value: float) -> str:
    """
    A value in another unit.

    >>> convert(Display(unit="lb", sub_unit="oz", sub_per_unit=16, digits=1), 7.999)
    '8 lb 0.0 oz'
    """
    converted = value * display.factor
    if not display.sub_unit:
        return f"{converted:.{display.digits}f} {display.unit}"
    # Rounded before it is divided, so that 15.98 oz is the next whole lb and never "16.0 oz".
    parts = round(abs(converted) * display.sub_per_unit, display.digits)
    whole, rest = divmod(parts, display.sub_per_unit)
    sign = "\N{MINUS SIGN}" if converted < 0 else ""
    return f"{sign}{whole:.0f} {display.unit} {rest:.{display.digits}f} {display.sub_unit}"


def titles(predictor: Predictor) -> list[tuple[str, str]]:
    """Name and title of every model, for the navigation."""
    return [(name, predictor.declaration(name).model.title) for name in predictor.models()]


def curl_line(name: str, instance: dict[str, Any]) -> str:
    """The same request as a program would send it."""
    body = json.dumps({"model": name, "instances": [instance]}, ensure_ascii=False).replace("'", "'\\''")
    return f"curl -H 'Content-Type: application/json' -d '{body}' {request.host_url}api/predict"
