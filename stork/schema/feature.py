"""One value against one feature: what is expected, whether it holds, and how a problem is worded."""

import json
import math
from collections.abc import Callable
from typing import Any

from stork.declaration import Feature
from stork.schema.frozen import numeric_limits

RECEIVED_LENGTH = 80


class Refused(ValueError):
    """A value that the feature does not take; the text says what was expected instead."""


def is_missing(value: object) -> bool:
    """Whether a value stands for "not known": absent (None) or empty."""
    return value is None or value == ""


def check_value(feature: Feature, value: Any) -> Any:
    """
    The value as the feature's own type: float, int, bool or str; None when it is missing and may be.

    Raises:
        Refused: the value is missing though required, of another type, or outside the domain.
    """
    if is_missing(value) and not (feature.kind == "string" and feature.required and value == ""):
        if feature.required:
            raise Refused(expectation(feature))
        return None
    return CHECKS[feature.kind](feature, value)


def check_number(feature: Feature, value: Any) -> float:
    """A finite number inside the range."""
    if not is_finite_number(value):
        raise Refused(expectation(feature))
    return check_range(feature, value)


def check_integer(feature: Feature, value: Any) -> int:
    """A whole number (1.0 is one: several real clients write every integer so) of the range or the vocabulary."""
    if not is_finite_number(value) or value != int(value):
        raise Refused(expectation(feature))
    if feature.values and int(value) not in vocabulary(feature):
        raise Refused(expectation(feature))
    return int(check_range(feature, int(value)))


def is_finite_number(value: Any) -> bool:
    """Whether the value is a number at all; an integer of 400 digits is one, though no float can hold it."""
    if isinstance(value, bool):
        return False
    return isinstance(value, int) or (isinstance(value, float) and math.isfinite(value))


def check_range(feature: Feature, value: float) -> float:
    """The value, if it lies in the closed range."""
    low, high = numeric_limits(feature)
    if not low <= value <= high:
        raise Refused(f"{plain(low)} to {plain(high)}")
    return value


def check_boolean(feature: Feature, value: Any) -> bool:
    if not isinstance(value, bool):
        raise Refused(expectation(feature))
    return value


def check_category(feature: Feature, value: Any) -> Any:
    """A value of the vocabulary; for integer codes 1.0 is 1."""
    known = vocabulary(feature)
    if isinstance(value, bool) or not isinstance(value, (int, float, str)) or value not in known:
        raise Refused(expectation(feature))
    return known[value]


def check_string(feature: Feature, value: Any) -> str | bytes:
    """Text; or bytes, which no JSON holds, where a dialect has another way to write them."""
    if isinstance(value, bytes):
        return value
    if not isinstance(value, str) or not is_unicode(value):
        raise Refused(expectation(feature))
    return value


CHECKS: dict[str, Callable[[Feature, Any], Any]] = {
    "number": check_number,
    "integer": check_integer,
    "boolean": check_boolean,
    "category": check_category,
    "string": check_string,
}


def vocabulary(feature: Feature) -> dict[Any, Any]:
    """The declared values, each under itself, so that 1.0 finds 1."""
    return {value.value: value.value for value in feature.values}


def is_unicode(text: str) -> bool:
    """Whether the text can be written as UTF-8 (JSON can smuggle in half a surrogate pair)."""
    return not any("\ud800" <= character <= "\udfff" for character in text)


def expectation(feature: Feature) -> str:
    """What the feature takes, as the end of a sentence that begins with "expected"."""
    low, high = numeric_limits(feature)
    between = f" from {plain(low)} to {plain(high)}" if feature.range is not None else ""
    listed = ", ".join(json.dumps(value.value, ensure_ascii=False) for value in feature.values)
    text = {
        "number": f"a number{between}",
        "integer": f"one of {listed}" if feature.values else f"a whole number{between}",
        "boolean": "true or false",
        "category": f"one of {listed}",
        "string": "a string",
    }[feature.kind]
    return text if feature.required else f"{text}, or null"


def plain(number: float) -> str:
    """A number as a person writes it: 10, not 10.0."""
    return str(int(number)) if number == int(number) and abs(number) < 1e15 else repr(number)


def describe(value: object) -> str:
    """A received value as JSON, cut at 80 characters."""
    try:
        text = json.dumps(value, ensure_ascii=False)
    except (TypeError, ValueError):  # a number of more digits than Python will write
        text = f"a {type(value).__name__} that cannot be written"
    if not is_unicode(text):
        text = json.dumps(value)
    return text if len(text) <= RECEIVED_LENGTH else text[: RECEIVED_LENGTH - 3] + "..."
