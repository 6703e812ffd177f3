"""The form page: a person fills in the features, and gets the prediction, why it is so, and what else it could be."""

import json
import math
from typing import Any

from flask import Blueprint, render_template, request
from flask.typing import ResponseReturnValue

from stork.declaration import Declaration
from stork.errors import BackendError, InvalidInstances, ModelNotFound, TooManyRequests
from stork.schema.frozen import Schema
from stork.serving.ask import Answer, Ask, Context
from stork.serving.explain import Explanation, draw_curve, explain
from stork.serving.predictor import Predictor
from stork.web.charts import draw_contributions, draw_what_if, find_output
from stork.web.dialects import error_headers, prediction_headers
from stork.web.forms import build_form, read_instance, show_problems
from stork.web.health import find_predictor
from stork.web.session import caller, find_admission
from stork.web.words import digits_for, in_current_words, show_output, signed, with_unit, write_number

blueprint = Blueprint("pages", __name__)


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
    """
    GET: the form as declared.

    POST: the same as it was sent, with the answer (200), with errors beside their fields (400), or with the sentence
    why nobody could answer (502 to 504, or 429: the allowance of the key is used up).
    """
    declaration = predictor.declaration(name)
    features = in_current_words(predictor.version(name).schema, declaration).features
    sent = request.form if request.method == "POST" else None
    form = build_form(features, sent)
    instance = read_instance(features, form)
    page: dict[str, Any] = {"fields": [(feature, form[feature.name]) for feature in features]}
    status, headers = 200, []
    if sent is not None:
        try:
            answer = predictor.predict(Ask([instance], model=name, dialect="form", context=Context(caller=caller())))
            headers = list(prediction_headers(answer.id, answer.version))
            page |= show_answer(answer, instance, declaration)
        except InvalidInstances as error:
            status, headers = error.status, error_headers(error)
            page["elsewhere"] = show_problems(form, error.problems, features)
        except (BackendError, TooManyRequests) as error:
            status, headers = error.status, error_headers(error)
            page["unanswered"] = str(error)
    curl = curl_line(name, instance, with_key=not find_admission().gate.is_open)
    page |= {"declaration": declaration, "models": titles(predictor), "curl": curl}
    return render_template("form.html", **page, wrong=[f for f in form if f.errors]), status, headers


def show_answer(answer: Answer, instance: dict[str, Any], declaration: Declaration) -> dict[str, Any]:
    """What the answer's part of the page shows: every output, the contributions or why there are none, the curve."""
    schema = in_current_words(answer.loaded.schema, declaration)
    shown: dict[str, Any] = {
        "answer": answer,
        "shown": [show_output(output, answer.columns[output.name][0]) for output in schema.outputs],
        "why": explain(answer.loaded, instance),
    }
    if isinstance(shown["why"], Explanation):
        shown["why_chart"] = draw_contributions(shown["why"], schema, instance)
        shown["why_text"] = sum_up(shown["why"], schema, answer)
    along = next((f for f in schema.features if f.name == declaration.form.what_if), None)
    curve = draw_curve(answer.loaded, instance, along) if along else None
    if curve is not None:
        shown["what_if"] = draw_what_if(curve, schema)
        shown["own"] = curve.own is not None
    return shown


def sum_up(found: Explanation, schema: Schema, answer: Answer) -> str:
    """The explanation in a sentence or two; it says so where it explains another number than the one above it."""
    output = find_output(schema, found.output)
    digits = digits_for(output, *found.contributions.values())
    base, prediction, moved = (
        with_unit(output, text)
        for text in (
            write_number(output, found.base, digits),
            write_number(output, found.prediction, digits),
            signed(found.prediction - found.base, digits),
        )
    )
    about = f"{output.title or output.name}: on" if len(schema.outputs) > 1 else "On"
    text = f"{about} average over {found.examples} examples the model predicts {base}. These values move it by {moved}."
    if math.isclose(found.prediction, answer.columns[output.name][0], rel_tol=1e-4, abs_tol=1e-6):
        return text
    return f"{text} Computed with this server's own copy of the model, which predicts {prediction}."


def titles(predictor: Predictor) -> list[tuple[str, str]]:
    """Name and title of every model, for the navigation."""
    return [(name, predictor.declaration(name).model.title) for name in predictor.models()]


def curl_line(name: str, instance: dict[str, Any], with_key: bool) -> str:
    """The same request as a program would send it."""
    body = json.dumps({"model": name, "instances": [instance]}, ensure_ascii=False).replace("'", "'\\''")
    key = "-H 'Authorization: Bearer YOUR-KEY' " if with_key else ""
    return f"curl {key}-H 'Content-Type: application/json' -d '{body}' {request.host_url}api/predict"
