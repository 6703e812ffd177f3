"""The form of a model, made from its schema: texts a person typed become the values a program would send."""

import re
from typing import Any

from werkzeug.datastructures import MultiDict
from wtforms import RadioField, SelectField, StringField
from wtforms.form import BaseForm
from wtforms.widgets import NumberInput, TextInput

from stork.declaration import Feature
from stork.errors import Problem
from stork.schema.decode import default_value, locate
from stork.schema.feature import expectation, plain
from stork.web.words import MINUS, choices_of, shorten, text_of

RADIO_CHOICES = 5
# Stricter than int() and float(), which also take 1_000 and digits of other scripts.
NUMBER = re.compile(r"[+-]?(\d+\.?\d*|\.\d+)([eE][+-]?\d+)?", re.ASCII)


def build_form(features: tuple[Feature, ...], sent: MultiDict[str, str] | None = None) -> BaseForm:
    """
    A field per feature, named as the feature is: as it was sent, or with the declared defaults before anything was.

    Of what was sent nothing is filled in: a field that is not there is missing.
    """
    form = BaseForm({f.name: make_field(f, f"feature-{index}") for index, f in enumerate(features)})
    initial = {f.name: text_of(initial_value(f)) for f in features} if sent is None else {}
    form.process(sent, data=initial)
    return form


def make_field(feature: Feature, identifier: str) -> Any:
    """
    The field for a feature. It refuses nothing: the schema's own check decides, for people as for programs.

    Names may be any text, so the id that labels and errors refer to is another.
    """
    description = describe_field(feature)
    attributes: dict[str, Any] = {"required": True} if feature.required and feature.kind != "string" else {}
    if description:
        attributes["aria-describedby"] = f"{identifier}-help"
    about: dict[str, Any] = {
        "label": feature.title or feature.name,
        "id": identifier,
        "description": description,
        "render_kw": attributes,
    }
    choices = choices_of(feature)
    if choices and (feature.widget == "radio" or (feature.widget != "select" and len(choices) <= RADIO_CHOICES)):
        return RadioField(**about, choices=choices, validate_choice=False)
    if choices:
        return SelectField(**about, choices=choices, validate_choice=False)
    if feature.kind == "string" or feature.widget == "text":
        return StringField(**about, widget=TextInput())
    about["render_kw"] |= number_attributes(feature)
    return StringField(**about, widget=NumberInput())


def number_attributes(feature: Feature) -> dict[str, Any]:
    """What a browser may know of a number: its step, its range, which keys a phone shows."""
    whole = feature.kind == "integer"
    attributes: dict[str, Any] = {"step": "1" if whole else "any", "inputmode": "numeric" if whole else "decimal"}
    if feature.range is None:
        return attributes
    low, high = feature.range
    if low < 0:
        del attributes["inputmode"]  # the keys of some phones have no minus
    return attributes | {"min": plain(low), "max": plain(high)}


def describe_field(feature: Feature) -> str:
    """The help below a field: what the declaration says, and the range."""
    if feature.range is None or choices_of(feature):
        return feature.help
    unit = f" {feature.unit}" if feature.unit else ""
    low, high = (plain(end).replace("-", MINUS) for end in feature.range)
    return f"{feature.help} {low} to {high}{unit}.".strip()


def initial_value(feature: Feature) -> Any:
    """What the form starts with: the declared default, else not known where that is allowed, else a plausible value."""
    if feature.default is None and not feature.required:
        return None
    return default_value(feature)


def read_instance(features: tuple[Feature, ...], form: BaseForm) -> dict[str, Any]:
    """The instance that the form's texts stand for; a text that is no value stays a text, for the check to refuse."""
    return {feature.name: read_value(feature, form[feature.name].data) for feature in features}


def read_value(feature: Feature, text: str | None) -> Any:
    """One typed value: None where the field was left empty."""
    if feature.kind == "string":
        return text
    text = (text or "").strip()
    if not text:
        return None
    if feature.kind == "boolean":
        return {"true": True, "false": False}.get(text, text)
    known = {text_of(value.value): value.value for value in feature.values}
    if text in known or not NUMBER.fullmatch(text):
        return known.get(text, text)
    try:
        return int(text)
    except ValueError:
        return float(text)


def show_problems(form: BaseForm, problems: list[Problem], features: tuple[Feature, ...]) -> list[str]:
    """Put each problem beside its field, linked to it; what belongs to no field is returned."""
    places = {locate("$.instances[0]", feature.name): feature for feature in features}
    elsewhere = []
    for problem in problems:
        feature = places.get(problem.path)
        if feature is None:
            elsewhere.append(str(problem))
            continue
        field = form[feature.name]
        field.errors = [word_problem(feature, field.data)]
        notes = [f"{field.id}-error", *field.render_kw.get("aria-describedby", "").split()]
        field.render_kw |= {"aria-invalid": "true", "aria-describedby": " ".join(notes)}
    return elsewhere


def word_problem(feature: Feature, text: str | None) -> str:
    """What to do about a value that was refused."""
    if choices_of(feature):
        return "Choose one of these."
    wanted = expectation(feature).removesuffix(", or null")
    empty = "" if feature.required else ", or leave it empty"
    received = f", not “{shorten(text.strip())}”" if text and text.strip() else ""
    return f"Enter {wanted}{empty}{received}."
