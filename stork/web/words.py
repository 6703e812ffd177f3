"""Values as a person reads them: titles for codes, units beside numbers, an output in every unit it is declared in."""

import math
from dataclasses import dataclass
from typing import Any

import msgspec

from stork.declaration import Declaration, Display, Feature, Output
from stork.schema.feature import plain
from stork.schema.frozen import Schema

FEATURE_WORDS = ("title", "help", "unit", "widget", "default", "missing_title")
OUTPUT_WORDS = ("title", "unit", "digits", "display")
SHOWN_VALUES = 12  # of an output that is a list
SHOWN_CHARACTERS = 40  # of a text that a person typed
MOST_DIGITS = 12
MINUS = "\N{MINUS SIGN}"


@dataclass(frozen=True)
class Shown:
    """One output of a prediction: in its own unit, then in the others."""

    title: str
    value: str
    others: list[str]


def in_current_words(schema: Schema, declaration: Declaration) -> Schema:
    """
    A version's frozen schema in today's words: titles may improve after a version was made, what it takes may not.

    A domain that the version was frozen without (an imported model's) is the declaration's.
    """
    features = {feature.name: feature for feature in declaration.features}
    outputs = {output.name: output for output in declaration.outputs}
    return msgspec.structs.replace(
        schema,
        features=tuple(reword(f, features[f.name]) if f.name in features else f for f in schema.features),
        outputs=tuple(
            msgspec.structs.replace(o, **{word: getattr(outputs[o.name], word) for word in OUTPUT_WORDS})
            if o.name in outputs
            else o
            for o in schema.outputs
        ),
    )


def reword(frozen: Feature, declared: Feature) -> Feature:
    """One feature of `in_current_words`."""
    changes: dict[str, Any] = {word: getattr(declared, word) for word in FEATURE_WORDS}
    titles = {value.value: value.title for value in declared.values}
    changes["values"] = tuple(
        msgspec.structs.replace(value, title=titles.get(value.value, value.title)) for value in frozen.values
    )
    if declared.kind == frozen.kind:
        changes["values"] = changes["values"] or declared.values
        changes["range"] = frozen.range or declared.range
    return msgspec.structs.replace(frozen, **changes)


def choices_of(feature: Feature) -> dict[str, str]:
    """Text sent -> title shown, with the choice of not knowing where the feature is not required; {}: not a choice."""
    if feature.kind == "boolean":
        titles: dict[Any, str] = {value.value: value.title for value in feature.values}
        found = {text_of(flag): titles.get(flag) or ("Yes" if flag else "No") for flag in (True, False)}
    else:
        found = {text_of(value.value): value.title or str(value.value) for value in feature.values}
    if found and not feature.required:
        found[""] = feature.missing_title or "Unknown"
    return found


def text_of(value: Any) -> str:
    """A value as a form sends it."""
    if value is None:
        return ""
    if isinstance(value, bool):
        return "true" if value else "false"
    return plain(value) if isinstance(value, float) else str(value)


def name_value(feature: Feature, value: Any) -> str:
    """A value of a feature in a person's words: the title of a choice, a number with its unit, a text on one line."""
    text = text_of(value)
    choices = choices_of(feature)
    if choices:
        return choices.get(text, text)
    if not text:
        return (feature.missing_title or "unknown") if not feature.required else "empty"
    if feature.kind == "string":
        return shorten(" ".join(text.split()))
    return f"{text} {feature.unit}".strip()


def shorten(text: str) -> str:
    """A text that a person typed, cut where it would fill the page."""
    return text if len(text) <= SHOWN_CHARACTERS else f"{text[: SHOWN_CHARACTERS - 1]}…"


def name_features(features: tuple[Feature, ...]) -> dict[str, str]:
    """A title for each feature, by name, no two alike."""
    titles = [feature.title or feature.name for feature in features]
    return {
        feature.name: title if titles.count(title) == 1 else f"{title} ({feature.name})"
        for feature, title in zip(features, titles, strict=True)
    }


def digits_for(output: Output, *values: float) -> int:
    """
    Digits after the point: the declared ones; where all values are smaller than these can show, two figures' worth.

    >>> digits_for(Output(name="risk", digits=2), 0.0031)
    4
    """
    largest = max(abs(value) for value in values)
    if largest == 0 or largest >= 10**-output.digits:
        return output.digits
    return min(MOST_DIGITS, 1 - math.floor(math.log10(largest)))


def signed(value: float, digits: int) -> str:
    """A number with its sign, a real minus included; no sign where it rounds to nothing."""
    text = f"{value:+,.{digits}f}"
    return text[1:] if round(value, digits) == 0 else text.replace("-", MINUS)


def write_number(output: Output, value: float, digits: int | None = None) -> str:
    """A number of an output, without its unit."""
    digits = digits_for(output, value) if digits is None else digits
    return f"{round(value, digits) + 0.0:,.{digits}f}".replace("-", MINUS)  # + 0.0: no minus zero


def with_unit(output: Output, text: str) -> str:
    return f"{text} {output.unit}".strip()


def show_output(output: Output, value: Any) -> Shown:
    """One output of a prediction: a number, a string, bytes, or a list of them."""
    title = output.title or output.name
    if isinstance(value, list):
        texts = [write_scalar(output, part) for part in value[:SHOWN_VALUES]]
        more = f", … ({len(value)} values)" if len(value) > SHOWN_VALUES else ""
        return Shown(title, with_unit(output, ", ".join(texts) + more), [])
    text = write_scalar(output, value)
    if isinstance(value, bool) or not isinstance(value, int | float):
        return Shown(title, text, [])
    return Shown(title, with_unit(output, text), [convert(display, value) for display in output.display])


def write_scalar(output: Output, value: Any) -> str:
    if isinstance(value, dict):  # bytes, as JSON tells them
        return str(value["b64"])
    if isinstance(value, float):
        return write_number(output, value)
    return f"{value:,}".replace("-", MINUS) if type(value) is int else text_of(value)


def convert(display: Display, value: float) -> str:
    """
    A value in another unit.

    >>> convert(Display(unit="ft", sub_unit="in", sub_per_unit=12, digits=1), 5.999)
    '6 ft 0.0 in'
    """
    converted = value * display.factor
    sign = MINUS if converted < 0 else ""
    if not display.sub_unit:
        return f"{sign}{abs(converted):,.{display.digits}f} {display.unit}"
    # Rounded before it is divided, so that 11.98 in is the next whole foot and never "12.0 in".
    parts = round(abs(converted) * display.sub_per_unit, display.digits)
    whole, rest = divmod(parts, display.sub_per_unit)
    return f"{sign}{whole:,.0f} {display.unit} {rest:.{display.digits}f} {display.sub_unit}"
