"""The form of a model, made from its declaration: texts a person typed become the values a program would send."""

import re
from collections.abc import Mapping
from typing import Any

from werkzeug.datastructures import MultiDict
from wtforms import RadioField, SelectField, StringField
from wtforms.form import BaseForm
from wtforms.widgets import NumberInput, TextInput

from stork.declaration import Feature
from stork.errors import Problem
from stork.schema.decode import default_value
from stork.schema.feature import plain

RADIO_CHOICES = 5


def build_form(features: tuple[Feature, ...], sent: MultiDict[str, str] | None = None) -> BaseForm:
    """A field per feature, holding what was sent, else the declared defaults. Fields are named as the features are."""
    fields = {f.name: field_of(f, f"feature-{index}") for index, f in enumerate(features)}
    form = BaseForm(fields)
    form.process(sent, data={f.name: text_of(f, initial_value(f)) for f in features})
    return form


def field_of(feature: Feature, identifier: str) -> Any:
    """
    The field for a feature. It refuses nothing: the schema's own check decides, for people as for programs.

    Names may be any text, so the id that labels and errors refer to is another.
    """
    about: dict[str, Any] = {
        "label": feature.title or feature.name,
        "id": identifier,
        "description": describe_field(feature),
        "render_kw": {"required": True} if feature.required else {},
    }
    choices = choices_of(feature)
    if choices and (feature.widget == "radio" or (feature.widget == "" and len(choices) <= RADIO_CHOICES)):
        return RadioField(**about, choices=choices, validate_choice=False)
    if choices:
        return SelectField(**about, choices=choices, validate_choice=False)
    if feature.kind == "string":
        return StringField(**about, widget=TextInput())
    about["render_kw"] |= {"step": "1" if feature.kind == "integer" else "any", "inputmode": "decimal"}
    if feature.range is not None:
        about["render_kw"] |= {"min": plain(feature.range[0]), "max": plain(feature.range[1])}
    return StringField(**about, widget=NumberInput())


def choices_of(feature: Feature) -> dict[str, str]:
    """Text sent -> title shown, with the choice of not knowing where the feature is not required; {}: not a choice."""
    found: dict[str, str]
    if feature.kind == "boolean":
        titles: dict[Any, str] = {value.value: value.title for value in feature.values}
        found = {text_of(feature, flag): titles.get(flag) or ("Yes" if flag else "No") for flag in (True, False)}
    else:
        found = {text_of(feature, v.value): v.title or str(v.value) for v in feature.values}
    if found and not feature.required:
        found[""] = feature.missing_title or "Unknown"
    return found


def describe_field(feature: Feature) -> str:
    """The help below a field: what the declaration says, and the range."""
    if feature.range is None or choices_of(feature):
        return feature.help
    unit = f" {feature.unit}" if feature.unit else ""
    return f"{feature.help} {plain(feature.range[0])} to {plain(feature.range[1])}{unit}.".strip()


def initial_value(feature: Feature) -> Any:
    """What the form starts with: the declared default, else not known where that is allowed, else a plausible value."""
    if feature.default is None and not feature.required:
        return None
    return default_value(feature)


def text_of(feature: Feature, value: Any) -> str:
    """A value as a form sends it."""
    if value is None:
        return ""
    if isinstance(value, bool):
        return "true" if value else "false"
    return plain(value) if isinstance(value, float) else str(value)


def read_instance(features: tuple[Feature, ...], form: BaseForm) -> dict[str, Any]:
    """The instance that the form's texts stand for; a text that is no value stays a text, for the check to refuse."""
    return {feature.name: read_value(feature, form[feature.name].data) for feature in features}


def read_value(feature: Feature, text: str | None) -> Any:
    """One typed value: None where the field was left empty."""
    text = (text or "").strip()
    if feature.kind == "string":
        return text
    if not text:
        return None
    if feature.kind == "boolean":
        return {"true": True, "false": False}.get(text, text)
    known = {str(value.value): value.value for value in feature.values}
    if text in known:
        return known[text]
    for convert in (int, float):
        try:
            return convert(text.replace(",", "."))
        except ValueError:
            continue
    return text


def title_of(feature: Feature, value: Any) -> str:
    """A value in a person's words: the title of a choice, a number with its unit."""
    text = text_of(feature, value)
    choices = choices_of(feature)
    if choices:
        return choices.get(text, text)
    return f"{text} {feature.unit}".strip() if text else "unknown"


def show_problems(form: BaseForm, problems: list[Problem], features: Mapping[str, Feature]) -> list[str]:
    """Put each problem beside its field; what belongs to no field is returned."""
    elsewhere = []
    for problem in problems:
        name = re.sub(r'^\$\.instances\[0\](?:\.|\[")(.*?)(?:"\])?$', r"\1", problem.path)
        if name in features:
            received = "" if problem.received in ("null", "nothing") else f", not {problem.received}"
            form[name].errors = [
                *form[name].errors,
                f"Expected {problem.expected.removesuffix(', or null')}{received}.",
            ]
        else:
            elsewhere.append(str(problem))
    return elsewhere
